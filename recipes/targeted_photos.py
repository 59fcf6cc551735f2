"""Do targeted rows, learnt through gray pictures too, do more for published photos than the kind that ships?

Claim     in colour they protect as well; what averaging a person's photos and turning them gray bring back is less
Command   FACEGUARD_DATA=... python -m eval recipes/targeted_photos.py --jobs 2
Data      celeba-100: 2,640 photos of 178 x 218 pixels, 50 of 100 people protected; noise learnt on pins-105, epsilon 12
Expect    protected at most a tenth of the clean arm's rank-1 with both; of targeted rows averaging brings back at most a
          quarter; what gray photos leave is found out; two hours on two cores
"""

from eval.banks import BankRecipe, targeted_noise
from eval.experiment import Condition, Expectation, FaceStudy
from faceguard.generate import face_noise
from faceguard.uploads import Upload

half_gray = face_noise(epsilon=12 / 255, publication=True, gray=0.5)
NARROW = "resnet-18-narrow"

experiment = FaceStudy(
    claim="Targeted rows withstand averaging on published photos, the noise of the shipped kind does not.",
    faces="celeba-100",
    upload=Upload(quality=75),
    noises={
        "coarse-12": BankRecipe(faces="pins-105", settings=face_noise(epsilon=12 / 255, publication=True)),
        "targeted-12": BankRecipe(faces="pins-105", settings=targeted_noise(half_gray)),
    },
    conditions=tuple(
        Condition(noise=noise, adversary=adversary, countermeasure=seen, spectral=seen == "none")
        for noise in ("coarse-12", "targeted-12")
        for adversary, seen in ((NARROW, "none"), ("averaging", "none"), (NARROW, "grayscale"))
    ),
    expectations=(
        Expectation(at_most=0.1, where=f"{NARROW}, none, *"),
        Expectation(at_most=0.25, where="averaging, none, targeted-12, *"),
    ),
)
