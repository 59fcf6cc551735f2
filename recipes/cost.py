"""What does making the noise cost, as a share of one training on the photos? (Appendix B)

Claim     class-wise noise costs at most a tenth, sample-wise noise at most 0.6 of one training, at the same effect; sample-wise
          with fewer, longer steps of equation 3 than the paper's
Command   FACEGUARD_DATA=... python -m eval recipes/cost.py
Data      cifar10, at small 1,000 photos a class, ResNet-18 of width 8 and the paper's 60 epochs, for a share hangs on these;
          times stand in run.json, and compare only within one run on one machine; passes in result.json
Expect    both shares and the effect at small; at full 20 steps cost more than 0.6; an hour and a half on one core
"""

from dataclasses import replace

from eval.image_scales import SMALL, SMALL_TRAINING
from eval.image_study import ImageExpectation, ImageNoise, ImageStudy, Run

experiment = ImageStudy(
    claim="Making noise costs a fraction of one training.",
    source="Huang et al. 2021, Appendix B",
    runs={
        "clean": Run(),
        "random": Run(noise=ImageNoise(kind="random", form="sample-wise")),
        "random by class": Run(noise=ImageNoise(kind="random")),
        "class-wise": Run(noise=ImageNoise(form="class-wise")),
        "sample-wise": Run(noise=ImageNoise(form="sample-wise")),
        "2 steps of 2, sample-wise": Run(noise=ImageNoise(form="sample-wise", pgd_steps=2, step_size=2)),
    },
    expectations=(
        ImageExpectation(run="*-wise", than="clean", at_most=0.25),
        ImageExpectation(run="random", than="clean", at_least=0.8),
        ImageExpectation(run="random by class", than="clean", at_least=0.5, epoch="best"),
    ),
    costs={"class-wise": 0.1, "sample-wise": 0.6, "2 steps of 2, sample-wise": 0.6},
    small=replace(SMALL, photos=1000, width=8, learn_on=0.2, train=replace(SMALL_TRAINING, epochs=60)),
)
