"""Which part of its original a copy of another size shows: all of it, or what a crop left.

A face that is found in both tells it roughly, for landmarks wander by a few pixels; maximizing the correlation of the two
gray faces (Evangelidis and Psarakis 2008, in OpenCV) then lays one onto the other to a fraction of a pixel. The noise is
a few levels, and hardly disturbs it.

For each axis, x = scale * x' + shift carries the copy's pixel edges to the original's: a crop, or a stretch, but no turn.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from faceguard.finder import FoundFace

Pixels = NDArray[np.uint8]
Vector = NDArray[np.float64]  # two numbers, x and y
Box = tuple[float, float, float, float]  # left, top, right, bottom

# On 10 real photos the correlation was at least 0.98 after JPEG of quality 40, blurring, more contrast or another size, and at
# most 0.89 for a mirrored face and 0.85 for another one; a turn by 0.7 degrees slanted by 0.011, what was not turned by 0.002.
ALIKE, SLANTED = 0.95, 0.005
CROPPED = 0.01  # share of a side that may be missing in a copy that counts as whole
MOST_FACES = 5  # of the original, the largest, that the copy's largest face is laid onto
LONGEST_SIDE = 192  # pixels in which the faces are compared
SURROUNDINGS = 0.6  # of the face's box on each side, which belong to it here
MARGIN = 24  # of those pixels, by which a rough guess may be wrong
SMALLEST_SIDE = 8
STEPS, LEAST_GAIN = 100, 1e-5  # when the search for the best correlation ends
BLURS = (5, 3)  # pixels of the filter before the first and the second search


class _Map(NamedTuple):
    scale: Vector
    shift: Vector


def shown(original: Pixels, copy: Pixels, faces: Sequence[FoundFace], face: FoundFace) -> Box | None:
    """The part of ``original``, in its pixels, that ``copy`` shows; None when the two do not lie on each other.

    ``faces`` are those of the original, and ``face`` is the copy's; the largest first.
    """
    for guess in _guesses(original, copy, faces, face):
        found = _laid(original, copy, face, guess)
        if found is not None:
            low, high = np.clip([found.shift, found.scale * _size(copy) + found.shift], 0, _size(original))
            return float(low[0]), float(low[1]), float(high[0]), float(high[1])
    return None


def is_whole(part: Box, original: Pixels) -> bool:
    """Whether ``part`` is all of the original, but for what rounding takes."""
    width, height = _size(original)
    missing_x, missing_y = max(part[0], width - part[2]), max(part[1], height - part[3])
    return bool(missing_x <= max(CROPPED * width, 1) and missing_y <= max(CROPPED * height, 1))


def _guesses(original: Pixels, copy: Pixels, faces: Sequence[FoundFace], face: FoundFace) -> Iterator[_Map]:
    """The copy is whole, or its face is one of the original's."""
    yield _Map(_size(original) / _size(copy), np.zeros(2))
    for other in faces[:MOST_FACES]:
        fits = [np.polyfit(face.landmarks[:, axis] + 0.5, other.landmarks[:, axis] + 0.5, 1) for axis in (0, 1)]
        scale, shift = np.array(fits, dtype=np.float64).T
        if (scale > 0).all():
            yield _Map(scale, shift)


def _laid(original: Pixels, copy: Pixels, face: FoundFace, guess: _Map) -> _Map | None:
    """``guess`` made exact; None when the faces do not come to lie on each other."""
    reach = SURROUNDINGS * (face.box[2:] - face.box[:2])
    low = np.clip(np.floor(face.box[:2] - reach), 0, _size(copy))
    high = np.clip(np.ceil(face.box[2:] + reach), 0, _size(copy))
    if (high - low < SMALLEST_SIDE).any():
        return None
    pixels = np.maximum(np.rint((high - low) * min(1.0, LONGEST_SIDE / max(high - low))), SMALLEST_SIDE)
    template, found = _gray(copy, low, high, pixels), guess
    for blur in BLURS:
        better = _searched(original, template, low, high, found, blur)
        if better is None:
            return None
        found = better
    return found


def _searched(original: Pixels, template: Pixels, low: Vector, high: Vector, guess: _Map, blur: int) -> _Map | None:
    """One search around ``guess``; ``template`` is the copy from ``low`` to ``high``, gray."""
    import cv2

    unit = (high - low) / _size(template)  # the copy's pixels to one of the template's
    first, last = (guess.scale * edge + guess.shift for edge in (low - MARGIN * unit, high + MARGIN * unit))
    first, last = np.clip(np.array([first, last]), 0, _size(original))
    pixels = np.rint((last - first) / (guess.scale * unit))
    if (last - first < 1).any() or (pixels < SMALLEST_SIDE).any():
        return None
    target, step = _gray(original, first, last, pixels), (last - first) / pixels
    scale, shift = guess.scale * unit / step, (guess.scale * (low + unit / 2) + guess.shift - first) / step - 0.5
    start = np.array([[scale[0], 0, shift[0]], [0, scale[1], shift[1]]], dtype=np.float32)
    until = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, STEPS, LEAST_GAIN)
    everything = np.full(target.shape, 255, dtype=np.uint8)
    try:
        alike, found = cv2.findTransformECC(template, target, start, cv2.MOTION_AFFINE, until, everything, blur)
    except cv2.error:  # it does not converge: they have nothing in common
        return None
    slant = found[[0, 1], [1, 0]].astype(np.float64)
    if alike < ALIKE or np.abs(slant).max() > SLANTED:
        return None
    shift = found[:, 2] + slant * (_size(template)[::-1] - 1) / 2  # as in the middle, where the face is
    scale = found[[0, 1], [0, 1]] * step / unit
    return _Map(scale, (shift + 0.5) * step + first - scale * (low + unit / 2))


def _gray(pixels: Pixels, low: Vector, high: Vector, size: Vector) -> Pixels:
    """The part of a picture between two corners, gray, ``size`` pixels wide and high."""
    box = (float(low[0]), float(low[1]), float(high[0]), float(high[1]))
    part = Image.fromarray(pixels).resize((int(size[0]), int(size[1])), Image.Resampling.LANCZOS, box=box)
    return np.asarray(part.convert("L"))


def _size(pixels: Pixels) -> Vector:
    """Width and height."""
    return np.array(pixels.shape[1::-1], dtype=np.float64)
