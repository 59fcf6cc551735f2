"""Does the noise survive the trainer? Pearson's correlation of what a trainer will find with the noise row.

A trainer finds the face in the photo as it was written (or published), aligns it to S x S pixels and trains on that.
The same crop of the original, subtracted, leaves the noise as it reaches the trainer:

    noise_kept = corr(crop(written) - crop(original), delta)        1: all of it, 0: none

H x W photo, S crop size. A photo whose original is an aligned crop is only scaled, see `faces.crop_scaling`. A published
copy may have another size; the original, or the part of it that the copy shows, is then brought to that size, so that both
crops show the same part of the face and only the noise tells them apart.
"""

import io
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from faceguard.faces import alignment, crop, crop_scaling, footprint, scaling
from faceguard.finder import FoundFace, find
from faceguard.framing import Box

Subsampling = Literal["4:4:4", "4:2:0"]
LITTLE = 0.5  # of 96 real photos, protected without loss, the face kept 0.7 or more


def noise_kept(
    original: NDArray[np.uint8], written: NDArray[np.uint8], delta: NDArray[np.floating], *, size: int
) -> float | None:
    """How much of ``delta`` (3 x S x S) a trainer finds in ``written``: a correlation in [-1, 1].

    ``original`` and ``written`` are H x W x 3, and may differ in size, not in what they show. Of several faces the
    largest that carries any change counts. None when no face is found, or when nothing changed in any.
    """
    change = face_change(original, written, size)
    return None if change is None else correlation(change, delta)


def weakness(kept: float | None) -> str | None:
    """What to say of a copy that keeps little of the noise, a sentence; None when it keeps enough, or it is not known."""
    if kept is None or kept >= LITTLE:
        return None
    return (
        f"Only {kept:.2f} of the noise is found in the face (1 is all of it); use a larger or another photo, or save it"
        " with less loss."
    )


def face_change(
    original: NDArray[np.uint8],
    written: NDArray[np.uint8],
    size: int,
    *,
    part: Box | None = None,
    faces: Sequence[FoundFace] | None = None,
) -> NDArray[np.float64] | None:
    """What changed in the face as a trainer of ``written`` aligns it: S x S x 3, in levels; None as in `noise_kept`.

    ``part`` of the original (left, top, right, bottom) is what ``written`` shows, all of it when None. ``faces`` are those of
    ``written``, where they were found before.
    """
    before = _resized(original, written.shape[1], written.shape[0], part)
    for matrix in _alignments(original, written, size, faces):
        change = _cut(written, matrix, size).astype(np.float64) - _cut(before, matrix, size)
        if np.ptp(change) > 0:
            return change
    return None


def correlation(change: NDArray[np.floating], delta: NDArray[np.floating]) -> float | None:
    """Pearson's correlation of a change, S x S x 3, with ``delta``, 3 x S x S; None when either is constant."""
    first, second = change.ravel(), delta.transpose(1, 2, 0).ravel().astype(np.float64)
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(np.corrcoef(first, second)[0, 1])


def published(
    pixels: NDArray[np.uint8], *, quality: int, subsampling: Subsampling = "4:2:0", scale: float = 1.0
) -> NDArray[np.uint8]:
    """What publishing does to an H x W x 3 photo: scaled (Lanczos), then compressed as JPEG and decoded again.

    ``quality`` is 1 to 100 as Pillow counts it; ``subsampling`` of the chroma; the sides become round(scale * side).
    """
    height, width = (max(round(scale * side), 1) for side in pixels.shape[:2])
    buffer = io.BytesIO()
    placed = Image.fromarray(_resized(pixels, width, height))
    placed.save(buffer, format="JPEG", quality=quality, subsampling=subsampling)
    with Image.open(buffer) as image:
        return np.array(image)


def _alignments(
    original: NDArray[np.uint8], written: NDArray[np.uint8], size: int, faces: Sequence[FoundFace] | None
) -> Iterator[NDArray[np.float64]]:
    """The alignments, written photo -> crop, of the faces a trainer finds, the largest first."""
    if crop_scaling(size, *original.shape[:2]) is not None:
        yield scaling(size, *written.shape[:2])
        return
    for face in find(written) if faces is None else faces:
        yield alignment(face.landmarks, size)


def _cut(pixels: NDArray[np.uint8], matrix: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """`faces.crop` from the part of the photo that it can reach: OpenCV 4 takes no side of 32,767 pixels."""
    rows, columns = footprint(matrix, size, *pixels.shape[:2])
    part = pixels[rows, columns]
    if part.size == 0:
        return np.zeros((size, size, 3), dtype=np.uint8)
    local = matrix.copy()
    local[:, 2] += matrix[:, :2] @ (columns.start, rows.start)
    return crop(np.ascontiguousarray(part), local, size)


def _resized(pixels: NDArray[np.uint8], width: int, height: int, part: Box | None = None) -> NDArray[np.uint8]:
    if part is None and pixels.shape[:2] == (height, width):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS, box=part))
