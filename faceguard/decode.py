"""From listed photos to faces: decode, bring to one alignment and size, in parallel, into one array.

N photos, S face size. What is done with a picture depends on its shape alone:

    square, 20 to 160 px a side       an aligned crop already (112 px is ArcFace's own): resized
    178 x 218                         an aligned CelebA photo: one fixed similarity, see CELEBA_LANDMARKS
    smaller                           refused: it shows too little of a face
    anything else                     its largest face is found and aligned on its five landmarks

Crops are cut at 112 px or more and averaged down to S, so that small faces come without aliasing.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cache as remember
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceguard import face_cache, faces, journal, readers
from faceguard.errors import NothingReadError, PhotoError
from faceguard.faces import TEMPLATE_SIZE
from faceguard.identities import Faces, Failure
from faceguard.journal import Journal
from faceguard.readers.record import Record, decode_image
from faceguard.reading import Progress, read_each

__all__ = ["decode_image", "load_faces", "load_records", "resize_faces", "to_face"]

CELEBA_SHAPE = (218, 178)
# Eyes, nose tip and mouth corners (x, y) in an aligned CelebA photo: the median over the 2,629 of 2,640 photos of 100
# identities in which facenet-pytorch's MTCNN finds a face. CelebA was aligned on other points, so five points do not fit
# exactly: in the 112 px crop these miss ArcFace's template by 2.1 px (root mean square), the landmarks of the median photo
# by 4.9 px, where aligning each photo on its own landmarks leaves 3.6 px.
CELEBA_LANDMARKS = ((69.88, 112.39), (108.49, 112.02), (88.96, 136.57), (72.24, 153.22), (106.47, 152.87))

LARGEST_IN_MEMORY = 2**30  # bytes of pixels; more go to the cache folder even without being asked
ToPicture = Callable[[NDArray[np.uint8], int], NDArray[np.uint8]]  # H x W x 3 and S to S x S x 3, or PhotoError


def load_faces(
    path: Path,
    *,
    size: int = TEMPLATE_SIZE,
    cache: Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Faces:
    """The faces of the data set in ``path``, ``size`` x ``size`` pixels; see `load_records`.

    Photos that lie beside the folders of identities are listed in ``failures``.
    Raises DataError when there is no data set or no readable photo in it.
    """
    layout, records = readers.recognise(path)
    faces = load_records(records, size=size, cache=cache, workers=workers, progress=progress)
    stray = readers.folder.beside(path) if layout == readers.FOLDER else []
    left_out = (Failure(key=name, reason=readers.folder.NOBODYS) for name in stray)
    return replace(faces, failures=(*faces.failures, *left_out))


def load_records(
    records: Sequence[Record],
    *,
    size: int = TEMPLATE_SIZE,
    cache: Path | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
    to_picture: ToPicture | None = None,
) -> Faces:
    """Decode ``records`` into faces of ``size`` x ``size`` pixels, in their order; names are sorted, numbers by value.

    What shows no face is brought to size by ``to_picture``, a function of a module, in place of `to_face`.
    Unreadable photos are left out and listed in ``failures``, and so is who has no other photo. With a ``cache`` folder, or
    for more than 1 GiB of pixels, the result is kept on disk and mapped into memory, and a second call decodes nothing, or
    only what an interruption left; unless the system refused to read a photo.
    ``workers`` threads decode, one per processor core by default; ``progress`` is called with (photos done, photos in all).
    Raises NothingReadError, a DataError, when not one photo can be read.
    """
    shape = (len(records), size, size, 3)
    made = to_picture or to_face

    def cut(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return made(pixels, size)

    fill = partial(_decode_into, records=records, cut=cut, workers=workers, progress=progress)
    if cache is None and np.prod(shape, dtype=np.int64) <= LARGEST_IN_MEMORY:
        return fill(np.empty(shape, dtype=np.uint8), journal.unkept())
    named = partial(face_cache.digest, records, size, _spelled(to_picture))
    folder = (cache or face_cache.default_folder()) / named()

    def lasts(faces: Faces) -> bool:  # nor is a set kept of which files vanished meanwhile
        failures = faces.failures
        return not failures or (named() == folder.name and not any(failure.passing for failure in failures))

    return face_cache.load_or_make(folder, shape, fill, lasts=lasts)


def _spelled(to_picture: ToPicture | None) -> str:
    return "" if to_picture is None else f" {to_picture.__module__}.{to_picture.__qualname__}"


def to_face(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """The ``size`` x ``size`` x 3 face of an H x W x 3 picture, by the rule above; PhotoError when it has none."""
    height, width = pixels.shape[:2]
    crop_size = max(size, TEMPLATE_SIZE)
    if faces.crop_scaling(size, height, width) is not None:
        return resize(pixels, size)
    if min(height, width) < min(faces.SMALLEST_WIDTH, size):
        least = f"{faces.SMALLEST_WIDTH} pixels a side are the least"
        raise PhotoError(f"This picture of {width} x {height} pixels is too small to show a face; {least}.")
    if (height, width) == CELEBA_SHAPE:
        return resize(faces.crop(pixels, _celeba_alignment(crop_size), crop_size), size)
    return resize(faces.align_photo(pixels, crop_size), size)


@remember
def _celeba_alignment(size: int) -> NDArray[np.float64]:
    """2 x 3, aligned CelebA photo -> crop of ``size`` pixels."""
    return faces.alignment(np.array(CELEBA_LANDMARKS), size)


def resize(face: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Averaged when shrinking, bilinear when growing."""
    import cv2

    if face.shape[0] == size:
        return face
    method = cv2.INTER_AREA if size < face.shape[0] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(face, (size, size), interpolation=method), dtype=np.uint8)


def resize_faces(faces: Faces, size: int) -> Faces:
    """The same faces at ``size`` pixels, as a trainer's pipeline shrinks (area) or enlarges (linear) them."""
    if faces.size == size:
        return faces
    return replace(faces, pixels=np.stack([resize(face, size) for face in faces.pixels]))


def _decode_into(
    pixels: NDArray[np.uint8],
    before: Journal,
    *,
    records: Sequence[Record],
    cut: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
    workers: int | None,
    progress: Progress | None,
) -> Faces:
    """Fill ``pixels`` from the front with the faces that can be read, going on after ``before``; the faces share its memory."""
    start = len(before.done)
    kept = [record for record, failure in zip(records, before.done, strict=False) if failure is None]
    failures = [failure for failure in before.done if failure is not None]

    def count(done: int, _: int) -> None:
        if progress is not None:
            progress(start + done, len(records))

    with closing(read_each(records[start:], cut, workers=workers, progress=count)) as read:
        for record, face in read:
            if isinstance(face, Failure):
                failures.append(face)
                before.note(face)
            else:
                pixels[len(kept)] = face
                before.note(pixels[len(kept)])
                kept.append(record)
    if not kept:
        reason = failures[0].reason if failures else "the list is empty."
        raise NothingReadError(f"Not one of {len(records)} photos could be read; the first: {reason}")
    return _faces(pixels[: len(kept)], kept, failures)


def _faces(pixels: NDArray[np.uint8], kept: Sequence[Record], failures: Sequence[Failure]) -> Faces:
    names = tuple(sorted({record.identity for record in kept}, key=_by_value))
    position = {name: i for i, name in enumerate(names)}
    return Faces(
        pixels=pixels,
        labels=np.array([position[record.identity] for record in kept], dtype=np.int64),
        names=names,
        keys=tuple(record.key for record in kept),
        failures=tuple(failures),
    )


def _by_value(name: str) -> tuple[bool, int, str, str]:
    """Sorts whole numbers by value and before all other names."""
    if not (name.isascii() and name.isdigit()):
        return True, 0, "", name
    digits = name.lstrip("0")
    return False, len(digits), digits, name
