"""How visible a noise is: strong noise is told from clean faces of people the detector has not seen, none is not."""

from dataclasses import replace

import numpy as np
import pytest
from commands import coarse_bank
from studies import data, trainings  # noqa: F401
from test_study_data import TWO, loaded

from eval.visibility import detectability, visibility
from faceguard.identities import Faces
from faceguard.readers.synthetic import synthetic_faces


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
