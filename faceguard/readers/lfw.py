"""Labeled Faces in the Wild (Huang et al. 2007): which photos are compared, and in which of the ten folds.

P pairs, N photos that they need. ``pairs.txt`` starts with "folds pairs" (or "pairs" alone for one fold); each fold then
has that many genuine lines "Name 1 4" and as many impostor lines "Name 1 Other 2", for <Name>/<Name>_0001.jpg and so on.
insightface's ``.bin`` is a pickle of (encoded photos 0, 1, 2, ..., truth values): photos 2p and 2p + 1 make pair p.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceguard.endings import PHOTO_SUFFIXES
from faceguard.errors import DataError
from faceguard.readers.pickled import read_lists
from faceguard.readers.record import Record, decode_image

BIN_FOLDS = 10  # a .bin file does not store its folds; its pairs are cut into this many, in order


@dataclass(frozen=True, kw_only=True, eq=False)
class LfwPairs:
    """Pairs of photos to verify: pair p compares ``records[first[p]]`` with ``records[second[p]]``; each photo is listed once.

    ``genuine`` is true where both show one identity; ``fold`` counts from 0. ``missing`` names the photos that pairs need
    and nobody could read; the ``missing_pairs`` pairs that need them are not listed.
    """

    records: list[Record]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    genuine: NDArray[np.bool_]
    fold: NDArray[np.int64]
    missing: tuple[str, ...] = ()
    missing_pairs: int = 0

    def __len__(self) -> int:
        return len(self.genuine)

    @property
    def identities(self) -> tuple[NDArray[np.str_], NDArray[np.str_]] | None:
        """Who is on the first and on the second photo of each pair; None when nobody is named, as in a .bin file."""
        names = np.array([record.identity for record in self.records])
        both = names[self.first], names[self.second]
        return both if bool(((both[0] == both[1]) == self.genuine).all()) else None

    @property
    def folds(self) -> NDArray[np.int64] | None:
        """``fold``; None for a single one, for then no other is left to choose a threshold on."""
        return self.fold if len(np.unique(self.fold)) > 1 else None

    def keep(self, keys: Sequence[str]) -> "LfwPairs":
        """The pairs of which both photos are in ``keys``, with the records in the order of ``keys``.

        Call it with the keys of the decoded faces: then ``first`` and ``second`` are rows of those faces.
        Raises DataError when no pair is left.
        """
        position = {key: i for i, key in enumerate(keys)}
        place = np.array([position.get(record.key, -1) for record in self.records], dtype=np.int64)
        first, second = place[self.first], place[self.second]
        kept = (first >= 0) & (second >= 0)
        if not kept.any():
            raise DataError(f"None of the {len(self)} pairs has two readable photos; check the photos.")
        by_key = {record.key: record for record in self.records}
        lost = tuple(record.key for record, row in zip(self.records, place, strict=True) if row < 0)
        return replace(
            self,
            records=[by_key[key] for key in keys],
            first=first[kept],
            second=second[kept],
            genuine=self.genuine[kept],
            fold=self.fold[kept],
            missing=self.missing + lost,
            missing_pairs=self.missing_pairs + int((~kept).sum()),
        )


@dataclass(frozen=True)
class Pair:
    """One line of pairs.txt; a photo is a name and a number."""

    first: tuple[str, int]
    second: tuple[str, int]
    fold: int

    @property
    def genuine(self) -> bool:
        """Whether both photos show one identity."""
        return self.first[0] == self.second[0]


def read_pairs(photos: Path, pairs_file: Path | None = None) -> LfwPairs:
    """The pairs of ``pairs_file`` over the folder ``photos``, or of an insightface .bin file.

    Without ``pairs_file``, pairs.txt is looked for in the folder and beside it. Raises DataError when the pairs cannot be
    read, or when not one of them has both its photos.
    """
    if not photos.exists():
        raise DataError(f"{photos} does not exist; check the path.")
    if photos.is_file():
        return _read_bin(photos, pairs_file)
    if pairs_file is None:
        pairs_file = next((f for f in (photos / "pairs.txt", photos.parent / "pairs.txt") if f.is_file()), None)
    if pairs_file is None:
        raise DataError(f"There is no pairs.txt in {photos} or beside it; name the file with --pairs.")
    return _match(parse(pairs_file), photos, pairs_file)


def parse(pairs_file: Path) -> list[Pair]:
    """The lines of pairs.txt in their order; raises DataError naming the first line that is wrong."""
    try:
        text = pairs_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{pairs_file} cannot be read ({error}); check the path.") from error
    lines = [(number, line.split()) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
    if not lines:
        raise DataError(f"{pairs_file} is empty; copy it again.")
    header = [int(field) for field in lines[0][1] if _is_number(field)]
    if not len(header) == len(lines[0][1]) <= 2 or 0 in header:
        raise DataError(f'Line 1 of {pairs_file} must be "FOLDS PAIRS" or "PAIRS", as "10 300"; copy the file again.')
    folds, per_kind = header if len(header) == 2 else (1, header[0])
    if len(lines) - 1 != 2 * folds * per_kind:
        raise DataError(
            f"{pairs_file} announces {2 * folds * per_kind} pairs ({folds} folds of {per_kind} genuine and {per_kind}"
            f" impostor pairs) and has {len(lines) - 1}; it was cut short or changed, copy it again."
        )
    return [
        _pair(
            fields,
            fold=i // (2 * per_kind),
            genuine=i % (2 * per_kind) < per_kind,
            where=f"Line {number} of {pairs_file}",
        )
        for i, (number, fields) in enumerate(lines[1:])
    ]


def _pair(fields: list[str], *, fold: int, genuine: bool, where: str) -> Pair:
    match fields:
        case [name, first, second] if genuine and _is_number(first) and _is_number(second):
            return Pair((name, int(first)), (name, int(second)), fold)
        case [name, first, other, second] if not genuine and _is_number(first) and _is_number(second) and name != other:
            return Pair((name, int(first)), (other, int(second)), fold)
    wanted = (
        '"NAME NUMBER NUMBER" (a genuine pair)' if genuine else '"NAME NUMBER OTHER-NAME NUMBER" (an impostor pair)'
    )
    raise DataError(f"{where} is {' '.join(fields)[:80]!r}, not {wanted}; copy the file again.")


def _is_number(field: str) -> bool:
    return field.isascii() and field.isdigit() and len(field) < 10


def _match(pairs: list[Pair], photos: Path, pairs_file: Path) -> LfwPairs:
    """Find the photos that the pairs name; what is not there takes its pairs out."""
    wanted = dict.fromkeys(photo for pair in pairs for photo in (pair.first, pair.second))
    stems = {photo: f"{photo[0]}_{photo[1]:04d}" for photo in wanted}
    on_disk = {name: _photos_of(photos, name) for name in {name for name, _ in wanted}}
    present = sorted(photo for photo in wanted if stems[photo] in on_disk[photo[0]])
    position = {photo: i for i, photo in enumerate(present)}
    kept = [pair for pair in pairs if pair.first in position and pair.second in position]
    if not kept:
        raise DataError(
            f"{photos} has no pair of photos that {pairs_file} names; it should hold folders such as"
            f" {pairs[0].first[0]}/{stems[pairs[0].first]}.jpg."
        )
    files = [on_disk[photo[0]][stems[photo]] for photo in present]
    return LfwPairs(
        records=[
            Record(key := file.relative_to(photos).as_posix(), photo[0], partial(decode_image, file, key), file)
            for photo, file in zip(present, files, strict=True)
        ],
        first=np.array([position[pair.first] for pair in kept], dtype=np.int64),
        second=np.array([position[pair.second] for pair in kept], dtype=np.int64),
        genuine=np.array([pair.genuine for pair in kept], dtype=np.bool_),
        fold=np.array([pair.fold for pair in kept], dtype=np.int64),
        missing=tuple(sorted(stems[photo] for photo in wanted.keys() - position.keys())),
        missing_pairs=len(pairs) - len(kept),
    )


def _photos_of(photos: Path, name: str) -> dict[str, Path]:
    """The photos of one identity by name without suffix; of several (.jpg and .png) the last in order stays."""
    folder = photos / name
    if name in (".", "..") or Path(name).name != name or not folder.is_dir():
        return {}
    return {file.stem: file for file in sorted(folder.iterdir()) if file.suffix.lower() in PHOTO_SUFFIXES}


def _read_bin(file: Path, pairs_file: Path | None) -> LfwPairs:
    """insightface's .bin; equal photos are one record, and since nobody is named, its identity is the record's number."""
    if file.suffix != ".bin":
        raise DataError(f"{file} is neither a folder nor insightface's .bin; unpack it, and name the folder of images.")
    if pairs_file is not None:
        raise DataError(f"{file} holds its own pairs, so {pairs_file} would go unread; leave --pairs out.")
    try:
        encoded, same = read_lists(file.read_bytes(), str(file))
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}); check its permissions.") from error
    if not len(encoded) == 2 * len(same) > 0:
        raise DataError(
            f"{file} holds {len(encoded)} photos for {len(same)} pairs, and a pair needs two; copy it again."
        )
    position: dict[bytes, int] = {}
    places = np.array([position.setdefault(photo, len(position)) for photo in encoded], dtype=np.int64)
    return LfwPairs(
        records=[
            Record(f"{file.name}/{i}", str(i), partial(decode_image, photo, f"Photo {i} of {file}"), file)
            for photo, i in position.items()
        ],
        first=places[0::2],
        second=places[1::2],
        genuine=np.array(same, dtype=np.bool_),
        fold=np.arange(len(same), dtype=np.int64) * BIN_FOLDS // len(same),
    )
