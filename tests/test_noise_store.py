"""Noise of very many photos in a memory-mapped file: the same algorithm, one byte a value, and the budget."""

from collections import namedtuple
from dataclasses import replace

import numpy as np
import pytest
import torch

from faceguard import noise_store
from faceguard.bank import make_bank
from faceguard.device import generator
from faceguard.errors import DataError, FaceguardError, NoiseDidNotConverge, RunError
from faceguard.noise import Round, random_noise, update_rows
from faceguard.noise_store import store_rows
from tests.small import EPSILON, QUICK, SIZE, here, interrupt_after, learn, tiny_faces

STEP = EPSILON / 127
SAMPLE_WISE = replace(QUICK, form="sample-wise", stop_error=0.1, max_rounds=40)


def drawn(count, *, seed=0):
    return (2 * torch.rand(count, SIZE, SIZE, 3, generator=generator(seed, "rows")) - 1) * EPSILON


def stored(path, rows):
    """A store of float ``rows``, R x S x S x 3."""
    left = iter(rows.movedim(-1, 1))
    return store_rows(path, len(rows), EPSILON, lambda count: torch.stack([next(left) for _ in range(count)]))


@pytest.mark.parametrize("drawn_at_once", [1, 4, 256])
def test_a_store_holds_its_rows_in_one_byte_a_value_and_to_half_a_step(tmp_path, monkeypatch, drawn_at_once):
    monkeypatch.setattr(noise_store, "_DRAWN", drawn_at_once)
    rows = drawn(10)
    store = stored(tmp_path / "rows.npy", rows)
    assert store.levels.dtype == torch.int8
    assert (tmp_path / "rows.npy").stat().st_size == 128 + rows.numel()
    read = store.index_select(0, torch.tensor([3, 0, 3]))
    assert (read - rows[[3, 0, 3]]).abs().max() <= STEP / 2 * 1.001
    assert torch.equal(torch.from_numpy(np.load(tmp_path / "rows.npy")), store.levels)


def test_an_update_of_stored_rows_is_that_of_float_rows_to_half_a_step(tmp_path):
    rows, delta, which = drawn(6), drawn(5, seed=1) * 1.5, here([4, 1, 4, 0, 4])
    store = stored(tmp_path / "rows.npy", rows)
    update_rows(store, which, delta, EPSILON)
    update_rows(rows, which, delta, EPSILON)
    after = store.index_select(0, torch.arange(6))
    assert (after - rows).abs().max() <= STEP / 2 * 1.001
    assert after.abs().max() == torch.tensor(EPSILON)  # some deltas leave the budget, and a corner is epsilon exactly


def test_noise_beyond_the_budget_is_stored_as_its_edge():
    noise = torch.tensor([-1.01, -1.0, 0.999, 1.0, 1.01]) * EPSILON
    assert noise_store.to_levels(noise, EPSILON).tolist() == [-127, -127, 127, 127, 127]


def test_rows_that_a_batch_does_not_use_keep_their_bytes(tmp_path):
    store = stored(tmp_path / "rows.npy", drawn(6))
    before = store.levels.clone()
    update_rows(store, here([2, 5]), drawn(2, seed=1), EPSILON)
    assert [i for i in range(6) if not torch.equal(store.levels[i], before[i])] == [2, 5]


@pytest.mark.parametrize("form", ["class-wise", "sample-wise"])
def test_the_start_in_a_store_is_that_in_memory_rounded(tmp_path, monkeypatch, form):
    monkeypatch.setattr(noise_store, "_DRAWN", 2)
    faces, chosen = tiny_faces(), replace(SAMPLE_WISE, form=form, stop_error=1e-9, max_rounds=1, train_steps=1)
    start = random_noise(faces, form, EPSILON, seed=7)
    with pytest.raises(NoiseDidNotConverge):
        learn(faces, chosen, store=tmp_path / "rows.npy", learn_on=torch.arange(1))  # one photo alone changes its row
    kept = torch.from_numpy(np.load(tmp_path / "rows.npy")).movedim(-1, 1)[1:]
    assert torch.equal(kept, noise_store.to_levels(start[1:], EPSILON))


@pytest.mark.parametrize("form", ["class-wise", "sample-wise"])
def test_a_store_and_memory_meet_the_stop_error_with_the_same_noise_but_for_rounding(tmp_path, form):
    faces, chosen = tiny_faces(), replace(SAMPLE_WISE, form=form)
    in_memory, on_disk = [], []
    floats = learn(faces, chosen, progress=in_memory.append)
    levels = learn(faces, chosen, store=tmp_path / "rows.npy", progress=on_disk.append)
    assert levels.dtype == torch.int8 and levels.shape == floats.shape
    assert max(in_memory[-1].error, on_disk[-1].error) <= chosen.stop_error
    assert abs(len(in_memory) - len(on_disk)) <= 1
    read = make_bank(levels, epsilon=EPSILON, identities=tuple(map(str, range(len(levels)))), form=form, seed=7)
    delta = read.delta(torch.arange(len(levels)))
    assert delta.abs().max() <= torch.tensor(EPSILON)
    assert torch.corrcoef(torch.stack([delta.flatten(), floats.flatten()]))[0, 1] > 0.9


@pytest.mark.parametrize("pgd_steps", [1, 4])
def test_one_round_differs_by_at_most_a_step_for_every_update(tmp_path, pgd_steps):
    """A step that does not depend on the model leaves nothing but rounding: at the start, and when the row is written."""

    def descend(model, x, y, delta, settings):
        for _ in range(settings.pgd_steps):
            delta = (delta - settings.step_size * (x - 0.5).sign()).clamp(-settings.epsilon, settings.epsilon)
        return delta

    chosen, seen = replace(SAMPLE_WISE, pgd_steps=pgd_steps, stop_error=0.99), []
    floats = learn(tiny_faces(), chosen, solve=descend, progress=seen.append)
    levels = learn(tiny_faces(), chosen, solve=descend, progress=seen.append, store=tmp_path / "rows.npy")
    assert [done.number for done in seen] == [1, 1]
    assert (levels.float() / 127 * EPSILON - floats).abs().max() <= STEP * 1.001


def test_a_resumed_store_equals_an_undisturbed_one(tmp_path):
    faces, chosen = tiny_faces(), replace(SAMPLE_WISE, stop_error=0.06, train_steps=2, flip=True)
    rounds: list[Round] = []
    undisturbed = learn(faces, chosen, store=tmp_path / "a.npy", progress=rounds.append).clone()
    assert len(rounds) > 3
    checkpoint, again = tmp_path / "noise.ckpt", []
    with pytest.raises(KeyboardInterrupt):
        learn(faces, chosen, store=tmp_path / "b.npy", checkpoint=checkpoint, progress=interrupt_after(3))
    resumed = learn(faces, chosen, store=tmp_path / "b.npy", checkpoint=checkpoint, progress=again.append)
    assert torch.equal(resumed, undisturbed)
    assert again == rounds[2:]


@pytest.mark.parametrize("first", ["memory", "store"])
def test_a_checkpoint_of_the_other_kind_is_refused(tmp_path, first):
    kinds = {"memory": {}, "store": {"store": tmp_path / "rows.npy"}}
    checkpoint = tmp_path / "noise.ckpt"
    with pytest.raises(KeyboardInterrupt):
        learn(tiny_faces(), QUICK, checkpoint=checkpoint, progress=interrupt_after(2), **kinds.pop(first))
    (other,) = kinds.values()
    with pytest.raises(RunError, match="other settings"):
        learn(tiny_faces(), QUICK, checkpoint=checkpoint, **other)


def test_noise_of_few_cells_needs_no_store(tmp_path):
    with pytest.raises(FaceguardError, match="leave the store out"):
        learn(tiny_faces(), replace(QUICK, cells=4), store=tmp_path / "rows.npy")


def test_patches_can_be_stored(tmp_path):
    patches = learn(tiny_faces(), replace(SAMPLE_WISE, patch=4, stop_error=0.9), store=tmp_path / "rows.npy")
    assert (patches.dtype, tuple(patches.shape)) == (torch.int8, (18, 3, 4, 4))


def test_a_folder_that_is_not_there_and_a_disk_that_is_full_are_sentences(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="choose another folder"):
        stored(tmp_path / "absent" / "rows.npy", drawn(2))
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(noise_store.shutil, "disk_usage", lambda _: usage(100, 99, 100))
    with pytest.raises(DataError, match=r"2 rows of noise need .* free some space"):
        stored(tmp_path / "rows.npy", drawn(2))
    assert not (tmp_path / "rows.npy").exists()


def test_the_file_that_an_interrupted_run_left_makes_room_for_the_new_one(tmp_path, monkeypatch):
    path, rows = tmp_path / "rows.npy", drawn(2)
    path.write_bytes(bytes(rows.numel()))
    usage = namedtuple("usage", "total used free")
    free = {True: 0, False: rows.numel()}
    monkeypatch.setattr(noise_store.shutil, "disk_usage", lambda _: usage(1000, 1000, free[path.exists()]))
    assert torch.equal(stored(path, rows).levels, noise_store.to_levels(rows, EPSILON))
