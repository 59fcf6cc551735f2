"""The noise bank: exact to a 254th of epsilon, the same bytes everywhere, and no damage goes unnoticed."""

import json
import os
import pickle
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save

import faceguard.bank
from faceguard.bank import NoiseBank, load_bank, make_bank
from faceguard.device import generator
from faceguard.errors import BankError
from faceguard.recognizer import build

EPSILON = 16 / 255


def noise(rows=3, size=8, epsilon=EPSILON, *, seed=0):
    return (2 * torch.rand(rows, 3, size, size, generator=generator(seed, "noise")) - 1) * epsilon


def bank(rows=3, size=8, epsilon=EPSILON, **more):
    about = {"identities": tuple(f"person {i}" for i in range(rows)), "form": "class-wise", "seed": 5}
    return make_bank(noise(rows, size, epsilon), epsilon=epsilon, **(about | more))


def with_source(size=16):
    source = build("resnet-18", identities=3, size=size, width=4, seed=1).eval()
    shape = {"name": "resnet-18", "identities": 3, "size": size, "width": 4}
    centroids = torch.nn.functional.normalize(torch.randn(3, 32, generator=generator(0, "c")), dim=1)
    return source, bank(size=size, source_model=shape, source_weights=source.state_dict(), centroids=centroids)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "noise.safetensors"


# ---- values


@given(st.integers(1, 255), st.integers(0, 2**20))
@settings(deadline=None, max_examples=40)
def test_packing_noise_errs_by_at_most_epsilon_over_254_and_never_leaves_the_budget(levels, seed):
    epsilon = levels / 255
    wanted = noise(epsilon=epsilon, seed=seed)
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
    assert np.abs(levels).max() <= round(255 * epsilon)
    exact = made.delta([1, 0]).double().numpy().transpose(0, 2, 3, 1) * 255
    assert np.abs(levels - exact).max() <= 0.5 + 1e-4
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


def test_names_in_any_script_survive(path):
    names = ("Zoë Ångström", "李小龙", 'quote " and \\ backslash')
    bank(identities=names).save(path)
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
        bank().source()


def test_a_sample_wise_bank_takes_at_most_one_and_a_tenth_bytes_per_value(path):
    rows = torch.randint(-127, 128, (1000, 3, 32, 32), generator=generator(0, "rows")).to(torch.int8)
    keys = tuple(f"some folder/of a person/photo {i:06}.jpg" for i in range(1000))
    source = build("resnet-18", identities=3, size=16, width=4, seed=1)
    made = NoiseBank(
        rows=rows,
        identities=keys,
        epsilon=EPSILON,
        form="sample-wise",
        seed=0,
        source_model={"name": "resnet-18", "identities": 3, "size": 32, "width": 4},
        source_weights=source.state_dict(),
    )
    made.save(path)
    found = load_bank(path)
    assert path.stat().st_size <= 1.1 * rows.numel()
    assert found.rows.element_size() * found.rows.numel() == rows.numel()
    assert found.rows.untyped_storage().nbytes() <= 1.1 * rows.numel()


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


# ---- damage


def rewrite(path, *, tensors=None, metadata=None):
    """The saved bank with some tensors or metadata replaced, as a stranger could write it."""
    with safe_open(path, framework="pt") as file:
        about = json.loads(file.metadata()["faceguard"])
        kept = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    about.pop("sha256")
    about, kept = about | (metadata or {}), kept | (tensors or {})
    kept = {name: tensor for name, tensor in kept.items() if tensor is not None}
    about = {name: value for name, value in about.items() if value is not None}
    about["sha256"] = faceguard.bank._checksum(about, kept)
    path.write_bytes(save(kept, metadata={"faceguard": json.dumps(about)}))


def test_a_missing_file_is_named(path):
    with pytest.raises(BankError, match=r"There is no noise bank .*noise\.safetensors; make one"):
        load_bank(path)


@pytest.mark.parametrize("kept", [0, 4, 100, 0.5, -1])
def test_a_truncated_file_is_named(path, kept):
    bank().save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    with pytest.raises(BankError, match=r"noise\.safetensors is no readable noise bank"):
        load_bank(path)


def test_a_flipped_byte_anywhere_is_noticed(path):
    """Header and tensors alike: an epsilon or a name is as well guarded as the rows."""
    bank().save(path)
    whole = path.read_bytes()
    header = 8 + struct.unpack("<Q", whole[:8])[0]
    for place in [*range(0, header, 3), *range(header, len(whole), 31)]:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        with pytest.raises(BankError):
            load_bank(path)


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ({"metadata": {"version": 99}}, "has bank version 99, and this faceguard reads version 1"),
        ({"metadata": {"template": "ffhq"}}, "made for the alignment 'ffhq'.*arcface-112"),
        ({"metadata": {"identities": None}}, "lacks identities"),
        ({"metadata": {"epsilon": None, "form": None}}, "lacks epsilon, form"),
        ({"metadata": {"identities": ["a"]}}, "1 identities name 3 rows"),
        ({"metadata": {"epsilon": 0}}, "epsilon 0 lies outside"),
        ({"metadata": {"form": "patch"}}, "form 'patch' is neither"),
        ({"tensors": {"rows": None}}, "lacks rows"),
        ({"tensors": {"rows": torch.full((3, 3, 8, 8), -128, dtype=torch.int8)}}, "leaves the range"),
        ({"tensors": {"rows": torch.zeros(3, 3, 8, 8)}}, "rows are torch.float32"),
        ({"tensors": {"rows": torch.zeros(3, 1, 8, 8, dtype=torch.int8)}}, "not int8 R x 3 x S x S"),
        ({"tensors": {"rows": torch.zeros(3, 3, 8, 9, dtype=torch.int8)}}, "8 x 9, not square"),
        ({"tensors": {"rows": torch.zeros(0, 3, 8, 8, dtype=torch.int8)}}, "there are no rows"),
        ({"tensors": {"centroids": torch.tensor([[1.0, float("nan")]])}}, "not finite"),
        ({"tensors": {"source.stem": torch.ones(2)}}, "the source model's name, identities, size or width is missing"),
    ],
)
def test_a_bank_that_cannot_be_used_says_why(path, what, sentence):
    bank().save(path)
    rewrite(path, **what)
    with pytest.raises(BankError, match=sentence):
        load_bank(path)


def test_a_bank_of_another_size_says_so_when_it_is_used():
    from faceguard.errors import DataError
    from faceguard.identities import Faces
    from faceguard.study import protect_faces

    faces = Faces(
        pixels=np.zeros((1, 12, 12, 3), dtype=np.uint8), labels=np.zeros(1, dtype=np.int64), names=("a",), keys=("k",)
    )
    with pytest.raises(DataError, match="The faces are 12 px and the bank's rows 8 px"):
        protect_faces(faces, bank(), {"a": 0})


def test_a_checksum_that_does_not_match_is_an_altered_bank(path):
    bank().save(path)
    whole = bytearray(path.read_bytes())
    whole[-1] ^= 1
    path.write_bytes(whole)
    with pytest.raises(BankError, match="does not match its own checksum: it was altered or damaged"):
        load_bank(path)


@pytest.mark.parametrize("metadata", [None, {}, {"faceguard": "[1]"}, {"other": "x"}])
def test_a_safetensors_file_of_something_else_is_no_bank(path, metadata):
    path.write_bytes(save({"rows": torch.zeros(1, 3, 4, 4, dtype=torch.int8)}, metadata=metadata))
    with pytest.raises(BankError, match="a safetensors file but no noise bank"):
        load_bank(path)


def test_text_and_metadata_that_is_no_json_are_no_bank(path):
    path.write_text("just some text, longer than a header")
    with pytest.raises(BankError, match="no readable noise bank"):
        load_bank(path)
    path.write_bytes(save({"rows": torch.zeros(1)}, metadata={"faceguard": "{"}))
    with pytest.raises(BankError, match="no readable noise bank"):
        load_bank(path)


def test_pickled_content_is_refused_and_never_executed(path):
    class Evil:
        def __reduce__(self):
            return (exec, (f"open({str(path.parent / 'ran')!r}, 'w').close()",))

    for content in (pickle.dumps(Evil()), None):
        if content is None:
            torch.save({"rows": Evil()}, path)
        else:
            path.write_bytes(content)
        with pytest.raises(BankError, match="no readable noise bank"):
            load_bank(path)
    assert not (path.parent / "ran").exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_noise_that_is_not_finite_makes_no_bank(value):
    broken = noise()
    broken[1, 2, 3, 4] = value
    with pytest.raises(BankError, match="NaN or infinite"):
        make_bank(broken, epsilon=EPSILON, identities=("a", "b", "c"), form="class-wise", seed=0)


def test_noise_beyond_the_budget_makes_no_bank():
    with pytest.raises(BankError, match=r"reaches 17\.000 levels and epsilon allows 16\.000"):
        make_bank(torch.full((1, 3, 4, 4), 17 / 255), epsilon=EPSILON, identities=("a",), form="class-wise", seed=0)


def test_all_problems_of_a_bank_are_named_at_once():
    with pytest.raises(BankError) as caught:
        replace(bank(), identities=(), epsilon=7.0, form="patch")
    for words in ("0 identities name 3 rows", "epsilon 7.0", "form 'patch'"):
        assert words in str(caught.value)


def test_an_interrupted_save_leaves_the_old_bank(path, monkeypatch):
    bank().save(path)
    before = path.read_bytes()
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        bank(rows=4).save(path)
    assert path.read_bytes() == before


def test_the_original_switch_drops_negative_noise_and_cuts_off_after_the_point():
    rows = torch.tensor([-127, -60, 0, 60, 127, 12], dtype=torch.int8).repeat_interleave(3)[:12].view(1, 3, 2, 2)
    bank = NoiseBank(rows=rows, identities=("a",), epsilon=16 / 255, form="class-wise", seed=0)
    exact = bank.delta(0).movedim(0, -1).numpy() * 255
    assert (bank.levels(0, original=True) == np.floor(np.maximum(exact, 0))).all()
    assert (bank.levels(0) == np.rint(exact)).all()
