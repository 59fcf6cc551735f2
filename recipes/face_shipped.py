"""What does the noise that ships withstand? It is learnt through publication and through gray pictures, at epsilon 12.

Claim     turning photos gray undoes the noise no longer; JPEG 10, blur and averaging a person's photos do not either
Command   FACEGUARD_DATA=... python -m eval recipes/face_shipped.py --jobs 2
Data      noise from celeba-100 (the bank that ships), faces pins-105, 50 of 105 people protected
Expect    protected at most a tenth of the clean arm's rank-1, with grayscale and against averaging at most a quarter; twenty
          minutes on two cores, an hour without bf16
"""

from eval.banks import SHIPPED
from eval.experiment import Condition, Expectation, FaceStudy

ONE = (0,)

experiment = FaceStudy(
    claim="The noise that ships withstands gray pictures, JPEG, blur and averaging.",
    faces="pins-105",
    conditions=(
        *(Condition(noise=SHIPPED, countermeasure=name, seeds=ONE) for name in ("none", "grayscale", "jpeg", "blur")),
        Condition(noise=SHIPPED, adversary="averaging", seeds=ONE),
    ),
    expectations=(
        *(Expectation(at_most=0.1, where=f"resnet-18, {name}, *") for name in ("none", "jpeg", "blur")),
        *(Expectation(at_most=0.25, where=where) for where in ("*grayscale*", "averaging, *")),
    ),
)
