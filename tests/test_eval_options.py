"""A bank recipe makes a bank, a bank of every scale has a file of its own, and options that a recipe would ignore are refused."""

from pathlib import Path

import pytest
from commands import quick_noise, write_faces

import eval.__main__ as harness
from faceguard.bank import load_bank

ROOT = Path(__file__).parents[1]
IGNORED = [("--judge",), ("--only", "*clean"), ("--seeds", "2"), ("--cluster", "local"), ("--data", "people")]


def plain(err):
    """What stands in the box that a usage error is drawn as, in one line."""
    return " ".join(err.replace("│", " ").split())


@pytest.fixture
def bank_recipe(tmp_path, capsys):
    """Run a recipe that states a bank; gives exit code, output and errors."""
    write_faces(tmp_path / "people", identities=4, photos=10, size=32)
    recipe = tmp_path / "bank.py"
    recipe.write_text(
        "from commands import quick_noise\nfrom eval.banks import BankRecipe\n"
        "experiment = BankRecipe(faces='people', settings=quick_noise(), seed=4)\n"
    )

    def run(*words):
        usual = (recipe, "--out", tmp_path, "--folder", tmp_path, "--precision", "fp32")
        with pytest.raises(SystemExit) as left:
            harness.main([str(word) for word in (*usual, *words)])
        return (left.value.code or 0, *capsys.readouterr())

    return run


def test_a_bank_recipe_makes_a_bank_and_never_overwrites_one(tmp_path, bank_recipe):
    code, out, _ = bank_recipe()
    assert code == 0
    assert "round 1: error" in out
    bank = load_bank(tmp_path / "bank.safetensors")
    assert (len(bank), bank.seed, bank.epsilon) == (4, 4, quick_noise().epsilon)
    before = (tmp_path / "bank.safetensors").read_bytes()
    code, _, err = bank_recipe()
    assert code == 1
    assert "already exists" in err
    assert (tmp_path / "bank.safetensors").read_bytes() == before


def test_a_bank_of_another_scale_is_no_obstacle_to_the_real_one_nor_taken_for_it(tmp_path, bank_recipe):
    assert [bank_recipe("--scale", scale)[0] for scale in ("smoke", "small", "full")] == [0, 0, 0]
    written = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    assert written == ["bank-full.safetensors", "bank-smoke.safetensors", "bank.safetensors"]


@pytest.mark.parametrize("words", IGNORED, ids=lambda words: words[0])
def test_an_option_that_a_bank_recipe_would_ignore_is_refused(tmp_path, bank_recipe, words):
    code, _, err = bank_recipe(*words)
    assert code == 2
    assert f"this recipe learns a noise bank and has no cells; leave {words[0]} out." in plain(err)
    assert list(tmp_path.glob("*.safetensors*")) == []


def test_absent_faces_of_a_bank_are_a_sentence_without_the_option_that_it_refuses(tmp_path, bank_recipe):
    code, _, err = bank_recipe("--folder", tmp_path / "people")
    assert code == 1
    assert "--folder. docs/data.md says" in err
    assert "--data" not in err


def test_options_that_a_survival_recipe_would_ignore_are_refused_together(tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        harness.main([str(ROOT / "recipes" / "noise_survival.py"), "--out", str(tmp_path), "--seeds", "2", "--judge"])
    assert left.value.code == 2
    sentence = "this recipe measures photos and has no cells; leave --seeds and --judge out."
    assert sentence in plain(capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []
