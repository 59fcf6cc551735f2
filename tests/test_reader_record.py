"""Decoding one photo: faceguard.readers.record."""

import io
import pickle
import struct
import warnings
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from faceguard.errors import PhotoError
from faceguard.readers.record import Record, decode_image

PIXELS = np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header claims width x height and that holds no pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP"])
def test_a_lossless_photo_comes_back_exactly_from_bytes_and_from_a_file(kind: str, tmp_path: Path) -> None:
    data = encode(Image.fromarray(PIXELS), kind, **({"lossless": True} if kind == "WEBP" else {}))
    (tmp_path / "photo").write_bytes(data)
    for source in (data, tmp_path / "photo"):
        pixels = decode_image(source, "photo")
        assert pixels.dtype == np.uint8
        np.testing.assert_array_equal(pixels, PIXELS)
    assert decode_image(data, "photo").flags.writeable


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_undone_as_pillow_undoes_it(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(Image.fromarray(PIXELS), "PNG", exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    np.testing.assert_array_equal(decode_image(data, "photo"), expected)


@pytest.mark.parametrize(
    "value", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x01A"]
)
def test_a_damaged_exif_block_leaves_the_photo_readable(value: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pixels = decode_image(encode(Image.fromarray(PIXELS), "PNG", exif=value), "photo")
    np.testing.assert_array_equal(pixels, PIXELS)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
def test_every_pixel_layout_becomes_rgb(mode: str) -> None:
    gray = Image.fromarray(PIXELS[..., 0])
    image = (gray if mode in ("1", "L", "LA") else Image.fromarray(PIXELS)).convert(mode)
    kind = "JPEG" if mode == "CMYK" else "PNG"
    pixels = decode_image(encode(image, kind), "photo")
    assert pixels.shape == (7, 5, 3)
    if mode == "RGBA":
        np.testing.assert_array_equal(pixels, PIXELS)
    if mode in ("L", "LA"):
        np.testing.assert_array_equal(pixels, np.repeat(PIXELS[..., :1], 3, axis=2))


def test_a_palette_with_transparency_becomes_rgb() -> None:
    image = Image.fromarray(PIXELS).convert("P")
    data = encode(image, "PNG", transparency=bytes(range(256)))
    np.testing.assert_array_equal(decode_image(data, "photo"), np.asarray(image.convert("RGB")))


def test_sixteen_bit_levels_are_scaled_and_not_cut_off() -> None:
    levels = np.array([[0, 255, 256, 32768, 65535]], dtype=np.uint16)
    pixels = decode_image(encode(Image.fromarray(levels), "PNG"), "photo")
    assert pixels[0, :, 0].tolist() == [0, 1, 1, 128, 255]


def test_a_tiff_of_sixteen_bits_whose_zero_is_white_is_no_negative() -> None:
    levels, buffer = np.array([[0, 257, 65535]], dtype=np.uint16), io.BytesIO()
    tifffile.imwrite(buffer, levels, photometric="miniswhite")
    assert decode_image(buffer.getvalue(), "photo")[0, :, 1].tolist() == [255, 254, 0]


@pytest.mark.parametrize(("mode", "number"), [("F", 0.5), ("I", 70_000)])
def test_colours_that_are_no_levels_are_refused_rather_than_read_as_black(mode: str, number: float) -> None:
    with pytest.raises(PhotoError, match=f"me stores its colours as {mode}; convert it"):
        decode_image(encode(Image.new(mode, (4, 4), number), "TIFF"), "me")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "me.jpg is empty"),
        (b"not a picture", "me.jpg is not a picture"),
        (encode(Image.new("RGB", (3, 3)), "PCX"), "me.jpg is not a picture"),
        (encode(Image.fromarray(PIXELS), "PNG")[:60], "me.jpg is damaged"),
        (encode(Image.fromarray(PIXELS), "JPEG")[:-20], "me.jpg is damaged"),
        (png_of_size(20_000, 20_000), "me.jpg claims more pixels"),
        (png_of_size(10_000, 9_000), "me.jpg claims more pixels"),
    ],
    ids=["empty", "text", "pcx", "cut png", "cut jpeg", "400 megapixels", "90 megapixels"],
)
def test_an_unreadable_photo_is_a_photo_error_with_its_name_and_a_remedy(
    data: bytes, words: str, tmp_path: Path
) -> None:
    (tmp_path / "photo").write_bytes(data)
    for source in (data, tmp_path / "photo"):
        with pytest.raises(PhotoError, match=words):
            decode_image(source, "me.jpg")


@pytest.mark.parametrize("form", ["TIFF", "HEIF", "AVIF"])
def test_what_phones_and_cameras_write_is_read_as_well(form: str) -> None:
    """So that one's own photos can go into a noise bank as they are (``generate --with``)."""
    pillow_heif.register_heif_opener()
    flat = np.full((32, 48, 3), (200, 120, 40), dtype=np.uint8)
    read = decode_image(encode(Image.fromarray(flat), form), "me")
    assert read.shape == flat.shape
    assert np.abs(read.astype(int) - flat).max() <= 6


@pytest.mark.filterwarnings("ignore:Image size:PIL.Image.DecompressionBombWarning")
def test_a_huge_photo_is_refused_even_where_pillow_only_warns() -> None:
    with pytest.raises(PhotoError, match="more pixels than is safe"):
        decode_image(png_of_size(10_000, 9_000), "me.jpg")


def test_a_missing_file_is_a_photo_error(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match=r"me\.jpg cannot be opened \(No such file"):
        decode_image(tmp_path / "absent.jpg", "me.jpg")


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from(["PNG", "JPEG", "BMP", "WEBP", "GIF"]),
    changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=20),
    cut=st.integers(0, 10_000),
)
def test_damage_gives_pixels_or_a_photo_error_and_nothing_else(
    kind: str, changes: list[tuple[int, int]], cut: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = bytearray(encode(Image.fromarray(PIXELS), kind, **({} if kind in ("BMP", "GIF") else {"exif": exif})))
    for place, value in changes:
        data[place % len(data)] = value
    if cut < len(data):
        del data[cut:]
    try:
        pixels = decode_image(bytes(data), "photo")
    except PhotoError:
        return
    assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3


def test_a_record_can_be_pickled_and_read_elsewhere(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(encode(Image.fromarray(PIXELS), "PNG"))
    record = pickle.loads(pickle.dumps(Record("a", "Ann", partial(decode_image, file, "a"), file)))
    read: NDArray[np.uint8] = record.read()
    np.testing.assert_array_equal(read, PIXELS)
    assert (record.key, record.identity, record.source) == ("a", "Ann", file)
