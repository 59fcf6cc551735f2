"""A frozen extractor knows LFW once, whatever it is given to train on; whoever trains compares LFW in every cell."""

from dataclasses import replace

import numpy as np
import pytest
from test_cells import ADVERSARY, PAIRS, PICTURES, other_picture

import eval.cells
from eval.cells import cell_hash, run_cell
from eval.preprocessing import Grayscale
from faceguard.averaging import Averaging
from faceguard.countermeasure import Countermeasure
from faceguard.device import make_fabric
from faceguard.frozen import Frozen
from faceguard.identities import split
from faceguard.readers.synthetic import synthetic_faces
from faceguard.recognizer import build
from faceguard.runs import save_run
from faceguard.train import Epoch, TrainSettings

TRAIN, TEST = split(synthetic_faces(2, 4, size=32, seed=0), seed=0)
NOISY = replace(TRAIN, pixels=255 - TRAIN.pixels)


@pytest.fixture
def weights(tmp_path):
    """Write the run folder of an untrained network."""

    def write(seed):
        folder = tmp_path / f"weights-{seed}" / "network"  # the same name: bytes alone tell them apart
        folder.mkdir(parents=True, exist_ok=True)
        model = build("resnet-18", identities=2, size=32, width=8, seed=seed).eval()
        save_run(folder, model, TRAIN, TrainSettings(epochs=1), [Epoch(number=1, loss=1.0, accuracy=0.5)])
        return str(folder)

    return write


@pytest.fixture
def scores(tmp_path, monkeypatch):
    """The LFW scores of a cell; ``scores.embedded`` grows with every time that LFW is embedded for it."""
    embed, embedded = eval.cells.embed, []
    monkeypatch.setattr("eval.cells.embed", lambda *a, **k: embedded.append(a) or embed(*a, **k))

    def run(adversary, train=TRAIN, against=None, lfw=(PICTURES, PAIRS), precision="fp32"):
        fabric = make_fabric(device="cpu", precision=precision)
        folder = tmp_path / "cells"
        return run_cell(fabric, train, TEST, adversary, against, seed=0, lfw=lfw, folder=folder)["lfw_scores"]

    run.embedded = embedded
    return run


def test_the_second_arm_of_a_frozen_extractor_does_not_embed_lfw_again(scores, weights, tmp_path):
    found = scores(Frozen(weights=weights(1)))
    for train, classifier in ((NOISY, "nearest"), (TRAIN, "linear"), (NOISY, "linear")):
        assert np.array_equal(scores(Frozen(weights=weights(1), classifier=classifier), train), found)
    assert np.array_equal(scores(Averaging(then=Frozen(weights=weights(1)))), found)
    assert len(scores.embedded) == 1
    assert len(list((tmp_path / "cells").glob("*.npz"))) == 5
    assert len(set(found)) == 4


@pytest.mark.parametrize(
    "changed",
    [
        {"lfw": (other_picture(4), PAIRS)},
        {"lfw": (PICTURES, replace(PAIRS, second=np.array([1, 3, 2, 5])))},
        {"against": Grayscale()},
    ],
    ids=["picture", "pair", "view"],
)
def test_other_pictures_pairs_and_views_are_embedded_again(scores, weights, changed):
    extractor = Frozen(weights=weights(1))
    before = scores(extractor)
    assert not np.array_equal(scores(extractor, **changed), before)
    assert len(scores.embedded) == 2
    scores(extractor, NOISY, **changed)
    assert len(scores.embedded) == 2


def test_a_frozen_extractor_compares_lfw_in_the_precision_in_which_it_compares_faces(scores, weights):
    extractor = Frozen(weights=weights(1))
    np.testing.assert_array_equal(scores(extractor, precision="bf16"), scores(extractor))


def test_another_file_of_weights_embeds_lfw_itself(scores, weights):
    assert not np.array_equal(scores(Frozen(weights=weights(1))), scores(Frozen(weights=weights(2))))
    assert len(scores.embedded) == 2


def test_a_trained_embedder_is_never_shared(scores, tmp_path):
    assert not np.array_equal(scores(ADVERSARY), scores(ADVERSARY, NOISY))
    assert len(scores.embedded) == 2
    assert not list((tmp_path / "cells").glob("lfw-*"))


def test_the_scores_kept_for_all_are_no_part_of_what_names_a_cell(weights, tmp_path):
    """A frozen extractor's cells of the version before are found again."""
    fabric = make_fabric(device="cpu")
    lfw = PICTURES, PAIRS
    run_cell(fabric, TRAIN, TEST, Frozen(weights=weights(1)), seed=0, lfw=lfw, folder=tmp_path)
    (path,) = tmp_path.glob("*.npz")
    assert path.stem == cell_hash(TRAIN, TEST, Frozen(weights=weights(1)), Countermeasure(), 0, fabric)
    names = {"predictions", "logits", "losses", "embeddings", "seconds", "commit", "lfw_scores", "lfw_of"}
    with np.load(path) as kept:
        assert set(kept) == names
