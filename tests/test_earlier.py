"""A second run into a folder that another one filled: a copy is replaced for its own photo only, and only as it was written."""

import json
from pathlib import Path

import numpy as np
import pytest
from commands import coarse_bank
from PIL import Image

from faceguard.batch import ProtectReport, protect_photos
from faceguard.check import check_photos
from faceguard.listing import PhotoJob, list_photos
from faceguard.manifest import MANIFEST, PhotoResult, current, read_results, rewrite
from faceguard.protect import Protection, file_hash

HOW = Protection(bank=coarse_bank(rows=2))
OTHER = Protection(bank=coarse_bank(rows=2, epsilon=8 / 255))


def save(path: Path, seed: int, **options: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def run(source: Path, out: Path, how: Protection = HOW, **more: object) -> ProtectReport:
    jobs = list_photos(source, str(more.pop("identity", "")) or None, out=out)
    rows = {job.identity: len(job.identity) % 2 for job in jobs}
    return protect_photos(jobs, out, how, rows=rows, **more)  # type: ignore[arg-type]


def tree(folder: Path) -> dict[str, bytes]:
    """Every photo below the folder."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*") if p.name != MANIFEST}


def lines(out: Path) -> set[tuple[str, str, str | None]]:
    return {(line.source, line.identity, line.output) for line in read_results(out / MANIFEST)}


def outputs(report: ProtectReport) -> list[str | None]:
    return [result.output for result in report.results]


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Two people's folders with photos of the same names."""
    for seed, name in enumerate(["alice/1.jpg", "alice/2.png", "bob/1.jpg", "bob/2.png"]):
        save(tmp_path / "in" / name, seed)
    return tmp_path / "in"


def test_another_persons_photos_of_the_same_names_get_names_of_their_own(tmp_path: Path, two: Path) -> None:
    out = tmp_path / "out"
    assert outputs(run(two / "alice", out)) == ["1.png", "2.png"]
    alice = tree(out)
    assert outputs(run(two / "bob", out, rerun="resume")) == ["1.jpg.png", "2.png.png"]
    both = tree(out)
    assert both.items() > alice.items() and len(both) == 4
    for person, count in (("alice", 2), ("bob", 2), ("alice", 2)):  # and so it stays
        assert run(two / person, out, rerun="resume").resumed == count
    assert tree(out) == both
    assert lines(out) == {
        *(("1.jpg", "alice", "1.png"), ("2.png", "alice", "2.png")),
        *(("1.jpg", "bob", "1.jpg.png"), ("2.png", "bob", "2.png.png")),
    }


def test_check_compares_each_persons_photos_with_their_own_copies(tmp_path: Path, two: Path) -> None:
    run(two / "alice", tmp_path / "out", identity="anna")
    run(two / "bob", tmp_path / "out", rerun="resume")
    for person, theirs in (("alice", ["1.png", "2.png"]), ("bob", ["1.jpg.png", "2.png.png"])):
        report = check_photos(two / person, tmp_path / "out", bank=HOW.bank)
        assert report.complete and [check.output for check in report.photos] == theirs


def test_a_photo_that_differs_in_its_ending_leaves_the_others_copy_alone(tmp_path: Path) -> None:
    first, second = save(tmp_path / "w" / "1.jpg", 1), save(tmp_path / "w" / "1.jpeg", 2)
    run(first, tmp_path / "out")
    before = tree(tmp_path / "out")
    for _ in range(2):
        assert outputs(run(second, tmp_path / "out", rerun="resume")) == ["1.jpeg.png"]
    assert tree(tmp_path / "out").items() > before.items()
    report = run(tmp_path / "w", tmp_path / "out", rerun="resume")
    assert (outputs(report), report.resumed) == (["1.jpeg.png", "1.png"], 2)


def test_copies_inside_the_folder_are_neither_protected_again_nor_missed(tmp_path: Path, two: Path) -> None:
    for name in ("out1", "out2"):
        assert len(run(two, two / name).results) == 4
    assert not (two / "out2" / "out1").exists()
    for name in ("out1", "out2"):
        report = check_photos(two, two / name, bank=HOW.bank)
        assert report.complete and (len(report.photos), report.unmatched) == (4, ())


def test_folders_of_copies_side_by_side_are_checked_by_their_paths(tmp_path: Path, two: Path) -> None:
    for person in ("alice", "bob"):
        run(two / person, tmp_path / "out" / person)
    assert check_photos(two, tmp_path / "out", bank=HOW.bank).complete


def test_a_new_photo_takes_no_name_that_an_earlier_one_has(tmp_path: Path) -> None:
    save(tmp_path / "in" / "1.jpg", 1)
    run(tmp_path / "in", tmp_path / "out")
    before = tree(tmp_path / "out")
    save(tmp_path / "in" / "1.png", 2)
    report = run(tmp_path / "in", tmp_path / "out", rerun="resume")
    assert (outputs(report), report.resumed) == (["1.png", "1.png.png"], 1)
    assert tree(tmp_path / "out").items() > before.items()


def test_the_same_photo_under_another_name_is_redone_in_its_place(tmp_path: Path, two: Path) -> None:
    run(two / "alice", tmp_path / "out")
    report = run(two / "alice", tmp_path / "out", rerun="resume", identity="anna")
    assert (outputs(report), report.resumed) == (["1.png", "2.png"], 0)
    assert {identity for _, identity, _ in lines(tmp_path / "out")} == {"anna"}


def test_an_altered_copy_is_left_alone_until_it_is_moved_or_overwritten(tmp_path: Path, two: Path) -> None:
    out = tmp_path / "out"
    run(two / "alice", out)
    before, known = tree(out), lines(out)
    (out / "1.png").write_bytes(b"edited")
    for how in (HOW, OTHER, HOW):
        report = run(two / "alice", out, how, rerun="resume")
        (failed,) = report.failed
        assert failed.source == "1.jpg" and failed.reason is not None
        assert "left as it is; move it away, or replace it with --overwrite." in failed.reason
        assert (out / "1.png").read_bytes() == b"edited" and lines(out) == known
    (out / "1.png").rename(tmp_path / "mine.png")
    assert run(two / "alice", out, rerun="resume").complete and tree(out) == before
    (out / "1.png").write_bytes(b"edited")
    assert run(two / "alice", out, rerun="overwrite").complete and tree(out) == before


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
    assert current(wanted) == wanted[3:]
    rewrite(tmp_path / MANIFEST, wanted)
    assert read_results(tmp_path / MANIFEST) == wanted[3:]


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
def test_the_copy_of_a_photo_that_shows_no_face_any_more_is_removed(tmp_path: Path, two: Path, rerun: str) -> None:
    out = tmp_path / "out"
    run(two / "alice", out)
    Image.new("RGB", (200, 150), (80, 120, 160)).save(two / "alice" / "1.jpg")
    for _ in range(2):
        report = run(two / "alice", out, rerun=rerun)
        assert [result.source for result in report.failed] == ["1.jpg"] and tree(out).keys() == {"2.png"}
        assert lines(out) == {("1.jpg", "alice", None), ("2.png", "alice", "2.png")}


@pytest.mark.parametrize("rerun", ["overwrite", "resume"])
def test_a_photo_that_cannot_be_read_costs_no_earlier_copy(tmp_path: Path, two: Path, rerun: str) -> None:
    out = tmp_path / "out"
    run(two / "alice", out)
    before, known, content = tree(out), lines(out), (two / "alice" / "1.jpg").read_bytes()
    (two / "alice" / "1.jpg").write_bytes(content[:300])
    for how in (OTHER, HOW):
        report = run(two / "alice", out, how, rerun=rerun)
        assert [result.source for result in report.failed] == ["1.jpg"]
        assert tree(out)["1.png"] == before["1.png"] and lines(out) == known
    (two / "alice" / "1.jpg").write_bytes(content)
    assert run(two / "alice", out, rerun=rerun).complete and tree(out) == before


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
