"""RecordIO without mxnet: faceguard.readers.recordio. The files are written here from the format's description."""

import io
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from faceguard import decode, readers
from faceguard.errors import DataError, PhotoError

MAGIC = b"\x0a\x23\xd7\xce"


def framed(record: bytes) -> bytes:
    """A record as RecordIO stores it: cut at every magic that lies at a multiple of four bytes."""
    parts, start = [], 0
    for place in range(0, len(record) - 3, 4):
        if record[place : place + 4] == MAGIC:
            parts.append(record[start:place])
            start = place + 4
    parts.append(record[start:])
    stored = b""
    for i, part in enumerate(parts):
        kind = 0 if len(parts) == 1 else 1 if i == 0 else 3 if i == len(parts) - 1 else 2
        stored += MAGIC + struct.pack("<I", kind << 29 | len(part)) + part + bytes(-len(part) % 4)
    return stored


def packed(labels: float | list[float], content: bytes = b"", number: int = 0) -> bytes:
    if isinstance(labels, list):
        return struct.pack(f"<IfQQ{len(labels)}f", len(labels), 0.0, number, 0, *labels) + content
    return struct.pack("<IfQQ", 0, labels, number, 0) + content


def write(folder: Path, records: dict[int, bytes]) -> Path:
    """train.rec and train.idx; gives the folder."""
    folder.mkdir(exist_ok=True)
    rec, index = b"", ""
    for number, record in records.items():
        index += f"{number}\t{len(rec)}\n"
        rec += framed(record)
    (folder / "train.rec").write_bytes(rec)
    (folder / "train.idx").write_text(index)
    return folder


def bmp(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "BMP")
    return buffer.getvalue()


def stored_as(content: list[int]) -> NDArray[np.uint8]:
    """The 6 x 4 picture whose pixels lie in a BMP file as ``content``, up to the order of the rows: BMP stores BGR."""
    return np.array(content, dtype=np.uint8).reshape(6, 4, 3)[..., ::-1]


def gray(level: int) -> bytes:
    return bmp(np.full((2, 3, 3), level, dtype=np.uint8))


def three_people() -> dict[int, bytes]:
    """Photos 1-2 of identity 7, 3 of 0, 4-5 of 12; records 6-8 list them."""
    records = {0: packed([6.0, 9.0])}
    for number, label in enumerate([7, 7, 0, 12, 12], start=1):
        records[number] = packed(float(label), gray(number), number)
    for number, (first, last) in enumerate([(1, 3), (3, 4), (4, 6)], start=6):
        records[number] = packed([float(first), float(last)], number=number)
    return records


def test_photos_are_listed_with_their_labels_and_read_by_random_access(tmp_path: Path) -> None:
    folder = write(tmp_path, three_people())
    (folder / "property").write_text("3,2,3")
    for path in (folder, folder / "train.rec"):
        records = readers.find(path)
        assert [(r.key, r.identity) for r in records] == [("1", "7"), ("2", "7"), ("3", "0"), ("4", "12"), ("5", "12")]
        assert all(r.source == folder / "train.rec" for r in records)
        for record in reversed(records):
            pixels = pickle.loads(pickle.dumps(record)).read()
            assert pixels.shape == (2, 3, 3) and (pixels == int(record.key)).all()


def test_listing_reads_identities_and_not_photos(tmp_path: Path) -> None:
    records = three_people()
    records[2] = packed(7.0, b"not a picture")
    found = readers.find(write(tmp_path, records))
    assert len(found) == 5
    with pytest.raises(PhotoError, match=r"Record 2 of .*train\.rec \(byte \d+\) is not a picture"):
        found[1].read()


def test_a_file_without_identity_records_takes_each_photos_own_label(tmp_path: Path) -> None:
    photos = {number: packed(float(label), gray(number)) for number, label in ((1, 4), (2, 4), (3, 0))}
    expected = [("1", "4"), ("2", "4"), ("3", "0")]
    for first, records in (("empty range", {0: packed([4.0, 4.0]), **photos}), ("no record 0", photos)):
        found = readers.find(write(tmp_path / first, records))
        assert [(r.key, r.identity) for r in found] == expected, first
    plain = readers.find(write(tmp_path / "photos only", {0: packed(9.0, gray(0)), **photos}))
    assert [(r.key, r.identity) for r in plain] == [("0", "9"), *expected]


def test_a_photo_with_a_list_of_labels_uses_the_first(tmp_path: Path) -> None:
    records = {
        0: packed([3.0, 4.0]),
        1: packed([5.0, 0.25], gray(1)),
        2: packed([5.0, 0.5], gray(2)),
        3: packed([1.0, 3.0]),
    }
    found = readers.find(write(tmp_path, records))
    assert [r.identity for r in found] == ["5", "5"]
    assert (found[1].read() == 2).all()


@settings(max_examples=60, deadline=None)
@given(data=st.lists(st.sampled_from(list(MAGIC)), min_size=4 * 6 * 3, max_size=4 * 6 * 3), shift=st.integers(0, 3))
def test_bytes_that_look_like_the_magic_survive_being_split(
    tmp_path_factory: pytest.TempPathFactory, data: list[int], shift: int
) -> None:
    rows = (list(MAGIC) * 9 + data)[shift : shift + 4 * 6 * 3]  # BMP rows of 4 pixels are 12 bytes, without padding
    pixels = stored_as(rows)
    folder = write(
        tmp_path_factory.mktemp("rec"), {0: packed([2.0, 3.0]), 1: packed(0.0, bmp(pixels)), 2: packed([1.0, 2.0])}
    )
    np.testing.assert_array_equal(readers.find(folder)[0].read(), pixels)


def test_some_alignment_of_the_magic_does_split_a_record() -> None:
    kinds = set()
    for shift in range(4):
        rows = (list(MAGIC) * 20)[shift : shift + 72]
        stored = framed(packed(0.0, bmp(stored_as(rows))))
        kinds.add(stored[7] >> 5)
    assert kinds == {0, 1}


def damage(change: Callable[[bytearray], None]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        content = bytearray((folder / "train.rec").read_bytes())
        change(content)
        (folder / "train.rec").write_bytes(content)

    return apply


def cut(count: int) -> Callable[[bytearray], None]:
    def apply(content: bytearray) -> None:
        del content[-count:]

    return apply


def overwrite(place: int, value: bytes) -> Callable[[bytearray], None]:
    def apply(content: bytearray) -> None:
        content[place : place + len(value)] = value

    return apply


@pytest.mark.parametrize(
    ("apply", "words"),
    [
        (damage(cut(60)), r"ends at byte \d+, but train\.idx places 1 records outside it, the first is number 8"),
        (damage(cut(4)), r"Record 8 of .*\(byte \d+\) is cut short"),
        (damage(cut(38)), r"Record 8 of .*\(byte \d+\) is cut short"),
        (damage(overwrite(0, b"\0")), r"Record 0 of .*\(byte 0\) does not start with a record's frame"),
        (damage(overwrite(7, b"\x60")), r"Record 0 of .* does not start with a record's frame"),
        (damage(overwrite(4, b"\x08")), "Record 0 of .* is shorter than a record's header"),
        (damage(overwrite(8, b"\xff\xff")), "Record 0 of .* announces 65535 labels and is too short"),
        (damage(overwrite(8, b"\x01")), r"Record 0 of .* names no range of records"),
        (damage(overwrite(32, struct.pack("<f", np.nan))), "Record 0 of .* carries a label that is no number"),
        (damage(overwrite(32, struct.pack("<2f", 9, 6))), "Record 0 of .* names no range of records"),
        (damage(overwrite(36, struct.pack("<f", 11))), r"The index of .* lacks record 9"),
        (lambda f: (f / "train.idx").unlink(), r"has no train\.idx beside it"),
        (lambda f: (f / "train.idx").write_text("0\t0\n1\tx\n"), r"train\.idx is damaged"),
        (lambda f: (f / "train.idx").write_text("0 0 0\n"), r"train\.idx is damaged"),
        (lambda f: (f / "train.idx").write_text(""), "lists no photos"),
    ],
)
def test_damage_in_the_list_of_identities_is_a_data_error_that_says_where(
    tmp_path: Path, apply: Callable[[Path], None], words: str
) -> None:
    folder = write(tmp_path, three_people())
    apply(folder)
    with pytest.raises(DataError, match=words):
        readers.find(folder)


@pytest.mark.parametrize("number", [0, 6])
@pytest.mark.parametrize("last", [3e9, 3e38])
def test_a_range_of_more_records_than_there_are_is_refused_and_takes_no_memory(
    tmp_path: Path, number: int, last: float
) -> None:
    folder = write(tmp_path, three_people() | {number: packed([6.0 if number == 0 else 1.0, last])})
    with pytest.raises(DataError, match=rf"Record {number} of .* stands for \d+ records, and the file has 9"):
        readers.find(folder)


def test_a_photo_missing_from_the_index_is_a_data_error(tmp_path: Path) -> None:
    folder = write(tmp_path, three_people())
    lines = (folder / "train.idx").read_text().splitlines()
    (folder / "train.idx").write_text("\n".join(line for line in lines if not line.startswith("5\t")))
    with pytest.raises(DataError, match="lacks record 5"):
        readers.find(folder)


def test_a_damaged_photo_among_good_ones_is_left_out_and_named(tmp_path: Path) -> None:
    records = {n: packed(float(n % 2), bmp(np.full((8, 8, 3), n, dtype=np.uint8))) for n in range(1, 5)}
    folder = write(tmp_path, {0: packed([5.0, 5.0]), **records})
    found = readers.find(folder)
    place = int((folder / "train.idx").read_text().splitlines()[2].split("\t")[1])
    damage(overwrite(place, b"XXXX"))(folder)
    faces = decode.load_records(found, size=8)
    assert faces.keys == ("1", "3", "4")
    assert [failure.key for failure in faces.failures] == ["2"]
    assert f"(byte {place}) does not start with a record's frame" in faces.failures[0].reason


def test_a_file_that_vanishes_is_a_photo_error(tmp_path: Path) -> None:
    folder = write(tmp_path, three_people())
    found = readers.find(folder)
    (folder / "train.rec").unlink()
    with pytest.raises(PhotoError, match=r"cannot be read \(No such file"):
        found[0].read()


def test_every_part_of_a_split_record_is_followed_by_its_padding(tmp_path: Path) -> None:
    folder = write(tmp_path, three_people())
    record = packed(0.0, gray(99))
    head, tail = record[:81], record[81 + 4 :]
    with (folder / "train.rec").open("ab") as rec:
        place = rec.tell()
        for kind, part in ((1, head), (3, tail)):
            rec.write(MAGIC + struct.pack("<I", kind << 29 | len(part)) + part + bytes(-len(part) % 4))
    index = (folder / "train.idx").read_text().splitlines()
    index[1] = f"1\t{place}"
    (folder / "train.idx").write_text("\n".join(index))
    expected = np.asarray(Image.open(io.BytesIO((head + MAGIC + tail)[24:])).convert("RGB"))
    np.testing.assert_array_equal(readers.find(folder)[0].read(), expected)
