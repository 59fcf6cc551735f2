"""Adversaries who know faceguard and the rows that were used: they project the rows out, or learn to ignore them.

A study gives them the bank that it uses; on their own they know those that ship. What an adversary can do without any row
is ``faceguard.averaging``. K identities, R rows, S x S pixels.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache as remember
from pathlib import Path
from typing import Literal, TypeGuard

import numpy as np
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from eval.banks import WITH_THE_PACKAGE
from faceguard.adversary import Adversary, Attack, Progress, Scratch
from faceguard.averaging import estimate_rows
from faceguard.bank import NoiseBank, load_bank
from faceguard.checkpoint import Checkpoint
from faceguard.decode import resize_faces
from faceguard.errors import RunError
from faceguard.identities import Faces, to_pixels, to_uint8
from faceguard.recognizer import Embedder
from faceguard.train import ChangeBatch

BANKS = tuple(WITH_THE_PACKAGE)


@dataclass(frozen=True, kw_only=True)
class Projecting:
    """Removes from every photo, training and test alike, all that lies in the span of the rows; then goes on as ``then``.

    ``rows="known"`` takes the span of the ``banks`` (names of shipped banks, or files); ``"estimated"`` the ``rank``
    strongest directions of the rows that averaging estimates, so it also meets a bank that nobody else has.
    """

    then: Adversary = field(default_factory=Scratch)
    rows: Literal["known", "estimated"] = "known"
    banks: tuple[str, ...] = BANKS
    rank: int = 50
    epsilon: float = 16 / 255

    def attack(
        self,
        fabric: Fabric,
        train: Faces,
        test: Faces,
        *,
        seed: int,
        change_batch: ChangeBatch | None = None,
        progress: Progress | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> Attack:
        """Project both sets around the mean training face, then attack."""
        if self.rows == "known":
            basis = span(known_rows(self.banks, train.size).flatten(1))
        elif self.rows == "estimated":
            estimated = torch.from_numpy(estimate_rows(train, epsilon=self.epsilon, seed=seed)).permute(0, 3, 1, 2)
            basis = span(estimated.flatten(1), rank=self.rank)
        else:
            raise RunError(f"Rows {self.rows!r} are neither known nor estimated; use one of the two.")
        center = train.pixels.mean(axis=0, dtype=np.float32)
        both = (project_out(faces, basis, center) for faces in (train, test))
        attack = self.then.attack(
            fabric, *both, seed=seed, change_batch=change_batch, progress=progress, checkpoint=checkpoint
        )
        projected = _Projected(attack.embedder, basis, center, size=train.size)
        return replace(attack, embedder=projected, frozen=None)  # what it sees depends on the training faces

    def located(self, folder: Path) -> "Projecting":
        """With its banks, and the files of ``then``, below ``folder``."""
        return replace(self, then=self.then.located(folder), banks=_located(self.banks, folder))

    def fingerprint(self) -> str:
        """Its fields, the banks by what their rows are, and the fingerprint of ``then``."""
        known = bank_hashes(self.banks) if self.rows == "known" else ""
        return (
            f"Projecting(rows={self.rows!r}, rank={self.rank}, epsilon={self.epsilon!r}, {known},"
            f" then={self.then.fingerprint()})"
        )


@dataclass(frozen=True, kw_only=True)
class NoiseAugmented:
    """Trains with the tool's own noise: ``share`` of the photos in each batch get a row at random, with a
    random sign.

    A row then says nothing about who is shown. Half of the photos brought the protected to rank-1 0.19, all of them to 0.28
    (clean photos: 0.36). ``then`` must be an adversary that trains.
    """

    then: Adversary = field(default_factory=Scratch)
    banks: tuple[str, ...] = BANKS
    share: float = 1.0

    def attack(
        self,
        fabric: Fabric,
        train: Faces,
        test: Faces,
        *,
        seed: int,
        change_batch: ChangeBatch | None = None,
        progress: Progress | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> Attack:
        """Attack with changed batches; another ``change_batch`` comes after the noise."""
        rows = known_rows(self.banks, train.size).to(fabric.device)
        fitting = remember(lambda size: _resized(rows, size))

        def change(model: nn.Module, x: Tensor, y: Tensor, done: float) -> tuple[Tensor, Tensor]:
            x = add_random_rows(x, fitting(x.shape[-1]), self.share)
            return (x, y) if change_batch is None else change_batch(model, x, y, done)

        return self.then.attack(
            fabric, train, test, seed=seed, change_batch=change, progress=progress, checkpoint=checkpoint
        )

    def located(self, folder: Path) -> "NoiseAugmented":
        """With its banks, and the files of ``then``, below ``folder``."""
        return replace(self, then=self.then.located(folder), banks=_located(self.banks, folder))

    def fingerprint(self) -> str:
        """Its fields, the banks by what their rows are, and the fingerprint of ``then``."""
        return f"NoiseAugmented(share={self.share!r}, {bank_hashes(self.banks)}, then={self.then.fingerprint()})"


@dataclass
class _Projected:
    """What ``then`` learnt, for faces that are projected first as its training faces were."""

    embedder: Embedder
    basis: Tensor
    center: NDArray[np.float32]
    size: int

    def embed(self, pixels: Tensor) -> Tensor:
        """B x 3 x size x size in [0, 1] to B x D of unit length."""
        raw = to_uint8(pixels)
        labels, keys = np.zeros(len(raw), dtype=np.int64), ("",) * len(raw)
        faces = project_out(Faces(pixels=raw, labels=labels, names=("",), keys=keys), self.basis, self.center)
        return self.embedder.embed(to_pixels(resize_faces(faces, self.embedder.size).pixels).to(pixels.device))


def knows_rows(adversary: Adversary) -> TypeGuard[Projecting | NoiseAugmented]:
    """Whether the adversary is one who knows rows, so that a study has to give them (its field ``banks``)."""
    return isinstance(adversary, Projecting | NoiseAugmented)


def open_bank(name: str) -> NoiseBank:
    """A shipped bank by name, or a bank's file. Raises BankError when there is none."""
    return WITH_THE_PACKAGE[name]() if name in WITH_THE_PACKAGE else load_bank(Path(name))


def known_rows(banks: Sequence[str], size: int) -> Tensor:
    """The rows of all ``banks`` at ``size`` pixels, R x 3 x size x size float32 in [-epsilon, epsilon], each row once."""
    found = [_resized(bank.delta(range(len(bank))), size) for bank in map(open_bank, banks)]
    each_once: Tensor = torch.cat(found).unique(dim=0)
    return each_once


def bank_hashes(banks: Sequence[str]) -> str:
    """Each bank by its name and a SHA-256 over epsilon and rows."""
    parts = []
    for name in banks:
        bank = open_bank(name)
        content = repr((bank.epsilon, bank.size)).encode() + bank.rows.contiguous().numpy().tobytes()
        parts.append(f"{Path(name).name} {hashlib.sha256(content).hexdigest()}")
    return "; ".join(parts)


def span(rows: Tensor, *, rank: int | None = None) -> Tensor:
    """An orthonormal basis, at most ``rank`` x d float32, of the span of ``rows``, R x d: strongest directions first."""
    _, strengths, directions = torch.linalg.svd(rows.double(), full_matrices=False)
    count = int((strengths > 1e-6 * strengths.max().clamp(min=1e-12)).sum())
    basis: Tensor = directions[: count if rank is None else min(count, rank)].float()
    return basis


def project_out(faces: Faces, basis: Tensor, center: NDArray[np.float32]) -> Faces:
    """A copy without what ``basis`` (r x 3 S S, orthonormal) spans of each photo's difference to ``center`` (S x S x 3)."""
    from_last = torch.from_numpy(np.ascontiguousarray(np.moveaxis(center, -1, 0))).flatten()
    pixels = np.empty_like(faces.pixels)
    for start in range(0, len(faces), 256):
        part = torch.from_numpy(faces.pixels[start : start + 256]).permute(0, 3, 1, 2)
        flat = part.float().flatten(1)
        left = flat - ((flat - from_last) @ basis.T) @ basis
        levels = left.round().clamp(0, 255).to(torch.uint8).reshape(part.shape)
        pixels[start : start + 256] = levels.permute(0, 2, 3, 1).numpy()
    return replace(faces, pixels=pixels)


def add_random_rows(x: Tensor, rows: Tensor, share: float) -> Tensor:
    """Pixels x, B x 3 x S x S in [0, 1], about ``share`` of them plus or minus a random row of R x 3 x S x S."""
    drawn = rows[torch.randint(len(rows), (len(x),), device=x.device)]
    sign = torch.randint(0, 2, (len(x), 1, 1, 1), device=x.device) * 2 - 1
    chosen = torch.rand(len(x), 1, 1, 1, device=x.device) < share
    return (x + chosen * sign * drawn).clamp(0, 1)


def _resized(rows: Tensor, size: int) -> Tensor:
    """Averaged when shrinking, bilinear when growing, as ``decode.resize`` does with faces."""
    if rows.shape[-1] == size:
        return rows
    if size < rows.shape[-1]:
        return F.interpolate(rows, size=size, mode="area")
    return F.interpolate(rows, size=size, mode="bilinear", align_corners=False)


def _located(banks: Sequence[str], folder: Path) -> tuple[str, ...]:
    return tuple(name if name in WITH_THE_PACKAGE else str(folder / name) for name in banks)
