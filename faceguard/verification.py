"""Face verification: are two faces one identity? ROC, AUC, EER, TAR at a FAR, ten-fold accuracy, 95% intervals.

    score     cosine of the two embeddings; accept when score >= threshold
    TAR, FAR  accepted share of the genuine (impostor) pairs;    FRR = 1 - TAR
    AUC       area under TAR over FAR = P(genuine > impostor) + P(genuine = impostor) / 2
    EER       FAR where FAR = FRR

P pairs, N photos, D embedding, T distinct scores, F folds. Numpy in, plain values out: pixels and networks do not occur
here. Folds follow Huang et al. 2007 (Labeled Faces in the Wild); the interval is a bootstrap over identities, whose ends
are those of :func:`faceguard.intervals.over_identities`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from faceguard.errors import DataError
from faceguard.intervals import Interval, over_identities
from faceguard.ranking import Bools, Floats, Indices, checked, rank, resampled

FAR_TARGETS = (0.01, 0.001)
FEWEST_IDENTITIES = 3  # of an interval: every draw of two has the same pairs, or none


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Mean and standard deviation (ddof = 0) over the folds; LFW's standard error of the mean is std / sqrt(F - 1)."""

    mean: float
    std: float


@dataclass(frozen=True, kw_only=True)
class Verification:
    """One recognizer on one list of pairs.

    ``pairs`` were scored, ``impostors`` of them of two people; ``missing`` pairs lacked a face. ``tar_at_far`` has the keys
    "0.01" and "0.001"; ``ci95`` has "auc", "eer", "tar_at_far.0.01", "tar_at_far.0.001" and, with folds, "accuracy", or
    nothing without three identities. A FAR below 1 / ``impostors`` was not measured: its TAR allows no false accept at
    all, and has no interval.
    The curve ``far``, ``tar``, ``thresholds`` is that of :func:`roc`.
    """

    pairs: int
    impostors: int
    missing: int = 0
    auc: float
    eer: float
    tar_at_far: Mapping[str, float]
    accuracy: Accuracy | None = None
    ci95: Mapping[str, Interval]
    far: Floats = field(repr=False)
    tar: Floats = field(repr=False)
    thresholds: Floats = field(repr=False)

    def to_json(self) -> dict[str, object]:
        """Everything but the curve as plain values, ``ci95`` nested as the numbers are: the content of lfw.json."""
        plain: dict[str, object] = {"pairs": self.pairs, "impostors": self.impostors, "missing": self.missing}
        plain |= {"auc": self.auc, "eer": self.eer}
        if self.accuracy is not None:
            plain["accuracy"] = {"mean": self.accuracy.mean, "std": self.accuracy.std}
        plain["tar_at_far"] = dict(self.tar_at_far)
        if self.ci95:
            ci95: dict[str, object] = {key: list(ends) for key, ends in self.ci95.items() if "." not in key}
            named = {key: f"tar_at_far.{key}" for key in self.tar_at_far}
            ci95["tar_at_far"] = {key: list(self.ci95[name]) for key, name in named.items() if name in self.ci95}
            plain["ci95"] = ci95
        return plain


def verify(
    scores: ArrayLike,
    genuine: ArrayLike,
    *,
    identities: tuple[ArrayLike, ArrayLike] | None = None,
    fold: ArrayLike | None = None,
    missing: int = 0,
    replicates: int = 1000,
    seed: int = 0,
) -> Verification:
    """All numbers for P scored pairs; ``identities`` (each pair's first, second) add intervals, ``fold`` the accuracy.

    Raises DataError as :func:`roc`, :func:`ten_fold_accuracy` and :func:`bootstrap` do.
    """
    far, tar, thresholds = roc(scores, genuine)
    ci95: dict[str, Interval] = {}
    if identities is not None:
        ci95 = bootstrap(scores, genuine, *identities, fold=fold, replicates=replicates, seed=seed)
    return Verification(
        pairs=np.size(scores),
        impostors=int((~np.asarray(genuine, dtype=np.bool_)).sum()),
        missing=missing,
        auc=auc(far, tar),
        eer=eer(far, tar),
        tar_at_far={f"{target:g}": tar_at_far(far, tar, target) for target in FAR_TARGETS},
        accuracy=None if fold is None else ten_fold_accuracy(scores, genuine, fold),
        ci95=ci95,
        far=far,
        tar=tar,
        thresholds=thresholds,
    )


def roc(scores: ArrayLike, genuine: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """FAR, TAR and thresholds, T + 1 of each: from threshold inf (nothing accepted) down through every distinct score.

    Raises DataError when lengths differ, a score is not finite, or either kind of pair is absent.
    """
    from sklearn.metrics import roc_curve  # here, not above: it costs a second of start-up

    score, is_genuine = checked(scores, genuine)
    far, tar, thresholds = roc_curve(is_genuine, score, drop_intermediate=False)
    return far, tar, thresholds


def auc(far: Floats, tar: Floats) -> float:
    """Area under the curve of :func:`roc`, in [0, 1]; trapezoids, so a tie counts one half."""
    return float(np.trapezoid(tar, far))


def eer(far: Floats, tar: Floats) -> float:
    """The error rate where FRR = FAR on the curve of :func:`roc`, in [0, 1].

    FRR - FAR falls from 1 to -1 along the curve. Its zero is interpolated linearly between the two neighbouring points
    where the sign changes; tied scores are one such step. Perfect scores give 0, constant ones 1/2, inverted ones 1.
    """
    gap = (1 - tar) - far
    after = int(np.argmax(gap <= 0))
    before = after - 1
    share = gap[before] / (gap[before] - gap[after])
    return float(far[before] + share * (far[after] - far[before]))


def tar_at_far(far: Floats, tar: Floats, target: float) -> float:
    """The largest TAR among the thresholds whose FAR is at most ``target``.

    Not interpolated, hence conservative: with fewer than 1 / target impostor pairs no false accept is allowed at all.
    """
    return float(tar[np.searchsorted(far, target, side="right") - 1])


def ten_fold_accuracy(scores: ArrayLike, genuine: ArrayLike, fold: ArrayLike) -> Accuracy:
    """Share of right decisions per fold, each with the threshold that is best on all others; LFW has ten, two will do.

    Every threshold between two neighbouring scores decides alike: the middle is taken. Of several equally good gaps the
    one with the highest scores counts. ``fold`` holds P fold names of any kind.
    Raises DataError as :func:`roc` does, and when fewer than two folds are named.
    """
    per_fold = rank(scores, genuine, fold).fold_accuracies(np.ones(np.size(scores)))
    return Accuracy(mean=float(np.mean(per_fold)), std=float(np.std(per_fold)))


def bootstrap(
    scores: ArrayLike,
    genuine: ArrayLike,
    first_identity: ArrayLike,
    second_identity: ArrayLike,
    *,
    fold: ArrayLike | None = None,
    replicates: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """95% intervals of every number of :class:`Verification`, under the keys of its ``ci95``.

    Pairs that share a person rise and fall together, so resampling pairs would promise too much. Each replicate draws
    as many IDENTITIES as there are, with replacement. A genuine pair weighs its identity's multiplicity, an impostor
    pair the product of its two; two copies of one identity make no pairs with each other. A replicate that lacks
    genuine pairs, impostor pairs or a fold to test on is left out. Fewer than three identities have no interval, and nor
    has the TAR at a FAR that is less than one impostor pair's share.
    Raises DataError as :func:`roc` does, when ``genuine`` contradicts the identities, or when no replicate is left.
    """
    ranking = rank(scores, genuine, fold)
    count, weighted = resampled(ranking, first_identity, second_identity, replicates=replicates, seed=seed)
    if count < FEWEST_IDENTITIES:
        return {}
    drawn: list[dict[str, float]] = []
    for weights in weighted:
        curve, per_fold = ranking.curve(weights), ranking.fold_accuracies(weights)
        if curve is None or (fold is not None and len(per_fold) == 0):
            continue
        drawn.append(_numbers(*curve) | ({"accuracy": float(np.mean(per_fold))} if fold is not None else {}))
    if not drawn:
        raise DataError(
            f"None of {replicates} bootstrap replicates over {count} identities had both kinds of pair;"
            " use more replicates, or pairs of more identities."
        )
    impostors = int((~ranking.genuine).sum())
    unmeasured = {f"tar_at_far.{target:g}" for target in FAR_TARGETS if target * impostors < 1}
    ends = {
        key: over_identities(np.array([numbers[key] for numbers in drawn]), count)
        for key in drawn[0]
        if key not in unmeasured
    }
    return {key: interval for key, interval in ends.items() if interval is not None}


def pair_scores(embeddings: NDArray[np.float32], first: Indices, second: Indices) -> Floats:
    """Cosine scores of the P pairs (first[i], second[i]) of rows of unit-norm ``embeddings`` (N x D); zeros score 0.

    Raises DataError when an embedding is not finite or not of unit norm.
    """
    unit = _unit(embeddings)
    return np.asarray((unit[first] * unit[second]).sum(axis=1), dtype=np.float64)


def all_pairs(embeddings: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[Floats, Bools, Indices, Indices]:
    """Every unordered pair of N photos: scores, genuine, first and second row, N (N - 1) / 2 of each.

    ``embeddings`` (N x D) have unit norm, or are zeros, which score 0. Memory is quadratic: about 100 MB for 2,000 photos.
    Raises DataError when lengths differ, or an embedding is not finite or not of unit norm.
    """
    unit = _unit(embeddings)
    if np.shape(labels) != (len(unit),):
        raise DataError(f"{len(unit)} embeddings have labels of shape {np.shape(labels)}; give one label for each.")
    first, second = np.triu_indices(len(unit), k=1)
    scores = (unit @ unit.T)[first, second].astype(np.float64)
    return scores, labels[first] == labels[second], first, second


def _numbers(far: Floats, tar: Floats) -> dict[str, float]:
    targets = {f"tar_at_far.{target:g}": tar_at_far(far, tar, target) for target in FAR_TARGETS}
    return {"auc": auc(far, tar), "eer": eer(far, tar)} | targets


def _unit(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    unit = np.asarray(embeddings, dtype=np.float32)
    if unit.ndim != 2 or len(unit) == 0:
        raise DataError(f"Embeddings have shape {unit.shape}; give N x D with at least one row.")
    damaged = np.flatnonzero(~np.isfinite(unit).all(axis=1))
    if len(damaged):
        raise DataError(
            f"{len(damaged)} of {len(unit)} embeddings are not finite, first row {damaged[0]};"
            " the recognizer has diverged, so train it again with a lower learning rate or choose another."
        )
    norms = np.linalg.norm(unit, axis=1)
    if np.abs(norms[norms > 0] - 1).max(initial=0) > 0.01:  # zeros: a collapsed network's, which resemble nobody
        raise DataError(f"Embeddings have norms from {norms.min():.3g} to {norms.max():.3g}; divide each by its norm.")
    return unit
