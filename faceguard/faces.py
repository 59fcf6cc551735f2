"""Align faces as recognizers do, warp noise back into the photo and add it in whole levels.

H x W photo, S crop size. The alignment is the similarity that carries a face's five landmarks (eyes, nose, mouth
corners) onto the template of ArcFace (Deng et al. 2019) in the least-squares sense (Umeyama 1991). In complex numbers,
z = x + iy, it is w = a z + b: |a| is the scale, arg a the rotation, b the shift, and the problem is linear in a and b.

    levels = round(255 * delta), held to +-floor(255 * epsilon)
    protected = clip(photo + levels, 0, 255)                       whole numbers, so the budget holds exactly
"""

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from faceguard.errors import PhotoError
from faceguard.finder import FoundFace, find

TEMPLATE_SIZE = 112
LARGEST_CROP = 160  # pixels a side of an aligned crop; the usual editions of aligned sets have 112, 128 or 160
SMALLEST_WIDTH = 20  # pixels of a face in the photo; below, the noise is averaged away before anybody trains on it
# Pixels of the photo under an aligned crop; below, JPEG 75 leaves less than 0.7 of the noise (results/noise-survival.json).
FRAIL_SIDE = 45
LARGEST_CUT = 0.25  # share of the aligned crop that may lie beyond the photo's edge


def alignment(landmarks: NDArray[np.floating], size: int = TEMPLATE_SIZE) -> NDArray[np.float64]:
    """The 2 x 3 similarity, photo -> crop of ``size`` pixels, that brings 5 x 2 ``landmarks`` closest to the template.

    Raises PhotoError when the landmarks fall on one point, where no similarity is defined.
    """
    points = _complex(landmarks)
    if np.ptp(points.real) == 0 and np.ptp(points.imag) == 0:
        raise PhotoError("The five landmarks of a face fall on one point, so it cannot be aligned; use another photo.")
    target = _complex(_template()) * (size / TEMPLATE_SIZE)
    (a, b), *_ = np.linalg.lstsq(np.stack([points, np.ones_like(points)], axis=1), target, rcond=None)
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def crop_scaling(size: int, height: int, width: int) -> NDArray[np.float64] | None:
    """The 2 x 3 scaling, picture -> crop of ``size`` pixels, of an H x W picture that is an aligned crop; None for a photo.

    Crops are squares of ``SMALLEST_WIDTH`` (or ``size``, where that is less) to ``LARGEST_CROP`` pixels, and of ``size``:
    nobody looks for a face in them.
    """
    if height != width or not (width == size or min(SMALLEST_WIDTH, size) <= width <= LARGEST_CROP):
        return None
    return scaling(size, height, width)


def scaling(size: int, height: int, width: int) -> NDArray[np.float64]:
    """The 2 x 3 matrix that scales an H x W picture to ``size`` x ``size`` pixels, whose centres sit at whole numbers."""
    x, y = size / width, size / height
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]])


def unusable(face: FoundFace, size: int, height: int, width: int) -> str | None:
    """Why the face of an H x W photo cannot be protected, a sentence; None when it can.

    Too small, or cut by the edge: then the photo lacks pixels to carry the noise, and a trainer's alignment will differ.
    """
    side = float(min(face.box[2] - face.box[0], face.box[3] - face.box[1]))
    if side < SMALLEST_WIDTH:
        return f"A face of {int(side)} pixels is too small to protect; {SMALLEST_WIDTH} is the least."
    matrix = alignment(face.landmarks, size)
    inverse = np.linalg.inv(matrix[:, :2])
    centres = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1).reshape(-1, 2)
    x, y = ((centres - matrix[:, 2]) @ inverse.T).T
    beyond = float(((x < -0.5) | (x > width - 0.5) | (y < -0.5) | (y > height - 0.5)).mean())
    if beyond > LARGEST_CUT:
        return f"A face is cut by the photo's edge ({beyond:.0%} of it are missing); use a photo that shows all of it."
    return None


def crop_side(matrix: NDArray[np.float64], size: int = TEMPLATE_SIZE) -> float:
    """The side, in pixels of the photo, of the crop of ``size`` pixels that ``matrix`` (photo -> crop) cuts out."""
    return size / float(np.hypot(*matrix[0, :2]))


def crop(pixels: NDArray[np.uint8], matrix: NDArray[np.float64], size: int = TEMPLATE_SIZE) -> NDArray[np.uint8]:
    """The ``size`` x ``size`` x 3 face that ``matrix`` (photo -> crop) cuts out of the photo; black beyond its edge.

    Bilinear without smoothing, as the recognizers' own pipelines do it.
    """
    import cv2

    return np.asarray(cv2.warpAffine(pixels, matrix, (size, size)), dtype=np.uint8)


def align_photo(pixels: NDArray[np.uint8], size: int = TEMPLATE_SIZE) -> NDArray[np.uint8]:
    """The largest face of an H x W x 3 photo, aligned, ``size`` x ``size`` x 3; PhotoError when no face is found."""
    found = find(pixels)
    if not found:
        height, width = pixels.shape[:2]
        raise PhotoError(f"No face was found in this picture of {width} x {height} pixels; use one that shows a face.")
    return crop(pixels, alignment(found[0].landmarks, size), size)


def footprint(matrix: NDArray[np.float64], size: int, height: int, width: int) -> tuple[slice, slice]:
    """The rows and columns of an H x W photo that the crop of ``matrix`` can reach; the smallest upright rectangle."""
    inverse = np.linalg.inv(matrix[:, :2])
    ends = np.array([-2.0, size + 1.0])  # bicubic weights reach two pixels past the outermost pixel centres
    corners = np.stack(np.meshgrid(ends, ends), axis=-1).reshape(-1, 2)
    reached = (corners - matrix[:, 2]) @ inverse.T
    left, top = np.floor(reached.min(axis=0)).astype(int)
    right, bottom = np.ceil(reached.max(axis=0)).astype(int) + 1
    rows = slice(int(np.clip(top, 0, height)), int(np.clip(bottom, 0, height)))
    columns = slice(int(np.clip(left, 0, width)), int(np.clip(right, 0, width)))
    return rows, columns


def paste(delta: NDArray[np.float32], matrix: NDArray[np.float64], height: int, width: int) -> NDArray[np.float32]:
    """Warp ``delta`` (3 x S x S, as a noise bank stores it) into a photo: H x W x 3, zero outside the face.

    ``matrix`` is the photo -> crop alignment. Only the noise is resampled, never the photo. Bicubic keeps more of fine
    noise than bilinear; where it overshoots it is held to delta's largest absolute value, so delta's bound still holds.
    """
    import cv2

    noise = np.zeros((height, width, 3), dtype=np.float32)
    rows, columns = footprint(matrix, delta.shape[-1], height, width)
    shape = (columns.stop - columns.start, rows.stop - rows.start)
    if min(shape) > 0:
        local = matrix.copy()
        local[:, 2] += matrix[:, :2] @ (columns.start, rows.start)
        image = np.ascontiguousarray(delta.transpose(1, 2, 0))
        warped = cv2.warpAffine(image, local, shape, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
        peak = np.abs(delta).max()
        noise[rows, columns] = np.clip(warped, -peak, peak)
    return noise


def noise_levels(delta: NDArray[np.floating], epsilon: float) -> NDArray[np.int16]:
    """``delta`` in whole levels of 255, never beyond `level_budget`; any shape."""
    limit = level_budget(epsilon)
    levels: NDArray[np.int16] = np.clip(np.rint(delta * 255), -limit, limit).astype(np.int16)
    return levels


def add_levels(pixels: NDArray[np.uint8], levels: NDArray[np.integer]) -> NDArray[np.uint8]:
    """uint8 ``pixels`` plus whole ``levels``, clipped to 0..255; shapes broadcast, so one row serves a batch of faces."""
    return np.clip(pixels.astype(np.int16) + levels, 0, 255).astype(np.uint8)


def level_budget(epsilon: float) -> int:
    """The largest change of a pixel, in whole levels of 255: never more than ``epsilon``, whose error it forgives."""
    return math.floor(255 * epsilon + 1e-6)


def add_to_faces(
    pixels: NDArray[np.uint8], matrices: Sequence[NDArray[np.float64]], delta: NDArray[np.float32], epsilon: float
) -> NDArray[np.uint8]:
    """A copy of H x W x 3 ``pixels`` with ``delta`` (3 x S x S) added to the face of every alignment in ``matrices``.

    Where the crops of two faces overlap, the one named first keeps its noise and the other stays out, pixel by pixel,
    so the sum never leaves the budget.
    """
    height, width = pixels.shape[:2]
    changed = pixels.copy()
    taken = np.zeros((height, width), dtype=np.bool_)
    for matrix in matrices:
        region = rows, columns = footprint(matrix, delta.shape[-1], height, width)
        local = matrix.copy()
        local[:, 2] += matrix[:, :2] @ (columns.start, rows.start)
        noise = paste(delta, local, rows.stop - rows.start, columns.stop - columns.start)
        levels = noise_levels(noise, epsilon)
        levels[taken[region]] = 0
        changed[region] = add_levels(changed[region], levels)
        taken[region] |= levels.any(axis=-1)
    return changed


@cache
def _template() -> NDArray[np.float32]:
    """ArcFace's five points in a crop of 112 pixels, 5 x 2."""
    from insightface.utils.face_align import arcface_dst

    return np.asarray(arcface_dst, dtype=np.float32)


def _complex(points: NDArray[np.floating]) -> NDArray[np.complex128]:
    """N x 2 coordinates as N complex numbers."""
    return points[:, 0].astype(np.float64) + 1j * points[:, 1].astype(np.float64)
