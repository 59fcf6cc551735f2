"""All 50,000 photos of CIFAR-10 and noise by the paper's own settings; only the network is narrow and its training short.

Claim     of all photos the paper's settings, without flips and crops, make class-wise noise that stops learning, as they do not
          of 4,000 photos (docs/adr/0007)
Command   FACEGUARD_DATA=... python -m eval recipes/cifar10_all_photos.py --precision fp32 --jobs 2
Data      cifar10; ResNet-18, at small of width 16 in 12 epochs; noise learnt with one of that width
Expect    class-wise noise at most a quarter of what clean photos teach; random noise at least half at its best epoch; an hour on
          two cores
"""

from dataclasses import replace

from eval.image_scales import FULL
from eval.image_study import ImageExpectation, ImageNoise, ImageStudy, Run

PAPER = FULL["cifar10"]

experiment = ImageStudy(
    claim="The paper's settings make noise that stops learning when all photos carry it.",
    source="Huang et al. 2021, Figure 1",
    runs={
        "clean": Run(paper=94.95),
        "random by class": Run(noise=ImageNoise(kind="random")),
        "class-wise": Run(noise=ImageNoise(), paper=16.42),
    },
    expectations=(
        ImageExpectation(run="class-wise", than="clean", at_most=0.25),
        ImageExpectation(run="random by class", than="clean", at_least=0.5, epoch="best"),
    ),
    figure="curves",
    small=replace(PAPER, width=16, train=replace(PAPER.train, epochs=12)),
)
