"""95 % intervals of a share over seeds and over identities: two questions, and every number says which one it answers.

    over seeds       the same people, another training:  mean +- t(0.975, S - 1) s / sqrt(S)       (Student 1908)
    over identities  the same trainings, other people:   a bootstrap over identities, whose percentiles are moved outwards
                                                         for few identities                        (Hesterberg 2015)
    near 0 and 1     no bootstrap sees what never came:  at least the exact ends of K people with no hit, or no miss, at
                                                         all: 1 - 0.025^(1 / K)             (Clopper and Pearson 1934)

S seeds, K identities, R replicates.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import ndtr, stdtrit

from faceguard.ranking import Floats

Interval = tuple[float, float]


def estimate(seeds: Sequence[float], identities: Interval | None = None) -> dict[str, Any]:
    """A share's ``mean`` over S seeds, its ``low`` and ``high``, ``over`` what these are, ``seeds`` and ``identities``.

    ``over`` is "seeds", or "identities" when S = 1 or the seeds agree, or None when there is no interval, and no
    ends then.
    """
    own = over_seeds(seeds)
    ends = own or identities
    low, high = ends or (None, None)
    return {
        "mean": float(np.mean(seeds)),
        "low": low,
        "high": high,
        "over": None if ends is None else "identities" if own is None else "seeds",
        "seeds": [float(value) for value in seeds],
        "identities": None if identities is None else list(identities),
    }


def over_seeds(values: Sequence[float]) -> Interval | None:
    """Student's 95 % interval of the mean of S shares, cut to [0, 1]; None for one, and for equal ones: no spread."""
    if len(set(values)) < 2:
        return None
    mean, half = np.mean(values), reach(np.array(values))
    return max(0.0, float(mean - half)), min(1.0, float(mean + half))


def over_identities(drawn: Floats, identities: int) -> Interval | None:
    """The interval of a share: the percentiles of its R ``drawn`` values that fit ``identities`` clusters; None for one.

    A bootstrap of K clusters is too narrow by sqrt((K - 1) / K) and by Student's against the normal quantile, so the
    percentiles are Phi(-+ sqrt(K / (K - 1)) t(0.975, K - 1)) instead of 2.5 and 97.5 (Hesterberg 2015).
    """
    if identities < 2:
        return None
    low, high = band_over_identities(drawn, identities)
    return float(low), float(high)


def band_over_identities(drawn: Floats, identities: int) -> tuple[Floats, Floats]:
    """The ends of `over_identities` along the first axis, R values long, for two identities and more."""
    tail = float(ndtr(-math.sqrt(identities / (identities - 1)) * stdtrit(identities - 1, 0.975)))
    low, high = np.quantile(drawn, (tail, 1 - tail), axis=0)
    never = 1 - 0.025 ** (1 / identities)
    return np.minimum(low, 1 - never), np.maximum(high, never)


def reach(values: Floats) -> Floats:
    """Half the width of Student's 95 % interval along the first axis, S > 1 values long."""
    return np.asarray(stdtrit(len(values) - 1, 0.975) * values.std(axis=0, ddof=1) / math.sqrt(len(values)))
