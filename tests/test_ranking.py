"""The presorted, reweighted curve against scikit-learn's sample weights."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics

from faceguard.ranking import rank
from faceguard.verification import auc, eer, tar_at_far

weighted_pairs = st.lists(st.tuples(st.integers(-3, 3), st.booleans(), st.integers(0, 4)), min_size=2, max_size=40)


@settings(deadline=None)
@given(weighted_pairs)
def test_reweighting_a_ranking_equals_scikit_learn_with_sample_weights(rows):
    scores, genuine, weights = (np.array(column) for column in zip(*rows, strict=True))
    assume(weights[genuine].any() and weights[~genuine].any())
    ranking = rank(scores, genuine)
    curve = ranking.curve(weights[ranking.order].astype(float))
    far, tar, _ = metrics.roc_curve(genuine, scores, sample_weight=weights, drop_intermediate=False)
    assert auc(*curve) == pytest.approx(metrics.roc_auc_score(genuine, scores, sample_weight=weights), abs=1e-9)
    assert eer(*curve) == pytest.approx(np.interp(1.0, far + tar, far), abs=1e-9)
    for target in (0.0, 0.01, 0.25, 0.5, 1.0):
        assert tar_at_far(*curve, target) == pytest.approx(tar[far <= target].max(), abs=1e-9)


def test_corners_skip_the_inside_of_runs_but_never_a_tie_of_both_kinds():
    scores = [9, 8, 7, 6, 5, 4, 4, 3, 2]
    genuine = [True, True, False, False, True, True, False, False, False]
    ranking = rank(scores, genuine)
    assert ranking.scores[ranking.corners].tolist() == [8, 6, 5, 4, 2]


def test_a_kind_that_weighs_nothing_has_no_curve():
    ranking = rank([0.9, 0.1], [True, False])
    assert ranking.curve(np.array([0.0, 1.0])) is None
    assert ranking.curve(np.array([1.0, 0.0])) is None


def test_a_fold_without_weight_or_without_weighty_others_is_left_out():
    ranking = rank([0.9, 0.8, 0.2, 0.1], [True, True, False, False], ["a", "b", "a", "b"])
    assert ranking.fold_accuracies(np.ones(4)).tolist() == [1.0, 1.0]
    assert ranking.fold_accuracies(np.array([1.0, 0.0, 1.0, 0.0])).tolist() == []


def test_pairs_that_weigh_nothing_do_not_steer_the_threshold():
    """Fold b's gap is 0.8 to 0.2 once its pair at 0.6 weighs nothing, so 0.55 in fold a is accepted."""
    ranking = rank([0.8, 0.6, 0.55, 0.2], [True, True, True, False], ["b", "b", "a", "b"])
    assert ranking.fold_accuracies(np.array([1.0, 0.0, 1.0, 1.0])).tolist()[0] == 1.0
    ranking = rank([0.8, 0.6, 0.55, 0.2], [True, False, True, False], ["b", "b", "a", "b"])
    assert ranking.fold_accuracies(np.array([1.0, 1.0, 1.0, 1.0])).tolist()[0] == 0.0
