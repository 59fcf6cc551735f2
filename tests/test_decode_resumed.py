"""An interrupted decoding goes on where it stopped, with what is sound of what it left."""

import errno
import json
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from faceguard import decode
from faceguard.errors import PhotoError
from faceguard.identities import Faces
from faceguard.readers.record import Record

COUNT = 30
BROKEN = {3, 17}  # photos that are damaged


class Reader:
    """Photos, each of a colour of its own, and which of them were read."""

    def __init__(self) -> None:
        self.read: list[int] = []
        self.refused: set[int] = set()

    def records(self) -> list[Record]:
        return [Record(str(i), f"person {i % 4}", partial(self.photo, i), None) for i in range(COUNT)]

    def photo(self, number: int) -> NDArray[np.uint8]:
        self.read.append(number)
        if number in self.refused:
            try:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            except OSError as error:
                raise PhotoError(f"{number} cannot be read.") from error
        if number in BROKEN:
            raise PhotoError(f"{number} is damaged.")
        return np.full((16, 8, 3), number, dtype=np.uint8)[::2]  # not contiguous

    def decode(self, cache: Path, *, stop: int | None = None, seen: list[tuple[int, int]] | None = None) -> Faces:
        """Decode, interrupted after ``stop`` photos, with one thread."""

        def progress(done: int, total: int) -> None:
            if seen is not None:
                seen.append((done, total))
            if done == stop:
                raise KeyboardInterrupt

        return decode.load_records(self.records(), size=8, cache=cache, workers=1, progress=progress)


def interrupted(cache: Path, stop: int, reader: Reader | None = None) -> Path:
    """The folder that an interruption after ``stop`` photos leaves in ``cache``."""
    with pytest.raises(KeyboardInterrupt):
        (reader or Reader()).decode(cache, stop=stop)
    (left,) = (entry for entry in cache.iterdir() if entry.suffix != ".lock")
    assert left.name.startswith(".making-")
    return left


def is_whole(faces: Faces, cache: Path) -> bool:
    """Whether these are the faces of a decoding without interruption, kept as such."""
    numbers = [i for i in range(COUNT) if i not in BROKEN]
    assert [int(face[0, 0, 0]) for face in faces.pixels] == numbers and faces.keys == tuple(map(str, numbers))
    assert [faces.names[label] for label in faces.labels] == [f"person {i % 4}" for i in numbers]
    assert [failure.key for failure in faces.failures] == [str(i) for i in sorted(BROKEN)]
    (folder,) = (entry for entry in cache.iterdir() if entry.suffix != ".lock")
    assert not folder.name.startswith(".")
    return sorted(entry.name for entry in folder.iterdir()) == ["index.json", "pixels.npy"]


@pytest.mark.parametrize("stop", [1, 4, 18, 29])
def test_it_goes_on_where_it_stopped(tmp_path: Path, stop: int) -> None:
    interrupted(tmp_path, stop)
    again, seen = Reader(), list[tuple[int, int]]()
    faces = again.decode(tmp_path, seen=seen)
    assert is_whole(faces, tmp_path)
    assert again.read == list(range(stop, COUNT))
    assert seen == [(done, COUNT) for done in range(stop + 1, COUNT + 1)]


def test_it_can_be_interrupted_again_and_again(tmp_path: Path) -> None:
    for stop in (5, 5 + 7, COUNT):
        interrupted(tmp_path, stop)
    again = Reader()
    assert is_whole(again.decode(tmp_path), tmp_path) and again.read == []


def test_another_set_does_not_go_on_with_it(tmp_path: Path) -> None:
    interrupted(tmp_path, 10)
    again = Reader()
    faces = decode.load_records(again.records()[:20], size=8, cache=tmp_path)
    assert sorted(again.read) == list(range(20)) and len(faces) == 18


def test_a_face_that_did_not_reach_the_disk_is_decoded_again_and_so_is_what_follows(tmp_path: Path) -> None:
    left = interrupted(tmp_path, 20)
    pixels = np.load(left / "pixels.npy", mmap_mode="r+")
    assert pixels[9, 0, 0, 0] == 10  # photo 3 has no face
    pixels[9] = 0
    pixels.flush()
    del pixels
    again = Reader()
    assert is_whole(again.decode(tmp_path), tmp_path) and again.read == list(range(10, COUNT))


@given(
    cut=st.integers(min_value=0, max_value=20 * 100),
    tail=st.sampled_from([b"", b"\0" * 9, b"12\n", b'{"key": 1}\n', b"[]\n"]),
)
@settings(max_examples=30)
def test_whatever_is_left_of_the_journal_no_photo_is_lost_or_taken_for_another(
    tmp_path_factory: pytest.TempPathFactory, cut: int, tail: bytes
) -> None:
    cache = tmp_path_factory.mktemp("cache")
    journal = interrupted(cache, 20) / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:cut] + tail)
    assert is_whole(Reader().decode(cache), cache)


def test_of_pixels_that_are_cut_off_the_rest_counts(tmp_path: Path) -> None:
    file = interrupted(tmp_path, 20) / "pixels.npy"
    length = file.stat().st_size
    os.truncate(file, length - (COUNT - 9) * 8 * 8 * 3)  # of the 18 faces nine are left: photo 3 has none
    again = Reader()
    assert is_whole(again.decode(tmp_path), tmp_path) and again.read == list(range(10, COUNT))


@pytest.mark.parametrize("damage", ["absent", "of another shape", "no array"])
def test_without_the_pixels_it_starts_over(tmp_path: Path, damage: str) -> None:
    file = interrupted(tmp_path, 20) / "pixels.npy"
    if damage == "absent":
        file.unlink()
    elif damage == "of another shape":
        np.save(file, np.zeros((COUNT, 4, 4, 3), dtype=np.uint8))
    else:
        file.write_bytes(b"\0" * 4096)
    again = Reader()
    assert is_whole(again.decode(tmp_path), tmp_path) and again.read == list(range(COUNT))


def test_a_photo_that_the_system_refused_is_tried_again(tmp_path: Path) -> None:
    first, again = Reader(), Reader()
    first.refused = {12}
    left = interrupted(tmp_path, 20, first)
    assert json.loads((left / "journal.jsonl").read_text().splitlines()[12])["passing"]
    assert is_whole(again.decode(tmp_path), tmp_path) and again.read == list(range(12, COUNT))
