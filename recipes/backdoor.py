"""Is class-wise noise a backdoor? Clean test photos that carry another class's row (Figure 8).

Claim     networks that were trained on class-wise noise follow it at test time; the more photos carried it, the more
Command   FACEGUARD_DATA=... python -m eval recipes/backdoor.py --jobs 2
Data      cifar10, 0 to 100 % of the photos carry class-wise noise; ResNet-18; attack success is in result.json
Expect    learnt above chance from clean photos, next to nothing at 100 %; 20 minutes on two cores
"""

from eval.image_study import ImageExpectation, ImageNoise, ImageStudy, Run

experiment = ImageStudy(
    claim="Networks trained on class-wise noise follow it at test time.",
    source="Huang et al. 2021, Figure 8",
    runs={
        f"{kind}, {share:.0%}": Run(noise=ImageNoise(kind=kind), share=share, triggered=True)
        for kind in ("random", "error-maximizing", "error-minimizing")
        for share in (0, 0.2, 0.6, 1)
    },
    expectations=(
        ImageExpectation(run="error-minimizing, 100%", than="random, 0%", at_most=0.25),
        ImageExpectation(run="random, 100%", than="random, 0%", at_least=0.5, epoch="best"),
        ImageExpectation(run="error-minimizing, 60%", than="random, 100%", at_least=2, attack=True),
        ImageExpectation(run="error-minimizing, 100%", than="random, 100%", at_least=3, attack=True),
        ImageExpectation(run="error-minimizing, 60%", than="error-minimizing, 20%", at_least=1.1, attack=True),
        ImageExpectation(run="error-minimizing, 100%", than="error-minimizing, 60%", at_least=1.1, attack=True),
    ),
    figure="shares",
)
