"""What makes "protected" worthless: noise of zeros, leaked faces, and photos so few that luck decides."""

from itertools import product

import pytest
from scipy.stats import binom

from faceguard.doubts import FEWEST, few_named
from faceguard.study import verdict


@pytest.mark.parametrize(
    ("rank1", "tested", "words"),
    [
        ([1.0], 3, "names 3 of 3 held-out photos of the protected, and 4 are the least"),
        ([1.0], 4, None),
        ([0.5, 0.75], 6, "names 3 of 6 held-out photos"),  # the seed that knows least decides
        ([4 / 7, 6 / 7], 7, None),
        ([1.0], 1, "names 1 of 1 held-out photo of the protected"),
    ],
)
def test_four_photos_must_be_named_in_every_training_however_many_are_tested(rank1, tested, words):
    said = few_named(rank1, tested)
    assert said == [] if words is None else words in said[0]


def chance(tested, rate, *, fewest):
    """Of noise that does nothing being called protected in one training: all arms name photos at one rate."""
    found = 0.0
    for clean, random, noise in product(range(tested + 1), repeat=3):
        rates = {"clean": clean, "random": random, "error-minimizing": noise}
        arms = {arm: {"protected": dict.fromkeys(("last", "best"), n / tested)} for arm, n in rates.items()}
        doubted = fewest and few_named([clean / tested], tested)
        if verdict(arms, 105)[0] == "protected" and not doubted:
            found += float(binom.pmf([clean, random, noise], tested, rate).prod())
    return found


@pytest.mark.parametrize(("tested", "rate"), [(1, 2 / 3), (6, 0.15), (6, 0.5), (10, 0.3)])
def test_noise_that_does_nothing_is_hardly_ever_called_protected(tested, rate):
    assert chance(tested, rate, fewest=True) <= 0.03
    if rate * tested < FEWEST / 4:
        assert chance(tested, rate, fewest=False) > 0.1
