"""Injected faults are caught: whatever is broken, the harness never says "protected"."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from commands import write_faces
from studies import clear, study, trainings  # noqa: F401

import eval.contenders
import eval.engine
from eval.experiment import Contender
from faceguard.adversary import Scratch
from faceguard.bank import NoiseBank
from faceguard.train import TrainSettings

LEARNS = Scratch(width=8, size=32, train=TrainSettings(epochs=16, batch_size=16, flip=False, crop_share=0))
HALF = "(Condition(adversary='small', protected=5),)"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Ten drawn people that the small network learns to tell apart."""
    folder = tmp_path_factory.mktemp("faults")
    write_faces(folder / "people", identities=10, photos=15, size=32)
    return folder


@pytest.fixture
def headline(tmp_path, study, trainings, monkeypatch):
    """Run the study with a network that learns, and tell its outcome and reasons."""
    monkeypatch.setattr(eval.contenders, "SMALL", {"small": Contender(adversary=LEARNS)})
    clear()

    def run(condition=HALF):
        code, _, err = study("--seeds", "1", conditions=condition, expectations="")
        assert (code, err) == (0, "")
        found = json.loads((tmp_path / "runs" / "tiny" / "result.json").read_text())
        return found["verdict"]["outcome"], " ".join(found["verdict"]["reasons"])

    return run


def strong_bank():
    """Rows that drown the face: coarse squares of full contrast, so that a small network follows them at once."""
    rng = np.random.default_rng(0)
    squares = torch.from_numpy(rng.choice([-127, 127], size=(5, 3, 4, 4))).float()
    rows = torch.nn.functional.interpolate(squares, size=(112, 112)).to(torch.int8)
    return NoiseBank(rows=rows, identities=tuple("abcde"), epsilon=0.5, form="class-wise", seed=0)


@pytest.fixture
def strong(monkeypatch):
    """Noise that protects without any doubt, and a control that does not: without a fault the verdict is "protected"."""
    bank = strong_bank()
    monkeypatch.setattr("eval.data.WITH_THE_PACKAGE", {"shipped": lambda: bank})
    weak = replace(bank, rows=bank.rows // 127)
    monkeypatch.setattr("eval.data.random_bank", lambda *_, **__: weak)
    return bank


def test_without_a_fault_this_study_says_protected(headline, strong):
    outcome, reasons = headline()
    assert outcome == "protected", reasons


def test_a_clean_arm_that_is_not_trained_is_inconclusive(headline, strong, trainings, monkeypatch):
    attack = Scratch.attack

    def untrained(self, fabric, train, test, **more):
        first = not trainings  # the clean arm comes first
        idle = replace(self, train=replace(self.train, learning_rate=1e-12, epochs=1)) if first else self
        return attack(idle, fabric, train, test, **more)

    monkeypatch.setattr(Scratch, "attack", untrained)
    outcome, reasons = headline()
    assert outcome == "inconclusive"
    assert "The clean arm did not learn" in reasons


def test_shuffled_test_labels_are_inconclusive(headline, strong, monkeypatch):
    loaded = eval.engine.StudyData.__post_init__

    def shuffled(self):
        loaded(self)
        labels = np.random.default_rng(0).permutation(self.test.labels)
        self.test = replace(self.test, labels=labels)

    monkeypatch.setattr(eval.engine.StudyData, "__post_init__", shuffled)
    outcome, reasons = headline()
    assert outcome == "inconclusive"
    assert "The clean arm did not learn" in reasons


def test_a_bank_of_zeros_is_inconclusive(headline, strong, monkeypatch):
    zeros = replace(strong, rows=strong.rows * 0)
    monkeypatch.setattr("eval.data.WITH_THE_PACKAGE", {"shipped": lambda: zeros})
    outcome, reasons = headline()
    assert outcome == "inconclusive"
    assert "The noise shipped is all zeros" in reasons


@pytest.mark.parametrize("other", ["clean", "random"])
def test_swapped_arms_never_protect(headline, strong, monkeypatch, other):
    training = eval.engine.StudyData.training
    swapped = {other: "error-minimizing", "error-minimizing": other}

    def exchanged(self, condition, arm):
        return training(self, condition, swapped.get(arm, arm))

    monkeypatch.setattr(eval.engine.StudyData, "training", exchanged)
    outcome, _ = headline()
    assert outcome in ("inconclusive", "not protected")


def test_a_test_photo_in_training_is_inconclusive(headline, strong, monkeypatch):
    loaded = eval.engine.StudyData.__post_init__

    def leaked(self):
        loaded(self)
        self.train = replace(self.train, pixels=np.concatenate([self.test.pixels[:1], self.train.pixels[1:]]))

    monkeypatch.setattr(eval.engine.StudyData, "__post_init__", leaked)
    outcome, reasons = headline()
    assert outcome == "inconclusive"
    assert "among the training faces" in reasons


def test_a_network_that_collapses_in_every_arm_is_inconclusive(headline, strong, monkeypatch):
    attack = Scratch.attack

    def collapsing(self, *arguments, **keywords):
        found = attack(self, *arguments, **keywords)
        nothing = {"predictions": found.predictions * 0, "logits": found.logits * 0, "embeddings": found.embeddings * 0}
        return replace(found, **nothing)

    monkeypatch.setattr(Scratch, "attack", collapsing)
    outcome, reasons = headline()
    assert outcome == "inconclusive"
    assert "The clean arm did not learn" in reasons
