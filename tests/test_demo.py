"""The demo: three arms, one report that the same seed repeats byte for byte, three pictures, and a table."""

import json
from dataclasses import replace

import pytest
import torch
from commands import ON_CPU, fail, run, succeed, write_corrupt, write_faces

import faceguard.demo
from faceguard.adversary import Scratch
from faceguard.demo import DemoSettings, run_demo
from faceguard.device import make_fabric
from faceguard.generate import SourceModel
from faceguard.identities import merge
from faceguard.noise import NoiseSettings
from faceguard.readers.synthetic import synthetic_faces
from faceguard.study import ARMS
from faceguard.train import TrainSettings

TINY = DemoSettings(
    identities=6,
    photos=8,
    source_model=SourceModel(width=8),
    noise=NoiseSettings(train_steps=4, batch_size=16, stop_error=0.9, max_rounds=5),
    adversary=Scratch(width=8, size=32, train=TrainSettings(epochs=3, batch_size=16)),
)


def demo(out, *, seed=0, **given):
    out.mkdir(parents=True, exist_ok=True)
    return run_demo(make_fabric(device="cpu"), out, settings=TINY, seed=seed, **given)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    return out, demo(out)


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(faceguard.demo, "DemoSettings", lambda: TINY)


def test_the_report_has_the_promised_keys(finished):
    out, report = finished
    assert json.loads((out / "report.json").read_text()) == json.loads(json.dumps(report))
    assert report["verdict"] in ("protected", "not protected", "inconclusive")
    assert tuple(report["arms"]) == ARMS
    for arm in report["arms"].values():
        assert arm["recognition"].keys() == {"protected", "others"}
        for rates in arm["recognition"].values():
            assert 0 <= rates["last"] <= rates["best"] <= 1
        assert 0 <= arm["verification"]["auc"] <= 1
        assert 0 <= arm["verification"]["eer"] <= 1
        assert len(arm["curves"]["loss"]) == len(arm["curves"]["rank1"]["others"]) == 3
    assert report["photos"] == {"train": 36, "test": 12, "source": 48}
    assert report["settings"]["seed"] == 0
    assert report["settings"]["noise"]["epsilon"] == 16 / 255


def test_a_demo_whose_recognizer_knows_hardly_anybody_protects_nobody(tmp_path, monkeypatch):
    monkeypatch.setattr(faceguard.demo, "verdict", lambda *_, **__: ("protected", ["All is well."]))
    report = demo(tmp_path, faces=synthetic_faces(4, 8, size=32, seed=0))
    assert (report["verdict"], len(report["reasons"])) == ("inconclusive", 1)
    assert "of 4 held-out photos of the protected, and 4 are the least that count" in report["reasons"][0]


def test_a_demo_whose_held_out_photos_are_trained_on_as_well_protects_nobody(tmp_path):
    faces = synthetic_faces(4, 4, size=32, seed=0)
    twice = replace(faces, keys=tuple(f"again/{key}" for key in faces.keys))
    report = demo(tmp_path, faces=merge(faces, twice))
    assert report["verdict"] == "inconclusive"
    assert "held-out faces are among the training faces as well" in report["reasons"][0]


def test_half_of_the_identities_are_protected(finished):
    named = finished[1]["identities"]
    assert len(named["protected"]) == len(named["others"]) == 3
    assert sorted(named["protected"] + named["others"]) == [f"synthetic-{i:03d}" for i in range(6)]


def test_the_pictures_are_there(finished):
    names = sorted(path.name for path in finished[0].iterdir())
    assert names == ["before-after.png", "learning-curves.png", "report.json", "roc.png"]
    assert all((finished[0] / name).stat().st_size > 5000 for name in names if name.endswith(".png"))


def test_the_same_seed_gives_the_same_bytes_whatever_was_drawn_before_and_another_seed_others(tmp_path, finished):
    torch.manual_seed(99)
    demo(tmp_path / "again")
    assert (tmp_path / "again" / "report.json").read_bytes() == (finished[0] / "report.json").read_bytes()
    other = demo(tmp_path / "other", seed=1)
    assert other["arms"]["clean"]["curves"] != finished[1]["arms"]["clean"]["curves"]


def test_progress_names_every_round_and_every_epoch_of_every_arm(tmp_path):
    rounds, epochs = [], []
    demo(
        tmp_path,
        on_round=lambda done: rounds.append(done.number),
        on_epoch=lambda arm, e: epochs.append((arm, e.number)),
    )
    assert rounds == list(range(1, len(rounds) + 1)) != []
    assert epochs == [(arm, number) for arm in ARMS for number in (1, 2, 3)]


def test_the_command_prints_the_verdict_and_a_table_and_refuses_to_overwrite(capsys, tmp_path, tiny):
    out = succeed(capsys, "demo", "--out", tmp_path, *ON_CPU)
    report = json.loads((tmp_path / "report.json").read_text())
    assert f"Verdict: {report['verdict']}. " in out
    for arm in ARMS:
        line = next(line for line in out.splitlines() if line.startswith(f"│ {arm[:8]}"))
        assert f"{report['arms'][arm]['verification']['auc']:.3f}" in line
    before = (tmp_path / "report.json").read_bytes()
    assert "report.json already exists" in fail(capsys, "demo", "--out", tmp_path, *ON_CPU)
    assert (tmp_path / "report.json").read_bytes() == before


def test_people_with_folders_of_their_own_are_compared(capsys, tmp_path, tiny):
    faces = write_faces(tmp_path / "faces", identities=4, photos=8, size=32)
    source = write_faces(tmp_path / "source", identities=3, photos=4, size=32, seed=1)
    write_corrupt(faces / "synthetic-000" / "bad.jpg")
    code, out, err = run(capsys, "demo", "--faces", faces, "--source", source, "--out", tmp_path / "out", *ON_CPU)
    assert code == 1
    assert err.startswith("left out: synthetic-000/bad.jpg: ")
    assert "Verdict: " in out
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["photos"] == {"train": 24, "test": 8, "source": 12}


@pytest.mark.parametrize(
    ("identities", "photos", "words"),
    [(4, 1, "have fewer than two photos"), (3, 8, "too few to compare"), (4, 5, "too few to compare")],
)
def test_too_few_identities_or_photos_are_said_before_any_training(
    capsys, tmp_path, tiny, monkeypatch, identities, photos, words
):
    monkeypatch.setattr(faceguard.demo, "learn_bank", lambda *_, **__: pytest.fail("noise was learnt"))
    faces = write_faces(tmp_path / "faces", identities=identities, photos=photos, size=32)
    assert words in fail(capsys, "demo", "--faces", faces, "--out", tmp_path / "out", *ON_CPU)
    assert not (tmp_path / "out").exists()


def test_a_picture_that_cannot_be_drawn_costs_no_result(tmp_path, monkeypatch):
    def fail_to_draw(*_, **__):
        raise ValueError("no font")

    monkeypatch.setattr(faceguard.demo, "learning_curves", fail_to_draw)
    with pytest.raises(ValueError, match="no font"):
        demo(tmp_path)
    assert json.loads((tmp_path / "report.json").read_text())["arms"].keys() == set(ARMS)


def test_noise_that_does_not_converge_is_a_sentence(capsys, tmp_path, monkeypatch):
    never = replace(TINY, noise=replace(TINY.noise, stop_error=1e-9, max_rounds=1, train_steps=1, step_size=1e-6))
    monkeypatch.setattr(faceguard.demo, "DemoSettings", lambda: never)
    assert "allow more rounds" in fail(capsys, "demo", "--out", tmp_path, *ON_CPU)
