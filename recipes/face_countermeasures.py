"""Which countermeasures of a trainer undo noise that survives publication?

Claim     turning photos gray undoes the noise; augmentations, JPEG 10, two bits, blur and halved resolution do not
Command   FACEGUARD_DATA=... python -m eval recipes/face_countermeasures.py --jobs 2
Data      noise from celeba-100 (as the bank that ships, at epsilon 16), faces pins-105, 50 of 105 people protected
Expect    protected at most a tenth of the clean arm's rank-1, with grayscale at least three quarters; two hours on two cores
"""

from eval.banks import CELEBA_16
from eval.experiment import Condition, Expectation, FaceStudy

COUNTERMEASURES = ("cutout", "mixup", "cutmix", "autoaugment", "grayscale", "jpeg", "bit-depth", "blur", "resize")

experiment = FaceStudy(
    claim="What a trainer can do against the noise, one countermeasure at a time.",
    faces="pins-105",
    noises={"celeba-16": CELEBA_16},
    conditions=(
        Condition(noise="celeba-16"),
        *(Condition(noise="celeba-16", countermeasure=name, seeds=(0,)) for name in COUNTERMEASURES),
    ),
    expectations=(
        *(
            Expectation(at_most=0.1, where=f"*, {name}, *")
            for name in ("none", *COUNTERMEASURES)
            if name != "grayscale"
        ),
        Expectation(at_least=0.75, where="*, grayscale, *"),
    ),
)
