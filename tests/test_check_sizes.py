"""Copies of another size than their originals: what was shrunk, cut or stretched, and how much of the noise is left in it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageOps

from faceguard import decode
from faceguard.check import PhotoCheck
from faceguard.manifest import MANIFEST
from faceguard.survival import noise_kept
from tests.test_check import BANK, Folders
from tests.test_protect import face, save

SCENE = np.asarray(skimage.data.astronaut())[:300, 80:380]
Change = Callable[[Image.Image], Image.Image]


@pytest.fixture
def folders(tmp_path: Path) -> Folders:
    return Folders(tmp_path, me=SCENE)


def altered(folders: Folders, change: Change) -> PhotoCheck:
    with Image.open(folders.protected / "me.png") as copy:
        save(np.asarray(change(copy)), folders.protected / "me.png")
    (check,) = folders.check().photos
    assert (check.status == "protected", check.max_change, check.budget_kept) == (False, None, None)
    return check


def cut(picture: Image.Image, *sides: int) -> Image.Image:
    """Without so many pixels at the left, top, right and bottom."""
    left, top, right, bottom = sides
    return picture.crop((left, top, picture.width - right, picture.height - bottom))


@pytest.mark.parametrize("sides", [(9, 9, 9, 9), (30, 30, 30, 30), (60, 10, 20, 60), (0, 0, 1, 0)])
@pytest.mark.parametrize("scale", [1.0, 0.7])
def test_a_crop_is_compared_with_what_it_shows_of_the_original(
    folders: Folders, sides: tuple[int, int, int, int], scale: float
) -> None:
    def change(picture: Image.Image) -> Image.Image:
        part = cut(picture, *sides)
        size = round(scale * part.width), round(scale * part.height)
        return part.resize(size, Image.Resampling.LANCZOS)

    with Image.open(folders.protected / "me.png") as copy:
        truth = noise_kept(
            np.asarray(change(Image.fromarray(SCENE))),
            np.asarray(change(copy)),
            BANK.delta(1).numpy(),
            size=BANK.size,
        )
    check = altered(folders, change)
    assert check.status == "another size" and truth is not None and truth > 0.7
    assert check.noise_kept == pytest.approx(truth, abs=0.01)
    assert check.reason is not None and f"noise kept {check.noise_kept:.2f}" in check.reason
    assert ("of which it shows a part" in check.reason) == (max(sides) > 1)


def test_a_stretched_copy_is_compared_too(folders: Folders) -> None:
    check = altered(folders, lambda picture: picture.resize((270, 240), Image.Resampling.LANCZOS))
    with Image.open(folders.protected / "me.png") as copy:
        truth = noise_kept(SCENE, np.asarray(copy), BANK.delta(1).numpy(), size=BANK.size)
    assert truth is not None and truth > 0.6 and check.noise_kept == pytest.approx(truth, abs=0.01)
    assert check.reason is not None and "a part" not in check.reason


@pytest.mark.parametrize(
    "change",
    [
        lambda picture: ImageOps.mirror(cut(picture, 20, 0, 0, 0)),
        lambda picture: cut(picture.rotate(5), 20, 20, 20, 20),
    ],
    ids=["mirrored", "turned"],
)
def test_a_copy_that_does_not_fit_gets_no_number(folders: Folders, change: Change) -> None:
    check = altered(folders, change)
    assert (check.status, check.noise_kept, check.row) == ("another size", None, None)
    assert check.reason is not None and "its face does not fit onto the original's" in check.reason
    assert check.reason.endswith("Check the file that protect wrote.")


def test_a_copy_without_a_face_gets_no_number(folders: Folders) -> None:
    check = altered(folders, lambda picture: cut(picture, 0, 220, 0, 0))
    assert (check.status, check.noise_kept) == ("another size", None)
    assert check.reason is not None and "no face was found in it" in check.reason


@pytest.mark.parametrize("side", [112, 128])
def test_a_face_that_was_cut_out_before_is_compared_as_a_whole_or_not_at_all(tmp_path: Path, side: int) -> None:
    folders = Folders(tmp_path, me=decode.resize(face(), side))
    (whole,) = folders.check().photos
    assert (whole.status, whole.changed_outside) == ("protected", 0)
    assert (altered(folders, lambda picture: picture.resize((224, 224))).noise_kept or 0) > 0.8
    check = altered(folders, lambda picture: cut(picture, 0, 0, 12, 0))
    assert (check.status, check.noise_kept) == ("another size", None)
    assert check.reason is not None and "it was cut or stretched" in check.reason


@pytest.mark.parametrize("manifest", [True, False])
@pytest.mark.parametrize("sides", [(0, 0, 0, 0), (20, 20, 20, 20)], ids=["whole", "cut"])
def test_a_shrunk_photo_without_noise_is_told_from_a_shrunk_copy(
    folders: Folders, sides: tuple[int, int, int, int], manifest: bool
) -> None:
    if not manifest:
        (folders.protected / MANIFEST).unlink()
    with Image.open(folders.protected / "me.png") as copy:
        copy.load()
    for picture, status in ((copy, "another size"), (Image.fromarray(SCENE), "without noise")):
        check = altered(folders, lambda _, picture=picture: cut(picture, *sides).resize((200, 200)))  # type: ignore[misc]
        assert check.status == status and check.reason is not None
        assert "200 x 200 pixels and the original 300 x 300" in check.reason
        if status == "another size":
            assert check.noise_kept is not None and f"noise kept {check.noise_kept:.2f}" in check.reason
        else:
            assert "no noise is in its face" in check.reason and "Upload the protected copy" in check.reason
            assert ("manifest.jsonl" in check.reason) != manifest


def test_a_shrunk_copy_of_another_row_is_without_this_ones_noise(folders: Folders) -> None:
    folders.amend(row=0)
    check = altered(folders, lambda picture: picture.resize((200, 200)))
    assert (check.status, check.row) == ("without noise", 0)
    assert check.reason is not None and "name the bank with --noise" in check.reason


def test_a_larger_face_in_which_nothing_changed_is_without_noise(tmp_path: Path) -> None:
    folders = Folders(tmp_path, me=face())
    check = altered(folders, lambda _: Image.fromarray(face()).resize((224, 224), Image.Resampling.LANCZOS))
    assert (check.status, check.noise_kept) == ("without noise", None)
    assert check.reason is not None and "no noise is in its face." in check.reason
