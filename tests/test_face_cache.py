"""Decoded faces on disk: faceguard.face_cache, driven through faceguard.decode."""

import json
import os
import shutil
import threading
from collections import namedtuple
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from faceguard import decode, face_cache
from faceguard.errors import DataError, PhotoError
from faceguard.gather import Filed, as_table
from faceguard.identities import Faces
from faceguard.readers.record import Record

CALLS: list[str] = []


def counted(key: str, level: int) -> NDArray[np.uint8]:
    CALLS.append(key)
    if level < 0:
        raise PhotoError(f"{key} is damaged.")
    return np.full((8, 8, 3), level, dtype=np.uint8)


def listing(folder: Path, levels: list[int]) -> list[Record]:
    """One record per level, two photos to an identity; a negative level is unreadable."""
    records = []
    for i, level in enumerate(levels):
        source = folder / f"{i}.jpg"
        if not source.exists():
            source.write_bytes(bytes(i + 1))
        records.append(Record(f"photo {i}", f"person {i // 2}", partial(counted, f"photo {i}", level), source))
    return records


@pytest.fixture(autouse=True)
def no_calls() -> None:
    CALLS.clear()


def sets(cache: Path) -> list[Path]:
    """What a cache holds beside its locks."""
    return [entry for entry in cache.iterdir() if entry.suffix != ".lock"]


def same(first: Faces, second: Faces) -> bool:
    arrays = np.array_equal(first.pixels, second.pixels) and np.array_equal(first.labels, second.labels)
    return arrays and (first.names, first.keys, first.failures) == (second.names, second.keys, second.failures)


def test_a_second_call_decodes_nothing_and_gives_the_same_faces(tmp_path: Path) -> None:
    records = listing(tmp_path, [10, -1, 20, 30, -1, -1])
    plain = decode.load_records(records, size=8)
    first = decode.load_records(records, size=8, cache=tmp_path / "cache")
    assert len(CALLS) == 12
    second = decode.load_records(records, size=8, cache=tmp_path / "cache")
    assert len(CALLS) == 12
    assert same(plain, first) and same(first, second)
    assert second.names == ("person 0", "person 1")
    assert [failure.key for failure in second.failures] == ["photo 1", "photo 4", "photo 5"]
    assert second.labels.dtype == np.int64 and second.pixels.dtype == np.uint8


def test_cached_pixels_are_mapped_and_changing_them_leaves_the_disk_alone(tmp_path: Path) -> None:
    records = listing(tmp_path, [10, 20])
    faces = decode.load_records(records, size=8, cache=tmp_path / "cache")
    assert isinstance(as_table(faces.pixels), Filed)
    faces.pixels[:] = 0
    again = decode.load_records(records, size=8, cache=tmp_path / "cache")
    assert again.pixels[:, 0, 0, 0].tolist() == [10, 20]


def test_whatever_determines_the_faces_determines_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = listing(tmp_path, [10, 20])
    (tmp_path / "copy").mkdir()
    source = records[1].source
    assert source is not None
    names = [face_cache.digest(records, 8)]
    assert face_cache.digest(listing(tmp_path, [10, 20]), 8) == names[0]
    names.append(face_cache.digest(records, 9))
    names.append(face_cache.digest(records[::-1], 8))
    names.append(face_cache.digest(records[:1], 8))
    others = [
        Record("other", records[1].identity, records[1].read, source),
        Record(records[1].key, "other", records[1].read, source),
        Record(records[1].key, records[1].identity, records[1].read, tmp_path / "absent"),
        Record(records[1].key, records[1].identity, records[1].read, Path(shutil.copy2(source, tmp_path / "copy"))),
        Record(records[1].key, records[1].identity, records[1].read),
    ]
    names.extend(face_cache.digest([records[0], other], 8) for other in others)
    source.write_bytes(b"longer than before")
    names.append(face_cache.digest(records, 8))
    status = source.stat()
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns + 1000))
    names.append(face_cache.digest(records, 8))
    monkeypatch.setattr(face_cache, "FORMAT", face_cache.FORMAT + 1)
    names.append(face_cache.digest(records, 8))
    assert len(set(names)) == len(names)


def test_keys_and_identities_are_kept_apart_in_the_name() -> None:
    read = partial(counted, "x", 1)
    assert face_cache.digest([Record("a", "bc", read)], 8) != face_cache.digest([Record("ab", "c", read)], 8)


def test_a_changed_photo_is_decoded_again(tmp_path: Path) -> None:
    decode.load_records(listing(tmp_path, [10, 20]), size=8, cache=tmp_path / "cache")
    (tmp_path / "1.jpg").write_bytes(b"another photo")
    faces = decode.load_records(listing(tmp_path, [10, 99]), size=8, cache=tmp_path / "cache")
    assert faces.pixels[:, 0, 0, 0].tolist() == [10, 99]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="only Linux tells which files are mapped")
def test_as_on_windows_no_file_is_mapped_when_a_set_is_renamed_and_no_held_lock_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped: list[bool] = []
    rename = Path.rename

    def look(path: Path, target: Path) -> Path:
        mapped.append(f"{path}/pixels.npy" in Path("/proc/self/maps").read_text())
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", look)
    decode.load_records(listing(tmp_path, [10, 20]), size=8, cache=tmp_path / "cache")
    assert mapped == [False]
    (folder,) = sets(tmp_path / "cache")
    assert folder.with_suffix(".lock").exists()


def test_photos_that_are_all_unreadable_leave_no_cache(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Not one of 2 photos"):
        decode.load_records(listing(tmp_path, [-1, -1]), size=8, cache=tmp_path / "cache")
    assert sets(tmp_path / "cache") == []


def test_whoever_asks_while_a_set_is_decoded_waits_and_decodes_nothing(tmp_path: Path) -> None:
    records = listing(tmp_path, [10, 20])
    results: list[Faces] = []

    def run(progress: decode.Progress | None = None) -> None:
        results.append(decode.load_records(records, size=8, cache=tmp_path / "cache", progress=progress))

    second = threading.Thread(target=run)

    def start_second(done: int, total: int) -> None:
        if done == 1:
            second.start()
            second.join(timeout=0.3)
            assert second.is_alive()  # it waits

    run(start_second)
    second.join(timeout=20)
    assert len(results) == 2 and same(*results)
    assert len(CALLS) == 2
    assert len(sets(tmp_path / "cache")) == 1


def test_the_default_folder_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FACEGUARD_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert face_cache.default_folder() == Path.home() / ".cache/faceguard"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert face_cache.default_folder() == tmp_path / "faceguard"
    monkeypatch.setenv("FACEGUARD_CACHE", str(tmp_path / "here"))
    assert face_cache.default_folder() == tmp_path / "here"


def test_a_set_too_large_for_memory_goes_to_the_default_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEGUARD_CACHE", str(tmp_path / "here"))
    records = listing(tmp_path, [10, 20])
    monkeypatch.setattr(decode, "LARGEST_IN_MEMORY", 2 * 8 * 8 * 3)
    assert not isinstance(decode.load_records(records, size=8).pixels, np.memmap)
    monkeypatch.setattr(decode, "LARGEST_IN_MEMORY", 2 * 8 * 8 * 3 - 1)
    assert isinstance(decode.load_records(records, size=8).pixels, np.memmap)
    assert len(sets(tmp_path / "here")) == 1


def test_a_full_disk_is_a_data_error_before_anything_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**6, 10**6, 100))
    with pytest.raises(DataError, match=r"needs .* GB in .*FACEGUARD_CACHE"):
        decode.load_records(listing(tmp_path, [10, 20]), size=8, cache=tmp_path / "cache")
    assert CALLS == []


def test_a_cache_folder_that_cannot_be_made_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"cannot be kept in .*FACEGUARD_CACHE"):
        decode.load_records(listing(tmp_path, [10]), size=8, cache=tmp_path / "file")


@pytest.mark.parametrize("damage", ["no index", "no pixels", "cut pixels", "cut index", "other shape", "fewer pixels"])
def test_a_damaged_cache_is_a_data_error_that_says_which_folder_to_remove(tmp_path: Path, damage: str) -> None:
    records = listing(tmp_path, [10, 20])
    decode.load_records(records, size=8, cache=tmp_path / "cache")
    (folder,) = sets(tmp_path / "cache")
    pixels, index = folder / "pixels.npy", folder / "index.json"
    match damage:
        case "no index":
            index.unlink()
        case "no pixels":
            pixels.unlink()
        case "cut pixels":
            pixels.write_bytes(pixels.read_bytes()[:-5])
        case "cut index":
            index.write_text(index.read_text()[:-5])
        case "other shape":
            np.save(pixels, np.zeros((2, 3), dtype=np.uint8))
        case "fewer pixels":
            np.save(pixels, np.zeros((1, 8, 8, 3), dtype=np.uint8))
    with pytest.raises(DataError, match=f"{folder.name} are damaged .*remove that folder and run again"):
        decode.load_records(records, size=8, cache=tmp_path / "cache")
    shutil.rmtree(folder)
    assert len(decode.load_records(records, size=8, cache=tmp_path / "cache")) == 2


def test_a_cache_holds_no_pickle(tmp_path: Path) -> None:
    decode.load_records(listing(tmp_path, [10, -1]), size=8, cache=tmp_path / "cache")
    (folder,) = sets(tmp_path / "cache")
    assert sorted(file.name for file in folder.iterdir()) == ["index.json", "pixels.npy"]
    np.load(folder / "pixels.npy", allow_pickle=False)
    assert set(json.loads((folder / "index.json").read_text())) == {"labels", "names", "keys", "failures"}
