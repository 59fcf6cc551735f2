"""Which claims of a face study are met by its conditions, and by which share of what clean photos gave."""

from types import SimpleNamespace

import numpy as np
import pytest

import eval.outcome
from eval.experiment import Condition, Expectation, FaceStudy
from eval.outcome import expectations
from tests.fabricated import held_out


def measured(condition, outcome, **last):
    """A condition as it stands in result.json, with the protected group's rank-1 by arm."""
    arms = {arm: {"recognition": {"protected": {"last": {"mean": rank1}}}} for arm, rank1 in last.items()}
    return {"name": condition.name, "verdict": outcome, "arms": arms}


def test_nothing_is_met_where_a_control_failed_or_nothing_was_run():
    """Else a clean arm that learnt nothing would meet every claim: nothing is at most a tenth of nothing."""
    learnt, dead, absent = (Condition(protected=count) for count in (1, 2, 3))
    claims = Expectation(at_most=0.1), Expectation(at_least=0.5, where="*, 1 protected")
    study = FaceStudy(claim="", faces="people", conditions=(learnt, dead, absent), expectations=claims)
    found = expectations(
        study,
        [
            measured(learnt, "protected", **{"clean": 0.5, "random": 0.5, "error-minimizing": 0.01}),
            measured(dead, "inconclusive", **{"clean": 0.0, "random": 0.0, "error-minimizing": 0.0}),
        ],
    )
    assert found == {
        f"{learnt.name}: protected at most 0.1 of clean, last epoch": (True, 0.02),
        f"{dead.name}: protected at most 0.1 of clean, last epoch": (False, None),
        f"{absent.name}: protected at most 0.1 of clean, last epoch (not run)": (False, None),
        f"{learnt.name}: protected at least 0.5 of clean, last epoch": (False, 0.02),
    }


def test_a_claim_about_the_best_epoch_is_a_share_of_what_clean_photos_gave_after_the_last():
    condition = Condition(protected=1)
    claims = (Expectation(at_most=0.5, epoch="best"), Expectation(at_least=0.25))
    study = FaceStudy(claim="", faces="people", conditions=(condition,), expectations=claims)
    arms = {"clean": (0.4, 0.8), "random": (0.4, 0.4), "error-minimizing": (0.1, 0.3)}
    rates = {arm: {"last": {"mean": last}, "best": {"mean": best}} for arm, (last, best) in arms.items()}
    told = {arm: {"recognition": {"protected": rate}} for arm, rate in rates.items()}
    best, last = expectations(study, [measured(condition, "protected") | {"arms": told}]).values()
    assert (best.met, last.met, round(best.value, 6), last.value) == (False, True, 0.75, 0.25)


@pytest.mark.parametrize(
    ("claim", "random", "noise", "found"),
    [
        (Expectation(at_most=0.1), 0.4, 0.02, (True, 0.05)),
        (Expectation(at_most=0.1), 0.04, 0.02, (False, None)),
        (Expectation(at_most=0.1), 0.02, 0.02, (False, None)),
        (Expectation(at_most=0.1), float("nan"), 0.02, (False, None)),
        (Expectation(at_most=0.1, at_least=0.01), 0.0, 0.02, (False, None)),
        (
            Expectation(at_most=0.1),
            0.02,
            0.2,
            (False, 0.5),
        ),  # who is recognized is not hidden, whatever random noise does
        (
            Expectation(at_least=0.01),
            0.02,
            0.02,
            (True, 0.05),
        ),  # that the noise does not hide them needs no such control
        (Expectation(at_most=1.2), 0.02, 0.02, (True, 0.05)),
    ],
)
def test_nobody_is_hidden_by_noise_where_random_noise_hides_them_as_well(claim, random, noise, found):
    """The condition may be "not protected" all the same, because of an earlier epoch or one of its seeds."""
    condition = Condition(protected=1)
    study = FaceStudy(claim="", faces="people", conditions=(condition,), expectations=(claim,))
    rates = {"clean": 0.4, "random": random, "error-minimizing": noise}
    (one,) = expectations(study, [measured(condition, "not protected", **rates)]).values()
    assert (one.met, one.value and round(one.value, 6)) == found


@pytest.mark.parametrize(("photos", "outcome"), [(3, "inconclusive"), (4, "protected")])
def test_a_person_of_whom_three_photos_are_held_out_is_not_called_protected(monkeypatch, photos, outcome):
    """Every arm names all photos rightly, but with noise none of hers."""
    test = held_out(12, photos=photos)

    def cell(_, job, **__):
        hers = (job.arm == "error-minimizing") & (test.labels == 0)
        return {"predictions": np.where(hers, 1, test.labels)[None], "seconds": 1.0}

    monkeypatch.setattr("eval.outcome.cell_of", cell)
    monkeypatch.setattr("eval.outcome.seeds_of", lambda *_: (0, 1))
    monkeypatch.setattr("eval.outcome.lfw_of", lambda _: None)
    data = SimpleNamespace(test=test, protected=lambda _: test.names[:1], doubts=lambda _: [])
    found, _ = eval.outcome._measure(None, data, Condition(protected=1), read_only=False)
    assert found["verdict"] == outcome
    if outcome == "inconclusive":
        assert "names 3 of 3 held-out photos of the protected" in found["reasons"][0]
