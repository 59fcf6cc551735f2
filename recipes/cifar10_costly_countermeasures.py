"""Do the countermeasures that ask the network about every photo undo error-minimizing noise on CIFAR-10? Beside benchmarks.

Claim     UEraser and adversarial training undo much of the noise's effect
Command   FACEGUARD_DATA=... python -m eval recipes/cifar10_costly_countermeasures.py --jobs 2
Data      cifar10; sample-wise noise of ResNet-18; paper: the error-minimizing row of the field's benchmarks, in percent
Expect    without a countermeasure at most a quarter of what clean photos teach, with either at least half of what it leaves
          of clean photos; 75 minutes on two cores
"""

from eval.adversarial import AdversarialTraining, UEraser
from eval.image_study import ARMS, ImageExpectation, ImageStudy, Run

COSTLY = {  # name -> countermeasure, how much longer it trains, and the benchmarks' accuracy on the noise
    "UEraser": (UEraser(), 3, 93.6),
    "adversarial training": (AdversarialTraining(), 1, 82.5),
}

experiment = ImageStudy(
    claim="UEraser and adversarial training undo the noise.",
    source="published benchmarks of unlearnable examples, error-minimizing row",
    runs={
        **{name: Run(noise=ARMS[name]) for name in ("clean", "random")},
        "error-minimizing": Run(noise=ARMS["sample-wise"], paper=20.8),
        **{
            f"{arm}, {name}": Run(
                noise=noise, countermeasure=what, longer=longer, paper=None if noise is None else paper
            )
            for name, (what, longer, paper) in COSTLY.items()
            for arm, noise in (("clean", None), ("error-minimizing", ARMS["sample-wise"]))
        },
    },
    expectations=(
        ImageExpectation(run="random", than="clean", at_least=0.8),
        ImageExpectation(run="error-minimizing", than="clean", at_most=0.25),
        *(ImageExpectation(run=f"error-minimizing, {name}", than=f"clean, {name}", at_least=0.5) for name in COSTLY),
    ),
)
