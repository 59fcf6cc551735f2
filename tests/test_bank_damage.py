"""Noise banks that are damaged, altered or fit nothing: none goes unnoticed, and nothing in them is executed."""

import json
import pickle
import struct
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save

import faceguard.bank
from faceguard.bank import load_bank, make_bank
from faceguard.errors import BankError, DataError
from tests.small import EPSILON, tiny_bank, tiny_noise


@pytest.fixture
def path(tmp_path):
    return tmp_path / "noise.safetensors"


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


def test_a_path_that_cannot_be_looked_at_is_a_sentence(path):
    with pytest.raises(BankError, match=r"is no readable noise bank \(.*File name too long"):
        load_bank(path.with_name("n" * 300))


def test_a_full_disk_is_a_sentence_and_leaves_no_half_bank(path, full_disk):
    with full_disk(), pytest.raises(DataError, match=r"noise\.safetensors cannot be written \(File too large\)"):
        tiny_bank().save(path)
    assert not list(path.parent.iterdir())


@pytest.mark.parametrize("kept", [0, 4, 100, 0.5, -1])
def test_a_truncated_file_is_named(path, kept):
    tiny_bank().save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    with pytest.raises(BankError, match=r"noise\.safetensors is no readable noise bank"):
        load_bank(path)


def test_a_flipped_byte_anywhere_is_noticed(path):
    """Header and tensors alike: an epsilon or a name is as well guarded as the rows."""
    tiny_bank().save(path)
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
        ({"metadata": {"cells": 9}}, "9 cells a side cannot make a row of 8 pixels"),
        ({"metadata": {"cells": "4"}}, "'4' cells a side cannot"),
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
    tiny_bank().save(path)
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
        protect_faces(faces, tiny_bank(), {"a": 0})


def test_a_checksum_that_does_not_match_is_an_altered_bank(path):
    tiny_bank().save(path)
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
    broken = tiny_noise()
    broken[1, 2, 3, 4] = value
    with pytest.raises(BankError, match="NaN or infinite"):
        make_bank(broken, epsilon=EPSILON, identities=("a", "b", "c"), form="class-wise", seed=0)


@pytest.mark.parametrize("sign", [1, -1])
def test_noise_beyond_the_budget_makes_no_bank(sign):
    with pytest.raises(BankError, match=r"reaches 17\.000 levels and epsilon allows 16\.000"):
        make_bank(
            torch.full((1, 3, 4, 4), sign * 17 / 255), epsilon=EPSILON, identities=("a",), form="class-wise", seed=0
        )


def test_all_problems_of_a_bank_are_named_at_once():
    with pytest.raises(BankError) as caught:
        replace(tiny_bank(), identities=(), epsilon=7.0, form="patch")
    for words in ("0 identities name 3 rows", "epsilon 7.0", "form 'patch'"):
        assert words in str(caught.value)


def test_an_interrupted_save_leaves_the_old_bank(path, monkeypatch):
    tiny_bank().save(path)
    before = path.read_bytes()
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        tiny_bank(rows=4).save(path)
    assert path.read_bytes() == before
