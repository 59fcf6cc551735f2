"""A folder per identity: ``<identity>/**/photo.jpg``, as CASIA-WebFace, VGGFace2, LFW and most people's own photos come."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from faceguard.endings import PHOTO_SUFFIXES
from faceguard.errors import DataError
from faceguard.readers.record import Record, decode_image

PARTS = ("train", "val", "valid", "validation", "test")
NOBODYS = "It lies beside the folders of identities and belongs to none; put it into the folder of its person."


def fits(path: Path) -> bool:
    """Whether ``path`` is a folder that holds at least one visible folder."""
    return path.is_dir() and bool(_identity_folders(path))


def records(path: Path) -> list[Record]:
    """One record per photo, sorted by identity and path. Hidden files and folders, and identities without photos, are skipped.

    Raises DataError when no identity folder holds a photo, when they are a set's parts, or when a folder cannot be read.
    """
    parts = _identity_folders(path)
    if parts and all(folder.name.lower() in PARTS and _identity_folders(folder) for folder in parts):
        names = " and ".join(folder.name for folder in parts)
        raise DataError(f"{path} holds {names} with people's folders inside; name one of them, such as {parts[0]}.")
    found = [record for folder in _identity_folders(path) for record in photos_of(folder, path)]
    if not found:
        raise DataError(
            f"The folders in {path} hold no photos ({', '.join(sorted(PHOTO_SUFFIXES))});"
            " give one folder per person with that person's photos in it."
        )
    return found


def photos_of(folder: Path, root: Path) -> list[Record]:
    """One record per photo of the identity ``folder``, sorted by path; the key is its path below ``root``."""
    return [
        Record(key := photo.relative_to(root).as_posix(), folder.name, partial(decode_image, photo, key), photo)
        for photo in sorted(_photos_below(folder))
    ]


def beside(path: Path) -> list[str]:
    """The names of the visible photo files that lie in ``path`` itself, beside its folders, and so belong to nobody."""
    files = (entry for entry in path.iterdir() if entry.suffix.lower() in PHOTO_SUFFIXES and entry.is_file())
    return sorted(entry.name for entry in files if not entry.name.startswith("."))


def is_nested(path: Path) -> bool:
    """Whether no identity folder holds a photo itself, but all hold folders: perhaps people's, one level too high."""
    return all(_identity_folders(folder) and not beside(folder) for folder in _identity_folders(path))


def _photos_below(folder: Path) -> Iterator[Path]:
    """The visible photo files anywhere below ``folder``, in no particular order; judged by their names alone."""

    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename} cannot be read ({error.strerror}); check its permissions.") from error

    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in PHOTO_SUFFIXES:
                yield Path(parent, name)


def _identity_folders(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
