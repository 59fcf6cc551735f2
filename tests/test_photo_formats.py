"""Every kind of photo file that people have: its pixels as they look, and a note for everything that it loses."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pillow_heif
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from test_photo import chunk, encoded, picture, read_bytes

from faceguard.errors import PhotoError

REDUCED = "Its 16 bits per colour were reduced to 8."
PLAIN_CMYK = "Its CMYK colours were converted to RGB without a usable profile, so they may look different."
HEIF_LOSSLESS = {"quality": -1, "chroma": 444, "matrix_coefficients": 0}


def deep(channels: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 65_536, (7, 5, channels), dtype=np.uint16)


def rounded(levels: np.ndarray) -> np.ndarray:
    return np.floor(levels / 257 + 0.5).astype(np.uint8)


def png(levels: np.ndarray, bits: int, kind: int, key: bytes = b"") -> bytes:
    """A PNG of H x W x C levels, written by hand: Pillow writes no 16-bit colours; ``key`` is the transparent colour."""
    rows = levels.astype(">u2" if bits == 16 else np.uint8).reshape(len(levels), -1)
    packed = rows if bits >= 8 else np.packbits(np.unpackbits(rows[..., None], axis=2)[..., 8 - bits :], axis=None)
    lines = packed.reshape(len(levels), -1)
    header = struct.pack(">IIBBBBB", levels.shape[1], levels.shape[0], bits, kind, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + line.tobytes() for line in lines))
    trns = chunk(b"tRNS", key) if key else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + trns + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def tiff(levels: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, levels, **options)
    return buffer.getvalue()


LOSSLESS = {
    "PNG": {},
    "BMP": {},
    "WEBP": {"lossless": True},
    "TIFF": {},
    "AVIF": {"quality": 100, "subsampling": "4:4:4", "codec": "auto"},
    "HEIF": HEIF_LOSSLESS,
}


@pytest.mark.parametrize("form", LOSSLESS)
def test_rgb_comes_out_as_it_was_stored_and_loses_nothing(tmp_path: Path, form: str) -> None:
    photo = read_bytes(tmp_path, encoded(Image.fromarray(picture()), form, **LOSSLESS[form]))
    assert np.abs(photo.pixels.astype(int) - picture()).max() <= (3 if form == "AVIF" else 0)
    assert photo.alpha is None and photo.notes == () and photo.exif is None and photo.icc is None


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_alpha_comes_out_as_it_was_stored(tmp_path: Path, form: str) -> None:
    levels = picture(channels=4)
    photo = read_bytes(tmp_path, encoded(Image.fromarray(levels), form, **LOSSLESS[form]))
    assert photo.alpha is not None
    assert np.abs(photo.alpha.astype(int) - levels[..., 3]).max() <= (3 if form == "AVIF" else 0)


def test_alpha_that_hides_nothing_is_none(tmp_path: Path) -> None:
    levels = np.dstack([picture(), np.full((24, 36), 255, np.uint8)])
    assert read_bytes(tmp_path, encoded(Image.fromarray(levels), "PNG")).alpha is None


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}], ids=str)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_jpegs_of_all_kinds_look_as_they_did(tmp_path: Path, mode: str, options: dict[str, Any]) -> None:
    image = Image.fromarray(picture()).convert(mode)
    photo = read_bytes(tmp_path, encoded(image, "JPEG", quality=95, **options))
    assert np.abs(photo.pixels.astype(int) - np.asarray(image.convert("RGB"))).mean() < 5 and photo.notes == ()


def test_a_lossy_webp_looks_as_it_did(tmp_path: Path) -> None:
    photo = read_bytes(tmp_path, encoded(Image.fromarray(picture()), "WEBP", quality=95))
    assert np.abs(photo.pixels.astype(int) - picture()).mean() < 5


@pytest.mark.parametrize("form", ["MPO", "HEIF"])
def test_a_phone_photo_with_a_second_picture_gives_the_main_one_and_says_so(tmp_path: Path, form: str) -> None:
    more = {"save_all": True, "append_images": [Image.new("RGB", (20, 20))], "quality": 95}
    photo = read_bytes(tmp_path, encoded(Image.fromarray(picture()), form, **more))
    assert np.abs(photo.pixels.astype(int) - picture()).mean() < 10
    assert photo.notes == ("Only its main picture was used; it holds 1 more, such as a depth map.",)


def test_the_main_picture_of_a_heic_need_not_be_its_first(tmp_path: Path) -> None:
    file = pillow_heif.HeifFile()
    file.add_from_pillow(Image.new("RGB", (20, 20)))
    file.add_from_pillow(Image.fromarray(picture()))
    buffer = io.BytesIO()
    file.save(buffer, primary_index=1, **HEIF_LOSSLESS)
    assert np.array_equal(read_bytes(tmp_path, buffer.getvalue()).pixels, picture())


@pytest.mark.parametrize("form", ["PNG", "TIFF", "GIF"])
@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_one_bit_gray_and_palette_pictures_become_rgb(tmp_path: Path, form: str, mode: str) -> None:
    image = Image.fromarray(picture()).convert("RGB" if mode == "P" else mode)
    image = image.quantize(8) if mode == "P" else image
    photo = read_bytes(tmp_path, encoded(image, form))
    assert np.array_equal(photo.pixels, np.asarray(image.convert("RGB"))) and photo.notes == ()


def test_a_transparent_colour_of_a_palette_becomes_alpha(tmp_path: Path) -> None:
    palette = Image.fromarray(picture()).quantize(8)
    photo = read_bytes(tmp_path, encoded(palette, "PNG", transparency=3))
    assert np.array_equal(photo.pixels, np.asarray(palette.convert("RGB")))
    assert photo.alpha is not None and np.array_equal(photo.alpha == 0, np.asarray(palette) == 3)


@pytest.mark.parametrize(
    ("bits", "kind", "channels"), [(2, 0, 1), (4, 0, 1), (8, 0, 1), (8, 2, 3), (16, 0, 1), (16, 2, 3)]
)
def test_the_transparent_colour_of_a_png_hides_exactly_that_colour(
    tmp_path: Path, bits: int, kind: int, channels: int
) -> None:
    levels = np.random.default_rng(1).integers(0, 2**bits, (6, 8, channels))
    levels[0, 0] = levels[2, 3] = levels[5, 5]
    levels[1, 1] = levels[5, 5] ^ 1  # at 16 bits it is rounded to the same level, yet stays visible
    photo = read_bytes(tmp_path, png(levels, bits, kind, levels[5, 5].astype(">u2").tobytes()))
    expected = levels * 255 / (2**bits - 1)
    assert np.array_equal(photo.pixels, np.broadcast_to(np.floor(expected + 0.5), (6, 8, 3)))
    assert photo.alpha is not None and np.array_equal(photo.alpha == 0, (levels == levels[5, 5]).all(axis=2))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 999), kind=st.sampled_from([(0, 1), (2, 3), (4, 2), (6, 4)]))
def test_sixteen_bits_of_a_png_are_rounded_to_eight(tmp_path: Path, seed: int, kind: tuple[int, int]) -> None:
    levels = deep(kind[1], seed)
    levels[0, :4, 0] = [128, 129, 65_407, 65_406]  # around the first and the last tie: 0.498, 0.502, 254.502, 254.498
    photo = read_bytes(tmp_path, png(levels, 16, kind[0]))
    colours = levels[..., :3] if kind[1] >= 3 else levels[..., :1]
    assert np.array_equal(photo.pixels, np.broadcast_to(rounded(colours), (7, 5, 3)))
    assert photo.notes == (REDUCED,)
    assert kind[1] in (1, 3) or (photo.alpha is not None and np.array_equal(photo.alpha, rounded(levels[..., -1])))


def test_a_turned_png_of_sixteen_bits_is_rounded_and_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = png(deep(3), 16, 2)
    data = data[:33] + chunk(b"eXIf", exif.tobytes()[6:]) + data[33:]
    assert np.array_equal(read_bytes(tmp_path, data).pixels, np.rot90(rounded(deep(3)), -1))


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sixteen_bits_of_a_tiff_are_rounded_to_eight(
    tmp_path: Path, channels: int, tile: tuple[int, int] | None, byteorder: Any, compression: str | None
) -> None:
    layout: dict[str, Any] = {"tile": tile, "byteorder": byteorder, "compression": compression}
    layout |= {"extrasamples": ["unassalpha"]} if channels == 4 else {}
    layout["photometric"] = "minisblack" if channels == 1 else "rgb"
    levels = deep(channels)
    stored = levels[..., 0] if channels == 1 else levels
    photo = read_bytes(tmp_path, tiff(stored, **layout))
    assert np.array_equal(photo.pixels, np.broadcast_to(rounded(levels[..., :3]), (7, 5, 3)))
    assert photo.notes == (REDUCED,) and (channels < 4 or np.array_equal(photo.alpha, rounded(levels[..., 3])))


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_tiff_whose_zero_is_white_is_no_negative(tmp_path: Path, compression: str | None) -> None:
    photo = read_bytes(tmp_path, tiff(deep(1)[..., 0], photometric="miniswhite", compression=compression))
    assert np.array_equal(photo.pixels[..., 0], rounded(65_535 - deep(1)[..., 0]))


def test_twelve_bit_gray_spans_black_to_white(tmp_path: Path) -> None:
    data = tiff(np.full((1, 4), 65_535, np.uint16), photometric="minisblack")
    depth = struct.pack("<HHII", 258, 3, 1, 16)
    assert data.count(depth) == 1
    packed = np.array([0x00, 0x0F, 0xFF, 0x80, 0x03, 0x1B], np.uint8)  # the levels 0, 4095, 2048 and 795
    data = data.replace(depth, struct.pack("<HHII", 258, 3, 1, 12)).replace(b"\xff" * 8, packed.tobytes() + b"\0\0")
    photo = read_bytes(tmp_path, data)
    assert photo.pixels[0, :, 0].tolist() == [0, 255, 128, 50]
    assert photo.notes == ("Its 12 bits per colour were reduced to 8.",)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_sixteen_bit_planes_are_refused_because_pillow_misreads_them(tmp_path: Path, compression: str | None) -> None:
    data = tiff(deep(3).transpose(2, 0, 1), photometric="rgb", planarconfig="separate", compression=compression)
    with pytest.raises(PhotoError, match="separate planes"):
        read_bytes(tmp_path, data)


@pytest.mark.parametrize("options", [{}, {"compression": "tiff_lzw"}, {"compression": "tiff_adobe_deflate"}], ids=str)
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK"])
def test_tiffs_of_eight_bits_are_read_however_they_are_packed(
    tmp_path: Path, mode: str, options: dict[str, str]
) -> None:
    image = Image.fromarray(picture()).convert(mode)
    photo = read_bytes(tmp_path, encoded(image, "TIFF", **options))
    assert np.array_equal(photo.pixels, np.asarray(image.convert("RGB")))
    assert photo.notes == ((PLAIN_CMYK,) if mode == "CMYK" else ())


def test_ten_bits_of_heic_are_named(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    pillow_heif.from_bytes("RGB;16", (5, 7), deep(3).tobytes()).save(buffer, quality=-1)
    assert read_bytes(tmp_path, buffer.getvalue()).notes == ("Its 10 bits per colour were reduced to 8.",)


@pytest.mark.skipif(not cv2.haveImageWriter(".avif"), reason="this OpenCV writes no AVIF")
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_more_than_eight_bits_of_avif_are_named(tmp_path: Path, bits: int) -> None:
    levels = (deep(3) >> (16 - bits)).astype(np.uint8 if bits == 8 else np.uint16)
    written, data = cv2.imencode(".avif", levels, [cv2.IMWRITE_AVIF_DEPTH, bits])
    said = () if bits == 8 else (f"Its {bits} bits per colour were reduced to 8.",)
    assert written and read_bytes(tmp_path, data.tobytes()).notes == said
