"""The benchmark of scale trains on what is decoded already, at a tiny scale; no test here depends on how fast anything is."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks import scale
from benchmarks.measure import Comparison
from faceguard import readers
from faceguard.decode import load_faces
from faceguard.errors import DataError

PHOTOS = 500


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("scale")
    scale.write_records(place / "photos", PHOTOS)
    scale.keep_faces(place / "photos", place / "cache", sparse=False)
    return place


def test_the_records_are_a_data_set_of_50_photos_to_an_identity(folder: Path) -> None:
    records = readers.find(folder / "photos")
    assert [record.key for record in records] == [str(number) for number in range(1, PHOTOS + 1)]
    assert [int(record.identity) for record in records] == [number // 50 for number in range(PHOTOS)]


def test_the_faces_are_found_where_decoding_would_have_left_them(folder: Path) -> None:
    faces = load_faces(folder / "photos", cache=folder / "cache")
    assert faces.pixels.shape == (PHOTOS, 112, 112, 3)
    assert faces.names == tuple(map(str, range(10)))
    assert np.array_equal(faces.pixels[0], faces.pixels[32]) and not np.array_equal(faces.pixels[0], faces.pixels[1])
    assert faces.pixels[-1].any()


def test_whoever_decodes_a_photo_fails(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"Not one of {PHOTOS} photos could be read"):
        load_faces(folder / "photos", cache=tmp_path / "another")


def test_a_sparse_file_has_the_size_of_the_faces_and_takes_no_disk(tmp_path: Path) -> None:
    scale.write_records(tmp_path / "photos", PHOTOS)
    scale.keep_faces(tmp_path / "photos", tmp_path / "cache", sparse=True)
    (file,) = (tmp_path / "cache").rglob("pixels.npy")
    assert file.stat().st_size == 128 + PHOTOS * 112 * 112 * 3
    assert file.stat().st_blocks * 512 < file.stat().st_size / 10


def test_a_short_training_says_its_seconds_and_its_memory_and_leaves_nothing(tmp_path: Path) -> None:
    first, own = scale.run(PHOTOS, folder=tmp_path)
    steps, memory = first.notes["seconds of every step"], first.notes["MiB"]
    assert (first.unit, own.unit, first.limit, own.limit) == ("s", "MiB", 1.0, 1.0)
    assert first.measured == [steps[0]] and steps == sorted(steps) and len(steps) == scale.STEPS
    assert own.measured == [memory["RssAnon"]]
    assert 50 < memory["RssAnon"] < memory["VmHWM"]
    assert list(tmp_path.iterdir()) == []


def test_a_training_that_fails_stops_the_benchmark(tmp_path: Path) -> None:
    scale.write_records(tmp_path / "photos", PHOTOS)  # and no faces: they would have to be decoded
    with pytest.raises(RuntimeError, match="Not one of 500 photos could be read"):
        scale.train_briefly(tmp_path)


def test_the_command_knows_the_benchmark(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[object] = []

    def fake(*photos: int, **settings: object) -> list[Comparison]:
        asked.append((*photos, settings))
        return []

    monkeypatch.setattr(command, "scale", SimpleNamespace(run=fake, PHOTOS=scale.PHOTOS))
    assert command.main(["scale"]) == 0
    assert command.main(["scale", "--photos", "1000", "--folder", str(tmp_path), "--sparse"]) == 0
    assert asked == [(500_000, {"folder": None, "sparse": False}), (1000, {"folder": tmp_path, "sparse": True})]
