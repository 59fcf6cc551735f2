"""Error-minimizing against error-maximizing and random noise, sample-wise and class-wise, on CIFAR-10 (Figure 1).

Claim     error-minimizing noise stops learning in both forms, other noise of single photos does not; class-wise random noise is
          beaten by stopping early, where it does anything
Command   FACEGUARD_DATA=... python -m eval recipes/cifar10_noise_types.py --jobs 2
Data      cifar10, all photos carry noise; ResNet-18
Expect    error-minimizing at most a quarter of what clean photos teach; random sample-wise at least 0.8; what the same noise with
          random phases leaves, its power and nothing else that was learnt, is found out; half an hour on two cores, three times
          that with --seeds 3
"""

from eval.image_study import ImageExpectation, ImageNoise, ImageStudy, Run

PAPER = {("error-minimizing", "sample-wise"): 19.93, ("error-minimizing", "class-wise"): 16.42}

experiment = ImageStudy(
    claim="Error-minimizing noise stops learning; early stopping beats class-wise random noise.",
    source="Huang et al. 2021, Figure 1",
    runs={
        "clean": Run(paper=94.95),
        **{
            f"{kind}, {form}": Run(noise=ImageNoise(kind=kind, form=form), paper=PAPER.get((kind, form)))
            for kind in ("random", "error-maximizing", "error-minimizing")
            for form in ("sample-wise", "class-wise")
        },
        **{f"error-minimizing, class-wise, noise of seed {seed}": Run(noise=ImageNoise(seed=seed)) for seed in (1, 2)},
        **{
            f"random phases, {form}": Run(noise=ImageNoise(form=form, random_phases=True))
            for form in ("sample-wise", "class-wise")
        },
    },
    expectations=(
        ImageExpectation(run="error-minimizing, *", than="clean", at_most=0.25),
        ImageExpectation(run="random, sample-wise", than="clean", at_least=0.8),
        ImageExpectation(run="error-maximizing, sample-wise", than="clean", at_least=0.5),
        ImageExpectation(run="random, class-wise", than="clean", at_least=0.5, epoch="best"),
    ),
    figure="curves",
    at_full={"clean": 94.8, "error-minimizing, sample-wise": 20, "error-minimizing, class-wise": 17},
)
