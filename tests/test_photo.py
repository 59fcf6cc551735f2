"""Photo files: upright in, lossless out, and a sentence for everything that cannot be read."""

import errno
import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from faceguard.errors import PhotoError
from faceguard.photo import Photo, read, write

ORIENTATION, MAKE, GPS = 0x0112, 0x010F, 0x8825


def picture(height: int = 24, width: int = 36, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Smooth random pixels, so that JPEG keeps them well."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, channels), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def encoded(image: Image.Image, form: str, **settings: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=form, **settings)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that is nothing but a header."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", b"")
    )


@pytest.mark.parametrize("alpha", [None, picture()[..., 0]])
@pytest.mark.parametrize("icc", [None, b"a colour profile"])
def test_pixels_alpha_and_colour_profile_come_back_exactly(
    tmp_path: Path, alpha: np.ndarray | None, icc: bytes | None
) -> None:
    write(Photo(pixels=picture(), alpha=alpha, icc=icc), tmp_path / "new" / "a.png")
    back = read(tmp_path / "new" / "a.png")
    assert np.array_equal(back.pixels, picture()) and back.pixels.dtype == np.uint8
    assert (back.alpha is None) == (alpha is None)
    assert alpha is None or np.array_equal(back.alpha, alpha)
    assert back.icc == icc


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_upright(tmp_path: Path, form: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / "turned"
    path.write_bytes(encoded(Image.fromarray(picture()), form, exif=exif))
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert np.array_equal(read(path).pixels, expected)
    assert expected.shape[:2] == ((36, 24) if orientation >= 5 else (24, 36))


def test_place_camera_and_orientation_are_not_written(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE] = 6, "Camera of someone"
    exif.get_ifd(GPS)[2] = (48.0, 12.0, 30.0)
    source, out = tmp_path / "a.jpg", tmp_path / "a.png"
    source.write_bytes(encoded(Image.fromarray(picture()), "JPEG", exif=exif, comment=b"at home", icc_profile=b"kept"))
    write(read(source), out)
    with Image.open(out) as image:
        assert dict(image.getexif()) == {}
        assert image.info == {"icc_profile": b"kept"}
    assert b"Camera" not in out.read_bytes() and b"home" not in out.read_bytes()


@pytest.mark.parametrize("mode", ["L", "1"])
def test_gray_photos_become_rgb_and_lose_their_gray_profile(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "gray.png"
    gray = Image.fromarray(picture()).convert(mode)
    path.write_bytes(encoded(gray, "PNG", icc_profile=b"gray levels"))
    photo = read(path)
    assert np.array_equal(photo.pixels, np.asarray(gray.convert("RGB"))) and photo.icc is None and photo.alpha is None


def test_palettes_and_transparent_colours_keep_their_look(tmp_path: Path) -> None:
    palette = Image.fromarray(picture()).quantize(8)
    path = tmp_path / "palette.png"
    path.write_bytes(encoded(palette, "PNG", transparency=3))
    photo = read(path)
    assert np.array_equal(photo.pixels, np.asarray(palette.convert("RGB")))
    assert photo.alpha is not None and np.array_equal(photo.alpha == 0, np.asarray(palette) == 3)


def test_a_phone_jpeg_with_a_second_picture_gives_the_first(tmp_path: Path) -> None:
    first, second = Image.fromarray(picture(seed=1)), Image.fromarray(picture(seed=2))
    path = tmp_path / "phone.jpg"
    path.write_bytes(encoded(first, "MPO", save_all=True, append_images=[second], quality=95))
    assert np.abs(read(path).pixels.astype(int) - picture(seed=1)).mean() < 5


UNREADABLE = {
    "empty": b"",
    "text.jpg": b"Dear diary, this is not a photo.",
    "truncated.jpg": encoded(Image.fromarray(picture(99, 99)), "JPEG")[:-400],
    "truncated.png": encoded(Image.fromarray(picture(99, 99)), "PNG")[:-900],
    "animated.gif": encoded(
        Image.fromarray(picture()), "GIF", save_all=True, append_images=[Image.fromarray(picture(seed=1))]
    ),
    "animated.png": encoded(
        Image.fromarray(picture()), "PNG", save_all=True, append_images=[Image.fromarray(picture(seed=1))]
    ),
    "animated.webp": encoded(
        Image.fromarray(picture()), "WEBP", save_all=True, append_images=[Image.fromarray(picture(seed=1))]
    ),
    "large.png": png_header(10_001, 10_000),
    "bomb.png": png_header(60_000, 60_000),
    "deep.png": encoded(Image.fromarray(np.full((20, 20), 40_000, dtype=np.uint16)), "PNG"),
    "cmyk.jpg": encoded(Image.fromarray(picture()).convert("CMYK"), "JPEG"),
    "tiff.jpg": encoded(Image.fromarray(picture()), "TIFF"),
}
WORDS = {
    "empty": "is empty",
    "text.jpg": "is no JPEG",
    "truncated.jpg": "is damaged",
    "truncated.png": "is damaged",
    "animated.gif": "2 frames",
    "animated.png": "2 frames",
    "animated.webp": "2 frames",
    "large.png": "more than the limit of 100 million",
    "bomb.png": "more pixels than 100 million",
    "deep.png": "I;16",
    "cmyk.jpg": "CMYK",
    "tiff.jpg": "is no JPEG",
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cannot_be_read_is_said_in_a_sentence_with_its_path(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(UNREADABLE[name])
    with pytest.raises(PhotoError) as caught:
        read(path)
    message = str(caught.value)
    assert str(path) in message and WORDS[name] in message and message.endswith(".")


def test_missing_files_and_folders_are_said_too(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.jpg", tmp_path):
        with pytest.raises(PhotoError, match="cannot be opened"):
            read(path)


def test_the_pixel_limit_is_inclusive(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write(Photo(pixels=picture(10, 10)), path)
    assert read(path, pixel_limit=100).pixels.shape == (10, 10, 3)
    with pytest.raises(PhotoError, match="10 x 10 pixels"):
        read(path, pixel_limit=99)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "photo"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    form=st.sampled_from(["JPEG", "PNG", "WEBP", "BMP", "GIF"]),
    edits=st.lists(st.tuples(st.floats(0, 0.999), st.binary(min_size=1, max_size=3)), max_size=4),
    kept=st.floats(0.3, 1),
)
def test_any_damage_reads_or_raises_photo_error(
    scratch: Path, form: str, edits: list[tuple[float, bytes]], kept: float
) -> None:
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE] = 3, "Camera"
    data = bytearray(encoded(Image.fromarray(picture()), form, **({"exif": exif} if form in ("JPEG", "PNG") else {})))
    for where, replacement in edits:
        start = int(where * len(data))
        data[start : start + len(replacement)] = replacement
    scratch.write_bytes(bytes(data[: int(kept * len(data))]))
    try:
        photo = read(scratch, pixel_limit=100_000)
    except PhotoError as error:
        assert str(error).startswith(str(scratch))
    else:
        assert photo.pixels.dtype == np.uint8 and photo.pixels.ndim == 3


def test_an_existing_file_stays_unless_overwriting_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"precious")
    with pytest.raises(PhotoError, match="already exists"):
        write(Photo(pixels=picture()), path)
    assert path.read_bytes() == b"precious"
    write(Photo(pixels=picture()), path, overwrite=True)
    assert np.array_equal(read(path).pixels, picture())


def test_a_broken_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to(tmp_path / "elsewhere.png")
    with pytest.raises(PhotoError, match="already exists"):
        write(Photo(pixels=picture()), tmp_path / "a.png")
    write(Photo(pixels=picture()), tmp_path / "a.png", overwrite=True)
    assert not (tmp_path / "a.png").is_symlink() and not (tmp_path / "elsewhere.png").exists()


def test_only_png_is_written(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match=r"does not end in \.png"):
        write(Photo(pixels=picture()), tmp_path / "a.jpg")
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Image.Image, file: io.BufferedWriter, **settings: Any) -> None:
        file.write(b"half a photo")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(PhotoError, match="No space left"):
        write(Photo(pixels=picture()), tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_folder_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "folder").write_bytes(b"a file")
    with pytest.raises(PhotoError, match="cannot be written"):
        write(Photo(pixels=picture()), tmp_path / "folder" / "a.png")


def test_written_photos_have_the_permissions_of_ordinary_files(tmp_path: Path) -> None:
    (tmp_path / "ordinary").touch()
    write(Photo(pixels=picture()), tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "ordinary").stat().st_mode
