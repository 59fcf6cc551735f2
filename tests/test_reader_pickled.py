"""LFW from insightface's .bin, a pickle that is never unpickled: faceguard.readers.lfw and .pickled."""

import io
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from faceguard.errors import DataError
from faceguard.readers.lfw import read_pairs
from faceguard.readers.pickled import read_table


def png(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (level, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


PHOTOS = [png(1), png(2), png(2), png(255)]


def in_python_2(photos: list[bytes], same: list[bool]) -> bytes:
    """Protocol 2 as Python 2 wrote it: photos as its byte strings, the opcodes spelt out."""
    data = b"\x80\x02]q\x00("
    for i, photo in enumerate(photos):
        short = len(photo) < 256 and i % 2 == 0
        data += (
            (b"U" + bytes([len(photo)]) if short else b"T" + struct.pack("<i", len(photo)))
            + photo
            + b"q"
            + bytes([i + 1])
        )
    return data + b"e]q\x63(" + b"".join(b"\x88" if flag else b"\x89" for flag in same) + b"e\x86q\x64."


def written(content: Any, protocol: int) -> bytes:
    return pickle.dumps(content, protocol=protocol)


arrays = [np.frombuffer(photo, np.uint8).copy() for photo in PHOTOS]


@pytest.mark.parametrize(
    "data",
    [
        in_python_2(PHOTOS, [True, False]),
        *(written((PHOTOS, [True, False]), protocol) for protocol in (2, 3, 4, 5)),
        *(written((arrays, [True, False]), protocol) for protocol in (2, 3, 4, 5)),
        *(written(([array[:, None] for array in arrays], np.array([True, False])), protocol) for protocol in (2, 5)),
        *(written((PHOTOS, [np.True_, np.False_]), protocol) for protocol in (2, 4)),
        written((PHOTOS, [1, 0]), 4),
    ],
)
def test_a_bin_file_is_read_in_every_spelling(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "lfw.bin").write_bytes(data)
    pairs = read_pairs(tmp_path / "lfw.bin")
    assert [record.key for record in pairs.records] == ["lfw.bin/0", "lfw.bin/1", "lfw.bin/2"]
    assert [record.identity for record in pairs.records] == ["0", "1", "2"]
    assert [int(record.read()[0, 0, 0]) for record in pairs.records] == [1, 2, 255]
    assert (pairs.first.tolist(), pairs.second.tolist()) == ([0, 1], [1, 2])
    assert pairs.genuine.dtype == np.bool_ and pairs.genuine.tolist() == [True, False]
    assert (pairs.missing, pairs.missing_pairs) == ((), 0)


def test_the_pairs_of_a_bin_file_are_cut_into_ten_folds_in_order(tmp_path: Path) -> None:
    (tmp_path / "lfw.bin").write_bytes(written((PHOTOS * 15, [True, False] * 15), 4))
    pairs = read_pairs(tmp_path / "lfw.bin")
    assert pairs.fold.tolist() == [fold for fold in range(10) for _ in range(3)]
    assert len(pairs.records) == 3


class Attack:
    """Runs a function of the attacker's choice when unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("place", ["whole", "photo", "flag"])
def test_a_malicious_bin_file_is_refused_and_its_code_does_not_run(tmp_path: Path, protocol: int, place: str) -> None:
    attack = Attack(os.mkdir, str(tmp_path / "pwned"))
    content = {"whole": attack, "photo": ([attack, b""], [True]), "flag": ([b"a", b"b"], [attack])}[place]
    data = pickle.dumps(content, protocol=protocol)
    (tmp_path / "lfw.bin").write_bytes(data)
    with pytest.raises(DataError, match=r"lfw\.bin is a pickle that asks for .*Nothing of it was run"):
        read_pairs(tmp_path / "lfw.bin")
    assert not (tmp_path / "pwned").exists()
    pickle.loads(data)
    assert (tmp_path / "pwned").exists(), "the attack itself must work, or this test shows nothing"


@pytest.mark.parametrize(
    "data",
    [
        b"c__builtin__\neval\n(S'1'\ntR.",
        b"(S'1'\ni__builtin__\neval\n.",
        b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00zip\x86R.",
        b"\x80\x02cnumpy\ndtype\nX\x01\x00\x00\x00O\x85R.",
        b"\x80\x02cnumpy\nndarray\n)\x81.",
        b"\x80\x02]}b.",
        b"\x80\x02K\x01)R.",
        b"\x80\x02Pid\n.",
        b"\x80\x02\x82\x01.",
    ],
)
def test_every_other_call_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "lfw.bin").write_bytes(data)
    with pytest.raises(DataError, match="asks for"):
        read_pairs(tmp_path / "lfw.bin")


def self_containing() -> list[Any]:
    photos: list[Any] = []
    photos.append(photos)
    return photos


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ((PHOTOS, [True]), "holds 4 photos for 1 pairs"),
        (([], []), "holds 0 photos for 0 pairs"),
        (PHOTOS, "not a pair of lists"),
        ((["text", "text"], [True]), "not a pair of lists"),
        ((PHOTOS, [None, None]), "not a pair of lists"),
        ((self_containing(), [True]), "not a pair of lists"),
        ((PHOTOS, np.array([0.5, 1.0])), "asks for a call of numpy.dtype"),
        ({"a": 1}, "not a pair of lists"),
    ],
)
def test_a_bin_file_with_other_content_is_a_data_error(tmp_path: Path, content: Any, words: str) -> None:
    (tmp_path / "lfw.bin").write_bytes(pickle.dumps(content, protocol=4))
    with pytest.raises(DataError, match=words):
        read_pairs(tmp_path / "lfw.bin")


@settings(max_examples=300, deadline=None)
@given(
    changes=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), max_size=6),
    cut=st.integers(0, 2000),
    protocol=st.sampled_from([2, 4, 5]),
    numpy=st.booleans(),
)
def test_a_damaged_bin_file_gives_pairs_or_a_data_error_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], cut: int, protocol: int, numpy: bool
) -> None:
    data = bytearray(written((arrays if numpy else PHOTOS, [True, False]), protocol))
    for place, value in changes:
        data[place % len(data)] = value
    del data[max(cut, 1) :]
    file = tmp_path_factory.mktemp("bin") / "lfw.bin"
    file.write_bytes(data)
    try:
        assert len(read_pairs(file)) > 0
    except DataError as error:
        assert str(file) in str(error)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_numpy_scalars_keep_their_value_and_stay_numbers_or_truth_values(protocol: int) -> None:
    table = {"labels": [np.uint8(label) for label in range(10)], "flags": [np.True_, np.False_]}
    read = read_table(written(table, protocol), "batch")
    assert read == {"labels": list(range(10)), "flags": [True, False]}
    assert [type(label) for label in read["labels"]] == [int] * 10
    assert [type(flag) for flag in read["flags"]] == [bool] * 2
