"""What a recognizer makes of faces: embeddings, names and centroids, judged by group."""

import numpy as np
import pytest
import torch

from faceguard.identification import REPLICATES, centroids, classify, embed, predict, rank1, rank1_within, verify_groups
from faceguard.identities import Faces, to_pixels
from faceguard.readers.synthetic import synthetic_faces
from faceguard.recognizer import build
from faceguard.verification import all_pairs, bootstrap


@pytest.fixture(scope="module")
def faces():
    return synthetic_faces(6, 5, size=16, seed=0)


def test_embeddings_predictions_and_centroids_do_not_depend_on_the_batch(faces):
    model = build("resnet-18", identities=6, size=16, width=8, seed=0).eval()
    whole = embed(model, faces)
    torch.testing.assert_close(embed(model, faces, batch_size=7), whole, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        expected = model(to_pixels(faces.pixels)).argmax(1).numpy()
    assert np.array_equal(predict(model, faces, batch_size=7), expected)
    some = np.array([29, 3, 17, 3, 0])
    assert np.array_equal(predict(model, faces, photos=some, batch_size=2), expected[some])
    means = torch.stack([whole[torch.from_numpy(faces.labels == k)].mean(0) for k in range(6)])
    torch.testing.assert_close(centroids(model, faces), means / means.norm(dim=1, keepdim=True), rtol=1e-4, atol=1e-5)


class Brightest(torch.nn.Module):
    """Names the identity of the number that a photo's level is."""

    def forward(self, pixels):
        return torch.nn.functional.one_hot((255 * pixels[:, 0, 0, 0]).round().long(), 9)


def test_the_names_are_those_of_the_photos_that_are_asked_for_in_that_order():
    levels = np.array([4, 0, 7, 2, 8], dtype=np.uint8)
    pixels = np.broadcast_to(levels[:, None, None, None], (5, 2, 2, 3)).copy()
    some = Faces(pixels=pixels, labels=np.zeros(5, dtype=np.int64), names=tuple("abcdefghi"), keys=tuple("vwxyz"))
    asked = np.array([4, 2, 2, 0])
    assert predict(Brightest(), some, photos=asked, batch_size=3).tolist() == [8, 7, 7, 4]
    assert predict(Brightest(), some).tolist() == levels.tolist()


class Close(torch.nn.Module):
    """Names the second of three identities, by less than half precision can tell."""

    def forward(self, pixels):
        return torch.tensor([2048.0, 2048.5, 0.0]).expand(len(pixels), 3)


def test_recognition_within_everybody_is_recognition_however_close_two_identities_are():
    photos = np.zeros((4, 2, 2, 3), dtype=np.uint8)
    some = Faces(pixels=photos, labels=np.array([0, 1, 1, 2]), names=("a", "b", "c"), keys=tuple("wxyz"))
    everybody = {"all": np.arange(3)}
    within = rank1_within(classify(Close(), some), some, everybody)
    assert within == rank1(predict(Close(), some), some, everybody) == {"all": 0.5}


def test_rank_1_is_the_share_of_correct_names_in_each_group():
    photos = np.zeros((5, 2, 2, 3), dtype=np.uint8)
    some = Faces(pixels=photos, labels=np.array([0, 0, 1, 2, 2]), names=("a", "b", "c"), keys=tuple("vwxyz"))
    groups = {"protected": np.array([0]), "others": np.array([1, 2])}
    assert rank1(np.array([0, 1, 1, 2, 0]), some, groups) == {"protected": 0.5, "others": pytest.approx(2 / 3)}


def test_groups_are_verified_among_themselves():
    """Identities 0 and 1 are told apart perfectly; 2 and 3 share one embedding, so their pairs cannot be."""
    labels = np.repeat(np.arange(4), 3)
    directions = torch.eye(3)[torch.tensor([0, 1, 2, 2])]
    some = Faces(
        pixels=np.zeros((12, 2, 2, 3), dtype=np.uint8), labels=labels, names=tuple("abcd"), keys=tuple(map(str, labels))
    )
    groups = {"protected": np.array([2, 3]), "others": np.array([0, 1])}
    found = verify_groups(directions[torch.from_numpy(labels)], some, groups, seed=0)
    assert found["others"].auc == 1
    assert found["protected"].auc == 0.5


def test_a_groups_intervals_are_over_its_own_identities_and_by_the_seed():
    labels = np.repeat(np.arange(12), [2, 3, 4] * 4)
    embeddings = torch.nn.functional.normalize(torch.randn(36, 4, generator=torch.Generator().manual_seed(0)))
    pixels = np.zeros((36, 2, 2, 3), dtype=np.uint8)
    some = Faces(pixels=pixels, labels=labels, names=tuple("abcdefghijkl"), keys=tuple(map(str, range(36))))
    found = verify_groups(embeddings, some, {"later": np.arange(5, 12)}, seed=3)["later"]
    inside = labels >= 5
    scores, genuine, first, second = all_pairs(embeddings.numpy()[inside], labels[inside])
    named = np.array(some.names)[labels[inside]]
    assert found.ci95 == bootstrap(scores, genuine, named[first], named[second], replicates=REPLICATES, seed=3)
