"""Adversaries by name, at every scale: recipes name them, the scale says how large they are and how long they train."""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any

from eval import adversaries
from eval.experiment import Contender
from eval.scales import Scale
from faceguard.adversary import Scratch
from faceguard.train import TrainSettings

SMALL: Mapping[str, Contender] = {
    "resnet-18": adversaries.RESNET,
    "resnet-18-narrow": adversaries.NARROW,
    "resnet-18-narrow-long": adversaries.NARROW_LONG,
    "resnet-18-at-112": adversaries.RESNET_112,
    "inception-resnet-v1": adversaries.INCEPTION,
    "mobilefacenet": adversaries.MOBILEFACENET,
    "resnet-18-narrow-arcface": adversaries.NARROW_ARCFACE,
    "sface-nearest": adversaries.SFACE_NEAREST,
    "sface-linear": adversaries.SFACE_LINEAR,
    "mobilefacenet-nearest": adversaries.MOBILEFACENET_FROZEN,
    "fine-tuned": adversaries.FINE_TUNED,
    "averaging": adversaries.AVERAGING,
    "projecting": adversaries.PROJECTING,
    "noise-augmented": adversaries.NOISE_AUGMENTED,
}
USUAL = adversaries.SMALL  # what the others are measured by at scale full
FULL = {"width": 64, "size": 112}  # of the usual ResNet-18 there
FULL_EPOCHS = 50  # the paper's, for faces


@cache
def contenders(scale: Scale) -> Mapping[str, Contender]:
    """Every adversary at ``scale``: smoke has one seed and trains tiny networks for two epochs, full trains as the paper did.

    At full the adversaries differ as they do at small: one that is narrow stays narrow, one that trains long trains longer.
    What small only spares, pixels and epochs below the usual number, is alike there, so two of them can be the same.
    """
    if scale == "smoke":
        return {name: Contender(adversary=_changed(one.adversary, _tiny, _brief)) for name, one in SMALL.items()}
    if scale == "full":
        return {name: replace(one, adversary=_changed(one.adversary, _whole, _long)) for name, one in SMALL.items()}
    return SMALL


def _tiny(network: Scratch) -> Scratch:
    """The smallest network, of as few pixels as its stem leaves some of."""
    return replace(network, width=8, size=80 if network.model == "inception-resnet-v1" else 32)


def _brief(training: TrainSettings) -> TrainSettings:
    return replace(training, epochs=2, batch_size=8)


def _whole(network: Scratch) -> Scratch:
    """The network at 112 pixels, where a ResNet-18 half as wide as the usual one stays half as wide; others have one width."""
    share = network.width / USUAL.width if network.model == "resnet-18" else 1
    return replace(network, width=round(share * FULL["width"]), size=FULL["size"])


def _long(training: TrainSettings) -> TrainSettings:
    """The paper's epochs, and as many times more where the training is longer than the usual one."""
    return replace(training, epochs=round(FULL_EPOCHS * max(1, training.epochs / USUAL.train.epochs)), batch_size=64)


def _changed(part: Any, shape: Callable[[Scratch], Scratch], length: Callable[[TrainSettings], TrainSettings]) -> Any:
    """An adversary, or a part of one, with all networks and trainings in it changed."""
    if isinstance(part, TrainSettings):
        return length(part)
    values = {field.name: getattr(part, field.name) for field in fields(part)}
    changed = {name: _changed(value, shape, length) for name, value in values.items() if is_dataclass(value)}
    whole = replace(part, **changed)
    return shape(whole) if isinstance(whole, Scratch) else whole
