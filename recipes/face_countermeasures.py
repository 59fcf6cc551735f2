"""Which countermeasures of a trainer undo noise that survives publication?

Claim     to be tried, not shown yet: augmentations leave the protection, harsh preprocessing undoes it
Command   FACEGUARD_DATA=... python -m eval recipes/face_countermeasures.py --jobs 2
Data      noise from celeba-100 (as the bank that ships, at epsilon 16), faces pins-105, 50 of 105 people protected
Expect    protected at most a tenth of the clean arm's rank-1 without a countermeasure; the rest is found out; two hours
"""

from eval.banks import CELEBA_16
from eval.experiment import Condition, Expectation, FaceStudy

COUNTERMEASURES = ("cutout", "mixup", "cutmix", "autoaugment", "grayscale", "jpeg", "bit-depth", "blur", "resize")
ASKING = (
    "orthogonal-projection",
    "ueraser",
)  # they ask a network about every photo; so would adversarial training, at 11 times the cost

experiment = FaceStudy(
    claim="What a trainer can do against the noise, one countermeasure at a time.",
    faces="pins-105",
    noises={"celeba-16": CELEBA_16},
    conditions=(
        Condition(noise="celeba-16"),
        *(Condition(noise="celeba-16", countermeasure=name, seeds=(0,)) for name in (*COUNTERMEASURES, *ASKING)),
    ),
    expectations=(Expectation(at_most=0.1, where="resnet-18, none, *"),),
)
