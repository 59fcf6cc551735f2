"""Decoded faces on disk: decode a set once, then map it into memory.

N photos, S face size. One folder per set, named by a hash of all that determines it: pixels.npy (uint8, N x S x S x 3) and
index.json (labels, names, keys, failures). A set is decoded under a temporary name and renamed when complete, so that an
interruption leaves nothing that could be taken for a set; the next call goes on with what it left, by its journal. An empty
.lock beside it keeps others waiting meanwhile.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from faceguard import journal
from faceguard.errors import DataError
from faceguard.identities import Faces, Failure
from faceguard.journal import Journal
from faceguard.readers.record import Record

FORMAT = 3  # raise it whenever the same files would give other pixels (alignment, resizing) or the layout changes
JOURNAL = "journal.jsonl"
_ROOM = 1.02  # of the pixels' own size, for the index

Fill = Callable[[NDArray[np.uint8], Journal], Faces]


def default_folder() -> Path:
    """$FACEGUARD_CACHE, else $XDG_CACHE_HOME/faceguard, else ~/.cache/faceguard."""
    if chosen := os.environ.get("FACEGUARD_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "faceguard"


def digest(records: Sequence[Record], size: int, how: str = "") -> str:
    """SHA-256 of format, face size, and every record's key, identity and source file (path, length, time of change).

    ``how`` names what is done with a decoded picture, unless its face is cut out.
    """
    stamps: dict[Path | None, str] = {None: ""}
    total = hashlib.sha256(f"faceguard {FORMAT} {size}{how}\n".encode())
    for record in records:
        if record.source not in stamps:
            stamps[record.source] = _stamp(record.source)
        total.update(json.dumps([record.key, record.identity, stamps[record.source]]).encode())
    return total.hexdigest()


def _stamp(source: Path | None) -> str:
    if source is None:
        return ""
    try:
        status = source.stat()
    except OSError:  # it will fail to decode, and be listed as such
        return f"{source.absolute()} absent"
    return f"{source.absolute()} {status.st_size} {status.st_mtime_ns}"


def load_or_make(
    folder: Path,
    shape: tuple[int, int, int, int],
    fill: Fill,
    *,
    lasts: Callable[[Faces], bool] = lambda _: True,
) -> Faces:
    """The faces stored in ``folder``, or else those that ``fill`` decodes into an array of ``shape``, then stored there.

    ``fill`` goes on after the photos that its journal has done.
    Those of which ``lasts`` says that another time would give others are not stored. Whoever asks while another process
    decodes the same set waits for it, so that nothing is decoded twice.
    The pixels are mapped copy-on-write: changing them changes nothing on disk.
    Raises DataError when the folder is damaged, cannot be written, or its disk is too full.
    """
    if not folder.is_dir():
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            # the lock's file stays: Windows cannot remove it while it is held, and afterwards somebody may wait for it
            with FileLock(folder.with_suffix(".lock")):
                if not folder.is_dir():
                    return _make(folder, shape, fill, lasts)
        except OSError as error:
            raise DataError(
                f"Decoded faces cannot be kept in {folder.parent} ({error}); choose another folder with FACEGUARD_CACHE."
            ) from error
    return _load(folder)


def _make(folder: Path, shape: tuple[int, int, int, int], fill: Fill, lasts: Callable[[Faces], bool]) -> Faces:
    temporary = folder.with_name(f".making-{folder.name}")
    needed, free = int(np.prod(shape) * _ROOM), shutil.disk_usage(folder.parent).free
    # a full disk would end the process when a mapped page is written; what an interruption left has its room
    if not temporary.is_dir() and free < needed:
        raise DataError(
            f"Decoding {shape[0]} photos needs {needed / 1e9:.1f} GB in {folder.parent}, which has {free / 1e9:.1f} GB"
            " left; free some space or choose another folder with FACEGUARD_CACHE."
        )
    with _unless_interrupted(temporary):
        _fill(temporary, shape, fill)
        faces = _load(temporary)
        if not lasts(faces):
            # mapped pixels stay when their file's name is removed, on Windows together with the file; but another file may
            # get that name, so this array no longer tells it
            return replace(faces, pixels=faces.pixels.view(np.ndarray))
        del faces
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process made the same set meanwhile
                raise
    return _load(folder)


@contextmanager
def _unless_interrupted(folder: Path) -> Iterator[None]:
    """Make ``folder``, where a killed run left none (the lock says that nobody is at it), and remove it at the end.

    An interruption leaves it.
    """
    folder.mkdir(exist_ok=True)
    interrupted = False
    try:
        yield
    except KeyboardInterrupt:
        interrupted = True
        raise
    finally:
        if not interrupted:
            shutil.rmtree(folder, ignore_errors=True)


def _fill(folder: Path, shape: tuple[int, int, int, int], fill: Fill) -> None:
    """Decode into ``folder``. The pixels are no longer mapped at the end: Windows renames no folder with an open file."""
    pixels = _pixels(folder, shape)
    with journal.kept(folder / JOURNAL, pixels) as before:
        faces = fill(pixels, before)
    pixels.flush()
    index = {
        "labels": faces.labels.tolist(),
        "names": faces.names,
        "keys": faces.keys,
        "failures": [asdict(failure) for failure in faces.failures],
    }
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
    (folder / JOURNAL).unlink()


def _pixels(folder: Path, shape: tuple[int, int, int, int]) -> "np.memmap[Any, np.dtype[np.uint8]]":
    """The file that an interruption left in ``folder``, or else a new one, mapped, with its room on the disk."""
    file = folder / "pixels.npy"
    try:
        pixels = np.lib.format.open_memmap(file, mode="r+")
        if pixels.shape != shape or pixels.dtype != np.uint8:
            raise ValueError
    except (OSError, ValueError):
        (folder / JOURNAL).unlink(missing_ok=True)
        pixels = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=shape)
    take_room(file)
    return pixels


def take_room(file: Path) -> None:
    """Have the disk set a sparse file's room aside, where the system can: a mapped page without room ends the process.

    Raises OSError when there is none.
    """
    if hasattr(os, "posix_fallocate"):
        with file.open("r+b") as opened:
            os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)


def _load(folder: Path) -> Faces:
    try:
        pixels = np.load(folder / "pixels.npy", mmap_mode="c", allow_pickle=False)
        index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
        labels = np.array(index["labels"], dtype=np.int64)
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or not len(index["keys"]) == len(labels) <= len(pixels):
            raise ValueError("its pixels and its index disagree")
        return Faces(
            pixels=pixels[: len(labels)],
            labels=labels,
            names=tuple(index["names"]),
            keys=tuple(index["keys"]),
            failures=tuple(Failure(**failure) for failure in index["failures"]),
        )
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise DataError(
            f"The decoded faces in {folder} are damaged ({error}); remove that folder and run again."
        ) from error
