"""Noise for an image set: learnt once for each `ImageNoise`, kept as a noise bank, and put on photos.

N photos, R rows (a class's, or a photo's), S x S pixels.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor

from eval.image_scales import Size
from eval.image_study import ImageNoise
from eval.networks import build_network
from faceguard.bank import NoiseBank, make_bank
from faceguard.device import generator
from faceguard.errors import DataError
from faceguard.faces import add_levels
from faceguard.identities import Faces
from faceguard.noise import NoiseSettings, Round, generate, random_noise
from faceguard.train import fit

PART = 4096  # photos that get their noise at once


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """What became of the learning: rounds of Algorithm 1, the source model's last error, seconds."""

    rounds: int
    error: float
    seconds: float


def settings_of(noise: ImageNoise, size: Size) -> NoiseSettings:
    """Algorithm 1's settings for this noise: the set's, with whatever the noise says otherwise."""
    settings = size.noise[noise.form]
    if noise.epsilon is not None:
        settings = replace(settings, epsilon=noise.epsilon / 255, step_size=noise.epsilon / 2550)
    if noise.learning_rate is not None:
        settings = replace(settings, learning_rate=noise.learning_rate)
    return settings if noise.kind != "error-maximizing" else replace(settings, objective="error-maximizing")


def learn(
    fabric: Fabric,
    train: Faces,
    noise: ImageNoise,
    size: Size,
    *,
    checkpoint: Path | None = None,
    progress: Callable[[Round], None] = lambda _: None,
) -> tuple[NoiseBank, Learnt]:
    """The rows of ``noise`` for the photos ``train``; error-maximizing noise needs a source model that knows them first.

    Raises NoiseDidNotConverge as ``noise.generate`` does.
    """
    settings, rounds, begun = settings_of(noise, size), [Round(number=0, error=1.0)], time.monotonic()

    def count(done: Round) -> None:
        rounds.append(done)
        progress(done)

    if noise.kind == "random":
        rows = random_noise(train, noise.form, settings.epsilon, seed=noise.seed)
    else:
        classes = len(train.names)
        source = build_network(noise.source, classes=classes, size=train.size, width=size.width, seed=noise.seed)
        if noise.kind == "error-maximizing":
            fit(fabric, source, train, size.train, seed=noise.seed)
        part = None if noise.form == "sample-wise" else drawn_share(train, size.learn_on, seed=noise.seed)
        rows = generate(
            fabric, train, source, settings, seed=noise.seed, learn_on=part, checkpoint=checkpoint, progress=count
        )
    bank = make_bank(
        rows,
        epsilon=settings.epsilon,
        identities=train.names if noise.form == "class-wise" else train.keys,
        form=noise.form,
        seed=noise.seed,
    )
    done = rounds[-1]
    return bank, Learnt(rounds=done.number, error=done.error, seconds=round(time.monotonic() - begun, 1))


def drawn_share(photos: Faces, share: float, *, seed: int) -> Tensor:
    """Indices, in order, of a drawn ``share`` of every class's photos; a larger share contains a smaller one."""
    drawn = []
    for label, name in enumerate(photos.names):
        mine = torch.from_numpy(np.flatnonzero(photos.labels == label))
        order = torch.randperm(len(mine), generator=generator(seed, "share", name))
        drawn.append(mine[order[: round(share * len(mine))]])
    return torch.cat(drawn).sort().values


def put(photos: Faces, chosen: NDArray[np.int64], bank: NoiseBank, noise: ImageNoise) -> Faces:
    """A copy of ``photos`` in which the ``chosen`` ones (indices) carry their row, in whole levels.

    Raises DataError when a photo, or its class, has no row in the bank.
    """
    pixels, rows = photos.pixels.copy(), _rows(photos, bank, dict(noise.rows_of))
    for part in np.array_split(chosen, max(1, len(chosen) // PART)):
        if len(part):
            pixels[part] = add_levels(pixels[part], bank.levels(rows[part], original=noise.original))
    return replace(photos, pixels=pixels)


def _rows(photos: Faces, bank: NoiseBank, rows_of: Mapping[str, str]) -> NDArray[np.int64]:
    """The row of every photo, N."""
    place = {name: i for i, name in enumerate(bank.identities)}
    wanted = photos.keys if bank.form == "sample-wise" else [rows_of.get(name, name) for name in photos.names]
    absent = [name for name in wanted if name not in place]
    if absent:
        raise DataError(f"The noise has no row for {', '.join(absent[:3])}; say in rows_of whose row it takes.")
    rows = np.array([place[name] for name in wanted], dtype=np.int64)
    return rows if bank.form == "sample-wise" else rows[photos.labels]
