"""The headline over many conditions: never friendlier than the worst of them, and nothing unknown is ever good."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from faceguard.conclusion import OUTCOMES, conclude, judge
from faceguard.study import ARMS, verdict
from tests.fabricated import bare_arm, condition_of, simple_condition

GOOD = simple_condition(name="good")
BAD = simple_condition(noise=(0.5,), name="bad")
WORSE = simple_condition(noise=(0.5,), best=(0.7,), name="worse")
OPEN = simple_condition(clean=(0.1,), name="open")


@pytest.mark.parametrize(
    ("conditions", "outcome", "worst", "headline"),
    [
        ([GOOD], "protected", "good", "Protected in the only condition that was run; blur was not."),
        ([GOOD, GOOD], "protected", "good", "Protected in all 2 conditions that were run; blur was not."),
        (
            [GOOD, OPEN, GOOD],
            "inconclusive",
            "open",
            "Inconclusive: 1 of 3 conditions cannot be judged, among them open.",
        ),
        (
            [GOOD, BAD, OPEN, WORSE],
            "not protected",
            "worse",
            "Not protected in 2 of 4 conditions; worst in worse: rank-1 0.70 of a clean 0.80.",
        ),
        ([], "inconclusive", None, "Inconclusive: nothing was run."),
    ],
)
def test_the_headline_is_the_worst_conditions_and_says_its_number(conditions, outcome, worst, headline):
    found = conclude(conditions, ["blur"])
    assert (found["outcome"], found["worst"], found["headline"]) == (outcome, worst, headline)
    assert found["not_run"] == ["blur"]
    assert found["reasons"]


@pytest.mark.parametrize(
    ("not_run", "tail"),
    [
        ([], "run."),
        (["frozen", "blur"], "run; frozen and 1 other were not."),
        (["frozen", "blur", "jpeg"], "run; frozen and 2 others were not."),
    ],
)
def test_a_good_headline_says_itself_what_was_not_run(not_run, tail):
    assert conclude([GOOD], not_run)["headline"] == f"Protected in the only condition that was {tail}"
    assert "were not" not in conclude([BAD], not_run)["headline"]


def test_the_order_of_the_conditions_changes_nothing():
    assert conclude([WORSE, GOOD, BAD], []) == conclude([GOOD, BAD, WORSE], [])


def test_what_was_not_run_stands_among_the_reasons_of_a_good_headline():
    assert conclude([GOOD], ["fine-tuning", "blur"])["reasons"][-1] == "Not run: fine-tuning, blur."


def test_the_reasons_count_every_outcome():
    assert (
        "Of 4 conditions: 2 not protected, 1 inconclusive, 1 protected."
        in conclude([GOOD, BAD, OPEN, WORSE], [])["reasons"]
    )


def test_one_seed_in_which_the_noise_fails_is_enough_although_the_mean_is_good():
    condition = simple_condition(clean=(0.8, 0.8, 0.8), random=(0.8, 0.8, 0.8), noise=(0.0, 0.0, 0.45))
    assert (
        verdict({a: {"protected": {"last": m, "best": m}} for a, m in zip(ARMS, (0.8, 0.8, 0.15), strict=True)}, 12)[0]
        == "protected"
    )
    assert (condition["verdict"], condition["reasons"][0][:7]) == ("not protected", "Seed 2:")
    assert (
        "rank-1 0.15 of a clean 0.80 (0.45 of a clean 0.80 in its worst seed)" in conclude([condition], [])["headline"]
    )


def test_one_seed_whose_control_failed_is_enough_for_inconclusive():
    assert simple_condition(clean=(0.8, 0.8), random=(0.8, 0.1), noise=(0.0, 0.0))["verdict"] == "inconclusive"


def test_what_makes_numbers_worthless_is_said_of_noise_that_fails_as_well():
    leaked = simple_condition(noise=(0.5,), doubts=["A test photo is in training."])
    assert (leaked["verdict"], leaked["reasons"]) == ("inconclusive", ["A test photo is in training."])


def test_what_is_recognized_is_compared_with_the_clean_arms_last_epoch():
    arms = full(**{"clean": bare_arm((0.8,), (0.9,)), "error-minimizing": bare_arm((0.4,), (0.6,))})
    found = judge(condition_of(arms))
    assert (found.recognized, found.clean, found.worst_seed) == (0.6, 0.8, (0.6, 0.8))
    assert found.ratio == pytest.approx(0.75)


@pytest.mark.parametrize(("clean", "noise"), [(0.0, 0.1), (None, 0.1), (0.8, None)])
def test_a_ratio_that_is_not_known_is_no_small_number(clean, noise):
    arms = full(**{"clean": bare_arm((clean,)), "error-minimizing": bare_arm((noise,))})
    assert judge(condition_of(arms)).ratio == math.inf
    assert judge(simple_condition(clean=(0.2,), noise=(0.1,))).ratio == 0.5


def full(**arms):
    return {"clean": bare_arm((0.8,)), "random": bare_arm((0.8,)), "error-minimizing": bare_arm((0.0,))} | arms


@pytest.mark.parametrize(
    ("arms", "more", "reason"),
    [
        ({"clean": bare_arm((0.8,))}, {}, "The arm random was not run."),
        ({}, {"seeds": []}, "No seed was run."),
        (full(), {"seeds": []}, "No seed was run."),
        (full(), {"seeds": [0, 1]}, "The arm clean has 1 of 2 seeds for protected."),
        (full(random=bare_arm((0.8, 0.8))), {}, "The arm random has 2 of 1 seeds for protected."),
        (full(random=bare_arm((0.8,), others=(0.8,))), {}, "The arms do not have the same groups"),
        (full(clean=bare_arm((80.0,))), {}, "The arm clean has a rank-1 outside 0 to 1 for protected."),
        (full(**{"error-minimizing": bare_arm((-0.1,))}), {}, "outside 0 to 1"),
        (full(), {"identities": 0}, "The number of identities is 0."),
        (full(), {"protected": 5}, "The others were not measured."),
        (full(), {"doubts": ["A test photo is in training."]}, "A test photo is in training."),
    ],
)
def test_what_cannot_be_compared_is_inconclusive_and_says_why(arms, more, reason):
    condition = condition_of(arms, **more)
    assert condition["verdict"] == "inconclusive"
    assert reason in " ".join(condition["reasons"])


def test_a_seed_in_which_the_noise_fails_counts_although_another_arm_lacks_seeds():
    arms = full(**{"clean": bare_arm((0.8, 0.8)), "error-minimizing": bare_arm((0.7, 0.0))})
    assert condition_of(arms)["verdict"] == "not protected"


@pytest.mark.parametrize("arm", ["clean", "random", "error-minimizing"])
def test_a_rate_that_is_not_a_number_is_never_good(arm):
    for values in ((None,), (math.nan,)):
        found = conclude([condition_of(full(**{arm: bare_arm(values)}))], [])
        assert found["outcome"] == ("not protected" if arm == "error-minimizing" else "inconclusive")
    assert "rank-1 not measured" in found["headline"] or arm != "error-minimizing"


def test_noise_that_maximizes_the_error_decides_nothing():
    more = full() | {"error-maximizing": bare_arm((0.9,))}
    assert condition_of(more)["verdict"] == condition_of(full())["verdict"] == "protected"


rates = st.one_of(
    st.floats(0, 1), st.sampled_from([0.0, 0.05, 0.2, 0.8, 0.9]), st.sampled_from([None, math.nan, -1.0, 2.0])
)
good = st.sampled_from([0.0, 0.1, 0.2, 0.45, 0.8, 0.9])


@st.composite
def any_conditions(draw):
    """Up to four conditions: mostly possible ones near the borders, some with absent arms, seeds, numbers or groups."""
    found = []
    for i in range(draw(st.integers(0, 4))):
        seeds = draw(st.integers(1, 3))
        others = draw(st.booleans())
        arms = {}
        for arm in draw(st.sampled_from([ARMS, ARMS, ARMS, ARMS[:2]])):
            own = draw(st.sampled_from([seeds] * 6 + [seeds + 1]))
            usual = st.sampled_from([0.0, 0.1, 0.3]) if arm == "error-minimizing" else st.sampled_from([0.8, 0.9])
            one = st.lists(draw(st.sampled_from([usual, usual, usual, good, rates])), min_size=own, max_size=own)
            arms[arm] = plain_arm(draw(one), draw(one), draw(one) if others else None)
        found.append(
            {
                "name": f"condition {i}",
                "seeds": list(range(seeds)),
                "identities": draw(st.sampled_from([1, 12, 105])),
                "arms": arms,
            }
        )
    return found


def plain_arm(last, best, others):
    recognition = {"protected": {"last": {"seeds": last}, "best": {"seeds": best}}}
    if others is not None:
        recognition["others"] = {"last": {"seeds": others}, "best": {"seeds": others}}
    return {"recognition": recognition}


def holds(condition):
    """Whether every seed of a condition is complete and meets the rule of the verdict, written out once more."""
    arms, seeds = condition["arms"], len(condition["seeds"])
    if set(arms) != set(ARMS):
        return False
    read = {(a, g, w): m[w]["seeds"] for a in arms for g, m in arms[a]["recognition"].items() for w in ("last", "best")}
    if any(len(v) != seeds or not all(x is not None and 0 <= x <= 1 for x in v) for v in read.values()):
        return False
    floor = min(0.5, 10 / condition["identities"])
    for i in range(seeds):
        clean = read["clean", "protected", "last"][i]
        if clean < floor or read["random", "protected", "best"][i] < 0.75 * clean:
            return False
        if read["error-minimizing", "protected", "last"][i] > clean / 4:
            return False
        if read["error-minimizing", "protected", "best"][i] > clean / 2:
            return False
        if ("clean", "others", "last") in read:
            others = read["clean", "others", "last"][i]
            if others < floor or read["error-minimizing", "others", "last"][i] < 0.75 * others:
                return False
    return True


@example(
    [
        {
            "name": "a number that no rule asks about is null",
            "seeds": [0],
            "identities": 105,
            "arms": {
                "clean": plain_arm([1.0], [None], None),
                "random": plain_arm([0.8], [0.8], None),
                "error-minimizing": plain_arm([0.0], [0.0], None),
            },
        }
    ]
)
@given(any_conditions())
@settings(deadline=None, max_examples=200)
def test_no_conditions_give_a_headline_that_is_friendlier_than_the_worst_of_them(conditions):
    found = conclude(conditions, ["blur"])
    outcomes = [judge(condition).outcome for condition in conditions] or ["inconclusive"]
    assert found["outcome"] == max(outcomes, key=OUTCOMES.index)
    assert found["headline"].lower().startswith(found["outcome"])
    for condition, outcome in zip(conditions, outcomes, strict=False):
        assert holds(condition) or outcome != "protected"
    if found["outcome"] == "protected":
        assert conditions and all(map(holds, conditions))
