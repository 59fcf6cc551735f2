"""Batches: a bad photo stops no other, any number of processes gives the same tree, and a killed run goes on."""

import json
import multiprocessing
import random
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from commands import coarse_bank
from PIL import Image

from faceguard import batch
from faceguard.batch import ProtectReport, protect_photos
from faceguard.checkpoint import reserved
from faceguard.errors import DataError, RunError
from faceguard.listing import list_photos
from faceguard.manifest import MANIFEST, read_results
from faceguard.protect import Protection

BANK = coarse_bank(rows=2)
HOW = Protection(bank=BANK)


def write_photos(folder: Path, count: int, *, size: int = 112) -> Path:
    """Aligned faces of noise, half of them JPEG, for two people."""
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (size, size, 3), dtype=np.uint8)
        path = folder / ("anna", "ben")[number % 2] / f"{number:03d}{('.jpg', '.png')[number // 2 % 2]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return folder


def run(source: Path, out: Path, how: Protection = HOW, **more: object) -> ProtectReport:
    jobs = list_photos(source, out=out)
    rows = {name: i for i, name in enumerate(sorted({job.identity for job in jobs}))}
    return protect_photos(jobs, out, how, rows=rows, **more)  # type: ignore[arg-type]


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below the folder, hidden ones too."""
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), 12)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("undisturbed") / "out"
    assert run(photos, out).complete
    return tree(out)


def test_two_processes_write_the_tree_of_one(tmp_path: Path, photos: Path, undisturbed: dict[str, bytes]) -> None:
    seen: list[str] = []
    report = run(photos, tmp_path / "out", workers=2, progress=lambda result: seen.append(result.source))
    assert tree(tmp_path / "out") == undisturbed
    assert seen == [result.source for result in report.results] == sorted(seen)


def test_a_second_run_is_refused_and_leaves_the_first_as_it_is(
    tmp_path: Path, photos: Path, undisturbed: dict[str, bytes]
) -> None:
    run(photos, tmp_path / "out")
    with pytest.raises(DataError, match="go on with --resume, replace them with --overwrite"):
        run(photos, tmp_path / "out")
    assert tree(tmp_path / "out") == undisturbed


def test_a_run_into_a_folder_that_another_writes_to_is_refused(tmp_path: Path, photos: Path) -> None:
    with reserved(tmp_path / MANIFEST), pytest.raises(RunError, match=r"Another process works on .*manifest\.jsonl"):
        run(photos, tmp_path, rerun="resume")
    assert list(tmp_path.iterdir()) == []


def test_resume_does_only_what_is_not_done_and_leaves_an_altered_copy_alone(
    tmp_path: Path, photos: Path, undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    run(photos, out)
    (out / "anna" / "000.png").unlink()
    (out / "ben" / "001.png").write_bytes(b"edited")
    lines = (out / MANIFEST).read_bytes().splitlines(keepends=True)
    (out / MANIFEST).write_bytes(b"".join(lines[:-1]) + lines[-1][:40])  # torn, and its photo is there
    done: list[str] = []
    protect_photo = batch.protect_photo

    def noted(job, *arguments, **keywords):  # type: ignore[no-untyped-def]
        done.append(job.relative.as_posix())
        return protect_photo(job, *arguments, **keywords)

    monkeypatch.setattr(batch, "protect_photo", noted)
    report = run(photos, out, rerun="resume")
    assert done == [
        "anna/000.jpg",
        "ben/001.jpg",
        report.results[-1].source,
    ]  # a killed run may have written the altered one
    assert ([result.source for result in report.failed], report.resumed) == (["ben/001.jpg"], 9)
    assert "ben/001.png was altered after it had been protected" in (report.failed[0].reason or "")
    assert tree(out) == undisturbed | {"ben/001.png": b"edited"}
    assert not run(photos, out, rerun="overwrite").complete
    (out / "ben" / "001.png").unlink()
    assert run(photos, out, rerun="overwrite").complete
    assert tree(out) == undisturbed


def test_resume_redoes_what_another_bank_option_or_photo_made(tmp_path: Path) -> None:
    source = write_photos(tmp_path / "in", 4)
    run(source, tmp_path / "out")
    for how in (Protection(bank=coarse_bank(rows=2, epsilon=8 / 255)), Protection(bank=BANK, keep_metadata=True)):
        assert run(source, tmp_path / "out", how, rerun="resume").resumed == 0
    run(source, tmp_path / "out", rerun="resume")
    Image.new("RGB", (112, 112), (9, 99, 199)).save(source / "anna" / "000.jpg")
    assert run(source, tmp_path / "out", rerun="resume").resumed == 3


def test_resume_and_overwrite_never_touch_a_file_of_the_users(tmp_path: Path) -> None:
    source = write_photos(tmp_path / "in", 4)
    mine = tmp_path / "out" / "anna" / "000.png"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    assert [result.status for result in run(source, tmp_path / "out").results] == ["failed", *["protected"] * 3]
    for rerun in ("resume", "overwrite"):
        report = run(source, tmp_path / "out", rerun=rerun)
        assert [result.source for result in report.failed] == ["anna/000.jpg"]
        assert "000.png already exists" in (report.failed[0].reason or "")
    assert mine.read_bytes() == b"mine"


def test_overwrite_replaces_what_the_earlier_run_wrote(
    tmp_path: Path, undisturbed: dict[str, bytes], photos: Path
) -> None:
    run(photos, tmp_path / "out", Protection(bank=coarse_bank(rows=2, epsilon=8 / 255)))
    assert tree(tmp_path / "out") != undisturbed
    assert run(photos, tmp_path / "out", rerun="overwrite").complete
    assert tree(tmp_path / "out") == undisturbed


def test_no_input_is_ever_replaced(tmp_path: Path) -> None:
    source = write_photos(tmp_path / "in", 4)
    before = tree(source)
    for rerun in ("refuse", "overwrite", "resume"):
        jobs = list_photos(source / "anna" / "002.png")
        report = protect_photos(jobs, source / "anna", HOW, rows={"anna": 0}, rerun=rerun)
        assert "would replace a photo that is to be protected" in (report.failed[0].reason or "")
    assert {name: data for name, data in tree(source).items() if name != f"anna/{MANIFEST}"} == before


def test_the_tree_after_twenty_kills_equals_that_of_an_undisturbed_run(tmp_path: Path) -> None:
    """SIGKILL at random moments of a run of 200 photos, each time resumed; what was under way is lost, and nothing else."""
    source = write_photos(tmp_path / "in", 200)
    begun = time.monotonic()
    assert run(source, tmp_path / "whole").complete
    whole = time.monotonic() - begun
    out, chance, killed = tmp_path / "out", random.Random(0), 0
    server = multiprocessing.get_context("forkserver")  # imports once, so that a new process starts at once
    server.set_forkserver_preload(["test_batch"])
    while killed < 20:
        child = server.Process(target=run, args=(source, out), kwargs={"rerun": "resume"})
        child.start()
        child.join(chance.uniform(0.1, 1) * whole)
        child.kill()
        child.join()
        killed += child.exitcode == -signal.SIGKILL
        if child.exitcode == 0:  # it was done: begin anew
            shutil.rmtree(out)
    assert run(source, out, rerun="resume").complete
    assert tree(out) == tree(tmp_path / "whole")


def test_an_interruption_leaves_whole_photos_and_a_manifest_that_knows_them(tmp_path: Path, photos: Path) -> None:
    seen: list[str] = []

    def interrupt(result) -> None:  # type: ignore[no-untyped-def]
        seen.append(result.source)
        if len(seen) == 5:
            raise KeyboardInterrupt

    for workers in (1, 2):
        seen.clear()
        out = tmp_path / f"out{workers}"
        begun = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            run(photos, out, workers=workers, progress=interrupt)
        assert [line.source for line in read_results(out / MANIFEST)] == seen
        assert run(photos, out, rerun="resume").resumed == 5
        assert not list(out.rglob(".*"))
        assert time.monotonic() - begun < 60


def test_a_full_disk_fails_the_photos_it_hits_and_no_other(
    tmp_path: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def full(path: Path, target: Path) -> Path:
        if Path(target).name == "002.png":
            raise OSError(28, "No space left on device")
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        report = run(photos, tmp_path / "out")
    assert [(r.source, "No space left on device" in (r.reason or "")) for r in report.failed] == [
        ("anna/002.png", True)
    ]
    assert run(photos, tmp_path / "out", rerun="resume").resumed == 11


def test_no_photos_and_unassigned_identities_are_errors_before_anything_is_written(
    tmp_path: Path, photos: Path
) -> None:
    with pytest.raises(DataError, match="no photos to protect"):
        protect_photos([], tmp_path / "out", HOW, rows={})
    with pytest.raises(DataError, match="assigned to anna, ben"):
        protect_photos(list_photos(photos), tmp_path / "out", HOW, rows={"carla": 0})
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file_is_a_sentence(tmp_path: Path, photos: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(DataError, match="cannot be written to"):
        run(photos, tmp_path / "out")


def test_manifest_lines_name_no_folder_of_the_machine(tmp_path: Path) -> None:
    source = write_photos(tmp_path / "in", 4)
    (source / "anna" / "bad.jpg").write_bytes(b"no photo")
    run(source, tmp_path / "out")
    text = (tmp_path / "out" / MANIFEST).read_text()
    assert len([json.loads(line) for line in text.splitlines()]) == 5
    assert str(tmp_path) not in text
