"""When only a part of the photos carries noise, it adds nothing to what the clean part teaches (Table 2, Figure 2 a-b).

Claim     trained on protected and clean photos together, a network learns as much as from the clean part alone
Command   FACEGUARD_DATA=... python -m eval recipes/percentages.py --jobs 2
Data      cifar10, 20 to 100 % of every class's photos carry noise; ResNet-18
Expect    0.85 to 1.15 of what the clean part alone teaches; at 80 % at most 1.1 of it in as many steps; 25 minutes on two cores
"""

from eval.image_study import ImageExpectation, ImageNoise, ImageStudy, Run

SHARES = (0.2, 0.4, 0.6, 0.8, 1.0)

experiment = ImageStudy(
    claim="Protected photos add nothing to what the clean ones teach.",
    source="Huang et al. 2021, Table 2 and Figure 2 a-b",
    runs={
        "clean": Run(),
        "clean part at 80%, as many steps": Run(share=0.8, keep="clean", longer=5),
        "random, 100%": Run(noise=ImageNoise(kind="random", form="sample-wise")),
        "random by class, 100%": Run(noise=ImageNoise(kind="random")),
        **{
            f"{form}, {share:.0%}": Run(noise=ImageNoise(form=form), share=share)
            for form in ("sample-wise", "class-wise")
            for share in SHARES
        },
        **{f"clean part at {share:.0%}": Run(share=share, keep="clean") for share in SHARES[:-1]},
    },
    expectations=(
        ImageExpectation(run="*-wise, 100%", than="clean", at_most=0.25),
        *(
            ImageExpectation(run=f"*-wise, {share:.0%}", than=f"clean part at {share:.0%}", at_least=0.85, at_most=1.15)
            for share in SHARES[:-1]
        ),
        ImageExpectation(run="*-wise, 80%", than="clean part at 80%, as many steps", at_most=1.1),
        ImageExpectation(run="clean part at 80%", than="clean", at_most=0.9),
        ImageExpectation(run="random, 100%", than="clean", at_least=0.8),
        ImageExpectation(run="random by class, 100%", than="clean", at_least=0.5, epoch="best"),
    ),
    figure="shares",
)
