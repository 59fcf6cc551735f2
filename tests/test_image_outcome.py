"""What a classification study's result reads from its cells: which epoch, which seed, which photos, and what it cost."""

import json

import numpy as np
import pytest
from images import image_data, image_study  # noqa: F401

from eval.image_engine import loaded

RECIPE = """
from eval.image_study import ImageNoise, ImageStudy, Run

experiment = ImageStudy(
    claim="a claim",
    source="a paper",
    runs={"clean": Run(), "noisy": Run(noise=ImageNoise(), triggered=True, longer=3)},
)
"""
RIGHT = {  # of 20 clean photos, then of 20 triggered ones, after each of three epochs for two seeds
    "clean": [(2, 20, 8), (12, 4, 10)],
    "noisy": [(2, 40, 30), (12, 24, 26)],
}


@pytest.fixture
def runs(image_study, tmp_path, monkeypatch):
    """The runs of result.json, of networks that name as many photos rightly, from the first."""

    def guesses(plan, job, **_):
        images = loaded(plan)
        labels = images.testing(images.study.runs[job.run].repeated(job.seed)).labels
        named = [
            np.where(np.arange(len(labels)) < count, labels, (labels + 1) % 10) for count in RIGHT[job.run][job.seed]
        ]
        return {"predictions": np.array(named), "losses": np.zeros(3), "seconds": 1.0 + job.seed}

    monkeypatch.setattr("eval.image_outcome.cell_of", guesses)
    monkeypatch.setattr("eval.image_engine.compute", lambda *_, **__: 0.0)
    image_study(RECIPE, "--seeds", "2")
    return json.loads((tmp_path / "runs" / "tiny-smoke" / "result.json").read_text())["runs"]


def test_the_best_epoch_is_every_seeds_own_and_the_last_one_is_the_last(runs):
    accuracy = runs["clean"]["accuracy"]
    assert (accuracy["last"]["seeds"], accuracy["best"]["seeds"]) == ([0.4, 0.5], [1.0, 0.6])
    assert runs["clean"]["curves"]["accuracy"] == [0.35, 0.6, 0.45]


def test_an_attack_is_tried_on_the_triggered_photos_after_the_last_epoch_and_the_rest_on_the_clean(runs):
    assert runs["noisy"]["attack_success"]["seeds"] == [0.5, 0.3]
    assert runs["noisy"]["accuracy"]["last"]["seeds"] == [1.0, 1.0]


def test_passes_are_of_one_training_and_of_learning_one_noise(runs):
    rounds = [noise["rounds"] for noise in runs["noisy"]["noise"]]
    assert len(rounds) == 2
    assert runs["noisy"]["passes"] == {"learning": np.mean(rounds) * (8 + 20), "training": 3 * 40}


def test_without_noise_the_share_of_photos_that_carry_it_is_none(runs):
    assert (runs["clean"]["share"], runs["noisy"]["share"]) == (0.0, 1.0)
    assert runs["clean"]["photos"] == {"training": 40, "noisy": 0}
