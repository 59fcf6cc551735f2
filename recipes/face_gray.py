"""Does noise that is learnt through gray pictures too withstand a trainer who turns aligned faces gray?

Claim     learnt with half of the photos gray, noise hides its people in colour and in gray
Command   FACEGUARD_DATA=... python -m eval recipes/face_gray.py --jobs 2
Data      noise from celeba-100 (28 cells, epsilon 12), faces pins-105, 50 of 105 people protected
Expect    protected at most a tenth of the clean arm's rank-1, in gray at most a quarter; half an hour on two cores
"""

from eval.banks import BankRecipe
from eval.experiment import Condition, Expectation, FaceStudy
from faceguard.generate import face_noise

settings = face_noise(epsilon=12 / 255, publication=True, gray=0.5)

experiment = FaceStudy(
    claim="Noise learnt through gray pictures hides its people in colour and in gray.",
    faces="pins-105",
    noises={"gray-12": BankRecipe(faces="celeba-100", settings=settings)},
    conditions=tuple(Condition(noise="gray-12", countermeasure=seen, seeds=(0,)) for seen in ("none", "grayscale")),
    expectations=(Expectation(at_most=0.1, where="*none*"), Expectation(at_most=0.25, where="*grayscale*")),
)
