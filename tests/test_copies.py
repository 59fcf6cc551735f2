"""Which files among the photos are protected copies, and that whatever lies beside them is no less a photo."""

import hashlib
import json
from pathlib import Path

import pytest
from test_listing import line_of_ours, listed, touch

from faceguard.copies import copies_among
from faceguard.errors import DataError
from faceguard.listing import list_photos
from faceguard.manifest import MANIFEST


def line_of_content(output: str, content: bytes) -> str:
    return json.dumps(json.loads(line_of_ours(output)) | {"sha256_out": hashlib.sha256(content).hexdigest()}) + "\n"


def test_originals_beside_copies_in_a_folder_inside_are_photos_and_the_copies_are_passed_over_and_said(
    tmp_path: Path,
) -> None:
    touch(
        tmp_path, "anna/one.jpg", "anna/one.png", "anna/two.jpg", "anna/deep/old.png", "anna/deep/new.jpg", "ben/3.jpg"
    )
    (tmp_path / "anna" / MANIFEST).write_text(line_of_ours("one.png") + line_of_ours("deep/old.png"))
    said: list[Path] = []
    found = listed(list_photos(tmp_path, passed_over=said.append))
    assert found == [
        *((f"anna/{name}", "anna") for name in ("deep/new.jpg", "one.jpg", "two.jpg")),
        ("ben/3.jpg", "ben"),
    ]
    assert said == [tmp_path / "anna"]


def test_a_folder_whose_copies_were_moved_away_is_not_said_to_hold_any(tmp_path: Path) -> None:
    touch(tmp_path, "anna/one.jpg", "anna/two.png")
    (tmp_path / "anna" / MANIFEST).write_text(line_of_ours("one.png"))
    found = list_photos(tmp_path, passed_over=lambda folder: pytest.fail(f"{folder} is said to hold copies"))
    assert listed(found) == [("anna/one.jpg", "anna"), ("anna/two.png", "anna")]


def test_a_copy_that_was_moved_to_another_folder_inside_is_known_by_its_content(tmp_path: Path) -> None:
    touch(tmp_path, "a/out/deep/1.png", "b/1.jpg")
    (tmp_path / "b" / "moved.png").write_bytes(b"copy")
    (tmp_path / "a" / "out" / MANIFEST).write_text(line_of_ours("deep/1.png") + line_of_content("2.png", b"copy"))
    said: list[Path] = []
    assert listed(list_photos(tmp_path, passed_over=said.append)) == [("b/1.jpg", "b")]
    assert said == [tmp_path, tmp_path / "a" / "out"]


def test_copies_that_came_back_among_the_photos_are_known_by_the_manifest_of_the_output_folder(tmp_path: Path) -> None:
    touch(tmp_path, "photos/a.jpg", "photos/b.jpg", "out/a.png")
    (tmp_path / "photos" / "back.png").write_bytes(b"copy")
    (tmp_path / "out" / MANIFEST).write_text(line_of_content("a.png", b"copy"))
    said: list[Path] = []
    found = list_photos(tmp_path / "photos", out=tmp_path / "out", passed_over=said.append)
    assert listed(found) == [("a.jpg", "photos"), ("b.jpg", "photos")] and said == [tmp_path / "photos"]
    assert len(list_photos(tmp_path / "photos", out=tmp_path / "out", copies=True)) == 3
    with pytest.raises(DataError, match=r"back\.png is a protected copy .*; name the original\."):
        list_photos(tmp_path / "photos" / "back.png", out=tmp_path / "out")


def test_a_line_about_a_file_outside_its_folder_makes_no_photo_a_copy(tmp_path: Path) -> None:
    touch(tmp_path, "photos/a.jpg", "photos/b/1.jpg", "out/x.png")
    for line in (line_of_ours(str(tmp_path / "photos" / "a.jpg")), line_of_ours("../photos/a.jpg")):
        (tmp_path / "out" / MANIFEST).write_text(line)
        (tmp_path / "photos" / "b" / MANIFEST).write_text(line.replace("../photos", ".."))
        assert len(list_photos(tmp_path / "photos", out=tmp_path / "out")) == 2


def test_folders_may_be_named_from_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "anna/one.jpg", "anna/one.png")
    (tmp_path / "anna" / MANIFEST).write_text(line_of_ours("one.png"))
    for here, name, folder in ((".", ".", "anna"), ("anna", ".", "."), ("anna", "..", "../anna")):
        monkeypatch.chdir(tmp_path / here)
        said: list[Path] = []
        assert [job.source.name for job in list_photos(Path(name), passed_over=said.append)] == ["one.jpg"]
        assert said == [Path(folder)]
    assert copies_among(Path("../anna"), [Path("../anna/one.png"), Path("../anna/one.jpg")]) == {
        Path("../anna/one.png")
    }
