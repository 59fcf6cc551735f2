"""What each known deviation of the authors' public code from the paper does to the result (docs/adr/0001).

Claim     dropping negative noise halves it and weakens the effect; the other deviations matter less
Command   FACEGUARD_DATA=... python -m eval recipes/public_code_switches.py --jobs 2
Data      cifar10; ResNet-18; one switch a row, everything else as in the paper
Expect    the paper's rows at most a quarter of what clean photos teach; the rest is found out; half an hour on two cores in fp32
"""

from eval.image_study import ImageExpectation, ImageNoise, ImageStudy, Run

ONE_SIDED = ImageNoise(kind="random", form="sample-wise", original=True)

experiment = ImageStudy(
    claim="What the deviations of the public code do.",
    source="the authors' public code against Huang et al. 2021",
    runs={
        "clean": Run(),
        "random": Run(noise=ImageNoise(kind="random")),
        "random, sample-wise": Run(noise=ImageNoise(kind="random", form="sample-wise")),
        "paper, class-wise": Run(noise=ImageNoise()),
        "paper, sample-wise": Run(noise=ImageNoise(form="sample-wise")),
        "negative noise dropped, class-wise": Run(noise=ImageNoise(original=True)),
        "negative noise dropped, sample-wise": Run(noise=ImageNoise(form="sample-wise", original=True)),
        "learning rate 0.1": Run(noise=ImageNoise(learning_rate=0.1)),
        "starts from zero": Run(noise=ImageNoise(from_zero=True)),
        "weight decay 5e-5": Run(noise=ImageNoise(weight_decay=5e-5)),
        "sample-wise, indexed by class": Run(noise=ImageNoise(form="sample-wise", one_row_a_class=True)),
        "patch of 16, in the centre": Run(noise=ImageNoise(patch=16, centred=True)),
        "patch of 16, at random places": Run(noise=ImageNoise(patch=16)),
        "with one-sided random noise": Run(noise=ImageNoise(), second=ONE_SIDED, mixed="sum"),
    },
    expectations=(
        ImageExpectation(run="paper, *", than="clean", at_most=0.25),
        ImageExpectation(run="random*", than="clean", at_least=0.5, epoch="best"),
    ),
)
