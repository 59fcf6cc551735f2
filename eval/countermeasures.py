"""The countermeasures that experiments name, with the settings of published benchmarks.

Where the literature has several, the defaults are APBench's (Qin et al. 2024), whose numbers for error-minimizing noise
on CIFAR-10 the full experiments stand beside. Crops and flips are in ``TrainSettings``; early stopping is the best epoch.
"""

from collections.abc import Mapping
from types import MappingProxyType

from eval.adversarial import AdversarialTraining, UEraser
from eval.augmentations import AutoAugment, CutMix, Cutout, MixUp
from eval.preprocessing import BitDepth, Blur, Grayscale, Jpeg, Resize
from eval.projecting import OrthogonalProjection
from faceguard.countermeasure import Countermeasure

COUNTERMEASURES: Mapping[str, Countermeasure] = MappingProxyType(
    {
        each.name: each
        for each in (
            Countermeasure(),
            Cutout(),
            MixUp(),
            CutMix(),
            AutoAugment(),
            Grayscale(),
            Jpeg(),
            BitDepth(),
            Blur(),
            Resize(),
            UEraser(),
            AdversarialTraining(),
            OrthogonalProjection(),
        )
    }
)
