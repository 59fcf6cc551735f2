"""Scored pairs sorted once by falling score, so that every reweighting of them costs cumulative sums only.

The weighted curve is that of scikit-learn's ``roc_curve(sample_weight=..., drop_intermediate=False)``, without sorting
again for each of a bootstrap's thousand replicates. Fold accuracy follows Huang et al. 2007 (Labeled Faces in the
Wild): the threshold for one fold is the one that decides best on all others.

    gain(t) = sum of w over accepted genuine pairs - sum of w over accepted impostor pairs
    right decisions at t = gain(t) + sum of w over all impostor pairs,   so the best threshold has the largest gain

P pairs, T distinct scores, F folds. All arrays over pairs are in the order of falling score.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceguard.device import derive_seed
from faceguard.errors import DataError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Indices = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """P pairs by falling ``scores``, as ``order`` sorts them, with ``genuine`` and, from 0 to F - 1, ``fold`` (or None).

    ``last`` (T) is the position of the last pair of each distinct score. ``corners`` are those of ``last`` where the curve
    may turn: whatever the weights, it does not inside a run of genuine or a run of impostor pairs.
    """

    order: Indices
    scores: Floats
    genuine: Bools
    last: Indices
    corners: Indices
    fold: Indices | None

    def curve(self, weights: Floats) -> tuple[Floats, Floats] | None:
        """FAR and TAR at every corner from (0, 0) to (1, 1), for P weights; None when either kind weighs nothing."""
        begin = np.append(0, self.corners[:-1] + 1)
        genuine = np.add.reduceat(weights * self.genuine, begin)
        tar, far = _from_zero(genuine), _from_zero(np.add.reduceat(weights, begin) - genuine)
        return None if tar[-1] == 0 or far[-1] == 0 else (far / far[-1], tar / tar[-1])

    def fold_accuracies(self, weights: Floats) -> Floats:
        """Each fold's weighted share of right decisions at the threshold that is best on the other folds.

        The threshold is the middle of the winning gap between two neighbouring scores of the other folds; the highest
        such gap wins a tie. A fold that weighs nothing, or whose others weigh nothing, is left out. Weights are whole
        numbers, so that sums are exact and ties are ties.
        """
        if self.fold is None:
            return np.zeros(0)
        total, impostors = np.bincount(self.fold, weights), np.bincount(self.fold, weights * ~self.genuine)
        signed = np.where(self.genuine, weights, -weights)
        gain = self._accepted(signed)
        present = np.flatnonzero(weights)
        right: list[float] = []
        for i in np.flatnonzero((total > 0) & (total < total.sum())):
            own_gain = self._accepted(signed * (self.fold == i))
            best = int(np.argmax(gain - own_gain))
            threshold = self._middle_of_gap(best, int(i), present)
            accepted = int(np.searchsorted(-self.scores[self.last], -threshold, side="right"))
            right.append(float((own_gain[accepted] + impostors[i]) / total[i]))
        return np.array(right)

    def _accepted(self, values: Floats) -> Floats:
        """Sums of ``values`` over the pairs accepted when 0, 1, ... T scores are."""
        return np.append(0.0, np.cumsum(values)[self.last])

    def _middle_of_gap(self, accepted: int, own: int, present: Indices) -> float:
        """Between the lowest of ``accepted`` scores and the next lower one that a fold other than ``own`` has.

        Scores of fold ``own`` in between must not steer the threshold that judges it; nor do pairs that weigh nothing.
        """
        end = self.last[accepted - 1] if accepted else -1
        below = present[np.searchsorted(present, end, side="right") :]
        upper = self.scores[end] if accepted else np.inf
        lower = next((self.scores[p] for p in below if self.fold is not None and self.fold[p] != own), -np.inf)
        return float((upper + lower) / 2)


def checked(scores: ArrayLike, genuine: ArrayLike) -> tuple[Floats, Bools]:
    """Both as arrays of P values; raises DataError unless lengths agree, scores are finite, and both kinds occur."""
    score, is_genuine = np.asarray(scores, dtype=np.float64), np.asarray(genuine, dtype=np.bool_)
    if score.ndim != 1 or score.shape != is_genuine.shape:
        shapes = f"{score.shape} and {is_genuine.shape}"
        raise DataError(f"Scores and genuine have shapes {shapes}; give one of each per pair.")
    if len(score) == 0:
        raise DataError("There are no pairs to verify; give at least one genuine and one impostor pair.")
    if not np.isfinite(score).all():
        bad = np.flatnonzero(~np.isfinite(score))
        raise DataError(
            f"{len(bad)} of {len(score)} scores are not finite, first that of pair {bad[0]};"
            " the recognizer's embeddings are damaged, so train it again or choose another."
        )
    if is_genuine.all() or not is_genuine.any():
        kind, absent = ("genuine", "impostor") if is_genuine.all() else ("impostor", "genuine")
        raise DataError(f"All {len(score)} pairs are {kind}, so there is no error rate to measure; add {absent} pairs.")
    return score, is_genuine


def resampled(
    ranking: Ranking, first: ArrayLike, second: ArrayLike, *, replicates: int, seed: int
) -> tuple[int, Iterator[Floats]]:
    """How many identities the pairs show, and the weights of the P pairs in every replicate of a bootstrap over them.

    Each replicate draws as many identities as there are, with replacement. A genuine pair weighs its identity's multiplicity,
    an impostor pair the product of its two. Raises DataError when the pairs' identities do not fit them.
    """
    one, other, count = _numbered(first, second, ranking.order, ranking.genuine)
    other = np.where(ranking.genuine, count, other)  # one more, always present, makes a genuine pair weigh once
    random = np.random.default_rng(derive_seed(seed, "bootstrap"))
    drawn = (np.bincount(random.integers(count, size=count), minlength=count) for _ in range(replicates))
    return count, (times[one] * times[other] for times in (np.append(each, 1.0) for each in drawn))


def _numbered(first: ArrayLike, second: ArrayLike, order: Indices, genuine: Bools) -> tuple[Indices, Indices, int]:
    """Both identities of each pair, in ``order``, as numbers from 0, and how many identities there are.

    Raises DataError when the shapes differ, or ``genuine`` contradicts the identities.
    """
    sides = np.asarray(first), np.asarray(second)
    if any(side.shape != order.shape for side in sides):
        shapes = " and ".join(str(side.shape) for side in sides)
        raise DataError(f"{len(order)} pairs have identities of shapes {shapes}; give both identities of every pair.")
    names, number = np.unique(np.concatenate(sides), return_inverse=True)
    one, other = number[: len(order)][order], number[len(order) :][order]
    wrong = order[(one == other) != genuine]
    if len(wrong):
        raise DataError(
            f"{len(wrong)} pairs contradict their identities, first pair {wrong.min()};"
            " a pair is genuine exactly when both identities are the same."
        )
    return one, other, len(names)


def rank(scores: ArrayLike, genuine: ArrayLike, fold: ArrayLike | None = None) -> Ranking:
    """Sort P pairs by falling score, ties in their given order; ``fold`` names each pair's fold by any value.

    Raises DataError as :func:`checked` does, and when there is not one fold per pair or fewer than two different ones.
    """
    score, is_genuine = checked(scores, genuine)
    order = np.argsort(-score, kind="stable")
    falling, kind = score[order], is_genuine[order]
    last = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
    begin = np.append(0, last[:-1] + 1)
    share = np.add.reduceat(kind.astype(np.float64), begin) / (last + 1 - begin)
    straight = (share[1:] == share[:-1]) & np.isin(share[1:], (0, 1))
    corners = last[np.append(~straight, True)]
    number = None if fold is None else _numbered_folds(fold, len(score))[order]
    return Ranking(order=order, scores=falling, genuine=kind, last=last, corners=corners, fold=number)


def _numbered_folds(fold: ArrayLike, pairs: int) -> Indices:
    folds = np.asarray(fold)
    if folds.shape != (pairs,):
        raise DataError(f"{pairs} pairs have folds of shape {folds.shape}; give one fold per pair.")
    names, number = np.unique(folds, return_inverse=True)
    if len(names) < 2:
        raise DataError("All pairs are in one fold, so no other is left to choose a threshold on; use two or more.")
    return number


def _from_zero(parts: Floats) -> Floats:
    return np.append(0.0, np.cumsum(parts))
