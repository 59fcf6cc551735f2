"""Which runs are controls of a claim, and what of a result a claim about one class reads."""

import math
from dataclasses import replace

import pytest

from eval.image_claims import controls, hides, recognized
from eval.image_study import ImageExpectation, ImageNoise, ImageStudy, Run

LEARNT, RANDOM = ImageNoise(), ImageNoise(kind="random")
HIDES = ImageExpectation(run="learnt*", than="clean", at_most=0.75)
FLOOR = ImageExpectation(run="*random*", than="clean", at_least=0.5)


def study(**runs):
    return ImageStudy(claim="", source="", runs={"clean": Run(), **runs}, expectations=(HIDES, FLOOR))


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        (HIDES, True),
        (replace(HIDES, at_most=1.0), False),
        (replace(HIDES, at_most=None, at_least=0.5), False),
        (replace(HIDES, run="clean", than="random"), False),
    ],
)
def test_a_claim_that_less_is_learnt_from_noise_that_was_learnt_is_that_it_hides_something(claim, expected):
    whole = study(learnt=Run(noise=LEARNT), random=Run(noise=RANDOM))
    assert hides(whole, claim, "learnt") == expected
    assert not hides(whole, replace(claim, run="*"), "random")


def test_a_control_carries_random_noise_alone_and_of_the_form_of_the_noise_that_was_learnt():
    by_photo = ImageNoise(kind="random", form="sample-wise")
    whole = study(
        learnt=Run(noise=LEARNT, second=by_photo),
        random=Run(noise=RANDOM),
        randomly_learnt=Run(noise=LEARNT),
        random_by_photo=Run(noise=by_photo),
        random_and_learnt=Run(noise=RANDOM, second=LEARNT),
    )
    assert [name for _, name in controls(whole, HIDES, "learnt")] == ["random"]


def test_a_class_is_recognized_where_its_row_meets_its_own_column():
    run = {"classes": ["bird", "ship"], "confusion": [[0.7, 0.3], [0.1, 0.9]]}
    assert (recognized(run, "bird"), recognized(run, "ship")) == (0.7, 0.9)
    assert math.isnan(recognized(run, "frog")) and math.isnan(recognized({}, "bird"))
