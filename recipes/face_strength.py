"""What helps few people? Noise that uses more of its budget, and rows that outweigh the face; what does the strength alone do?

Claim     what hides five of 105 people is stronger noise within the same epsilon, learnt either way
Command   FACEGUARD_DATA=... python -m eval recipes/face_strength.py --jobs 2
Data      noise from celeba-100 at epsilon 16: as the bank that ships, 2.4 times as strong, and targeted; faces pins-105
Expect    few who carry the stronger noise at most a quarter of the clean arm's rank-1; the arm phase-randomized, the same noise
          with random phases, tells what is due to its power alone; 50 minutes on two cores
"""

from dataclasses import replace

from eval.banks import CELEBA_16, BankRecipe, targeted_noise
from eval.experiment import Condition, Expectation, FaceStudy
from faceguard.generate import face_noise

TRIED = (("celeba-16", 50), ("celeba-16", 5), ("strong", 5), ("strong", 10), ("targeted", 5))

experiment = FaceStudy(
    claim="Few people are hidden by stronger noise within the same epsilon.",
    faces="pins-105",
    noises={
        "celeba-16": CELEBA_16,
        "strong": replace(CELEBA_16, gain=2.4),
        "targeted": BankRecipe(faces="celeba-100", settings=targeted_noise(face_noise(publication=True))),
    },
    conditions=tuple(
        Condition(noise=noise, adversary="resnet-18-narrow", protected=count, spectral=True) for noise, count in TRIED
    ),
    expectations=(Expectation(at_most=0.25, where="*strong*"), Expectation(at_most=0.25, where="*targeted*")),
)
