"""Adversarial training undoes the noise while its own box is as large as the noise's (Figure 6).

Claim     PGD-10 at 8/255 undoes noise of 8/255, and less of it at 16 and 24, where random noise is not tried
Command   FACEGUARD_DATA=... python -m eval recipes/adversarial_training.py --jobs 2
Data      cifar10, class-wise noise; ResNet-18
Expect    at least half of what clean photos teach an adversarially trained network at 8; an hour on two cores
"""

from eval.adversarial import AdversarialTraining
from eval.image_study import ImageExpectation, ImageNoise, ImageStudy, Run

PGD_10 = AdversarialTraining()

experiment = ImageStudy(
    claim="Adversarial training at 8/255 undoes noise of 8/255.",
    source="Huang et al. 2021, Figure 6",
    runs={
        "clean": Run(countermeasure=PGD_10),
        "random, 8": Run(noise=ImageNoise(kind="random", epsilon=8), countermeasure=PGD_10),
        **{
            f"error-minimizing, {levels}": Run(noise=ImageNoise(epsilon=levels), countermeasure=PGD_10)
            for levels in (8, 16, 24)
        },
    },
    expectations=(
        ImageExpectation(run="error-minimizing, 8", than="clean", at_least=0.5),
        ImageExpectation(run="random, 8", than="clean", at_least=0.8),
    ),
    figure="curves",
)
