"""Adversaries by name, at every scale: recipes name them, the scale says how large they are and how long they train."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any

from eval import adversaries
from eval.experiment import Contender
from eval.scales import Scale
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
FULL_EPOCHS = 50  # the paper's, for faces
TINY = {"epochs": 2, "batch_size": 8}


@cache
def contenders(scale: Scale) -> Mapping[str, Contender]:
    """Every adversary at ``scale``: smoke has one seed and trains tiny networks for two epochs, full trains as the paper did."""
    if scale == "smoke":
        return {name: Contender(adversary=_tiny(one.adversary)) for name, one in SMALL.items()}
    if scale == "full":
        return {name: replace(one, adversary=_whole(one.adversary)) for name, one in SMALL.items()}
    return SMALL


def _tiny(adversary: Any) -> Any:
    """The adversary, and whatever adversary it goes on as, with the smallest network and two epochs."""
    smallest = (
        80 if getattr(adversary, "model", "") == "inception-resnet-v1" else 32
    )  # pixels that its stem leaves some of
    return _changed(adversary, {"width": 8, "size": smallest}, TINY)


def _whole(adversary: Any) -> Any:
    """The adversary with networks of full width at 112 pixels, trained for the paper's epochs."""
    return _changed(adversary, {"width": 64, "size": 112}, {"epochs": FULL_EPOCHS, "batch_size": 64})


def _changed(adversary: Any, shape: Mapping[str, int], training: Mapping[str, Any]) -> Any:
    changes: dict[str, Any] = {}
    for field in fields(adversary):
        value = getattr(adversary, field.name)
        if field.name in shape:
            changes[field.name] = shape[field.name]
        elif isinstance(value, TrainSettings):
            changes[field.name] = replace(value, **training)
        elif is_dataclass(value):
            changes[field.name] = _changed(value, shape, training)
    return replace(adversary, **changes)
