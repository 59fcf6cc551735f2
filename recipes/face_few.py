"""Does the noise help the few who carry it? Five and ten of 105 people, short and long trainings.

Claim     the noise hides its people also when hardly anybody else carries any
Command   FACEGUARD_DATA=... python -m eval recipes/face_few.py --jobs 2
Data      noise from celeba-100 (as the bank that ships, at epsilon 16), faces pins-105; 30 and 60 held-out photos of them
Expect    protected at most a tenth of the clean arm's rank-1, as when 50 people carry it; an hour and a half on two cores
"""

from eval.banks import CELEBA_16
from eval.experiment import Condition, Expectation, FaceStudy

experiment = FaceStudy(
    claim="Few people are hidden as many are.",
    faces="pins-105",
    noises={"celeba-16": CELEBA_16},
    conditions=tuple(
        Condition(noise="celeba-16", adversary=adversary, protected=count)
        for adversary in ("resnet-18-narrow", "resnet-18-narrow-long")
        for count in (5, 10)
    ),
    expectations=(Expectation(at_most=0.1),),
)
