"""CMYK and colour profiles: what is converted, what is kept, and what is said of it."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms
from test_photo import encoded, picture, read_bytes

from faceguard.colour_profile import colours_only

THROUGH_PROFILE = "Its CMYK colours were converted to RGB through their profile."
PLAIN = "Its CMYK colours were converted to RGB without a usable profile, so they may look different."
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def black_ink_profile() -> bytes:
    """A profile of an imaginary press whose cyan, magenta and yellow are invisible (ICC.1:2001, lut8Type)."""
    ramp = bytes(range(256))
    identity = b"".join(struct.pack(">i", 65_536 * (i % 4 == 0)) for i in range(9))
    grid = b"".join(bytes([0 if corner & 1 else 255, 128, 128]) for corner in range(16))  # black varies fastest
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + 4 * ramp + grid + 3 * ramp
    white = struct.pack(">iii", 0xF6D6, 0x10000, 0xD32D)  # D50
    wtpt = b"XYZ " + bytes(4) + white
    tags = struct.pack(">I4sII4sII", 2, b"wtpt", 156, len(wtpt), b"A2B0", 156 + len(wtpt), len(table))
    size = 128 + len(tags) + len(wtpt) + len(table)
    head = struct.pack(">I4sI4s4s4s", size, bytes(4), 0x02400000, b"prtr", b"CMYK", b"Lab ")
    head += struct.pack(">6H4s", 2024, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + white
    return head.ljust(128, b"\0") + tags + wtpt + table


INKS = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 255, 255, 0], [0, 0, 0, 255]]], dtype=np.uint8)


@pytest.mark.parametrize("form", ["TIFF", "JPEG"])
def test_cmyk_becomes_rgb_through_its_profile(tmp_path: Path, form: str) -> None:
    inks = Image.fromarray(np.repeat(np.repeat(INKS, 16, axis=0), 16, axis=1), mode="CMYK")
    photo = read_bytes(tmp_path, encoded(inks, form, icc_profile=black_ink_profile()))
    seen = photo.pixels[8, 8::16]
    assert (seen[:3] >= 250).all() and (seen[3] <= 5).all()  # a plain conversion makes the second cyan, the third red
    assert photo.notes == (THROUGH_PROFILE,) and photo.icc is None


@pytest.mark.parametrize(
    "icc", [None, b"no profile", SRGB, black_ink_profile()[:200]], ids=["none", "text", "RGB", "half"]
)
def test_cmyk_without_a_usable_profile_is_converted_plainly(tmp_path: Path, icc: bytes | None) -> None:
    inks = Image.fromarray(INKS, mode="CMYK")
    photo = read_bytes(tmp_path, encoded(inks, "TIFF", **({"icc_profile": icc} if icc else {})))
    assert photo.pixels.tolist() == [[[255, 255, 255], [0, 255, 255], [255, 0, 0], [0, 0, 0]]]
    assert photo.notes == (PLAIN,) and photo.icc is None


def test_a_ycck_jpeg_is_read(tmp_path: Path) -> None:
    inks = Image.fromarray(picture(channels=4), mode="CMYK")
    data = encoded(inks, "JPEG", quality=95)
    adobe = data.index(b"Adobe")
    assert data[adobe + 11] == 0  # the transform: 0 for CMYK, 2 for YCCK
    ycck = data[: adobe + 11] + b"\2" + data[adobe + 12 :]
    plain, turned = read_bytes(tmp_path, data), read_bytes(tmp_path, ycck)
    with Image.open(tmp_path / "photo") as image:
        assert image.mode == "CMYK"
        assert np.array_equal(turned.pixels, np.asarray(image.convert("RGB")))
    assert turned.notes == (PLAIN,) and not np.array_equal(plain.pixels, turned.pixels)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_the_profile_of_rgb_is_kept(tmp_path: Path, form: str) -> None:
    photo = read_bytes(tmp_path, encoded(Image.fromarray(picture()), form, icc_profile=SRGB))
    assert photo.icc == colours_only(SRGB) and photo.notes == ()


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
def test_a_profile_for_gray_levels_is_left_out_and_named(tmp_path: Path, mode: str) -> None:
    gray = Image.fromarray(picture()).convert(mode)
    photo = read_bytes(tmp_path, encoded(gray, "PNG", icc_profile=b"gray levels"))
    assert np.array_equal(photo.pixels, np.asarray(gray.convert("RGB"))) and photo.icc is None
    assert photo.notes == ("Its colour profile describes other colours than RGB and was left out.",)


def test_an_rgb_profile_of_a_gray_photo_is_kept(tmp_path: Path) -> None:
    assert read_bytes(tmp_path, encoded(Image.new("L", (9, 9), 70), "PNG", icc_profile=SRGB)).icc == colours_only(SRGB)


@pytest.mark.parametrize("space", [b"GRAY", b"CMYK"])
def test_a_profile_of_other_colours_is_not_written_onto_rgb(tmp_path: Path, space: bytes) -> None:
    icc = SRGB[:16] + space + SRGB[20:]
    for form in ("JPEG", "WEBP"):
        photo = read_bytes(tmp_path, encoded(Image.fromarray(picture()), form, icc_profile=icc))
        assert photo.icc is None and len(photo.notes) == 1


def undeclared(kind: str) -> bytes:
    """A photo that describes its colours without an ICC profile."""
    image = Image.fromarray(picture())
    if kind == "Adobe RGB's R03":
        exif = Image.Exif()
        exif.get_ifd(ExifTags.IFD.Exif).update({0xA001: 65_535, ExifTags.IFD.Interop: {1: "R03"}})
        return encoded(image, "JPEG", exif=exif.tobytes())
    if kind == "P3 in nclx":
        return encoded(image, "AVIF").replace(b"colrnclx\0\x01\0\x0d", b"colrnclx\0\x0c\0\x10")
    name, data = (b"gAMA", struct.pack(">I", 100_000)) if kind == "gAMA 1" else (b"cICP", bytes([9, 16, 0, 1]))
    plain = encoded(image, "PNG")
    chunk = struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return plain[:33] + chunk + plain[33:]  # behind the header


@pytest.mark.parametrize("kind", ["Adobe RGB's R03", "P3 in nclx", "gAMA 1", "cICP"])
def test_colours_that_are_described_without_a_profile_are_named(tmp_path: Path, kind: str) -> None:
    said = "Its colours are described in a way that is not kept, so they may look different."
    assert read_bytes(tmp_path, undeclared(kind)).notes == (said,)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_ordinary_colours_are_not(tmp_path: Path, form: str) -> None:
    assert read_bytes(tmp_path, encoded(Image.fromarray(picture()), form)).notes == ()
