"""Data sets as people have them, recognised by what is on disk: one file here per format.

A reader lists its `Record`s in a stable order without decoding any photo; ``faceguard.decode`` turns them into faces.
"""

from collections.abc import Callable
from pathlib import Path

from faceguard.errors import DataError
from faceguard.readers import celeba, folder, parquet, recordio
from faceguard.readers.record import PHOTO_SUFFIXES, Record

__all__ = ["Record", "find"]

# A folder per identity comes last: a folder of folders says the least about what it is.
_READERS: tuple[tuple[Callable[[Path], bool], Callable[[Path], list[Record]]], ...] = (
    (celeba.fits, celeba.records),
    (recordio.fits, recordio.records),
    (parquet.fits, parquet.records),
    (folder.fits, folder.records),
)


def find(path: Path) -> list[Record]:
    """List the photos in ``path``, whatever its format, without decoding them.

    Raises DataError when ``path`` is missing, has none of the known formats, or is damaged.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist; check the path.")
    try:
        for fits, records in _READERS:
            if fits(path):
                return records(path)
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
