"""Noise on a part of the photo, and noise mixed with other noise (Table 5).

Claim     small patches at random places protect less; two noises at once still protect, and so does noise with random noise
Command   FACEGUARD_DATA=... python -m eval recipes/patches_and_mixtures.py --jobs 2
Data      cifar10, class-wise noise; ResNet-18
Expect    patches of 16 and more at most half of what clean photos teach, mixtures at most a quarter; random patches, and random
          noise on the whole photo, at least half; half an hour on two cores
"""

from eval.image_study import ImageExpectation, ImageNoise, ImageStudy, Run

NOISE = ImageNoise()

experiment = ImageStudy(
    claim="Patches of half the side protect; mixtures of noise do as well.",
    source="Huang et al. 2021, Table 5",
    runs={
        "clean": Run(),
        "patch of 8": Run(noise=ImageNoise(patch=8, stop_error=0.3)),  # at small 0.22 after 60 rounds
        **{f"patch of {side}": Run(noise=ImageNoise(patch=side)) for side in (16, 24)},
        "patch of 32": Run(noise=NOISE),
        "random patch of 16": Run(noise=ImageNoise(kind="random", patch=16)),
        "random": Run(noise=ImageNoise(kind="random")),
        "one of two": Run(noise=NOISE, second=ImageNoise(seed=1)),
        "with random": Run(noise=NOISE, second=ImageNoise(kind="random", form="sample-wise"), mixed="sum"),
    },
    expectations=(
        ImageExpectation(run="patch of [123][246]", than="clean", at_most=0.5),
        ImageExpectation(run="one of two", than="clean", at_most=0.25),
        ImageExpectation(run="with random", than="clean", at_most=0.25),
        ImageExpectation(run="random patch of 16", than="clean", at_least=0.5),
        ImageExpectation(run="random", than="clean", at_least=0.5, epoch="best"),
    ),
)
