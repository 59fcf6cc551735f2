"""CASIA-WebFace and MS1M as insightface ships them: ``train.rec`` with ``train.idx``, read without mxnet.

The .idx file has lines "number <tab> byte". At that byte of the .rec file lies one record, in one or more parts:

    magic 0xced7230a (4) | kind (3 bits), length (29 bits) | length bytes | zeros up to a multiple of 4

kind 0 is a whole record; 1, 2, 3 are the first, middle and last part of one that was split, without its magic, wherever
its own bytes held the magic. A record is a header (flag uint32, label float32, id uint64, id2 uint64), then ``flag`` more
float32 labels that replace the first, then the photo's bytes. All numbers are little-endian.

Record 0 holds no photo; its labels are [F, L): records F..L-1 stand for identities, and the labels of each are the range
of its photos' records. A photo's own label is the identity's number. A .rec file without that record 0 holds only photos.
"""

import math
import struct
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from faceguard.errors import DataError, PhotoError
from faceguard.readers.record import Record, decode_image

MAGIC = 0xCED7230A
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)
_FRAME = struct.Struct("<II")
_HEADER = struct.Struct("<IfQQ")
REC_NAME = "train.rec"


def fits(path: Path) -> bool:
    """Whether ``path`` is a .rec file or a folder that holds train.rec."""
    return (path.is_file() and path.suffix == ".rec") or (path / REC_NAME).is_file()


def records(path: Path) -> list[Record]:
    """One record per photo in the order of the file; the key is its record number, the identity its label's number.

    Raises DataError when the .idx file is missing or damaged, or the .rec file is cut short or damaged where it lists
    identities; a damaged photo shows only when it is read.
    """
    rec_path = path if path.is_file() else path / REC_NAME
    offsets = _read_index(rec_path)
    with rec_path.open("rb") as rec:
        labels = _photo_labels(_Listing(rec, offsets))
    if not labels:
        raise DataError(f"{rec_path} lists no photos; copy it again from where it came.")
    return [
        Record(str(number), str(labels[number]), partial(_read_photo, rec_path, offsets[number], number), rec_path)
        for number in sorted(labels)
    ]


def _read_index(rec_path: Path) -> dict[int, int]:
    """Record number -> byte in the .rec file."""
    index_path = rec_path.with_suffix(".idx")
    try:
        with index_path.open(encoding="ascii") as file:
            pairs = [line.split() for line in file]
        offsets = {int(number): int(byte) for number, byte in pairs}
    except FileNotFoundError as error:
        raise DataError(f"{rec_path} has no {index_path.name} beside it; copy both files.") from error
    except (OSError, ValueError) as error:
        raise DataError(
            f"{index_path} is damaged ({error}); its lines must be two whole numbers. Copy it again."
        ) from error
    size = rec_path.stat().st_size
    beyond = [number for number, byte in offsets.items() if not 0 <= byte < size]
    if beyond:
        raise DataError(
            f"{rec_path} ends at byte {size}, but {index_path.name} places {len(beyond)} records outside it, the first is"
            f" number {min(beyond)}; the file was cut short or belongs to another index. Copy both again."
        )
    return offsets


class _Listing:
    """The labels of an open .rec file's records, by record number."""

    def __init__(self, rec: BinaryIO, offsets: dict[int, int]) -> None:
        self.rec = rec
        self.offsets = offsets

    def labels(self, number: int) -> tuple[bool, list[int]]:
        """Whether the record carries a list of labels, and its labels."""
        if number not in self.offsets:
            raise DataError(f"The index of {self.rec.name} lacks record {number}; copy both files again.")
        where = _name(self.rec.name, number, self.offsets[number])
        flag, labels, _ = _unpack(_record_bytes(self.rec, self.offsets[number], where), where)
        if not all(math.isfinite(label) for label in labels):
            raise DataError(f"{where} carries a label that is no number; copy the file again.")
        return flag > 0, [int(label) for label in labels]

    def range_of(self, number: int) -> range:
        """The record numbers [first, last) that record ``number`` stands for."""
        has_list, labels = self.labels(number)
        if not has_list or len(labels) < 2 or not 0 < labels[0] <= labels[1]:
            raise DataError(f"Record {number} of {self.rec.name} names no range of records; copy the file again.")
        if labels[1] - labels[0] > len(self.offsets):
            raise DataError(
                f"Record {number} of {self.rec.name} stands for {labels[1] - labels[0]} records, and the file has"
                f" {len(self.offsets)}; copy both files again."
            )
        return range(labels[0], labels[1])


def _photo_labels(listing: _Listing) -> dict[int, int]:
    """Record number of every photo -> its identity's number."""
    if 0 not in listing.offsets or not listing.labels(0)[0]:
        return {number: listing.labels(number)[1][0] for number in sorted(listing.offsets)}
    identities = listing.range_of(0)
    if not identities:  # written without identity records: every record before them is a photo
        return {number: listing.labels(number)[1][0] for number in range(1, identities.start)}
    labels: dict[int, int] = {}
    for identity in identities:
        photos = listing.range_of(identity)
        if photos:
            label = listing.labels(photos.start)[1][0]
            for photo in photos:
                if photo not in listing.offsets:
                    raise DataError(f"The index of {listing.rec.name} lacks record {photo}; copy both files again.")
                labels[photo] = label
    return labels


def _read_photo(rec_path: Path, offset: int, number: int) -> NDArray[np.uint8]:
    """Decode the photo of one record; opens the file anew, so that any thread or process may call it."""
    where = _name(rec_path, number, offset)
    try:
        with rec_path.open("rb") as rec:
            _, _, photo = _unpack(_record_bytes(rec, offset, where), where)
    except OSError as error:
        raise PhotoError(f"{where} cannot be read ({error.strerror}); check the path and its permissions.") from error
    except DataError as error:
        raise PhotoError(str(error)) from error
    return decode_image(photo, where)


def _record_bytes(rec: BinaryIO, offset: int, where: str) -> bytes:
    """The record that starts at byte ``offset``, its parts joined by the magic they were split at."""
    rec.seek(offset)
    parts: list[bytes] = []
    while True:
        frame = rec.read(_FRAME.size)
        if len(frame) < _FRAME.size:
            raise DataError(f"{where} is cut short by the end of the file; copy the file again.")
        magic, kind_and_length = _FRAME.unpack(frame)
        kind, length = kind_and_length >> 29, kind_and_length & 0x1FFFFFFF
        if magic != MAGIC or kind not in ((_MIDDLE, _LAST) if parts else (_WHOLE, _FIRST)):
            raise DataError(f"{where} does not start with a record's frame; the file is damaged, copy it again.")
        part = rec.read(length)
        if len(part) < length:
            raise DataError(f"{where} is cut short by the end of the file; copy the file again.")
        parts.append(part)
        if kind in (_WHOLE, _LAST):
            return struct.pack("<I", MAGIC).join(parts)
        rec.seek(-length % 4, 1)


def _unpack(record: bytes, where: str) -> tuple[int, tuple[float, ...], bytes]:
    """Flag, labels and photo of a record."""
    if len(record) < _HEADER.size:
        raise DataError(f"{where} is shorter than a record's header; the file is damaged, copy it again.")
    flag, label, _, _ = _HEADER.unpack_from(record)
    if flag == 0:
        return 0, (label,), record[_HEADER.size :]
    end = _HEADER.size + 4 * flag
    if len(record) < end:
        raise DataError(f"{where} announces {flag} labels and is too short for them; copy the file again.")
    return flag, struct.unpack_from(f"<{flag}f", record, _HEADER.size), record[end:]


def _name(rec_path: str | Path, number: int, offset: int) -> str:
    return f"Record {number} of {rec_path} (byte {offset})"
