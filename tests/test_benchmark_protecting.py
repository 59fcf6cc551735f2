"""The benchmark of protecting compares like with like, at a tiny scale; no test here depends on how fast anything is."""

import hashlib
import resource
from collections.abc import Sequence
from pathlib import Path
from time import process_time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks import __main__ as command
from benchmarks import protecting
from benchmarks.measure import Comparison, Times
from faceguard import finder
from faceguard.listing import PhotoJob

TINY = 0.1  # megapixels


@pytest.fixture
def detections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the detector searches: a hash of the pixels of every search."""
    seen: list[str] = []
    detect = finder._detect

    def recording(pixels: NDArray[np.uint8]) -> list[finder.FoundFace]:
        seen.append(hashlib.sha256(pixels.tobytes()).hexdigest())
        return detect(pixels)

    monkeypatch.setattr(finder, "_detect", recording)
    return seen


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, tuple[str, ...]]]:
    """In place of protecting photos: how many processes were to protect which of them; 20 ms of work for each."""
    asked: list[tuple[int, tuple[str, ...]]] = []

    def recording(jobs: Sequence[PhotoJob], out: Path, how: object, *, workers: int, **_: object) -> object:
        asked.append((workers, tuple(job.relative.as_posix() for job in jobs)))
        assert all(job.source.is_file() for job in jobs)
        end = process_time() + 0.02 * len(jobs)
        while process_time() < end:
            pass
        return SimpleNamespace(complete=True)

    monkeypatch.setattr(protecting, "protect_photos", recording)
    return asked


@pytest.mark.parametrize("megapixels", [0.5, 2.0, 12.0])
def test_a_photo_has_its_megapixels_and_one_face_of_a_fifth_of_its_height(megapixels: float) -> None:
    pixels = protecting.astronaut_photo(megapixels)
    height, width = pixels.shape[:2]
    assert height * width == pytest.approx(megapixels * 1e6, rel=2e-3)
    (face,) = finder.find(pixels)
    assert 0.18 < (face.box[3] - face.box[1]) / height < 0.26


@pytest.mark.parametrize("megapixels", [TINY, 2.0])
def test_both_sides_of_a_photo_search_the_same_pixels_and_write_the_same_bytes(
    tmp_path: Path, detections: list[str], megapixels: float
) -> None:
    whole, bare = protecting.photo_sides(protecting.write_photo(tmp_path / "photo.jpg", megapixels))
    detections.clear()
    whole()
    ours = list(detections)
    detections.clear()
    bare()
    assert detections == ours
    assert len(set(ours)) == len(ours) == (2 if megapixels == TINY else 4)  # large photos are searched twice each
    assert (tmp_path / "whole.png").read_bytes() == (tmp_path / "bare.png").read_bytes()


def test_a_photo_that_cannot_be_protected_stops_the_benchmark(tmp_path: Path) -> None:
    Image.new("RGB", (200, 200)).save(tmp_path / "empty.jpg")
    with pytest.raises(RuntimeError, match="No face was found"):
        protecting.photo_sides(tmp_path / "empty.jpg")


def test_a_photo_is_timed_and_counted_per_second() -> None:
    threads = torch.get_num_threads()
    time, rate = protecting.one_photo(TINY, repetitions=1)
    assert (time.unit, rate.unit) == ("s", "photos/s")
    assert [1 / seconds for seconds in time.measured] == rate.measured
    assert [1 / seconds for seconds in time.reference] == rate.reference
    assert (time.limit, rate.limit) == (None, None)
    assert torch.get_num_threads() == threads


def test_large_photos_alone_have_a_limit_which_is_that_of_an_own_share_of_15_percent() -> None:
    assert [protecting.share_limit(size) for size in (0.5, 2.0)] == [None, None]
    assert protecting.share_limit(12.0) == pytest.approx(100 / 85)


def test_one_and_two_processes_protect_the_same_photos(batches: list[tuple[int, tuple[str, ...]]]) -> None:
    found = protecting.two_processes(TINY, 1, 3, repetitions=2)
    names = tuple(f"astronaut/{number:06}.jpg" for number in range(3))
    turn = [(1, names[:1]), (2, names[:1]), (1, names), (2, names)]
    assert batches == [*turn, *turn, *reversed(turn)]
    assert found.limit == pytest.approx(1 / 1.7)
    assert len(found.measured) == len(found.reference) == 2


def test_a_batch_side_reports_the_time_of_its_processes(tmp_path: Path) -> None:
    jobs = protecting.copies([protecting.write_photo(tmp_path / "a.jpg", TINY)], tmp_path / "photos", 2)
    cpu: list[float] = []
    side = protecting.batch_side(jobs, tmp_path / "out", 1, cpu)
    side()
    side()
    assert len(cpu) == 2
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.png")) == ["000000.png", "000001.png"]


def test_the_start_up_is_what_few_and_many_photos_share() -> None:
    start, each = 5.0, 0.25
    few, many = (
        Times(wall=(start + n * each,) * 2, cpu=(2 * (start + n * each), 2 * (start + n * each + 1))) for n in (2, 10)
    )
    assert protecting.difference(many, few, 2) == Times(wall=(2.0, 2.0), cpu=(2.0, 2.0))


def test_aligned_faces_are_distinct_and_taken_as_they_are(tmp_path: Path) -> None:
    paths = protecting.write_aligned(tmp_path / "faces")
    assert len({path.read_bytes() for path in paths}) == 4
    assert {protecting._decoded(path).shape for path in paths} == {(112, 112, 3)}


def test_the_peak_is_that_of_a_new_process(tmp_path: Path) -> None:
    ballast = np.ones(2**27, dtype=np.uint64)  # 1 GB here; a child reports its parent's peak as its own ru_maxrss
    parents = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    peak = protecting.peak(protecting.write_aligned(tmp_path / "faces"), tmp_path / "few", 2)
    assert 50 < peak < parents - 100
    assert parents > ballast.nbytes / 1e6
    assert len(list((tmp_path / "few" / "out").rglob("*.png"))) == 2


def test_the_peak_of_many_photos_stands_over_that_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protecting, "peak", lambda faces, folder, count: 100.0 + count)
    found = protecting.peak_memory(20, 50)
    assert (found.measured, found.reference, found.limit, found.ratio) == ([150.0], [120.0], 1.2, 1.25)


def test_the_command_knows_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []

    def fake(**settings: object) -> list[Comparison]:
        asked.append(settings)
        return []

    monkeypatch.setattr(command, "protecting", SimpleNamespace(run=fake))
    assert command.main(["protecting", "--repetitions", "7"]) == 0
    assert asked == [{"repetitions": 7}]
