"""``faceguard train``: a run folder, resumable, tested on photos that were held out."""

import json
from typing import get_args

import pytest
import torch
from commands import ON_CPU, fail, interrupt_after, mistype, run, succeed, train_once, write_corrupt, write_faces

import faceguard.runs
import faceguard.train
from faceguard.cli import Model
from faceguard.errors import DataError
from faceguard.recognizer import MODELS
from faceguard.runs import load_run, train_run

TINY = ("--model", "resnet-18", "--size", 32, "--epochs", 2, *ON_CPU)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Three identities with ten photos each: two of every identity are held out."""
    return write_faces(tmp_path_factory.mktemp("faces"), photos=10, size=32)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, faces):
    return train_once(faces, tmp_path_factory.mktemp("run"), *TINY)


def about(folder):
    return json.loads((folder / "run.json").read_text())


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_run_folder_holds_weights_curve_and_provenance(trained, faces):
    assert files(trained) == ["learning-curves.png", "model.safetensors", "run.json"]
    content = about(trained)
    assert content["model"] == {"name": "resnet-18", "size": 32, "width": 64}
    assert content["identities"] == ["synthetic-000", "synthetic-001", "synthetic-002"]
    assert [epoch["number"] for epoch in content["curve"]] == [1, 2]
    assert content["settings"]["epochs"] == 2
    assert load_run(trained).model.size == 32


def test_a_fifth_of_every_identitys_photos_is_held_out(trained, faces):
    photos = about(trained)["trained_on"]
    assert len(photos) == len(set(photos)) == 24
    for name in about(trained)["identities"]:
        assert sum(photo.startswith(f"{name}/") for photo in photos) == 8
    assert set(photos) < {f"{path.parent.name}/{path.stem}" for path in faces.rglob("*.png")}


@pytest.mark.parametrize("share", [0, 0.2])
def test_the_accuracy_is_said_to_be_of_the_folder_itself_and_not_what_noise_did(capsys, tmp_path, faces, share):
    out = succeed(capsys, "train", faces, "--out", tmp_path, "--hold-out", share, *TINY)
    last = out[out.index(f"{tmp_path}: loss") :]
    assert (", held out of this folder " in last) == ("eval-identities on clean photos" in last) == bool(share)
    assert ", all " not in out


def test_nothing_is_held_out_when_asked(capsys, tmp_path, faces):
    succeed(capsys, "train", faces, "--out", tmp_path, "--hold-out", 0, *TINY)
    assert len(about(tmp_path)["trained_on"]) == 30
    assert "learning-curves.png" not in files(tmp_path)


def test_an_interrupted_training_goes_on_and_ends_with_the_same_weights(capsys, tmp_path, faces, trained, monkeypatch):
    words = ("train", faces, "--out", tmp_path / "run", *TINY)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 1)
        code, _, _ = run(capsys, *words)
        assert code not in (0, 2)
    assert files(tmp_path / "run") == ["checkpoint.pt"]
    words_elsewhere = ("eval-identities", tmp_path / "run", faces, "--out", tmp_path / "result")
    assert "repeat the same command to resume it" in fail(capsys, *words_elsewhere)
    assert "2/2" in succeed(capsys, *words)
    for name in ("model.safetensors", "run.json"):
        assert (tmp_path / "run" / name).read_bytes() == (trained / name).read_bytes()
    assert "checkpoint.pt" not in files(tmp_path / "run")


def test_a_checkpoint_of_other_settings_is_refused_and_kept(capsys, tmp_path, faces, monkeypatch):
    words = ("train", faces, "--out", tmp_path, *TINY)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 1)
        run(capsys, *words)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    assert "choose another --out or delete it" in fail(capsys, *words, "--seed", 1)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


@pytest.mark.parametrize("rate", [0, -0.05, "nan", "inf"])
def test_an_impossible_learning_rate_is_mistyped_and_nothing_is_made(capsys, tmp_path, faces, rate):
    said = mistype(capsys, "train", faces, "--out", tmp_path / "run", "--learning-rate", rate, *TINY)
    said = " ".join(said.replace("│", " ").split())
    assert f"--learning-rate is a number above 0, and not {rate}; 0.05 is usual." in said
    assert not (tmp_path / "run").exists()


def test_a_loss_that_diverges_is_a_sentence_and_leaves_no_finished_run(capsys, tmp_path, faces):
    sentence = fail(capsys, "train", faces, "--out", tmp_path, "--learning-rate", 1e12, *TINY)
    assert "lower the learning rate" in sentence
    assert "run.json" not in files(tmp_path)


def test_a_loss_that_diverges_later_leaves_the_last_good_epoch(capsys, tmp_path, faces, monkeypatch):
    step, count = faceguard.train.optimizer_step, iter(range(100))

    def later_broken(*arguments):
        loss, logits = step(*arguments)
        return (loss if next(count) == 0 else loss * torch.nan), logits

    monkeypatch.setattr(faceguard.train, "optimizer_step", later_broken)
    assert "in epoch 2" in fail(capsys, "train", faces, "--out", tmp_path, *TINY)
    assert len(torch.load(tmp_path / "checkpoint.pt", weights_only=True)["history"]) == 1


def test_an_identity_with_one_photo_is_named(capsys, tmp_path):
    faces = write_faces(tmp_path / "faces", identities=2, photos=2, size=32)
    (faces / "synthetic-001" / "01.png").unlink()
    sentence = fail(capsys, "train", faces, "--out", tmp_path / "run", *TINY)
    assert "fewer than two photos (synthetic-001)" in sentence
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("hold_out", [0, 0.2])
def test_a_single_identity_is_refused_as_there_is_nobody_to_tell_it_from(capsys, tmp_path, hold_out):
    faces = write_faces(tmp_path / "faces", identities=1, photos=4, size=32)
    sentence = fail(capsys, "train", faces, "--out", tmp_path / "run", "--hold-out", hold_out, *TINY)
    assert sentence.startswith("synthetic-000 is the only identity") and sentence.endswith("name it instead.")
    assert not (tmp_path / "run").exists()


def test_a_corrupt_photo_is_left_out_and_listed_and_the_run_is_complete(capsys, tmp_path):
    faces = write_faces(tmp_path / "faces", identities=2, photos=5, size=32)
    write_corrupt(faces / "synthetic-000" / "bad.jpg")
    code, _, err = run(capsys, "train", faces, "--out", tmp_path / "run", *TINY)
    assert code == 1
    assert err.startswith("left out: synthetic-000/bad.jpg: ")
    assert len(about(tmp_path / "run")["trained_on"]) == 8


def test_a_model_that_needs_larger_faces_says_so_before_it_reads_any(capsys, tmp_path, faces, monkeypatch):
    monkeypatch.setattr(faceguard.runs, "load_faces", lambda *_, **__: pytest.fail("the photos were read"))
    words = ("--model", "inception-resnet-v1", "--size", 64, *ON_CPU)
    assert "at least 80 px, not 64; raise --size" in fail(capsys, "train", faces, "--out", tmp_path, *words)


def test_two_processes_train_one_run(capfd, tmp_path, faces, monkeypatch):
    """Both processes start Python anew, which is why this takes long; one decodes, and both map the file."""
    monkeypatch.setenv("FACEGUARD_CACHE", str(tmp_path / "cache"))
    code, out, err = run(capfd, "train", faces, "--out", tmp_path, "--devices", 2, *TINY)
    assert code == 0, err
    assert "epoch 2: loss" in out and len(list(tmp_path.glob("cache/*/pixels.npy"))) == 1
    assert len(about(tmp_path)["curve"]) == 2
    assert load_run(tmp_path).identities == ("synthetic-000", "synthetic-001", "synthetic-002")


def fail_in_two_processes(capfd, *words):
    """Run a training in two processes that must exit with 1 and one sentence, among what the launcher says of itself."""
    code, _, err = run(capfd, "train", *words, "--devices", 2, *TINY)
    assert code == 1
    assert "Traceback" not in err
    (sentence,) = [line for line in err.splitlines() if line.startswith("Error: ")]
    assert err.rstrip().endswith(sentence)
    return sentence


def test_a_loss_that_diverges_in_two_processes_is_one_sentence(capfd, tmp_path, faces):
    sentence = fail_in_two_processes(capfd, faces, "--out", tmp_path, "--learning-rate", 1e12)
    assert "lower the learning rate" in sentence
    assert "run.json" not in files(tmp_path)


def train_run_that_fails_in_the_second_process(fabric, training, *, progress=None):
    if fabric.global_rank == 1:
        raise DataError("The second process found no faces; give it some.")
    return train_run(fabric, training, progress=progress)


def test_what_the_second_process_alone_fails_of_is_one_sentence(capfd, tmp_path, faces, monkeypatch):
    monkeypatch.setattr(faceguard.runs, "train_run", train_run_that_fails_in_the_second_process)
    sentence = fail_in_two_processes(capfd, faces, "--out", tmp_path)
    assert sentence == "Error: The second process found no faces; give it some."
    assert set(files(tmp_path)) <= {"checkpoint.pt.lock"}  # of the first, which is ended wherever it is


def test_a_mobilefacenet_can_be_trained(faces, tmp_path, capsys):
    words = ("--model", "mobilefacenet", "--size", 32, "--epochs", 1, *ON_CPU)
    succeed(capsys, "train", faces, "--out", tmp_path / "run", *words)
    assert load_run(tmp_path / "run").model.name == "mobilefacenet"


def test_every_model_can_be_named_on_the_command_line():
    assert get_args(Model) == MODELS
