"""The classification sets of the paper's tables, read from disk as training and test photos under one list of classes.

N photos, S pixels a side. A set lies in a folder of its own name, as parquet (train.parquet with test.parquet or
val.parquet) or as its authors publish it and torchvision keeps it; see ``faceguard.readers``. A class keeps the place that the
set's authors gave it (airplane is CIFAR-10's class 0). Nothing is downloaded here: an absent set is a `SetMissingError` that
names the command which gets it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote

import numpy as np
from numpy.typing import NDArray

from faceguard.decode import ToPicture, load_records, resize
from faceguard.errors import DataError
from faceguard.identities import Faces, split
from faceguard.readers import Record, Splits, find_splits

TEST_SHARE = 0.2  # of each class's photos, where a set has no test photos of its own
SHORTER_SIDE = 256 / 224  # of the crop that is cut from an ImageNet photo's centre (Krizhevsky et al. 2012)


class SetMissingError(DataError):
    """The set is not on this machine; the message names the command that gets it."""


@dataclass(frozen=True, kw_only=True)
class KnownSet:
    """What a set is called, how large its photos are by default, and what brings a photo to a size.

    ``also`` names folders that are looked into when there is none of the set's own name; ``classes`` limits the classes.
    """

    title: str
    size: int
    to_picture: ToPicture
    also: tuple[str, ...] = ()
    classes: int | None = None


def whole(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """A square photo resized to ``size``, of any other the centre as `centre` cuts it."""
    return resize(pixels, size) if pixels.shape[0] == pixels.shape[1] else centre(pixels, size)


def centre(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The central ``size`` x ``size`` of an H x W x 3 photo whose shorter side was resized to 256/224 of that."""
    import cv2

    scale = SHORTER_SIDE * size / min(pixels.shape[:2])
    height, width = (max(size, round(scale * side)) for side in pixels.shape[:2])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    photo = cv2.resize(pixels, (width, height), interpolation=method)
    top, left = (height - size) // 2, (width - size) // 2
    return np.asarray(photo[top : top + size, left : left + size], dtype=np.uint8)


SETS = {
    "cifar10": KnownSet(title="CIFAR-10", size=32, to_picture=whole, also=("cifar-10-batches-py",)),
    "cifar100": KnownSet(title="CIFAR-100", size=32, to_picture=whole, also=("cifar-100-python",)),
    "svhn": KnownSet(title="SVHN", size=32, to_picture=whole),
    "imagenet-100": KnownSet(
        title="ImageNet (its first 100 classes)", size=224, to_picture=centre, also=("imagenet",), classes=100
    ),
    "imagenette-128": KnownSet(title="Imagenette", size=128, to_picture=whole, also=("imagenette2-160",)),
    "tiny-imagenet-32": KnownSet(title="Tiny ImageNet", size=32, to_picture=whole, also=("tiny-imagenet-200",)),
}
NAMES = tuple(SETS)


def load_set(
    name: str,
    folder: Path,
    *,
    size: int | None = None,
    classes: int | None = None,
    photos: int | None = None,
    test_photos: int | None = None,
) -> tuple[Faces, Faces]:
    """Training and test photos of the set ``name`` in ``folder``/``name``, ``size`` x ``size``, under the same names.

    The first ``classes`` classes; of each the first ``photos`` and ``test_photos`` that are listed, and only those are
    decoded. A set without test photos gives a fixed fifth of each class's, for which all photos of these classes are decoded
    and then the first of either part are taken. Raises SetMissingError when the set is not there, DataError when it is damaged
    or has fewer classes.
    """
    if name not in SETS:
        raise DataError(f"There is no set {name!r}; the known ones are {', '.join(NAMES)}.")
    listing = list_set(name, folder, classes)
    names = listing.classes[:classes]
    if classes is not None and len(names) < classes:
        raise DataError(f"{folder / name} has {len(names)} classes, and {classes} are asked for; ask for fewer.")
    known = SETS[name]
    if listing.test:
        train = _decoded(first_of_each(listing.train, names, photos), names, known, size)
        return train, _decoded(first_of_each(listing.test, names, test_photos), names, known, size)
    found = _decoded(first_of_each(listing.train, names, None), names, known, size)
    train, test = split(found, share=1 - TEST_SHARE, seed=0)
    return _first_faces(train, photos), _first_faces(test, test_photos)


def list_set(name: str, folder: Path, classes: int | None = None) -> Splits:
    """The photos of the set ``name`` in ``folder``, none decoded; of ImageNet's folders the first ``classes``.

    Raises SetMissingError, or DataError when the set is damaged.
    """
    known = SETS[name]
    most = min((number for number in (classes, known.classes) if number is not None), default=None)
    places = (folder / place for place in (name, *known.also))
    found = next((splits for splits in (find_splits(place, most) for place in places) if splits is not None), None)
    if found is None:
        raise SetMissingError(
            f"{known.title} is not in {folder}; get it with: faceguard data fetch {name} --into {quote(str(folder))}"
        )
    return replace(found, classes=found.classes[: known.classes])


def first_of_each(records: Sequence[Record], names: Sequence[str], photos: int | None) -> list[Record]:
    """In their order, the first ``photos`` records of each of ``names``; all of them without a number."""
    left = dict.fromkeys(names, len(records) if photos is None else photos)
    chosen = []
    for record in records:
        if left.get(record.identity, 0) > 0:
            left[record.identity] -= 1
            chosen.append(record)
    return chosen


def _decoded(records: list[Record], names: tuple[str, ...], known: KnownSet, size: int | None) -> Faces:
    """The photos under exactly ``names``, whose order is the set's own."""
    faces = load_records(records, size=size or known.size, to_picture=known.to_picture)
    places = np.array([names.index(name) for name in faces.names], dtype=np.int64)
    return replace(faces, labels=places[faces.labels], names=names)


def _first_faces(faces: Faces, photos: int | None) -> Faces:
    """The first ``photos`` of each class."""
    kept = [np.flatnonzero(faces.labels == label)[:photos] for label in range(len(faces.names))]
    return faces.take(np.concatenate(kept))
