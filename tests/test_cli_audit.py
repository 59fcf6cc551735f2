"""``faceguard audit``: three files and a sentence; photos that cannot be read are listed; nothing is overwritten."""

import json

import pytest
from commands import ON_CPU, coarse_bank, fail, run, succeed, write_corrupt, write_faces
from test_audit import TINY, empty_cache  # noqa: F401

import faceguard.audit


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(faceguard.audit, "AuditSettings", lambda: TINY)


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    path = tmp_path_factory.mktemp("bank") / "mine.safetensors"
    coarse_bank().save(path)
    return path


def test_the_command_says_headline_reasons_and_what_was_not_run_and_refuses_to_overwrite(capsys, tmp_path, tiny, bank):
    people, out = write_faces(tmp_path / "people", identities=2, photos=6), tmp_path / "out"
    said = succeed(capsys, "audit", people, "--noise", bank, "--out", out, *ON_CPU)
    result = json.loads((out / "result.json").read_text())
    lines = said.splitlines()
    assert result["verdict"]["headline"] in lines
    assert all(f"* {sentence}" in lines for sentence in (*result["verdict"]["reasons"], *result["notes"]))
    assert f"Not run: {', '.join(result['verdict']['not_run'])}." in lines
    assert result["noise"] | {"epsilon_levels": 16} == result["noise"]
    assert "mine.safetensors" in result["conditions"][0]["name"]
    repeated = json.loads((out / "run.json").read_text())["command"]
    assert repeated.startswith("faceguard audit PHOTOS --noise NOISE --seed 0 --precision fp32")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert "result.json already exists" in fail(capsys, "audit", people, "--out", out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_unreadable_photos_are_listed_and_the_exit_code_is_1(capsys, tmp_path, tiny, bank):
    people = write_faces(tmp_path / "people", identities=2, photos=6)
    write_corrupt(people / "synthetic-001" / "bad.jpg")
    code, out, err = run(capsys, "audit", people, "--noise", bank, "--out", tmp_path / "out")
    assert code == 1
    assert err.startswith("left out: synthetic-001/bad.jpg: ")
    assert err.count("\n") == 1
    assert "report.html shows everything." in out
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert result["settings"]["photos"]["left_out"] == 1


def test_what_cannot_be_audited_is_one_sentence_and_leaves_nothing(capsys, tmp_path, tiny, bank):
    people = write_faces(tmp_path / "people", identities=2, photos=4)
    coarse_bank(form="sample-wise").save(tmp_path / "single.safetensors")
    for words, sentence in (
        ((people, "--noise", bank), "An audit needs 5 usable photos of each person"),
        ((people, "--noise", tmp_path / "single.safetensors"), "use a class-wise bank"),
        ((people, "--noise", bank, "--extractor", tmp_path / "none.onnx"), "none.onnx"),
        ((tmp_path / "absent", "--noise", bank), "does not exist"),
    ):
        assert sentence in fail(capsys, "audit", *words, "--out", tmp_path / "out")
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("inside", [".", "audit", "../link/deep/audit"])
def test_the_report_which_shows_photos_is_never_written_among_protected_copies(capsys, tmp_path, bank, inside):
    people, out = write_faces(tmp_path / "people", identities=1, photos=1), tmp_path / "out"
    succeed(capsys, "protect", people, out, "--noise", bank)
    (tmp_path / "link").symlink_to(out)
    before = sorted(out.rglob("*"))
    said = fail(capsys, "audit", people, "--noise", bank, "--out", out / inside)
    assert "lies among the copies, and what is written there shows the originals; choose another --out" in said
    assert sorted(out.rglob("*")) == before


def test_the_help_says_what_it_takes_and_what_it_writes(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    text = succeed(capsys, "audit", "--help")
    text = " ".join(text.replace("│", " ").split())
    for words in (
        "against whom",
        "ten minutes on two idle cores; longer on busy ones",
        "unprotected",
        "faces are drawn",
    ):
        assert words in text
    assert "report.html" in text
    assert "weights that were fetched before" in text
