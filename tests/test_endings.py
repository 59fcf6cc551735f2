"""Which endings are a photo's: every one is read, or named with what to do."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_photo import encoded, picture

from faceguard import photo
from faceguard.endings import PHOTO_SUFFIXES, UNREAD_SUFFIXES
from faceguard.errors import PhotoError
from faceguard.listing import list_photos

ENDINGS = {  # format -> the endings that people's files of it have
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".jfi", ".jif", ".pjpeg", ".pjp"),
    "MPO": (".mpo",),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "HEIF": (".heic", ".heif", ".hif", ".heics", ".heifs"),  # Canon, Sony and Fujifilm call it .HIF
    "AVIF": (".avif", ".avifs"),
}


@pytest.mark.parametrize(
    ("form", "ending"), [(form, ending) for form, endings in ENDINGS.items() for ending in endings]
)
def test_a_photo_is_listed_and_read_under_every_ending_that_its_format_has(
    tmp_path: Path, form: str, ending: str
) -> None:
    path = tmp_path / f"IMG_1{ending.upper()}"
    more = {"save_all": True, "append_images": [Image.new("RGB", (36, 24))]} if form == "MPO" else {}
    path.write_bytes(encoded(Image.fromarray(picture()), form, **more))
    (job,) = list_photos(tmp_path)
    assert (job.source, job.problem) == (path, None)
    assert np.abs(photo.read(path).pixels.astype(int) - picture()).mean() < 20


def test_no_ending_of_a_photo_is_left_untried() -> None:
    assert {ending for endings in ENDINGS.values() for ending in endings} == PHOTO_SUFFIXES
    assert not PHOTO_SUFFIXES & UNREAD_SUFFIXES


@pytest.mark.parametrize(("form", "ending"), [("PNG", ".apng"), ("AVIF", ".avifs")])
def test_an_ending_that_animations_have_makes_them_no_photo(tmp_path: Path, form: str, ending: str) -> None:
    moving = [Image.fromarray(picture(seed=seed)) for seed in (1, 2)]
    path = tmp_path / f"a{ending}"
    path.write_bytes(encoded(moving[0], form, save_all=True, append_images=moving[1:]))
    with pytest.raises(PhotoError, match=f"is an animated {form}, not one photo"):
        photo.read(path)


@pytest.mark.parametrize("ending", [".psd", ".x3f", ".3FR", ".iiq", ".RWL", ".mrw", ".gpr", ".jxl", ".ppm"])
def test_a_picture_of_a_kind_that_is_not_read_is_named_with_what_to_do(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"1{ending}").touch()
    (job,) = list_photos(tmp_path)
    assert (
        job.problem
        == f"Files of the kind {ending} are not read here; export the photo as JPEG or PNG, and protect that."
    )
