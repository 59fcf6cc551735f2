"""Which row an identity gets: the paper's nearest class, a draw that others do not disturb, or its turn."""

import hashlib
import os
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from faceguard.assign import assign_rows, assign_to_photos, strangers
from faceguard.bank import NoiseBank, default_bank
from faceguard.errors import BankError, DataError
from faceguard.identification import centroids
from faceguard.identities import Faces
from faceguard.listing import PhotoJob
from faceguard.recognizer import build

NAMES = tuple(f"person {i}" for i in range(4))
SIZE = 16


@pytest.fixture(scope="module")
def faces():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 3)
    base = rng.integers(0, 256, (4, SIZE, SIZE, 3))
    pixels = np.clip(base[labels] + rng.integers(-5, 6, (12, SIZE, SIZE, 3)), 0, 255).astype(np.uint8)
    return Faces(pixels=pixels, labels=labels, names=NAMES, keys=tuple(map(str, range(12))))


@pytest.fixture(scope="module")
def bank(faces):
    source = build("resnet-18", identities=4, size=SIZE, width=8, seed=0).eval()
    return NoiseBank(
        rows=torch.zeros(4, 3, SIZE, SIZE, dtype=torch.int8),
        identities=NAMES,
        epsilon=16 / 255,
        form="class-wise",
        seed=0,
        source_model={"name": "resnet-18", "identities": 4, "size": SIZE, "width": 8},
        centroids=centroids(source, faces),
        source_weights=source.state_dict(),
    )


def plain_bank(rows, form="class-wise"):
    empty = torch.zeros(rows, 3, 2, 2, dtype=torch.int8)
    return NoiseBank(rows=empty, identities=tuple(map(str, range(rows))), epsilon=0.1, form=form, seed=0)


def test_round_robin_gives_every_row_in_turn_and_starts_anew_when_they_run_out():
    names = list("abcdefg")
    assert list(assign_rows(plain_bank(3), names, "round-robin", seed=0).values()) == [0, 1, 2, 0, 1, 2, 0]


@given(st.lists(st.text(min_size=1), unique=True, min_size=1), st.data(), st.integers(0, 2**40))
@settings(deadline=None)
def test_a_random_row_does_not_depend_on_who_else_is_there(names, data, seed):
    some = data.draw(st.lists(st.sampled_from(names), unique=True))
    everyone = assign_rows(plain_bank(7), names, "random", seed=seed)
    assert assign_rows(plain_bank(7), some, "random", seed=seed) == {name: everyone[name] for name in some}
    assert all(0 <= row < 7 for row in everyone.values())


def test_random_rows_use_all_rows_about_evenly_and_follow_the_seed():
    names = [f"n{i}" for i in range(2000)]
    first, second = (list(assign_rows(plain_bank(10), names, "random", seed=seed).values()) for seed in (0, 1))
    assert 140 < min(np.bincount(first, minlength=10)) <= max(np.bincount(first, minlength=10)) < 260
    assert first != second


def test_nearest_gives_the_source_identities_their_own_rows(bank, faces):
    shuffled = [NAMES[i] for i in (2, 0, 3, 1)]
    found = assign_rows(bank, shuffled, "nearest", seed=0, faces=faces)
    assert found == {name: NAMES.index(name) for name in NAMES}
    assert list(found) == shuffled


def test_nearest_ignores_what_the_new_identities_are_called(bank, faces):
    renamed = Faces(pixels=faces.pixels, labels=(faces.labels + 1) % 4, names=("a", "b", "c", "d"), keys=faces.keys)
    assert assign_rows(bank, ("a", "b", "c", "d"), "nearest", seed=0, faces=renamed) == {"a": 3, "b": 0, "c": 1, "d": 2}


def test_two_identities_may_share_their_nearest_row(bank, faces):
    twins = Faces(pixels=faces.pixels[:2], labels=np.array([0, 1]), names=("twin a", "twin b"), keys=("a", "b"))
    assert assign_rows(bank, twins.names, "nearest", seed=0, faces=twins) == {"twin a": 0, "twin b": 0}


def test_a_sample_wise_bank_is_refused():
    for how in ("nearest", "random", "round-robin"):
        with pytest.raises(BankError, match="sample-wise bank holds noise for single photos"):
            assign_rows(plain_bank(3, "sample-wise"), ["a"], how, seed=0)


def test_nearest_without_faces_without_centroids_or_without_the_identity_says_what_to_do(bank, faces):
    with pytest.raises(BankError, match=r"needs faces to compare.*--assign random"):
        assign_rows(bank, NAMES, "nearest", seed=0)
    with pytest.raises(BankError, match="a bank that carries centroids"):
        assign_rows(plain_bank(3), NAMES, "nearest", seed=0, faces=faces)
    with pytest.raises(DataError, match="No faces of stranger here"):
        assign_rows(bank, ["stranger"], "nearest", seed=0, faces=faces)


def test_an_unknown_way_is_named():
    with pytest.raises(BankError, match="'alphabetical' is unknown; use nearest, random or round-robin"):
        assign_rows(plain_bank(3), ["a"], "alphabetical", seed=0)


def jobs_of(*names):
    return [PhotoJob(source=Path(name), relative=Path(name), identity=name) for name in names]


def test_a_bank_of_ones_own_gives_whoever_it_names_their_row_when_rows_are_drawn():
    bank, jobs = plain_bank(40), jobs_of("7", "anna", "39", "7 ", "")
    rows = [assign_to_photos(bank, jobs, "random", seed=seed, named=True) for seed in range(3)]
    assert all((row["7"], row["39"]) == (7, 39) for row in rows)
    drawn = [assign_to_photos(bank, jobs, "random", seed=seed) for seed in range(3)]
    assert all(row[name] == one[name] for row, one in zip(rows, drawn, strict=True) for name in ("anna", "7 ", ""))
    assert len({row["anna"] for row in rows}) > 1


def test_a_name_of_the_shipped_banks_gives_no_row_that_anybody_could_foresee():
    jobs = jobs_of(*default_bank().identities)
    drawn = assign_to_photos(default_bank(), jobs, "random", seed=0)
    assert drawn == assign_rows(default_bank(), [job.identity for job in jobs], "random", seed=0)
    in_turn = assign_to_photos(plain_bank(3), jobs_of("1", "0"), "round-robin", seed=0, named=True)
    assert in_turn == {"0": 0, "1": 1}


def test_a_folder_name_that_is_no_valid_text_gets_a_row_by_its_bytes():
    name = os.fsdecode(b"\xe9ric")
    expected = int.from_bytes(hashlib.sha256(b"5/row/\xe9ric").digest()[:8], "big") >> 1
    assert assign_rows(plain_bank(7), [name], "random", seed=5) == {name: expected % 7}
    valid = int.from_bytes(hashlib.sha256("5/row/\u00e9ric".encode()).digest()[:8], "big") >> 1
    assert assign_rows(plain_bank(7), ["\u00e9ric"], "random", seed=5) == {"\u00e9ric": valid % 7}


@pytest.mark.parametrize("name", ["Jos\u00e9", "Zo\u00eb"])
def test_a_name_has_one_row_in_either_unicode_form(name):
    """A keyboard writes an accent composed, some file systems keep it apart."""
    apart = unicodedata.normalize("NFD", name)
    bank = replace(plain_bank(40), identities=(*map(str, range(39)), apart))
    assert apart != name and strangers(bank, jobs_of(name, apart, "anna")) == ["anna"]
    assert set(assign_to_photos(bank, jobs_of(name, apart), "random", seed=0, named=True).values()) == {39}
    assert len({row for one in (name, apart) for row in assign_rows(bank, [one], "random", seed=0).values()}) == 1
