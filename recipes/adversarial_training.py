"""Adversarial training undoes the noise while its own box is as large as the noise's (Figure 6).

Claim     PGD-10 at 8/255 undoes noise of 8/255, and less of it at 16 and 24; random noise does little there
Command   FACEGUARD_DATA=... python -m eval recipes/adversarial_training.py --jobs 2
Data      cifar10, class-wise noise; ResNet-18, and beside it the same network trained as usual
Expect    at least half of what clean photos teach an adversarially trained network at 8, less of it at 16 and 24, and at most a
          quarter of what they teach as usual; an hour on two cores
"""

from eval.adversarial import AdversarialTraining
from eval.image_study import ImageExpectation, ImageNoise, ImageStudy, Run
from faceguard.countermeasure import Countermeasure

TRAININGS = {"": AdversarialTraining(), "as usual, ": Countermeasure()}
NOISES = {
    f"{kind}, {levels}": ImageNoise(kind=kind, epsilon=levels)
    for kind in ("random", "error-minimizing")
    for levels in (8, 16, 24)
}

experiment = ImageStudy(
    claim="Adversarial training at 8/255 undoes noise of 8/255.",
    source="Huang et al. 2021, Figure 6",
    runs={
        f"{training}{name}": Run(noise=noise, countermeasure=what)
        for training, what in TRAININGS.items()
        for name, noise in {"clean": None, **NOISES}.items()
    },
    expectations=(
        ImageExpectation(run="error-minimizing, 8", than="clean", at_least=0.5),
        ImageExpectation(run="error-minimizing, [12]*", than="clean", at_most=0.9),
        ImageExpectation(run="random, *", than="clean", at_least=0.8),
        ImageExpectation(run="as usual, error-minimizing, *", than="as usual, clean", at_most=0.25),
        ImageExpectation(run="as usual, random, *", than="as usual, clean", at_least=0.5, epoch="best"),
    ),
    figure="curves",
)
