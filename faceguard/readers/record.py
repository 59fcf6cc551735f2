"""One photo of a data set: where it comes from, whose it is, and how its bytes become upright RGB pixels.

H x W pixels, uint8. A `Record` costs a few hundred bytes, so half a million of them can be listed without decoding any.
Only the formats of `formats.FORMATS` are opened: a file that claims to be something rarer never reaches a decoder.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from faceguard.formats import FORMATS, channels, eight_bits, opened, refuse_colours


@dataclass(frozen=True, slots=True)
class Record:
    """One listed photo, not yet decoded.

    ``key`` is unique in its data set (a relative path or a record number), ``identity`` the person's name. ``read`` can be
    pickled and gives H x W x 3 RGB, or raises PhotoError. ``source`` is the file that holds the photo, if there is one.
    """

    key: str
    identity: str
    read: Callable[[], NDArray[np.uint8]]
    source: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The photos of a classification set, none decoded: ``classes`` in the order of their labels, ``test`` may be empty.

    ``layout`` says what was found on disk. A photo's ``identity`` is its class.
    """

    layout: str
    classes: tuple[str, ...]
    train: list[Record]
    test: list[Record]


def decode_image(data: bytes | Path, name: str) -> NDArray[np.uint8]:
    """Decode a photo from its file or its bytes to upright H x W x 3 RGB; ``name`` is what an error calls it.

    Transparency is dropped, 16-bit levels are rounded to 8 bits, an animation gives its first frame.
    Raises PhotoError for anything unreadable, damaged, of another format, with colours that have no plain RGB, or larger
    than Pillow's size limit.
    """
    # Pillow itself only warns up to twice its limit
    with opened(data, name, FORMATS, Image.MAX_IMAGE_PIXELS or math.inf) as image:
        refuse_colours(image, name)
        return channels(eight_bits(image, data, []))[0]
