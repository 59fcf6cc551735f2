"""Nothing in a hot loop waits for a GPU: as many waits for many batches as for few, and results that a CPU finds too."""

from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from eval.countermeasures import COUNTERMEASURES
from faceguard.device import make_fabric, seeded
from faceguard.errors import NoiseDidNotConverge
from faceguard.evaluate import evaluate_identities
from faceguard.gather import send
from faceguard.generate import SourceModel, learn_bank
from faceguard.identification import at_once, centroids, classify, embed, predict
from faceguard.noise import NoiseSettings, Round, generate
from faceguard.publication import Publication
from faceguard.readers.synthetic import synthetic_faces
from faceguard.recognizer import build
from faceguard.runs import Run
from faceguard.train import TrainSettings, fit
from tests.small import QUICK, tiny_faces, tiny_net
from tests.waiting import DEVICE, Remote, Waits


def on_device(learn):
    """What ``learn`` finds with a network on the device, and how often it waits; it gets a fabric and the network."""
    with Waits() as counted:
        network = tiny_net().to(DEVICE)
        counted.waits.clear()
        found = learn(counted.fabric(), network)
        return found, len(counted.waits)


def test_the_device_notices_what_waits_and_what_mixes():
    with Waits() as counted:
        remote, here = torch.arange(6.0).to(DEVICE), torch.tensor([1, 4])
        there = here.to(DEVICE, non_blocking=True)
        assert isinstance(remote.index_select(0, there) + 1, Remote)
        assert counted.waits == ["_to_copy"]
        for wait in (
            lambda: remote[here],
            lambda: remote[remote > 2],
            lambda: remote.unique(),
            lambda: remote.cpu(),
            lambda: bool(remote.isfinite().all()),
            lambda: here.copy_(there),
            lambda: remote.tolist(),
        ):
            counted.waits.clear()
            wait()
            assert len(counted.waits) == 1
        with pytest.raises(RuntimeError, match="index_select got tensors of two devices"):
            remote.index_select(0, here)


@pytest.mark.parametrize("resident", [True, False])
def test_training_waits_twice_an_epoch_however_many_batches_it_has(monkeypatch, resident):
    monkeypatch.setattr("faceguard.gather.fits", lambda *_: resident)

    def train(photos, epochs):
        settings = TrainSettings(epochs=epochs, batch_size=6, crop_share=0.13)
        return lambda fabric, network: fit(fabric, network, tiny_faces(photos=photos), settings, seed=0)

    for photos, epochs in ((4, 1), (16, 1), (16, 3)):
        curve, waits = on_device(train(photos, epochs))
        assert waits == 2 * epochs
        assert curve == train(photos, epochs)(make_fabric(device="cpu"), tiny_net())


@pytest.mark.parametrize("name", ["cutout", "mixup", "cutmix"])
def test_augmentations_wait_for_nothing(name):
    x, y = torch.rand(6, 3, 8, 8), torch.arange(6) % 3
    found = []
    for place in (torch.device("cpu"), DEVICE):
        with Waits() as counted:
            network = build("resnet-18", identities=3, size=32, width=8, seed=0)
            there = x.to(place), y.to(place)
            counted.waits.clear()
            with seeded(0, "augment"):
                changed = COUNTERMEASURES[name].batch(network, *there)
            assert counted.waits == []
            found.append([part.cpu() for part in changed])
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


def test_publishing_photos_waits_for_nothing(monkeypatch):
    """Autocast, and kornia where it sends without waiting, know a GPU by its name alone."""
    monkeypatch.setattr("torch.autocast", lambda *_, **__: nullcontext())
    monkeypatch.setattr("kornia.enhance.jpeg._to_device_nonblocking", lambda one, to, _: send(one, to), raising=False)
    x, publish, found = torch.rand(4, 3, 16, 16), Publication(compressed=1, gray=0.5), []
    for place in (torch.device("cpu"), DEVICE):
        with Waits() as counted:
            there = x.to(place)
            counted.waits.clear()
            with seeded(0, "publish"):
                published = publish(there)
            assert counted.waits == []
            found.append(published.cpu())
    assert torch.equal(*found)


FORMS = {
    "class-wise": {},
    "sample-wise": {"form": "sample-wise", "pgd_steps": 3},
    "augmented": {"flip": True, "crop_share": 0.13},
    "cells": {"cells": 4},
    "patch": {"patch": 4},
    "targeted": {"targeted": True},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("resident", [True, False])
def test_algorithm_1_waits_once_a_round_however_many_batches_it_has(monkeypatch, form, resident):
    monkeypatch.setattr("faceguard.gather.fits", lambda *_: resident)

    def learn(fabric, network, *, photos, rounds):
        chosen = replace(QUICK, max_rounds=rounds, stop_error=1e-9, train_steps=photos // 4, **FORMS[form])
        found: list[Round] = []
        with suppress(NoiseDidNotConverge):
            generate(fabric, tiny_faces(photos=photos), network, chosen, seed=7, progress=found.append)
        return found

    for photos, rounds in ((4, 1), (16, 1), (16, 3)):
        found, waits = on_device(partial(learn, photos=photos, rounds=rounds))
        assert waits == rounds + (form == "targeted")  # which ends with its noise on the CPU
        assert found == learn(make_fabric(device="cpu"), tiny_net(), photos=photos, rounds=rounds)
        assert len(found) == rounds


def test_noise_in_a_file_waits_once_a_batch_of_noise_and_never_to_train_the_source(tmp_path):
    def learn(fabric, network, *, photos, steps):
        chosen = NoiseSettings(form="sample-wise", max_rounds=1, stop_error=1e-9, train_steps=steps, batch_size=8)
        with pytest.raises(NoiseDidNotConverge):
            generate(fabric, tiny_faces(photos=photos), network, chosen, seed=7, store=tmp_path / "rows.npy")
        return np.load(tmp_path / "rows.npy")

    for photos, steps in ((8, 2), (8, 9), (16, 9)):
        found, waits = on_device(partial(learn, photos=photos, steps=steps))
        assert waits == 3 * photos // 8 + 1
        assert np.array_equal(found, learn(make_fabric(device="cpu"), tiny_net(), photos=photos, steps=steps))


# ---- held-out photos

FACES = synthetic_faces(4, 5, size=32, seed=0)


class Counted(nn.Module):
    """A network that remembers how many photos it is shown at once."""

    def __init__(self):
        super().__init__()
        self.network, self.shown = tiny_net().eval(), []

    def forward(self, pixels):
        self.shown.append(len(pixels))
        return self.network(pixels)


@pytest.mark.parametrize("count", [150, 1500])
def test_naming_photos_waits_once_and_shows_a_device_many_of_them_at_once(monkeypatch, count):
    monkeypatch.setattr("faceguard.identification.at_once", lambda _, device: 64 if device.type == "cpu" else 500)
    faces, photos, here, there = tiny_faces(photos=10), np.arange(count) % 30, Counted(), Counted()
    expected = predict(here, faces, photos=photos)
    with Waits() as counted:
        there.to(DEVICE)
        counted.waits.clear()
        assert np.array_equal(predict(there, faces, photos=photos, device=DEVICE), expected)
        assert len(counted.waits) == 1
    for shown, most in ((here.shown, 64), (there.shown, 500)):
        assert max(shown) == min(most, count)
        assert sum(shown) == count


def test_a_gpu_is_shown_more_photos_at_once_the_smaller_they_are_and_the_cpu_is_not():
    assert [at_once(size, torch.device("cuda")) for size in (32, 112, 224)] == [1024, 83, 64]
    assert [at_once(size, torch.device("cpu")) for size in (32, 112, 224)] == [64, 64, 64]


def test_embeddings_logits_centroids_and_results_are_computed_where_they_are_asked_for(tmp_path):
    found = []
    for place in (None, DEVICE):
        with Waits() if place else nullcontext():
            model = build("resnet-18", identities=4, size=32, width=8, seed=0).eval()
            run = Run(model=model, identities=FACES.names, trained_on=frozenset())
            result = evaluate_identities(run, FACES, tmp_path, seed=0, device=place)
            assert all(isinstance(weight.data, Remote) == bool(place) for weight in model.parameters())
            logits = torch.from_numpy(classify(model, FACES, device=place))
            found.append((embed(model, FACES, device=place), logits, centroids(model, FACES, device=place), result))
    for one, other in zip(*found, strict=True):
        assert not isinstance(other, Remote)
        assert one == other if isinstance(one, dict) else torch.equal(one, other)


def test_a_bank_learnt_on_a_device_has_its_centroids_and_its_source_on_the_cpu(monkeypatch):
    monkeypatch.setattr("torch.__future__._swap_module_params_on_conversion", True)
    chosen, banks = NoiseSettings(train_steps=2, batch_size=8, stop_error=0.9), []
    for there in (False, True):
        with Waits() as counted:
            fabric = counted.fabric() if there else make_fabric(device="cpu")
            banks.append(learn_bank(fabric, FACES, chosen, source_model=SourceModel(width=8), seed=0))
    here, there = banks
    assert torch.equal(here.rows, there.rows)
    assert torch.equal(here.centroids, there.centroids)
    assert all(torch.equal(here.source_weights[name], weight) for name, weight in there.source_weights.items())
