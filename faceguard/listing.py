"""Which photos a file or folder holds, whose they are, and where each one goes.

A folder of one person's photos, or a folder per identity, becomes a list of jobs; their outputs never share a name.
"""

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from faceguard.errors import DataError

# Files with these endings are photos to protect; those that cannot be read yet are reported, never passed over.
PHOTO_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".heic", ".heif", ".avif"}
)


@dataclass(frozen=True, kw_only=True)
class PhotoJob:
    """One photo to protect: the file, its path relative to what the user named, and whose face it shows."""

    source: Path
    relative: Path
    identity: str


def list_photos(source: Path, identity: str | None = None, *, out: Path | None = None) -> list[PhotoJob]:
    """The photos in ``source``, sorted by path: one file, one person's folder, or a folder per identity.

    Photos lying directly in the folder belong to the person it is named after, those in a sub-folder (to any depth) to
    the person the first sub-folder is named after; ``identity`` overrides both. Hidden files are passed over, and so is
    the folder ``out`` when it lies inside. Raises DataError when there is nothing to protect.
    """
    if source.is_file():
        return [PhotoJob(source=source, relative=Path(source.name), identity=identity or source.resolve().parent.name)]
    if not source.is_dir():
        raise DataError(f"{source} does not exist; name a photo, or a folder of photos.")
    if out is not None and out.resolve() == source.resolve():
        raise DataError(f"{source} is both input and output; choose another folder for the protected photos.")
    jobs = []
    for path in sorted(_photo_files(source, out)):
        relative = path.relative_to(source)
        person = relative.parts[0] if len(relative.parts) > 1 else source.resolve().name
        jobs.append(PhotoJob(source=path, relative=relative, identity=identity or person))
    if not jobs:
        raise DataError(f"{source} holds no photos to protect; name a folder with files such as .jpg or .png.")
    return jobs


def output_names(jobs: Sequence[PhotoJob]) -> list[Path]:
    """Where each photo goes, relative to OUT: the same path ending in .png, and never one place for two photos.

    ``a.jpg`` becomes ``a.png`` unless another photo would take that name too (on any file system, so case does not
    count); then it becomes ``a.jpg.png``. A photo that already is a PNG keeps its name.
    """
    wished = [job.relative if _is_png(job.relative) else job.relative.with_suffix(".png") for job in jobs]
    claims = Counter(_key(name) for name in wished)
    taken: set[str] = set()
    for index in sorted(range(len(jobs)), key=lambda index: not _is_png(jobs[index].relative)):
        relative = jobs[index].relative
        if claims[_key(wished[index])] > 1 and not _is_png(relative):
            wished[index] = _append_png(relative)
        while _key(wished[index]) in taken:
            wished[index] = _append_png(wished[index])
        taken.add(_key(wished[index]))
    return wished


def _photo_files(source: Path, out: Path | None) -> Iterator[Path]:
    """Every visible photo file below ``source`` outside ``out``."""
    left_out = None if out is None else out.resolve()
    for folder, folders, files in os.walk(source, onerror=_refuse_folder):
        here = Path(folder)
        folders[:] = [name for name in folders if not name.startswith(".") and (here / name).resolve() != left_out]
        yield from (here / name for name in files if not name.startswith(".") and _is_photo(Path(name)))


def _refuse_folder(error: OSError) -> None:
    """A folder that cannot be listed would leave its photos out unnoticed."""
    raise DataError(f"{error.filename} cannot be listed ({error.strerror}); check its permissions.") from error


def _is_photo(path: Path) -> bool:
    return path.suffix.lower() in PHOTO_SUFFIXES


def _is_png(path: Path) -> bool:
    return path.suffix.lower() == ".png"


def _append_png(path: Path) -> Path:
    return path.with_name(path.name + ".png")


def _key(path: Path) -> str:
    """What a file system that ignores case and Unicode forms makes of a path."""
    return unicodedata.normalize("NFC", path.as_posix()).casefold()
