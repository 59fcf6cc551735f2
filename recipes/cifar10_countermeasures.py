"""Which cheap countermeasures undo error-minimizing noise on CIFAR-10? The row of published benchmarks, beside ours.

Claim     augmentations and two bits leave the noise's effect, grayscale and JPEG undo much of it
Command   FACEGUARD_DATA=... python -m eval recipes/cifar10_countermeasures.py --jobs 2
Data      cifar10; sample-wise noise of ResNet-18; paper: the error-minimizing row of the field's benchmarks, in percent
Expect    at most a quarter of what clean photos teach, 0.4 with MixUp and two bits; grayscale, JPEG at least half; 40 minutes
"""

from eval.augmentations import CutMix, Cutout, MixUp
from eval.image_study import ARMS, ImageExpectation, ImageStudy, Run
from eval.preprocessing import BitDepth, Grayscale, Jpeg
from faceguard.countermeasure import Countermeasure

NOISE = ARMS["sample-wise"]
ROW = {
    "none": (Countermeasure(), 20.8),
    "cutout": (Cutout(), 18.8),
    "cutmix": (CutMix(), 22.3),
    "mixup": (MixUp(), 31.1),
    "bit depth": (BitDepth(), 37.9),
    "grayscale": (Grayscale(), 92.0),
    "JPEG": (Jpeg(), 80.7),
}
LEFT = {"none": 0.25, "cutout": 0.25, "cutmix": 0.25, "mixup": 0.4, "bit depth": 0.4}  # where noise keeps its effect

experiment = ImageStudy(
    claim="Augmentations do not undo the noise; grayscale and JPEG do.",
    source="published benchmarks of unlearnable examples, error-minimizing row",
    runs={
        **{name: Run(noise=NOISE, countermeasure=what, paper=paper) for name, (what, paper) in ROW.items()},
        **{f"clean, {name}": Run(countermeasure=what) for name, (what, _) in ROW.items()},
        **{f"random, {name}": Run(noise=ARMS["random"], countermeasure=ROW[name][0]) for name in LEFT},
    },
    expectations=(
        *(ImageExpectation(run=name, than=f"clean, {name}", at_most=most) for name, most in LEFT.items()),
        *(ImageExpectation(run=f"random, {name}", than=f"clean, {name}", at_least=0.8) for name in LEFT),
        *(ImageExpectation(run=name, than=f"clean, {name}", at_least=0.5) for name in ("grayscale", "JPEG")),
    ),
)
