"""How visible a noise is: strong noise is told from clean faces of people the detector has not seen, none is not."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from commands import coarse_bank
from studies import data, trainings  # noqa: F401
from test_study_data import TWO, loaded, photos  # noqa: F401

from eval.visibility import detectability, visibility
from faceguard import readers
from faceguard.identities import Faces
from faceguard.protect import Protection, usable_faces
from faceguard.readers.synthetic import synthetic_faces
from faceguard.uploads import Upload


def noisy(faces: Faces, levels: int) -> Faces:
    """Every photo with a square pattern of its identity's own."""
    signs = (
        np.random.default_rng(0).choice([-1, 1], size=(len(faces.names), 8, 8, 3)).repeat(8, axis=1).repeat(8, axis=2)
    )
    changed = faces.pixels.astype(int) + levels * signs[faces.labels]
    return replace(faces, pixels=changed.clip(0, 255).astype(np.uint8))


def test_strong_noise_is_detected_on_people_never_seen_and_no_noise_is_not():
    faces = synthetic_faces(12, 8, size=64, seed=0)
    assert detectability(faces, noisy(faces, 60), seed=0) > 0.9
    assert detectability(faces, faces, seed=0) == pytest.approx(0.5)


def test_the_numbers_are_those_of_the_noise_on_the_studys_faces(data, trainings, tmp_path, monkeypatch):
    monkeypatch.setattr("eval.visibility.detectability", lambda *_, **__: 0.75)
    monkeypatch.setattr("eval.data.WITH_THE_PACKAGE", {"shipped": lambda: replace(coarse_bank(), cells=7)})
    found = visibility(loaded(data, tmp_path, TWO), "shipped")
    assert found["epsilon_levels"] == 16
    assert (found["cells"], found["max_change"], found["lpips"], found["detectability_auc"]) == (7, 16, None, 0.75)
    assert 20 < found["psnr"] < 40
    assert 0.3 < found["ssim"] < 0.99
    assert (found["photo_psnr"], found["photo_ssim"]) == (None, None)


# ---- photos of full size: 300 x 340 pixels


def constant_bank(levels):
    """Every pixel of every row is ``levels`` higher."""
    rows = torch.full((3, 3, 112, 112), 127, dtype=torch.int8)
    return replace(coarse_bank(epsilon=levels / 255), rows=rows)


@pytest.fixture
def of_photos(photos, monkeypatch, tmp_path):
    """The numbers of a bank on a study of uploaded photos."""
    monkeypatch.setenv("FACEGUARD_CACHE", str(tmp_path))
    monkeypatch.setattr("eval.visibility.detectability", lambda *_, **__: 0.75)

    def measure(bank):
        monkeypatch.setattr("eval.data.WITH_THE_PACKAGE", {"shipped": lambda: bank})
        return visibility(loaded(photos, tmp_path, TWO, faces="faces", upload=Upload()), "shipped")

    return measure


def test_a_constant_change_of_a_known_part_has_the_psnr_that_the_formula_gives(of_photos, monkeypatch):
    place = np.array([[1.0, 0, -50], [0, 1, -80]])  # 112 x 112 of the photo's own pixels
    monkeypatch.setattr("faceguard.uploads.usable_faces", lambda *_: ([place], 1, []))
    found = of_photos(constant_bank(10))
    whole = 20 * math.log10(255 / 10) + 10 * math.log10(300 * 340 / 112**2)
    assert found["photo_psnr"] == pytest.approx(whole, abs=0.1)  # white pixels cannot rise


def test_the_noise_covers_part_of_a_photo_which_is_closer_to_the_original_than_its_face(of_photos, photos):
    bank = coarse_bank()
    found = of_photos(bank)
    (matrix,), _, _ = usable_faces(readers.find(photos / "faces")[0].read(), Protection(bank=bank))
    area = (112 / np.hypot(*matrix[0, :2])) ** 2  # of the aligned crop in the photo
    spread = 10 * math.log10(300 * 340 / area)
    assert spread > 6
    assert found["photo_psnr"] - found["psnr"] == pytest.approx(spread, abs=0.5)
    assert found["ssim"] < found["photo_ssim"] < 1


def test_without_a_face_to_protect_there_is_nothing_to_average(of_photos, monkeypatch):
    monkeypatch.setattr("faceguard.uploads.usable_faces", lambda *_: ([], 0, ["No face was found."]))
    found = of_photos(coarse_bank())
    assert (found["photo_psnr"], found["photo_ssim"]) == (None, None)
    assert found["psnr"] > 20
