"""Listed photos -> pixels, decoded in parallel, in their order."""

import errno
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from faceguard.errors import PhotoError
from faceguard.identities import Failure
from faceguard.pool import cores
from faceguard.readers.record import Record

_BATCH = 1024  # photos in flight: bounds memory, and is large enough to keep every thread busy
_TASK = 8  # photos that a thread takes at once: handing over small ones singly costs up to half their own time
# What the system says of a file that is absent, or that a decoder led astray: it will say so again.
_OF_THE_FILE = frozenset({errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EISDIR, errno.EINVAL})

Progress = Callable[[int, int], None]
_Seen = TypeVar("_Seen")


def read_each(
    records: Sequence[Record],
    look: Callable[[NDArray[np.uint8]], _Seen],
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Generator[tuple[Record, _Seen | Failure], None, None]:
    """Decode ``records`` in their order and ``look`` at the pixels of each, H x W x 3; a photo that cannot be read fails.

    Threads do both, so ``look`` must allow that. Close what this returns when it is not read to its end.
    """
    import cv2  # noqa: F401  # before the threads: it sets environment variables, and crashes whoever reads them meanwhile

    # Threads, because the decoders release the interpreter's lock: on two idle cores two take 0.52 of the time of one.
    pool = ThreadPoolExecutor(workers or cores())
    done = 0
    try:
        with _pillow_warnings():
            for start in range(0, len(records), _BATCH):
                tasks = [records[i : i + _TASK] for i in range(start, min(start + _BATCH, len(records)), _TASK)]
                for read in chain.from_iterable(pool.map(partial(_look_at, look=look), tasks)):
                    yield read
                    done += 1
                    if progress is not None:
                        progress(done, len(records))
    finally:
        pool.shutdown(cancel_futures=True)  # so that an interruption waits for the photos at hand and not for the batch


def _look_at(
    records: Sequence[Record], *, look: Callable[[NDArray[np.uint8]], _Seen]
) -> list[tuple[Record, _Seen | Failure]]:
    return [(record, _seen_or_failure(record, look)) for record in records]


def _seen_or_failure(record: Record, look: Callable[[NDArray[np.uint8]], _Seen]) -> _Seen | Failure:
    try:
        return look(record.read())
    except PhotoError as error:
        return Failure(key=record.key, reason=str(error), passing=passing(error))


@contextmanager
def _pillow_warnings() -> Iterator[None]:
    """Make Pillow silent about odd metadata, which no face needs, and strict about huge pictures.

    Filters belong to the whole process before Python 3.14, so this is set around the threads and not inside them.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def passing(error: BaseException | None) -> bool:
    """Whether the system caused it, and not what the file is or holds: a permission, a disk's or a network's failure."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno not in _OF_THE_FILE
    return isinstance(error, MemoryError) or (error is not None and passing(error.__cause__))
