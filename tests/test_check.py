"""Originals and copies: what protect wrote passes, and every injected fault is found, with its number."""

import json
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from faceguard import photo
from faceguard.bank import NoiseBank
from faceguard.batch import protect_photos
from faceguard.check import CheckReport, PhotoCheck, check_photos
from faceguard.errors import DataError
from faceguard.faces import add_levels, noise_levels
from faceguard.listing import list_photos
from faceguard.manifest import MANIFEST
from faceguard.protect import Protection
from faceguard.quality import quality
from tests.test_protect import face, make_bank, save

BANK = make_bank()


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    return np.asarray(skimage.data.astronaut())[:300, 80:380]


class Folders:
    """Originals and what protect made of them; ``row`` 1 throughout."""

    def __init__(self, root: Path, **photos: np.ndarray) -> None:
        self.originals, self.protected = root / "in", root / "out"
        for name, pixels in photos.items():
            save(pixels, self.originals / f"{name}.png")
        jobs = list_photos(self.originals, "anna")
        assert protect_photos(jobs, self.protected, Protection(bank=BANK), rows={"anna": 1}).complete

    def check(self, bank: NoiseBank = BANK) -> CheckReport:
        return check_photos(self.originals, self.protected, bank=bank)

    def alter(self, name: str, place: tuple[int, ...], value: int) -> None:
        pixels = photo.read(self.protected / name).pixels
        pixels[place] = value
        save(pixels, self.protected / name)

    def amend(self, **fields: object) -> str:
        """Append the manifest's first line again with other values."""
        first = json.loads((self.protected / MANIFEST).read_text().splitlines()[0])
        with (self.protected / MANIFEST).open("a") as file:
            file.write(line := json.dumps(first | fields) + "\n")
        return line


def test_what_protect_wrote_passes_with_the_numbers_as_measured_here(tmp_path: Path, scene: np.ndarray) -> None:
    folders = Folders(tmp_path, me=scene, aligned=face())
    report = folders.check()
    aligned, me = report.photos
    assert report.complete and report.unmatched == () and report.budget == 16
    for check, before in ((aligned, face()), (me, scene)):
        measured = quality(before, photo.read(folders.protected / check.source).pixels)
        assert (check.status, check.reason, check.output) == ("protected", None, check.source)
        assert (check.max_change, check.psnr, check.ssim) == (measured.max_change, measured.psnr, measured.ssim)
        assert (check.row, check.row_from, check.budget_kept, check.changed_outside) == (1, "manifest", True, 0)
    change = photo.read(folders.protected / "aligned.png").pixels.astype(float) - face()
    expected = np.corrcoef(change.ravel(), BANK.delta(1).permute(1, 2, 0).numpy().ravel())[0, 1]
    assert aligned.noise_kept == pytest.approx(expected, abs=1e-9) and expected > 0.9
    assert me.noise_kept is not None and me.noise_kept > 0.9
    assert report.median_noise_kept == pytest.approx((aligned.noise_kept + me.noise_kept) / 2)
    assert me.face is not None and aligned.face is None
    left, top, right, bottom = me.face
    changed = (photo.read(folders.protected / "me.png").pixels != scene).any(axis=-1)
    assert 0 < changed.sum() == changed[top:bottom, left:right].sum()
    assert (right - left) * (bottom - top) < changed.size / 2


def test_pixels_changed_outside_the_face_are_counted(tmp_path: Path, scene: np.ndarray) -> None:
    folders = Folders(tmp_path, me=scene)
    for place in ((-1, 0, 0), (-1, 0, 1), (-1, 1, 2)):  # two colours of one pixel, one of another
        folders.alter("me.png", place, int(scene[place]) ^ 1)
    (check,) = folders.check().photos
    assert (check.status, check.changed_outside, check.budget_kept) == ("protected", 2, True)
    assert check.reason is not None and check.reason.startswith("2 pixels outside the faces changed")


@pytest.mark.parametrize(("levels", "status"), [(16, "protected"), (17, "over budget")])
def test_one_level_over_the_budget_is_found(tmp_path: Path, levels: int, status: str) -> None:
    folders = Folders(tmp_path, one=np.full((112, 112, 3), 100, dtype=np.uint8), two=face())
    folders.alter("one.png", (5, 7, 2), 100 - levels)
    check = (report := folders.check()).photos[0]
    assert (check.status, check.max_change, check.budget_kept) == (status, levels, levels == 16)
    assert check.noise_kept is not None and check.noise_kept > 0.9
    assert report.complete == (levels == 16) and report.max_change == levels
    reason = "It changed by 17 levels, more than 16. It was saved with loss, or altered since."
    assert check.reason == (reason if levels == 17 else None)


def test_swapped_copies_are_over_budget_and_without_their_noise(tmp_path: Path) -> None:
    folders = Folders(tmp_path, one=face(1), two=face(2), zero=face(3))
    one, two = (folders.protected / name for name in ("one.png", "two.png"))
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)
    checks = folders.check().photos
    assert [check.status for check in checks] == ["over budget", "over budget", "protected"]
    for check in checks[:2]:
        assert abs(check.noise_kept or 0) < 0.1 and "is it this photo's copy" in (check.reason or "")


def test_a_copy_that_is_the_original_is_without_noise(tmp_path: Path, scene: np.ndarray) -> None:
    folders = Folders(tmp_path, aligned=face(), me=scene)
    for name, pixels in (("aligned", face()), ("me", scene)):
        save(pixels, folders.protected / f"{name}.png")
    for check in folders.check().photos:
        assert (check.status, check.max_change, check.noise_kept) == ("without noise", 0, None)
        assert check.reason == "Nothing in it was changed; protect it again."


def test_a_small_change_that_is_no_noise_does_not_pass_for_it(tmp_path: Path, scene: np.ndarray) -> None:
    folders = Folders(tmp_path, aligned=face(), me=scene, other=face(2))
    random = np.random.default_rng(0).uniform(-16 / 255, 16 / 255, face().shape)
    save(add_levels(face(), noise_levels(random, 16 / 255)), folders.protected / "aligned.png")
    save(scene, folders.protected / "me.png")
    folders.alter("me.png", (-1, 0, 0), int(scene[-1, 0, 0]) ^ 1)
    aligned, me, other = folders.check().photos
    assert (aligned.status, me.status, other.status) == ("without noise", "without noise", "protected")
    assert aligned.reason is not None and "not row 1's noise" in aligned.reason
    assert me.reason == "No face that carries a change was found in it." and me.changed_outside == 1
    another_bank = make_bank(rows=BANK.rows.flip(-1))
    assert folders.check(another_bank).counts["without noise"] == 3


def test_missing_copies_and_copies_without_an_original_are_both_listed(tmp_path: Path) -> None:
    folders = Folders(tmp_path, one=face(1), two=face(2))
    (folders.protected / "one.png").rename(folders.protected / "stranger.png")
    for name in ("failed.png", "zero.png"):
        save(face(3), folders.originals / name)
    save(face(3), folders.protected / "failed.png")  # what an earlier run left
    folders.amend(source="failed.png", status="failed", output=None, reason="No face was found.")
    report = folders.check()
    assert [check.status for check in report.photos] == ["missing", "missing", "protected", "missing"]
    assert [check.output for check in report.photos] == [None, "one.png", "two.png", None]
    assert report.photos[0].reason == "It was not protected: No face was found."
    assert report.photos[1].reason == "The manifest names one.png, and there is no such photo; protect it again."
    assert report.unmatched == ("failed.png", "stranger.png") and not report.complete
    for outside in ("../in/one.png", str(folders.originals / "one.png")):  # a manifest cannot lead out of its folder
        folders.amend(output=outside)
        assert folders.check().photos[1].status == "missing"


def test_bad_files_are_unreadable_and_never_stop_the_others_nor_name_a_folder(tmp_path: Path) -> None:
    folders = Folders(tmp_path, a=face(1), b=face(2), c=face(3), d=face(4), e=face(5))
    (folders.originals / "a.png").write_text("no photo")
    (folders.protected / "b.png").write_bytes((folders.protected / "b.png").read_bytes()[:500])
    (folders.protected / "c.png").rename(tmp_path / "elsewhere.png")
    (folders.protected / "c.png").symlink_to(tmp_path / "elsewhere.png")
    for folder in (folders.originals, folders.protected):
        save(face()[:8, :8], folder / "d.png")
    seen: list[tuple[PhotoCheck, int]] = []
    report = check_photos(folders.originals, folders.protected, bank=BANK, progress=lambda *done: seen.append(done))
    assert [check.status for check in report.photos] == [*["unreadable"] * 4, "protected"]
    for check, words in zip(report.photos, ("The original a.png", "The copy b.png", "The copy c.png"), strict=False):
        assert check.reason is not None and check.reason.startswith(words)
    assert "too small for SSIM" in (report.photos[3].reason or "")
    assert seen == [(check, 5) for check in report.photos]
    report.write(tmp_path / "check.json")
    assert str(tmp_path) not in (tmp_path / "check.json").read_text()


def test_a_scaled_copy_is_no_proof_of_the_budget_but_shows_its_noise(tmp_path: Path, scene: np.ndarray) -> None:
    folders = Folders(tmp_path, me=scene)
    copy = Image.open(folders.protected / "me.png").resize((200, 200), Image.Resampling.LANCZOS)
    save(np.asarray(copy), folders.protected / "me.png")
    (check,) = folders.check().photos
    assert (check.status, check.max_change, check.budget_kept) == ("another size", None, None)
    assert check.noise_kept is not None and check.noise_kept > 0.8
    assert check.reason is not None and "200 x 200 pixels and the original 300 x 300" in check.reason


def test_the_last_whole_line_wins_and_a_row_that_the_bank_lacks_is_looked_for(tmp_path: Path) -> None:
    folders = Folders(tmp_path, one=face())
    for row, row_from in ((0, "manifest"), *((bad, "correlation") for bad in (2, -1, None, "1")), (1, "manifest")):
        line = folders.amend(row=row)
        (check,) = folders.check().photos
        assert (check.row, check.row_from) == (row if row_from == "manifest" else 1, row_from)
        assert check.status == ("without noise" if row == 0 else "protected")
    with (folders.protected / MANIFEST).open("a") as file:
        file.write(line.replace("one.png", "gone.png")[:-30])
    assert folders.check().complete


@pytest.mark.parametrize("manifest", [False, True])
def test_copies_without_a_line_are_found_by_path_and_rows_by_correlation(tmp_path: Path, manifest: bool) -> None:
    folders = Folders(tmp_path, other=face(9))
    if not manifest:
        (folders.protected / MANIFEST).unlink()
    pairs = {"a.bmp": "a.bmp.png", "x/b.bmp": "x/b.png"} | {name: name for name in ("a.png", "other.png", "x/c.png")}
    for source in pairs.keys() - {"other.png"}:
        save(face(1), folders.originals / source)
        save(add_levels(face(1), BANK.levels(0)), folders.protected / pairs[source])
    for name in ("in/y/d.bmp", "in/y/d.webp", "out/y/d.png", "out/y/d.tif", "out/x/d.bmp"):  # which is whose?
        save(face(), tmp_path / name)
    report = folders.check()
    assert {check.source: check.output for check in report.photos} == pairs | {"y/d.bmp": None, "y/d.webp": None}
    assert report.unmatched == ("x/d.bmp", "y/d.png", "y/d.tif") and report.counts["protected"] == 5
    rows = {(check.row, check.row_from) for check in report.photos if check.output}
    assert rows == {(0, "correlation"), (1, "manifest" if manifest else "correlation")}


def test_two_files_are_a_pair_whatever_their_names_and_a_manifest_beside_them_counts(tmp_path: Path) -> None:
    folders = Folders(tmp_path, one=face())
    copy = folders.protected / "one.png"
    for name, row_from in (("one.png", "manifest"), ("other.png", "correlation")):
        copy = copy.rename(folders.protected / name)
        report = check_photos(folders.originals / "one.png", copy, bank=BANK)
        (check,) = report.photos
        assert report.complete and (check.source, check.output, check.row_from) == ("one.png", name, row_from)


def test_folders_that_cannot_be_compared_are_refused(tmp_path: Path) -> None:
    originals, inside = tmp_path / "in", tmp_path / "in" / "out"
    save(face(), originals / "1.png")
    for first, second, words in (
        (originals, inside, "name the folder that faceguard protect wrote"),
        (originals, originals, "named twice; name the originals first"),
        (tmp_path / "nowhere", originals, "does not exist"),
    ):
        with pytest.raises(DataError, match=words):
            check_photos(first, second, bank=BANK)
    inside.mkdir()  # empty: every photo is missing; and inside, so none of its photos is an original
    assert check_photos(originals, inside, bank=BANK).counts["missing"] == 1
    save(face(), inside / "1.png")
    assert check_photos(originals, inside, bank=BANK).counts["without noise"] == 1


def test_the_json_holds_everything_and_the_same_photos_give_the_same_bytes(tmp_path: Path) -> None:
    folders = Folders(tmp_path, one=face(1), two=face(2))
    save(face(2), folders.protected / "two.png")
    for name in ("1.json", "2.json"):
        folders.check().write(tmp_path / name)
    assert (tmp_path / "1.json").read_bytes() == (tmp_path / "2.json").read_bytes()
    content, (one, two) = json.loads((tmp_path / "1.json").read_text()), folders.check().photos
    counts = {"over budget": 0, "without noise": 1, "missing": 0, "unreadable": 0, "another size": 0, "protected": 1}
    assert content["counts"] == counts and (content["budget"], content["unmatched"]) == (16, [])
    assert content["median_noise_kept"] == one.noise_kept and content["max_change"] == one.max_change
    assert (
        content["photos"][0]["psnr"] == one.psnr and content["photos"][1]["psnr"] is None and two.psnr == float("inf")
    )
