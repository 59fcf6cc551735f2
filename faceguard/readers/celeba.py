"""CelebA (Liu et al. 2015) in its own layout: one folder of numbered photos and a list that names each photo's identity.

    identity_CelebA.txt                    lines "000001.jpg 2880"; also looked for in Anno/
    img_align_celeba/ or img_celeba/       the photos, aligned (178 x 218) or as found; also looked for in Img/

Kaggle's edition has the photo folder inside one of the same name. The aligned photos win when both are there. An identity's
name is its CelebA number.
"""

import os
from functools import partial
from pathlib import Path

from faceguard.errors import DataError
from faceguard.readers.record import Record, decode_image

LIST_NAME = "identity_CelebA.txt"
PHOTO_FOLDERS = ("img_align_celeba", "img_celeba")


def fits(path: Path) -> bool:
    """Whether ``path`` holds CelebA's list or one of its photo folders, or is such a photo folder beside its list."""
    return _list_file(path) is not None or _photo_folder(path) is not None


def records(path: Path) -> list[Record]:
    """One record per listed photo that is there, sorted by identity number and file name.

    A subset of CelebA may come with the full list: photos absent from disk are left out as long as some are present.
    Raises DataError when the list or the photos are missing, or a line of the list is damaged.
    """
    list_file, folder = _list_file(path), _photo_folder(path)
    if list_file is None:
        raise DataError(f"{path} holds CelebA photos without {LIST_NAME}; put that file beside the photo folder.")
    if folder is None:
        raise DataError(f"{path} holds {LIST_NAME} without {' or '.join(PHOTO_FOLDERS)}/; put the photos beside it.")
    present = {entry.name for entry in os.scandir(folder)}
    listed = _read_list(list_file)
    found = [
        Record(key := f"{folder.name}/{name}", str(number), partial(decode_image, folder / name, key), folder / name)
        for number, name in sorted(listed)
        if name in present
    ]
    if not found:
        raise DataError(
            f"None of the {len(listed)} photos in {list_file} is in {folder}; check that they belong together."
        )
    return found


def _read_list(list_file: Path) -> list[tuple[int, str]]:
    """Identity number and file name of every line."""
    listed: list[tuple[int, str]] = []
    try:
        lines = list_file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{list_file} cannot be read ({error}); copy it again.") from error
    for number, line in enumerate(lines, start=1):
        match line.split():
            case []:
                continue
            case [name, identity] if identity.isascii() and identity.isdigit():
                listed.append((int(identity), name))
            case _:
                raise DataError(
                    f'Line {number} of {list_file} is {line[:80]!r}, not "FILE NUMBER"; copy the list again.'
                )
    return listed


def _list_file(path: Path) -> Path | None:
    above = [folder.parent for folder in (path, path.parent) if folder.name in PHOTO_FOLDERS]
    places = [path, path / "Anno", *above]
    return next((place / LIST_NAME for place in places if (place / LIST_NAME).is_file()), None)


def _photo_folder(path: Path) -> Path | None:
    if path.name in PHOTO_FOLDERS and not any((path / name).is_dir() for name in PHOTO_FOLDERS):
        return path if path.is_dir() else None
    places = [place / name for name in PHOTO_FOLDERS for place in (path, path / "Img")]
    inner = [place / place.name for place in places]
    return next((place for pair in zip(inner, places, strict=True) for place in pair if place.is_dir()), None)
