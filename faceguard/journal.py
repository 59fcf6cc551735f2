"""How far the decoding of a set has come, on disk, so that one that was interrupted goes on.

A line of JSON for each photo, in their order: the CRC-32 of its face, or the failure for which it was left out. After a crash
of the machine either file may lack what the other has, so only lines that the pixels bear out count.
"""

import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceguard.identities import Failure


@dataclass(frozen=True)
class Journal:
    """What became of the first photos, None where a face was decoded, and a function that takes what becomes of the next."""

    done: list[Failure | None]
    note: Callable[[Failure | NDArray[np.uint8]], None]


def unkept() -> Journal:
    """Of a decoding that is kept nowhere."""
    return Journal([], lambda _: None)


@contextmanager
def kept(path: Path, pixels: NDArray[np.uint8]) -> Iterator[Journal]:
    """The journal in the file ``path`` of a decoding into ``pixels``, N x S x S x 3."""
    path.touch()
    done, length = _sound(path, pixels)
    with path.open("r+", encoding="utf-8") as file:
        file.seek(length)
        file.truncate()

        def note(outcome: Failure | NDArray[np.uint8]) -> None:
            line = asdict(outcome) if isinstance(outcome, Failure) else zlib.crc32(outcome.data)
            file.write(json.dumps(line) + "\n")

        yield Journal(done, note)


def _sound(path: Path, pixels: NDArray[np.uint8]) -> tuple[list[Failure | None], int]:
    """What the lines say, up to the first that is not to be relied on, and how many bytes they take.

    A photo that the system refused to read is tried again.
    """
    done: list[Failure | None] = []
    length = faces = 0
    with path.open("rb") as file:
        for line in file:
            try:
                found = json.loads(line)
                failure = None if isinstance(found, int) else Failure(**found)
            except (ValueError, TypeError):
                break
            if not line.endswith(b"\n") or (failure is not None and failure.passing):
                break
            if failure is None:
                if found != zlib.crc32(pixels[faces]):
                    break
                faces += 1
            done.append(failure)
            length += len(line)
    return done, length
