"""Picture files -> upright pixels of eight bits: the one place where faceguard decodes.

H x W pixels, C channels. Only Pillow opens files; HEIC reaches it through the package pillow-heif. `photo.read` uses all of
this and says what a file loses; data sets (`readers.record`) take the first frame and lose silently.
"""

import io
import re
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from faceguard.errors import PhotoError

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "HEIF")  # GIF: one frame is a photo, more are refused

# What Pillow's decoders raise on damaged data: most of them meet it with no checks of their own.
DAMAGE = (
    *(OSError, ValueError, SyntaxError, EOFError, struct.error, LookupError, TypeError, AttributeError),
    *(ArithmeticError, AssertionError, RuntimeError, MemoryError),
)
_BOMB = (Image.DecompressionBombError, Image.DecompressionBombWarning)
# EXIF orientation -> what undoes it; ImageOps.exif_transpose would also rewrite the EXIF block, which may be damaged
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
GRAY_MODES = frozenset({"1", "L", "LA"})
_MODES = GRAY_MODES | {"I;16", "I;16B", "I;16L", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"}
_BITS, _PHOTOMETRIC, _PLANAR = 258, 262, 284  # TIFF tags


@contextmanager
def opened(
    source: bytes | Path, name: str, formats: tuple[str, ...], pixel_limit: float
) -> Iterator[ImageFile.ImageFile]:
    """The picture in a file or in bytes, its pixels not yet decoded; ``name`` is what an error calls it.

    Whatever goes wrong inside the ``with`` becomes a PhotoError: a file that is missing, empty, damaged or of another
    format, or whose header claims more than ``pixel_limit`` pixels.
    """
    try:
        with _open(source, formats) as image:
            if image.width * image.height > pixel_limit:
                raise PhotoError(_too_large(name, pixel_limit, f" ({image.width} x {image.height})"))
            yield image
    except _BOMB as error:  # Pillow's own guard
        raise PhotoError(_too_large(name, pixel_limit)) from error
    except DAMAGE as error:
        raise PhotoError(f"{name} {_reason(source, formats, error)}") from error


def refuse_unsuitable(image: ImageFile.ImageFile, name: str) -> None:
    """Raise PhotoError for what the header shows to be no single photo, and as `refuse_colours` does."""
    frames = getattr(image, "n_frames", 1)
    sequence = (image.custom_mimetype or "").endswith("-sequence")
    if sequence or (frames > 1 and image.format not in ("MPO", "HEIF")):
        kind = f"a {image.format} with {frames} pages" if image.format == "TIFF" else f"an animated {image.format}"
        raise PhotoError(f"{name} is {kind}, not one photo; save the picture you want as a file of its own.")
    refuse_colours(image, name)


def refuse_colours(image: ImageFile.ImageFile, name: str) -> None:
    """Raise PhotoError for what the header shows to have colours that have no plain RGB."""
    if image.mode not in _MODES:
        raise PhotoError(
            f"{name} stores its colours as {image.mode}; convert it to an ordinary 8-bit RGB picture first."
        )
    if isinstance(image, TiffImageFile) and image.tag_v2.get(_PLANAR) == 2 and _bits(image, b"") > 8:
        raise PhotoError(f"{name} stores 16-bit colours in separate planes; save it with interleaved channels first.")


def upright(image: ImageFile.ImageFile) -> Image.Image:
    """Decode the pixels and undo the EXIF orientation; a damaged or unknown one counts as 1."""
    image.load()  # also undoes the orientation of a TIFF
    turn = _UPRIGHT.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def eight_bits(image: ImageFile.ImageFile, source: bytes | Path, notes: list[str]) -> Image.Image:
    """The upright picture at eight bits per channel, 16-bit values as round(value / 257); a loss is added to ``notes``."""
    raw, bits = _rawmode(image), _bits(image, source)
    deep = image.mode.startswith("I;16") or ";16" in raw
    if deep or bits > 8:
        notes.append(f"Its {bits} bits per colour were reduced to 8.")
    if raw in ("L;2", "L;4") and isinstance(image.info.get("transparency"), int):
        # Pillow scales the levels of such a PNG to 0..255, but not the level that is transparent
        image.info["transparency"] *= 85 if raw == "L;2" else 17
    if not deep or raw.startswith("RGBa"):
        return upright(image)
    return _merge(*_bytes_of_levels(image, source, raw), image.mode, image.info.get("transparency"))


def channels(image: Image.Image) -> tuple[NDArray[np.uint8], NDArray[np.uint8] | None]:
    """H x W x 3 RGB and H x W alpha of an 8-bit picture; None for alpha where every pixel is opaque."""
    if not image.has_transparency_data:
        return np.array(image.convert("RGB")), None
    levels = np.array(image.convert("RGBA"))
    alpha = np.ascontiguousarray(levels[..., 3])
    return np.ascontiguousarray(levels[..., :3]), None if alpha.min(initial=255) == 255 else alpha


def _open(source: bytes | Path, formats: tuple[str, ...]) -> ImageFile.ImageFile:
    if "HEIF" in formats and "HEIF" not in Image.OPEN:
        from pillow_heif import register_heif_opener

        register_heif_opener()
    try:
        return Image.open(source if isinstance(source, Path) else io.BytesIO(source), formats=formats)
    except DAMAGE:
        if "AVIF" not in formats or head(source, 12)[4:] not in (b"ftypavif", b"ftypmif1"):
            raise
        # an AVIF with a damaged EXIF block cannot be opened; one with an unknown block can
        whole = source.read_bytes() if isinstance(source, Path) else source
        return Image.open(io.BytesIO(re.sub(rb"(?s)(infe.{8})Exif", rb"\1none", whole, count=1)), formats=formats)


def head(source: bytes | Path, size: int) -> bytes:
    """The first ``size`` bytes of a file, or of bytes."""
    if isinstance(source, bytes):
        return source[:size]
    with source.open("rb") as file:
        return file.read(size)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation 1..8; 1 when there is none or the EXIF block is damaged, which says nothing of the pixels."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except DAMAGE:
        return 1
    return value if isinstance(value, int) else 1


def _rawmode(image: ImageFile.ImageFile) -> str:
    """Pillow's word for the layout of the undecoded pixels, such as RGB;16B; empty where it has none."""
    args = image.tile[0].args if image.tile else None
    first = args[0] if isinstance(args, tuple) else args
    return first if isinstance(first, str) else ""


def _use_rawmode(image: ImageFile.ImageFile, raw: str) -> None:
    """Decode the pixels as if they were laid out as ``raw``."""
    image.tile = [
        tile._replace(args=(raw, *tile.args[1:]) if isinstance(tile.args, tuple) else raw) for tile in image.tile
    ]


def _bits(image: ImageFile.ImageFile, source: bytes | Path) -> int:
    """Bits per channel in the file, where they can be more than 8; Pillow itself gives 10 bits as 8."""
    if isinstance(image, TiffImageFile):
        return int(max(image.tag_v2.get(_BITS, (1,))))
    if image.format == "AVIF":  # two flags in the configuration of its decoder
        found = re.search(rb"(?s)av1C..(.)", head(source, 65_536))
        return 8 + 2 * (found[1][0] & 0x60).bit_count() if found else 8
    return int(image.info.get("bit_depth", 16 if ";16" in _rawmode(image) else 8))


def _bytes_of_levels(
    image: ImageFile.ImageFile, source: bytes | Path, raw: str
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The high and the low bytes of 16-bit levels, each H x W x C and upright.

    Pillow decodes 16-bit colours to their high bytes. Read a second time in the other byte order, it gives the low ones.
    """
    if image.mode.startswith("I;16"):
        levels = _gray_levels(image)[..., None]
        return (levels >> 8).astype(np.uint8), levels.astype(np.uint8)
    if raw == "LA;16B":  # as large as RGBA at 8 bits
        _use_rawmode(image, "RGBA")
        both = np.asarray(upright(image))
        return both[..., ::2], both[..., 1::2]
    native, other = ("L", "B") if sys.byteorder == "little" else ("B", "L")
    with _open(source, FORMATS) as again:
        _use_rawmode(again, raw[:-1] + (native if raw[-1] == other else other))
        low = np.asarray(upright(again))
    return np.asarray(upright(image)), low


def _gray_levels(image: ImageFile.ImageFile) -> NDArray[np.uint16]:
    """Upright H x W gray levels, 0 black and 65535 white."""
    levels: NDArray[np.uint16] = np.asarray(upright(image)).astype(np.uint16)
    if not isinstance(image, TiffImageFile):
        return levels
    if _bits(image, b"") == 12:
        levels = (levels << 4 | levels >> 8).astype(np.uint16)
    return ~levels if image.tag_v2.get(_PHOTOMETRIC) == 0 else levels  # 0: white is zero, which Pillow leaves so


def _merge(
    high: NDArray[np.uint8], low: NDArray[np.uint8], mode: str, key: int | tuple[int, ...] | None
) -> Image.Image:
    """An 8-bit picture from 16-bit levels; pixels of the colour ``key`` (of a PNG) become transparent."""
    # value = 257 high + (low - high), so value / 257 is rounded to high, or one off where the two differ by > 128
    levels = high + ((low > high) & (low - high > 128)) - ((high > low) & (high - low > 128))
    if key is not None:
        colour = np.atleast_1d(np.asarray(key, dtype=np.uint16))
        opaque = ((high != colour >> 8) | (low != colour & 255)).any(axis=2)
        levels = np.dstack([levels, np.where(opaque, np.uint8(255), np.uint8(0))])
    height, width, count = levels.shape
    mode = mode if mode == "CMYK" else ("L", "LA", "RGB", "RGBA")[count - 1]
    return Image.frombytes(mode, (width, height), levels.tobytes())


def _too_large(name: str, pixel_limit: float, size: str = "") -> str:
    return (
        f"{name} claims more pixels than is safe to decode{size}: the limit is {pixel_limit / 1e6:g} million;"
        " scale it down or leave it out."
    )


def _reason(source: bytes | Path, formats: tuple[str, ...], error: BaseException) -> str:
    """The rest of a sentence that starts with the photo's name."""
    if isinstance(error, OSError) and error.errno is not None:
        return f"cannot be opened ({error.strerror}); check the path and its permissions."
    if (source.stat().st_size if isinstance(source, Path) else len(source)) == 0:
        return "is empty; copy it again from where it came."
    if isinstance(error, UnidentifiedImageError):
        return f"is not a picture that can be read ({', '.join(formats)}); convert it to one of these or remove it."
    return f"is damaged ({error}); copy it again from where it came."
