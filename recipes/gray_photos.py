"""Would noise that is learnt through gray pictures too protect photos from a trainer who turns them gray?

Claim     learnt with half of the photos gray, noise still protects in colour; in gray it hides some, and not enough to ship
Command   FACEGUARD_DATA=... python -m eval recipes/gray_photos.py --jobs 2
Data      celeba-100: 2,640 photos of 178 x 218 pixels, 50 of 100 people protected; noise learnt on pins-105, epsilon 12 and 16
Expect    in colour protected at most a quarter of the clean arm's rank-1, in gray at most three quarters; an hour on two cores
"""

from eval.banks import BankRecipe
from eval.experiment import Condition, Expectation, FaceStudy
from faceguard.generate import face_noise
from faceguard.uploads import Upload

HALF_GRAY = {
    f"gray-{levels}": BankRecipe(
        faces="pins-105", settings=face_noise(epsilon=levels / 255, publication=True, gray=0.5)
    )
    for levels in (12, 16)
}

experiment = FaceStudy(
    claim="Noise learnt through gray pictures protects in colour, and in gray a little.",
    faces="celeba-100",
    upload=Upload(quality=75),
    noises=HALF_GRAY,
    conditions=tuple(
        Condition(noise=noise, countermeasure=seen, seeds=(0,)) for noise in HALF_GRAY for seen in ("none", "grayscale")
    ),
    expectations=(Expectation(at_most=0.25, where="*none*"), Expectation(at_most=0.75, where="*grayscale*")),
)
