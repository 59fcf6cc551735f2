"""Which row of a bank ``faceguard protect`` gives to whom: drawn, nearest, by name, and what it says of the people."""

import os

import pytest
from commands import coarse_bank, run, succeed, write_corrupt, write_faces
from PIL import Image
from protecting import bank, manifest, people, portrait, rows  # noqa: F401

from faceguard.bank import default_bank
from faceguard.device import derive_seed, make_fabric
from faceguard.generate import SourceModel, learn_bank
from faceguard.noise import NoiseSettings
from faceguard.readers.synthetic import synthetic_faces


def test_an_identity_may_be_named_and_keeps_its_row_in_other_folders(capsys, tmp_path, people, bank):
    succeed(capsys, "protect", people / "synthetic-000", tmp_path / "a", "--noise", bank, "--identity", "anna")
    succeed(capsys, "protect", people, tmp_path / "b", "--noise", bank, "--identity", "anna")
    assert rows(tmp_path / "a") == rows(tmp_path / "b")
    assert list(rows(tmp_path / "a")) == ["anna"]


def test_the_seed_changes_who_gets_which_row_and_the_same_seed_does_not(capsys, tmp_path, bank):
    faces = write_faces(tmp_path / "faces", identities=12, photos=1, size=112)
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        succeed(capsys, "protect", faces, tmp_path / name, "--noise", bank, "--seed", seed)
    assert rows(tmp_path / "a") == rows(tmp_path / "b") != rows(tmp_path / "c")


@pytest.fixture(scope="module")
def learnt(tmp_path_factory):
    """A bank with a source model that knows three synthetic identities."""
    settings = NoiseSettings(train_steps=20, batch_size=12, stop_error=0.3, learning_rate=0.1)
    faces = synthetic_faces(3, 6, size=32, seed=0)
    bank = learn_bank(make_fabric(device="cpu"), faces, settings, source_model=SourceModel(width=8), seed=0)
    path = tmp_path_factory.mktemp("learnt") / "b.safetensors"
    bank.save(path)
    return path


@pytest.mark.parametrize("layout", ["folders", "folder", "file", "named"])
def test_nearest_works_for_a_photo_a_folder_and_a_folder_per_identity(capsys, tmp_path, people, learnt, layout):
    photos = {"folder": people / "synthetic-001", "file": people / "synthetic-001" / "00.png"}.get(layout, people)
    name = ("--identity", "anna") if layout == "named" else ()
    run(capsys, "protect", photos, tmp_path, "--noise", learnt, "--assign", "nearest", *name)
    expected = {"folders": {f"synthetic-{i:03d}" for i in range(3)}, "named": {"anna"}}
    assert rows(tmp_path).keys() == expected.get(layout, {"synthetic-001"})


def test_nearest_goes_on_past_a_person_whose_photo_cannot_be_read(capsys, tmp_path, learnt):
    faces = write_faces(tmp_path / "faces", identities=2, photos=2, size=32)
    write_corrupt(faces / "zoe" / "bad.jpg")
    code, out, err = run(capsys, "protect", faces, tmp_path / "out", "--noise", learnt, "--assign", "nearest")
    assert code == 1
    assert "4 of 5 photos protected" in out
    assert err.startswith("not protected: zoe/bad.jpg: ")
    assert rows(tmp_path / "out").items() >= {"synthetic-000": 0, "synthetic-001": 1}.items()


def test_albums_of_one_person_are_said_to_be_people_unless_they_are_named(capsys, tmp_path, bank):
    faces = write_faces(tmp_path / "eileen", identities=7, photos=1)
    for i in range(2):
        (faces / f"synthetic-00{i}").rename(faces / f"{2019 + i}")
    out = succeed(capsys, "protect", faces, tmp_path / "all", "--noise", bank)
    named = "2019, 2020, synthetic-002, synthetic-003, synthetic-004 and 2 more"
    assert f"7 photos of 7 people ({named}); --identity NAME makes them one." in out
    out = succeed(capsys, "protect", faces, tmp_path / "one", "--noise", bank, "--identity", "eileen")
    assert "makes them one" not in out
    assert "Taken for photos of eileen: give every later one the same --identity, and it gets the same row.\n" in out
    out = succeed(capsys, "protect", faces / "2019", tmp_path / "album", "--noise", bank)
    assert "Taken for photos of 2019: " in out


def test_nobody_is_said_to_have_a_row_when_nothing_was_protected(capsys, tmp_path, bank):
    write_corrupt(tmp_path / "eileen" / "bad.jpg")
    code, out, _ = run(capsys, "protect", tmp_path / "eileen", tmp_path / "out", "--noise", bank)
    assert (code, "0 of 1 photos protected" in out, "Taken for photos of" in out) == (1, True, False)


def test_a_folder_name_that_is_no_valid_text_is_protected_like_any_other(capsys, tmp_path, bank):
    faces = write_faces(tmp_path / "faces", identities=2, photos=1)
    (faces / "synthetic-000").rename(faces / os.fsdecode(b"\xe9ric"))
    out = succeed(capsys, "protect", faces, tmp_path / "out", "--noise", bank)
    assert "2 of 2 photos protected" in out
    assert "(synthetic-001, \\udce9ric)" in out


def test_nearest_opens_nothing_that_protect_would_not(capsys, tmp_path, learnt):
    faces = write_faces(tmp_path / "faces", identities=2, photos=1, size=32)
    outside = write_faces(tmp_path / "outside", identities=3, photos=1, size=32) / "synthetic-002" / "00.png"
    (faces / "ben").mkdir()
    (faces / "ben" / "link.png").symlink_to(outside)
    os.mkfifo(faces / "ben" / "pipe.png")
    code, _, err = run(
        capsys, "protect", faces, tmp_path / "out", "--noise", learnt, "--assign", "nearest", "--seed", 3
    )
    assert (code, err.count("not protected: ben/")) == (1, 2)
    assert rows(tmp_path / "out") == {"ben": derive_seed(3, "row", "ben") % 3, "synthetic-000": 0, "synthetic-001": 1}
    assert rows(tmp_path / "out")["ben"] != 2  # the row of the person that the link leads to


def test_nearest_draws_rows_when_no_photo_shows_a_face(capsys, tmp_path, learnt):
    (tmp_path / "anna").mkdir()
    Image.new("RGB", (200, 150), (80, 120, 160)).save(tmp_path / "anna" / "sky.png")
    words = ("--noise", learnt, "--assign", "nearest")
    code, out, err = run(capsys, "protect", tmp_path / "anna", tmp_path / "out", *words)
    assert (code, "0 of 1 photos protected" in out) == (1, True)
    assert "No face was found. Nothing was written for sky.png" in err


def test_without_a_seed_the_row_follows_from_a_secret_of_the_users_own(capsys, tmp_path, monkeypatch):
    faces = write_faces(tmp_path / "faces", identities=12, photos=1, size=112)
    coarse_bank(rows=50).save(tmp_path / "b")
    for name, config in (("first", "mine"), ("again", "mine"), ("other", "yours")):
        monkeypatch.setenv("FACEGUARD_CONFIG", str(tmp_path / config))
        out = succeed(capsys, "protect", faces, tmp_path / name, "--noise", tmp_path / "b")
        said = f"{tmp_path / config / 'secret'} is new: your secret, which says what rows your photos get. Keep it"
        assert (said in out) == (name != "again")
    assert rows(tmp_path / "first") == rows(tmp_path / "again") != rows(tmp_path / "other")


def test_a_bank_of_ones_own_says_whom_it_does_not_know_and_whom_it_does(capsys, tmp_path, people, bank):
    words = ("--noise", bank)
    out = succeed(capsys, "protect", people, tmp_path / "a", *words)
    unknown = "synthetic-000, synthetic-001, synthetic-002"
    said = (
        f"{bank} has no row of its own for {unknown}, so one of its rows was drawn; it has rows for row 2, row 1, row 0"
    )
    assert out.count(f"{said}, and --identity NAME takes that person's.") == 1
    out = succeed(capsys, "protect", people, tmp_path / "b", *words, "--identity", "row 1")
    assert "no row of its own" not in out and rows(tmp_path / "b") == {"row 1": 1}
    assert "no row of its own" not in succeed(
        capsys, "protect", people, tmp_path / "c", *words, "--assign", "round-robin"
    )
    assert "no row of its own" not in succeed(capsys, "protect", people, tmp_path / "d")


def test_the_bank_that_ships_gives_no_row_by_name(capsys, tmp_path):
    shipped = default_bank()
    photo = portrait(tmp_path / shipped.identities[0] / "me.jpg")
    for seed in range(2):
        succeed(capsys, "protect", photo, tmp_path / f"{seed}", "--seed", seed)
    assert rows(tmp_path / "0") != rows(tmp_path / "1")
