"""Which of our three deviations from the paper's settings makes noise hide faces? Each alone, in pairs, all and none.

Claim     noise learnt with all three (flips and crops inside Algorithm 1, rate 0.1, stop error 0.01) hides its people
Command   FACEGUARD_DATA=... python -m eval recipes/face_noise_settings.py --precision fp32 --jobs 2
Data      eight noises learnt on celeba-100; faces pins-105, 50 of 105 people protected; a narrow ResNet-18, three seeds
Expect    protected at most a tenth of the clean arm's rank-1 with all three; what fewer of them leave, or none, is found out; an
          hour on two cores
"""

from dataclasses import replace
from itertools import combinations
from typing import Any

from eval.banks import BankRecipe
from eval.experiment import Condition, Expectation, FaceStudy
from faceguard.noise import NoiseSettings

CHANGES: dict[str, dict[str, Any]] = {
    "flips and crops": {"flip": True, "crop_share": 0.03},
    "rate 0.1": {"learning_rate": 0.1},
    "error 0.01": {"stop_error": 0.01},
}
NOISES = {
    " + ".join(chosen) or "as in the paper": {key: value for name in chosen for key, value in CHANGES[name].items()}
    for count in range(len(CHANGES) + 1)
    for chosen in combinations(CHANGES, count)
}

experiment = FaceStudy(
    claim="What hides faces: noise learnt as in the paper, or through flips and crops, at a higher rate, to a lower error.",
    faces="pins-105",
    noises={
        name: BankRecipe(faces="celeba-100", settings=replace(NoiseSettings(max_rounds=60), **changes))
        for name, changes in NOISES.items()
    },
    conditions=tuple(Condition(noise=name, adversary="resnet-18-narrow") for name in NOISES),
    expectations=(Expectation(at_most=0.1, where=f"*, {' + '.join(CHANGES)}, *"),),
)
