"""Data sets as people have them, recognised by what is on disk: one file here per format.

A reader lists its `Record`s in a stable order without decoding any photo; ``faceguard.decode`` turns them into faces.
"""

from collections.abc import Callable
from pathlib import Path

from faceguard.endings import PHOTO_SUFFIXES
from faceguard.errors import DataError
from faceguard.readers import celeba, cifar, folder, imagenet, parquet, recordio, svhn
from faceguard.readers.record import Record, Splits

__all__ = ["Record", "Splits", "find", "find_splits", "recognise"]

FOLDER = "a folder per identity"
# A folder per identity comes last: a folder of folders says the least about what it is.
_READERS: tuple[tuple[str, Callable[[Path], bool], Callable[[Path], list[Record]]], ...] = (
    ("CelebA", celeba.fits, celeba.records),
    ("RecordIO", recordio.fits, recordio.records),
    ("parquet", parquet.fits, parquet.records),
    (FOLDER, folder.fits, folder.records),
)


def find(path: Path) -> list[Record]:
    """List the photos in ``path``, whatever its format, without decoding them; see `recognise`."""
    return recognise(path)[1]


def find_splits(path: Path, classes: int | None = None) -> Splits | None:
    """The classification set in ``path``, or in its only folder, as an archive leaves it; None when there is none.

    Of ImageNet's folders only the first ``classes`` are listed. Raises DataError when the set is damaged or incomplete.
    """
    if not path.is_dir():
        return None
    try:
        folders = [entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
        for place in (path, *(folders if len(folders) == 1 else ())):
            found = (
                parquet.splits(place) or cifar.splits(place) or svhn.splits(place) or imagenet.splits(place, classes)
            )
            if found is not None:
                return found
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error}); check its permissions.") from error
    return None


def recognise(path: Path) -> tuple[str, list[Record]]:
    """What the face set in ``path`` is, and its photos, none decoded.

    Raises DataError when ``path`` is missing, has none of the known formats, or is damaged.
    """
    try:
        if not path.exists():
            raise DataError(f"{path} does not exist; check the path.")
        for format_name, fits, records in _READERS:
            if fits(path):
                return format_name, records(path)
        loose = path.is_dir() and any(entry.suffix.lower() in PHOTO_SUFFIXES for entry in path.iterdir())
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error}); check the path and its permissions.") from error
    if loose:
        raise DataError(
            f"{path} holds photos but no folders; put each person's photos in a folder named after the person."
        )
    raise DataError(
        f"{path} is none of the known face sets; it should be a folder with one folder of photos per person, CelebA's"
        f" {celeba.LIST_NAME} with {' or '.join(celeba.PHOTO_FOLDERS)}/, {recordio.REC_NAME} with train.idx, or a"
        " parquet file with the columns image and label."
    )
