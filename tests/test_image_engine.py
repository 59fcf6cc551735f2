"""Classification studies from recipe to result: every recipe at smoke, resumed, repeated, judged, drawn and listed."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from images import CIFAR, image_data, image_study, write_set, write_split  # noqa: F401

import eval.image_data
from eval.experiment import load_recipe
from eval.image_engine import loaded
from eval.image_study import NOISES_OF_A_SEED, ImageNoise, ImageStudy, Run
from eval.ledger import page, record

ROOT = Path(__file__).parents[1]
RECIPES = [path for path in sorted((ROOT / "recipes").glob("[!_]*.py")) if isinstance(load_recipe(path), ImageStudy)]
TINY = """
from eval.image_study import ImageExpectation, ImageNoise, ImageStudy, Run
from eval.preprocessing import Grayscale

experiment = ImageStudy(
    claim="a claim",
    source="a paper",
    runs={
        "clean": Run(paper=94.5),
        "noisy": Run(noise=ImageNoise(), classes=("bird",), triggered=True),
        "gray": Run(countermeasure=Grayscale(), longer=2),
        "far": Run(data="svhn"),
    },
    expectations=(ImageExpectation(run="noisy", than="clean", at_most=0.5),),
)
"""


def result(tmp_path, name="tiny-smoke"):
    return json.loads((tmp_path / "runs" / name / "result.json").read_text())


@pytest.fixture(scope="session")
def every_set(tmp_path_factory):
    """A data folder in which every set that a recipe names is to be found."""
    folder = tmp_path_factory.mktemp("every set")
    for name in ("cifar10", "cifar100", "svhn", "imagenet-100"):
        write_set(folder, name, CIFAR, photos=4, test_photos=2)
    rows_of = load_recipe(ROOT / "recipes" / "transfer_classwise.py").runs["resnet-18, class-wise"].noise.rows_of
    write_split(folder / "tiny-imagenet-32" / "train.parquet", [name for _, name in rows_of], 5, seed=1)
    return folder


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_runs_at_smoke(recipe, image_study, every_set, tmp_path):
    code, _, err = image_study(recipe, folder=every_set)
    assert code == 0, err
    found = result(tmp_path, f"{recipe.stem}-smoke")
    assert found["runs"].keys() == load_recipe(recipe).runs.keys()
    assert (tmp_path / "runs" / f"{recipe.stem}-smoke" / "figure.svg").is_file()


def test_a_result_holds_accuracies_confusions_noise_and_what_was_not_run(image_study, tmp_path):
    code, out, err = image_study(TINY)
    assert code == 0
    assert "faceguard data fetch svhn" in err
    found = result(tmp_path)
    assert found["not_run"]
    assert all(name.endswith("(svhn is not at hand)") for name in found["not_run"])  # and no folder of this machine
    assert list(found["runs"]) == ["clean", "noisy", "gray"] or set(found["runs"]) == {"clean", "noisy", "gray"}
    noisy = found["runs"]["noisy"]
    (row,) = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if "│ noisy" in line]
    last, best = (f"{noisy['accuracy'][epoch]['mean']:.3f}" for epoch in ("last", "best"))
    assert row == ["noisy", "cifar10", "resnet-18", last, best, ""]
    assert noisy["photos"] == {"training": 40, "noisy": 4}
    assert noisy["noise"][0]["rounds"] >= 1
    assert np.allclose(np.sum(noisy["confusion"], axis=1), 1, atol=1e-3)
    assert noisy["accuracy"]["last"]["mean"] == pytest.approx(np.mean(np.diag(noisy["confusion"])), abs=1e-3)
    assert noisy["recognized"] == {"bird": noisy["confusion"][2][2]}
    assert 0 <= noisy["attack_success"]["mean"] <= 1
    assert "attack_success" not in found["runs"]["clean"]
    assert noisy["passes"]["training"] == 40
    assert noisy["passes"]["learning"] % noisy["noise"][0]["rounds"] == 0
    assert "passes" not in found["runs"]["clean"]
    assert {name: len(run["curves"]["loss"]) for name, run in found["runs"].items()} == {
        "clean": 1,
        "noisy": 1,
        "gray": 2,
    }


def test_a_cell_of_images_keeps_what_is_read_of_it(image_study, tmp_path):
    image_study(TINY, "--only", "clean/*")
    (file,) = (tmp_path / "runs" / "cells").glob("*.npz")
    with np.load(file) as cell:
        assert set(cell.files) == {"predictions", "logits", "losses", "seconds", "commit"}


def test_photos_that_are_left_out_of_a_training_carry_no_noise_in_it(image_study, tmp_path):
    kept = TINY.replace('"clean": Run(paper=94.5)', '"clean": Run(), "part": Run(share=0.5, keep="clean")')
    assert image_study(kept, "--only", "part/0")[0] == 0
    assert image_study(kept, "--judge")[0] == 0
    part = result(tmp_path)["runs"]["part"]
    assert (part["photos"], part["share"]) == ({"training": 20, "noisy": 0, "removed": 20}, 0.5)


def test_the_same_cells_give_the_same_bytes_and_are_trained_once(image_study, tmp_path, monkeypatch):
    image_study(TINY)
    folder = tmp_path / "runs" / "tiny-smoke"
    before = {name: (folder / name).read_bytes() for name in ("result.json", "figure.png", "figure.svg")}
    monkeypatch.setattr("eval.image_engine.Classifier.attack", lambda *_, **__: pytest.fail("trained again"))
    monkeypatch.setattr("eval.image_data.learn", lambda *_, **__: pytest.fail("learnt again"))
    image_study(TINY)
    assert before == {name: (folder / name).read_bytes() for name in before}


def test_every_seed_learns_noise_of_its_own_and_trains_on_that(image_study, tmp_path, monkeypatch):
    put, trained_on = eval.image_data.put, []

    def counting(photos, chosen, layers):
        trained_on.append(layers[0][0])
        return put(photos, chosen, layers)

    monkeypatch.setattr("eval.image_data.put", counting)
    image_study(TINY, "--seeds", "2")
    assert len({bank.rows.numpy().tobytes() for bank in trained_on}) == 2
    assert {bank.seed for bank in trained_on} == {0, 100}
    assert [noise["seed"] for noise in result(tmp_path)["runs"]["noisy"]["noise"]] == [0, 100]


def test_a_repeated_run_moves_the_seed_of_all_its_noises_and_nothing_else():
    run = Run(noise=ImageNoise(seed=1), second=ImageNoise(kind="random"), share=0.5)
    again = run.repeated(2)
    assert [noise.seed for noise in again.noises] == [201, 200]
    assert replace(again, noise=run.noise, second=run.second) == run
    assert run.repeated(0) == run
    assert Run().repeated(5) == Run()


def test_noises_of_seeds_of_their_own_share_none_whatever_the_trainers_seed():
    own = [Run(noise=ImageNoise(seed=seed)) for seed in range(3)]
    learnt = [noise for seed in range(3) for run in own for noise in run.repeated(seed).noises]
    assert len(set(learnt)) == 9
    stated = [noise for path in RECIPES for run in load_recipe(path).runs.values() for noise in run.noises]
    assert max(noise.seed for noise in stated) < NOISES_OF_A_SEED


def test_only_some_cells_are_computed_and_judging_lists_the_others(image_study, tmp_path):
    assert image_study(TINY, "--only", "clean/*")[0] == 0
    assert not (tmp_path / "runs" / "tiny-smoke").exists()
    assert image_study(TINY, "--judge")[0] == 0
    found = result(tmp_path)
    assert list(found["runs"]) == ["clean"]
    assert found["not_run"][:2] == ["noisy", "gray"]
    assert found["expectations"] == {}


def test_mistakes_are_sentences(image_study, tmp_path):
    code, _, err = image_study(TINY, "--only", "red*")
    assert code == 1
    assert "fits no cell" in err
    code, _, err = image_study(TINY.replace("Run(paper=94.5)", "Run(data='svhn')"), "--only", "clean*")
    assert code == 1
    assert "with --data NAME" in err
    code, _, err = image_study(TINY, "--judge")
    assert code == 1
    assert "Not one run of tiny" in err
    code, _, err = image_study(TINY.replace('(data="svhn"', "(").replace("Run(", "Run(data='svhn', "), "--judge")
    assert code == 1
    assert "faceguard data fetch svhn" in err
    code, _, err = image_study(TINY, "--out", tmp_path / "tiny.py" / "runs")
    assert code == 1
    assert "tiny.py/runs/cells cannot be read or written (Not a directory); check its path" in err


def test_a_set_stands_in_for_one_that_is_absent_in_a_report_of_that_name(image_study, tmp_path):
    code, _, err = image_study(TINY, "--data", "cifar10")
    assert (code, err) == (0, "")
    found = result(tmp_path, "tiny-cifar10-smoke")
    assert (found["runs"]["far"]["data"], found["settings"]["stand_in"]) == ("cifar10", "cifar10")


HERE = TINY.replace('data="svhn"', 'data="cifar10"')


@pytest.mark.parametrize("words", [(), ("--only", "clean/*"), ("--judge",)], ids=str)
@pytest.mark.parametrize(
    ("name", "recipe", "sentence"),
    [
        ("cifar10", HERE, "--data cifar10 replaces nothing: the study needs cifar10, all at hand; leave it out."),
        ("nonsense", TINY, "There is no image set 'nonsense'; there are svhn, cifar10"),
        ("nonsense", HERE, "There is no image set 'nonsense'"),
        ("cifar100", TINY, "cifar100 cannot stand in for another set: it is not in"),
    ],
)
def test_a_stand_in_that_would_only_name_the_report_is_refused(image_study, tmp_path, words, name, recipe, sentence):
    code, _, err = image_study(recipe, "--data", name, *words)
    assert code == 1
    assert sentence in err
    assert not (tmp_path / "runs").exists()


def test_the_ledger_has_a_row_for_every_run(image_study, tmp_path):
    image_study(TINY)
    record(tmp_path / "runs" / "tiny-smoke", tmp_path / "results")
    text = page(tmp_path / "results")
    assert "| noisy | cifar10 | resnet-18 | 40 (4) | 1 |" in text
    assert "bird recognized 0." in text
    assert "attack success 0." in text
    assert "| 0.945 |" in text


@pytest.mark.parametrize("recipe", ["single_class", "default_bank", "noise_survival"])
def test_an_adversary_for_a_recipe_without_any_is_refused(image_study, every_set, recipe):
    code, _, err = image_study(ROOT / "recipes" / f"{recipe}.py", "--adversary", "resnet-18", folder=every_set)
    assert code == 2
    assert "only face studies have adversaries" in err


def test_a_run_trains_its_own_network_with_its_own_countermeasure(image_study, monkeypatch):
    seen = set()

    def look(_, train, test, adversary, against, **more):
        seen.add((adversary.network, against.name))
        return {"seconds": 0.0}

    monkeypatch.setattr("eval.image_engine.run_cell", look)
    text = TINY.replace("Run(countermeasure=", 'Run(network="vgg-11", countermeasure=')
    assert image_study(text, "--only", "[cg]*")[0] == 0
    assert seen == {("resnet-18", "none"), ("vgg-11", "grayscale")}


def test_a_network_that_takes_every_trigger_for_its_class_has_an_attack_success_of_one(
    image_study, tmp_path, monkeypatch
):
    """And where it names the clean photos as well, it is right about all of them."""

    def follows(plan, job, **_):
        images = loaded(plan)
        labels = images.testing(images.study.runs[job.run].repeated(job.seed)).labels
        return {"predictions": labels[None], "losses": np.zeros(1), "seconds": 1.0}

    monkeypatch.setattr("eval.image_outcome.cell_of", follows)
    monkeypatch.setattr("eval.image_engine.compute", lambda *_, **__: 0.0)
    image_study(TINY)
    noisy = result(tmp_path)["runs"]["noisy"]
    assert (noisy["attack_success"]["mean"], noisy["accuracy"]["last"]["mean"]) == (1, 1)
