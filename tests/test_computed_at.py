"""A result says which commits computed its cells and banks, whoever judged them, and how long its banks were learnt."""

import json

import numpy as np
import pytest
from images import image_data, image_study  # noqa: F401
from studies import data, study, trainings  # noqa: F401

import faceguard.about

OWN = "0, noises={'own': BankRecipe(faces='people', settings=__import__('commands').quick_noise())}"
CONDITION = "(Condition(adversary='small', protected=2, noise='own'),)"
IMAGES = """
from eval.image_study import ImageNoise, ImageStudy, Run

experiment = ImageStudy(claim="", source="", runs={"clean": Run(), "noisy": Run(noise=ImageNoise())})
"""


@pytest.fixture
def at(monkeypatch):
    """Have everything computed by the commit of this name from then on."""

    def change(name):
        for module in ("faceguard.about", "eval.cells", "eval.banks", "eval.image_data"):
            monkeypatch.setattr(f"{module}.commit", lambda: name)

    return change


def about(tmp_path, name):
    return json.loads((tmp_path / "runs" / name / "run.json").read_text())


def forget(path):
    """As the cell was kept before it said by whom it was computed."""
    with np.load(path) as kept:
        content = dict(kept)
    del content["commit"]
    np.savez_compressed(path, **content)


def test_a_face_study_lists_the_commits_of_its_cells_and_banks_and_counts_the_banks_seconds(tmp_path, study, at):
    at("first")
    study("--seeds", "1", "--only", "*/clean", conditions=CONDITION, data_seed=OWN)
    at("second")
    study("--seeds", "1", conditions=CONDITION, data_seed=OWN)
    run = about(tmp_path, "tiny")
    assert (run["commit"], run["computed_at"]) == ("second", ["first", "second"])
    (beside,) = (tmp_path / "runs" / "banks").glob("*.json")
    assert json.loads(beside.read_text())["commit"] == "second"
    beside.write_text(json.dumps({"seconds": 5000.0, "commit": "third"}))
    for path in (tmp_path / "runs" / "cells").glob("*.npz"):
        forget(path)
    study("--seeds", "1", "--judge", conditions=CONDITION, data_seed=OWN)
    known = about(tmp_path, "tiny")
    assert known["computed_at"] == ["third", "unknown"]
    beside.unlink()  # as banks were kept before
    study("--seeds", "1", "--judge", conditions=CONDITION, data_seed=OWN)
    assert about(tmp_path, "tiny")["computed_at"] == ["unknown"]
    assert known["seconds"] == pytest.approx(about(tmp_path, "tiny")["seconds"] + 5000, abs=1)


def test_an_image_study_lists_the_commits_of_its_cells_and_noises(tmp_path, image_study, at):
    at("first")
    image_study(IMAGES, "--only", "noisy/*")
    at("second")
    image_study(IMAGES)
    assert about(tmp_path, "tiny-smoke")["computed_at"] == ["first", "second"]


def test_what_a_package_without_a_clone_computes_is_of_an_unknown_commit(tmp_path, image_study, at):
    at(None)
    image_study(IMAGES)
    assert about(tmp_path, "tiny-smoke")["computed_at"] == [faceguard.about.UNKNOWN]
