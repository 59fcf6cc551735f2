"""Recipes state what they claim; mistakes in their name, content or data are sentences."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import eval.__main__ as harness
from eval.experiment import Experiment, load_recipe
from eval.image_claims import controls, hides
from eval.image_study import ImageStudy

ROOT = Path(__file__).parents[1]
RECIPES = sorted(path for path in (ROOT / "recipes").glob("*.py") if path.name != "__init__.py")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_states_an_experiment_its_claim_command_data_and_expectation(path):
    assert isinstance(load_recipe(path), Experiment)
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    starts = [line.split(" ")[0] for line in docstring.splitlines()]
    assert [starts.count(word) for word in ("Claim", "Command", "Data", "Expect")] == [1, 1, 1, 1]
    assert f"python -m eval recipes/{path.name}" in docstring


def test_there_are_recipes_for_the_bank_and_both_case_studies():
    assert {path.stem for path in RECIPES} >= {"default_bank", "face_partial", "face_full"}


def test_what_noise_hides_of_images_is_claimed_only_beside_what_random_noise_leaves_of_the_same():
    studies = {path.stem: load_recipe(path) for path in RECIPES}
    claims = [
        (name, run, claim, controls(study, claim, run))
        for name, study in studies.items()
        if isinstance(study, ImageStudy)
        for claim in study.expectations
        for run in study.runs
        if hides(study, claim, run)
    ]
    assert len({name for name, *_ in claims}) > 10
    assert [f"{name}: {run} {claim}" for name, run, claim, beside in claims if not beside] == []


@pytest.mark.parametrize(
    ("name", "words"),
    [("empty.py", "states no experiment"), ("absent.py", "is no recipe"), ("notes.md", "is no recipe")],
)
def test_a_file_without_an_experiment_is_a_sentence(tmp_path, capsys, name, words):
    if name != "absent.py":
        (tmp_path / name).write_text("experiment = 3\n")
    with pytest.raises(SystemExit) as left:
        harness.main([str(tmp_path / name), "--out", str(tmp_path / "runs")])
    assert left.value.code == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_absent_data_is_a_sentence_that_names_the_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("FACEGUARD_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(SystemExit) as left:
        harness.main([str(ROOT / "recipes" / "face_partial.py"), "--out", str(tmp_path / "runs")])
    assert left.value.code == 1
    said = capsys.readouterr().err
    assert f"{tmp_path / 'nowhere' / 'pins-105'} does not exist" in said
    assert all(words in said for words in ("FACEGUARD_DATA", "--folder", "--data", "docs/data.md"))
    assert (ROOT / "docs" / "data.md").is_file()


def test_a_mistyped_option_exits_with_2():
    with pytest.raises(SystemExit) as left:
        harness.main(["recipe.py", "--seed", "3"])
    assert left.value.code == 2


def test_a_bug_keeps_its_traceback(tmp_path):
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        harness.main([str(tmp_path / "broken.py")])


def test_the_module_can_be_run():
    words = (sys.executable, "-m", "eval", "no-such-recipe.py")
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "Error: no-such-recipe.py is no recipe; name a Python file of recipes/.\n",
    )
