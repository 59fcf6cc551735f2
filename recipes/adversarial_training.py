"""Adversarial training undoes the noise while its own box is as large as the noise's (Figure 6).

Claim     PGD-10 at 8/255 undoes noise of 8/255, and less of it at 16 and 24; random noise does little there
Command   FACEGUARD_DATA=... python -m eval recipes/adversarial_training.py --jobs 2
Data      cifar10, class-wise noise; ResNet-18
Expect    at least half of what clean photos teach an adversarially trained network at 8; an hour on two cores
"""

from eval.adversarial import AdversarialTraining
from eval.image_study import ImageExpectation, ImageNoise, ImageStudy, Kind, Run

PGD_10 = AdversarialTraining()
KINDS: tuple[Kind, ...] = ("random", "error-minimizing")

experiment = ImageStudy(
    claim="Adversarial training at 8/255 undoes noise of 8/255.",
    source="Huang et al. 2021, Figure 6",
    runs={
        "clean": Run(countermeasure=PGD_10),
        **{
            f"{kind}, {levels}": Run(noise=ImageNoise(kind=kind, epsilon=levels), countermeasure=PGD_10)
            for kind in KINDS
            for levels in (8, 16, 24)
        },
    },
    expectations=(
        ImageExpectation(run="error-minimizing, 8", than="clean", at_least=0.5),
        ImageExpectation(run="random, *", than="clean", at_least=0.8),
    ),
    figure="curves",
)
