"""Noise of very many photos: int8 rows in a memory-mapped file, in place of float rows in memory.

A row is stored as in a noise bank, in steps of epsilon / 127, and read as float32 in [-epsilon, epsilon]. Every time it is
written it is rounded, by at most half a step; a step of equation 3 by epsilon / 10 is 12.7 of them.
R rows, B batch, C x C pixels (or cells) of a row.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from faceguard.errors import DataError
from faceguard.face_cache import take_room
from faceguard.gather import fetch

STEPS = 127  # from zero to epsilon
_DRAWN = 256  # rows at once, when the file is filled


class Rows(Protocol):
    """Rows that can be read and written by number: a tensor, R x C x C x 3, or ``StoredRows``."""

    @property
    def device(self) -> torch.device:
        """Where ``index`` has to lie."""
        ...

    def index_select(self, dim: int, index: Tensor) -> Tensor:
        """A float copy of the rows ``index`` (B), B x C x C x 3; ``dim`` is 0."""
        ...

    def index_copy_(self, dim: int, index: Tensor, source: Tensor) -> Any:
        """Replace the rows ``index`` (B) by ``source``, B x C x C x 3; ``dim`` is 0."""
        ...


class StoredRows:
    """Rows of a memory-mapped file; ``levels`` is all of it, int8 R x C x C x 3. They are read for the device ``reader``."""

    def __init__(self, levels: Tensor, epsilon: float) -> None:
        self.levels, self.epsilon, self.device, self.reader = levels, epsilon, levels.device, levels.device

    def index_select(self, dim: int, index: Tensor) -> Tensor:  # noqa: ARG002 - as a tensor's
        """Float rows, on the device ``reader``."""
        return from_levels(fetch(self.levels, index, self.reader), self.epsilon)

    def index_copy_(self, dim: int, index: Tensor, source: Tensor) -> None:
        """Store float rows of any device, rounded to the nearest step."""
        self.levels.index_copy_(dim, index, to_levels(source, self.epsilon).cpu())


def to_levels(noise: Tensor, epsilon: float) -> Tensor:
    """Float noise in [-epsilon, epsilon] in whole steps of epsilon / 127, int8."""
    return (noise * (STEPS / epsilon)).round_().clamp_(-STEPS, STEPS).to(torch.int8)


def from_levels(levels: Tensor, epsilon: float) -> Tensor:
    """The noise of int8 ``levels``, float32 in [-epsilon, epsilon]."""
    return levels.float().div_(STEPS).mul_(epsilon)  # 127 / 127 first: a corner is epsilon exactly


def store_rows(path: Path, count: int, epsilon: float, draw: Callable[[int], Tensor]) -> StoredRows:
    """A new file of ``count`` rows, filled in order by ``draw`` (how many: float, B x 3 x C x C); an old one makes room first.

    Raises DataError when the file cannot be written or the disk is too full for it.
    """
    first = to_levels(draw(min(_DRAWN, count)), epsilon).movedim(1, -1)
    shape = (count, *first.shape[1:])
    try:
        path.unlink(missing_ok=True)
        needed, free = int(np.prod(shape, dtype=np.int64)), shutil.disk_usage(path.parent).free
        if free < needed:  # a full disk would end the process when a mapped page is written
            raise DataError(
                f"{count} rows of noise need {needed / 1e9:.1f} GB in {path.parent}, which has {free / 1e9:.1f} GB left;"
                " free some space or choose another folder."
            )
        file = np.lib.format.open_memmap(path, mode="w+", dtype=np.int8, shape=shape)
        take_room(path)
    except OSError as error:
        raise DataError(f"Noise cannot be kept in {path} ({error}); choose another folder.") from error
    levels = torch.from_numpy(file)
    levels[: len(first)] = first
    for start in range(len(first), count, _DRAWN):
        end = min(start + _DRAWN, count)
        levels[start:end] = to_levels(draw(end - start), epsilon).movedim(1, -1)
    return StoredRows(levels, epsilon)
