"""Labelled faces as one uint8 array.

N photos, H x W pixels. Every experiment runs on this one shape of data: ``pixels`` (uint8, N x H x W x 3, RGB; memory-mapped
when large) and ``labels`` (N integers into ``names``). The readers in ``faceguard.readers`` make it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceguard.device import generator
from faceguard.errors import DataError

_HASHED_AT_ONCE = 256  # photos


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A photo that was left out: its key (a relative path or record number) and the reason, a sentence.

    ``passing`` when the system refused to read it, for another time it may not.
    """

    key: str
    reason: str
    passing: bool = False


@dataclass(frozen=True, kw_only=True)
class Faces:
    """Aligned faces with their identities: ``pixels`` uint8 N x H x W x 3 RGB, ``labels`` int64 in [0, len(names))."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    keys: tuple[str, ...]
    failures: tuple[Failure, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def size(self) -> int:
        """Height (= width) of a face in pixels."""
        return int(self.pixels.shape[1])

    def take(self, indices: NDArray[np.int64] | Sequence[int]) -> "Faces":
        """The faces at ``indices``, in that order, under the same identity names."""
        index = np.asarray(indices, dtype=np.int64)
        keys = tuple(self.keys[i] for i in index)
        return replace(self, pixels=self.pixels[index], labels=self.labels[index], keys=keys)

    def of(self, names: Sequence[str]) -> "Faces":
        """The faces of the identities ``names`` alone, under exactly those names, in that order.

        Raises DataError when one of them has no faces here.
        """
        counts = np.bincount(self.labels, minlength=len(self.names))
        position = {name: i for i, name in enumerate(self.names) if counts[i]}
        absent = [name for name in names if name not in position]
        if absent:
            raise DataError(f"No faces of {', '.join(absent[:5])} here; known identities start with {self.names[:3]}.")
        new_label = np.full(len(self.names), -1, dtype=np.int64)
        new_label[[position[name] for name in names]] = np.arange(len(names))
        kept = np.flatnonzero(new_label[self.labels] >= 0)
        part = self.take(kept)
        return replace(part, labels=new_label[part.labels], names=tuple(names))

    def digest(self) -> str:
        """SHA-256 over every photo, key, label and name, 64 hexadecimal digits; 1 to 2 s a gigabyte, so call it once."""
        digest = hashlib.sha256(repr((self.pixels.shape, self.names, self.keys)).encode())
        digest.update(self.labels.tobytes())
        for start in range(0, len(self.pixels), _HASHED_AT_ONCE):  # mapped photos are read as they come
            digest.update(np.ascontiguousarray(self.pixels[start : start + _HASHED_AT_ONCE]).data)
        return digest.hexdigest()


def merge(first: Faces, second: Faces) -> Faces:
    """Both sets under one list of identities; the same name in both is the same identity.

    Raises DataError when the face sizes differ.
    """
    if first.size != second.size:
        raise DataError(f"Faces of {first.size} and {second.size} px cannot be merged; read both at one size.")
    names = tuple(dict.fromkeys(first.names + second.names))
    position = {name: i for i, name in enumerate(names)}
    labels = [np.array([position[n] for n in part.names], dtype=np.int64)[part.labels] for part in (first, second)]
    return Faces(
        pixels=np.concatenate([first.pixels, second.pixels]),
        labels=np.concatenate(labels),
        names=names,
        keys=first.keys + second.keys,
        failures=first.failures + second.failures,
    )


def split(faces: Faces, *, share: float = 0.8, seed: int) -> tuple[Faces, Faces]:
    """Split every identity's photos into ``share`` for training and the rest for testing, at least one each: two copies.

    Raises DataError naming the identities that have fewer than two photos.
    """
    train, test = split_photos(faces, share=share, seed=seed)
    return faces.take(train), faces.take(test)


def split_photos(faces: Faces, *, share: float = 0.8, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """As ``split``, but only the photos' indices, for faces that are too many to copy."""
    counts = np.bincount(faces.labels, minlength=len(faces.names))
    lone = [faces.names[i] for i in np.flatnonzero(counts < 2)]
    if lone:
        raise DataError(
            f"{len(lone)} identities have fewer than two photos ({', '.join(lone[:5])}), so nothing would be left to test on;"
            " add photos or remove these identities."
        )
    train: list[NDArray[np.int64]] = []
    test: list[NDArray[np.int64]] = []
    by_identity = np.split(np.argsort(faces.labels, kind="stable"), np.cumsum(counts)[:-1])
    for label, (count, photos) in enumerate(zip(counts, by_identity, strict=True)):
        order = torch.randperm(int(count), generator=generator(seed, "split", faces.names[label])).numpy()
        cut = min(max(round(share * int(count)), 1), int(count) - 1)
        train.append(np.sort(photos[order[:cut]]))
        test.append(np.sort(photos[order[cut:]]))
    return np.concatenate(train), np.concatenate(test)


def to_pixels(images: NDArray[np.uint8] | Tensor) -> Tensor:
    """uint8 N x H x W x 3 to float32 N x 3 x H x W in [0, 1], channels_last in memory; no copy besides the float one."""
    tensor = images if isinstance(images, Tensor) else torch.from_numpy(np.ascontiguousarray(images))
    return tensor.permute(0, 3, 1, 2).float().div_(255)


def to_uint8(pixels: Tensor) -> NDArray[np.uint8]:
    """float N x 3 x H x W in [0, 1] to uint8 N x H x W x 3, rounded to the nearest level."""
    levels = pixels.detach().clamp(0, 1).mul(255).round().to(torch.uint8)
    return levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
