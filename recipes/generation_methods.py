"""Equation 3 (PGD) against equation 5 (a penalty on the noise's norm, solved with Adam) as the inner problem (Figure 9).

Claim     PGD's noise stops learning, and leaves no more than the other formulation's; the table has the passes of both
Command   FACEGUARD_DATA=... python -m eval recipes/generation_methods.py --jobs 2
Data      cifar10, sample-wise noise; ResNet-18; c = 1; equation 5 with T = 200 and M = 100 at full, 10 and 20 at small
Expect    PGD at most a quarter of what clean photos teach, and no more than the other leaves; 45 minutes in fp32
"""

from eval.image_study import ImageExpectation, ImageNoise, ImageStudy, Run

experiment = ImageStudy(
    claim="PGD solves the inner problem as well as the penalty formulation.",
    source="Huang et al. 2021, Figure 9",
    runs={
        "clean": Run(),
        "random": Run(noise=ImageNoise(kind="random", form="sample-wise")),
        "PGD": Run(noise=ImageNoise(form="sample-wise")),
        "penalty": Run(noise=ImageNoise(form="sample-wise", solver="penalty")),
    },
    expectations=(
        ImageExpectation(run="PGD", than="clean", at_most=0.25),
        ImageExpectation(run="PGD", than="penalty", at_most=1.1),
        ImageExpectation(run="random", than="clean", at_least=0.8),
    ),
    figure="curves",
)
