"""Photos in, protected photos and a manifest out; a bad photo never stops the others."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from test_colour_profile import KEPT

from faceguard import photo, protect
from faceguard.bank import NoiseBank
from faceguard.batch import ProtectReport, Rerun, protect_photos
from faceguard.faces import add_levels, alignment, crop, noise_levels
from faceguard.finder import find
from faceguard.listing import PhotoJob, list_photos
from faceguard.manifest import MANIFEST, PhotoResult
from faceguard.protect import Protection

ROWS = {"anna": 0, "ben": 1}


def make_bank(levels: float = 16, size: int = 112, rows: torch.Tensor | None = None) -> NoiseBank:
    if rows is None:
        coarse = torch.randint(-127, 128, (2, 3, 14, 14), generator=torch.Generator().manual_seed(0)).float()
        rows = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bilinear").round().to(torch.int8)
    return NoiseBank(rows=rows, identities=("x", "y"), epsilon=levels / 255, form="class-wise", seed=0)


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return np.asarray(skimage.data.astronaut())


def save(pixels: np.ndarray, path: Path, **settings: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **settings)
    return path


def face(seed: int = 0, size: int = 112) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def lines(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / MANIFEST).read_text().splitlines()]


def run(
    source: Path,
    out: Path,
    identity: str | None = "anna",
    rows: dict[str, int] = ROWS,
    rerun: Rerun = "refuse",
    **how: Any,
) -> ProtectReport:
    options = Protection(**{"bank": make_bank(), **how})
    return protect_photos(list_photos(source, identity, out=out), out, options, rows=rows, rerun=rerun)


def test_a_jpeg_photo_comes_back_as_png_with_noise_on_the_face_alone(tmp_path: Path, astronaut: np.ndarray) -> None:
    source = save(astronaut, tmp_path / "anna" / "me.jpg", quality=92)
    report = run(source, tmp_path / "out", identity=None)
    (result,) = report.results
    assert report.complete and (result.status, result.output, result.faces) == ("protected", "me.png", 1)
    before, after = photo.read(source).pixels, photo.read(tmp_path / "out" / "me.png").pixels
    change = after.astype(int) - before
    assert result.max_change == np.abs(change).max() <= 16
    assert change.any() and not change[:20].any() and not change[250:].any() and not change[:, 320:].any()
    assert result.psnr is not None and result.psnr > 35 and result.ssim is not None and 0.9 < result.ssim < 1


def test_the_noise_lies_where_a_recognizer_will_look_for_it(tmp_path: Path, astronaut: np.ndarray) -> None:
    source = save(astronaut, tmp_path / "me.png")
    run(source, tmp_path / "out")
    matrix = alignment(find(astronaut)[0].landmarks)
    after = crop(photo.read(tmp_path / "out" / "me.png").pixels, matrix)
    change = after.astype(float) - crop(astronaut, matrix)
    row = make_bank().delta(0).permute(1, 2, 0).numpy()
    assert np.corrcoef(change.ravel(), row.ravel())[0, 1] > 0.9


def test_the_manifest_says_what_was_done(tmp_path: Path) -> None:
    for name in ("anna/1.png", "anna/2.jpg", "ben/1.png"):
        save(face(len(name)), tmp_path / "in" / name)
    report = run(tmp_path / "in", tmp_path / "out", identity=None)
    written = lines(tmp_path / "out")
    assert [PhotoResult(**line) for line in written] == list(report.results)
    assert [line["source"] for line in written] == ["anna/1.png", "anna/2.jpg", "ben/1.png"]
    assert [line["output"] for line in written] == ["anna/1.png", "anna/2.png", "ben/1.png"]
    assert [line["row"] for line in written] == [0, 0, 1]
    for line in written:
        for side, folder, name in (("in", "in", line["source"]), ("out", "out", line["output"])):
            data = (tmp_path / folder / str(name)).read_bytes()
            assert line[f"sha256_{side}"] == hashlib.sha256(data).hexdigest()
    assert str(tmp_path) not in (tmp_path / "out" / MANIFEST).read_text()


def test_an_aligned_face_takes_its_row_as_it_is(tmp_path: Path) -> None:
    source = save(face(), tmp_path / "1.png")
    run(source, tmp_path / "out")
    row = make_bank().delta(0).permute(1, 2, 0).numpy()
    expected = add_levels(face(), noise_levels(row, 16 / 255))
    assert np.array_equal(photo.read(tmp_path / "out" / "1.png").pixels, expected)


def test_a_bad_photo_never_stops_the_batch(tmp_path: Path) -> None:
    folder = tmp_path / "anna"
    save(face(1), folder / "1.png")
    (folder / "2.jpg").write_text("not a photo")
    (folder / "3.jpg").touch()
    (folder / "4.heic").write_bytes(b"\x00\x00\x00\x18ftypheic")
    save(np.full((60, 80, 3), 128, dtype=np.uint8), folder / "5.png")
    save(face(6), folder / "6.png")
    seen: list[PhotoResult] = []
    report = protect_photos(
        list_photos(folder), tmp_path / "out", Protection(bank=make_bank()), rows=ROWS, progress=seen.append
    )
    assert tuple(seen) == report.results and not report.complete
    assert [result.source for result in report.protected] == ["1.png", "6.png"]
    assert [result.source for result in report.failed] == ["2.jpg", "3.jpg", "4.heic", "5.png"]
    assert all(result.reason and result.source in result.reason for result in report.failed)
    assert str(tmp_path) not in (tmp_path / "out" / MANIFEST).read_text()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["1.png", "6.png", MANIFEST]


def test_a_photo_without_a_face_is_reported_and_not_written(tmp_path: Path) -> None:
    source = save(np.full((60, 80, 3), 128, dtype=np.uint8), tmp_path / "sky.png")
    (result,) = run(source, tmp_path / "out").results
    assert (result.status, result.faces, result.output) == ("failed", 0, None)
    assert result.reason is not None and result.reason.startswith("No face was found. Nothing was written for sky.png")
    assert not (tmp_path / "out" / "sky.png").exists()


def test_two_photos_that_differ_in_their_ending_both_survive(tmp_path: Path) -> None:
    save(face(1), tmp_path / "in" / "a.jpg")
    save(face(2), tmp_path / "in" / "a.png")
    report = run(tmp_path / "in", tmp_path / "out")
    assert [result.output for result in report.results] == ["a.jpg.png", "a.png"] and report.complete


def test_photos_already_protected_inside_the_folder_are_not_read_again(tmp_path: Path) -> None:
    save(face(), tmp_path / "in" / "1.png")
    run(tmp_path / "in", tmp_path / "in" / "out")
    assert [job.relative.as_posix() for job in list_photos(tmp_path / "in")] == ["1.png"]
    report = run(tmp_path / "in", tmp_path / "in" / "out", rerun="resume")
    assert [result.source for result in report.results] == ["1.png"]


def test_every_face_takes_the_noise_when_all_are_asked_for(tmp_path: Path, astronaut: np.ndarray) -> None:
    pair = np.concatenate([astronaut, astronaut[:, ::-1]], axis=1)
    jobs = list_photos(save(pair, tmp_path / "pair.png"), "anna")
    for which, halves in (("largest", 1), ("all", 2)):
        out = tmp_path / which
        (result,) = protect_photos(jobs, out, Protection(bank=make_bank(), faces=which), rows=ROWS).results
        changed = photo.read(out / "pair.png").pixels != pair
        assert result.faces == 2 and sum(bool(half.any()) for half in np.split(changed, 2, axis=1)) == halves
        left = "1 more face in it got no noise; --faces all gives it to every face."
        assert result.reason == (left if which == "largest" else None)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_gray_photo_is_protected_with_a_note_that_its_noise_has_colours(
    tmp_path: Path, astronaut: np.ndarray, mode: str
) -> None:
    gray = np.asarray(Image.fromarray(astronaut).convert("L").convert(mode))
    save(astronaut, tmp_path / "in" / "colour.png"), save(gray, tmp_path / "in" / "gray.png")
    colour, noted = run(tmp_path / "in", tmp_path / "out").results
    assert noted.status == "protected" and "It was gray and its noise has colours" in str(noted.reason)
    assert colour.reason is None


def test_alpha_and_colour_profile_survive_protection(tmp_path: Path) -> None:
    alpha = face()[..., 0]
    photo.write(photo.Photo(pixels=face(), alpha=alpha, icc=KEPT), tmp_path / "1.png")
    run(tmp_path / "1.png", tmp_path / "out")
    back = photo.read(tmp_path / "out" / "1.png")
    assert back.alpha is not None and np.array_equal(back.alpha, alpha) and back.icc == KEPT


def test_a_file_that_breaks_the_budget_is_removed_and_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protect, "add_to_faces", lambda pixels, *rest: pixels + np.uint8(17))
    source = save(np.full((112, 112, 3), 50, dtype=np.uint8), tmp_path / "1.png")
    (result,) = run(source, tmp_path / "out").results
    assert result.status == "failed" and result.reason is not None and "17 levels, more than 16" in result.reason
    assert not (tmp_path / "out" / "1.png").exists()


def test_a_photo_that_would_carry_no_noise_is_not_passed_off_as_protected(tmp_path: Path) -> None:
    empty = make_bank(rows=torch.zeros((2, 3, 112, 112), dtype=torch.int8))
    (result,) = run(save(face(), tmp_path / "1.png"), tmp_path / "out", bank=empty).results
    assert result.status == "failed" and result.reason is not None and "no noise at all" in result.reason
    assert not (tmp_path / "out" / "1.png").exists()


def test_a_photo_that_vanishes_meanwhile_fails_alone(tmp_path: Path) -> None:
    gone = PhotoJob(source=tmp_path / "gone.jpg", relative=Path("gone.jpg"), identity="anna")
    jobs = [gone, *list_photos(save(face(), tmp_path / "1.png"), "ben")]
    report = protect_photos(jobs, tmp_path / "out", Protection(bank=make_bank()), rows=ROWS)
    assert [result.status for result in report.results] == ["failed", "protected"]


def test_the_same_photo_gives_the_same_bytes(tmp_path: Path, astronaut: np.ndarray) -> None:
    source = save(astronaut, tmp_path / "me.jpg")
    run(source, tmp_path / "first")
    run(source, tmp_path / "second")
    assert (tmp_path / "first" / "me.png").read_bytes() == (tmp_path / "second" / "me.png").read_bytes()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    levels=st.integers(1, 32),
    place=st.tuples(st.integers(0, 60), st.integers(0, 60)),
    form=st.sampled_from(["PNG", "JPEG"]),
)
def test_whatever_the_photo_the_budget_holds_and_the_rest_is_byte_identical(
    tmp_path_factory: pytest.TempPathFactory, astronaut: np.ndarray, levels: int, place: tuple[int, int], form: str
) -> None:
    folder = tmp_path_factory.mktemp("property")
    scene = face(levels, 256)
    scene[place[0] : place[0] + 180, place[1] : place[1] + 180] = astronaut[30:210, 130:310]
    buffer = io.BytesIO()
    Image.fromarray(scene).save(buffer, format=form)
    (folder / "scene").with_suffix(".png" if form == "PNG" else ".jpg").write_bytes(buffer.getvalue())
    (job,) = list_photos(folder, "anna")
    (result,) = protect_photos([job], folder / "out", Protection(bank=make_bank(levels)), rows=ROWS).results
    assert result.status == "protected"
    before, after = photo.read(job.source).pixels, photo.read(folder / "out" / "scene.png").pixels
    change = np.abs(after.astype(int) - before)
    assert 0 < change.max() == result.max_change <= levels
    matrix = alignment(find(before)[0].landmarks)
    y, x = np.mgrid[:256, :256]
    u, v = (matrix[row, 0] * x + matrix[row, 1] * y + matrix[row, 2] for row in (0, 1))
    outside = (np.minimum(u, v) < -2.05) | (np.maximum(u, v) > 113.05)
    assert outside.any() and not change[outside].any()


def test_real_photos_all_have_a_face_and_keep_the_budget(real_data: Path, tmp_path: Path) -> None:
    jobs = list_photos(real_data / "photos")[::12]
    rows = {job.identity: index % 2 for index, job in enumerate(jobs)}
    report = protect_photos(jobs, tmp_path / "out", Protection(bank=make_bank()), rows=rows)
    assert report.complete and len(report.protected) == len(jobs) > 5
    assert all(result.max_change is not None and result.max_change <= 16 for result in report.results)
