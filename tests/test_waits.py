"""Nothing in a hot loop waits for a GPU: as many waits for many batches as for few, and results that a CPU finds too."""

from contextlib import suppress
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from faceguard.device import make_fabric
from faceguard.errors import NoiseDidNotConverge
from faceguard.noise import NoiseSettings, Round, generate
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
        settings = TrainSettings(epochs=epochs, batch_size=6, flip=False, crop_share=0)
        return lambda fabric, network: fit(fabric, network, tiny_faces(photos=photos), settings, seed=0)

    for photos, epochs in ((4, 1), (16, 1), (16, 3)):
        curve, waits = on_device(train(photos, epochs))
        assert waits == 2 * epochs
        assert curve == train(photos, epochs)(make_fabric(device="cpu"), tiny_net())


FORMS = {
    "class-wise": {},
    "sample-wise": {"form": "sample-wise", "pgd_steps": 3},
    "cells": {"cells": 4},
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
