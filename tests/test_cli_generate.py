"""``faceguard generate``: a bank for the folder at hand, resumable, and nothing lost by bad input."""

import json

import numpy as np
import pytest
from commands import ON_CPU, fail, interrupt_after, mistype, quick_noise, run, succeed, write_corrupt, write_faces

import faceguard.generate
from faceguard.bank import default_bank, load_bank
from faceguard.checkpoint import reserved
from faceguard.generate import face_noise as real_face_noise
from faceguard.manifest import MANIFEST
from faceguard.noise import NoiseSettings
from faceguard.publication import Publication


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(faceguard.generate, "face_noise", quick_noise)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    return write_faces(tmp_path_factory.mktemp("faces"))


def endless(**given):
    """Settings that never stop early: a stop error that one step a round does not reach."""
    del given["publication"], given["gray"]
    return NoiseSettings(**given | {"train_steps": 1, "batch_size": 12, "stop_error": 1e-9, "step_size": 1 / 255})


def test_a_bank_gets_a_row_for_every_identity(capsys, tmp_path, faces):
    out = succeed(capsys, "generate", faces, "--out", tmp_path / "new" / "b.safetensors", *ON_CPU)
    bank = load_bank(tmp_path / "new" / "b.safetensors")
    assert bank.identities == ("synthetic-000", "synthetic-001", "synthetic-002")
    assert (bank.size, bank.form, bank.seed) == (112, "class-wise", 0)
    assert f"{tmp_path / 'new' / 'b.safetensors'}: 3 rows of 112 px at epsilon 16/255." in out
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["b.safetensors"]


def test_the_same_command_gives_the_same_bytes_and_another_seed_others(capsys, tmp_path, faces):
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        succeed(capsys, "generate", faces, "--out", tmp_path / f"{name}.safetensors", "--seed", seed, *ON_CPU)
    assert (
        (tmp_path / "a.safetensors").read_bytes()
        == (tmp_path / "b.safetensors").read_bytes()
        != (tmp_path / "c.safetensors").read_bytes()
    )


def test_noise_survives_publication_unless_the_papers_own_is_asked_for(capsys, tmp_path, faces):
    succeed(capsys, "generate", faces, "--out", tmp_path / "coarse.safetensors", *ON_CPU)
    succeed(capsys, "generate", faces, "--out", tmp_path / "fine.safetensors", "--no-publication", *ON_CPU)
    coarse, fine = load_bank(tmp_path / "coarse.safetensors"), load_bank(tmp_path / "fine.safetensors")
    assert (coarse.cells, fine.cells) == (28, None)
    assert coarse.rows.float().diff(dim=-1).abs().mean() < 0.5 * fine.rows.float().diff(dim=-1).abs().mean()


def test_a_share_of_gray_pictures_changes_the_noise_and_needs_publication(capsys, tmp_path, faces):
    for name, words in (("colour", ()), ("gray", ("--gray", 1))):
        succeed(capsys, "generate", faces, "--out", tmp_path / f"{name}.safetensors", *words, *ON_CPU)
    assert (tmp_path / "colour.safetensors").read_bytes() != (tmp_path / "gray.safetensors").read_bytes()
    words = ("generate", faces, "--out", tmp_path / "none.safetensors", "--gray", 0.5, "--no-publication", *ON_CPU)
    assert "--gray changes noise that survives publication" in mistype(capsys, *words)
    assert not (tmp_path / "none.safetensors").exists()


def test_the_settings_for_faces_hold_the_share_of_gray_pictures():
    assert real_face_noise(publication=True, gray=0.5).publication == Publication(gray=0.5)
    assert real_face_noise(publication=True).publication == Publication()
    assert real_face_noise(gray=0.5).publication is None


def test_epsilon_is_given_in_levels_and_used_to_the_full(capsys, tmp_path, faces):
    succeed(capsys, "generate", faces, "--out", tmp_path / "b.safetensors", "--epsilon", 8, *ON_CPU)
    bank = load_bank(tmp_path / "b.safetensors")
    assert bank.epsilon == 8 / 255
    assert np.abs(bank.levels(list(range(3)))).max() == 8


def test_sample_wise_noise_has_a_row_for_every_photo(capsys, tmp_path, faces):
    succeed(capsys, "generate", faces, "--out", tmp_path / "b.safetensors", "--form", "sample-wise", *ON_CPU)
    bank = load_bank(tmp_path / "b.safetensors")
    assert bank.form == "sample-wise"
    assert bank.identities[:2] == ("synthetic-000/00.png", "synthetic-000/01.png")
    assert len(bank) == 12


def test_own_identities_are_learnt_together_with_the_others(capsys, tmp_path, faces):
    mine = write_faces(tmp_path / "mine", identities=1, seed=9)
    (mine / "synthetic-000").rename(mine / "me")
    succeed(capsys, "generate", faces, "--with", mine, "--out", tmp_path / "b.safetensors", *ON_CPU)
    assert load_bank(tmp_path / "b.safetensors").identities == ("synthetic-000", "synthetic-001", "synthetic-002", "me")


def test_who_is_learnt_along_takes_the_row_learnt_for_them_and_others_draw_one(capsys, tmp_path, faces):
    mine = write_faces(tmp_path / "mine", identities=1, seed=9)
    (mine / "synthetic-000").rename(mine / "me")
    succeed(capsys, "generate", faces, "--with", mine, "--out", tmp_path / "b.safetensors", *ON_CPU)
    write_faces(mine, identities=6, photos=1, seed=10)
    for seed in range(5):
        succeed(capsys, "protect", mine, tmp_path / f"{seed}", "--noise", tmp_path / "b.safetensors", "--seed", seed)
    lines = [
        json.loads(line) for seed in range(5) for line in (tmp_path / f"{seed}" / MANIFEST).read_text().splitlines()
    ]
    assert {line["row"] for line in lines if line["identity"] == "me"} == {3}
    assert {line["row"] for line in lines if line["identity"] == "synthetic-001"} == {1}
    assert len({line["row"] for line in lines if line["identity"] == "synthetic-005"}) > 1


def test_one_identity_alone_is_refused_because_there_is_nothing_to_tell_it_from(capsys, tmp_path):
    mine = write_faces(tmp_path / "mine", identities=1)
    sentence = fail(capsys, "generate", mine, "--out", tmp_path / "b.safetensors", *ON_CPU)
    assert "synthetic-000" in sentence
    assert "--with" in sentence
    assert not (tmp_path / "b.safetensors").exists()


def test_an_identity_with_one_photo_takes_part(capsys, tmp_path):
    faces = write_faces(tmp_path / "faces", identities=2)
    for photo in sorted((faces / "synthetic-000").iterdir())[1:]:
        photo.unlink()
    succeed(capsys, "generate", faces, "--out", tmp_path / "b.safetensors", *ON_CPU)
    assert len(load_bank(tmp_path / "b.safetensors")) == 2


def test_an_interrupted_generation_goes_on_and_ends_with_the_same_bytes(capsys, tmp_path, faces, monkeypatch):
    monkeypatch.setattr("faceguard.noise.source_error", lambda run: 0.0 if run.rounds == 2 else 0.5)
    words = ("generate", faces, *ON_CPU, "--out")
    monkeypatch.setattr(faceguard.generate, "face_noise", endless)
    succeed(capsys, *words, tmp_path / "undisturbed.safetensors")
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        code, _, _ = run(capsys, *words, tmp_path / "b.safetensors")
        assert code not in (0, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.safetensors.partial", "undisturbed.safetensors"]
    succeed(capsys, *words, tmp_path / "b.safetensors")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.safetensors", "undisturbed.safetensors"]
    assert (tmp_path / "b.safetensors").read_bytes() == (tmp_path / "undisturbed.safetensors").read_bytes()


def test_a_checkpoint_of_another_command_is_refused_and_kept(capsys, tmp_path, faces, monkeypatch):
    monkeypatch.setattr(faceguard.generate, "face_noise", endless)
    words = ("generate", faces, "--out", tmp_path / "b.safetensors", *ON_CPU)
    assert "stop error" in fail(capsys, *words, "--max-rounds", 1)
    before = (tmp_path / "b.safetensors.partial").read_bytes()
    assert "b.safetensors.partial was left by a run with other settings" in fail(capsys, *words, "--seed", 1)
    assert (tmp_path / "b.safetensors.partial").read_bytes() == before


def test_a_second_generation_of_the_same_bank_is_refused(capsys, tmp_path, faces):
    with reserved(tmp_path / "b.safetensors.partial"):
        assert "Another process works on" in fail(
            capsys, "generate", faces, "--out", tmp_path / "b.safetensors", *ON_CPU
        )
    assert not list(tmp_path.iterdir())


def test_after_too_few_rounds_more_may_be_allowed_and_the_same_noise_goes_on(capsys, tmp_path, faces, monkeypatch):
    monkeypatch.setattr(faceguard.generate, "face_noise", endless)
    words = ("generate", faces, "--out", tmp_path / "b.safetensors", *ON_CPU)
    assert "allow more rounds" in fail(capsys, *words, "--max-rounds", 1)
    assert not (tmp_path / "b.safetensors").exists()
    monkeypatch.setattr("faceguard.noise.source_error", lambda _: 0.0)
    assert "2/2" in succeed(capsys, *words, "--max-rounds", 2)


def test_a_corrupt_photo_is_left_out_and_listed_and_the_bank_is_written(capsys, tmp_path):
    faces = write_faces(tmp_path / "faces", identities=2)
    write_corrupt(faces / "synthetic-001" / "bad.jpg")
    code, out, err = run(capsys, "generate", faces, "--out", tmp_path / "b.safetensors", *ON_CPU)
    assert code == 1
    assert err.startswith("left out: synthetic-001/bad.jpg: ")
    assert "2 rows" in out
    assert len(load_bank(tmp_path / "b.safetensors")) == 2


@pytest.mark.parametrize("epsilon", [0, -3, 0.06, 256, 300, "nan", "inf"])
def test_an_impossible_epsilon_is_refused_in_the_options_own_unit(capsys, tmp_path, faces, monkeypatch, epsilon):
    monkeypatch.setenv("COLUMNS", "200")
    said = mistype(
        capsys, "generate", faces, "--out", tmp_path / "new" / "b.safetensors", "--epsilon", epsilon, *ON_CPU
    )
    assert f"--epsilon is in levels of 255, 1 to 255, and not {epsilon}." in said
    assert not list(tmp_path.iterdir())


def test_an_existing_bank_is_refused_and_untouched(capsys, tmp_path, faces):
    (tmp_path / "b.safetensors").write_text("mine")
    assert "already exists" in fail(capsys, "generate", faces, "--out", tmp_path / "b.safetensors", *ON_CPU)
    assert (tmp_path / "b.safetensors").read_text() == "mine"


def test_the_help_says_whom_noise_for_single_photos_is_for(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert "for trainings and recipes: protect refuses it" in succeed(capsys, "generate", "--help")


def test_the_help_says_what_epsilon_the_bank_that_ships_has(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert f"1 to 255 levels; what ships has {default_bank().epsilon * 255:g}." in succeed(capsys, "generate", "--help")


@pytest.mark.parametrize("name", ["mine", "mine.pt", "my.noise", "mine.png"])
def test_a_bank_of_another_ending_is_refused_before_any_photo_is_read(capsys, tmp_path, faces, monkeypatch, name):
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setattr("faceguard.terminal.read_faces", lambda *_: pytest.fail("photos were read"))
    said = mistype(capsys, "generate", faces, "--out", tmp_path / "new" / name, *ON_CPU)
    assert f"A noise bank is a .safetensors file; write --out {tmp_path / 'new' / name}.safetensors." in said
    assert not list(tmp_path.iterdir())
