"""Read and write photo files: upright pixels in, lossless PNG out.

H x W pixels. Only Pillow opens files. Reading applies the EXIF orientation and converts palette, grayscale and one-bit
pictures to RGB; it refuses what it would have to change silently (animations, pages, CMYK, 16-bit grayscale). Writing
stores pixels, alpha and the colour profile and nothing else, so place, time and camera stay behind.
"""

import os
import secrets
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from faceguard.errors import PhotoError
from faceguard.readers.record import UPRIGHT

PIXEL_LIMIT = 100_000_000

# GIF is here so that an animation is refused by its name.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
_FORMATS_TEXT = "JPEG, PNG, WebP, BMP or GIF"
_GRAY_MODES = frozenset({"1", "L", "LA"})
_MODES = _GRAY_MODES | {"P", "PA", "RGB", "RGBA"}

# Pillow's decoders raise any of these on damaged data; DecompressionBombError is its own guard against huge headers.
_DAMAGE = (OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError)


@dataclass(frozen=True, kw_only=True, eq=False)
class Photo:
    """A photo in memory: ``pixels`` H x W x 3, upright RGB; ``alpha`` H x W; ``icc`` the colour profile of the RGB."""

    pixels: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None = None
    icc: bytes | None = None


def read(path: Path, *, pixel_limit: int = PIXEL_LIMIT) -> Photo:
    """The photo in the file ``path``, upright.

    Raises PhotoError when the file is missing, empty, damaged or no picture, holds several frames or pages, needs a
    colour conversion that would change its look, or has more than ``pixel_limit`` pixels (found before decoding).
    """
    with _explained(path), Image.open(path, formats=_FORMATS) as image:
        _refuse_unsuitable(image, path, pixel_limit)
        image.load()
        turn = UPRIGHT.get(image.getexif().get(ExifTags.Base.Orientation, 1))
        upright: Image.Image = image if turn is None else image.transpose(turn)
        return _to_photo(upright, image.info.get("icc_profile"))


def write(photo: Photo, path: Path, *, overwrite: bool = False) -> None:
    """Write ``photo`` as PNG to ``path``, whose name ends in .png, making missing folders.

    The file appears complete or not at all: it is written under a temporary name beside ``path`` and then renamed.
    Raises PhotoError when ``path`` exists and ``overwrite`` is off, or when the folder cannot take the file.
    """
    if path.suffix.lower() != ".png":
        raise PhotoError(f"{path} does not end in .png, and photos are written as lossless PNG; rename the output.")
    if not overwrite:
        refuse_existing(path)
    channels = photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])
    temporary = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                # Level 3 takes a third of the default's time on a ten-megapixel photo for 7 % more bytes.
                Image.fromarray(channels).save(file, format="PNG", icc_profile=photo.icc, compress_level=3)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise PhotoError(
            f"{path} cannot be written ({error.strerror or error}); check the folder and its space."
        ) from error


def refuse_existing(path: Path) -> None:
    """Raise PhotoError when something, even a broken link, already has the name ``path``."""
    if os.path.lexists(path):
        raise PhotoError(f"{path} already exists and is left as it is; choose another folder, or remove the file.")


def _refuse_unsuitable(image: Image.Image, path: Path, pixel_limit: int) -> None:
    """Raise PhotoError for what the header alone rules out."""
    frames = getattr(image, "n_frames", 1)
    if (
        frames > 1 and image.format != "MPO"
    ):  # a phone's JPEG with a second picture behind the photo, such as a depth map
        raise PhotoError(
            f"{path} holds {frames} frames or pages, not one photo; save the one you want as a single picture."
        )
    if image.width * image.height > pixel_limit:
        raise PhotoError(
            f"{path} has {image.width} x {image.height} pixels, more than the limit of {pixel_limit / 1e6:g} million;"
            " scale it down first."
        )
    if image.mode not in _MODES:
        raise PhotoError(
            f"{path} stores its colours as {image.mode}; convert it to an ordinary 8-bit RGB picture first."
        )


def _to_photo(image: Image.Image, icc: bytes | None) -> Photo:
    """Split an upright picture into its parts; a profile for gray levels does not describe RGB and is dropped."""
    profile = None if image.mode in _GRAY_MODES else icc
    if not image.has_transparency_data:
        return Photo(pixels=np.array(image.convert("RGB")), icc=profile)
    channels = np.array(image.convert("RGBA"))
    return Photo(
        pixels=np.ascontiguousarray(channels[..., :3]), alpha=np.ascontiguousarray(channels[..., 3]), icc=profile
    )


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what Pillow and the file system raise about ``path`` into a PhotoError that says what to do."""
    try:
        with warnings.catch_warnings():
            # Pillow warns about odd metadata, which is dropped anyway, and about sizes, which are checked here.
            warnings.filterwarnings("ignore", module="PIL")
            yield
    except _DAMAGE as error:
        raise PhotoError(f"{path} {_reason(path, error)}") from error


def _reason(path: Path, error: BaseException) -> str:
    """The rest of a sentence that starts with the path."""
    if isinstance(error, OSError) and error.errno is not None:
        return f"cannot be opened ({error.strerror}); check the path and its permissions."
    if isinstance(error, Image.DecompressionBombError):
        return f"claims more pixels than {PIXEL_LIMIT / 1e6:g} million; it may be an attack on memory. Do not use it."
    if path.stat().st_size == 0:
        return "is empty; copy it again from where it came."
    if isinstance(error, UnidentifiedImageError):
        return f"is no {_FORMATS_TEXT} picture, whatever its name says; convert it to one of these."
    return f"is damaged ({error}); copy it again from where it came."
