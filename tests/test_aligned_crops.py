"""Aligned crops of the usual sizes: `protect` puts the noise where a trainer, who only scales them, will see it."""

from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from faceguard.bank import NoiseBank, default_bank
from faceguard.decode import to_face
from faceguard.faces import alignment, crop, crop_scaling
from faceguard.finder import find
from faceguard.listing import PhotoJob
from faceguard.protect import Protection, protect_photo, usable_faces
from faceguard.readers.synthetic import synthetic_faces
from tests.test_protect import make_bank

SIZE = 112


def crops(side: int) -> list[np.ndarray]:
    """The astronaut's aligned face and drawn ones, which no finder needs to know, ``side`` pixels a side."""
    astronaut = skimage.data.astronaut()
    drawn = synthetic_faces(3, 1, size=side, seed=0).pixels
    return [crop(astronaut, alignment(find(astronaut)[0].landmarks, side), side), *drawn]


def protect(pixels: np.ndarray, folder: Path, bank: NoiseBank) -> tuple[np.ndarray, float | None]:
    """The protected copy of one picture and the noise that `protect` says is kept."""
    Image.fromarray(pixels).save(folder / "face.png")
    job = PhotoJob(source=folder / "face.png", relative=Path("face.png"), identity="anna")
    result = protect_photo(job, folder, Path("protected.png"), Protection(bank=bank), row=0)
    assert result.status == "protected", result.reason
    return np.asarray(Image.open(folder / "protected.png")), result.noise_kept


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("side", [96, 128, 160])
def test_a_trainer_sees_the_row_in_an_aligned_crop_of_any_usual_size(tmp_path: Path, side: int, number: int) -> None:
    face = crops(side)[number]
    for name, bank in (("coarse", make_bank()), ("shipped", default_bank())):
        (folder := tmp_path / name).mkdir()
        protected, kept = protect(face, folder, bank)
        change = to_face(protected, SIZE).astype(float) - to_face(face, SIZE)
        seen = np.corrcoef(change.ravel(), bank.delta(0).numpy().transpose(1, 2, 0).ravel())[0, 1]
        assert seen > 0.9
        assert kept == pytest.approx(seen, abs=0.05)


@pytest.mark.parametrize("side", [20, 100, 112, 128, 159, 160])
def test_the_scaling_of_a_crop_is_that_of_the_trainers_resize(side: int) -> None:
    ramp = np.repeat(np.linspace(20, 230, side)[:, None, None], side, axis=1).repeat(3, axis=2)
    face = np.rint((ramp + ramp.transpose(1, 0, 2)) / 2).astype(np.uint8)
    matrix = crop_scaling(SIZE, side, side)
    assert matrix is not None
    inside = slice(4, -4)
    apart = crop(face, matrix, SIZE).astype(int)[inside, inside] - to_face(face, SIZE)[inside, inside]
    assert np.abs(apart).max() <= 1


@pytest.mark.parametrize(("height", "width"), [(19, 19), (161, 161), (128, 127), (218, 178), (1, 1)])
def test_what_is_no_small_square_is_no_crop(height: int, width: int) -> None:
    assert crop_scaling(SIZE, height, width) is None


@pytest.mark.parametrize("side", [8, 112, 224])
def test_a_square_of_the_rows_own_size_is_a_crop_as_it_is(side: int) -> None:
    assert np.array_equal(crop_scaling(side, side, side), np.eye(2, 3))


def test_a_picture_too_small_for_a_face_is_neither_protected_nor_read(tmp_path: Path) -> None:
    tiny = crops(128)[0][50:60, 50:60]
    assert usable_faces(tiny, Protection(bank=make_bank()))[0] == []
