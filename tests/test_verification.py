"""Verification numbers against scikit-learn, against O(n^2) definitions, and against what the words mean."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from faceguard.device import derive_seed
from faceguard.errors import DataError
from faceguard.ranking import rank
from faceguard.verification import (
    all_pairs,
    auc,
    bootstrap,
    eer,
    pair_scores,
    roc,
    tar_at_far,
    ten_fold_accuracy,
    verify,
)

relaxed = settings(deadline=None, max_examples=60)  # the first example may import scikit-learn
TARGETS = (0.0, 0.001, 0.01, 0.1, 0.25, 1 / 3, 0.5, 1.0)


@st.composite
def scored_pairs(draw):
    """Few distinct scores among up to forty pairs, so that ties are the rule; all-equal, perfect and inverted occur."""
    genuine_scores = draw(st.lists(st.integers(-4, 4), min_size=1, max_size=20))
    impostor_scores = draw(st.lists(st.integers(-4, 4), min_size=1, max_size=20))
    shift = draw(st.sampled_from([0.0, 0.0, 20.0, -20.0]))
    scores = np.array([s / 8 + shift for s in genuine_scores] + [s / 8 for s in impostor_scores])
    genuine = np.repeat([True, False], [len(genuine_scores), len(impostor_scores)])
    order = np.array(draw(st.permutations(range(len(scores)))))
    return scores[order], genuine[order]


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


@relaxed
@given(scored_pairs(), st.data())
def test_the_weighted_curve_equals_repeated_pairs(pairs, data):
    scores, genuine = pairs
    weights = np.array(data.draw(st.lists(st.integers(1, 3), min_size=len(scores), max_size=len(scores))))
    repeated = roc(np.repeat(scores, weights), np.repeat(genuine, weights))
    for ours, other in zip(roc(scores, genuine, weights), repeated, strict=True):
        np.testing.assert_allclose(ours, other, atol=1e-9)


def accuracy_by_brute_force(scores, genuine, fold):
    """Try, from the highest, every gap between neighbouring scores of the other folds; keep the first best one."""
    per_fold = []
    for name in sorted(set(fold)):
        own = fold == name
        falling = [np.inf, *sorted(set(scores[~own]), reverse=True), -np.inf]
        gaps = [(upper + lower) / 2 for upper, lower in pairwise(falling)]
        right = [int(np.sum((scores[~own] >= t) == genuine[~own])) for t in gaps]
        threshold = gaps[right.index(max(right))]
        per_fold.append(float(np.mean((scores[own] >= threshold) == genuine[own])))
    return float(np.mean(per_fold)), float(np.std(per_fold))


@relaxed
@given(scored_pairs(), st.data())
def test_fold_accuracy_equals_a_search_over_every_gap(pairs, data):
    scores, genuine = pairs
    size = len(scores)
    rest = data.draw(st.lists(st.sampled_from("abcd"), min_size=size - 2, max_size=size - 2))
    fold = np.array(["a", "b", *rest])
    accuracy = ten_fold_accuracy(scores, genuine, fold)
    assert (accuracy.mean, accuracy.std) == pytest.approx(accuracy_by_brute_force(scores, genuine, fold), abs=1e-9)


def test_fold_accuracy_never_looks_at_the_fold_it_judges():
    """Fold b decides for fold a: its gap is 0.2 to 0.8, so a's genuine pair at 0.45 is rejected, at 0.55 accepted."""
    genuine, fold = [True, False, True, False], ["a", "a", "b", "b"]
    assert ten_fold_accuracy([0.45, 0.1, 0.8, 0.2], genuine, fold).mean == 0.75
    assert ten_fold_accuracy([0.55, 0.1, 0.8, 0.2], genuine, fold).mean == 1.0
    assert ten_fold_accuracy([0.5, 0.1, 0.8, 0.2], genuine, fold).mean == 1.0  # accept when score >= threshold


def test_accuracy_spreads_over_folds_with_ddof_zero():
    """Fold a is perfect under b's threshold, fold b is wholly wrong under a's: 1 and 0, deviation 1/2."""
    scores = [0.9, 0.1, 0.9, 0.9, 0.02, 0.04, 0.04, 0.04]
    genuine = [True, False, True, True, True, False, True, True]
    fold = ["a"] * 4 + ["b"] * 4
    accuracy = ten_fold_accuracy(scores, genuine, fold)
    assert accuracy_by_brute_force(np.array(scores), np.array(genuine), np.array(fold)) == (accuracy.mean, accuracy.std)
    per_fold = np.array([0.75, 0.25])
    assert (accuracy.mean, accuracy.std) == (per_fold.mean(), per_fold.std())


def clustered(identities, *, seed, genuine_each=6):
    """Some people look like themselves more than others do, some look like everybody: pairs are not independent."""
    random = np.random.default_rng(seed)
    likeness, commonness = random.normal(0, 0.8, identities), random.normal(0, 0.3, identities)
    one = np.repeat(np.arange(identities), genuine_each)
    first, second = np.triu_indices(identities, k=1)
    same = 1.5 + likeness[one] + random.normal(0, 0.5, len(one))
    different = commonness[first] + commonness[second] + random.normal(0, 1, len(first))
    genuine = np.repeat([True, False], [len(one), len(first)])
    return np.append(same, different), genuine, np.append(one, first), np.append(one, second)


def test_the_bootstrap_equals_drawing_identities_and_repeating_their_pairs():
    scores, genuine, first, second = clustered(8, seed=1, genuine_each=3)
    scores = np.round(scores, 1)  # many ties
    fold = np.arange(len(scores)) % 3
    random = np.random.default_rng(derive_seed(5, "bootstrap"))
    drawn = {"auc": [], "eer": [], "tar_at_far.0.01": [], "tar_at_far.0.001": [], "accuracy": []}
    for _ in range(25):
        people = random.integers(8, size=8).tolist()
        times = [
            people.count(a) * (1 if same else people.count(b))
            for a, b, same in zip(first, second, genuine, strict=True)
        ]
        again, truth, folds = (np.repeat(values, times) for values in (scores, genuine, fold))
        far, tar, _ = roc(again, truth)
        drawn["auc"].append(auc(far, tar))
        drawn["eer"].append(eer(far, tar))
        drawn["tar_at_far.0.01"].append(tar_at_far(far, tar, 0.01))
        drawn["tar_at_far.0.001"].append(tar_at_far(far, tar, 0.001))
        drawn["accuracy"].append(accuracy_by_brute_force(again, truth, folds)[0])
    intervals = bootstrap(scores, genuine, first, second, fold=fold, replicates=25, seed=5)
    assert intervals.keys() == drawn.keys()
    for key, values in drawn.items():
        assert intervals[key] == pytest.approx(tuple(np.percentile(values, [2.5, 97.5])), abs=1e-9), key


def test_the_same_seed_gives_the_same_intervals_and_another_seed_does_not():
    pairs = clustered(20, seed=2)
    assert bootstrap(*pairs, replicates=50, seed=3) == bootstrap(*pairs, replicates=50, seed=3)
    assert bootstrap(*pairs, replicates=50, seed=3) != bootstrap(*pairs, replicates=50, seed=4)


def test_intervals_hold_the_estimate_and_shrink_with_more_identities():
    widths = []
    for identities in (20, 320):
        pairs = clustered(identities, seed=7)
        low, high = bootstrap(*pairs, replicates=100, seed=0)["auc"]
        assert low < auc(*roc(*pairs[:2])[:2]) < high
        widths.append(high - low)
    assert widths[0] > 2 * widths[1]  # sixteen times the identities: a quarter of the width, give or take


def test_the_auc_interval_covers_the_truth_where_resampling_pairs_would_not():
    """Sixty small studies with a known AUC: at least 90 % of the identity intervals hold it, few pair intervals do."""
    deviation = math.sqrt((0.8**2 + 0.5**2) + (2 * 0.3**2 + 1))  # of genuine minus impostor score
    truth = 0.5 * (1 + math.erf(1.5 / deviation / math.sqrt(2)))
    covered = by_pairs = 0
    for study in range(60):
        scores, genuine, first, second = clustered(25, seed=study, genuine_each=8)
        low, high = bootstrap(scores, genuine, first, second, replicates=100, seed=study)["auc"]
        covered += low <= truth <= high
        random, ranking = np.random.default_rng(study), rank(scores, genuine)
        drawn = [random.multinomial(len(scores), np.full(len(scores), 1 / len(scores))) for _ in range(100)]
        low, high = np.percentile([auc(*ranking.curve(weights.astype(float))) for weights in drawn], (2.5, 97.5))
        by_pairs += low <= truth <= high
    assert covered >= 54
    assert by_pairs <= 45


def test_two_identities_still_give_an_interval():
    low, high = bootstrap([0.9, 0.4, 0.5], [True, True, False], ["ann", "bob", "ann"], ["ann", "bob", "bob"])["auc"]
    assert (low, high) == (0.5, 0.5)  # only the draws with both identities have impostor pairs


def test_one_identity_alone_cannot_be_verified():
    with pytest.raises(DataError, match="All 2 pairs are genuine"):
        bootstrap([0.9, 0.4], [True, True], ["ann", "ann"], ["ann", "ann"])


def test_a_bootstrap_without_a_usable_replicate_says_so():
    with pytest.raises(DataError, match="None of 0 bootstrap replicates over 2 identities"):
        bootstrap([0.9, 0.5], [True, False], ["ann", "ann"], ["ann", "bob"], replicates=0)


def test_replicates_that_lose_a_kind_of_pair_or_every_other_fold_are_left_out():
    """Fold a holds only cat's and dan's pairs, fold b only ann's and bob's: some draws leave one fold to itself."""
    first, second = ["ann", "ann", "cat", "cat"], ["ann", "bob", "cat", "dan"]
    intervals = bootstrap(
        [0.9, 0.1, 0.8, 0.2], [True, False, True, False], first, second, fold=["b", "b", "a", "a"], replicates=200
    )
    assert intervals["auc"] == (1.0, 1.0)
    assert 0.5 <= intervals["accuracy"][0] <= intervals["accuracy"][1] == 1.0


def test_all_pairs_lists_every_unordered_pair_once():
    angles = np.array([0.0, 0.1, 1.5, 3.0])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    scores, genuine, first, second = all_pairs(embeddings, np.array([7, 7, 2, 7]))
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert genuine.tolist() == [True, False, True, False, True, False]
    np.testing.assert_allclose(scores, np.cos(angles[first] - angles[second]), atol=1e-6)
    np.testing.assert_allclose(scores, pair_scores(embeddings, first, second), atol=1e-6)


def test_verify_reports_the_same_numbers_as_its_parts_in_plain_json():
    scores, genuine, first, second = clustered(12, seed=4)
    fold = np.arange(len(scores)) % 10
    whole = verify(scores, genuine, identities=(first, second), fold=fold, missing=3, replicates=30, seed=1)
    far, tar, _ = roc(scores, genuine)
    plain = json.loads(json.dumps(whole.to_json()))
    assert list(plain) == ["pairs", "missing", "auc", "eer", "accuracy", "tar_at_far", "ci95"]
    assert (plain["pairs"], plain["missing"]) == (len(scores), 3)
    assert (plain["auc"], plain["eer"]) == (auc(far, tar), eer(far, tar))
    assert plain["tar_at_far"] == {"0.01": tar_at_far(far, tar, 0.01), "0.001": tar_at_far(far, tar, 0.001)}
    accuracy = ten_fold_accuracy(scores, genuine, fold)
    assert plain["accuracy"] == {"mean": accuracy.mean, "std": accuracy.std}
    intervals = bootstrap(scores, genuine, first, second, fold=fold, replicates=30, seed=1)
    assert plain["ci95"]["accuracy"] == list(intervals["accuracy"])
    assert plain["ci95"]["tar_at_far"]["0.001"] == list(intervals["tar_at_far.0.001"])
    assert plain["ci95"].keys() == {"auc", "eer", "accuracy", "tar_at_far"}


def test_verify_without_identities_and_folds_leaves_their_numbers_out():
    plain = verify([0.9, 0.1], [True, False]).to_json()
    assert plain == {"pairs": 2, "missing": 0, "auc": 1.0, "eer": 0.0, "tar_at_far": {"0.01": 1.0, "0.001": 1.0}}


@pytest.mark.parametrize(
    ("scores", "genuine", "sentence"),
    [
        ([], [], "There are no pairs to verify"),
        ([0.1, 0.2], [True], r"shapes \(2,\) and \(1,\); give one of each per pair"),
        ([[0.1, 0.2]], [[True, False]], "give one of each per pair"),
        ([0.1, np.nan, np.inf], [True, False, True], "2 of 3 scores are not finite, first that of pair 1"),
        ([0.1, 0.2], [True, True], "All 2 pairs are genuine.*add impostor pairs"),
        ([0.1, 0.2], [False, False], "All 2 pairs are impostor.*add genuine pairs"),
    ],
)
def test_pairs_that_cannot_be_verified_are_named_in_a_sentence(scores, genuine, sentence):
    with pytest.raises(DataError, match=sentence):
        roc(scores, genuine)
    with pytest.raises(DataError, match=sentence):
        ten_fold_accuracy(scores, genuine, np.zeros(len(scores)))
    with pytest.raises(DataError, match=sentence):
        bootstrap(scores, genuine, np.zeros(len(scores)), np.zeros(len(scores)))


@pytest.mark.parametrize("weights", [[1], [1, -1], [1, np.nan], [0, 1], [1, 0]])
def test_weights_that_make_no_curve_are_refused(weights):
    with pytest.raises(DataError, match="Weights must be one per pair"):
        roc([0.1, 0.2], [True, False], weights)


def test_folds_must_be_two_or_more_and_one_per_pair():
    with pytest.raises(DataError, match="All pairs are in one fold"):
        ten_fold_accuracy([0.1, 0.2], [True, False], [1, 1])
    with pytest.raises(DataError, match="2 pairs have folds of shape"):
        ten_fold_accuracy([0.1, 0.2], [True, False], [1, 2, 3])


def test_identities_must_be_one_per_pair_and_agree_with_genuine():
    with pytest.raises(DataError, match="2 pairs have identities of shapes"):
        bootstrap([0.9, 0.1], [True, False], ["ann"], ["ann"])
    with pytest.raises(DataError, match="2 pairs contradict their identities, first pair 0"):
        bootstrap([0.9, 0.1], [False, True], ["ann", "ann"], ["ann", "bob"])


@pytest.mark.parametrize(
    ("embeddings", "sentence"),
    [
        (np.array([[1, 0], [np.nan, 1]]), "1 of 2 embeddings are not finite, first row 1"),
        (np.array([[3, 4], [1, 0]]), "norms from 1 to 5; divide each by its norm"),
        (np.zeros((2, 2)), "norms from 0 to 0"),
        (np.zeros((0, 2)), "at least one row"),
        (np.ones(2), "give N x D"),
    ],
)
def test_damaged_embeddings_are_named_in_a_sentence(embeddings, sentence):
    with pytest.raises(DataError, match=sentence):
        all_pairs(embeddings.astype(np.float32), np.zeros(len(embeddings), dtype=np.int64))
    with pytest.raises(DataError, match=sentence):
        pair_scores(embeddings.astype(np.float32), np.array([0]), np.array([0]))


def test_embeddings_and_labels_must_be_as_many():
    with pytest.raises(DataError, match="2 embeddings have labels of shape"):
        all_pairs(np.eye(2, dtype=np.float32), np.zeros(3, dtype=np.int64))
