"""How visible a noise is: strong noise is told from clean faces of people the detector has not seen, none is not."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from commands import coarse_bank
from studies import data, trainings  # noqa: F401
from test_study_data import TWO, loaded, photos  # noqa: F401

from eval.visibility import DETECTOR, LOUD_EPOCHS, Detection, carrying_pairs, colour_difference, detect, visibility
from faceguard import readers
from faceguard.device import make_fabric
from faceguard.identities import Faces
from faceguard.protect import Protection, usable_faces
from faceguard.readers.synthetic import synthetic_faces
from faceguard.train import TrainSettings
from faceguard.uploads import Upload

ONE = replace(TWO, protected=1)


def noisy(faces: Faces, levels: int) -> Faces:
    """Every photo with a square pattern of its identity's own."""
    signs = (
        np.random.default_rng(0).choice([-1, 1], size=(len(faces.names), 8, 8, 3)).repeat(8, axis=1).repeat(8, axis=2)
    )
    changed = faces.pixels.astype(int) + levels * signs[faces.labels]
    return replace(faces, pixels=changed.clip(0, 255).astype(np.uint8))


def test_strong_noise_is_told_on_people_never_seen():
    faces = synthetic_faces(12, 8, size=64, seed=0)
    found = detect(faces, noisy(faces, 60), seed=0, precision="fp32")
    assert found.known > 0.9
    assert found.unseen > 0.9


def test_noise_that_is_not_there_is_neither_learnt_nor_told():
    faces = synthetic_faces(4, 4, size=64, seed=0)
    found = detect(faces, faces, seed=0, precision="fp32")
    assert (found.known, found.unseen) == (pytest.approx(0.5), pytest.approx(0.5))


def test_noise_on_the_known_half_alone_is_learnt_and_not_told_on_the_other():
    faces = synthetic_faces(12, 8, size=64, seed=0)
    pixels = noisy(faces, 60).pixels.copy()
    pixels[faces.labels >= 6] = faces.pixels[faces.labels >= 6]
    found = detect(faces, replace(faces, pixels=pixels), seed=0, precision="fp32")
    assert found.known > 0.9
    assert found.unseen == pytest.approx(0.5)


def test_the_detector_begins_with_louder_noise_of_the_half_that_it_learns_from(monkeypatch):
    learnt = []
    monkeypatch.setattr(
        "eval.visibility.fit", lambda _, model, faces, settings, *, seed: learnt.append((faces, settings))
    )
    faces = synthetic_faces(4, 4, size=112, seed=0)
    gray, lighter = (replace(faces, pixels=np.full_like(faces.pixels, level)) for level in (128, 133))
    detect(gray, lighter, seed=0, precision="fp32")
    (loud, loud_settings), (usual, settings) = learnt
    assert (loud_settings.epochs, settings) == (LOUD_EPOCHS, DETECTOR)
    for shown, levels in ((loud, 20), (usual, 5)):
        assert shown.names == ("clean", "noisy") and np.bincount(shown.labels).tolist() == [8, 8]
        change = np.abs(shown.pixels.astype(int) - 128)
        assert not change[shown.labels == 0].any() and (change[shown.labels == 1] == levels).all()


def test_the_largest_change_is_that_of_any_face(data, trainings, tmp_path, monkeypatch):
    found = loaded(data, tmp_path, TWO)
    changed = found.train.pixels.copy()
    changed[::2] = np.where(changed[::2] > 99, changed[::2] - 9, changed[::2] + 9)
    changed[1::2] = np.where(changed[1::2] > 99, changed[1::2] - 3, changed[1::2] + 3)
    pairs = found.train, replace(found.train, pixels=changed)
    monkeypatch.setattr("eval.visibility.carrying_pairs", lambda *_: pairs)
    monkeypatch.setattr("eval.visibility.detect", lambda *_, **__: Detection(known=0.9, unseen=0.75))
    assert visibility(found, "shipped")["max_change"] == 9


@pytest.mark.parametrize(("rows", "expected"), [(3, [0, 1, 2, 2]), (8, [0, 1, 4, 5]), (1, [0, 0, 0, 0])])
def test_the_halves_that_the_detector_learns_from_and_is_tried_on_share_no_row(
    data, trainings, tmp_path, rows, expected
):
    bank = coarse_bank(rows)
    clean, changed = carrying_pairs(loaded(data, tmp_path, TWO), bank)
    change = changed.pixels.astype(int) - clean.pixels
    for label, row in enumerate(expected):
        likeness = [
            np.corrcoef(change[clean.labels == label][0].ravel(), bank.levels(i).ravel())[0, 1] for i in range(rows)
        ]
        assert np.argmax(likeness) == row


def test_the_numbers_are_those_of_the_noise_on_the_studys_faces(data, trainings, tmp_path, monkeypatch):
    monkeypatch.setattr("eval.visibility.detect", lambda *_, **__: Detection(known=0.9, unseen=0.75))
    monkeypatch.setattr("eval.data.WITH_THE_PACKAGE", {"shipped": lambda: replace(coarse_bank(), cells=7)})
    found = visibility(loaded(data, tmp_path, TWO), "shipped")
    assert found["epsilon_levels"] == 16
    assert (found["cells"], found["max_change"], found["lpips"]) == (7, 16, None)
    assert (found["detectability_auc"], found["detector_training_auc"]) == (0.75, 0.9)
    assert 20 < found["psnr"] < 40
    assert 0.3 < found["ssim"] < 0.99
    assert 1 < found["ciede2000"] < 20
    assert (found["photo_psnr"], found["photo_ssim"]) == (None, None)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_detector_learns_in_the_studys_own_precision(data, trainings, tmp_path, monkeypatch, precision):
    """Else the numbers would be those of the machine that judges, which may be faster in another precision."""
    asked = []

    def counting(**wanted):
        asked.append(wanted["precision"])
        return make_fabric(**wanted)

    monkeypatch.setattr("eval.visibility.make_fabric", counting)
    monkeypatch.setattr("eval.visibility.DETECTOR", TrainSettings(epochs=1))
    monkeypatch.setattr("eval.visibility.LOUD_EPOCHS", 1)
    visibility(replace(loaded(data, tmp_path, TWO), precision=precision), "shipped")
    assert asked == [precision]


def test_black_and_white_are_100_apart_and_colours_that_part_further_than_light_that_rises_alike():
    gray = np.full((2, 4, 4, 3), 128, dtype=np.uint8)
    lighter, violet = (gray + np.array(change, dtype=np.int8) for change in ((12, 12, 12), (12, -12, 12)))
    assert colour_difference(gray, gray) == 0
    assert colour_difference(gray * 0, gray * 0 + 255) == pytest.approx(100)
    assert colour_difference(gray, violet.astype(np.uint8)) > 3 * colour_difference(gray, lighter.astype(np.uint8)) > 1


# ---- photos of full size: 300 x 340 pixels


def constant_bank(levels):
    """Every pixel of every row is ``levels`` higher."""
    rows = torch.full((3, 3, 112, 112), 127, dtype=torch.int8)
    return replace(coarse_bank(epsilon=levels / 255), rows=rows)


@pytest.fixture
def of_photos(photos, monkeypatch, tmp_path):
    """The numbers of a bank on a study of uploaded photos."""
    monkeypatch.setenv("FACEGUARD_CACHE", str(tmp_path))
    monkeypatch.setattr("eval.visibility.detect", lambda *_, **__: Detection(known=0.9, unseen=0.75))

    def measure(bank):
        monkeypatch.setattr("eval.data.WITH_THE_PACKAGE", {"shipped": lambda: bank})
        return visibility(loaded(photos, tmp_path, ONE, faces="faces", upload=Upload()), "shipped")

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
