"""From an arm's cells, one a seed, to numbers with 95 % intervals: recognition, verification, learning curves, ROC.

What the intervals are stands in ``faceguard.intervals``. Of verification over identities, the ends are the mean of every
seed's own, which is no narrower than the interval of their mean; they are plain percentiles, rank-1's are moved outwards.

S seeds, E epochs, N photos, K identities (of one group), P pairs, D embedding, R replicates, G points of a ROC.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceguard.device import derive_seed
from faceguard.errors import DataError
from faceguard.identification import REPLICATES, Groups
from faceguard.identities import Faces
from faceguard.intervals import band_over_identities, estimate, over_identities, reach
from faceguard.ranking import Bools, Floats, Indices, rank, resampled
from faceguard.readers.lfw import LfwPairs
from faceguard.verification import FAR_TARGETS, FEWEST_IDENTITIES, Verification, all_pairs, verify

Cell = Mapping[str, NDArray[Any]]  # predictions E x N; logits N x K, embeddings N x D, losses E, lfw_scores P if known
RECOGNITION_REPLICATES = (
    4000  # of rank-1: few identities ask for far percentiles, and a replicate costs next to nothing
)
POINTS = 100  # of a ROC
DIGITS = 4  # of a ROC's and a curve's values


def measure_arm(
    cells: Sequence[Cell], test: Faces, groups: Groups, *, pairs: LfwPairs | None = None, seed: int = 0
) -> dict[str, Any]:
    """One arm of result.json: ``recognition`` and ``verification`` by group, ``curves``, ``roc``, and ``lfw`` with ``pairs``.

    Every number is that of :func:`estimate`. A group whose faces make no two kinds of pair has no verification; nor has an
    adversary without embeddings. ``seed`` is that of the bootstrap, not of a training.

    Raises DataError when there is no cell, a cell is not of ``test``, or a group has no face there.
    """
    if not cells or any(cell["predictions"].shape[1:] != test.labels.shape for cell in cells):
        shapes = [cell["predictions"].shape for cell in cells]
        raise DataError(
            f"{len(test)} held-out faces have predictions of shapes {shapes}; give the cells of these faces."
        )
    rank1 = {group: [_tally(cell["predictions"], test, labels) for cell in cells] for group, labels in groups.items()}
    arm: dict[str, Any] = {
        "recognition": {
            group: _recognition(tallies, cells, test, groups[group], seed) for group, tallies in rank1.items()
        },
        "verification": {},
        "curves": {
            "rank1": {group: _mean_curve([tally.rates() for tally in found]) for group, found in rank1.items()},
            "loss": _mean_curve([cell["losses"] for cell in cells]) if "losses" in cells[0] else [],
        },
        "roc": {},
    }
    if "embeddings" in cells[0]:
        for group, labels in groups.items():
            scored = _score_group(cells, test, labels)
            if scored is not None:
                arm["verification"][group], arm["roc"][group] = _verification(scored, seed)
    if pairs is not None:
        arm["lfw"], arm["roc"]["lfw"] = _verification(_score_lfw(cells, pairs), seed)
    return arm


@dataclass(frozen=True, kw_only=True)
class _Tally:
    """How often one training was right: ``correct`` E x K of the ``photos`` (K) of each identity of a group."""

    correct: Floats
    photos: Floats

    def rates(self, times: Floats | None = None) -> Floats:
        """Rank-1 after every epoch (E), or R x E with every identity counted as often as ``times`` (R x K) says."""
        times = np.ones(len(self.photos)) if times is None else times
        return np.asarray((times @ self.correct.T) / (times @ self.photos)[..., None])


def _tally(predicted: NDArray[Any], test: Faces, labels: Indices) -> _Tally:
    photos = np.bincount(test.labels, minlength=len(test.names))
    present = labels[photos[labels] > 0]
    if len(present) == 0:
        raise DataError("A group has no held-out face, so nothing can be said about it; leave it out.")
    correct = [np.bincount(test.labels, row == test.labels, minlength=len(test.names))[present] for row in predicted]
    return _Tally(correct=np.array(correct), photos=photos[present].astype(np.float64))


def _recognition(
    tallies: Sequence[_Tally], cells: Sequence[Cell], test: Faces, labels: Indices, seed: int
) -> dict[str, Any]:
    """``last`` and ``best`` rank-1, and ``within`` as identification defines it.

    Best is the group's own best epoch, as if a trainer stopped there. It is chosen once and kept in all replicates: were it
    chosen again in each, they would all lie above it.
    """
    count = len(tallies[0].photos)
    times = _resampled(count, seed)

    def estimated(found: Sequence[_Tally], epochs: Sequence[int]) -> dict[str, Any]:
        chosen = list(zip(found, epochs, strict=True))
        drawn = np.mean([tally.rates(times)[:, epoch] for tally, epoch in chosen], axis=0)
        return estimate([float(tally.rates()[epoch]) for tally, epoch in chosen], over_identities(drawn, count))

    last = [-1] * len(cells)
    measured = {
        "last": estimated(tallies, last),
        "best": estimated(tallies, [int(tally.rates().argmax()) for tally in tallies]),
    }
    if "logits" not in cells[0]:
        return measured
    within = [_tally(_among(cell["logits"], labels)[None], test, labels) for cell in cells]
    return measured | {"within": estimated(within, last)}


@lru_cache(maxsize=16)
def _resampled(identities: int, seed: int) -> Floats:
    """How often each replicate of the bootstrap draws each identity, R x K; the same for every arm, and read-only."""
    random = np.random.default_rng(derive_seed(seed, "bootstrap"))
    shares = np.full(identities, 1 / identities)
    times = random.multinomial(identities, shares, size=RECOGNITION_REPLICATES).astype(np.float64)
    times.flags.writeable = False
    return times


def _among(logits: NDArray[Any], labels: Indices) -> Indices:
    """The identity of ``labels`` that each face is taken for when no other is on offer."""
    return np.asarray(labels[logits[:, labels].argmax(1)])


@dataclass(frozen=True, kw_only=True)
class _Scored:
    """The same P pairs as S trainings score them; ``identities`` (both of each pair) and ``fold`` where they are known."""

    scores: list[Floats]
    genuine: Bools
    identities: tuple[NDArray[Any], NDArray[Any]] | None
    fold: Indices | None = None
    missing: int = 0


def _score_group(cells: Sequence[Cell], test: Faces, labels: Indices) -> _Scored | None:
    """All pairs of faces within the group; None unless some are genuine and some are not."""
    inside = np.isin(test.labels, labels)
    members = test.labels[inside]
    photos = np.bincount(members)
    if (photos > 0).sum() < 2 or photos.max() < 2:
        return None
    found = [all_pairs(cell["embeddings"][inside], members) for cell in cells]
    _, genuine, first, second = found[0]
    return _Scored(scores=[one[0] for one in found], genuine=genuine, identities=(members[first], members[second]))


def _score_lfw(cells: Sequence[Cell], pairs: LfwPairs) -> _Scored:
    return _Scored(
        scores=[cell["lfw_scores"] for cell in cells],
        genuine=pairs.genuine,
        identities=pairs.identities,
        fold=pairs.folds,
        missing=pairs.missing_pairs,
    )


def _verification(scored: _Scored, seed: int) -> tuple[dict[str, Any], dict[str, list[float]]]:
    """Numbers and ROC; how many pairs of each kind there were stands beside them, for a FAR is no finer than that."""
    common: dict[str, Any] = {"identities": scored.identities, "fold": scored.fold, "missing": scored.missing}
    found = [verify(scores, scored.genuine, **common, replicates=REPLICATES, seed=seed) for scores in scored.scores]

    def over(key: str, read: Callable[[Verification], float]) -> dict[str, Any]:
        ends = [one.ci95[key] for one in found if key in one.ci95]
        identities = (
            (float(np.mean([low for low, _ in ends])), float(np.mean([high for _, high in ends]))) if ends else None
        )
        return estimate([read(one) for one in found], identities)

    numbers: dict[str, Any] = {"auc": over("auc", lambda one: one.auc), "eer": over("eer", lambda one: one.eer)}
    numbers["tar_at_far"] = {
        far: over(f"tar_at_far.{far}", lambda one, far=far: one.tar_at_far[far])  # type: ignore[misc]
        for far in (f"{target:g}" for target in FAR_TARGETS)
    }
    if scored.fold is not None:
        numbers["accuracy"] = over("accuracy", lambda one: math.nan if one.accuracy is None else one.accuracy.mean)
    genuine = int(scored.genuine.sum())
    numbers["pairs"] = {"genuine": genuine, "impostor": len(scored.genuine) - genuine, "missing": scored.missing}
    return numbers, _band(found, scored, seed)


def _band(found: Sequence[Verification], scored: _Scored, seed: int) -> dict[str, list[float]]:
    """TAR at G logarithmically spaced FAR, the mean over seeds, with a 95 % band over seeds.

    It is over identities where there is one seed, or where all agree, as in ``intervals.estimate``.
    """
    smallest = min(max(1 / int((~scored.genuine).sum()), 1e-6), 0.1)
    grid = np.array([float(f"{far:.{DIGITS}g}") for far in np.geomspace(smallest, 1, POINTS)])
    heights = np.array([_heights(one.far, one.tar, grid) for one in found])
    mean, ends = heights.mean(axis=0), None
    if np.ptp(heights, axis=0).any():
        half = reach(heights)
        ends = np.clip(mean - half, 0, 1), np.clip(mean + half, 0, 1)
    elif scored.identities is not None:
        ends = _drawn_band(scored, scored.identities, grid, seed)
    low, high = ends or ([], [])
    columns = {"far": grid, "tar": mean, "low": low, "high": high}
    return {
        name: [round(float(value), 9 if name == "far" else DIGITS) for value in values]
        for name, values in columns.items()
    }


def _drawn_band(
    scored: _Scored, identities: tuple[NDArray[Any], NDArray[Any]], grid: Floats, seed: int
) -> tuple[Floats, Floats] | None:
    """The bootstrap of ``verification.bootstrap``, replicate by replicate, of whole curves."""
    ranking = rank(scored.scores[0], scored.genuine)
    count, replicates = resampled(ranking, *identities, replicates=REPLICATES, seed=seed)
    if count < FEWEST_IDENTITIES:
        return None
    curves = map(ranking.curve, replicates)
    return band_over_identities(np.array([_heights(*curve, grid) for curve in curves if curve is not None]), count)


def _heights(far: Floats, tar: Floats, grid: Floats) -> Floats:
    """The TAR that each FAR of ``grid`` allows, as ``verification.tar_at_far`` reads it."""
    return np.asarray(tar[np.searchsorted(far, grid, side="right") - 1])


def _mean_curve(curves: Sequence[NDArray[Any]]) -> list[float]:
    """The mean of every epoch over the seeds that reached it, for a trainer may stop early."""
    by_epoch = zip_longest(*(curve.tolist() for curve in curves))
    reached = ([value for value in values if value is not None] for values in by_epoch)
    return [round(float(np.mean(values)), DIGITS) for values in reached]
