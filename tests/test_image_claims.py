"""When a claim about a classification study is met, by how much, and what learning its noise costs."""

from dataclasses import replace
from functools import partial

import pytest

from eval.experiment import Expectation
from eval.image_claims import accuracy_expectations, controls, cost_expectations, expectations
from eval.image_study import ImageExpectation, ImageNoise, ImageStudy, Run
from faceguard.errors import DataError


def test_an_expectation_counts_from_chance_and_nothing_is_met_beside_a_control_that_did_not_learn():
    quarter = ImageExpectation(run="noisy", than="clean", at_most=0.25)
    assert quarter.share(0.3, 0.9, 0.1) == pytest.approx(0.25)
    assert quarter.share(0.1, 0.19, 0.1) is None
    assert quarter.share(float("nan"), 0.9, 0.1) is None
    assert quarter.share(0.1, float("nan"), 0.1) is None
    assert [quarter.met(share) for share in (0.25, 0.26, None)] == [True, False, False]
    label = ImageExpectation(run="noisy", than="clean", at_least=0.25, label="bird")
    assert label.share(0.2, 0.8, 0.1) == pytest.approx(0.25)
    assert [label.met(share) for share in (0.25, 0.24, None)] == [True, False, False]


def test_an_attack_counts_from_zero_beside_one_that_may_be_rarer_than_chance():
    attack = ImageExpectation(run="noisy", than="random", attack=True, at_least=3)
    assert attack.share(0.6, 0.12, 0.1) == pytest.approx(5)
    assert attack.share(0.6, 0.06, 0.1) == attack.share(0.6, 0.0, 0.1) == pytest.approx(6)
    assert not attack.met(attack.share(0.1, 0.006, 0.1))  # who guesses follows no row, however seldom the other errs
    assert str(attack) == "follows rows at least 3 times as often as random"


def test_a_claim_that_is_missed_comes_with_the_number_that_misses_it():
    claims = (
        ImageExpectation(run="noisy", than="clean", at_most=0.25),
        ImageExpectation(run="noisy", than="clean", at_least=2, attack=True),
        ImageExpectation(run="noisy", than="clean", at_most=0.25, label="bird"),
    )
    triggered = Run(triggered=True, noise=ImageNoise(kind="random"))  # no control is asked of a control
    study = ImageStudy(claim="", source="", runs={"clean": triggered, "noisy": triggered}, expectations=claims)

    def run(accuracy, attack):
        return {"accuracy": {"last": {"mean": accuracy}}, "attack_success": {"mean": attack}, "chance": 0.1}

    found = expectations(study, {"clean": run(0.9, 0.2), "noisy": run(0.5, 0.6)})
    assert [(one.met, one.value and round(one.value, 6)) for one in found.values()] == [
        (False, 0.5),
        (True, 3.0),
        (False, None),  # which class the birds are stands nowhere
    ]


RANDOM = Run(noise=ImageNoise(kind="random"))
RANDOM_SAMPLE_WISE = Run(noise=ImageNoise(kind="random", form="sample-wise"))
CONTROLLED = ImageStudy(
    claim="",
    source="",
    runs={
        "clean": Run(),
        "class-wise": Run(noise=ImageNoise()),
        "sample-wise": Run(noise=ImageNoise(form="sample-wise")),
        "random": RANDOM,
        "random by photo": RANDOM_SAMPLE_WISE,
    },
    expectations=(
        ImageExpectation(run="*-wise", than="clean", at_most=0.25),
        ImageExpectation(run="random*", than="clean", at_least=0.5),
    ),
)


@pytest.mark.parametrize(
    ("random", "by_photo", "met"),
    [
        (0.9, 0.9, {"class-wise": (True, 0.125), "sample-wise": (True, 0.125)}),
        (0.2, 0.9, {"class-wise": (False, None), "sample-wise": (True, 0.125)}),  # it hides as much without learning
        (0.9, 0.2, {"class-wise": (True, 0.125), "sample-wise": (False, None)}),
        (None, 0.9, {"class-wise": (False, None), "sample-wise": (True, 0.125)}),  # nobody looked
    ],
)
def test_noise_hides_nothing_that_random_noise_of_its_form_hides_as_well(random, by_photo, met):
    last = {"clean": 0.9, "class-wise": 0.2, "sample-wise": 0.2, "random": random, "random by photo": by_photo}
    runs = {
        name: {"accuracy": {"last": {"mean": value}}, "chance": 0.1}
        for name, value in last.items()
        if value is not None
    }
    claims = expectations(CONTROLLED, runs)
    found = {
        name: one and (one.met, one.value and round(one.value, 6)) for name in met for one in [claim(claims, name)]
    }
    assert found == met


@pytest.mark.parametrize(
    ("random", "met"),
    [((0.24, 0.7), (False, None)), ((0.32, 0.7), (True, 0.125)), ((0.32, 0.4), (False, None))],
)
def test_a_control_that_is_asked_at_its_best_epoch_must_miss_the_claim_at_the_claims_own(random, met):
    """Random noise that leaves much at the best epoch, and after the last as little as is claimed of learnt noise."""
    early = (CONTROLLED.expectations[0], ImageExpectation(run="random*", than="clean", at_least=0.5, epoch="best"))
    ends = {"clean": (0.9, 0.9), "class-wise": (0.2, 0.2), "sample-wise": (0.2, 0.2), "random": random}
    runs = {
        name: {"accuracy": {"last": {"mean": last}, "best": {"mean": best}}, "chance": 0.1}
        for name, (last, best) in ends.items()
    }
    found = claim(expectations(replace(CONTROLLED, expectations=early), runs), "class-wise")
    assert (found.met, found.value and round(found.value, 6)) == met


def test_a_claim_that_learnt_noise_hides_something_needs_a_control_of_the_same():
    """A control about one class says nothing about all of them, and nobody else's control says anything."""
    about_birds = replace(CONTROLLED.expectations[1], label="bird")
    runs = {name: {"accuracy": {"last": {"mean": 0.2}}, "chance": 0.1} for name in CONTROLLED.runs}
    runs["clean"] = {"accuracy": {"last": {"mean": 0.9}}, "chance": 0.1}
    for expected in ((CONTROLLED.expectations[0],), (CONTROLLED.expectations[0], about_birds)):
        study = replace(CONTROLLED, expectations=expected)
        assert not any(controls(study, expected[0], name) for name in ("class-wise", "sample-wise"))
        assert claim(expectations(study, runs), "class-wise") == (False, None)


@pytest.mark.parametrize(("again", "met"), [(0.9, True), (0.2, False)])
def test_every_control_of_a_claim_counts(again, met):
    study = replace(CONTROLLED, runs={**CONTROLLED.runs, "random again": RANDOM})
    last = {"clean": 0.9, "class-wise": 0.2, "sample-wise": 0.2, "random": 0.9, "random by photo": 0.9}
    runs = {
        name: {"accuracy": {"last": {"mean": value}}, "chance": 0.1}
        for name, value in (last | {"random again": again}).items()
    }
    assert claim(expectations(study, runs), "class-wise").met == met
    assert claim(expectations(study, runs), "sample-wise").met


def test_a_control_that_leaves_just_what_is_claimed_of_the_noise_clears_nothing():
    quarter = ImageExpectation(run="noisy", than="clean", at_most=0.25)
    assert [quarter.clears(share) for share in (0.26, 0.25, None)] == [True, False, False]


def test_the_best_epoch_is_compared_with_what_the_reference_knew_after_its_last():
    expected = ImageExpectation(run="random", than="clean", at_least=0.4, epoch="best")
    runs = {
        name: {"accuracy": {"last": {"mean": last}, "best": {"mean": best}}, "chance": 0.1}
        for name, last, best in (("clean", 0.5, 0.9), ("random", 0.2, 0.3))
    }
    found = claim(expectations(replace(CONTROLLED, expectations=(expected,)), runs), "random")
    assert (found.met, round(found.value, 6)) == (True, 0.5)


def patches(*sides):
    """Learnt and random patches of these sides (None: the whole photo), with a claim about each."""
    kinds = {"learnt": "error-minimizing", "random": "random"}
    runs = {f"{name} {side}": Run(noise=ImageNoise(kind=k, patch=side)) for name, k in kinds.items() for side in sides}
    claims = (
        ImageExpectation(run="learnt*", than="clean", at_most=0.25),
        ImageExpectation(run="random*", than="clean", at_least=0.5),
    )
    return ImageStudy(claim="", source="", runs={"clean": Run(), **runs}, expectations=claims)


@pytest.mark.parametrize(
    ("random", "chosen"),
    [
        ((16, None), {16: [16], 24: [None], None: [None]}),
        ((8, 24), {16: [24], 24: [24], None: []}),  # no patch tells what noise on the whole photo does
    ],
)
def test_a_control_covers_at_least_as_much_of_the_photo_as_the_noise_it_stands_beside(random, chosen):
    study = patches(8, 16, 24, None)
    left_out = {f"random {side}" for side in (8, 16, 24, None) if side not in random}
    study = replace(study, runs={name: run for name, run in study.runs.items() if name not in left_out})
    for side, expected in chosen.items():
        found = [name for _, name in controls(study, study.expectations[0], f"learnt {side}")]
        assert found == [f"random {one}" for one in expected]


def claim(claims, run):
    """The only claim about a run."""
    (found,) = [one for words, one in claims.items() if words.startswith(f"{run} learns")]
    return found


def test_what_was_not_run_is_not_met_and_of_an_absent_set_nothing_is_claimed():
    claims = expectations(CONTROLLED, {}, absent=["class-wise", "random", "random by photo"])
    assert claims == {"sample-wise learns at most 0.25 of what clean learns, last epoch (not run)": (False, None)}
    assert expectations(CONTROLLED, {}, absent=["clean"]) == {}


@pytest.mark.parametrize("claim", [partial(ImageExpectation, run="a", than="clean"), Expectation])
def test_a_claim_that_nothing_could_miss_is_refused(claim):
    with pytest.raises(DataError, match="give it at_most or at_least"):
        claim()
    assert str(claim(at_least=0.5))


def test_a_study_with_mistakes_lists_them_all():
    with pytest.raises(DataError) as raised:
        ImageStudy(
            claim="",
            source="",
            runs={"a/b": Run(share=2)},
            expectations=(
                ImageExpectation(run="x*", than="clean", at_most=1),
                ImageExpectation(run="a*", than="clean", at_least=1, attack=True),
            ),
            costs={"a/b": 1.0},
            at_full={"y": 90},
        )
    for words in (
        "not triggered",
        "a slash in the name",
        "compares with 'clean', which is no run",
        "an accuracy of 'y', which is no run",
        "fits no run",
        "share of 2",
        "learns no noise",
    ):
        assert words in str(raised.value)


def test_a_cost_is_the_passes_of_learning_over_those_of_training():
    study = ImageStudy(claim="", source="", runs={"noisy": Run(noise=ImageNoise())}, costs={"noisy": 0.1})
    words = "noisy costs at most 0.1 of its training's passes"
    for learning, met in ((10, True), (12, False)):
        runs = {"noisy": {"passes": {"learning": learning, "training": 100}}}
        assert cost_expectations(study, runs) == {words: (met, learning / 100)}
    assert cost_expectations(study, {}) == {f"{words} (not run)": (False, None)}
    assert cost_expectations(study, {}, absent=["noisy"]) == {}


def test_accuracy_itself_is_at_least_or_with_noise_at_most_what_is_claimed_of_it():
    study = replace(CONTROLLED, at_full={"clean": 94.8, "class-wise": 20})

    def found(clean, noisy, random=0.9, data="cifar10", study=study):
        measured = {"clean": clean, "class-wise": noisy, "random": random}.items()
        runs = {name: {"accuracy": {"last": {"mean": one}}, "data": data, "chance": 0.1} for name, one in measured}
        return {words: one.met for words, one in accuracy_expectations(study, runs).items()}

    words = "clean recognizes at least 94.8 %, last epoch", "class-wise recognizes at most 20 %, last epoch"
    assert found(0.949, 0.199) == dict.fromkeys(words, True)
    assert found(0.947, 0.201) == dict.fromkeys(words, False)
    assert found(0.949, 0.199, random=0.199) == dict(zip(words, (True, False), strict=True))  # a control failed
    assert not found(0.1, 0.1)[words[1]]  # nothing was learnt anywhere
    unasked = replace(study, expectations=study.expectations[1:])  # no claim says what the controls are
    assert found(0.949, 0.199, study=unasked) == dict(zip(words, (True, False), strict=True))
    assert found(0.949, 0.199, data="svhn") == {}  # the paper's numbers are of its own set
    assert [one.met for one in accuracy_expectations(study, {}, absent=["clean"]).values()] == [False]
