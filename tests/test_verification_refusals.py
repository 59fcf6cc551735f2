"""Pairs, folds, identities and embeddings that cannot be verified: each is named in a sentence."""

import numpy as np
import pytest

from faceguard.errors import DataError
from faceguard.verification import all_pairs, bootstrap, pair_scores, roc, ten_fold_accuracy


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
        (np.array([[0.5, 0], [0, 0]]), "norms from 0 to 0.5"),
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
