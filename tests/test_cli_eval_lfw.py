"""``faceguard eval-lfw``: every image is embedded once, absent images are counted, and SFace reaches what is known of it."""

import json
import os
import pickle
import shutil
from pathlib import Path

import pytest
from commands import fail, run, succeed, write_corrupt, write_faces

from faceguard.recognizer import OnnxRecognizer, build
from faceguard.runs import save_run
from faceguard.train import TrainSettings

KEYS = {
    "pairs",
    "impostors",
    "missing",
    "missing_images",
    "damaged_images",
    "auc",
    "eer",
    "accuracy",
    "tar_at_far",
    "ci95",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An untrained recognizer in a run folder; it still tells flat colours apart."""
    from faceguard.readers.synthetic import synthetic_faces

    folder = tmp_path_factory.mktemp("model")
    network = build("resnet-18", identities=2, size=32, width=8, seed=0)
    save_run(folder, network, synthetic_faces(2, 1, size=32, seed=0), TrainSettings(), [])
    return folder


def write_lfw(folder, *, folds=2):
    """Four people with two photos each, and a pairs.txt in which every fold has two genuine and two impostor pairs."""
    write_faces(folder / "drawn", identities=4, photos=3, size=32)
    for person in range(4):
        (folder / f"P_{person}").mkdir()
        for photo in (1, 2):
            drawn = folder / "drawn" / f"synthetic-{person:03d}" / f"{photo:02d}.png"
            drawn.rename(folder / f"P_{person}" / f"P_{person}_{photo:04d}.png")
    fold = ["P_0 1 2", "P_1 1 2", "P_0 1 P_1 1", "P_2 2 P_3 1"], ["P_2 1 2", "P_3 1 2", "P_0 2 P_3 2", "P_1 2 P_2 1"]
    lines = [line.replace(" ", "\t") for part in fold[:folds] for line in part]
    (folder / "pairs.txt").write_text("\n".join([f"{folds}\t2", *lines]) + "\n")
    return folder


def result(out):
    return json.loads((out / "lfw.json").read_text())


def test_the_result_has_exactly_the_promised_numbers(capsys, tmp_path, model):
    out = succeed(capsys, "eval-lfw", model, "--lfw", write_lfw(tmp_path / "lfw"), "--out", tmp_path / "out")
    found = result(tmp_path / "out")
    assert found.keys() == KEYS
    assert found["accuracy"].keys() == {"mean", "std"}
    assert found["tar_at_far"].keys() == {"0.01", "0.001"}
    assert found["ci95"].keys() == {"auc", "eer", "accuracy", "tar_at_far"}
    assert found["ci95"]["tar_at_far"] == {}
    assert "4 impostor pairs cannot show a FAR of 0.01 or 0.001: the TAR there is that without any false accept." in out
    assert all(low <= high for low, high in (found["ci95"][key] for key in ("auc", "eer", "accuracy")))
    assert (found["pairs"], found["missing"], found["missing_images"]) == (8, 0, [])
    assert (tmp_path / "out" / "roc.png").stat().st_size > 1000
    assert all(word in out for word in ("AUC", "EER", "accuracy", "TAR at FAR 0.01", "TAR at FAR 0.001", "8 pairs"))


def test_the_same_command_gives_the_same_bytes_and_the_seed_draws_the_intervals(capsys, tmp_path, model):
    lfw = write_lfw(tmp_path / "lfw")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        succeed(capsys, "eval-lfw", model, "--lfw", lfw, "--out", tmp_path / name, "--seed", seed)
    assert (tmp_path / "a" / "lfw.json").read_bytes() == (tmp_path / "b" / "lfw.json").read_bytes()
    assert result(tmp_path / "a")["auc"] == result(tmp_path / "c")["auc"]


def test_every_image_is_embedded_once_though_pairs_share_them(capsys, tmp_path, model, monkeypatch):
    from faceguard.recognizer import Recognizer

    shown, embed = [], Recognizer.embed

    def counting(self, pixels):
        shown.extend(pixels.sum(dim=(1, 2, 3)).tolist())
        return embed(self, pixels)

    monkeypatch.setattr(Recognizer, "embed", counting)
    succeed(capsys, "eval-lfw", model, "--lfw", write_lfw(tmp_path / "lfw"), "--out", tmp_path / "out")
    assert len(shown) == len(set(shown)) == 8


def test_absent_and_corrupt_images_take_their_pairs_out_and_are_listed(capsys, tmp_path, model):
    lfw = write_lfw(tmp_path / "lfw")
    (lfw / "P_0" / "P_0_0002.png").unlink()
    write_corrupt(lfw / "P_3" / "P_3_0001.png")
    code, out, err = run(capsys, "eval-lfw", model, "--lfw", lfw, "--out", tmp_path / "out")
    assert code == 1
    found = result(tmp_path / "out")
    assert (found["pairs"], found["missing"]) == (4, 4)
    assert found["missing_images"] == ["P_0_0002", "P_3/P_3_0001.png"]
    assert found["damaged_images"].keys() == {"P_3/P_3_0001.png"}
    assert found["damaged_images"]["P_3/P_3_0001.png"].endswith(".")
    assert err == "4 pairs left out: 2 images absent or unreadable: P_0_0002, P_3/P_3_0001.png.\n"
    assert "4 pairs" in out


def test_photos_of_few_people_leave_pairs_of_one_kind_and_the_lacking_ones_are_counted(capsys, tmp_path, model):
    lfw = write_lfw(tmp_path / "lfw")
    for person in (1, 2, 3):
        shutil.rmtree(lfw / f"P_{person}")
    said = fail(capsys, "eval-lfw", model, "--lfw", lfw, "--out", tmp_path / "out")
    assert said.startswith("7 of 8 pairs lack a readable photo, and the 1 that are left are all genuine pairs")


def test_pairs_of_one_fold_are_judged_without_ten_fold_accuracy(capsys, tmp_path, model):
    out = succeed(capsys, "eval-lfw", model, "--lfw", write_lfw(tmp_path / "lfw", folds=1), "--out", tmp_path / "out")
    assert result(tmp_path / "out").keys() == KEYS - {"accuracy"}
    assert "accuracy" not in out


def write_bin(lfw, file):
    """The pairs of a folder that ``write_lfw`` made, as insightface keeps them: two encoded photos a pair, and the truths."""
    lines = [line.split() for line in (lfw / "pairs.txt").read_text().splitlines()[1:]]
    compared = [photo for line in lines for photo in photos(" ".join(line))]
    encoded = [(lfw / name / f"{name}_{int(number):04d}.png").read_bytes() for name, number in compared]
    file.write_bytes(pickle.dumps((encoded, [len(line) == 3 for line in lines]), protocol=4))
    return file


def test_insightfaces_bin_file_gives_the_same_numbers_as_its_folder_but_for_what_needs_names(capsys, tmp_path, model):
    """A .bin names nobody, so nothing can be drawn for intervals; its eight pairs are eight of the ten folds, not two."""
    lfw = write_lfw(tmp_path / "lfw")
    file = write_bin(lfw, tmp_path / "lfw.bin")
    out = succeed(capsys, "eval-lfw", model, "--lfw", file, "--out", tmp_path / "bin")
    succeed(capsys, "eval-lfw", model, "--lfw", lfw, "--out", tmp_path / "folder")
    found, named = result(tmp_path / "bin"), result(tmp_path / "folder")
    assert found.keys() == KEYS - {"ci95"}
    for key in ("pairs", "missing", "missing_images", "auc", "eer", "tar_at_far"):
        assert found[key] == named[key], key
    assert 0 < found["auc"] <= 1
    assert 0 <= found["accuracy"]["mean"] <= 1
    assert (tmp_path / "bin" / "roc.png").stat().st_size > 1000
    assert all(word in out for word in ("AUC", "EER", "accuracy", "TAR at FAR 0.01", "8 pairs"))


def test_a_corrupt_photo_in_a_bin_file_takes_its_pairs_out_and_is_listed(capsys, tmp_path, model):
    lfw = write_lfw(tmp_path / "lfw")
    write_corrupt(lfw / "P_3" / "P_3_0001.png")
    file = write_bin(lfw, tmp_path / "lfw.bin")
    code, out, err = run(capsys, "eval-lfw", model, "--lfw", file, "--out", tmp_path / "out")
    assert code == 1
    found = result(tmp_path / "out")
    assert (found["pairs"], found["missing"]) == (6, 2)
    assert found["missing_images"] == ["lfw.bin/5"]
    assert err == "2 pairs left out: 1 image absent or unreadable: lfw.bin/5.\n"
    assert "6 pairs" in out


class Attack:
    """Makes a folder when unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_a_bin_file_that_is_none_or_that_would_run_code_is_refused(capsys, tmp_path, model):
    words = ("eval-lfw", model, "--out", tmp_path / "out", "--lfw")
    (tmp_path / "evil.bin").write_bytes(pickle.dumps(Attack(tmp_path / "pwned")))
    assert "Nothing of it was run" in fail(capsys, *words, tmp_path / "evil.bin")
    assert not (tmp_path / "pwned").exists()
    assert "bad.bin" in fail(capsys, *words, write_corrupt(tmp_path / "bad.bin"))
    assert not (tmp_path / "out" / "lfw.json").exists()


def test_pairs_may_be_named(capsys, tmp_path, model):
    lfw = write_lfw(tmp_path / "lfw")
    (lfw / "pairs.txt").rename(tmp_path / "mine.txt")
    words = ("eval-lfw", model, "--lfw", lfw, "--out", tmp_path / "out")
    assert "name the file with --pairs" in fail(capsys, *words)
    succeed(capsys, *words, "--pairs", tmp_path / "mine.txt")


def test_bad_pairs_are_refused(capsys, tmp_path, model):
    lfw = write_lfw(tmp_path / "lfw")
    words = ("eval-lfw", model, "--lfw", lfw, "--out", tmp_path / "out", "--pairs")
    (tmp_path / "cut.txt").write_text((lfw / "pairs.txt").read_text()[:40])
    assert "was cut short" in fail(capsys, *words, tmp_path / "cut.txt")
    assert "cannot be read" in fail(capsys, *words, tmp_path / "absent.txt")
    (tmp_path / "strangers.txt").write_text("1 1\nA 1 2\nA 1 B 1\n")
    assert "no pair of photos" in fail(capsys, *words, tmp_path / "strangers.txt")
    assert not (tmp_path / "out" / "lfw.json").exists()


def test_a_missing_folder_and_a_model_that_is_nothing_are_refused(capsys, tmp_path, model):
    assert "does not exist" in fail(capsys, "eval-lfw", model, "--lfw", tmp_path / "x", "--out", tmp_path)
    lfw = write_lfw(tmp_path / "lfw")
    words = ("--lfw", lfw, "--out", tmp_path / "out")
    sentence = fail(capsys, "eval-lfw", "vgface2", *words)
    assert "'vgface2' is no run folder" in sentence
    assert "vggface2, casia-webface, buffalo_l" in sentence
    assert "There is no file" in fail(capsys, "eval-lfw", tmp_path / "absent.onnx", *words)
    assert "cannot be loaded" in fail(capsys, "eval-lfw", write_corrupt(tmp_path / "bad.onnx"), *words)
    assert "holds no finished run" in fail(capsys, "eval-lfw", lfw, *words)


def some_of_two_folds(pairs, count):
    """The first ``count`` pairs of either kind in LFW's first two folds, as a pairs file of its own."""
    header, *lines = pairs.read_text().splitlines()
    assert header.split() == ["10", "300"]
    chosen = [line for start in (0, 300, 600, 900) for line in lines[start : start + count]]
    return "\n".join([f"2\t{count}", *chosen]) + "\n"


def test_sface_verifies_lfw_as_it_is_known_to(capsys, tmp_path, real_data: Path, monkeypatch):
    """Four hundred pairs of two folds; all 6,000 take minutes and are in docs/log.md."""
    shown, embed = [], OnnxRecognizer.embed
    monkeypatch.setattr(
        OnnxRecognizer, "embed", lambda self, pixels: (shown.append(len(pixels)), embed(self, pixels))[1]
    )
    (tmp_path / "pairs.txt").write_text(some_of_two_folds(real_data / "lfw" / "pairs.txt", 100))
    model, lfw = real_data / "weights" / "sface_2021dec_int8.onnx", real_data / "lfw" / "lfw-aligned-112"
    succeed(capsys, "eval-lfw", model, "--lfw", lfw, "--pairs", tmp_path / "pairs.txt", "--out", tmp_path / "out")
    found = result(tmp_path / "out")
    assert (found["pairs"], found["missing"]) == (400, 0)
    assert found["auc"] >= 0.99  # these pairs are harder than most: 0.9936, where all 6,000 give 0.9989
    assert found["accuracy"]["mean"] >= 0.985
    names = {(name, n) for line in (tmp_path / "pairs.txt").read_text().splitlines()[1:] for name, n in photos(line)}
    assert sum(shown) == len(names)


def photos(line):
    match line.split():
        case [name, one, two]:
            return [(name, one), (name, two)]
        case [name, one, other, two]:
            return [(name, one), (other, two)]
