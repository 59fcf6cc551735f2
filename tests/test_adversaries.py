"""Every adversary from end to end on a tiny set: its shapes, its seed, and a cell of its own."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small import separable_faces

import eval.adversaries as presets
from eval.adaptive import NoiseAugmented, Projecting
from eval.cells import cell_hash
from eval.experiment import Contender
from eval.fine_tuning import FineTuned
from faceguard.adversary import Scratch
from faceguard.averaging import Averaging
from faceguard.countermeasure import Countermeasure
from faceguard.decode import resize_faces
from faceguard.device import make_fabric
from faceguard.errors import RunError
from faceguard.frozen import Frozen
from faceguard.identification import embed
from faceguard.identities import split
from faceguard.published import PUBLISHED
from faceguard.recognizer import build
from faceguard.runs import load_model, save_run
from faceguard.train import Epoch, TrainSettings

TRAIN = TrainSettings(epochs=2, batch_size=8)
SCRATCH = Scratch(width=8, size=8, train=TRAIN)
FABRIC = make_fabric(device="cpu")
ADVERSARIES = {
    "softmax": SCRATCH,
    "arcface": replace(SCRATCH, head="arcface"),
    "mobilefacenet": Scratch(model="mobilefacenet", size=32, train=TrainSettings(epochs=1, batch_size=8)),
    "nearest": Frozen(weights="run"),
    "linear": Frozen(weights="run", classifier="linear"),
    "fine-tuned": FineTuned(weights="run", train=TRAIN),
    "averaging": Averaging(then=SCRATCH),
    "averaging, then nearest": Averaging(then=Frozen(weights="run")),
    "projecting": Projecting(then=SCRATCH, banks=("plain",)),
    "projecting estimates": Projecting(then=SCRATCH, rows="estimated", rank=2),
    "noise-augmented": NoiseAugmented(then=SCRATCH, banks=("plain",)),
}


@pytest.fixture(scope="module")
def faces():
    return split(separable_faces(3, 8), seed=0)


@pytest.fixture(scope="module")
def data(tmp_path_factory, faces):
    """A data folder with a run in it: what ``weights`` names."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "run").mkdir()
    model = build("resnet-18", identities=3, size=8, width=8, seed=7).eval()
    save_run(folder / "run", model, faces[0], TRAIN, [Epoch(number=1, loss=1.0, accuracy=0.5)])
    return folder


@pytest.mark.parametrize("name", ADVERSARIES)
def test_an_attack_has_its_shapes_and_the_same_seed_gives_the_same_one(name, faces, data):
    train, test = faces
    adversary = ADVERSARIES[name].located(data)
    found, again = (adversary.attack(FABRIC, train, test, seed=3) for _ in range(2))
    epochs = len(found.predictions)
    assert found.predictions.shape == (epochs, len(test))
    assert found.predictions.dtype == np.int64
    assert len(found.losses) == epochs
    assert (found.logits.shape, found.logits.dtype) == ((len(test), 3), np.float32)
    assert len(found.embeddings) == len(test)
    torch.testing.assert_close(found.embeddings.norm(dim=1), torch.ones(len(test)))
    named = found.logits[np.arange(len(test)), found.predictions[-1]]
    np.testing.assert_allclose(named, found.logits.max(1), atol=1e-6)
    torch.testing.assert_close(embed(found.embedder, resize_faces(test, found.embedder.size)), found.embeddings)
    assert np.array_equal(found.predictions, again.predictions)
    assert np.array_equal(found.logits, again.logits)
    assert torch.equal(found.embeddings, again.embeddings)
    assert list(found.losses) == list(again.losses)


@pytest.mark.parametrize("head", ["softmax", "arcface"])
def test_what_is_separable_is_learnt(faces, head):
    adversary = replace(SCRATCH, head=head, train=TrainSettings(epochs=25, batch_size=8))
    attack = adversary.attack(FABRIC, *faces, seed=0)
    assert (attack.predictions[-1] == faces[1].labels).mean() > 0.8


def test_another_seed_gives_another_attack(faces):
    first, other = (SCRATCH.attack(FABRIC, *faces, seed=seed).embeddings for seed in (0, 1))
    assert not torch.equal(first, other)


def test_a_batch_that_is_changed_changes_the_attack_and_may_bring_shares_of_labels(faces):
    plain = replace(SCRATCH, head="arcface").attack(FABRIC, *faces, seed=0)

    def shares(_, x, y, done):
        return x, torch.nn.functional.one_hot(y, 3).float()

    same = replace(SCRATCH, head="arcface").attack(FABRIC, *faces, seed=0, change_batch=shares)
    np.testing.assert_allclose(same.losses, plain.losses, rtol=1e-4)
    dark = SCRATCH.attack(FABRIC, *faces, seed=0, change_batch=lambda _, x, y, done: (0 * x, y))
    assert not torch.equal(dark.embeddings, SCRATCH.attack(FABRIC, *faces, seed=0).embeddings)


def test_no_two_adversaries_share_a_cell(faces, data):
    variants = {
        **ADVERSARIES,
        "another margin": replace(SCRATCH, head="arcface", margin=0.3),
        "another scale": replace(SCRATCH, head="arcface", scale=32.0),
        "another size": replace(SCRATCH, size=16),
        "another rate": replace(SCRATCH, train=replace(TRAIN, learning_rate=0.01)),
        "another strength": Frozen(weights="run", classifier="linear", strength=1.0),
        "another rate of fine-tuning": FineTuned(weights="run", train=replace(TRAIN, learning_rate=0.01)),
        "another budget": Averaging(then=SCRATCH, epsilon=8 / 255),
        "averaging, then arcface": Averaging(then=replace(SCRATCH, head="arcface")),
        "projecting, then arcface": Projecting(then=replace(SCRATCH, head="arcface"), banks=("plain",)),
        "another rank": Projecting(then=SCRATCH, rows="estimated", rank=3),
        "another share": NoiseAugmented(then=SCRATCH, banks=("plain",), share=0.5),
        "noise, then arcface": NoiseAugmented(then=replace(SCRATCH, head="arcface"), banks=("plain",)),
    }
    hashes = [
        cell_hash(*faces, adversary.located(data), Countermeasure(), 0, FABRIC) for adversary in variants.values()
    ]
    assert len(set(hashes)) == len(variants)
    again = [cell_hash(*faces, adversary.located(data), Countermeasure(), 0, FABRIC) for adversary in variants.values()]
    assert hashes == again


def test_every_preset_is_an_adversary_of_its_own_whose_files_lie_below_the_data_folder(real_data):
    contenders = {name: value for name, value in vars(presets).items() if isinstance(value, Contender)}
    assert contenders.keys() >= {"RESNET", "RESNET_112", "INCEPTION", "MOBILEFACENET", "NARROW_ARCFACE"}
    assert contenders.keys() >= {"SFACE_NEAREST", "SFACE_LINEAR", "MOBILEFACENET_FROZEN", "FINE_TUNED"}
    assert contenders.keys() >= {"AVERAGING", "PROJECTING", "NOISE_AUGMENTED"}
    prints = [contender.adversary.located(real_data).fingerprint() for contender in contenders.values()]
    assert len(set(prints)) == len(prints)
    assert not any(str(real_data) in text for text in prints)
    assert all(contender.seeds for contender in contenders.values())


def test_an_onnx_file_cannot_be_fine_tuned(real_data, faces):
    sface = FineTuned(weights="weights/sface_2021dec_int8.onnx").located(real_data)
    with pytest.raises(RunError, match=r"sface_2021dec_int8\.onnx cannot be trained further; give a run folder"):
        sface.attack(FABRIC, *faces, seed=0)


def test_published_weights_that_are_absent_are_a_sentence(monkeypatch, tmp_path, faces):
    monkeypatch.setenv("FACEGUARD_CACHE", str(tmp_path))
    for name in PUBLISHED:
        with pytest.raises(RunError, match=r"cannot be read .*leave this adversary out"):
            FineTuned(weights=name).fingerprint()
        with pytest.raises(RunError, match="are not on this machine"):
            Frozen(weights=name).attack(FABRIC, *faces, seed=0)


def test_fine_tuning_starts_from_the_weights_that_it_names(faces, data):
    still = TrainSettings(epochs=1, batch_size=8, learning_rate=1e-12)
    found = FineTuned(weights="run", train=still).located(data).attack(FABRIC, *faces, seed=0)
    before = load_model(str(data / "run")).features.parameters()
    for one, other in zip(found.embedder.features.parameters(), before, strict=True):
        torch.testing.assert_close(one, other)


def test_the_seed_draws_the_weights_that_a_network_starts_from(faces, data, monkeypatch):
    still = TrainSettings(epochs=1, batch_size=8, learning_rate=1e-30)
    started = []
    monkeypatch.setattr("faceguard.adversary.classify", lambda model, *_, **__: started.append([*model.parameters()]))
    for adversary in (replace(SCRATCH, train=still), FineTuned(weights="run", train=still).located(data)):
        for seed in (0, 1):
            adversary.attack(FABRIC, *faces, seed=seed)
        assert not all(torch.allclose(*pair, atol=1e-9) for pair in zip(*started[-2:], strict=True))


def test_fine_tuning_trains_every_layer_on_batches_that_are_changed(faces, data):
    changed = []
    change = lambda _, x, y, done: changed.append(len(x)) or (x, y)  # noqa: E731
    adversary = ADVERSARIES["fine-tuned"].located(data)
    tuned = adversary.attack(FABRIC, *faces, seed=0, change_batch=change).embedder
    before = dict(load_model(str(data / "run")).features.named_parameters())
    assert sum(changed) == 2 * len(faces[0])
    assert before and not any(torch.equal(value, before[name]) for name, value in tuned.features.named_parameters())
