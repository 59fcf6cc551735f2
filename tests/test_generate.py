"""From faces to a noise bank: rows, centroids and the source model belong together."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from faceguard.assign import assign_rows
from faceguard.bank import load_bank
from faceguard.device import make_fabric
from faceguard.errors import NoiseDidNotConverge
from faceguard.generate import SourceModel, face_noise, learn_bank
from faceguard.identification import centroids
from faceguard.noise import NoiseSettings
from faceguard.readers.synthetic import synthetic_faces
from faceguard.recognizer import build

QUICK = NoiseSettings(train_steps=8, batch_size=16, stop_error=0.3, max_rounds=30, learning_rate=0.1)
SMALL = SourceModel(width=8)


@pytest.fixture(scope="module")
def faces():
    return synthetic_faces(4, 6, size=16, seed=0)


@pytest.fixture(scope="module")
def bank(faces):
    return learn_bank(make_fabric(device="cpu"), faces, QUICK, source_model=SMALL, seed=3)


def test_a_class_wise_bank_has_a_row_for_every_identity_and_remembers_its_source(faces, bank):
    assert bank.rows.shape == (4, 3, 16, 16)
    assert bank.identities == faces.names
    assert (bank.form, bank.epsilon, bank.seed) == ("class-wise", QUICK.epsilon, 3)
    assert bank.source_model == {"name": "resnet-18", "width": 8, "size": 16, "identities": 4}
    assert bank.centroids.shape == (4, 64)
    torch.testing.assert_close(bank.centroids.norm(dim=1), torch.ones(4))


def test_a_loaded_bank_finds_every_source_identity_nearest_to_itself(tmp_path, faces, bank):
    bank.save(tmp_path / "b.safetensors")
    found = load_bank(tmp_path / "b.safetensors")
    torch.testing.assert_close(centroids(found.source(), faces), found.centroids, rtol=0, atol=0.02)
    assert assign_rows(found, faces.names, "nearest", seed=0, faces=faces) == {n: i for i, n in enumerate(faces.names)}


def test_the_same_seed_gives_the_same_bank_bytes_and_another_does_not(tmp_path, faces, bank):
    bank.save(tmp_path / "first")
    learn_bank(make_fabric(device="cpu"), faces, QUICK, source_model=SMALL, seed=3).save(tmp_path / "again")
    learn_bank(make_fabric(device="cpu"), faces, QUICK, source_model=SMALL, seed=4).save(tmp_path / "other")
    assert (tmp_path / "first").read_bytes() == (tmp_path / "again").read_bytes()
    assert (tmp_path / "first").read_bytes() != (tmp_path / "other").read_bytes()


def test_a_sample_wise_bank_has_a_row_for_every_photo_named_by_its_key(faces):
    settings = replace(QUICK, form="sample-wise")
    bank = learn_bank(make_fabric(device="cpu"), faces, settings, source_model=SMALL, seed=3)
    assert bank.rows.shape == (24, 3, 16, 16)
    assert bank.identities == faces.keys


def test_error_maximizing_noise_comes_from_a_source_model_that_knows_the_faces(faces):
    """Twenty epochs on the clean faces first; the noise then has something to make worse."""
    worst = replace(
        QUICK, objective="error-maximizing", form="sample-wise", epsilon=0.4, step_size=0.04, stop_error=0.4
    )
    rounds = []
    bank = learn_bank(make_fabric(device="cpu"), faces, worst, source_model=SMALL, seed=3, progress=rounds.append)
    assert rounds[-1].error >= 0.6
    assert int(bank.source_weights["features.stem.1.num_batches_tracked"]) == 20 * 2  # 24 faces in batches of 16


def test_rounds_that_run_out_leave_a_checkpoint_to_go_on_from(tmp_path, faces, bank):
    checkpoint, rounds = tmp_path / "c", []
    with pytest.raises(
        NoiseDidNotConverge, match=r"has not been reached.* keeps the rounds: .*--max-rounds goes on\.$"
    ):
        settings = replace(QUICK, max_rounds=1)
        learn_bank(make_fabric(device="cpu"), faces, settings, source_model=SMALL, seed=3, checkpoint=checkpoint)
    resumed = learn_bank(
        make_fabric(device="cpu"),
        faces,
        QUICK,
        source_model=SMALL,
        seed=3,
        checkpoint=checkpoint,
        progress=rounds.append,
    )
    assert rounds[0].number == 2
    assert torch.equal(resumed.rows, bank.rows)


def test_the_budget_holds_in_whole_levels(bank):
    assert np.abs(bank.levels(np.arange(4))).max() <= 16


@pytest.mark.parametrize(("form", "levels"), [("class-wise", 0.8), ("sample-wise", 4)])
def test_face_noise_takes_one_step_that_scales_with_epsilon(form, levels):
    settings = face_noise(epsilon=8 / 255, form=form, max_rounds=3)
    assert 255 * settings.step_size == pytest.approx(levels)
    assert (settings.pgd_steps, settings.max_rounds, settings.form) == (1, 3, form)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_bank_learnt_on_a_gpu_is_saved_and_used_on_the_cpu(tmp_path, faces):
    bank = learn_bank(make_fabric(device="cuda"), faces, QUICK, source_model=SMALL, seed=3)
    bank.save(tmp_path / "b")
    assert load_bank(tmp_path / "b").rows.device.type == "cpu"


def test_a_source_model_neither_starts_nor_learns_as_a_trainer_of_the_same_seed_does(faces, monkeypatch):
    sources, trainings = [], []

    def look(fabric, faces, source, settings, **more):
        sources.append(source.state_dict())
        return torch.zeros(len(faces.names), 3, faces.size, faces.size)

    monkeypatch.setattr("faceguard.generate.generate", look)
    monkeypatch.setattr("faceguard.generate.fit", lambda *_, seed: trainings.append(seed))
    learn_bank(make_fabric(device="cpu"), faces, QUICK, source_model=SMALL, seed=3)
    trainer = build(SMALL.name, identities=len(faces.names), size=faces.size, width=SMALL.width, seed=3).state_dict()
    drawn = [name for name, value in trainer.items() if value.is_floating_point() and value.std() > 0]
    assert drawn
    assert not any(torch.equal(trainer[name], sources[0][name]) for name in drawn)
    for knows in ({"objective": "error-maximizing"}, {"targeted": True}):
        learn_bank(make_fabric(device="cpu"), faces, replace(QUICK, **knows), source_model=SMALL, seed=3)
    assert len(trainings) == 2 and 3 not in trainings  # which decides its batches, flips and crops
