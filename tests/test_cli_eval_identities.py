"""``faceguard eval-identities``: a run is judged on the photos that it was not trained on, wherever they lie."""

import json

import pytest
from commands import ON_CPU, coarse_bank, fail, run, succeed, train_once, write_corrupt, write_faces

from faceguard.decode import load_faces

TINY = ("--model", "resnet-18", "--size", 32, "--epochs", 1, *ON_CPU)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Three identities with ten photos each: two of every identity are held out."""
    return write_faces(tmp_path_factory.mktemp("faces"), photos=10, size=32)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, faces):
    return train_once(faces, tmp_path_factory.mktemp("run"), *TINY)


def test_held_out_photos_are_judged_and_those_trained_on_are_left_out(capsys, tmp_path, faces, trained):
    out = succeed(capsys, "eval-identities", trained, faces, "--out", tmp_path)
    group = json.loads((tmp_path / "identities.json").read_text())["groups"]["all"]
    assert (group["photos"], group["identities"], group["pairs"]) == (6, 3, 15)
    assert 0 <= group["rank1"] <= 1
    assert 0 <= group["auc"] <= 1
    assert (tmp_path / "roc.png").stat().st_size > 1000
    assert f"{group['rank1']:.3f}" in out
    assert "24 of the 30 photos were trained on and are left out." in out


def test_photos_of_which_none_has_a_trained_ones_name_are_judged_with_a_warning(capsys, tmp_path, faces, trained):
    for path in faces.rglob("*.png"):
        (other := tmp_path / "faces" / path.parent.name).mkdir(parents=True, exist_ok=True)
        (other / f"new-{path.name}").write_bytes(path.read_bytes())
    code, _, err = run(capsys, "eval-identities", trained, tmp_path / "faces", "--out", tmp_path / "out")
    assert (code, err.count("\n")) == (0, 1)
    assert "not one of the 30 photos has the name of one that the run was trained on" in err


@pytest.mark.parametrize("before", ["celeba", "people"])
def test_celebas_layout_and_its_people_in_folders_are_the_same_photos(capsys, tmp_path, before):
    """As when the clean photos are CelebA's and the protected ones, which a recognizer was trained on, lie in folders."""
    people = write_faces(tmp_path / "people", photos=10, size=32)
    for number, folder in enumerate(sorted(people.iterdir())):
        folder.rename(people / str(2880 + number))
    photos = tmp_path / "celeba" / "img_align_celeba"
    photos.mkdir(parents=True)
    listed = [(f"{i:06d}.png", path) for i, path in enumerate(sorted(people.rglob("*.png")))]
    for name, path in listed:
        (photos / name).write_bytes(path.read_bytes())
        path.rename(path.with_name(name))
    lines = "".join(f"{name} {path.parent.name}\n" for name, path in listed)
    (tmp_path / "celeba" / "identity_CelebA.txt").write_text(lines)
    succeed(capsys, "train", tmp_path / before, "--out", tmp_path / "run", *TINY)
    for judged in ("celeba", "people"):
        out = succeed(
            capsys, "eval-identities", tmp_path / "run", tmp_path / judged, "--out", tmp_path / f"{judged}-ids"
        )
        assert "24 of the 30 photos were trained on and are left out." in out


def test_a_group_of_which_some_photos_are_verified_is_named(capsys, tmp_path, faces, trained, monkeypatch):
    monkeypatch.setattr("faceguard.evaluate.MOST_VERIFIED", 4)
    out = succeed(capsys, "eval-identities", trained, faces, "--out", tmp_path)
    assert "AUC and EER of 'all' are of 4 of its photos, drawn with --seed." in out


def test_the_clean_originals_of_protected_photos_count_as_trained_on(capsys, tmp_path):
    """The trainer sees PNGs that ``protect`` wrote; the clean JPEGs of the same photos prove nothing."""
    clean = write_faces(tmp_path / "clean", photos=10, suffix=".jpg")
    coarse_bank().save(tmp_path / "b")
    succeed(capsys, "protect", clean, tmp_path / "protected", "--noise", tmp_path / "b")
    succeed(capsys, "train", tmp_path / "protected", "--out", tmp_path / "run", *TINY)
    succeed(capsys, "eval-identities", tmp_path / "run", clean, "--out", tmp_path / "result")
    assert json.loads((tmp_path / "result" / "identities.json").read_text())["groups"]["all"]["photos"] == 6


@pytest.mark.parametrize("alone", [(), ("others",)])
def test_groups_are_judged_apart_and_one_of_one_identity_is_not_verified(capsys, tmp_path, faces, trained, alone):
    (tmp_path / "groups.json").write_text(json.dumps({"protected": [f"synthetic-00{i}" for i in range(len(alone), 3)]}))
    words = ("--groups", tmp_path / "groups.json", "--out", tmp_path / "out")
    out = " ".join(succeed(capsys, "eval-identities", trained, faces, *words).split())
    groups = json.loads((tmp_path / "out" / "identities.json").read_text())["groups"]
    assert set(groups) - {name for name, found in groups.items() if "auc" in found} == set(alone)
    assert all(0 <= found["rank1"] <= 1 for found in groups.values())
    assert ("'others' has no AUC and no EER: it has one identity" in out) == bool(alone)


def test_a_run_without_its_files_or_with_damaged_ones_is_refused(capsys, tmp_path, faces, trained):
    broken, known = tmp_path / "run", json.loads((trained / "run.json").read_text())
    broken.mkdir()
    words = ("eval-identities", broken, faces, "--out", tmp_path / "out")
    assert "make one with faceguard train" in fail(capsys, *words)
    for content in ("{", "{}", json.dumps({key: v for key, v in known.items() if key != "trained_on"})):
        (broken / "model.safetensors").write_bytes((trained / "model.safetensors").read_bytes())
        (broken / "run.json").write_text(content)
        assert "is damaged" in fail(capsys, *words)
    (broken / "run.json").write_text((trained / "run.json").read_text())
    (broken / "model.safetensors").write_bytes((trained / "model.safetensors").read_bytes()[:-50])
    assert "is damaged" in fail(capsys, *words)


def test_a_missing_run_is_refused(capsys, tmp_path, faces):
    assert "holds no finished run" in fail(capsys, "eval-identities", tmp_path / "x", faces, "--out", tmp_path)


def test_a_corrupt_photo_is_listed_and_the_others_are_judged(capsys, tmp_path, trained):
    faces = write_faces(tmp_path / "faces", photos=10, size=32)
    write_corrupt(faces / "synthetic-000" / "bad.jpg")
    code, _, err = run(capsys, "eval-identities", trained, faces, "--out", tmp_path / "out")
    assert (code, err.startswith("left out: synthetic-000/bad.jpg: ")) == (1, True)
    assert (tmp_path / "out" / "identities.json").exists()


def test_a_mistake_in_the_groups_file_is_said_before_any_photo_is_read(capsys, tmp_path, faces, trained, monkeypatch):
    monkeypatch.setattr("faceguard.terminal.read_faces", lambda *_: pytest.fail("photos were read"))
    words = (trained, faces, "--groups", tmp_path / "groups.json", "--out", tmp_path / "out")
    for content, sentence in (
        ('["synthetic-000"]', "groups.json is no groups file: it lists nobody as protected"),
        ('{"protected": ["synthetic-000", "nobody"]}', "groups.json names nobody, whom the run does not know"),
    ):
        (tmp_path / "groups.json").write_text(content)
        assert sentence in fail(capsys, "eval-identities", *words)


def test_the_groups_are_those_of_the_file_as_it_was_when_the_command_was_given(
    capsys, tmp_path, faces, trained, monkeypatch
):
    """Reading the photos may take hours, in which the file changes or goes."""
    (tmp_path / "groups.json").write_text('{"protected": ["synthetic-000"]}')

    def read(folder, size):
        (tmp_path / "groups.json").unlink()
        return load_faces(folder, size=size)

    monkeypatch.setattr("faceguard.terminal.read_faces", read)
    succeed(capsys, "eval-identities", trained, faces, "--groups", tmp_path / "groups.json", "--out", tmp_path / "out")
    assert json.loads((tmp_path / "out" / "identities.json").read_text())["groups"].keys() == {"protected", "others"}
