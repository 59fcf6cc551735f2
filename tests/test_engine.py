"""The harness: cells are computed once, by whoever comes first, and an interrupted sweep goes on."""

import json
import os

import numpy as np
import pytest
from studies import data, study, trainings  # noqa: F401

import eval.engine
import eval.outcome
from eval.experiment import load_recipe
from faceguard.adversary import Scratch
from faceguard.study import ARMS

NAME = "small, none, shipped, 2 protected"
TWO = "(Condition(adversary='small', protected=2), Condition(adversary='small', protected=1))"


def result(tmp_path, name="tiny"):
    return json.loads((tmp_path / "runs" / name / "result.json").read_text())


def test_a_study_writes_its_report_and_trains_every_cell_once(tmp_path, study, trainings):
    code, out, err = study()
    assert (code, err, len(trainings)) == (0, "", 6)
    found = result(tmp_path)
    (condition,) = found["conditions"]
    assert (condition["name"], condition["seeds"], condition["protected"]) == (NAME, [0, 1], 2)
    assert tuple(condition["arms"]) == ARMS
    for arm in condition["arms"].values():
        assert arm["recognition"].keys() == {"protected", "others"}
        assert len(arm["recognition"]["others"]["last"]["seeds"]) == 2
    assert condition["verdict"] in ("protected", "not protected", "inconclusive")
    assert found["verdict"]["headline"] in out
    assert {path.name for path in (tmp_path / "runs" / "tiny").iterdir()} == {"result.json", "run.json", "report.html"}
    before = (tmp_path / "runs" / "tiny" / "result.json").read_bytes()
    study()
    assert len(trainings) == 6
    assert (tmp_path / "runs" / "tiny" / "result.json").read_bytes() == before


def test_an_error_maximizing_arm_stands_beside_the_others_and_decides_nothing(tmp_path, study, trainings):
    study("--seeds", "1")
    three = result(tmp_path)
    code, *_ = study("--seeds", "1", conditions="(Condition(adversary='small', protected=2, maximizing='plain'),)")
    found = result(tmp_path)
    arms = found["conditions"][0]["arms"]
    assert (code, set(arms)) == (0, {*ARMS, "error-maximizing"})
    assert arms["error-maximizing"] == arms["error-minimizing"]  # the two banks are the same here
    assert found["verdict"] == three["verdict"]
    assert set(found["noise"]) == {"shipped", "plain"}
    assert "error-maximizing" in (tmp_path / "runs" / "tiny" / "report.html").read_text()


def test_the_same_seed_gives_the_same_result_from_nothing(tmp_path, study, trainings):
    study("--seeds", "1")
    before = (tmp_path / "runs" / "tiny" / "result.json").read_bytes()
    for cell in (tmp_path / "runs" / "cells").glob("*.npz"):
        cell.unlink()
    study("--seeds", "1")
    assert len(trainings) == 6
    assert (tmp_path / "runs" / "tiny" / "result.json").read_bytes() == before


def test_a_changed_setting_recomputes_only_what_it_must(study, trainings):
    study("--seeds", "1")
    study("--seeds", "1", conditions=TWO)
    assert len(trainings) == 5  # the clean arm serves both conditions
    study("--seeds", "2", conditions=TWO)
    assert len(trainings) == 10
    study("--seeds", "1", "--precision", "bf16")
    assert len(trainings) == 13


def test_only_computes_what_it_names_and_concludes_nothing(tmp_path, study, trainings):
    code, out, _ = study("--only", f"{NAME}/1/clean")
    assert (code, len(trainings)) == (0, 1)
    assert f"{NAME}/1/" in out  # a line of 80 letters has no room for all of it
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["cells"]
    study()
    assert len(trainings) == 6


def test_only_that_fits_no_cell_is_a_sentence(study, trainings):
    code, _, err = study("--only", "large*")
    assert (code, trainings) == (1, [])
    assert f"fits no cell; their names are such as '{NAME}/1/error-minimizing'" in err


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("adversary='huge'", "'huge' is unknown; there are small"),
        ("adversary='small', countermeasure='hope'", "'hope' is unknown"),
    ],
)
def test_an_unknown_name_in_a_condition_is_a_sentence(study, trainings, word, sentence):
    code, _, err = study(conditions=f"(Condition({word}, protected=2),)")
    assert (code, trainings) == (1, [])
    assert sentence in err


def test_an_expectation_that_is_missed_is_named_and_the_exit_code_is_1(tmp_path, study):
    code, _, err = study("--seeds", "1", expectations="Expectation(at_most=99),")
    assert code == 1
    assert (
        err == f"undecided: {NAME}: protected at most 99 of clean, last epoch: its control failed\n"
    )  # two epochs teach nothing


def test_the_time_of_a_cell_that_conditions_share_is_counted_once(tmp_path, study, monkeypatch):
    spent, about = [], eval.outcome.about_run
    monkeypatch.setattr("eval.outcome.about_run", lambda seconds, words: spent.append(seconds) or about(seconds, words))
    study("--seeds", "1", conditions=TWO)
    paths = sorted((tmp_path / "runs" / "cells").glob("*.npz"))
    assert len(paths) == 5  # clean faces are the same whoever is protected
    assert spent == pytest.approx([sum(float(np.load(path)["seconds"]) for path in paths)])


def test_a_claim_that_fits_no_condition_is_refused(study, trainings):
    code, _, err = study(expectations="Expectation(at_most=0.1, where='inception*'),")
    assert (code, trainings) == (1, [])
    assert "no condition fits the claim 'protected at most 0.1 of clean, last epoch' about 'inception*'" in err


def test_lfw_is_judged_beside_the_groups_and_added_to_cells_that_lack_it(tmp_path, study, trainings):
    everybody = "(Condition(adversary='small', protected=None),)"
    study("--only", "*/0/clean")
    code, _, _ = study(lfw="lfw", conditions=everybody, expectations="")
    assert (code, len(trainings)) == (0, 7)  # the clean cell of seed 0 was trained again, for its scores
    for arm in result(tmp_path)["conditions"][0]["arms"].values():
        assert arm["lfw"]["pairs"]["genuine"] == 2
        assert arm["lfw"].keys() >= {"auc", "eer", "accuracy", "tar_at_far"}
        assert arm["recognition"].keys() == {"protected"}


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


def test_smoke_takes_tiny_networks_one_seed_and_a_folder_of_its_own(tmp_path, study, trainings):
    code, _, _ = study("--scale", "smoke", conditions="(Condition(adversary='small', protected=4),)")
    assert (code, len(trainings)) == (0, 3)
    (condition,) = result(tmp_path, "tiny-smoke")["conditions"]
    assert (condition["protected"], condition["seeds"]) == (3, [0])


def test_a_recipe_changed_within_the_same_second_is_read_anew(tmp_path):
    from studies import STUDY, USUAL

    recipe = tmp_path / "tiny.py"
    for seed in (2, 1):
        recipe.write_text(STUDY.format(**{**USUAL, "data_seed": seed}))
        os.utime(recipe, (1_000_000_000, 1_000_000_000))
        assert load_recipe(recipe).data_seed == seed


def test_jobs_of_one_condition_come_in_the_order_of_seeds_and_arms(tmp_path, study, monkeypatch):
    seen = []
    monkeypatch.setattr(eval.engine, "compute", lambda _, job, **__: seen.append(job.label) or 0.0)
    study("--only", "*")
    assert seen[:6] == [f"{NAME}/{seed}/{arm}" for seed in (0, 1) for arm in ARMS]


def test_judging_computes_nothing_and_lists_what_was_not_run(tmp_path, study, trainings):
    code, _, err = study("--judge", "--seeds", "1")
    assert (code, trainings) == (1, [])
    assert "Not one condition of tiny has all its cells" in err
    study("--seeds", "1", "--only", f"{NAME}*")
    code, _, _ = study("--judge", "--seeds", "1", conditions=TWO, expectations="")
    assert (code, len(trainings)) == (0, 3)
    found = result(tmp_path)
    assert [condition["name"] for condition in found["conditions"]] == [NAME]
    assert "small, none, shipped, 1 protected" in found["verdict"]["not_run"]


def test_judging_does_not_learn_a_noise_either(tmp_path, study, trainings, monkeypatch):
    monkeypatch.setattr("eval.banks.make", lambda *_, **__: pytest.fail("noise was learnt"))
    both = "(Condition(adversary='small', protected=2), Condition(adversary='small', noise='own', protected=2))"
    own = f"{both}, noises={{'own': BankRecipe(faces='people')}}"
    study("--seeds", "1", "--only", f"{NAME}*")
    code, _, err = study("--judge", "--seeds", "1", conditions=own, expectations="")
    assert (code, err) == (0, "")
    assert "small, none, own, 2 protected" in result(tmp_path)["verdict"]["not_run"]


def test_another_folder_can_stand_in_for_a_studys_faces(tmp_path, study, data):
    assert study("--seeds", "1", faces="absent")[0] == 1
    assert study("--seeds", "1", "--data", "people", faces="absent")[0] == 0
    settings = result(tmp_path, "tiny-people")["settings"]["faces"]
    assert settings["folder"] == "people"


def test_another_adversary_takes_the_place_of_all_with_its_own_seeds_and_folder(tmp_path, study, trainings):
    stated = "(Condition(adversary='absent', protected=2, seeds=(0,)), Condition(adversary='small', protected=2))"
    assert study("--adversary", "small", conditions=stated)[0] == 0
    (condition,) = result(tmp_path, "tiny-small")["conditions"]
    assert (condition["name"], condition["seeds"], len(trainings)) == (NAME, [0, 1], 6)
    command = json.loads((tmp_path / "runs" / "tiny-small" / "run.json").read_text())["command"]
    assert command.endswith("--precision fp32 --adversary small")
