"""When a claim about a classification study is met, by how much, and what learning its noise costs."""

import pytest

from eval.image_noise import passes
from eval.image_outcome import cost_expectations, expectations
from eval.image_scales import size_of
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


def test_an_attack_counts_from_zero_beside_one_that_may_be_as_rare_as_chance():
    attack = ImageExpectation(run="noisy", than="random", attack=True, at_least=3)
    assert attack.share(0.6, 0.06, 0.1) == pytest.approx(10)
    assert attack.share(0.6, 0.0, 0.1) is None
    assert str(attack) == "follows rows at least 3 times as often as random"


def test_a_claim_that_is_missed_comes_with_the_number_that_misses_it():
    claims = (
        ImageExpectation(run="noisy", than="clean", at_most=0.25),
        ImageExpectation(run="noisy", than="clean", at_least=2, attack=True),
        ImageExpectation(run="noisy", than="clean", at_most=0.25, label="bird"),
    )
    triggered = Run(triggered=True, noise=ImageNoise())
    study = ImageStudy(claim="", source="", runs={"clean": triggered, "noisy": triggered}, expectations=claims)

    def run(accuracy, attack):
        return {"accuracy": {"last": {"mean": accuracy}}, "attack_success": {"mean": attack}, "chance": 0.1}

    found = expectations(study, {"clean": run(0.9, 0.2), "noisy": run(0.5, 0.6)})
    assert [(one.met, one.value and round(one.value, 6)) for one in found.values()] == [
        (False, 0.5),
        (True, 3.0),
        (False, None),  # which class the birds are stands nowhere
    ]


def test_a_study_with_mistakes_lists_them_all():
    with pytest.raises(DataError) as raised:
        ImageStudy(
            claim="",
            source="",
            runs={"a/b": Run(share=2)},
            expectations=(
                ImageExpectation(run="x*", than="clean"),
                ImageExpectation(run="a*", than="clean", attack=True),
            ),
            costs={"a/b": 1.0},
        )
    for words in (
        "not triggered",
        "a slash in the name",
        "which is no run",
        "fits no run",
        "share of 2",
        "learns no noise",
    ):
        assert words in str(raised.value)


def test_a_cost_is_the_time_of_learning_over_that_of_training():
    study = ImageStudy(claim="", source="", runs={"noisy": Run(noise=ImageNoise())}, costs={"noisy": 0.1})
    words = "noisy costs at most 0.1 of its training"
    assert cost_expectations(study, {"noisy": {"learning": 10.0, "training": 100.0}}) == {words: (True, 0.1)}
    assert cost_expectations(study, {"noisy": {"learning": 12.0, "training": 100.0}}) == {words: (False, 0.12)}
    assert cost_expectations(study, {"clean": {"learning": 0.0, "training": 100.0}}) == {}


@pytest.mark.parametrize(
    ("noise", "each_round", "before"),
    [
        (ImageNoise(), 10 * 512 + 10_000, 0),  # a fifth of the photos, once
        (ImageNoise(form="sample-wise"), 10 * 512 + 20 * 50_000, 0),
        (ImageNoise(form="sample-wise", pgd_steps=2), 10 * 512 + 2 * 50_000, 0),
        (ImageNoise(kind="error-maximizing"), 10_000, 60 * 50_000),  # the source model is trained first
    ],
)
def test_passes_are_counted_as_the_paper_sets_them(noise, each_round, before):
    assert passes(noise, size_of("cifar10", "full"), 50_000, 3) == before + 3 * each_round
