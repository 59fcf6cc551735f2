"""ImageNet (ILSVRC 2012) and its small editions, as torchvision keeps them: a folder per class, named by WordNet number.

    train/n01440764/*.JPEG     also n01440764/images/*.JPEG, as in Tiny ImageNet
    val/n01440764/*.JPEG       the test photos; Tiny ImageNet has none sorted by class

The classes are in the order of their numbers, as everywhere.
"""

import re
from pathlib import Path

from faceguard.endings import PHOTO_SUFFIXES
from faceguard.errors import DataError
from faceguard.readers import folder
from faceguard.readers.record import Record, Splits

_CLASS = re.compile(r"n\d{8}")


def splits(path: Path, classes: int | None = None) -> Splits | None:
    """The photos of the first ``classes`` classes in ``path``, all of them without a number; None for other folders.

    Raises DataError when the photos of val/ are not sorted into classes, or a folder cannot be read.
    """
    names = tuple(_classes(path / "train")[:classes])
    if not names:
        return None
    sorted_photos = set(_classes(path / "val"))
    if not sorted_photos and _loose(path / "val"):
        raise DataError(
            f"The photos in {path / 'val'} are in no folders; sort them into one folder per class, named as those in train."
        )
    return Splits(
        layout="ImageNet's folders",
        classes=names,
        train=_records(path, "train", names),
        test=_records(path, "val", [name for name in names if name in sorted_photos]),
    )


def _records(path: Path, split: str, names: tuple[str, ...] | list[str]) -> list[Record]:
    return [record for name in names for record in folder.photos_of(path / split / name, path)]


def _classes(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir() if _CLASS.fullmatch(entry.name)) if path.is_dir() else []


def _loose(path: Path) -> bool:
    return path.is_dir() and any(entry.suffix.lower() in PHOTO_SUFFIXES for entry in path.iterdir())
