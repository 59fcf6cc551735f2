"""Noise for an image set: learnt once for each `ImageNoise`, kept as a noise bank, and put on photos.

N photos, R rows (a class's, or a photo's), S x S pixels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor

from eval.banks import RoundClock
from eval.image_scales import Size
from eval.image_study import ImageNoise
from eval.networks import build_network
from eval.penalty import penalized
from faceguard.bank import NoiseBank, make_bank
from faceguard.checkpoint import SAVED_EVERY
from faceguard.device import derive_seed, generator, seeded
from faceguard.errors import DataError
from faceguard.faces import add_levels, level_budget
from faceguard.identities import Faces
from faceguard.noise import NoiseSettings, Round, Solve, generate, pgd, random_noise
from faceguard.smooth import place
from faceguard.train import fit

PART = 4096  # photos that get their noise at once
LARGEST_IN_MEMORY = 2**31  # bytes of float noise; more is learnt in a memory-mapped int8 file beside the checkpoint
SOLVERS: Mapping[str, Solve] = {"pgd": pgd, "penalty": penalized}


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """What became of the learning: rounds of Algorithm 1, the source model's last error, seconds."""

    rounds: int
    error: float
    seconds: float


def settings_of(noise: ImageNoise, size: Size) -> NoiseSettings:
    """Algorithm 1's settings for this noise: the set's, with whatever the noise says otherwise.

    Raises DataError for error-maximizing noise by equation 5, which minimizes.
    """
    if (noise.kind, noise.solver) == ("error-maximizing", "penalty"):
        raise DataError("Equation 5 minimizes the error; learn error-maximizing noise with solver='pgd'.")
    settings = size.noise[noise.form]
    if noise.epsilon is not None:
        epsilon = noise.epsilon / 255
        settings = replace(settings, epsilon=epsilon, step_size=settings.step_size * epsilon / settings.epsilon)
    if noise.kind == "error-maximizing":
        # equation 3 against a finished network, until that is wrong about so many photos
        settings = replace(settings, objective="error-maximizing", stop_error=1 - size.maximized[noise.form])
        if noise.form == "sample-wise":
            settings = replace(settings, pgd_steps=20, step_size=settings.epsilon / 10)  # the paper's, at every scale
    if noise.augmented:
        settings = replace(settings, flip=size.train.flip, crop_share=size.train.crop_share)
    if noise.step_size is not None:
        settings = replace(settings, step_size=noise.step_size / 255)
    if noise.solver == "penalty" and size.penalty is not None:
        settings = replace(settings, pgd_steps=size.penalty[0], train_steps=size.penalty[1])
    names = ("learning_rate", "weight_decay", "patch", "pgd_steps", "stop_error")
    changes = {name: getattr(noise, name) for name in names}
    return replace(settings, **{name: value for name, value in changes.items() if value is not None})


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
    settings, clock = settings_of(noise, size), RoundClock(progress)
    if noise.kind == "random":
        rows = random_noise(train, noise.form, settings.epsilon, seed=noise.seed, cells=noise.patch)
    else:
        classes = len(train.names)
        # A trainer of the same seed must not start from the same weights.
        start = derive_seed(noise.seed, "source model")
        source = build_network(noise.source, classes=classes, size=train.size, width=size.width, seed=start)
        if noise.kind == "error-maximizing":
            fit(fabric, source, train, size.train, seed=derive_seed(noise.seed, "source training"))
        part = None if noise.form == "sample-wise" else drawn_share(train, size.learn_on, seed=noise.seed, what="share")
        large = noise.form == "sample-wise" and 4 * train.pixels.nbytes > LARGEST_IN_MEMORY
        rows = generate(
            fabric,
            train,
            source,
            settings,
            seed=noise.seed,
            learn_on=part,
            solve=SOLVERS[noise.solver],
            store=store_of(checkpoint) if large and checkpoint is not None else None,
            from_zero=noise.from_zero,
            save_every=SAVED_EVERY,
            checkpoint=checkpoint,
            progress=clock,
        )
    bank = make_bank(
        rows,
        epsilon=settings.epsilon,
        identities=train.names if noise.form == "class-wise" else train.keys,
        form=noise.form,
        seed=noise.seed,
    )
    return bank, Learnt(rounds=clock.last.number, error=clock.last.error, seconds=clock.seconds)


def passes(noise: ImageNoise, size: Size, photos: int, rounds: int) -> int:
    """How many photos go through the source model and back while ``rounds`` rounds learn the noise for ``photos`` photos.

    Each round takes M batches for the model and T times the photos that the noise is learnt on. The error's pass, forward alone,
    is not counted: a step of the noise lacks as much, the gradient of the weights.
    """
    settings = settings_of(noise, size)
    for_noise = settings.pgd_steps * (photos if noise.form == "sample-wise" else round(size.learn_on * photos))
    if noise.kind == "error-maximizing":
        return size.train.epochs * photos + rounds * for_noise
    return rounds * (settings.train_steps * min(settings.batch_size, photos) + for_noise)


def store_of(checkpoint: Path) -> Path:
    """Where rows too many for memory are learnt; delete it together with the checkpoint."""
    return checkpoint.with_suffix(".rows")


def drawn_share(photos: Faces, share: float, *, seed: int, what: str) -> Tensor:
    """Indices, in order, of a drawn ``share`` of every class's photos; a larger share contains a smaller one.

    ``what`` they are drawn for tells draws apart: which photos carry noise must not hang on which it was learnt on.
    """
    drawn = []
    for label, name in enumerate(photos.names):
        mine = torch.from_numpy(np.flatnonzero(photos.labels == label))
        order = torch.randperm(len(mine), generator=generator(seed, what, name))
        drawn.append(mine[order[: round(share * len(mine))]])
    return torch.cat(drawn).sort().values


def put(photos: Faces, chosen: NDArray[np.int64], layers: Sequence[tuple[NoiseBank, ImageNoise]]) -> Faces:
    """A copy of ``photos`` in which the ``chosen`` ones (indices) carry their rows, in whole levels.

    Of several ``layers`` of noise the sum is taken, clipped to the first one's epsilon. Raises DataError when a photo, or its
    class, has no row in a bank.
    """
    pixels, limit = photos.pixels.copy(), level_budget(layers[0][0].epsilon)
    rows = [rows_for(photos.take(chosen), bank, noise) for bank, noise in layers]
    for part in np.array_split(np.arange(len(chosen)), max(1, len(chosen) // PART)):
        if len(part):
            parts = (
                levels(bank, noise, row[part], photos.size) for row, (bank, noise) in zip(rows, layers, strict=True)
            )
            pixels[chosen[part]] = add_levels(pixels[chosen[part]], np.clip(sum(parts), -limit, limit))
    return replace(photos, pixels=pixels)


def levels(bank: NoiseBank, noise: ImageNoise, rows: NDArray[np.int64], size: int) -> NDArray[np.int16]:
    """The noise of ``rows`` in whole levels, B x S x S x 3; a patch lies at a place that the row numbers draw."""
    found = bank.levels(rows, original=noise.original)
    if noise.original and noise.kind == "random":
        found = np.abs(bank.levels(rows))
    if bank.size == size:
        return found
    patches = torch.from_numpy(found).movedim(-1, 1)
    if noise.centred:
        start, left = divmod(size - bank.size, 2)
        placed = F.pad(patches, (start, start + left, start, start + left))
    else:
        with seeded(noise.seed, "places", repr(rows.tolist())):
            placed = place(patches, size)
    return placed.movedim(1, -1).numpy()


def rows_for(photos: Faces, bank: NoiseBank, noise: ImageNoise) -> NDArray[np.int64]:
    """The row of every photo, N."""
    number, rows_of = {name: i for i, name in enumerate(bank.identities)}, dict(noise.rows_of)
    if bank.form == "class-wise":
        wanted = [rows_of.get(photos.names[label], photos.names[label]) for label in photos.labels]
    elif noise.one_row_a_class:
        _, first, place = np.unique(photos.labels, return_index=True, return_inverse=True)
        wanted = [photos.keys[i] for i in first[place]]
    else:
        wanted = list(photos.keys)
    if absent := set(wanted) - set(number):
        raise DataError(f"The noise has no row for {', '.join(sorted(absent)[:3])}; say in rows_of whose row it takes.")
    return np.array([number[name] for name in wanted], dtype=np.int64)
