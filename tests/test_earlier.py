"""A second run into a folder that another one filled: a copy is replaced for its own photo only, and only as it was written."""

import json
from pathlib import Path

import pytest
from commands import coarse_bank
from PIL import Image
from rerunning import HOW, lines, outputs, run, save, tree, two  # noqa: F401

from faceguard.batch import protect_photos
from faceguard.check import check_photos
from faceguard.errors import DataError
from faceguard.listing import PhotoJob
from faceguard.manifest import MANIFEST, PhotoResult, current, file_hash, read_results, rewrite
from faceguard.protect import Protection

OTHER = Protection(bank=coarse_bank(rows=2, epsilon=8 / 255))


@pytest.mark.parametrize("rerun", ["overwrite", "resume"])
def test_an_altered_copy_is_left_alone_until_it_is_moved(tmp_path: Path, two: Path, rerun: str) -> None:
    out = tmp_path / "out"
    run(two / "alice", out)
    before, known = tree(out), lines(out)
    (out / "1.png").write_bytes(b"edited")
    for how in (HOW, OTHER, HOW):
        report = run(two / "alice", out, how, rerun=rerun)
        (failed,) = report.failed
        assert failed.source == "1.jpg" and failed.reason is not None
        assert "1.png was altered after it had been protected and is left as it is; move it away" in failed.reason
        assert (out / "1.png").read_bytes() == b"edited" and lines(out) == known
    (out / "1.png").rename(tmp_path / "mine.png")
    assert run(two / "alice", out, rerun=rerun).complete and tree(out) == before


@pytest.mark.parametrize("rerun", ["overwrite", "resume"])
def test_what_a_killed_run_replaced_without_its_line_is_no_altered_copy(tmp_path: Path, two: Path, rerun: str) -> None:
    out = tmp_path / "out"
    run(two / "alice", out, OTHER)
    old = (out / MANIFEST).read_bytes()
    run(two / "alice", out, rerun="overwrite")
    new = tree(out)
    (out / MANIFEST).write_bytes(old)
    assert run(two / "alice", out, rerun=rerun).complete and tree(out) == new
    assert run(two / "alice", out, rerun="resume").resumed == 2


def test_overwriting_replaces_another_persons_copies_only_as_they_were_written(tmp_path: Path, two: Path) -> None:
    out = tmp_path / "out"
    run(two / "alice", out)
    before = tree(out)
    (out / "1.png").write_bytes(b"mine")
    report = run(two / "bob", out, rerun="overwrite")
    assert [(line.source, line.status) for line in report.results] == [("1.jpg", "failed"), ("2.png", "protected")]
    assert (
        report.failed[0].reason
        == "1.png already exists and is left as it is; choose another folder, or remove the file."
    )
    assert (out / "1.png").read_bytes() == b"mine" and (out / "2.png").read_bytes() != before["2.png"]


def test_a_line_that_gives_no_hash_gives_no_right_to_replace(tmp_path: Path, two: Path) -> None:
    out = tmp_path / "out"
    save(out / "1.png", 9)
    before = tree(out)
    line = (
        '{"source": "1.jpg", "output": "1.png", "status": "protected", "reason": null, "identity": "alice", "row": 0}'
    )
    (out / MANIFEST).write_text(line + "\n")
    assert [result.source for result in run(two / "alice", out, rerun="resume").failed] == ["1.jpg"]
    assert tree(out).items() > before.items()


def test_of_two_lines_for_one_photo_or_one_copy_the_later_holds(tmp_path: Path) -> None:
    known = {"status": "protected", "reason": None, "row": 0}
    texts = [
        {"source": "a.jpg", "identity": "x", "output": "a.png", "sha256_in": "1"},
        {"source": "a.jpg", "identity": "y", "output": "b.png", "sha256_in": "2"},
        {"source": "a.jpg", "identity": "x", "output": "c.png", "sha256_in": "3"},
        {"source": "a.jpg", "identity": "z", "output": "d.png", "sha256_in": "2"},
        {"source": "b.jpg", "identity": "x", "output": "c.png", "sha256_in": "4"},
        {"source": "b.jpg", "identity": "y", "output": None},
    ]
    wanted = [PhotoResult(**known | text) for text in texts]  # type: ignore[arg-type]
    kept = [wanted[0], *wanted[3:]]  # the first is of another photo, whatever path and identity say
    assert current(wanted) == kept
    rewrite(tmp_path / MANIFEST, wanted)
    assert read_results(tmp_path / MANIFEST) == kept


@pytest.mark.parametrize("rerun", ["overwrite", "resume"])
def test_a_copy_in_another_format_replaces_the_earlier_one_unless_that_was_altered(
    tmp_path: Path, two: Path, rerun: str
) -> None:
    out = tmp_path / "out"
    run(two, out)
    before = tree(out)
    for form, ending in (("webp", "webp"), ("webp", "webp"), ("keep", "png")):
        report = run(two, out, rerun=rerun, form=form)
        assert report.complete and tree(out).keys() == {str(Path(n).with_suffix(f".{ending}")) for n in before}
    assert tree(out) == before
    (out / "bob" / "1.png").write_bytes(b"edited")
    assert run(two, out, rerun=rerun, form="webp").complete
    assert {name for name in tree(out) if name.endswith(".png")} == {"bob/1.png"}


@pytest.mark.parametrize("rerun", ["overwrite", "resume"])
def test_the_copy_of_a_photo_that_shows_no_face_any_more_is_removed_by_overwriting_only(
    tmp_path: Path, two: Path, rerun: str
) -> None:
    out = tmp_path / "out"
    run(two / "alice", out)
    stays = {"1.png"} if rerun == "resume" else set()
    Image.new("RGB", (200, 150), (80, 120, 160)).save(two / "alice" / "1.jpg")
    for _ in range(2):
        report = run(two / "alice", out, rerun=rerun)
        assert [result.source for result in report.failed] == ["1.jpg"] and tree(out).keys() == {"2.png"} | stays
        assert lines(out) == {("1.jpg", "alice", name) for name in (None, *stays)} | {("2.png", "alice", "2.png")}
        check = check_photos(two / "alice", out, bank=HOW.bank).photos[0]
        assert check.reason is not None and check.reason.startswith("It was not protected: No face was found.")


@pytest.mark.parametrize("rerun", ["overwrite", "resume"])
def test_a_photo_that_cannot_be_read_costs_no_earlier_copy(tmp_path: Path, two: Path, rerun: str) -> None:
    out = tmp_path / "out"
    run(two / "alice", out)
    before, known, content = tree(out), lines(out), (two / "alice" / "1.jpg").read_bytes()
    (two / "alice" / "1.jpg").write_bytes(content[:300])
    for how in (OTHER, HOW):
        report = run(two / "alice", out, how, rerun=rerun)
        assert [result.source for result in report.failed] == ["1.jpg"]
        assert tree(out)["1.png"] == before["1.png"] and lines(out) - {("1.jpg", "alice", None)} == known
    (two / "alice" / "1.jpg").write_bytes(content)
    assert run(two / "alice", out, rerun=rerun).complete and tree(out) == before and lines(out) == known


def test_overwriting_never_removes_a_copy_that_another_photo_has_now_nor_an_input(tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    save(source / "1.jpg", 1)
    run(source, out)
    save(source / "1.png", 2)
    assert outputs(run(source, out, rerun="overwrite")) == ["1.jpg.png", "1.png"]
    assert tree(out).keys() == {"1.jpg.png", "1.png"}
    copy = (out / "1.png").read_bytes()
    jobs = [
        PhotoJob(source=path, relative=Path(f"{i}.png"), identity="in") for i, path in enumerate([out / "1.png"], 1)
    ]
    protect_photos(jobs, out, HOW, rows={"in": 0}, rerun="overwrite", form="webp")
    assert (out / "1.png").read_bytes() == copy


def test_a_forged_line_removes_nothing_outside_the_output_folder(tmp_path: Path, two: Path) -> None:
    out, mine = tmp_path / "out", save(tmp_path / "mine.png", 7)
    (out / "link").parent.mkdir()
    (out / "link").symlink_to(tmp_path)
    for output in ("../mine.png", str(mine), "link/mine.png"):
        line = {
            "source": "1.jpg",
            "output": output,
            "status": "protected",
            "reason": None,
            "identity": "alice",
            "row": 0,
        }
        (out / MANIFEST).write_text(json.dumps(line | {"sha256_out": file_hash(mine)}) + "\n")
        for rerun in ("resume", "overwrite"):
            assert run(two / "alice", out, rerun=rerun).complete and mine.exists()


def test_a_folder_in_which_every_photo_failed_is_used_again_and_anybodys_manifest_is_not(tmp_path: Path) -> None:
    out, photos = tmp_path / "out", tmp_path / "anna"
    save(photos / "1.png", 1)
    whole = (photos / "1.png").read_bytes()
    (photos / "1.png").write_bytes(whole[:60])
    assert run(photos, out).failed
    (photos / "1.png").write_bytes(whole)
    assert run(photos, out).complete and len(lines(out)) == 1
    (tmp_path / "hers").mkdir()
    (tmp_path / "hers" / MANIFEST).write_text('{"theirs": 1}\n')
    for holder in (out, tmp_path / "hers"):
        with pytest.raises(DataError, match="already holds protected photos"):
            run(photos, holder)


@pytest.mark.parametrize("rerun", ["overwrite", "resume"])
def test_a_copy_brought_back_among_the_photos_is_not_protected_again_by_a_run_into_its_folder(
    tmp_path: Path, two: Path, rerun: str
) -> None:
    photos, out = two / "alice", tmp_path / "out"
    run(photos, out)
    before = tree(out)
    (photos / "copy.png").write_bytes(before["1.png"])
    save(photos / "new.png", 7)
    assert [result.source for result in run(photos, out, rerun=rerun).results] == ["1.jpg", "2.png", "new.png"]
    assert tree(out).keys() == {"1.png", "2.png", "new.png"} and tree(out).items() > before.items()
    assert [found.source for found in check_photos(photos, out, bank=HOW.bank).photos] == ["1.jpg", "2.png", "new.png"]
    with pytest.raises(DataError, match="already holds protected photos"):
        run(photos, out)


def test_an_empty_manifest_as_a_full_disk_or_an_early_end_leaves_it_has_protected_nothing(tmp_path: Path) -> None:
    save(tmp_path / "anna" / "1.png", 1)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / MANIFEST).touch()
    assert run(tmp_path / "anna", tmp_path / "out").complete and len(lines(tmp_path / "out")) == 1
    (tmp_path / "folder" / MANIFEST).mkdir(parents=True)
    with pytest.raises(DataError, match="already holds protected photos"):
        run(tmp_path / "anna", tmp_path / "folder")


def test_going_on_reads_every_original_and_every_copy_once(
    tmp_path: Path, two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(two, tmp_path / "out")
    read: list[Path] = []
    monkeypatch.setattr("faceguard.manifest.file_hash", lambda path: (read.append(path), file_hash(path))[1])
    assert run(two, tmp_path / "out", rerun="resume").resumed == 4
    assert sorted(read) == sorted(p for p in tmp_path.rglob("*.*") if p.suffix in (".jpg", ".png"))


def test_unfinished_files_of_a_run_inside_are_left_to_it(tmp_path: Path, two: Path) -> None:
    run(two / "bob", tmp_path / "out" / "bob")
    theirs, ours = (tmp_path / "out" / place / f".faceguard-{16 * 'a'}.part" for place in ("bob", "alice"))
    for part in (theirs, ours):
        part.parent.mkdir(exist_ok=True)
        part.touch()
    run(two / "alice", tmp_path / "out")
    assert theirs.exists() and not ours.exists()
