"""A tiny study for the harness's tests: a data folder, a recipe, a network that learns it, and a count of trainings."""

import numpy as np
import pytest
from commands import coarse_bank, write_faces

import eval.__main__ as harness
import eval.banks
import eval.contenders
from eval.experiment import Contender
from faceguard.adversary import Scratch
from faceguard.train import TrainSettings

STUDY = """
from eval.banks import BankRecipe
from eval.experiment import Condition, Expectation, FaceStudy
from faceguard.uploads import Upload

experiment = FaceStudy(
    claim="a claim",
    paper={{"rank-1": "0.16"}},
    faces={faces!r},
    conditions={conditions},
    lfw={lfw!r},
    expectations=({expectations}),
    data_seed={data_seed},
)
"""
USUAL = {
    "conditions": "(Condition(adversary='small', protected=2),)",
    "lfw": None,
    "faces": "people",
    "expectations": "",
    "data_seed": 0,
}
SMALL = Scratch(width=8, size=32, train=TrainSettings(epochs=2, batch_size=8))


@pytest.fixture(scope="session")
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

    def counting(self, fabric, train, test, **keywords):
        trained.append((train, test))
        return attack(self, fabric, train, test, **keywords)

    monkeypatch.setattr(Scratch, "attack", counting)
    banks = dict.fromkeys(eval.banks.WITH_THE_PACKAGE, coarse_bank)
    monkeypatch.setattr(eval.banks, "WITH_THE_PACKAGE", banks)
    monkeypatch.setattr("eval.data.WITH_THE_PACKAGE", banks)
    monkeypatch.setattr(eval.contenders, "SMALL", {"small": Contender(adversary=SMALL, seeds=(0, 1))})
    monkeypatch.setattr("eval.outcome.visibility", lambda *_: {"epsilon_levels": 16})
    clear()
    yield trained
    clear()


def clear():
    """Forget every study that was loaded: each test brings another of the same name."""
    eval.engine.loaded.cache_clear()
    eval.engine.lfw_of.cache_clear()
    eval.contenders.contenders.cache_clear()


@pytest.fixture
def study(tmp_path, data, capsys, trainings):
    """Run a study in this process; gives exit code, standard output and standard error."""

    def run(*words, **changes):
        recipe = tmp_path / "tiny.py"
        recipe.write_text(STUDY.format(**{**USUAL, **changes}))
        arguments = (recipe, "--out", tmp_path / "runs", "--folder", data, "--precision", "fp32", *words)
        clear()
        with pytest.raises(SystemExit) as left:
            harness.main([str(word) for word in arguments])
        return (left.value.code or 0, *capsys.readouterr())

    return run


def arrays_equal(first, second):
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)
