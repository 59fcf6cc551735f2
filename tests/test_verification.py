"""Verification numbers against scikit-learn, against O(n^2) definitions, and against what the words mean."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from faceguard.verification import all_pairs, auc, eer, pair_scores, roc, tar_at_far, verify
from tests.small import scored_pairs

relaxed = settings(deadline=None, max_examples=60)  # the first example may import scikit-learn
TARGETS = (0.0, 0.001, 0.01, 0.1, 0.25, 1 / 3, 0.5, 1.0)


def rates(scores, genuine, threshold):
    accepted = [score >= threshold for score in scores]
    far = np.mean([a for a, g in zip(accepted, genuine, strict=True) if not g])
    tar = np.mean([a for a, g in zip(accepted, genuine, strict=True) if g])
    return float(far), float(tar)


def points_by_definition(scores, genuine):
    thresholds = [np.inf, *sorted(set(scores), reverse=True)]
    return [rates(scores, genuine, t) for t in thresholds]


def auc_by_definition(scores, genuine):
    wins = [(g > i) + 0.5 * (g == i) for g in scores[genuine] for i in scores[~genuine]]
    return float(np.mean(wins))


def eer_by_definition(scores, genuine):
    """Where the polygon through all points meets the line TAR = 1 - FAR, by solving the two line equations."""
    points = points_by_definition(scores, genuine)
    for (f0, t0), (f1, t1) in pairwise(points):
        if t0 + f0 < 1 <= t1 + f1:
            along = np.linalg.solve([[f1 - f0, -1.0], [t1 - t0, 1.0]], [-f0, 1 - t0])
            return float(along[1])
    raise AssertionError("the curve never meets FAR = FRR")


@relaxed
@given(scored_pairs())
def test_the_curve_holds_the_rates_of_every_distinct_threshold(pairs):
    far, tar, thresholds = roc(*pairs)
    assert thresholds.tolist() == [np.inf, *sorted(set(pairs[0]), reverse=True)]
    np.testing.assert_allclose(np.stack([far, tar], axis=1), points_by_definition(*pairs), atol=1e-9)


@relaxed
@given(scored_pairs())
def test_auc_is_the_probability_that_a_genuine_pair_scores_higher(pairs):
    far, tar, _ = roc(*pairs)
    assert auc(far, tar) == pytest.approx(auc_by_definition(*pairs), abs=1e-9)
    assert auc(far, tar) == pytest.approx(metrics.roc_auc_score(pairs[1], pairs[0]), abs=1e-9)


@relaxed
@given(scored_pairs())
def test_eer_is_where_the_curve_meets_equal_errors(pairs):
    far, tar, _ = roc(*pairs)
    sk_far, sk_tar, _ = metrics.roc_curve(pairs[1], pairs[0])
    assert eer(far, tar) == pytest.approx(eer_by_definition(*pairs), abs=1e-9)
    assert eer(far, tar) == pytest.approx(np.interp(1.0, sk_far + sk_tar, sk_far), abs=1e-9)


@relaxed
@given(scored_pairs())
def test_tar_at_far_is_the_best_tar_among_thresholds_that_keep_the_far(pairs):
    far, tar, _ = roc(*pairs)
    sk_far, sk_tar, _ = metrics.roc_curve(pairs[1], pairs[0], drop_intermediate=False)
    for target in TARGETS:
        by_definition = max(t for f, t in points_by_definition(*pairs) if f <= target)
        assert tar_at_far(far, tar, target) == pytest.approx(by_definition, abs=1e-9)
        assert tar_at_far(far, tar, target) == pytest.approx(sk_tar[sk_far <= target].max(), abs=1e-9)


@relaxed
@given(scored_pairs())
def test_swapping_genuine_and_impostor_turns_auc_and_eer_around(pairs):
    scores, genuine = pairs
    far, tar, _ = roc(scores, genuine)
    swapped_far, swapped_tar, _ = roc(scores, ~genuine)
    assert auc(swapped_far, swapped_tar) == pytest.approx(1 - auc(far, tar), abs=1e-9)
    assert eer(swapped_far, swapped_tar) == pytest.approx(1 - eer(far, tar), abs=1e-9)


@relaxed
@given(scored_pairs(), st.floats(0.1, 10), st.floats(-5, 5))
def test_only_the_order_of_the_scores_matters(pairs, factor, offset):
    scores, genuine = pairs
    np.testing.assert_array_equal(roc(scores, genuine)[:2], roc(factor * scores + offset, genuine)[:2])


@pytest.mark.parametrize(
    ("scores", "expected_auc", "expected_eer", "expected_tar"),
    [
        ([0.9, 0.8, 0.2, 0.1], 1.0, 0.0, 1.0),
        ([0.1, 0.2, 0.8, 0.9], 0.0, 1.0, 0.0),
        ([0.5, 0.5, 0.5, 0.5], 0.5, 0.5, 0.0),
        ([0.9, 0.3, 0.6, 0.1], 0.75, 0.5, 0.5),
    ],
    ids=["perfect", "inverted", "all equal", "one mistake"],
)
def test_two_genuine_and_two_impostor_pairs_by_hand(scores, expected_auc, expected_eer, expected_tar):
    far, tar, _ = roc(scores, [True, True, False, False])
    assert (auc(far, tar), eer(far, tar)) == (expected_auc, expected_eer)
    assert tar_at_far(far, tar, 0.01) == expected_tar


def test_a_far_exactly_on_target_is_still_allowed():
    impostors, genuine_scores = np.arange(3000) / 3000, [2969.5 / 3000, 2968.5 / 3000]
    far, tar, _ = roc([*impostors, *genuine_scores], [False] * 3000 + [True] * 2)
    assert 0.01 in far
    assert tar_at_far(far, tar, 0.01) == 0.5  # 30 impostors above the first genuine pair, 31 above the second


def test_the_zeros_of_a_collapsed_network_resemble_nobody_and_verify_at_chance():
    embeddings = np.array([[1, 0], [0, 0], [0.6, 0.8], [0, 0]], dtype=np.float32)
    assert pair_scores(embeddings, np.array([0, 0, 1]), np.array([1, 2, 3])) == pytest.approx([0, 0.6, 0])
    scores, genuine, _, _ = all_pairs(np.zeros((4, 2), dtype=np.float32), np.array([0, 0, 1, 1]))
    far, tar, _ = roc(scores, genuine)
    assert auc(far, tar) == 0.5


def test_all_pairs_lists_every_unordered_pair_once():
    angles = np.array([0.0, 0.1, 1.5, 3.0])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    scores, genuine, first, second = all_pairs(embeddings, np.array([7, 7, 2, 7]))
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert genuine.tolist() == [True, False, True, False, True, False]
    np.testing.assert_allclose(scores, np.cos(angles[first] - angles[second]), atol=1e-6)
    np.testing.assert_allclose(scores, pair_scores(embeddings, first, second), atol=1e-6)


def test_verify_without_identities_and_folds_leaves_their_numbers_out():
    plain = verify([0.9, 0.1], [True, False]).to_json()
    rates = {"auc": 1.0, "eer": 0.0, "tar_at_far": {"0.01": 1.0, "0.001": 1.0}}
    assert plain == {"pairs": 2, "impostors": 1, "missing": 0, **rates}
