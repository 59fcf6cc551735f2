"""Four classes carry noise (Figure 5).

Claim     the four are lost, the other six are learnt as before
Command   FACEGUARD_DATA=... python -m eval recipes/several_classes.py --jobs 2
Data      cifar10, all photos of four classes carry noise; ResNet-18
Expect    what clean photos teach about each of the four falls to a fifth; ten minutes on two cores
"""

from eval.image_study import ImageExpectation, ImageNoise, ImageStudy, Run

SIX = ("airplane", "bird", "deer", "frog", "ship", "truck")
FOUR = ("automobile", "cat", "dog", "horse")

experiment = ImageStudy(
    claim="Classes that carry noise are not learnt, and the others are.",
    source="Huang et al. 2021, Figure 5",
    runs={
        "clean": Run(),
        "random": Run(noise=ImageNoise(kind="random", form="class-wise"), classes=FOUR),
        "random by photo": Run(noise=ImageNoise(kind="random", form="sample-wise"), classes=FOUR),
        "sample-wise": Run(noise=ImageNoise(form="sample-wise"), classes=FOUR),
        "class-wise": Run(noise=ImageNoise(form="class-wise"), classes=FOUR),
    },
    expectations=(
        *(ImageExpectation(run="*-wise", than="clean", at_most=0.2, label=name) for name in FOUR),
        *(ImageExpectation(run="random*", than="clean", at_least=0.5, label=name) for name in FOUR),
        *(ImageExpectation(run="*-wise", than="clean", at_least=0.75, label=name) for name in SIX),
    ),
    figure="confusion",
)
