"""Place, time and camera: gone unless they are asked for, and never with a second picture of the face."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo
from test_colour_profile import SECRETS as IN_PROFILE
from test_colour_profile import profile
from test_photo import GPS, MAKE, ORIENTATION, SETTINGS, encoded, picture, read_bytes

from faceguard.colour_profile import colours_only
from faceguard.photo import read, write

MAKER_NOTE, TAKEN, GPS_DATE, LATITUDE, DESCRIPTION = 0x927C, 0x9003, 29, 2, 270
SECRETS = (b"Camera of someone", b"2024:01:31 12:00:00", b"2024:01:30", b"at home", b"<xmp>me</xmp>", *IN_PROFILE)
OUTPUTS = ("a.png", "a.webp", "a.tif", "a.jpg")


def private_exif() -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE] = 6, "Camera of someone"
    exif.get_ifd(SETTINGS).update({TAKEN: "2024:01:31 12:00:00", MAKER_NOTE: b"a preview of the bare face"})
    exif.get_ifd(GPS).update({LATITUDE: (48.0, 12.0, 30.0), GPS_DATE: "2024:01:30"})
    return exif.tobytes()


def private(form: str) -> bytes:
    """A photo whose file tells everything."""
    more: dict[str, Any] = {"exif": private_exif()}
    if form == "JPEG":
        more |= {"comment": b"at home", "xmp": b"<xmp>me</xmp>"}
    if form == "PNG":
        text = PngInfo()
        text.add_text("Comment", "at home")
        text.add_itxt("XML:com.adobe.xmp", "<xmp>me</xmp>")
        more["pnginfo"] = text
    if form in ("WEBP", "AVIF", "HEIF"):
        more["xmp"] = b"<xmp>me</xmp>"
    return encoded(Image.fromarray(picture()), form, icc_profile=profile(4), **more)


FORMS = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF")


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("form", FORMS)
def test_nothing_but_pixels_and_profile_is_written(tmp_path: Path, form: str, name: str) -> None:
    data = private(form)
    assert sum(secret in data for secret in SECRETS) >= 3
    write(read_bytes(tmp_path, data), tmp_path / name, quality=90)
    out = (tmp_path / name).read_bytes()
    assert not [secret for secret in SECRETS if secret in out] and b"Exif" not in out and b"eXIf" not in out
    with Image.open(tmp_path / name) as image:
        exif = image.getexif()
        assert image.info["icc_profile"] == colours_only(profile(4))
        assert not {"exif", "xmp", "comment", "Comment"} & image.info.keys()
        assert not {ORIENTATION, MAKE, GPS, SETTINGS} & exif.keys() and exif.get_ifd(GPS) == {}


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_rotated_photos_exif_says_nothing_of_the_size_and_storage_that_it_had(tmp_path: Path, name: str) -> None:
    exif, stored = Image.Exif(), {0x9101: b"\1\2\3\0", 0x9102: 2.0, 0xA002: 36, 0xA003: 24}
    exif[ORIENTATION] = 6
    exif.get_ifd(SETTINGS).update({TAKEN: "2024:01:31 12:00:00"} | stored)
    photo = read_bytes(tmp_path, encoded(Image.fromarray(picture()), "JPEG", exif=exif.tobytes()))
    write(photo, tmp_path / name, quality=100, keep_metadata=True)
    with Image.open(tmp_path / name) as image:
        assert image.getexif().get_ifd(SETTINGS).keys() == {TAKEN}


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize("form", FORMS)
def test_exif_is_written_on_request_for_an_upright_photo(tmp_path: Path, form: str, name: str) -> None:
    photo = read_bytes(tmp_path, private(form))
    assert photo.pixels.shape == (36, 24, 3)
    write(photo, tmp_path / name, quality=100, keep_metadata=True)
    out = (tmp_path / name).read_bytes()
    with Image.open(tmp_path / name) as image:
        exif = image.getexif()
        assert exif[MAKE] == "Camera of someone" and exif[ORIENTATION] == 1
        assert exif.get_ifd(SETTINGS)[TAKEN] == "2024:01:31 12:00:00"
        assert exif.get_ifd(GPS)[GPS_DATE] == "2024:01:30" and exif.get_ifd(GPS)[LATITUDE] == (48.0, 12.0, 30.0)
    assert b"preview" not in out and b"at home" not in out and b"<xmp>" not in out
    back = read(tmp_path / name)
    assert back.icc == colours_only(profile(4)) and back.exif == photo.exif
    assert name == "a.jpg" or name == "a.webp" or np.array_equal(back.pixels, photo.pixels)


def test_the_thumbnail_of_the_bare_face_is_never_kept(tmp_path: Path) -> None:
    camera = struct.pack("<HHI4s", MAKE, 2, 4, b"Cam\0")
    thumbnail = struct.pack("<HHIIHHII", 0x201, 4, 1, 56, 0x202, 4, 1, 9)
    blocks = struct.pack("<H", 1) + camera + struct.pack("<IH", 26, 2) + thumbnail + struct.pack("<I", 0)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + blocks + b"BARE FACE"
    assert exif[6:][56:] == b"BARE FACE"
    photo = read_bytes(tmp_path, encoded(Image.fromarray(picture()), "JPEG", exif=exif))
    with Image.open(tmp_path / "photo") as image:
        assert image.getexif().get_ifd(ExifTags.IFD.IFD1)[0x201] == 56  # it is where software looks for it
    assert photo.exif is not None and b"Cam" in photo.exif and b"BARE FACE" not in photo.exif


def test_how_a_tiff_was_stored_is_no_metadata(tmp_path: Path) -> None:
    image = Image.fromarray(picture())
    photo = read_bytes(tmp_path, encoded(image, "TIFF", compression="tiff_lzw", tiffinfo={DESCRIPTION: "us"}))
    kept = Image.Exif()
    kept.load(photo.exif)
    assert dict(kept) == {DESCRIPTION: "us", ORIENTATION: 1}


def test_an_exif_block_with_nothing_but_an_orientation_is_no_metadata(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    photo = read_bytes(tmp_path, encoded(Image.fromarray(picture()), "JPEG", exif=exif))
    assert photo.exif is None and photo.notes == ()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("exif")


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    form=st.sampled_from(["JPEG", "PNG", "WEBP"]),
    name=st.sampled_from(OUTPUTS),
    edits=st.lists(st.tuples(st.floats(0, 0.999), st.binary(min_size=1, max_size=4)), max_size=6),
    kept=st.one_of(st.just(1.0), st.floats(0, 1)),
)
def test_no_damage_to_exif_makes_a_photo_unreadable_or_unwritable(
    scratch: Path, form: str, name: str, edits: list[tuple[float, bytes]], kept: float
) -> None:
    exif = bytearray(private_exif())
    for where, replacement in edits:
        start = 6 + int(where * (len(exif) - 6))
        exif[start : start + len(replacement)] = replacement
    exif = exif[: 6 + int(kept * (len(exif) - 6))]
    options = {} if form == "JPEG" else {"lossless": True}
    photo = read_bytes(scratch, encoded(Image.fromarray(picture()), form, exif=bytes(exif), **options))
    assert sorted(photo.pixels.shape) == [3, 24, 36]
    if form != "JPEG":
        assert np.array_equal(np.sort(photo.pixels, axis=None), np.sort(picture(), axis=None))
    write(photo, scratch / name, overwrite=True, quality=90, keep_metadata=True)
    assert read(scratch / name).pixels.shape == photo.pixels.shape
