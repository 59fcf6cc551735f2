"""Reading photo files: upright, within the pixel limit, and a sentence for everything that cannot be read."""

import io
import struct
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from faceguard.errors import PhotoError
from faceguard.photo import Photo, read, write

ORIENTATION, MAKE, GPS, SETTINGS = 0x0112, 0x010F, 0x8825, 0x8769
FORMS = ("JPEG", "MPO", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "HEIF")


def picture(height: int = 24, width: int = 36, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Smooth random pixels, so that JPEG keeps them well."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, channels), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    pillow_heif.register_heif_opener()
    buffer = io.BytesIO()
    image.save(buffer, format=form, **options)
    return buffer.getvalue()


def read_bytes(folder: Path, data: bytes, **options: Any) -> Photo:
    (folder / "photo").write_bytes(data)
    return read(folder / "photo", **options)


@cache
def sample(form: str) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE], exif.get_ifd(GPS)[2] = 3, "Camera", (48.0, 12.0, 30.0)
    exif.get_ifd(SETTINGS)[0x9003] = "2024:01:31 12:00:00"
    options: dict[str, Any] = {} if form in ("BMP", "GIF") else {"exif": exif.tobytes()}
    if form == "MPO":
        options |= {"save_all": True, "append_images": [Image.fromarray(picture(seed=1))]}
    return encoded(Image.fromarray(picture()), form, **options)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_header(width: int, height: int) -> bytes:
    """A PNG that is nothing but a header."""
    size = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + size + chunk(b"IDAT", b"")


# what an orientation asks for, written without Pillow
TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
@pytest.mark.parametrize("orientation", TURNS)
def test_every_orientation_comes_out_upright(tmp_path: Path, form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {"quality": -1, "chroma": 444, "matrix_coefficients": 0} if form == "HEIF" else {}
    stored = read_bytes(tmp_path, encoded(Image.fromarray(picture()), form, **options)).pixels
    turned = read_bytes(tmp_path, encoded(Image.fromarray(picture()), form, exif=exif.tobytes(), **options)).pixels
    assert stored.shape == (24, 36, 3)
    assert np.array_equal(turned, TURNS[orientation](stored))


@pytest.mark.parametrize("value", [0, 9, 77, 65_535])
def test_an_orientation_that_does_not_exist_counts_as_upright(tmp_path: Path, value: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = value
    data = encoded(Image.fromarray(picture()), "PNG", exif=exif)
    assert b"eXIf" in data and np.array_equal(read_bytes(tmp_path, data).pixels, picture())


DAMAGED_EXIF = [
    b"XX*\0\x08\0\0\0",
    b"MM\0*\xff\xff\xff\xff",
    b"II\0\0\x08\0\0\0",
    b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x01A",
]


@pytest.mark.parametrize("damage", DAMAGED_EXIF, ids=["magic", "far away", "no version", "not a number"])
@pytest.mark.parametrize("form", ["JPEG", "MPO", "WEBP", "AVIF", "HEIF"])
def test_a_damaged_exif_block_leaves_the_photo_readable(tmp_path: Path, form: str, damage: bytes) -> None:
    exif = Image.Exif()
    exif[MAKE] = "a camera with a long name"
    more = {"save_all": True, "append_images": [Image.new("RGB", (8, 8))]} if form == "MPO" else {}
    good = encoded(Image.fromarray(picture()), form, exif=exif.tobytes(), **more)
    start = good.find(exif.tobytes()[6:])
    assert start > 0
    photo = read_bytes(tmp_path, good[:start] + damage + good[start + len(damage) :])
    assert np.array_equal(photo.pixels, read_bytes(tmp_path, good).pixels) and photo.exif is None


def animation(form: str) -> bytes:
    more = [Image.fromarray(picture(seed=1))]
    return encoded(Image.fromarray(picture()), form, save_all=True, append_images=more)


def heif_sequence() -> bytes:
    data = encoded(Image.fromarray(picture()), "HEIF")
    return data[:8] + b"hevc" + data[12:]


UNREADABLE = {
    "empty.jpg": (lambda: b"", "is empty"),
    "text.jpg": (lambda: b"Dear diary, this is not a photo.", "is not a picture that can be read"),
    "video.heic": (lambda: b"\0\0\0\x18ftypmp42" + bytes(50), "is not a picture that can be read"),
    "half.jpg": (lambda: encoded(Image.fromarray(picture(99, 99)), "JPEG")[:-400], "is damaged"),
    "half.png": (lambda: encoded(Image.fromarray(picture(99, 99)), "PNG")[:-900], "is damaged"),
    "half.webp": (lambda: encoded(Image.fromarray(picture(99, 99)), "WEBP")[:-90], "is damaged"),
    "half.tif": (lambda: encoded(Image.fromarray(picture(99, 99)), "TIFF")[:-900], "is damaged"),
    "half.heic": (lambda: encoded(Image.fromarray(picture(99, 99)), "HEIF")[:-90], "is damaged"),
    "two.gif": (lambda: animation("GIF"), "is an animated GIF"),
    "two.png": (lambda: animation("PNG"), "is an animated PNG"),
    "two.webp": (lambda: animation("WEBP"), "is an animated WEBP"),
    "two.avif": (lambda: animation("AVIF"), "is an animated AVIF"),
    "two.tif": (lambda: animation("TIFF"), "is a TIFF with 2 pages"),
    "sequence.heic": (heif_sequence, "is an animated HEIF"),
    "float.tif": (lambda: encoded(Image.new("F", (9, 9)), "TIFF"), "stores its colours as F"),
    "signed.tif": (lambda: encoded(Image.new("I", (9, 9)), "TIFF"), "stores its colours as I"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_said_in_a_sentence_with_its_path(tmp_path: Path, name: str) -> None:
    make, words = UNREADABLE[name]
    (tmp_path / name).write_bytes(make())
    with pytest.raises(PhotoError) as caught:
        read(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name} {words}") and str(caught.value).endswith(".")


def test_missing_files_and_folders_are_said_too(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.jpg", tmp_path):
        with pytest.raises(PhotoError, match="cannot be opened"):
            read(path)


def test_the_pixel_limit_is_inclusive(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write(Photo(pixels=picture(10, 10)), path)
    assert read(path, pixel_limit=100).pixels.shape == (10, 10, 3)
    with pytest.raises(PhotoError, match=r"more pixels than is safe to decode \(10 x 10\)"):
        read(path, pixel_limit=99)


# where a header says that a photo is w x h; 64 is the block size of HEIC
SIZES = {
    "JPEG": lambda w, h: struct.pack(">HH", h, w),
    "BMP": lambda w, h: struct.pack("<II", w, h),
    "GIF": lambda w, h: struct.pack("<HH", w, h),
    "AVIF": lambda w, h: b"ispe" + struct.pack(">III", 0, w, h),
    "HEIF": lambda w, h: b"ispe" + struct.pack(">III", 0, w, h),
    "TIFF": lambda w, h: struct.pack("<HHIIHHII", 256, 4, 1, w, 257, 4, 1, h),
}


def claiming(form: str, width: int, height: int) -> bytes:
    """A small photo whose header claims width x height pixels."""
    if form == "PNG":
        return png_header(width, height)
    if form == "WEBP":  # only an animation may be larger than what it holds
        data, sides = animation("WEBP"), struct.pack("<IHB", (width - 1) << 8, (height - 1) & 65_535, 0)
        return data[:24] + sides[1:] + data[30:]
    data = encoded(Image.fromarray(picture(64, 64)), form)
    assert data.count(SIZES[form](64, 64)) >= 1
    return data.replace(SIZES[form](64, 64), SIZES[form](width, height))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "HEIF"])
def test_a_header_that_claims_too_much_is_refused_before_decoding(
    tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = claiming(form, 12_000, 12_000)
    monkeypatch.setattr(ImageFile.ImageFile, "load_prepare", lambda self: pytest.fail("memory was taken"))
    with pytest.raises(PhotoError, match=r"12000 x 12000\): the limit is 100 million"):
        read_bytes(tmp_path, data)


@pytest.mark.parametrize("size", [(10_001, 10_000), (60_000, 60_000)])
def test_a_png_that_is_nothing_but_a_huge_header_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    with pytest.raises(PhotoError, match="claims more pixels than is safe to decode"):
        read_bytes(tmp_path, png_header(*size))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    form=st.sampled_from(FORMS),
    edits=st.lists(st.tuples(st.floats(0, 0.999), st.binary(min_size=1, max_size=3)), max_size=4),
    kept=st.floats(0.3, 1),
)
def test_any_damage_reads_or_raises_photo_error(
    scratch: Path, form: str, edits: list[tuple[float, bytes]], kept: float
) -> None:
    data = bytearray(sample(form))
    for where, replacement in edits:
        start = int(where * len(data))
        data[start : start + len(replacement)] = replacement
    try:
        photo = read_bytes(scratch, bytes(data[: int(kept * len(data))]), pixel_limit=100_000)
    except PhotoError as error:
        assert str(error).startswith(str(scratch))
    else:
        assert photo.pixels.dtype == np.uint8 and photo.pixels.ndim == 3
