"""One photo of a data set: where it comes from, whose it is, and how its bytes become upright RGB pixels.

H x W pixels, uint8. A `Record` costs a few hundred bytes, so half a million of them can be listed without decoding any.
Only Pillow opens photos, and only the formats named here: a file that claims to be something rarer never reaches a decoder.
"""

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from faceguard.errors import PhotoError

PHOTO_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".heic", ".avif"}
)
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
# What Pillow's decoders raise on damaged data. The two bomb classes are its guard against headers that claim huge sizes.
_DAMAGE = (OSError, ValueError, SyntaxError, EOFError, struct.error)
_BOMB = (Image.DecompressionBombError, Image.DecompressionBombWarning)
# EXIF orientation -> what undoes it; ImageOps.exif_transpose would also rewrite the EXIF block, which may be damaged
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


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


def decode_image(data: bytes | Path, name: str) -> NDArray[np.uint8]:
    """Decode a photo from its file or its bytes to upright H x W x 3 RGB; ``name`` is what an error calls it.

    Transparency is dropped, 16-bit levels are scaled to 8 bits, an animation gives its first frame.
    Raises PhotoError for anything unreadable, damaged, of another format, or larger than Pillow's size limit.
    """
    try:
        with Image.open(data if isinstance(data, Path) else io.BytesIO(data), formats=_FORMATS) as image:
            limit = Image.MAX_IMAGE_PIXELS
            if limit is not None and image.width * image.height > limit:
                raise Image.DecompressionBombError  # Pillow itself only warns up to twice its limit
            image.load()
            turn = UPRIGHT.get(_orientation(image))
            return _to_rgb(image if turn is None else image.transpose(turn))
    except _BOMB as error:
        raise PhotoError(f"{name} claims more pixels than is safe to decode; scale it down or leave it out.") from error
    except _DAMAGE as error:
        raise PhotoError(f"{name} {_explain(data, error)}") from error


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation 1..8; 1 when there is none or the EXIF block is damaged, which says nothing of the pixels."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except _DAMAGE:
        return 1
    return value if isinstance(value, int) else 1


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Any pixel layout of these formats as H x W x 3 RGB."""
    if image.mode.startswith("I"):  # Pillow would cut 16-bit levels off at 255 instead of scaling them
        gray = (np.clip(np.asarray(image).astype(np.int64), 0, 65535) >> 8).astype(np.uint8)
        return np.repeat(gray[:, :, None], 3, axis=2)
    if image.mode in ("P", "PA"):  # a palette may hold transparency that has no RGB equivalent
        image = image.convert("RGBA")
    return np.array(image.convert("RGB"))


def _explain(data: bytes | Path, error: BaseException) -> str:
    """The rest of a sentence that starts with the photo's name."""
    if isinstance(error, UnidentifiedImageError):
        size = data.stat().st_size if isinstance(data, Path) else len(data)
        if size == 0:
            return "is empty; copy it again from where it came."
        return "is not a picture that can be read (JPEG, PNG, WebP, BMP or GIF); convert it or remove it."
    if isinstance(error, OSError) and error.errno is not None:
        return f"cannot be opened ({error.strerror}); check the path and its permissions."
    return f"is damaged ({error}); copy it again from where it came."
