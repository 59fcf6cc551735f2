"""One round of Algorithm 1 against a plain restatement of the authors' public loop, on the same photos and source model.

The public loop runs twice: as published, with weights in PyTorch's own memory layout, and laid out as ours (channels last),
where its noise equals ours bit for bit on a CPU. Between layouts sums are rounded differently, and the sign of equation 3
makes whole steps of that: the notes tell how much of the noise is equal, and in float64 all of it is.

On a CPU the passes of the network are nearly all there is, so ratios carry limits on a GPU alone.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.generation import random_faces
from benchmarks.measure import REPETITIONS, Comparison, compare, take_turns
from benchmarks.public_loop import public_loop
from eval.networks import build_network
from faceguard.device import make_fabric
from faceguard.identities import Faces
from faceguard.noise import Form, NoiseSettings, generate
from faceguard.recognizer import Recognizer

CLASSES = 10
LAYOUTS = {"the public loop": torch.contiguous_format, "the public loop laid out as ours": torch.channels_last}
LIMITS = {"class-wise": 1 / 3, "sample-wise": 1 / 1.2}  # on a GPU: ours over the public loop as published


@dataclass(frozen=True, kw_only=True)
class OneRound:
    """A round by a ResNet-18 of ``width`` on ``photos`` random photos of ten classes."""

    form: Form
    photos: int
    train_steps: int
    pgd_steps: int
    width: int = 16
    batch_size: int = 64
    size: int = 32

    @property
    def settings(self) -> NoiseSettings:
        """CIFAR-10's budget, with a stop error that the first round reaches."""
        return NoiseSettings(
            form=self.form,
            epsilon=8 / 255,
            step_size=0.8 / 255,
            train_steps=self.train_steps,
            pgd_steps=self.pgd_steps,
            batch_size=self.batch_size,
            stop_error=0.999,
        )

    def faces(self) -> Faces:
        """The photos."""
        return random_faces(self.photos, self.size, CLASSES)

    def source(self) -> Recognizer:
        """The source model, untrained."""
        return build_network("resnet-18", classes=CLASSES, size=self.size, width=self.width, seed=0)


ROUNDS = {
    "cpu": (
        OneRound(form="class-wise", photos=256, train_steps=4, pgd_steps=1),
        OneRound(form="sample-wise", photos=128, train_steps=2, pgd_steps=5),
    ),
    "cuda": (  # the paper's settings; sample-wise on fewer photos, because of its twenty steps
        OneRound(form="class-wise", photos=10240, train_steps=10, pgd_steps=1, width=64, batch_size=512),
        OneRound(form="sample-wise", photos=2048, train_steps=2, pgd_steps=20, width=64, batch_size=512),
    ),
}


def run(rounds: Sequence[OneRound] | None = None, *, repetitions: int = REPETITIONS) -> list[Comparison]:
    """For each form: ours over the public loop as published, then over the same laid out as ours, without a limit."""
    device = make_fabric().device.type
    return [found for one in rounds or ROUNDS[device] for found in _compare(one, device, repetitions)]


def _compare(one: OneRound, device: str, repetitions: int) -> list[Comparison]:
    noises: dict[str, Tensor] = {}
    sides = {"ours": ours(one)} | {name: public(one, layout) for name, layout in LAYOUTS.items()}
    keeping = [lambda name=name, side=side: noises.update({name: side()}) for name, side in sides.items()]
    measured, *references = take_turns(keeping, repetitions)
    limits = (LIMITS[one.form] if device == "cuda" else None, None)
    return [
        compare(
            f"{one.form} generation over {name}",
            measured,
            reference,
            limit=limit,
            settings={**vars(one), "classes": CLASSES},
            notes=differences(noises["ours"], noises[name]),
        )
        for name, reference, limit in zip(LAYOUTS, references, limits, strict=True)
    ]


def differences(noise: Tensor, other: Tensor) -> dict[str, float]:
    """The share of values that are equal, and the largest difference in levels of 255."""
    equal, largest = (noise == other).double().mean(), 255 * (noise - other).abs().max()
    return {"equal": float(equal), "largest_difference": float(largest)}


def ours(one: OneRound) -> Callable[[], Tensor]:
    """A whole call of ``generate``: noise, R x 3 x S x S."""
    faces, source = one.faces(), one.source()
    start = deepcopy(source.state_dict())

    def side() -> Tensor:
        source.load_state_dict(start)
        return generate(make_fabric(), faces, source, one.settings, seed=0)

    return side


def public(one: OneRound, layout: torch.memory_format) -> Callable[[], Tensor]:
    """The restatement with the same photos and source model: noise, R x 3 x S x S."""
    faces, source = one.faces(), one.source().to(make_fabric().device)
    start = deepcopy(source.state_dict())

    def side() -> Tensor:
        source.load_state_dict(start)
        return public_loop(faces, source, one.settings, seed=0, layout=layout)[0]

    return side
