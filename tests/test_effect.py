"""The claims in miniature: the clean arm learns, random noise changes little, error-minimizing noise hides whom it protects.

The demo itself, on drawn faces, from scratch. Every claim is read against the clean arm,
which is asserted first: what does not learn clean faces proves nothing about noisy ones.
"""

from dataclasses import replace

import pytest
import torch

from faceguard.bank import NoiseBank
from faceguard.demo import DemoSettings, run_demo
from faceguard.device import make_fabric

SMALL = DemoSettings()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return run_demo(
        make_fabric(device="cpu", precision="auto"), tmp_path_factory.mktemp("effect"), settings=SMALL, seed=0
    )


@pytest.fixture(scope="module")
def last(report):
    """Arm -> group -> rank-1 on clean held-out faces after the last epoch."""
    arms = report["arms"].items()
    return {arm: {g: rates["last"] for g, rates in result["recognition"].items()} for arm, result in arms}


def test_the_clean_arm_learns_both_groups(last):
    assert last["clean"]["protected"] >= 0.7
    assert last["clean"]["others"] >= 0.7


def test_random_noise_of_the_same_budget_protects_nobody(last):
    assert last["random"]["protected"] >= 0.7 * last["clean"]["protected"]


def test_error_minimizing_noise_hides_the_protected_and_at_no_epoch_shows_half(report, last):
    best = report["arms"]["error-minimizing"]["recognition"]["protected"]["best"]
    assert last["clean"]["protected"] >= 0.7
    assert last["error-minimizing"]["protected"] <= last["clean"]["protected"] / 4
    assert best <= last["clean"]["protected"] / 2


def test_the_others_are_recognized_nearly_as_well_as_without_it(last):
    assert last["error-minimizing"]["others"] >= 0.8 * last["clean"]["others"]


def test_the_verdict_says_so(report):
    assert report["verdict"] == "protected"


def test_a_bank_without_noise_protects_nobody(tmp_path, monkeypatch):
    """The harness itself must not invent an effect: with rows that round to no level the arm is the clean one."""

    def silent(_, source, settings, **__):
        rows = torch.ones(len(source.names), 3, source.size, source.size, dtype=torch.int8)
        return NoiseBank(rows=rows, identities=source.names, epsilon=settings.epsilon, form="class-wise", seed=0)

    monkeypatch.setattr("faceguard.demo.learn_bank", silent)
    quick = replace(SMALL, adversary=replace(SMALL.adversary, train=replace(SMALL.adversary.train, epochs=12)))
    report = run_demo(make_fabric(device="cpu", precision="auto"), tmp_path, settings=quick, seed=0)
    assert report["verdict"] == "not protected"
    clean, silent_arm = report["arms"]["clean"], report["arms"]["error-minimizing"]
    assert silent_arm["curves"] == clean["curves"]
