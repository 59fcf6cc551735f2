"""What does making the noise cost, as a share of one training on the photos? (Appendix B)

Claim     class-wise noise costs at most a tenth, sample-wise noise at most 0.6 of one training, at the same effect; fewer, longer
          steps of equation 3 a round do as well as many short ones
Command   FACEGUARD_DATA=... python -m eval recipes/cost.py
Data      cifar10; ResNet-18; times stand in run.json, and compare only within one run on one machine; passes in result.json
Expect    at small a training is so short that learning noise takes longer; with as many rounds at scale full it would be,
          in passes, 0.07 of a training class-wise, 3.4 sample-wise with 20 steps, and with two or one 0.5 and 0.4;
          an hour on two cores in fp32
"""

from eval.image_study import ImageExpectation, ImageNoise, ImageStudy, Run

SAMPLE_WISE = {  # with the set's own steps, two of a quarter of epsilon at small and 20 of a tenth at full, and others
    "sample-wise": ImageNoise(form="sample-wise"),
    "10 steps of 0.8, sample-wise": ImageNoise(form="sample-wise", pgd_steps=10, step_size=0.8),
    "1 step of 4, sample-wise": ImageNoise(form="sample-wise", pgd_steps=1, step_size=4),
}

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
        ImageExpectation(run="*-wise", than="clean", at_most=0.25),
        ImageExpectation(run="random", than="clean", at_least=0.8),
        ImageExpectation(run="random by class", than="clean", at_least=0.5, epoch="best"),
    ),
    costs={"class-wise": 0.1, **dict.fromkeys(SAMPLE_WISE, 0.6)},
)
