"""One class alone carries noise: clean test photos of it are no longer recognized, the others are (Figure 2 c-d).

Claim     the protected class 'bird' is lost, the other nine are learnt as before
Command   FACEGUARD_DATA=... python -m eval recipes/single_class.py --jobs 2
Data      cifar10, all photos of 'bird' carry noise; ResNet-18
Expect    at least three quarters of what clean photos teach over all ten classes, a fifth of what they teach about birds, which
          takes more epochs than the other recipes have at small: 40; half an hour on two cores in fp32
"""

from dataclasses import replace

from eval.image_scales import SMALL, SMALL_TRAINING
from eval.image_study import ImageExpectation, ImageNoise, ImageStudy, Run

experiment = ImageStudy(
    claim="A class that carries noise is not learnt, and the others are.",
    source="Huang et al. 2021, Figure 2 c-d",
    runs={
        "clean": Run(),
        "random": Run(noise=ImageNoise(kind="random", form="class-wise"), classes=("bird",)),
        "random by photo": Run(noise=ImageNoise(kind="random", form="sample-wise"), classes=("bird",)),
        "sample-wise": Run(noise=ImageNoise(form="sample-wise"), classes=("bird",)),
        "class-wise": Run(noise=ImageNoise(form="class-wise"), classes=("bird",)),
    },
    expectations=(
        ImageExpectation(run="*-wise", than="clean", at_least=0.75),
        ImageExpectation(run="*-wise", than="clean", at_most=0.2, label="bird"),
        ImageExpectation(run="random*", than="clean", at_least=0.5, label="bird"),
    ),
    figure="confusion",
    small=replace(SMALL, train=replace(SMALL_TRAINING, epochs=40)),
)
