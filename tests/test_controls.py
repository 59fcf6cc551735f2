"""Controls are like the bank in all but what was learnt: budget, number, smoothness, and the stricter one in power."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from faceguard.bank import NoiseBank
from faceguard.controls import phase_randomized, random_bank
from faceguard.smooth import smooth

EPSILON = 16 / 255


def bank(rows=20, size=16, *, cells=None, strength=127):
    draw = torch.randint(
        -strength, strength + 1, (rows, 3, cells or size, cells or size), generator=torch.Generator().manual_seed(0)
    )
    names = tuple(f"row {i}" for i in range(rows))
    noise = smooth(draw.float(), size).round().to(torch.int8)
    return NoiseBank(rows=noise, identities=names, epsilon=EPSILON, form="class-wise", seed=0, cells=cells)


def test_the_random_control_uses_the_whole_budget_evenly_and_follows_its_seed():
    control = random_bank(bank(), seed=1)
    counts = np.bincount(control.rows.flatten().int() + 127, minlength=255)
    assert len(counts) == 255
    assert counts.min() > 0.6 * counts.mean()
    assert counts.max() < 1.5 * counts.mean()
    assert (len(control), control.size, control.epsilon) == (20, 16, EPSILON)
    assert torch.equal(control.rows, random_bank(bank(), seed=1).rows)
    assert not torch.equal(control.rows, random_bank(bank(), seed=2).rows)
    assert not torch.equal(control.rows, bank().rows)


def test_the_random_control_is_as_smooth_as_the_bank():
    control = random_bank(bank(cells=4), seed=1)
    assert (control.cells, control.size) == (4, 16)
    rows = control.rows.float()
    cells = torch.nn.functional.interpolate(rows, size=4, mode="area")
    again = torch.nn.functional.interpolate(cells, size=16, mode="bilinear")
    assert (again - rows).abs().mean() < 0.35 * rows.abs().mean()  # no detail finer than the cells
    fine = random_bank(bank(), seed=1).rows.float()
    assert rows.diff(dim=-1).abs().mean() < 0.5 * fine.diff(dim=-1).abs().mean()


def spectrum(rows):
    """The power of every row at every frequency, without the cutting at the budget's edge: the mean over channels."""
    return torch.fft.rfft2(rows).abs().pow(2).mean(dim=1)


@given(st.sampled_from([(16, None), (15, None), (16, 4), (32, 8)]), st.integers(0, 2**20))
@settings(deadline=None, max_examples=20)
def test_random_phases_keep_each_rows_power_at_every_frequency(shape, seed):
    """Rows far from the budget, so that nothing is cut off: then it is exact but for the rounding to 8 bits."""
    size, cells = shape
    learnt = bank(6, size, cells=cells, strength=30)
    control = phase_randomized(learnt, seed=seed)
    one, other = (part.delta(range(6)) * 255 for part in (learnt, control))
    assert not torch.equal(control.rows, learnt.rows)
    power = spectrum(one)
    torch.testing.assert_close(spectrum(other), power, rtol=0, atol=float(0.05 * power.max()))


def test_random_phases_keep_a_rows_colours_and_its_rms_at_the_budgets_edge():
    learnt = bank(8, 32, cells=8)
    control = phase_randomized(learnt, seed=0)
    one, other = (part.delta(range(8)).double() for part in (learnt, control))
    assert control.rows.abs().max() == 127
    torch.testing.assert_close(*(rows.pow(2).mean(dim=(1, 2, 3)).sqrt() for rows in (other, one)), rtol=0.03, atol=0)
    pairs = list(zip(one.flatten(2).numpy(), other.flatten(2).numpy(), strict=True))
    for before, after in pairs:
        np.testing.assert_allclose(np.corrcoef(before), np.corrcoef(after), atol=0.1)
    alike = [np.corrcoef(before[0], after[0])[0, 1] for before, after in pairs]
    assert np.mean(alike) == pytest.approx(0, abs=0.2)  # and nothing is left of the picture


@pytest.mark.parametrize("gain", [4, 8])
def test_random_phases_keep_the_rms_of_rows_that_were_amplified_to_the_budgets_edge(gain):
    learnt = bank(8, 32).amplified(gain)
    one, other = (part.delta(range(8)).double() for part in (learnt, phase_randomized(learnt, seed=0)))
    power = [rows.pow(2).mean(dim=(1, 2, 3)).sqrt() for rows in (other, one)]
    assert power[1].min() > 0.9 * EPSILON
    torch.testing.assert_close(*power, rtol=2e-3, atol=0)


def test_a_strong_row_is_made_up_for_as_long_as_it_takes_beside_faint_ones():
    strong, faint = bank(4, 32).amplified(8).rows, bank(4, 32, strength=20).rows
    learnt = replace(bank(8, 32), rows=torch.cat([strong, faint]))
    one, other = (rows.delta(range(8)).double() for rows in (learnt, phase_randomized(learnt, seed=0)))
    power = [rows.pow(2).mean(dim=(1, 2, 3)).sqrt() for rows in (other, one)]
    torch.testing.assert_close(*power, rtol=5e-3, atol=0)


def test_rows_that_settle_within_the_fewest_cuts_are_cut_no_more_often(monkeypatch):
    usual = phase_randomized(bank(8, 32, cells=8), seed=0)
    monkeypatch.setattr("faceguard.controls.CUTS", (30, 30))
    assert torch.equal(phase_randomized(bank(8, 32, cells=8), seed=0).rows, usual.rows)


def test_equal_rows_of_one_part_or_two_get_phases_of_their_own(monkeypatch):
    monkeypatch.setattr("faceguard.controls.PART", 2)
    learnt = bank(4)
    rows = phase_randomized(replace(learnt, rows=learnt.rows[:1].repeat(4, 1, 1, 1)), seed=0).rows
    assert all((one != other).float().mean() > 0.9 for one, other in combinations(rows, 2))


def test_the_controls_follow_their_seed_and_carry_no_source_model():
    for control in (random_bank, phase_randomized):
        one = control(bank(), seed=1)
        assert torch.equal(one.rows, control(bank(), seed=1).rows)
        assert not torch.equal(one.rows, control(bank(), seed=2).rows)
        assert (one.seed, one.source_weights, one.centroids) == (1, {}, None)


def test_a_row_of_zeros_stays_one():
    empty = replace(bank(2), rows=torch.zeros(2, 3, 16, 16, dtype=torch.int8))
    assert not phase_randomized(empty, seed=0).rows.any()
