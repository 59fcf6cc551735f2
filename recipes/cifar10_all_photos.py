"""All 50,000 photos of CIFAR-10: noise by the paper's own settings, at the public code's rate, and through flips and crops.

Claim     class-wise noise that was learnt through the trainer's flips and crops stops learning
Command   FACEGUARD_DATA=... python -m eval recipes/cifar10_all_photos.py --precision fp32 --jobs 2
Data      cifar10; ResNet-18, at small of width 16 in 12 epochs; noise learnt with one of that width
Expect    through flips and crops at most a quarter of what clean photos teach, random noise at least half at its best epoch;
          what the paper's settings leave, at its rate (0.025) or at the public code's (0.1), is found out; two hours on two cores
"""

from dataclasses import replace

from eval.image_scales import FULL
from eval.image_study import ImageExpectation, ImageNoise, ImageStudy, Run

PAPER = FULL["cifar10"]

experiment = ImageStudy(
    claim="What makes class-wise noise of all photos stop learning: the paper's settings, a higher rate, or flips and crops.",
    source="Huang et al. 2021, Figure 1",
    runs={
        "clean": Run(paper=94.95),
        "random by class": Run(noise=ImageNoise(kind="random")),
        "class-wise": Run(noise=ImageNoise(), paper=16.42),
        "class-wise, rate 0.1": Run(noise=ImageNoise(learning_rate=0.1)),
        "class-wise, flips and crops": Run(noise=ImageNoise(augmented=True)),
    },
    expectations=(
        ImageExpectation(run="class-wise, flips and crops", than="clean", at_most=0.25),
        ImageExpectation(run="random by class", than="clean", at_least=0.5, epoch="best"),
    ),
    figure="curves",
    small=replace(PAPER, width=16, train=replace(PAPER.train, epochs=12)),
)
