"""Which sets of decoded faces are kept on disk: none whose failures may be gone the next time."""

import errno
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from faceguard import decode, face_cache, reading
from faceguard.errors import DataError, PhotoError
from faceguard.gather import as_table
from faceguard.readers import folder
from faceguard.readers.record import Record

REFUSED: dict[str, int] = {}  # key -> errno


def read(key: str) -> NDArray[np.uint8]:
    if key in REFUSED:
        try:
            raise OSError(REFUSED[key], os.strerror(REFUSED[key]))
        except OSError as error:
            raise PhotoError(f"{key} cannot be read.") from error
    return np.full((8, 8, 3), 7, dtype=np.uint8)


@pytest.fixture
def records(tmp_path: Path) -> list[Record]:
    REFUSED.clear()
    return [Record(key, "anna", partial(read, key), tmp_path / "faces.rec") for key in "abc"]


def kept(cache: Path) -> list[str]:
    return [entry.name for entry in cache.iterdir() if entry.suffix != ".lock"]


@pytest.mark.parametrize("refusal", [errno.EIO, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ESTALE])
def test_a_set_of_which_the_system_refused_a_photo_is_used_and_not_kept(
    tmp_path: Path, records: list[Record], refusal: int
) -> None:
    REFUSED["b"] = refusal
    faces = decode.load_records(records, size=8, cache=tmp_path / "cache")
    assert [(failure.key, failure.passing) for failure in faces.failures] == [("b", True)]
    assert faces.keys == ("a", "c") and faces.pixels.min() == faces.pixels.max() == 7
    assert kept(tmp_path / "cache") == []
    assert isinstance(as_table(faces.pixels), torch.Tensor)  # its file has no name any more
    REFUSED.clear()
    assert decode.load_records(records, size=8, cache=tmp_path / "cache").keys == ("a", "b", "c")
    assert len(kept(tmp_path / "cache")) == 1


def test_a_set_of_which_a_photo_was_absent_from_the_start_is_kept(tmp_path: Path, records: list[Record]) -> None:
    REFUSED["b"] = errno.ENOENT
    for _ in range(2):
        assert decode.load_records(records, size=8, cache=tmp_path / "cache").keys == ("a", "c")
        REFUSED.clear()
    assert len(kept(tmp_path / "cache")) == 1


def test_a_set_of_which_a_file_vanished_while_it_was_decoded_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "faces" / "anna").mkdir(parents=True)
    for name in ("1.png", "2.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / "faces" / "anna" / name)
    first, second = folder.records(tmp_path / "faces")

    def vanishing() -> NDArray[np.uint8]:
        (tmp_path / "faces" / "anna" / "2.png").unlink()
        return first.read()

    listed = [Record(first.key, "anna", vanishing, first.source), second]
    assert decode.load_records(listed, size=8, cache=tmp_path / "cache", workers=1).keys == ("anna/1.png",)
    assert kept(tmp_path / "cache") == []


def test_a_damaged_photo_is_damaged_the_next_time_too(tmp_path: Path) -> None:
    (tmp_path / "faces" / "anna").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "faces" / "anna" / "1.png")
    whole = (tmp_path / "faces" / "anna" / "1.png").read_bytes()
    (tmp_path / "faces" / "anna" / "2.png").write_bytes(whole[:-30])
    faces = decode.load_faces(tmp_path / "faces", size=8, cache=tmp_path / "cache")
    assert [(failure.key, failure.passing) for failure in faces.failures] == [("anna/2.png", False)]
    assert len(kept(tmp_path / "cache")) == 1


def test_what_a_killed_run_left_makes_room_and_memory_that_ran_out_is_no_damage(
    tmp_path: Path, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    named = face_cache.digest(records, 8, "")
    left = tmp_path / "cache" / f".making-{named}"
    left.mkdir(parents=True)
    (left / "pixels.npy").write_bytes(b"half")

    def no_memory(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
        try:
            raise MemoryError
        except MemoryError as error:
            raise PhotoError("It is damaged.") from error

    with pytest.raises(DataError, match="Not one of 3 photos"):
        decode.load_records(records, size=8, cache=tmp_path / "cache", to_picture=no_memory)
    assert reading.passing(MemoryError()) and not reading.passing(ValueError())
    assert len(decode.load_records(records, size=8, cache=tmp_path / "cache")) == 3
    assert kept(tmp_path / "cache") == [named]


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system cannot set room aside")
def test_a_quota_is_met_before_anything_is_decoded(
    tmp_path: Path, records: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    def over_quota(*_: object) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "posix_fallocate", over_quota)
    with pytest.raises(DataError, match=r"cannot be kept in .*FACEGUARD_CACHE"):
        decode.load_records(records, size=8, cache=tmp_path / "cache", progress=lambda *_: pytest.fail("decoded"))
    assert kept(tmp_path / "cache") == []
