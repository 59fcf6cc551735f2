"""The verdict: nothing but an effect beyond both controls may be called protected."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceguard.study import ARMS, verdict


def recognition(clean=(0.9, 0.9), random=(0.9, 0.9), noise=(0.05, 0.9), *, best=None, random_best=None):
    """Rank-1 by arm as (protected, others), last = best unless told otherwise for the protected of an arm with noise."""
    found = {}
    for arm, pair in zip(ARMS, (clean, random, noise), strict=True):
        found[arm] = {g: {"last": v, "best": v} for g, v in zip(("protected", "others"), pair, strict=True)}
    for arm, told in (("error-minimizing", best), ("random", random_best)):
        if told is not None:
            found[arm]["protected"]["best"] = told
    return found


@pytest.mark.parametrize(
    ("found", "identities", "expected", "reason"),
    [
        (recognition(), 20, "protected", "rank-1 0.05 after the last epoch, 0.05 at its best"),
        (recognition(noise=(0.2, 0.7), clean=(0.8, 0.8)), 20, "protected", "after the last epoch"),
        (recognition(noise=(0.5, 0.9)), 20, "not protected", "0.50 at its best"),
        (recognition(noise=(0.05, 0.9), best=0.5), 20, "not protected", "0.50 at its best"),
        (recognition(clean=(0.2, 0.9)), 20, "inconclusive", "clean arm did not learn: rank-1 0.20 for protected"),
        (recognition(clean=(0.9, 0.1)), 20, "inconclusive", "clean arm did not learn: rank-1 0.10 for others"),
        (recognition(clean=(0.4, 0.4)), 10, "inconclusive", "0.50 is the least that counts"),
        (recognition(clean=(0.3, 0.3), random=(0.3, 0.3), noise=(0.0, 0.3)), 100, "protected", "after the last epoch"),
        (recognition(random=(0.1, 0.9)), 20, "inconclusive", "Random noise of the same budget does much of it"),
        (recognition(random=(0.66, 0.9)), 20, "inconclusive", "Random noise"),
        (
            recognition(random=(0.1, 0.9), random_best=0.8),
            20,
            "inconclusive",
            "Random noise of the same budget does much",
        ),
        (recognition(noise=(0.9, 0.9), random=(0.1, 0.9)), 20, "not protected", "rank-1 0.90 after the last epoch"),
        (recognition(noise=(0.05, 0.9), best=0.5, random=(0.1, 0.9)), 20, "not protected", "0.50 at its best"),
        (recognition(noise=(0.9, 0.1)), 20, "not protected", "rank-1 0.90 after the last epoch"),
        (recognition((1.0, 1.0), (0.75, 1.0), (0.25, 0.75), best=0.5), 20, "protected", "0.50 at its best"),
        (recognition(noise=(0.05, 0.5)), 20, "inconclusive", "The others are recognized badly too: rank-1 0.50"),
    ],
)
def test_the_verdict_follows_its_table(found, identities, expected, reason):
    word, reasons = verdict(found, identities)
    assert word == expected
    assert reason in " ".join(reasons)


@pytest.mark.parametrize(("random", "others"), [(0.9, 0.9), (0.0, 0.9), (0.9, 0.0), (float("nan"), float("nan"))])
def test_no_control_excuses_noise_that_leaves_the_protected_recognized(random, others):
    found = recognition(noise=(0.9, others), random=(random, 0.9))
    assert verdict(found, 20)[0] == "not protected"


@pytest.mark.parametrize(
    ("clean", "noise", "word"), [((0.6, 0.9), (0.5, 0.5), "protected"), ((0.8, 0.8), (0.5, 0.8), "inconclusive")]
)
def test_the_others_are_compared_after_the_last_epoch_of_both_arms(clean, noise, word):
    """Stopping early brings neither arm's others more."""
    found = recognition()
    for arm, (last, best) in (("clean", clean), ("error-minimizing", noise)):
        found[arm]["others"] = {"last": last, "best": best}
    assert verdict(found, 20)[0] == word


@pytest.mark.parametrize("arm", ARMS)
def test_without_one_of_its_arms_the_verdict_is_inconclusive(arm):
    found = {name: values for name, values in recognition().items() if name != arm}
    assert verdict(found, 20) == ("inconclusive", [f"The arm {arm} was not run."])


def test_with_everybody_protected_there_are_no_others_to_ask():
    found = {arm: {"protected": groups["protected"]} for arm, groups in recognition().items()}
    assert verdict(found, 20)[0] == "protected"


rates = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.25, 0.5, 1.0, float("nan")]))
pairs = st.fixed_dictionaries({"last": rates, "best": rates})
arms = st.fixed_dictionaries({"protected": pairs}, optional={})
both = st.fixed_dictionaries({"protected": pairs, "others": pairs})


@given(st.one_of(*(st.fixed_dictionaries(dict.fromkeys(ARMS, groups)) for groups in (arms, both))), st.integers(2, 500))
@settings(deadline=None, max_examples=500)
def test_protected_is_never_said_without_a_drop_to_a_quarter_beyond_both_controls(found, identities):
    word, reasons = verdict(found, identities)
    assert word in ("protected", "not protected", "inconclusive")
    assert reasons
    clean, random, noise = (found[arm] for arm in ARMS)
    if word == "protected":
        assert noise["protected"]["last"] <= clean["protected"]["last"] / 4
        assert noise["protected"]["best"] <= clean["protected"]["last"] / 2
        assert clean["protected"]["last"] >= min(0.5, 10 / identities)
        assert min(random["protected"].values()) >= 0.75 * clean["protected"]["last"]
        if "others" in clean:
            assert noise["others"]["last"] >= 0.75 * clean["others"]["last"]
