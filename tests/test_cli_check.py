"""``faceguard check``: exit codes, the sentence, and the two files."""

import errno
import json
from contextlib import nullcontext
from pathlib import Path

import pytest
from commands import coarse_bank, fail, mistype, run, succeed, write_faces

from faceguard.manifest import MANIFEST

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    path = tmp_path_factory.mktemp("bank") / "b"
    coarse_bank().save(path)
    return path


@pytest.fixture
def protected(capsys, tmp_path, bank):
    photos = write_faces(tmp_path / "photos", identities=2, photos=2)
    succeed(capsys, "protect", photos, tmp_path / "out", "--noise", bank)
    return photos, tmp_path / "out"


def test_what_protect_wrote_passes_and_the_page_shows_it(capsys, tmp_path, bank, protected):
    said = succeed(capsys, "check", *protected, "--noise", bank, "--out", tmp_path / "check")
    assert "4 photos: 4 protected; noise kept 1.00 (1 is best: all of it survived)." in said
    content = json.loads((tmp_path / "check" / "check.json").read_text())
    assert content["counts"]["protected"] == 4
    assert all(photo["changed_outside"] == 0 and photo["max_change"] <= 16 for photo in content["photos"])
    assert "synthetic-001/01.png" in (tmp_path / "check" / "check.html").read_text()


def test_a_photo_that_was_swapped_for_its_original_and_one_that_is_missing_are_named(capsys, tmp_path, bank, protected):
    photos, out = protected
    (out / "synthetic-000" / "00.png").write_bytes((photos / "synthetic-000" / "00.png").read_bytes())
    (out / "synthetic-001" / "01.png").unlink()
    code, said, err = run(capsys, "check", photos, out, "--noise", bank, "--out", tmp_path / "check")
    assert code == 1
    assert "1 without noise, 1 missing, 2 protected" in said
    assert "without noise: synthetic-000/00.png" in err and "missing: synthetic-001/01.png" in err


def test_results_are_not_overwritten_and_a_missing_folder_is_a_sentence(capsys, tmp_path, bank, protected):
    photos, out = protected
    assert "does not exist" in fail(capsys, "check", tmp_path / "absent", out, "--out", tmp_path / "check")
    succeed(capsys, "check", photos, out, "--noise", bank, "--out", tmp_path / "check")
    assert "already exists" in fail(capsys, "check", photos, out, "--noise", bank, "--out", tmp_path / "check")
    (tmp_path / "check" / "check.html").unlink()
    assert "check.json already exists" in fail(
        capsys, "check", photos, out, "--noise", bank, "--out", tmp_path / "check"
    )
    assert "Missing argument" in mistype(capsys, "check", photos)


def test_a_photo_or_a_folder_that_is_named_twice_is_asked_for_its_copies(capsys, tmp_path, protected):
    photos, _ = protected
    for named in (photos, photos / "synthetic-000" / "00.png"):
        said = fail(capsys, "check", named, named, "--out", tmp_path / "check")
        assert said == f"{named} is named twice; name the originals first, then the folder of their copies."


@pytest.mark.parametrize("inside", [".", "check-report", "../link/deep/report"])
def test_the_page_which_shows_the_originals_is_never_written_among_the_copies(
    capsys, tmp_path, bank, protected, inside
):
    photos, out = protected
    (tmp_path / "link").symlink_to(out)
    before = sorted(out.rglob("*"))
    said = fail(capsys, "check", photos, out, "--noise", bank, "--out", out / inside)
    assert "lies among the copies, and what is written there shows the originals; choose another --out" in said
    assert sorted(out.rglob("*")) == before
    one = Path("synthetic-000", "00.png")
    for named in (one, one.parent):
        said = fail(capsys, "check", photos / named, out / named, "--noise", bank, "--out", out / inside)
        assert "lies among the copies" in said
    assert sorted(out.rglob("*")) == before
    succeed(capsys, "check", photos / one, out / one, "--noise", bank, "--out", tmp_path / "check")


def test_the_page_lies_beside_a_copy_without_a_manifest_only_where_its_original_does(capsys, tmp_path, bank, protected):
    photos, out = protected
    (out / MANIFEST).unlink()
    one = Path("synthetic-000", "00.png")
    for named in (one, Path()):
        words = ("check", photos / named, out / named, "--noise", bank, "--out", out / one.parent / "check")
        assert "lies among the copies" in fail(capsys, *words)
    (photos / one).rename(out / "original.png")
    (out / one).rename(out / "copy.png")
    succeed(capsys, "check", out / "original.png", out / "copy.png", "--noise", bank, "--out", out / "check")


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError(errno.ENOSPC, "No space left on device")])
def test_after_an_interruption_or_a_full_disk_the_same_command_goes_again(
    capsys, tmp_path, monkeypatch, bank, protected, stop
):
    words = ("check", *protected, "--noise", bank, "--out", tmp_path / "check")

    def read(_):
        raise stop

    with monkeypatch.context() as patch:
        patch.setattr("faceguard.page.face_pictures", lambda *_: read)
        code, _, _ = run(capsys, *words)
    assert code not in (0, 2)
    assert not (tmp_path / "check").exists()
    succeed(capsys, *words)
    assert sorted(path.name for path in (tmp_path / "check").iterdir()) == ["check.html", "check.json"]


def test_the_bar_goes_on_while_the_pictures_are_read(capsys, tmp_path, monkeypatch, bank, protected):
    steps = []
    monkeypatch.setattr(
        "faceguard.terminal.bars", lambda: nullcontext(lambda what, count, _: steps.append((what, count)))
    )
    succeed(capsys, "check", *protected, "--noise", bank, "--out", tmp_path / "check")
    assert steps == [("photos", 4)] * 4 + [("pictures", 4)] * 4


def test_without_the_bank_a_photo_with_noise_of_ones_own_asks_for_it(capsys, tmp_path, protected):
    code, _, err = run(capsys, "check", *protected, "--out", tmp_path / "check")
    assert (code, err.count("over budget: ")) == (1, 4)
    assert "Name the bank with --noise if it was not the shipped one." in err


def test_the_two_quoted_commands_work_where_a_file_is_called_check_as_in_a_clone(capsys, tmp_path, monkeypatch):
    quoted = (ROOT / "docs" / "for-people-with-photos.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "check").write_text("a script")
    write_faces(tmp_path / "photos", identities=1, photos=1)
    for words in (("protect", "photos", "protected"), ("check", "photos", "protected")):
        assert f"uv run faceguard {' '.join(words)}\n" in quoted
        said = succeed(capsys, *words)
    assert "check-report/check.html shows them" in said
    assert "`check-report/check.html`" in quoted
    assert (tmp_path / "check").read_text() == "a script"
