"""Does the noise protect photos as people publish them? Full-size photos, JPEG 75, found and aligned again by the trainer.

Claim     noise of few cells survives publication and protects; the paper's fine noise and random noise protect less
Command   FACEGUARD_DATA=... python -m eval recipes/photo_space.py --jobs 2
Data      celeba-100: 2,640 photos of 178 x 218 pixels, 50 of 100 people protected; noise learnt on pins-105
Expect    protected at most a tenth of the clean arm's rank-1 after the last epoch and a quarter at its best, others at
          least nine tenths, for noise of few cells at the epsilon that ships; an hour and a half on two cores
"""

from eval.banks import BankRecipe
from eval.experiment import Condition, Expectation, FaceStudy
from faceguard.generate import face_noise
from faceguard.uploads import Upload

coarse = {
    f"coarse-{levels}": BankRecipe(faces="pins-105", settings=face_noise(epsilon=levels / 255, publication=True))
    for levels in (4, 8, 12, 16)
}
fine = {"fine-16": BankRecipe(faces="pins-105", settings=face_noise(epsilon=16 / 255))}
SWEPT = (0,)  # the seed of the epsilons that only complete the curve

experiment = FaceStudy(
    claim="Photos protected at full size still protect after JPEG 75 and another alignment.",
    faces="celeba-100",
    upload=Upload(quality=75),
    noises={**coarse, **fine},
    conditions=(
        *(Condition(noise=noise) for noise in ("coarse-16", "coarse-12", "fine-16")),
        *(Condition(noise=noise, seeds=SWEPT) for noise in ("coarse-4", "coarse-8")),
    ),
    expectations=(
        Expectation(at_most=0.1, where="*coarse-12*"),
        Expectation(at_most=0.25, epoch="best", where="*coarse-12*"),
        Expectation(group="others", at_least=0.9, where="*coarse-12*"),
    ),
)
