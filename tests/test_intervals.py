"""95 % intervals hold the truth 95 times of 100, over seeds and over identities, also with few of either."""

import numpy as np
import pytest
from scipy import stats

from faceguard.intervals import estimate, over_identities, over_seeds
from faceguard.measures import measure_arm
from tests.fabricated import held_out


def test_the_interval_over_seeds_is_students():
    values = [0.41, 0.47, 0.5]
    found = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    assert over_seeds(values) == pytest.approx(found)


def test_it_stays_between_0_and_1_and_one_seed_has_none():
    assert over_seeds([0.0, 1.0]) == (0.0, 1.0)
    assert over_seeds([0.4]) is None
    assert over_seeds([0.0, 0.0, 0.0]) is None  # three alike are no proof that a fourth is


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_the_interval_over_seeds_covers_at_its_nominal_rate(seeds):
    random = np.random.default_rng(seeds)
    held = [low <= 0.5 <= high for low, high in (over_seeds(random.normal(0.5, 0.02, seeds)) for _ in range(3000))]
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)


@pytest.mark.parametrize("rate", [0.003, 0.01, 0.03])
def test_the_interval_over_identities_covers_where_hardly_anybody_is_recognized(rate):
    """Where the headlines are: of 50 people with 6 photos each, nearly all rates of a bootstrap are zero."""
    test, everyone = held_out(50, photos=6), {"all": np.arange(50)}
    random, held = np.random.default_rng(1), []
    for _ in range(300):
        right = random.random(len(test)) < random.beta(1, 1 / rate - 1, 50)[test.labels]
        cell = {"predictions": np.where(right, test.labels, (test.labels + 1) % 50)[None]}
        last = measure_arm([cell], test, everyone)["recognition"]["all"]["last"]
        held.append(last["low"] <= rate <= last["high"])
    assert np.mean(held) >= 0.93


@pytest.mark.parametrize("identities", [8, 30])
def test_the_interval_over_identities_covers_at_its_nominal_rate_although_faces_of_one_person_are_alike(identities):
    """Some people are easily recognized, some hardly (rates from a beta distribution); the truth is the mean of all people."""
    test, everyone = held_out(identities, photos=8), {"all": np.arange(identities)}
    random, held, naive = np.random.default_rng(identities), [], []
    for _ in range(500):
        right = random.random(len(test)) < random.beta(2, 2, identities)[test.labels]
        cell = {"predictions": np.where(right, test.labels, (test.labels + 1) % identities)[None]}
        last = measure_arm([cell], test, everyone)["recognition"]["all"]["last"]
        assert last["over"] == "identities" and [last["low"], last["high"]] == last["identities"]
        held.append(last["low"] <= 0.5 <= last["high"])
        naive.append(abs(right.mean() - 0.5) <= 1.96 * np.sqrt(0.25 / len(test)))
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)
    assert np.mean(naive) < 0.85  # as if every face were another person's


def test_few_identities_widen_the_percentiles_and_one_gives_none():
    drawn = np.linspace(0, 1, 1001)
    assert over_identities(drawn, 10**6) == pytest.approx((0.025, 0.975), abs=1e-4)
    assert over_identities(np.zeros(100), 50) == pytest.approx((0, stats.beta.ppf(0.975, 1, 50)))
    assert over_identities(np.ones(100), 50) == pytest.approx((stats.beta.ppf(0.025, 50, 1), 1))
    assert over_identities(drawn, 10)[0] == pytest.approx(stats.norm.cdf(-np.sqrt(10 / 9) * stats.t.ppf(0.975, 9)))
    assert over_identities(drawn, 2) == pytest.approx((0, 1))
    assert over_identities(drawn, 1) is None


def test_an_estimate_is_the_mean_of_its_seeds():
    assert estimate([0.1, 0.1, 0.7])["mean"] == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("seeds", "identities", "over", "ends"),
    [
        ([0.4], None, None, (None, None)),
        ([0.4], (0.3, 0.5), "identities", (0.3, 0.5)),
        ([0.4, 0.4], (0.3, 0.5), "identities", (0.3, 0.5)),
        ([0.4, 0.4], None, None, (None, None)),
    ],
)
def test_an_estimate_says_which_interval_it_has(seeds, identities, over, ends):
    found = estimate(seeds, identities)
    assert (found["mean"], found["seeds"], found["over"]) == (0.4, seeds, over)
    assert (found["low"], found["high"]) == ends
    assert found["identities"] == (None if identities is None else [0.3, 0.5])
