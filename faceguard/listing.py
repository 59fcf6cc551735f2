"""Which photos a file or folder holds, whose they are, and where each one goes.

A folder of one person's photos, or a folder per identity, becomes a list of jobs; their outputs never share a name.
"""

import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from faceguard.copies import copies_among, holders
from faceguard.endings import PHOTO_SUFFIXES, UNMENTIONED, UNREAD_SUFFIXES
from faceguard.errors import DataError
from faceguard.manifest import MANIFEST, hash_of
from faceguard.photo import LOSSLESS_SUFFIXES
from faceguard.readers import celeba

JPEG_SUFFIXES = frozenset({".jpg", ".jpeg"})

Form = Literal["keep", "png", "webp"]


@dataclass(frozen=True, kw_only=True)
class PhotoJob:
    """One photo to protect: the file, its path relative to what the user named, and whose face it shows.

    ``problem`` is the reason, a sentence, when listing it already showed that it cannot be protected.
    """

    source: Path
    relative: Path
    identity: str
    problem: str | None = None

    @cached_property
    def content(self) -> str | None:
        """The file's SHA-256 when this was first asked, or None when it cannot be read."""
        return hash_of(self.source)


def list_photos(
    source: Path,
    identity: str | None = None,
    *,
    out: Path | None = None,
    copies: bool = False,
    passed_over: Callable[[Path], None] = lambda _: None,
    not_looked_at: Callable[[Path], None] = lambda _: None,
) -> list[PhotoJob]:
    """The photos in ``source``, sorted by path: one file, one person's folder, or a folder per identity.

    Photos lying directly in the folder belong to the person it is named after, those in a sub-folder (to any depth) to
    the person the first sub-folder is named after; ``identity`` overrides both. Hidden files are passed over, and so is
    the folder ``out`` when it lies inside. Protected copies, as manifests say, that of ``out`` among them, are listed for
    ``copies`` only; else ``passed_over`` is told of each folder that holds some. Links that lead out of ``source``, links
    to folders, folders that cannot be opened and raw files become jobs with a ``problem``. ``not_looked_at`` is told of each
    other file among the photos. Raises DataError when there is nothing to protect.
    """
    try:
        if source.is_file():
            if not copies and copies_among(source.parent, [source], out=out):
                raise DataError(f"{source} is a protected copy ({MANIFEST} says so); name the original.")
            person = identity or source.resolve().parent.name
            return [PhotoJob(source=source, relative=Path(source.name), identity=person)]
        if not source.is_dir():
            raise DataError(f"{source} does not exist; name a photo, or a folder of photos.")
    except OSError as error:
        raise DataError(f"{source} cannot be opened ({error.strerror}); check the path and its permissions.") from error
    if out is not None and real_path(out) == real_path(source):
        raise DataError(f"{source} is both input and output; choose another folder for the protected photos.")
    if celeba.fits(source):
        raise DataError(
            f"{source} has CelebA's layout, in which a list names each photo's person, so all would carry one person's noise;"
            " put each person's photos into a folder of its own first."
        )
    found = {}
    for path, problem in sorted(_photo_files(source, out, not_looked_at)):
        relative = path.relative_to(source)
        person = relative.parts[0] if len(relative.parts) > 1 else source.resolve().name
        found[path] = PhotoJob(source=path, relative=relative, identity=identity or person, problem=problem)
    sound = [path for path, job in found.items() if job.problem is None]
    again = set() if copies else copies_among(source, sound, out=out, content=lambda path: found[path].content)
    jobs = [job for path, job in found.items() if path not in again]
    if again and not jobs:
        raise DataError(f"{source} holds only protected copies ({MANIFEST} says so); name the folder of the originals.")
    for folder in sorted(holders(again, source)):
        passed_over(folder)
    if not jobs:
        raise DataError(f"{source} holds no photos; name a folder with files such as .jpg or .png.")
    return jobs


def refuse_output(out: Path) -> None:
    """Raise DataError for an OUT that can hold no copies, because it is a file, or is named as one photo's copy would be."""
    if out.is_dir():
        return
    if out.is_file():
        raise DataError(f"{out} is a file, and OUT is a folder for the copies; name a folder.")
    if _is_photo(out):
        raise DataError(
            f"{out} is named like a photo, and OUT is a folder for the copies; name it without {out.suffix}."
        )


def output_names(
    jobs: Sequence[PhotoJob],
    form: Form = "keep",
    *,
    quality: int | None = None,
    earlier: Mapping[Path, Path] | None = None,
    taken: Collection[Path] = (),
) -> list[Path]:
    """Where each photo goes, relative to OUT: the same path, and never one place for two photos.

    ``keep`` leaves the ending of formats that can be written without loss (and, with a ``quality``, JPEG's); everything
    else becomes .png. ``a.jpg`` becomes ``a.png`` unless another photo or a folder would take that name too (on any file
    system, so case does not count); then it becomes ``a.jpg.png``. A photo that keeps its ending keeps its name.

    ``taken`` are places of other photos. A photo that ``earlier`` (its path -> its place) knows stays there where the ending
    still fits, and no other gets that place.
    """
    wished = [_with_form(job.relative, form, quality) for job in jobs]
    used = {folded(parent) for job in jobs for parent in job.relative.parents} | {folded(name) for name in taken}
    claims = Counter(folded(name) for name in wished) + Counter(used)
    had = {path: name for path, name in (earlier or {}).items() if folded(name) not in used}
    used |= {folded(name) for name in had.values()}
    for index in sorted(range(len(jobs)), key=lambda index: wished[index] != jobs[index].relative):
        relative = jobs[index].relative
        if relative in had and _may_become(relative, wished[index], had[relative]):
            wished[index] = had[relative]
            continue
        if claims[folded(wished[index])] > 1 and wished[index] != relative:
            wished[index] = _append(relative, wished[index].suffix)
        while folded(wished[index]) in used:
            wished[index] = _append(wished[index], wished[index].suffix)
        used.add(folded(wished[index]))
    return wished


def _may_become(relative: Path, wished: Path, name: Path) -> bool:
    """Whether ``name`` is the one that the photo wishes for, or its path with the ending appended once or more."""
    start, end = relative.as_posix(), wished.suffix
    rest = name.as_posix().removeprefix(start)
    appended = name.as_posix().startswith(start + end) and rest == end * (len(rest) // len(end))
    return name == wished or appended


def real_path(path: Path) -> Path:
    """Where the path leads through links, absolute; ``Path.resolve`` fails on links in a circle before Python 3.13."""
    return Path(os.path.realpath(path))


def folded(path: Path) -> str:
    """What a file system that ignores case and Unicode forms makes of a path."""
    return unicodedata.normalize("NFC", path.as_posix()).casefold()


def _with_form(relative: Path, form: Form, quality: int | None) -> Path:
    """The path with the ending it is written under."""
    suffix = relative.suffix.lower()
    if form == "keep":
        kept = LOSSLESS_SUFFIXES if quality is None else LOSSLESS_SUFFIXES | JPEG_SUFFIXES
        return relative if suffix in kept else relative.with_suffix(".png")
    return relative if suffix == f".{form}" else relative.with_suffix(f".{form}")


def _photo_files(
    source: Path, out: Path | None, not_looked_at: Callable[[Path], None]
) -> Iterator[tuple[Path, str | None]]:
    """Every visible photo file below ``source`` outside ``out``, and what cannot be entered or read, with the reason.

    A raw file is none where the same photo lies beside it in a format that is read. ``not_looked_at`` is told of the others.
    """
    left_out = None if out is None else real_path(out)
    root = real_path(source)
    unlisted: list[OSError] = []
    for folder, folders, files in os.walk(source, onerror=unlisted.append):
        here = Path(folder)
        visible = [here / name for name in folders if not name.startswith(".")]
        yield from ((path, _LINKED_FOLDER) for path in visible if path.is_symlink())
        inside = [path for path in visible if not path.is_symlink() and real_path(path) != left_out]
        folders[:] = [path.name for path in inside]
        listed = [here / name for name in files if not name.startswith(".")]
        photos = [path for path in listed if _is_photo(path)]
        yield from ((path, _problem(path, root)) for path in photos)
        read = {folded(Path(path.stem)) for path in photos}
        unread = (path for path in listed if path.suffix.lower() in UNREAD_SUFFIXES)
        yield from ((path, _unread(path)) for path in unread if folded(Path(path.stem)) not in read)
        others = (path for path in listed if path.suffix.lower() not in PHOTO_SUFFIXES | UNREAD_SUFFIXES)
        for path in (path for path in others if path.name.lower() not in UNMENTIONED):
            not_looked_at(path)
    for error in unlisted:
        if Path(error.filename) == source:
            raise DataError(f"{source} cannot be listed ({error.strerror}); check its permissions.") from error
        yield Path(error.filename), f"The folder cannot be listed ({error.strerror}); check its permissions."


def _problem(path: Path, root: Path) -> str | None:
    if not real_path(path).is_relative_to(root):
        return _LINKED_OUT
    # a pipe would wait for ever, a broken link opens nothing
    return None if path.is_file() else "This is no ordinary file; copy the photo itself here."


def _unread(path: Path) -> str:
    return f"Files of the kind {path.suffix} are not read here; export the photo as JPEG or PNG, and protect that."


_LINKED_FOLDER = "This is a link to a folder, and links to folders are not followed; name that folder itself."
_LINKED_OUT = "This link leads out of the folder that was named, and is not followed; copy the photo here."


def _is_photo(path: Path) -> bool:
    return path.suffix.lower() in PHOTO_SUFFIXES


def _append(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
