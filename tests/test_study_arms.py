"""What the arms beside the three carry, and the rows of a bank that a study makes stronger."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from commands import quick_noise
from studies import data, trainings  # noqa: F401
from test_study_data import TWO, loaded

from eval.banks import BankRecipe
from eval.data import _partly
from faceguard.assign import assign_rows
from faceguard.controls import phase_randomized, random_bank
from faceguard.study import draw_protected, protect_faces
from tests.small import tiny_faces


def test_the_phase_randomized_arm_carries_the_rows_with_random_phases(data, trainings, tmp_path):
    found = loaded(data, tmp_path)
    turned = phase_randomized(found.bank("shipped"), seed=0)
    rows = {name: row for row, name in enumerate(found.protected(TWO))}
    carried = found.training(replace(TWO, spectral=True), "phase-randomized")
    assert np.array_equal(carried.pixels, protect_faces(found.train, turned, rows).pixels)


@pytest.mark.parametrize("gain", [2.0, 3.0])
def test_a_bank_with_a_gain_is_the_learnt_one_amplified(data, trainings, tmp_path, gain):
    plain, strong = (
        loaded(
            data,
            tmp_path,
            replace(TWO, noise="own"),
            noises={"own": BankRecipe(faces="people", settings=quick_noise(), gain=one)},
        ).bank("own")
        for one in (1.0, gain)
    )
    assert torch.equal(strong.rows, plain.amplified(gain).rows) and not torch.equal(strong.rows, plain.rows)


def test_the_protected_are_drawn_and_the_photos_split_by_the_seed_of_the_data(data, trainings, tmp_path):
    studies = [loaded(data, tmp_path, data_seed=seed) for seed in range(4)]
    assert len({tuple(found.protected(TWO)) for found in studies}) > 1
    for seed, found in enumerate(studies):
        assert found.protected(TWO) == draw_protected(found.train.names, 2, seed=seed)
    assert len({found.train.keys for found in studies}) == 4


def test_random_noise_and_the_others_noise_share_no_rows_with_each_other_or_the_learnt(data, trainings, tmp_path):
    loud, found = replace(TWO, noisy_others=True), loaded(data, tmp_path, data_seed=3)
    mine = np.isin(np.array(found.train.names), found.protected(TWO))[found.train.labels]
    others = [name for name in found.train.names if name not in found.protected(TWO)]
    bank = found.bank("shipped")
    drawn = random_bank(bank, seed=4)
    expected = protect_faces(found.train, drawn, {name: i for i, name in enumerate(others)}).pixels
    for arm in ("random", "error-minimizing"):
        assert np.array_equal(found.training(loud, arm).pixels[~mine], expected[~mine])
    own = random_bank(bank, seed=3)
    control = protect_faces(found.train, own, {name: i for i, name in enumerate(found.protected(TWO))}).pixels
    assert np.array_equal(found.training(loud, "random").pixels[mine], control[mine])
    assert not (drawn.rows == own.rows).all((1, 2, 3)).any() and not (drawn.rows == bank.rows).all((1, 2, 3)).any()


def test_rows_are_assigned_and_applied_as_the_condition_says(data, trainings, tmp_path):
    found = loaded(data, tmp_path)
    bank, names = found.bank("shipped"), found.protected(TWO)
    rows = assign_rows(bank, names, "random", seed=0)
    assert rows != assign_rows(bank, names, "round-robin", seed=0)
    carried = found.training(replace(TWO, assign="random", original=True), "error-minimizing")
    assert np.array_equal(carried.pixels, protect_faces(found.train, bank, rows, original=True).pixels)


def test_which_of_a_persons_photos_carry_noise_is_drawn_by_the_seed_of_the_data(data, trainings, tmp_path):
    half, noisy = replace(TWO, photos=0.5, protected=None), []
    for seed in (0, 1):
        found = loaded(data, tmp_path, data_seed=seed)
        change = (found.training(half, "random").pixels != found.train.pixels).any((1, 2, 3))
        noisy.append(change.reshape(4, 8))
    assert (noisy[0] != noisy[1]).any()
    assert len({tuple(row) for row in noisy[0]}) > 1  # everybody has draws of their own


def test_a_photo_without_noise_is_the_clean_one_of_its_own_although_others_got_lost():
    clean = tiny_faces(2, 4)
    noisy = replace(clean, pixels=255 - clean.pixels).take([1, 2, 3, 4, 6, 7])
    found = _partly(clean, noisy, dict.fromkeys(clean.names, 0), 0.5, 0)
    kept = [any(np.array_equal(photo, one) for one in noisy.pixels) for photo in found.pixels]
    originals = clean.pixels[[1, 2, 3, 4, 6, 7]]
    assert np.array_equal(found.pixels, np.where(np.array(kept)[:, None, None, None], noisy.pixels, originals))
    assert 0 < sum(kept) < 6
