"""Read and write photo files: upright pixels in, the same pixels out.

H x W pixels. `formats` decodes; animations, pages and colours without a plain RGB are refused, and what else a file loses is
in ``Photo.notes``. Writing stores pixels, alpha and the colour profile, so place, time and camera stay behind unless
they are asked for. PNG, WebP and TIFF are written without loss; JPEG and lossy WebP only with a quality.
"""

import io
import os
import secrets
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms

from faceguard.colour_profile import colours_only, described_otherwise
from faceguard.errors import PhotoError
from faceguard.formats import DAMAGE, FORMATS, GRAY_MODES, channels, eight_bits, opened, refuse_unsuitable

PIXEL_LIMIT = 100_000_000
LOSSLESS_SUFFIXES = frozenset({".png", ".webp", ".tif", ".tiff"})
PART_PREFIX = ".faceguard-"
# What a killed run may leave behind: the prefix, 16 hexadecimal digits and an ending.
PART_PATTERN = PART_PREFIX + 16 * "[0-9a-f]" + ".*"

_FORMS = {".png": "PNG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF", ".jpg": "JPEG", ".jpeg": "JPEG"}
_PREDICTOR = 317  # a TIFF tag: horizontal differences save a third of the bytes

# The EXIF tags that are kept: what people and cameras say of a photo. Left out: how the pixels were stored, and every place
# that can hold a second picture, such as the thumbnail and the maker's note, because it would show the unprotected face.
_KEPT_TAGS = (
    *(270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 33432),  # description, camera, resolution, time, author, rights
    *(0x4746, 0x4749, *range(0x9C9B, 0x9CA0)),  # rating; title, comment, author, keywords and subject of Windows
)
# Of the camera's settings: the maker's note, interoperability, and the old file's order and compression of colours, width and
# height, which are another's once the photo is upright.
_LEFT_OUT = frozenset({0x927C, 0xA005, 0x9101, 0x9102, 0xA002, 0xA003})
EXIF_LOST = "Its EXIF data is damaged and cannot be kept."
_EXIF_HEAD = b"Exif\0\0"


@dataclass(frozen=True, kw_only=True, eq=False)
class Photo:
    """A photo in memory: ``pixels`` H x W x 3, upright RGB; ``alpha`` H x W, None when opaque.

    ``icc`` is the RGB's profile, as `colours_only` leaves it. ``exif`` is the EXIF block for an upright photo, without thumbnail.
    ``notes`` are sentences about what the file lost.
    """

    pixels: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    notes: tuple[str, ...] = ()


def read(path: Path, *, pixel_limit: int = PIXEL_LIMIT) -> Photo:
    """The photo in the file ``path``, upright.

    Raises PhotoError when the file is missing, empty, damaged or no picture, holds several frames or pages, stores colours
    that have no plain RGB, or has more than ``pixel_limit`` pixels (found before decoding).
    """
    notes: list[str] = []
    with _without_warnings(), opened(path, str(path), FORMATS, pixel_limit) as image:
        refuse_unsuitable(image, str(path))
        further = getattr(image, "n_frames", 1) - 1
        picture = eight_bits(image, path, notes)
        if further > 0:  # a phone's file with a second picture behind the photo
            notes.append(f"Only its main picture was used; it holds {further} more, such as a depth map.")
        exif = _kept_exif(image, notes)
        if not image.info.get("icc_profile") and described_otherwise(image, path):
            notes.append("Its colours are described in a way that is not kept, so they may look different.")
        picture, icc = _in_rgb(picture, image.info.get("icc_profile"), notes)
        pixels, alpha = channels(picture)
    return Photo(pixels=pixels, alpha=alpha, icc=icc, exif=exif, notes=tuple(notes))


def write(
    photo: Photo, path: Path, *, overwrite: bool = False, quality: int | None = None, keep_metadata: bool = False
) -> None:
    """Write ``photo`` to ``path``, whose ending decides the format, making missing folders.

    Without ``quality`` (1 to 100) the file holds exactly these pixels; with it JPEG is allowed, and WebP becomes lossy.
    ``keep_metadata`` adds the EXIF block (then TIFF is stored uncompressed). The file appears complete or not at all: it
    is written under a temporary name beside ``path`` and then renamed. Raises PhotoError for an ending or alpha that
    cannot be written, when ``path`` exists and ``overwrite`` is off, or when the folder cannot take the file.
    """
    form, options = _encoding(photo, path, quality)
    if not overwrite:
        refuse_existing(path)
    extras = {"icc_profile": photo.icc, "exif": photo.exif if keep_metadata else None}
    options |= {name: value for name, value in extras.items() if value is not None}
    if form == "TIFF" and "exif" in options:  # Pillow writes place and camera settings to uncompressed TIFF only
        del options["compression"], options["tiffinfo"]
    temporary = path.with_name(f"{PART_PREFIX}{secrets.token_hex(8)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("x+b") as file:
                _image(photo).save(file, format=form, **options)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, ValueError, RuntimeError, struct.error) as error:
        raise PhotoError(_not_written(path, form, error)) from error


def lossless(path: Path, quality: int | None = None) -> bool:
    """Whether writing to ``path`` with this ``quality`` reproduces the pixels exactly."""
    suffix = path.suffix.lower()
    return suffix in LOSSLESS_SUFFIXES and (quality is None or suffix != ".webp")


def refuse_existing(path: Path) -> None:
    """Raise PhotoError when something, even a broken link, already has the name ``path``."""
    if os.path.lexists(path):
        raise PhotoError(f"{path} already exists and is left as it is; choose another folder, or remove the file.")


def _encoding(photo: Photo, path: Path, quality: int | None) -> tuple[str, dict[str, Any]]:
    """Pillow's name of the format that ``path`` ends in, and its options; raises PhotoError for what cannot be."""
    form = _FORMS.get(path.suffix.lower())
    if form is None:
        raise PhotoError(f"{path} does not end in {', '.join(_FORMS)}; rename the output to one of these.")
    if quality is not None and not 1 <= quality <= 100:
        raise PhotoError(f"{path} cannot have the quality {quality}; choose one from 1 to 100.")
    if form == "JPEG" and quality is None:
        raise PhotoError(
            f"{path} would be a JPEG, which loses part of the noise; write .png, or accept the loss with --quality."
        )
    if form == "JPEG" and photo.alpha is not None:
        raise PhotoError(f"{path} cannot keep the transparent parts of this photo as a JPEG; write PNG (.png) instead.")
    return form, _options(form, quality)


def _options(form: str, quality: int | None) -> dict[str, Any]:
    if form == "PNG":  # level 3 takes a third of the default's time on a ten-megapixel photo for 7 % more bytes
        return {"compress_level": 3}
    if form == "TIFF":
        return {"compression": "tiff_adobe_deflate", "tiffinfo": {_PREDICTOR: 2}}
    if form == "JPEG":
        return {"quality": quality, "subsampling": 0}  # colour at full resolution
    # exact: also the colours below full transparency
    if quality is not None:
        return {"quality": quality, "exact": True}
    return {"lossless": True, "quality": 25, "method": 1, "exact": True}  # little effort: half the time, the same size


def _image(photo: Photo) -> Image.Image:
    return Image.fromarray(photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha]))


def _not_written(path: Path, form: str, error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        return f"{path} cannot be written ({error.strerror}); check the folder and its space."
    return f"{path} cannot be written as {form} ({error}); check the space on the disk, or write .png instead."


def _in_rgb(image: Image.Image, icc: bytes | None, notes: list[str]) -> tuple[Image.Image, bytes | None]:
    """The picture, not CMYK any more, and the colour profile that describes it as RGB; a loss is added to ``notes``.

    CMYK becomes sRGB through its profile ``icc``; without a usable one the conversion is a plain one.
    """
    if image.mode == "CMYK":
        converted = None if icc is None else _through_profile(image, icc)
        how = "without a usable profile, so they may look different" if converted is None else "through their profile"
        notes.append(f"Its CMYK colours were converted to RGB {how}.")
        return image.convert("RGB") if converted is None else converted, None
    space = b"" if icc is None else icc[16:20]
    fits = space == b"RGB " or (image.mode not in GRAY_MODES and space not in (b"GRAY", b"CMYK"))
    kept = colours_only(icc) if icc is not None and fits else None
    if icc is not None and kept is None:
        why = "is damaged" if fits else "describes other colours than RGB"
        notes.append(f"Its colour profile {why} and was left out.")
    return image, kept


def _through_profile(image: Image.Image, icc: bytes) -> Image.Image | None:
    """CMYK as sRGB, or None when ``icc`` is damaged or describes other colours."""
    try:
        profile, srgb = ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB")
        intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
        return ImageCms.profileToProfile(image, profile, srgb, intent, "RGB", flags=flags)
    except (ImageCms.PyCMSError, *DAMAGE):
        return None


def _kept_exif(image: Image.Image, notes: list[str]) -> bytes | None:
    """The EXIF block of an upright photo with the tags that are kept, or None; it may be damaged in any way."""
    try:
        exif, kept = image.getexif(), Image.Exif()
        kept.update({tag: exif[tag] for tag in _KEPT_TAGS if tag in exif})
        blocks = {block: exif.get_ifd(block) for block in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)}
        for block, values in blocks.items():
            if left := {tag: value for tag, value in values.items() if tag not in _LEFT_OUT}:
                kept.get_ifd(block).update(left)
        if not exif and len(image.info.get("exif") or b"") > len(_EXIF_HEAD):
            raise ValueError("a block without a readable tag")
        if not kept and not any(blocks.values()):
            return None
        kept[ExifTags.Base.Orientation] = 1
        return kept.tobytes()
    except DAMAGE:
        notes.append(EXIF_LOST)
        return None


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Silence Pillow about odd metadata, which never changes the pixels, and about sizes, which are checked here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield
