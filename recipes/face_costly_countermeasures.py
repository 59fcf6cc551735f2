"""Do the countermeasures that ask a network about every photo undo the noise on faces? (Figure 6, on faces, and beyond)

Claim     adversarial training, PGD-10 at 8/255, knows people again who carry noise of 16/255
Command   FACEGUARD_DATA=... python -m eval recipes/face_costly_countermeasures.py --jobs 2
Data      noise from celeba-100 (as the bank that ships, at epsilon 16), faces pins-105, 50 of 105 people protected
Expect    the protected at most a tenth of the clean arm's rank-1 without a countermeasure, at least half with adversarial
          training; what UEraser (in thrice the epochs) and orthogonal projection bring back is found out; an hour and a
          half on two cores
"""

from eval.banks import CELEBA_16
from eval.experiment import Condition, Expectation, FaceStudy

ASKED = (
    ("resnet-18-narrow", "none"),
    ("resnet-18-narrow", "adversarial-training"),
    ("resnet-18-narrow", "orthogonal-projection"),
    ("resnet-18-narrow-long", "none"),
    ("resnet-18-narrow-long", "ueraser"),  # in 25 epochs it learns nothing of clean photos either
)

experiment = FaceStudy(
    claim="What the countermeasures that ask a network about every photo bring back of the protected.",
    faces="pins-105",
    noises={"celeba-16": CELEBA_16},
    conditions=tuple(
        Condition(noise="celeba-16", adversary=adversary, countermeasure=name, seeds=(0,)) for adversary, name in ASKED
    ),
    expectations=(
        Expectation(at_most=0.1, where="*, none, *"),
        Expectation(at_least=0.5, where="*, adversarial-training, *"),
    ),
)
