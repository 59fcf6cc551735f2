"""From records to faces: faceguard.decode."""

import threading
import time
import tracemalloc
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from faceguard import decode, faces, reading
from faceguard.errors import DataError, PhotoError
from faceguard.readers.record import Record


def constant(level: int, height: int = 8, width: int = 8) -> NDArray[np.uint8]:
    return np.full((height, width, 3), level, dtype=np.uint8)


def unreadable(name: str) -> NDArray[np.uint8]:
    raise PhotoError(f"{name} is damaged.")


def people(*identities: str) -> list[Record]:
    return [Record(f"{i}", name, partial(constant, i % 256)) for i, name in enumerate(identities)]


def test_an_aligned_crop_of_the_right_size_is_taken_as_it_is() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    np.testing.assert_array_equal(decode.to_face(crop, 112), crop)


def test_shrinking_averages_and_growing_keeps_levels_between_their_neighbours() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (112, 112, 3), dtype=np.uint8)
    halved = decode.to_face(crop, 56)
    means = crop.reshape(56, 2, 56, 2, 3).mean(axis=(1, 3))
    assert np.abs(halved - means).max() <= 0.5
    grown = decode.to_face(constant(77, 20, 20), 112)
    assert grown.shape == (112, 112, 3) and (grown == 77).all()


@pytest.mark.parametrize(
    ("height", "width", "searched"),
    [
        (20, 21, True),
        (20, 20, False),
        (160, 160, False),
        (161, 161, True),
        (160, 159, True),
        (112, 96, True),
        (178, 218, True),
    ],
)
def test_only_small_squares_and_celebas_shape_are_taken_as_aligned(
    height: int, width: int, searched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def align(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
        sizes.append(size)
        return constant(9, size, size)

    monkeypatch.setattr(faces, "align_photo", align)
    for size in (64, 112, 160):
        assert decode.to_face(constant(1, height, width), size).shape == (size, size, 3)
    assert sizes == ([112, 112, 160] if searched else [])


@pytest.mark.parametrize(("height", "width"), [(1, 1), (10, 10), (19, 19), (400, 19), (19, 200)])
def test_a_picture_too_small_for_a_face_is_a_failure_with_a_reason(height: int, width: int) -> None:
    sizes = {"Ann": (32, 32), "Bo": (height, width)}
    loaded = decode.load_records([Record(name, name, partial(constant, 1, *sizes[name])) for name in sizes], size=32)
    assert (loaded.names, loaded.failures[0].key) == (("Ann",), "Bo")
    assert f"picture of {width} x {height} pixels is too small to show a face; 20 " in loaded.failures[0].reason


def test_a_picture_without_a_face_is_a_failure_with_the_finders_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def align(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
        raise PhotoError("No face was found.")

    monkeypatch.setattr(faces, "align_photo", align)
    records = [*people("Ann"), Record("wall", "Bo", partial(constant, 1, 300, 200))]
    loaded = decode.load_records(records, size=8)
    assert loaded.names == ("Ann",)
    assert [(failure.key, failure.reason) for failure in loaded.failures] == [("wall", "No face was found.")]


@pytest.mark.parametrize("size", [56, 112, 160])
def test_celebas_landmarks_land_on_the_template(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from insightface.utils.face_align import arcface_dst

    monkeypatch.delattr(faces, "align_photo")
    errors = []
    for x, y in decode.CELEBA_LANDMARKS:
        photo = np.zeros((218, 178, 3), dtype=np.uint8)
        rows, columns = np.mgrid[:218, :178]
        photo[(rows - y) ** 2 + (columns - x) ** 2 < 16] = 255
        weight = decode.to_face(photo, size)[..., 0].astype(float)
        rows, columns = np.mgrid[:size, :size]
        errors.append([(weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()])
    centres = (np.array(errors) + 0.5) * 112 / size - 0.5
    distance = np.linalg.norm(centres - arcface_dst, axis=1)
    assert np.sqrt((distance**2).mean()) < 2.4
    assert distance[:2].max() < 1.2, "the eyes fit best"


def test_the_celeba_alignment_is_the_similarity_of_least_squares() -> None:
    from insightface.utils.face_align import arcface_dst

    points = np.array(decode.CELEBA_LANDMARKS)
    rows = [row for x, y in points for row in ([x, -y, 1, 0], [y, x, 0, 1])]
    (a, b, tx, ty), *_ = np.linalg.lstsq(np.array(rows), arcface_dst.reshape(-1).astype(float), rcond=None)
    level = np.arange(218 * 178 * 3, dtype=np.int64).reshape(218, 178, 3)
    photo = (level * 7919 % 256).astype(np.uint8)
    expected = faces.crop(photo, np.array([[a, -b, tx], [b, a, ty]]), 112)
    np.testing.assert_array_equal(decode.to_face(photo, 112), expected)


def test_faces_keep_the_order_of_the_records_and_names_are_sorted_by_value() -> None:
    loaded = decode.load_records(people("10", "b", "9", "a", "10", "007", "7"), size=8, workers=3)
    assert loaded.names == ("007", "7", "9", "10", "a", "b")
    assert [loaded.names[label] for label in loaded.labels] == ["10", "b", "9", "a", "10", "007", "7"]
    assert loaded.pixels[:, 0, 0, 0].tolist() == list(range(7))
    assert loaded.keys == tuple("0123456")


def test_unreadable_photos_are_listed_and_people_left_without_photos_disappear() -> None:
    good = people("Ann", "Bo", "Cleo")
    records = [Record("x", "Zoe", partial(unreadable, "x")), *good, Record("y", "Ann", partial(unreadable, "y"))]
    loaded = decode.load_records(records, size=8)
    assert loaded.names == ("Ann", "Bo", "Cleo")
    assert loaded.keys == ("0", "1", "2")
    assert loaded.pixels[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert [(failure.key, failure.reason) for failure in loaded.failures] == [
        ("x", "x is damaged."),
        ("y", "y is damaged."),
    ]


def test_no_readable_photo_at_all_is_a_data_error_with_the_first_reason() -> None:
    records = [Record(name, "Zoe", partial(unreadable, name)) for name in ("x", "y")]
    with pytest.raises(DataError, match=r"Not one of 2 photos could be read; the first: x is damaged\."):
        decode.load_records(records)
    with pytest.raises(DataError, match="the list is empty"):
        decode.load_records([])


def test_a_bug_in_a_reader_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        decode.load_records([Record("x", "Zoe", partial(divmod, 1, 0))])


def test_progress_counts_every_photo_once_in_the_callers_thread() -> None:
    seen: list[tuple[int, int, int]] = []

    def note(done: int, total: int) -> None:
        seen.append((done, total, threading.get_ident()))

    records = [*people("Ann", "Bo"), Record("x", "Zoe", partial(unreadable, "x"))]
    decode.load_records(records, size=8, workers=2, progress=note)
    assert seen == [(i, 3, threading.get_ident()) for i in (1, 2, 3)]


def test_an_interruption_does_not_wait_for_the_rest_of_the_photos() -> None:
    started: list[int] = []

    def slow(number: int) -> NDArray[np.uint8]:
        started.append(number)
        time.sleep(0.01)
        return constant(1)

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decode.load_records(
            [Record(f"{i}", "Ann", partial(slow, i)) for i in range(400)], size=8, workers=1, progress=interrupt
        )
    assert len(started) < 100


def test_many_photos_are_never_in_memory_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_BATCH", 16)
    records = [Record(f"{i}", "Ann", partial(constant, i % 256, 100, 100)) for i in range(600)]
    tracemalloc.start()
    try:
        loaded = decode.load_records(records, size=100, cache=tmp_path, workers=2)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert loaded.pixels.nbytes == 600 * 30_000
    assert peak < 0.15 * loaded.pixels.nbytes
    assert loaded.pixels[:, 50, 50, 1].tolist() == [i % 256 for i in range(600)]


def test_a_folder_of_photos_becomes_faces_with_the_bad_photo_named(tmp_path: Path) -> None:
    for name, level in (("Ann/1.png", 10), ("Ann/2.png", 20), ("Bo/1.png", 30)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(constant(level, 16, 16)).save(tmp_path / name)
    (tmp_path / "Bo/2.png").write_bytes(b"")
    loaded = decode.load_faces(tmp_path, size=8)
    assert loaded.names == ("Ann", "Bo")
    assert loaded.keys == ("Ann/1.png", "Ann/2.png", "Bo/1.png")
    assert loaded.labels.tolist() == [0, 0, 1]
    assert loaded.pixels[:, 4, 4, 2].tolist() == [10, 20, 30]
    assert loaded.failures[0].reason == "Bo/2.png is empty; copy it again from where it came."


@pytest.mark.parametrize("cached", [False, True])
def test_photos_beside_the_folders_of_identities_are_listed(tmp_path: Path, cached: bool) -> None:
    (tmp_path / "set" / "anna").mkdir(parents=True)
    for name in ("anna/1.png", "b.png", "a.JPG", ".hidden.png", "notes.txt"):
        Image.new("RGB", (8, 8)).save(tmp_path / "set" / name, "PNG")
    for _ in range(2):
        faces = decode.load_faces(tmp_path / "set", size=8, cache=tmp_path / "cache" if cached else None)
        assert faces.keys == ("anna/1.png",)
        assert [failure.key for failure in faces.failures] == ["a.JPG", "b.png"]
        assert all(failure.reason.startswith("It lies beside the folders") for failure in faces.failures)


def test_odd_metadata_warns_nobody_and_filters_are_restored() -> None:
    def odd() -> NDArray[np.uint8]:
        warnings.warn_explicit("Corrupt EXIF data", UserWarning, "TiffImagePlugin.py", 1, module="PIL.TiffImagePlugin")
        return constant(5)

    before = list(warnings.filters)
    assert len(decode.load_records([Record("x", "Ann", odd)], size=8)) == 1
    assert warnings.filters == before


def test_the_number_of_threads_changes_nothing() -> None:
    records = [*people(*"abcabc"), Record("x", "Zoe", partial(unreadable, "x"))] * 3
    one, many = (decode.load_records(records, size=8, workers=workers) for workers in (1, 4))
    np.testing.assert_array_equal(one.pixels, many.pixels)
    assert (one.keys, one.names, one.failures) == (many.keys, many.names, many.failures)


def test_real_celeba_faces_are_where_the_finder_aligns_them(real_data: Path) -> None:
    loaded = decode.load_faces(real_data / "celeba-100", size=112)
    assert loaded.pixels.shape == (2640, 112, 112, 3) and len(loaded.names) == 100 and not loaded.failures
    eyes = loaded.pixels[:, 47:57].mean(axis=(0, 2, 3))
    cheeks = loaded.pixels[:, 68:78].mean(axis=(0, 2, 3))
    assert eyes.mean() < cheeks.mean(), (
        "in the mean face the eyes lie on the template's line and are darker than cheeks"
    )
