"""Adversaries by name and scale; scales cut data; expectations are sentences that decide."""

import math
from dataclasses import replace
from itertools import combinations

import pytest
from studies import data, study, trainings  # noqa: F401

from eval.adversaries import SMALL as RESNET_SMALL
from eval.banks import BankRecipe
from eval.contenders import SMALL, contenders
from eval.experiment import Condition, Expectation, FaceStudy
from eval.plan import Plan, command_of, folder_of
from eval.scales import LIMITS, Limits
from faceguard.adversary import Scratch
from faceguard.readers.record import Record


def records(*counts):
    return [Record(f"{person}/{i}", str(person), lambda: None) for person, n in enumerate(counts) for i in range(n)]


def test_every_scale_knows_the_same_adversaries():
    assert contenders("smoke").keys() == contenders("small").keys() == contenders("full").keys()
    assert contenders("small") is SMALL


def lengths(adversary):
    """The settings of every training in it."""
    inner = [getattr(adversary, field, None) for field in ("then", "train")]
    return [part for one in inner if one is not None for part in ([one] if hasattr(one, "epochs") else lengths(one))]


def network(adversary):
    """The network that is trained from scratch, by whatever adversary goes on as one; None when there is none."""
    return adversary if isinstance(adversary, Scratch) else getattr(adversary, "then", None)


@pytest.mark.parametrize("name", SMALL)
def test_smoke_is_tiny_with_one_seed(name):
    adversary = contenders("smoke")[name].adversary
    assert contenders("smoke")[name].seeds == (0,)
    assert {(one.epochs, one.batch_size) for one in lengths(adversary)} <= {(2, 8)}
    if found := network(adversary):
        assert (found.width, found.size) == (8, 80 if found.model == "inception-resnet-v1" else 32)


FULL = {
    "resnet-18": (64, 50),
    "resnet-18-narrow": (32, 50),
    "resnet-18-narrow-long": (32, 150),
    "resnet-18-at-112": (32, 50),
    "resnet-18-narrow-arcface": (32, 50),
    "inception-resnet-v1": (64, 50),
    "mobilefacenet": (64, 50),
    "averaging": (32, 50),
    "projecting": (32, 50),
    "noise-augmented": (32, 50),
}


@pytest.mark.parametrize("name", SMALL)
def test_full_has_the_papers_size_and_epochs_and_keeps_narrow_narrow_and_long_long(name):
    adversary = contenders("full")[name].adversary
    assert contenders("full")[name].seeds == SMALL[name].seeds
    found = network(adversary)
    assert (found is None) == (name not in FULL)
    if found:
        assert (found.width, found.train.epochs) == FULL[name]
        assert (found.size, found.head) == (112, network(SMALL[name].adversary).head)
    for training in lengths(adversary):
        assert (training.epochs, training.batch_size) == (FULL.get(name, (0, 50))[1], 64)


def test_what_differs_at_small_differs_at_full_but_for_pixels_that_were_spared():
    full = {name: one.adversary for name, one in contenders("full").items()}
    alike = [(a, b) for a, b in combinations(full, 2) if full[a] == full[b]]
    assert alike == [("resnet-18-narrow", "resnet-18-at-112")]
    assert contenders("small")["resnet-18"].adversary == RESNET_SMALL


def test_limits_take_the_first_photos_of_the_first_people():
    assert [r.key for r in Limits(identities=2, photos=1).apply(records(3, 2, 4))] == ["0/0", "1/0"]
    everything = records(3, 2)
    assert Limits().apply(everything) == everything


def test_a_study_at_smoke_protects_few_and_its_noise_is_hasty():
    study = FaceStudy(
        claim="",
        faces="",
        conditions=tuple(Condition(protected=count) for count in (50, 60, None)),
        noises={"own": BankRecipe(faces="")},
    )
    smoke = study.at("smoke")
    assert [condition.protected for condition in smoke.conditions] == [3, None]
    assert smoke.noises["own"].limits == LIMITS["smoke"]
    assert smoke.noises["own"].settings.stop_error > 0.9
    assert study.at("small") is study


@pytest.mark.parametrize(
    ("expectation", "rank1", "met"),
    [
        (Expectation(at_most=0.1), 0.08, True),
        (Expectation(at_most=0.1), 0.081, False),
        (Expectation(at_least=0.9), 0.721, True),
        (Expectation(at_least=0.9), 0.719, False),
        (Expectation(at_least=0.9), math.nan, False),
        (Expectation(at_most=0.1), math.nan, False),
    ],
)
def test_an_expectation_is_a_share_of_the_clean_arms_rank1(expectation, rank1, met):
    assert expectation.met(rank1, 0.8) is met


def test_an_expectation_reads_as_a_sentence_and_fits_names_by_pattern():
    expectation = Expectation(group="others", at_least=0.9, epoch="best", where="*coarse-8*")
    assert str(expectation) == "others at least 0.9 of clean, best epoch"
    condition = Condition(noise="coarse-8", photos=0.5, assign="nearest", noisy_others=True, original=True)
    assert condition.name == ("resnet-18, none, coarse-8, 50 protected, 50% of photos, nearest, noisy others, original")
    assert expectation.fits(condition)
    assert not expectation.fits(replace(condition, noise="fine-8"))
    assert not expectation.fits(replace(condition, protected=None))


def test_a_plan_is_repeated_by_what_determines_its_numbers(tmp_path):
    plan = Plan(recipe=tmp_path / "recipes" / "face_full.py", data=tmp_path, out=tmp_path)
    assert command_of(plan) == ["python", "-m", "eval", "recipes/face_full.py", "--precision", "bf16"]
    other = replace(plan, scale="smoke", seeds=2, precision="fp32")
    assert command_of(other)[4:] == ["--scale", "smoke", "--seeds", "2", "--precision", "fp32"]
    swept = replace(plan, adversary="resnet-18-narrow", scale="smoke")
    words = ["--scale", "smoke", "--precision", "bf16", "--adversary", "resnet-18-narrow"]
    assert command_of(swept)[4:] == words
    assert folder_of(swept) == tmp_path / "face_full-resnet-18-narrow-smoke"
    assert folder_of(replace(plan, stand_in="casia-webface")) == tmp_path / "face_full-casia-webface"
