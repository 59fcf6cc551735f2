"""The harness: cells are computed once, judged with their controls, and expectations decide the exit code."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from commands import coarse_bank, write_faces

import eval.__main__ as harness
import eval.cells
import eval.experiment
from eval.experiment import Contender, FaceStudy, load_data, load_recipe
from eval.report import expectations
from faceguard.adversary import Scratch
from faceguard.study import ARMS
from faceguard.train import TrainSettings

STUDY = """
from eval.experiment import Contender, FaceStudy
from faceguard.adversary import Scratch
from faceguard.train import TrainSettings

experiment = FaceStudy(
    claim="a claim",
    paper={{"rank-1": "0.16"}},
    faces="people",
    protected={protected},
    contenders={{
        "small": Contender(
            adversary=Scratch(width=4, size=32, train=TrainSettings(epochs={epochs}, batch_size=8)), seeds=(0, 1)
        )
    }},
    lfw={lfw!r},
    protected_at_most={at_most},
    others_at_least={at_least},
)
"""
MET = {"protected": 2, "epochs": 2, "lfw": None, "at_most": 99, "at_least": 0}
ALL_MISSED = {"at_most": -1, "at_least": 99}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data folder: four identities with ten photos each, and pairs over them as LFW has them."""
    folder = tmp_path_factory.mktemp("data")
    write_faces(folder / "people", identities=4, photos=10, size=32)
    write_faces(folder / "drawn", identities=4, photos=2, size=32, seed=1)
    for person in range(4):
        (folder / "lfw" / f"P_{person}").mkdir(parents=True)
        for photo in (1, 2):
            drawn = folder / "drawn" / f"synthetic-{person:03d}" / f"{photo - 1:02d}.png"
            drawn.rename(folder / "lfw" / f"P_{person}" / f"P_{person}_{photo:04d}.png")
    lines = ["2 1", "P_0 1 2", "P_0 1 P_1 1", "P_2 1 2", "P_0 2 P_3 2"]
    (folder / "lfw" / "pairs.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def trainings(monkeypatch):
    """How many recognizers were trained, as a list that grows; the bank that ships is replaced by a small one."""
    trained, attack = [], Scratch.attack

    def counting(*arguments, **keywords):
        trained.append(arguments[0])
        return attack(*arguments, **keywords)

    monkeypatch.setattr(Scratch, "attack", counting)
    monkeypatch.setattr(eval.experiment, "plain_bank", lambda: coarse_bank(size=32))
    return trained


@pytest.fixture
def study(tmp_path, data, capsys, trainings):
    """Run a study in this process; gives exit code, standard output and standard error."""

    def run(*words, **changes):
        recipe = tmp_path / "tiny.py"
        recipe.write_text(STUDY.format(**{**MET, **changes}))
        arguments = (recipe, "--out", tmp_path / "runs", "--data", data, "--precision", "fp32", *words)
        with pytest.raises(SystemExit) as left:
            harness.main([str(word) for word in arguments])
        return (left.value.code or 0, *capsys.readouterr())

    return run


# ---- a study


def test_a_study_writes_its_result_and_figures_and_trains_every_cell_once(tmp_path, study, trainings):
    code, out, err = study()
    assert (code, err, len(trainings)) == (0, "", 6)
    result = json.loads((tmp_path / "runs" / "tiny" / "result.json").read_text())
    small = result["contenders"]["small"]
    assert tuple(small["arms"]) == tuple(sorted(ARMS))
    for arm in small["arms"].values():
        assert arm["recognition"].keys() == {"protected", "others"}
        assert arm["verification"]["protected"].keys() >= {"auc", "eer", "tar_at_far"}
        assert len(arm["seconds"]) == 2
        for name, of_seeds in arm["recognition"]["others"]["seeds"].items():
            assert arm["recognition"]["others"][name] == pytest.approx(sum(of_seeds) / 2)
    assert small["seeds"] == [0, 1]
    assert small["verdict"] in ("protected", "not protected", "inconclusive")
    assert set(small["expectations"].values()) == {True}
    assert result["paper"] == {"rank-1": "0.16"}
    assert len(result["protected"]) == 2
    figures = {path.name for path in (tmp_path / "runs" / "tiny").glob("*.png")}
    assert figures == {"learning-curves-small.png", "roc-small.png"}
    assert f"small: {small['verdict']}." in out

    before = (tmp_path / "runs" / "tiny" / "result.json").read_bytes()
    study()
    assert len(trainings) == 6
    assert (tmp_path / "runs" / "tiny" / "result.json").read_bytes() == before
    study(epochs=1)
    assert len(trainings) == 12
    study("--precision", "bf16", epochs=1)
    assert len(trainings) == 18


def test_the_clean_cell_serves_every_study_of_the_same_faces(study, trainings):
    study("--only", "small/0/*")
    assert len(trainings) == 3
    study("--only", "small/0/*", protected=1)
    assert len(trainings) == 5


def test_only_computes_what_it_names_and_concludes_nothing(tmp_path, study, trainings):
    code, out, _ = study("--only", "small/1/clean")
    assert (code, len(trainings)) == (0, 1)
    assert "small/1/clean epoch 2: loss" in out
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["cells"]
    study()
    assert len(trainings) == 6


def test_only_that_fits_no_cell_is_a_sentence(study, trainings):
    code, _, err = study("--only", "large/*")
    assert (code, trainings) == (1, [])
    assert "fits no cell; their names are such as 'small/1/error-minimizing'" in err


def test_an_expectation_that_is_missed_is_named_and_the_exit_code_is_1(tmp_path, study):
    code, _, err = study(**ALL_MISSED)
    assert code == 1
    assert err == "not met: small: protected at most -1 of clean\nnot met: small: others at least 99 of clean\n"
    result = json.loads((tmp_path / "runs" / "tiny" / "result.json").read_text())
    assert set(result["contenders"]["small"]["expectations"].values()) == {False}


def test_lfw_is_judged_beside_the_groups_and_added_to_cells_that_lack_it(tmp_path, study, trainings):
    study("--only", "small/0/clean")
    code, _, _ = study(lfw="lfw", protected=None)
    assert (code, len(trainings)) == (0, 7)  # the clean cell of seed 0 was trained again, for its scores
    result = json.loads((tmp_path / "runs" / "tiny" / "result.json").read_text())
    for arm in result["contenders"]["small"]["arms"].values():
        assert arm["lfw"]["pairs"] == 4
        assert arm["lfw"].keys() >= {"auc", "eer", "accuracy", "tar_at_far"}
        assert arm["recognition"].keys() == {"protected"}
    assert (tmp_path / "runs" / "tiny" / "lfw-small.png").exists()


def test_interrupted_cells_are_kept_and_the_rest_is_computed(study, trainings, monkeypatch):
    kept = Scratch.attack

    def interrupted(*arguments, **keywords):
        if len(trainings) == 2:
            raise KeyboardInterrupt
        return kept(*arguments, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(Scratch, "attack", interrupted)
        assert study()[0] not in (0, 2)
    assert study()[0] == 0
    assert len(trainings) == 6


def test_training_faces_of_the_protected_alone_differ_between_arms(data, trainings):
    contenders = {"x": Contender(adversary=Scratch(), seeds=(0,))}
    wanted = FaceStudy(claim="", paper={}, faces="people", protected=2, contenders=contenders)
    found = load_data(wanted, data)
    clean = found.training["clean"]
    protected = np.isin(np.array(clean.names), found.protected)[clean.labels]
    for arm in ("random", "error-minimizing"):
        changed = (found.training[arm].pixels != clean.pixels).any(axis=(1, 2, 3))
        assert np.array_equal(changed, protected)
    assert len(clean) == 32
    assert len(found.test) == 8
    assert not set(clean.keys) & set(found.test.keys)
    everybody = load_data(replace(wanted, protected=None), data)
    assert everybody.protected == list(clean.names)


def test_noisy_others_carry_rows_of_their_own_in_both_noisy_arms_and_none_in_the_clean_one(data, trainings):
    contenders = {"x": Contender(adversary=Scratch(), seeds=(0,))}
    study = FaceStudy(claim="", paper={}, faces="people", protected=2, contenders=contenders, noisy_others=True)
    found, plain = load_data(study, data), load_data(replace(study, noisy_others=False), data)
    clean = found.training["clean"]
    protected = np.isin(np.array(clean.names), found.protected)[clean.labels]
    assert np.array_equal(clean.pixels, plain.training["clean"].pixels)
    for arm in ("random", "error-minimizing"):
        pixels, of_protected = found.training[arm].pixels, plain.training[arm].pixels
        assert np.array_equal(pixels[protected], of_protected[protected])
        change = np.abs(pixels[~protected].astype(int) - clean.pixels[~protected])
        assert (change.max(axis=(1, 2, 3)) == 16).all()
    assert len({row.tobytes() for row in change[:: len(change) // 2]}) == 2


def test_expectations_compare_means_with_the_clean_arm():
    contenders = {"x": Contender(adversary=Scratch(train=TrainSettings()), seeds=(0,))}
    study = FaceStudy(claim="", paper={}, faces="", protected=1, contenders=contenders)

    def rates(protected, others):
        return {"protected": {"last": protected}, "others": {"last": others}}

    met = {"clean": rates(0.8, 0.8), "error-minimizing": rates(0.079, 0.721)}
    assert list(expectations(study, met).values()) == [True, True]
    missed = {"clean": rates(0.8, 0.8), "error-minimizing": rates(0.081, 0.719)}
    assert list(expectations(study, missed).values()) == [False, False]


def test_a_recipe_changed_within_the_same_second_is_read_anew(tmp_path):
    recipe = tmp_path / "tiny.py"
    for epochs in (2, 1):
        recipe.write_text(STUDY.format(**{**MET, "epochs": epochs}))
        os.utime(recipe, (1_000_000_000, 1_000_000_000))
        assert load_recipe(recipe).contenders["small"].adversary.train.epochs == epochs
