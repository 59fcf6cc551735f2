"""A frozen extractor: the nearest photo, the linear probe, and weights that are known by their bytes."""

import shutil

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from faceguard.device import generator, make_fabric
from faceguard.errors import DataError, RunError
from faceguard.frozen import Frozen, linear, nearest
from faceguard.identities import split
from faceguard.readers.synthetic import synthetic_faces
from faceguard.recognizer import build
from faceguard.runs import load_model, save_run
from faceguard.train import Epoch, TrainSettings

CURVE = [Epoch(number=1, loss=1.0, accuracy=0.5)]


def unit(count, dimension=4, *, seed):
    return F.normalize(torch.randn(count, dimension, generator=generator(seed, "embeddings")), dim=1)


@pytest.fixture(scope="module")
def faces():
    return split(synthetic_faces(4, 6, size=32, seed=0), seed=0)


@pytest.fixture(scope="module")
def run(tmp_path_factory, faces):
    """A run folder of an untrained network: features enough to compare faces with."""
    folder = tmp_path_factory.mktemp("run")
    model = build("resnet-18", identities=4, size=32, width=8, seed=7).eval()
    save_run(folder, model, faces[0], TrainSettings(epochs=1), CURVE)
    return folder


@given(st.integers(1, 12), st.integers(1, 9), st.integers(1, 5), st.integers(0, 2**20))
@settings(deadline=None, max_examples=40)
def test_the_nearest_neighbour_is_what_a_loop_over_all_pairs_finds(photos, probes, identities, seed):
    gallery, asked = unit(photos, seed=seed), unit(probes, seed=seed + 1)
    labels = np.random.default_rng(seed).integers(0, identities, photos)
    found = nearest(gallery, labels, asked, identities)
    for i, probe in enumerate(asked):
        best = [-1.0] * identities
        for photo, label in zip(gallery, labels, strict=True):
            best[label] = max(best[label], float(photo @ probe))
        assert found[i] == pytest.approx(best, abs=1e-6)


def test_more_probes_than_fit_at_once_are_all_compared(monkeypatch):
    gallery, probes, labels = unit(6, seed=0), unit(11, seed=1), np.arange(6) % 3
    whole = nearest(gallery, labels, probes, 3)
    monkeypatch.setattr("faceguard.frozen.CHUNK", 4)
    np.testing.assert_allclose(nearest(gallery, labels, probes, 3), whole, atol=1e-6)


@pytest.mark.parametrize("identities", [2, 3])
def test_the_linear_probe_gives_log_probabilities_and_learns_what_is_separable(identities):
    labels = np.repeat(np.arange(identities), 10)
    centres = torch.eye(4)[labels]
    gallery, probes = (F.normalize(centres + 0.2 * unit(len(labels), seed=s), dim=1) for s in (0, 1))
    loss, logits = linear(gallery, labels, probes, identities, strength=10)
    np.testing.assert_allclose(np.exp(logits).sum(1), 1, atol=1e-5)
    assert np.array_equal(logits.argmax(1), labels)
    assert 0 < loss < np.log(identities)


def test_a_linear_probe_of_more_strength_fits_its_gallery_closer():
    gallery = F.normalize(torch.randn(12, 4, generator=generator(0, "gallery")))
    labels = np.arange(12) % 3
    weak, usual, strong = (linear(gallery, labels, gallery, 3, strength=strength)[0] for strength in (0.1, 1, 100))
    assert weak > usual > strong


def test_an_identity_without_photos_is_never_named_and_one_alone_is_a_sentence():
    gallery, labels = unit(6, seed=0), np.array([0, 0, 0, 2, 2, 2])
    _, logits = linear(gallery, labels, gallery, 3, strength=10)
    assert np.isneginf(logits[:, 1]).all()
    assert (nearest(gallery, labels, gallery, 3)[:, 1] == -1).all()
    with pytest.raises(DataError, match="photos of two identities or more"):
        linear(gallery, np.zeros(6, dtype=np.int64), gallery, 3, strength=10)


def test_the_training_photos_are_the_gallery_and_the_attack_names_by_the_best_of_them(run, faces):
    train, test = faces
    attack = Frozen(weights=str(run)).attack(make_fabric(device="cpu"), train, test, seed=0)
    model = load_model(str(run))
    with torch.inference_mode():
        gallery, probes = (
            torch.stack([model.embed(torch.from_numpy(p).permute(2, 0, 1)[None] / 255)[0] for p in part.pixels])
            for part in (train, test)
        )
    torch.testing.assert_close(attack.embeddings, probes, rtol=1e-4, atol=1e-5)
    assert attack.predictions.tolist() == [[int(train.labels[i]) for i in (probes @ gallery.T).argmax(1)]]
    assert attack.logits.shape == (len(test), 4)
    assert list(attack.losses) == [0.0]
    probe = Frozen(weights=str(run), classifier="linear").attack(make_fabric(device="cpu"), train, test, seed=0)
    assert probe.predictions.shape == (1, len(test))
    assert probe.losses[0] > 0


def test_what_cannot_be_is_a_sentence(run, faces):
    attack = Frozen(weights=str(run)).attack
    with pytest.raises(RunError, match=r"trains on nothing.*with an adversary that trains"):
        attack(make_fabric(device="cpu"), *faces, seed=0, change_batch=lambda _, x, y, done: (x, y))
    with pytest.raises(RunError, match=r"Classifier 'svm' is unknown; use nearest or linear"):
        Frozen(weights=str(run), classifier="svm").attack(make_fabric(device="cpu"), *faces, seed=0)
    with pytest.raises(RunError, match=r"absent\.onnx cannot be read .*leave this adversary out"):
        Frozen(weights="absent.onnx").fingerprint()
    with pytest.raises(RunError, match=r"There is no file .*absent\.onnx"):
        Frozen(weights="absent.onnx").attack(make_fabric(device="cpu"), *faces, seed=0)


def test_weights_are_known_by_their_bytes_and_not_by_their_folder(run, tmp_path):
    shutil.copytree(run, tmp_path / "a" / run.name)
    moved = Frozen(weights=run.name).located(tmp_path / "a")
    assert moved.weights == str(tmp_path / "a" / run.name)
    assert moved.fingerprint() == Frozen(weights=str(run)).fingerprint()
    for name in ("run.json", "model.safetensors"):  # the face size stands in run.json alone
        before = moved.fingerprint()
        with (tmp_path / "a" / run.name / name).open("ab") as file:
            file.write(b"\n")
        assert moved.fingerprint() != before


def test_published_and_absolute_weights_stay_where_they_are(tmp_path, run):
    assert Frozen(weights="vggface2").located(tmp_path) == Frozen(weights="vggface2")
    assert Frozen(weights=str(run)).located(tmp_path) == Frozen(weights=str(run))
