"""Accuracy over folds against a search by brute force, and intervals against drawing identities by hand."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faceguard.device import derive_seed
from faceguard.errors import DataError
from faceguard.intervals import over_identities
from faceguard.ranking import rank
from faceguard.verification import all_pairs, auc, bootstrap, eer, roc, tar_at_far, ten_fold_accuracy, verify
from tests.small import scored_pairs

relaxed = settings(deadline=None, max_examples=60)


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
    assert intervals.keys() == drawn.keys() - {"tar_at_far.0.01", "tar_at_far.0.001"}  # there are 28 impostor pairs
    for key, values in ((key, drawn[key]) for key in intervals):
        assert intervals[key] == pytest.approx(over_identities(np.array(values), 8), abs=1e-9), key


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


@pytest.mark.parametrize("identities", [4, 6, 10, 25])
@pytest.mark.parametrize("noise", [1.0, 0.35])
def test_the_auc_interval_covers_with_few_identities_and_with_scores_that_are_often_perfect(identities, noise):
    """Plain percentiles hold the truth in 31 to 95 % of these: of perfect scores they have no width at all."""
    random = np.random.default_rng(identities)
    truth = np.mean([auc(*roc(*embedded(60, noise, random)[:2])[:2]) for _ in range(15)])
    held = []
    for study in range(60):
        low, high = bootstrap(*embedded(identities, noise, random), replicates=100, seed=study)["auc"]
        held.append(low <= truth <= high)
    assert np.mean(held) >= 0.88


def embedded(identities, noise, random, *, photos=4):
    """Every pair of some people's photos, each a point near its person's own among eight dimensions."""
    centres = random.normal(size=(identities, 1, 8))
    points = (centres + noise * random.normal(size=(identities, photos, 8))).reshape(-1, 8)
    labels = np.repeat(np.arange(identities), photos)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    scores, genuine, first, second = all_pairs(points.astype(np.float32), labels)
    return scores, genuine, labels[first], labels[second]


def test_perfect_scores_leave_the_room_that_so_few_people_allow():
    first, second = np.triu_indices(10)
    found = bootstrap(np.where(first == second, 0.9, 0.1), first == second, first, second, replicates=50)
    assert found["auc"] == pytest.approx((0.025**0.1, 1))
    assert found["eer"] == pytest.approx((0, 1 - 0.025**0.1))


def test_two_identities_give_no_interval():
    assert bootstrap([0.9, 0.4, 0.5], [True, True, False], ["ann", "bob", "ann"], ["ann", "bob", "bob"]) == {}


@pytest.mark.parametrize(
    ("impostors", "keys"), [(99, set()), (100, {"0.01"}), (999, {"0.01"}), (1000, {"0.01", "0.001"})]
)
def test_a_far_of_less_than_one_impostor_pair_has_no_interval(impostors, keys):
    first, second = np.triu_indices(50, k=1)
    one, other = np.append(np.arange(50), first[:impostors]), np.append(np.arange(50), second[:impostors])
    scores = np.random.default_rng(0).normal(size=len(one))
    found = verify(scores, one == other, identities=(one, other), replicates=20)
    assert found.impostors == impostors == found.to_json()["impostors"]
    assert found.to_json()["ci95"]["tar_at_far"].keys() == keys
    assert found.tar_at_far.keys() == {"0.01", "0.001"}


def test_one_identity_alone_cannot_be_verified():
    with pytest.raises(DataError, match="All 2 pairs are genuine"):
        bootstrap([0.9, 0.4], [True, True], ["ann", "ann"], ["ann", "ann"])


def test_a_bootstrap_without_a_usable_replicate_says_so():
    with pytest.raises(DataError, match="None of 0 bootstrap replicates over 3 identities"):
        bootstrap([0.9, 0.5, 0.4], [True, False, False], ["ann"] * 3, ["ann", "bob", "cat"], replicates=0)


def test_replicates_that_lose_a_kind_of_pair_or_every_other_fold_are_left_out():
    """Fold a holds only cat's and dan's pairs, fold b only ann's and bob's: some draws leave one fold to itself."""
    first, second = ["ann", "ann", "cat", "cat"], ["ann", "bob", "cat", "dan"]
    intervals = bootstrap(
        [0.9, 0.1, 0.8, 0.2], [True, False, True, False], first, second, fold=["b", "b", "a", "a"], replicates=200
    )
    assert intervals["auc"] == pytest.approx((0.025**0.25, 1.0))
    assert 0 <= intervals["accuracy"][0] <= 0.5 and intervals["accuracy"][1] == 1.0


def test_verify_reports_the_same_numbers_as_its_parts_in_plain_json():
    scores, genuine, first, second = clustered(12, seed=4)
    fold = np.arange(len(scores)) % 10
    whole = verify(scores, genuine, identities=(first, second), fold=fold, missing=3, replicates=30, seed=1)
    far, tar, _ = roc(scores, genuine)
    plain = json.loads(json.dumps(whole.to_json()))
    assert list(plain) == ["pairs", "impostors", "missing", "auc", "eer", "accuracy", "tar_at_far", "ci95"]
    assert (plain["pairs"], plain["impostors"], plain["missing"]) == (len(scores), 66, 3)
    assert (plain["auc"], plain["eer"]) == (auc(far, tar), eer(far, tar))
    assert plain["tar_at_far"] == {"0.01": tar_at_far(far, tar, 0.01), "0.001": tar_at_far(far, tar, 0.001)}
    accuracy = ten_fold_accuracy(scores, genuine, fold)
    assert plain["accuracy"] == {"mean": accuracy.mean, "std": accuracy.std}
    intervals = bootstrap(scores, genuine, first, second, fold=fold, replicates=30, seed=1)
    assert plain["ci95"]["accuracy"] == list(intervals["accuracy"])
    assert plain["ci95"].keys() == {"auc", "eer", "accuracy", "tar_at_far"}
