"""Does the noise that ships protect photos as people publish them, also from a trainer who turns them gray?

Claim     noise learnt through gray pictures too survives publication and protects, in colour and in gray
Command   FACEGUARD_DATA=... python -m eval recipes/gray_photos.py --jobs 2
Data      celeba-100: 2,640 photos of 178 x 218 pixels, 50 of 100 people protected; noise learnt on pins-105, epsilon 12
Expect    protected at most a tenth of the clean arm's rank-1 after the last epoch and a quarter at its best, others at
          least nine tenths; in gray at most a quarter; an hour and a half on two cores without bf16
"""

from eval.banks import BankRecipe
from eval.experiment import Condition, Expectation, FaceStudy
from faceguard.generate import face_noise
from faceguard.uploads import Upload

experiment = FaceStudy(
    claim="Photos protected at full size still protect after JPEG 75 and another alignment, in colour and in gray.",
    faces="celeba-100",
    upload=Upload(quality=75),
    noises={"gray-12": BankRecipe(faces="pins-105", settings=face_noise(epsilon=12 / 255, publication=True))},
    conditions=(
        Condition(noise="gray-12"),
        Condition(noise="gray-12", countermeasure="grayscale", seeds=(0,)),
    ),
    expectations=(
        Expectation(at_most=0.1, where="*none*"),
        Expectation(at_most=0.25, epoch="best", where="*none*"),
        Expectation(group="others", at_least=0.9, where="*none*"),
        Expectation(at_most=0.25, where="*grayscale*"),
    ),
)
