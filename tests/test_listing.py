"""Which photos a folder holds, whose they are, and where each one goes."""

import hashlib
import json
import os
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceguard.errors import DataError
from faceguard.listing import PhotoJob, list_photos, output_names


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def listed(jobs: list[PhotoJob]) -> list[tuple[str, str]]:
    return [(job.relative.as_posix(), job.identity) for job in jobs]


def named(*names: str) -> list[str]:
    jobs = [PhotoJob(source=Path(name), relative=Path(name), identity="anna") for name in names]
    return [path.as_posix() for path in output_names(jobs)]


def test_a_flat_folder_belongs_to_the_person_it_is_named_after(tmp_path: Path) -> None:
    touch(tmp_path / "anna", "b.PNG", "a.jpg", "c.heic")
    assert listed(list_photos(tmp_path / "anna")) == [("a.jpg", "anna"), ("b.PNG", "anna"), ("c.heic", "anna")]


def test_a_folder_per_identity_names_them_at_any_depth(tmp_path: Path) -> None:
    touch(tmp_path, "anna/1.jpg", "anna/2019/summer/2.jpg", "ben/1.jpg")
    found = listed(list_photos(tmp_path))
    assert found == [("anna/1.jpg", "anna"), ("anna/2019/summer/2.jpg", "anna"), ("ben/1.jpg", "ben")]


def test_a_given_identity_owns_every_photo(tmp_path: Path) -> None:
    touch(tmp_path, "x/1.jpg", "2.jpg")
    assert {identity for _, identity in listed(list_photos(tmp_path, "carla"))} == {"carla"}
    assert listed(list_photos(tmp_path / "2.jpg", "carla")) == [("2.jpg", "carla")]


def test_a_single_file_belongs_to_its_folder(tmp_path: Path) -> None:
    touch(tmp_path, "anna/1.jpg")
    (job,) = list_photos(tmp_path / "anna" / "1.jpg")
    assert (job.source, job.relative, job.identity) == (tmp_path / "anna" / "1.jpg", Path("1.jpg"), "anna")


def test_hidden_files_other_files_and_the_output_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "a/.2.jpg", ".thumbs/3.jpg", "a/notes.txt", "out/1.png", "out/a/2.png", "manifest.jsonl")
    assert listed(list_photos(tmp_path, out=tmp_path / "a" / ".." / "out")) == [("a/1.jpg", "a")]
    assert len(list_photos(tmp_path)) == 3


def test_every_other_file_among_the_photos_is_told_of_unless_it_is_not_worth_a_word(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "a/1.mov", "notes.TXT", "a/deep/scan", "out/2.txt")
    touch(tmp_path, "a/1.dng", "a/2.psd", "a/.DS_Store", "a/Thumbs.db", "Desktop.ini", "manifest.jsonl", ".git/config")
    touch(tmp_path, "check-report/check.html", "check-report/check.json")
    told: list[Path] = []
    jobs = list_photos(tmp_path, out=tmp_path / "out", not_looked_at=told.append)
    assert [name for name, _ in listed(jobs)] == ["a/1.jpg", "a/2.psd"]
    assert sorted(told) == [tmp_path / "a" / "1.mov", tmp_path / "a" / "deep" / "scan", tmp_path / "notes.TXT"]


def test_a_raw_file_is_named_unless_the_same_photo_lies_beside_it_in_a_format_that_is_read(tmp_path: Path) -> None:
    touch(tmp_path / "anna", "1.dng", "2.NEF", "2.jpg", "3.jxl", "other/2.cr2")
    jobs = {job.relative.as_posix(): job.problem for job in list_photos(tmp_path / "anna")}
    assert set(jobs) == {"1.dng", "2.jpg", "3.jxl", "other/2.cr2"} and jobs["2.jpg"] is None
    assert "kind .dng are not read here; export the photo as JPEG or PNG" in str(jobs["1.dng"])


def line_of_ours(output: str | None) -> str:
    known = {"source": "1.jpg", "status": "protected", "reason": None, "identity": "a", "row": 0}
    return json.dumps(known | {"output": output}) + "\n"


def test_a_folder_of_protected_copies_is_passed_over_at_any_depth_and_said(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.jpg", "a/out/1.png", "a/out/deep/2.png", "b/1.jpg", "c/1.jpg", "d/1.jpg", "e/1.jpg")
    copies = line_of_ours("1.png") + line_of_ours("deep/2.png")
    for folder, text in (("a/out", copies), ("b", "not ours"), ("c", ""), ("d", line_of_ours(None))):
        (tmp_path / folder / "manifest.jsonl").write_text(text)
    os.mkfifo(tmp_path / "e" / "manifest.jsonl")
    said: list[Path] = []
    found = listed(list_photos(tmp_path, passed_over=said.append))
    assert found == [(f"{name}/1.jpg", name) for name in "abcde"]
    assert said == [tmp_path / "a" / "out"]
    assert ("a/out/deep/2.png", "a") in listed(list_photos(tmp_path, copies=True))
    assert listed(list_photos(tmp_path / "a" / "out", copies=True)) == [("1.png", "out"), ("deep/2.png", "deep")]


def test_copies_beside_originals_are_passed_over_by_place_and_by_content(tmp_path: Path) -> None:
    touch(tmp_path, "d/me.jpg", "d/me.png", "d/a/other.png", "d/a/1.jpg", "e/new.jpg")
    (tmp_path / "d" / "a" / "other.png").write_bytes(b"copy")
    (tmp_path / "e" / "new.jpg").write_bytes(b"original")
    renamed = json.loads(line_of_ours("a/old.png")) | {"sha256_out": hashlib.sha256(b"copy").hexdigest()}
    (tmp_path / "d" / "manifest.jsonl").write_text(line_of_ours("me.png") + json.dumps(renamed) + "\n")
    said: list[Path] = []
    assert listed(list_photos(tmp_path / "d", passed_over=said.append)) == [("a/1.jpg", "a"), ("me.jpg", "d")]
    assert said == [tmp_path / "d"]
    assert listed(list_photos(tmp_path / "d" / "a")) == [("1.jpg", "a")]
    assert listed(list_photos(tmp_path / "d" / "me.jpg")) == [("me.jpg", "d")]
    assert listed(list_photos(tmp_path / "e")) == [("new.jpg", "e")]


def test_a_copy_or_a_folder_of_copies_is_refused_by_its_name(tmp_path: Path) -> None:
    touch(tmp_path, "out/a/1.png")
    (tmp_path / "out" / "manifest.jsonl").write_text(line_of_ours("a/1.png"))
    for source in ("out", "out/a"):
        with pytest.raises(DataError, match=r"holds only protected copies .*; name the folder of the originals"):
            list_photos(
                tmp_path / source, passed_over=lambda folder: pytest.fail(f"{folder} is said to be passed over")
            )
    with pytest.raises(DataError, match=r"1\.png is a protected copy .*; name the original\."):
        list_photos(tmp_path / "out" / "a" / "1.png")


def test_copies_alone_are_nothing_to_protect(tmp_path: Path) -> None:
    touch(tmp_path, "out/1.png")
    (tmp_path / "out" / "manifest.jsonl").write_text("torn\n" + line_of_ours("1.png"))
    with pytest.raises(DataError, match=r"holds only protected copies .*; name the folder of the originals"):
        list_photos(tmp_path)


def test_one_folder_cannot_be_input_and_output(tmp_path: Path) -> None:
    touch(tmp_path, "1.jpg")
    with pytest.raises(DataError, match="both input and output"):
        list_photos(tmp_path, out=tmp_path)


def test_nothing_to_protect_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "notes.txt")
    with pytest.raises(DataError, match="holds no photos"):
        list_photos(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        list_photos(tmp_path / "nowhere")


def test_a_path_that_cannot_be_looked_at_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be opened \(File name too long\); check the path"):
        list_photos(tmp_path / ("a" * 300))


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    touch(tmp_path, "1.jpg")
    monkeypatch.setattr("os.scandir", denied)
    with pytest.raises(DataError, match="cannot be listed"):
        list_photos(tmp_path)


@pytest.mark.parametrize(
    ("names", "outputs"),
    [
        (["a.jpg", "b/a.jpg"], ["a.png", "b/a.png"]),
        (["a.jpg", "a.png"], ["a.jpg.png", "a.png"]),
        (["a.jpeg", "a.jpg"], ["a.jpeg.png", "a.jpg.png"]),
        (["a.jpg", "a.jpg.png", "a.png"], ["a.jpg.png.png", "a.jpg.png", "a.png"]),
        (["A.JPG", "a.Png"], ["A.JPG.png", "a.Png"]),
        (["A.png", "a.png"], ["A.png", "a.png.png"]),
        (["\u00e9.jpg", "e\u0301.png"], ["\u00e9.jpg.png", "e\u0301.png"]),
        (["my.holiday.jpg"], ["my.holiday.png"]),
    ],
)
def test_outputs_keep_their_names_unless_two_would_collide(names: list[str], outputs: list[str]) -> None:
    assert named(*names) == outputs


@given(st.lists(st.from_regex(r"[aA](\.png|\.PNG|\.jpg|\.Jpg|\.webp){1,3}", fullmatch=True), unique=True, max_size=8))
def test_no_two_photos_ever_share_an_output(names: list[str]) -> None:
    outputs = named(*names)
    assert len({output.lower() for output in outputs}) == len(names)
    assert all(PurePosixPath(output).suffix.lower() in (".png", ".webp") for output in outputs)


def test_links_out_of_the_folder_and_to_folders_are_jobs_with_a_problem(tmp_path: Path) -> None:
    touch(tmp_path, "outside/secret.jpg", "in/a.jpg", "in/deep/b.jpg")
    (tmp_path / "in" / "out.jpg").symlink_to(tmp_path / "outside" / "secret.jpg")
    (tmp_path / "in" / "same.jpg").symlink_to(tmp_path / "in" / "a.jpg")
    (tmp_path / "in" / "album").symlink_to(tmp_path / "outside")
    problems = {job.relative.as_posix(): job.problem for job in list_photos(tmp_path / "in")}
    assert {name for name, problem in problems.items() if problem is None} == {"a.jpg", "deep/b.jpg", "same.jpg"}
    assert "leads out of the folder" in problems["out.jpg"] and "link to a folder" in problems["album"]


def test_a_folder_that_cannot_be_listed_is_a_job_with_a_problem_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "locked/a.jpg", "open/b.jpg")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if Path(path).name in refused:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    refused = {"locked"}
    found = {job.relative.as_posix(): job.problem for job in list_photos(tmp_path)}
    assert found == {"locked": found["locked"], "open/b.jpg": None}
    assert "cannot be listed (Permission denied)" in found["locked"]
    refused = {tmp_path.name}
    with pytest.raises(DataError, match="cannot be listed"):
        list_photos(tmp_path)


def test_lossless_formats_keep_their_ending_and_jpeg_does_when_a_quality_is_given() -> None:
    assert named("a.webp", "b.TIF", "c.png", "d.jpg", "e.heic") == ["a.webp", "b.TIF", "c.png", "d.png", "e.png"]
    jobs = [PhotoJob(source=Path(n), relative=Path(n), identity="anna") for n in ("a.JPG", "b.heic", "a.png")]
    assert [p.as_posix() for p in output_names(jobs, quality=95)] == ["a.JPG", "b.png", "a.png"]
    assert [p.as_posix() for p in output_names(jobs, "webp")] == ["a.JPG.webp", "b.webp", "a.png.webp"]


def test_celebas_layout_is_refused_because_its_folders_are_no_people(tmp_path: Path) -> None:
    touch(tmp_path, "img_align_celeba/000001.jpg", "img_align_celeba/000002.jpg")
    (tmp_path / "identity_CelebA.txt").write_text("000001.jpg 1\n000002.jpg 2\n")
    for source in (tmp_path, tmp_path / "img_align_celeba"):
        with pytest.raises(DataError, match="put each person's photos into a folder of its own first"):
            list_photos(source)
