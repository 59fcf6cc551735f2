"""Who names a part of what was protected gets the pairs of that part, and no word about the others."""

from pathlib import Path

import pytest
from PIL import Image
from rerunning import HOW, run, two  # noqa: F401

from faceguard.check import CheckReport, check_photos


def checked(originals: Path, out: Path) -> CheckReport:
    return check_photos(originals, out, bank=HOW.bank)


@pytest.mark.parametrize(("part", "photos"), [("", 4), ("alice", 2), ("alice/1.jpg", 1)])
def test_a_part_of_what_was_protected_is_checked_by_content(tmp_path: Path, two: Path, part: str, photos: int) -> None:
    run(two, tmp_path / "out")
    report = checked(two / part, tmp_path / "out")
    assert report.complete and len(report.photos) == photos and report.unmatched == ()
    assert {check.row_from for check in report.photos} == {"manifest"}


def test_one_file_of_a_flat_folder_asks_for_no_other_copy(tmp_path: Path, two: Path) -> None:
    run(two / "bob", tmp_path / "out")
    report = checked(two / "bob" / "1.jpg", tmp_path / "out")
    assert report.complete and report.unmatched == ()


@pytest.mark.parametrize(("part", "lost"), [("", "alice/1.jpg"), ("alice", "alice/1.jpg"), ("bob", None)])
def test_the_copy_of_an_original_that_is_gone_is_named_in_its_own_part_alone(
    tmp_path: Path, two: Path, part: str, lost: str | None
) -> None:
    run(two, tmp_path / "out")
    (two / "alice" / "1.jpg").unlink()
    report = checked(two / part, tmp_path / "out")
    assert report.complete and report.unmatched == (() if lost is None else ("alice/1.png",))


def test_a_copy_that_the_manifest_gives_to_one_original_is_no_other_ones(tmp_path: Path, two: Path) -> None:
    run(two / "bob", tmp_path / "out")
    Image.new("RGB", (60, 60)).save(two / "bob" / "1.png")
    named = {check.source: check.output for check in checked(two / "bob", tmp_path / "out").photos}
    assert named == {"1.jpg": "1.png", "1.png": None, "2.png": "2.png"}


def test_a_photo_that_changed_since_is_not_taken_for_another(tmp_path: Path, two: Path) -> None:
    run(two, tmp_path / "out")
    (two / "alice" / "1.jpg").write_bytes((two / "bob" / "1.jpg").read_bytes())
    (found,) = [check for check in checked(two / "alice", tmp_path / "out").photos if check.source == "1.jpg"]
    assert found.output == "bob/1.png" and found.status == "protected", "it is bob's very photo now"
    (two / "alice" / "1.jpg").write_bytes(b"\xff\xd8\xff nobody's")
    (found,) = [check for check in checked(two / "alice", tmp_path / "out").photos if check.source == "1.jpg"]
    assert found.status != "protected"
