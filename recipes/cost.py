"""What does making the noise cost, as a share of one training on the photos? (Appendix B)

Claim     class-wise noise costs at most a tenth, sample-wise noise, with one or two long steps of equation 3 a round, at most 0.6
          of one training, at the same effect
Command   FACEGUARD_DATA=... python -m eval recipes/cost.py --precision fp32
Data      cifar10; ResNet-18; times stand in run.json, and compare only within one run on one machine; passes in result.json
Expect    at small a training has the paper's 60 epochs, but of a twelfth of its photos, while learning class-wise noise takes
          as many steps as ever: hence batches of 32, and a tenth of the photos to learn it on; the paper's 20 short steps a round
          would cost more than the training; an hour on two cores
"""

from dataclasses import replace

from eval.image_scales import SMALL, SMALL_NOISE, SMALL_TRAINING
from eval.image_study import ImageExpectation, ImageNoise, ImageStudy, Run

SAMPLE_WISE = {
    f"sample-wise, T = {steps}": ImageNoise(form="sample-wise", pgd_steps=steps, step_size=levels)
    for steps, levels in ((1, 4), (2, 2))
}
NOISE = SMALL_NOISE | {"class-wise": replace(SMALL_NOISE["class-wise"], train_steps=30, batch_size=32)}

experiment = ImageStudy(
    claim="Making noise costs a fraction of one training.",
    source="Huang et al. 2021, Appendix B",
    runs={
        "clean": Run(),
        "random": Run(noise=ImageNoise(kind="random", form="sample-wise")),
        "random by class": Run(noise=ImageNoise(kind="random")),
        "class-wise": Run(noise=ImageNoise(form="class-wise")),
        **{name: Run(noise=noise) for name, noise in SAMPLE_WISE.items()},
    },
    expectations=(
        ImageExpectation(run="*-wise*", than="clean", at_most=0.25),
        ImageExpectation(run="random", than="clean", at_least=0.8),
        ImageExpectation(run="random by class", than="clean", at_least=0.5, epoch="best"),
    ),
    costs={"class-wise": 0.1, **dict.fromkeys(SAMPLE_WISE, 0.6)},
    small=replace(SMALL, train=replace(SMALL_TRAINING, epochs=60), noise=NOISE, learn_on=0.1),
)
