"""The noise bank: exact to a 254th of epsilon, and the same bytes everywhere."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from faceguard.bank import NoiseBank, load_bank, make_bank
from faceguard.device import generator
from faceguard.errors import BankError
from faceguard.recognizer import build
from tests.small import EPSILON, tiny_bank, tiny_noise


def with_source(size=16):
    source = build("resnet-18", identities=3, size=size, width=8, seed=1).eval()
    shape = {"name": "resnet-18", "identities": 3, "size": size, "width": 8}
    centroids = torch.nn.functional.normalize(torch.randn(3, 64, generator=generator(0, "c")), dim=1)
    return source, tiny_bank(size=size, source_model=shape, source_weights=source.state_dict(), centroids=centroids)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "noise.safetensors"


# ---- values


def test_a_gain_makes_rows_stronger_and_cuts_them_at_epsilon():
    bank = tiny_bank()
    louder = bank.amplified(2)
    assert torch.equal(louder.rows.int(), (2 * bank.rows.int()).clamp(-127, 127))
    assert (louder.epsilon, louder.identities) == (bank.epsilon, bank.identities)
    assert torch.equal(bank.amplified(1).rows, bank.rows)
    for gain in (0.5, float("nan"), float("inf")):
        with pytest.raises(BankError, match="does not make noise stronger; use one of at least 1"):
            bank.amplified(gain)


@given(st.integers(1, 255), st.integers(0, 2**20))
@settings(deadline=None, max_examples=40)
def test_packing_noise_errs_by_at_most_epsilon_over_254_and_never_leaves_the_budget(levels, seed):
    epsilon = levels / 255
    wanted = tiny_noise(epsilon=epsilon, seed=seed)
    found = make_bank(wanted, epsilon=epsilon, identities=("a", "b", "c"), form="class-wise", seed=0).delta([0, 1, 2])
    assert (found - wanted).abs().max() <= epsilon / 254 * (1 + 1e-4)  # the rest is float32 rounding
    assert found.abs().max() <= torch.tensor(epsilon)


@pytest.mark.parametrize("levels", range(1, 65))
def test_the_corners_of_the_budget_are_epsilon_exactly(levels):
    epsilon = levels / 255
    corners = torch.tensor([-epsilon, epsilon, 0]).repeat(4 * 4).view(1, 3, 4, 4)
    packed = make_bank(corners, epsilon=epsilon, identities=("a",), form="class-wise", seed=0)
    assert torch.equal(packed.delta(0), corners[0])


@given(st.floats(0.5 / 255, 1), st.integers(0, 2**20))
@settings(deadline=None, max_examples=40)
def test_levels_are_the_rounded_noise_with_pixels_last_and_within_the_whole_level_budget(epsilon, seed):
    rows = torch.randint(-127, 128, (2, 3, 4, 4), generator=torch.Generator().manual_seed(seed)).to(torch.int8)
    rows[0, 0, 0, 0], rows[1, 2, 3, 3] = 127, -127
    made = NoiseBank(rows=rows, identities=("a", "b"), epsilon=epsilon, form="class-wise", seed=0)
    levels = made.levels([1, 0])
    assert levels.shape == (2, 4, 4, 3)
    assert np.abs(levels).max() <= 255 * epsilon + 1e-6
    exact = made.delta([1, 0]).double().numpy().transpose(0, 2, 3, 1) * 255
    within = np.abs(exact) <= math.floor(255 * epsilon + 1e-6)
    assert np.abs(levels - exact)[within].max(initial=0) <= 0.5 + 1e-4
    assert np.array_equal(made.levels(1), levels[0])


def test_a_whole_file_comes_back_as_it_was_saved(path):
    source, made = with_source()
    made.save(path)
    found = load_bank(path)
    assert torch.equal(found.rows, made.rows)
    for name in ("identities", "epsilon", "form", "seed", "source_model", "size"):
        assert getattr(found, name) == getattr(made, name)
    torch.testing.assert_close(found.centroids, made.centroids, rtol=0, atol=1e-3)
    assert found.source_weights.keys() == source.state_dict().keys()
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_the_number_of_cells_comes_back_and_costs_a_bank_without_them_nothing(path):
    tiny_bank(cells=4).save(path)
    assert load_bank(path).cells == 4
    tiny_bank().save(path)
    assert load_bank(path).cells is None
    assert b"cells" not in path.read_bytes()


def test_names_in_any_script_survive(path):
    names = ("Zoë Ångström", "李小龙", 'quote " and \\ backslash')
    tiny_bank(identities=names).save(path)
    assert load_bank(path).identities == names


def test_the_source_model_comes_back_with_the_same_predictions_up_to_half_precision(path):
    source, made = with_source()
    made.save(path)
    found = load_bank(path).source()
    pixels = torch.rand(4, 3, 16, 16, generator=generator(0, "pixels"))
    with torch.no_grad():
        torch.testing.assert_close(found(pixels), source(pixels), rtol=0.01, atol=0.01)
        torch.testing.assert_close(found.embed(pixels), source.embed(pixels), rtol=0.01, atol=0.01)
    assert not found.training


def test_a_bank_without_its_source_model_says_so():
    with pytest.raises(BankError, match=r"no source model.*--assign random"):
        tiny_bank().source()


def test_a_sample_wise_bank_takes_at_most_one_and_a_tenth_bytes_per_value(path):
    rows = torch.randint(-127, 128, (2000, 3, 32, 32), generator=generator(0, "rows")).to(torch.int8)
    keys = tuple(f"some folder/of a person/photo {i:06}.jpg" for i in range(2000))
    source = build("resnet-18", identities=3, size=16, width=8, seed=1)
    made = NoiseBank(
        rows=rows,
        identities=keys,
        epsilon=EPSILON,
        form="sample-wise",
        seed=0,
        source_model={"name": "resnet-18", "identities": 3, "size": 32, "width": 8},
        source_weights=source.state_dict(),
    )
    made.save(path)
    found = load_bank(path)
    assert path.stat().st_size <= 1.1 * rows.numel()
    assert found.rows.element_size() * found.rows.numel() == rows.numel()
    assert found.rows.untyped_storage().nbytes() <= 1.1 * rows.numel()


def test_the_original_switch_drops_negative_noise_and_cuts_off_after_the_point():
    rows = torch.tensor([-127, -60, 0, 60, 127, 12], dtype=torch.int8).repeat_interleave(3)[:12].view(1, 3, 2, 2)
    bank = NoiseBank(rows=rows, identities=("a",), epsilon=16 / 255, form="class-wise", seed=0)
    exact = bank.delta(0).movedim(0, -1).numpy() * 255
    assert (bank.levels(0, original=True) == np.floor(np.maximum(exact, 0))).all()
    assert (bank.levels(0) == np.rint(exact)).all()


# ---- the same bytes


SAVE = """
import sys
from pathlib import Path
from tests.test_bank import with_source
with_source()[1].save(Path(sys.argv[1]))
"""


def test_another_process_with_another_hash_seed_writes_the_same_bytes(path):
    with_source()[1].save(path)
    environment = os.environ | {"PYTHONHASHSEED": str(1 + int(os.environ.get("PYTHONHASHSEED", "0") == "1"))}
    other = path.with_name("other")
    root = Path(__file__).parents[1]
    subprocess.run([sys.executable, "-c", SAVE, str(other)], check=True, env=environment, cwd=root)
    assert other.read_bytes() == path.read_bytes()


def test_saving_a_loaded_bank_gives_the_same_bytes_again(path):
    with_source()[1].save(path)
    first = path.read_bytes()
    load_bank(path).save(path)
    assert path.read_bytes() == first
