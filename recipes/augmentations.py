"""Augmentations do not undo the noise (Table 3).

Claim     Cutout, MixUp, CutMix and a fixed AutoAugment policy leave the noise's effect in both forms
Command   FACEGUARD_DATA=... python -m eval recipes/augmentations.py --jobs 2
Data      cifar10; ResNet-18; the policy is torchvision's AutoAugment for CIFAR-10, the paper's is Fast AutoAugment's
Expect    at most 0.4 of what clean photos teach with the same augmentation; an hour on two cores in fp32
"""

from eval.augmentations import AutoAugment, CutMix, Cutout, MixUp
from eval.image_study import ARMS, ImageStudy, Run, claims_of_arms

AUGMENTATIONS = {"cutout": Cutout(), "mixup": MixUp(), "cutmix": CutMix(), "autoaugment": AutoAugment()}

experiment = ImageStudy(
    claim="Augmentations leave the effect of error-minimizing noise.",
    source="Huang et al. 2021, Table 3",
    runs={
        f"{name}, {photos}": Run(noise=noise, countermeasure=what)
        for name, what in AUGMENTATIONS.items()
        for photos, noise in ARMS.items()
    },
    expectations=tuple(claim for name in AUGMENTATIONS for claim in claims_of_arms(f"{name}, ", at_most=0.4)),
    at_full={"mixup, class-wise": 18},
)
