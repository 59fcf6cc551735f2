"""Nothing is written outside OUT and no two photos share a place, however odd the folders, the names and the moment."""

import json
import os
import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from commands import coarse_bank
from PIL import Image

from faceguard import formats, photo
from faceguard.batch import protect_photos
from faceguard.errors import DataError
from faceguard.listing import PhotoJob, list_photos
from faceguard.manifest import MANIFEST, file_hash
from faceguard.protect import Protection

HOW = Protection(bank=coarse_bank(rows=2))
RERUNS = ("refuse", "resume", "overwrite")


def save(folder, *names):
    """Aligned faces of noise, a different one for each name."""
    for seed, path in enumerate(folder / name for name in names):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (112, 112, 3), dtype=np.uint8)).save(path)


def protected(source, out, how=HOW, **more):
    """The results, by source."""
    jobs = list_photos(source, "anna", out=out)
    return {result.source: result for result in protect_photos(jobs, out, how, rows={"anna": 0}, **more).results}


def tree(folder, but=""):
    """Everything below ``folder`` except ``but``: files with their bytes, links with their targets."""
    return {
        p.relative_to(folder).as_posix(): p.readlink() if p.is_symlink() else p.is_file() and p.read_bytes()
        for p in folder.rglob("*")
        if p.relative_to(folder).parts[0] != but
    }


HOSTILE = {  # a link's place in OUT, and where it leads
    "a folder that is a link out": ("anna", "../elsewhere"),
    "a folder that is a link up": ("anna", ".."),
    "a folder that is a link to the photos": ("anna", "../in/anna"),
    "a folder that is a link to itself": ("anna", "anna"),
    "a photo that is a link out": ("anna/1.png", "../../elsewhere/mine.png"),
    "a photo that is a broken link out": ("anna/1.png", "../../elsewhere/new.png"),
    "an earlier photo that became a link out": ("anna/1.png", "../../elsewhere/mine.png"),
    "an earlier folder that became a link out": ("anna", "../elsewhere"),
    "a manifest outside that claims other files": (MANIFEST, "../elsewhere/forged.jsonl"),
    "a manifest that is a broken link out": (MANIFEST, "../elsewhere/new.txt"),
    "an unfinished file that is a link out": (".faceguard-0000000000000000.part", "../elsewhere/mine.png"),
}


@pytest.mark.parametrize("rerun", RERUNS)
@pytest.mark.parametrize("hostile", HOSTILE)
def test_whatever_lies_in_the_output_folder_nothing_outside_it_changes(tmp_path, hostile, rerun):
    save(tmp_path, "in/anna/1.png", "in/2.png", "elsewhere/mine.png", "elsewhere/1.png", "1.png")
    claim = {"output": "../elsewhere/mine.png", "status": "protected", "reason": None, "identity": "anna", "row": 0}
    lines = [json.dumps({"source": source} | claim) for source in ("anna/1.png", "../elsewhere/mine.png")]
    (tmp_path / "elsewhere" / "forged.jsonl").write_text("\n".join(lines))
    out, (place, target) = tmp_path / "out", HOSTILE[hostile]
    if "earlier" in hostile:
        protected(tmp_path / "in", out)
        (out / place).rename(tmp_path / "earlier")
    (out / place).parent.mkdir(parents=True, exist_ok=True)
    (out / place).symlink_to(target)
    before = tree(tmp_path, but="out")
    try:
        assert protected(tmp_path / "in", out, rerun=rerun)["2.png"].status == "protected"
        assert str(tmp_path) not in (out / MANIFEST).read_text()
    except DataError as error:
        assert "already holds protected photos" in str(error) and rerun == "refuse"
    assert tree(tmp_path, but="out") == before
    assert not list(out.rglob(photo.PART_PATTERN))


@pytest.mark.parametrize("name", ["../escaped.png", "a/../../escaped.png", "{root}/escaped.png"])
def test_neither_a_path_nor_an_identity_leads_out_of_the_output_folder(tmp_path, name):
    save(tmp_path, "1.png")
    places = (Path(name.format(root=tmp_path)), Path("1.png"))
    jobs = [PhotoJob(source=tmp_path / "1.png", relative=place, identity="../x") for place in places]
    report = protect_photos(jobs, tmp_path / "out", HOW, rows={"../x": 0})
    assert "leads out of the output folder" in report.failed[0].reason
    assert set(tree(tmp_path)) == {"1.png", "out", "out/1.png", f"out/{MANIFEST}"}


@pytest.mark.parametrize("target", ["real", "in", "absent", "out"])
def test_an_output_folder_that_is_a_link_is_filled_where_it_leads_or_refused(tmp_path, target):
    save(tmp_path, "in/1.png")
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(target)
    before = tree(tmp_path)
    try:
        protected(tmp_path / "in", tmp_path / "out")
        assert set(tree(tmp_path)) == {*before, "real/1.png", f"real/{MANIFEST}"}
    except DataError as error:
        assert re.search("both input and output|cannot be written to", str(error)) and target != "real"
        assert tree(tmp_path) == before


def test_a_folder_that_is_called_as_the_manifest_fails_alone_or_stops_the_run_with_a_sentence(tmp_path):
    save(tmp_path / "in", f"{MANIFEST}/1.png", "2.png")
    (tmp_path / "taken" / MANIFEST).mkdir(parents=True)
    for rerun in RERUNS:
        results = protected(tmp_path / "in", tmp_path / "out", rerun=rerun)
        assert [result.status for result in results.values()] == ["protected", "failed"]
        with pytest.raises(DataError, match=r"already holds protected photos|cannot be written to"):
            protected(tmp_path / "in", tmp_path / "taken", rerun=rerun)
        assert set(tree(tmp_path / "taken")) == {MANIFEST}


NAMES = {
    "dashes and dots": ["-o.png", "--resume.jpg", "-/1.png", "--/-rf.png", "a..jpg", " .png"],
    "Unicode forms": ["\u00e9.png", "e\u0301.png", "\u00e9.jpg", "e\u0301.jpg", "\u00e9/1.png", "e\u0301/1.png"],
    "case": ["A.jpg", "a.jpg", "A.png", "a.png", "a.PNG", "B/1.png", "b/1.png", "b/1.PNG"],
    "a folder named as a photo": ["a.jpg", "a.png/1.png", "a.png/b.png/2.jpg", "a.png/b.jpg", "C.JPG", "c.png/3.png"],
    "not text": [os.fsdecode(b"\xff.png"), os.fsdecode(b"\xfe/1.jpg"), "a\nb.png", "a\\b.png", "a'\".jpg"],
}


@pytest.mark.parametrize("kind", NAMES)
def test_photos_with_odd_names_all_survive_under_names_that_no_file_system_confuses(tmp_path, kind):
    save(tmp_path / "in", *NAMES[kind])
    results = protected(tmp_path / "in", tmp_path / "out")
    assert {name: result.reason for name, result in results.items()} == dict.fromkeys(NAMES[kind])
    outputs = [unicodedata.normalize("NFC", result.output).casefold() for result in results.values()]
    folders = {parent.as_posix() for output in outputs for parent in Path(output).parents}
    assert len(set(outputs)) == len(outputs) and folders.isdisjoint(outputs)
    assert all(file_hash(tmp_path / "out" / result.output) == result.sha256_out for result in results.values())


def test_a_name_too_long_for_its_new_ending_fails_alone_and_says_so(tmp_path):
    long = "n" * 251
    save(tmp_path / "in", f"{long}.jpg", f"{long}.png", "\u00e9" * 125 + "x.png", "short.jpg")
    for rerun in RERUNS:
        results = protected(tmp_path / "in", tmp_path / "out", rerun=rerun)
        assert [name for name, result in results.items() if result.status == "failed"] == [f"{long}.jpg"]
        assert "cannot be written (File name too long); " in results[f"{long}.jpg"].reason


@pytest.mark.parametrize(("source", "out"), [("in", "in/out"), ("out/in", "out"), ("out/in/deep", "out/in")])
def test_photos_and_output_may_lie_in_one_another_and_a_second_run_finds_all_done(tmp_path, source, out):
    save(tmp_path / source, "a.jpg", "anna/1.png")
    (tmp_path / source / "a.jpg").chmod(0o400)
    before = tree(tmp_path / source)
    first = protected(tmp_path / source, tmp_path / out)
    whole = tree(tmp_path)
    assert protected(tmp_path / source, tmp_path / out, rerun="resume") == first
    assert [result.status for result in first.values()] == ["protected", "protected"]
    assert tree(tmp_path) == whole and tree(tmp_path / source).items() >= before.items()


def denied(call, folder):
    """What a user without rights meets in ``folder``, also where the tests run as root."""

    def checked(path, *arguments, **options):
        if folder in (Path(path), Path(path).parent):
            raise PermissionError(13, "Permission denied", str(path))
        return call(path, *arguments, **options)

    return checked


@pytest.mark.parametrize("locked", ["out", "out/anna"])
def test_without_permission_an_output_folder_is_a_sentence_and_one_below_it_fails_alone(tmp_path, monkeypatch, locked):
    save(tmp_path / "in", "1.png", "anna/1.png")
    for name in ("open", "write_text", "replace"):
        monkeypatch.setattr(Path, name, denied(getattr(Path, name), tmp_path / locked))
    if locked == "out":
        with pytest.raises(DataError, match=r"cannot be written to .*Permission denied"):
            protected(tmp_path / "in", tmp_path / "out")
    else:
        results = protected(tmp_path / "in", tmp_path / "out")
        assert results["1.png"].status == "protected"
        assert results["anna/1.png"].reason.startswith("anna/1.png cannot be written (Permission denied)")


def test_broken_links_link_loops_and_unreadable_files_fail_alone(tmp_path, monkeypatch):
    save(tmp_path / "in", "good.png", "locked/secret.png")
    links = {"broken.jpg": "absent.jpg", "loop.jpg": "loop.jpg", "a.jpg": "b.jpg", "b.jpg": "a.jpg", "round": "."}
    for name, target in links.items():
        (tmp_path / "in" / name).symlink_to(target)
    monkeypatch.setattr(formats.Image, "open", denied(Image.open, tmp_path / "in" / "locked"))
    for rerun in RERUNS:
        results = protected(tmp_path / "in", tmp_path / "out", rerun=rerun)
        assert {name for name, result in results.items() if result.status == "failed"} == {*links, "locked/secret.png"}
        assert "Permission denied); check the path" in results["locked/secret.png"].reason
    assert set(tree(tmp_path / "out")) == {"good.png", MANIFEST}


def test_a_photo_that_vanishes_meanwhile_leaves_no_file_that_the_manifest_does_not_know(tmp_path, monkeypatch):
    save(tmp_path, "in/1.png")
    source, write = tmp_path / "in" / "1.png", photo.write
    monkeypatch.setattr(photo, "write", lambda *given, **options: (write(*given, **options), source.unlink()))
    result = protected(tmp_path / "in", tmp_path / "out")["1.png"]
    assert (tmp_path / "out" / "1.png").exists() == (result.status == "protected")


def test_a_second_try_that_fails_names_no_folder_of_the_machine(tmp_path):
    save(tmp_path, "in/1.png", "out/1.png")
    silent = Protection(bank=coarse_bank(rows=2, epsilon=0.1 / 255))
    results = protected(tmp_path / "in", tmp_path / "out", silent, rerun="resume")
    assert results["1.png"].reason.startswith("1.png carried no noise at all")


def test_an_interruption_leaves_no_unfinished_file_of_the_processes_that_it_ended(tmp_path):
    save(tmp_path, "in/1.png")
    part = tmp_path / "out" / ".faceguard-0123456789abcdef.part"  # as an ended process leaves it
    with pytest.raises(ZeroDivisionError):
        protected(tmp_path / "in", tmp_path / "out", progress=lambda _: part.touch() or 1 / 0)
    assert set(tree(tmp_path / "out")) == {"1.png", MANIFEST}
