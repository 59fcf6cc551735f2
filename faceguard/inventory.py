"""What a folder of photos is and whether it is sound: its format, its classes or identities, its photos and their sizes.

Every photo is decoded, or with ``quick`` a thousand spread over the list. CIFAR's and SVHN's own files are compared with
their published MD5s. Names are compared with LFW's, because who is in both is known to a recognizer before it is tested.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from faceguard.errors import DataError
from faceguard.fetch import unlike_published
from faceguard.identities import Failure
from faceguard.readers import FOLDER, Record, find_splits, folder, lfw, recognise
from faceguard.reading import Progress, read_each

SAMPLE = 1000  # photos that a quick look decodes
LFW_PEOPLE = 5749  # in all of LFW; its 6,000 pairs need 4,281 of them
LFW_LISTS = ("lfw-names.txt", "pairs.txt")


@dataclass(frozen=True, kw_only=True)
class Part:
    """Photos of one kind, and how many a class has: the fewest, the median, the most."""

    name: str
    photos: int
    per_class: tuple[int, float, int]


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """What was found: ``sizes`` counts the (width, height) of ``decoded`` photos, ``damaged`` says what is not sound,
    ``strays`` what is nobody's.

    ``pairs`` counts LFW's pairs, all and those with a photo missing, where the folder comes with pairs.txt.
    """

    layout: str
    faces: bool
    classes: tuple[str, ...]
    parts: tuple[Part, ...]
    decoded: int
    sizes: Counter[tuple[int, int]]
    damaged: tuple[Failure, ...]
    strays: tuple[Failure, ...]
    pairs: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class _Contents:
    layout: str
    faces: bool
    classes: tuple[str, ...]
    parts: dict[str, list[Record]]
    pairs: tuple[int, int] | None = None


def take_inventory(path: Path, *, quick: bool = False, progress: Progress | None = None) -> Inventory:
    """Look at every photo in ``path``, or at a sample; raises DataError when it is no data set or cannot be listed."""
    contents = _list(path)
    records = [record for part in contents.parts.values() for record in part]
    if quick and len(records) > SAMPLE:
        records = [records[i] for i in np.linspace(0, len(records) - 1, SAMPLE).astype(int)]
    sizes: Counter[tuple[int, int]] = Counter()
    damaged = _changed(records)
    with closing(read_each(records, _size, progress=progress)) as read:
        for _, seen in read:
            if isinstance(seen, Failure):
                damaged.append(seen)
            else:
                sizes[seen] += 1
    stray = folder.beside(path) if contents.layout == FOLDER else []
    return Inventory(
        layout=contents.layout,
        faces=contents.faces,
        classes=contents.classes,
        parts=tuple(_part(name, part, contents.classes) for name, part in contents.parts.items()),
        decoded=len(records),
        sizes=sizes,
        damaged=tuple(damaged),
        strays=tuple(Failure(key=name, reason=folder.NOBODYS) for name in stray),
        pairs=contents.pairs,
    )


def shared_names(names: Iterable[str], others: Iterable[str]) -> list[str]:
    """Those of ``names`` that also occur in ``others``: by their letters, whatever case, accents and marks between words."""
    known = {_plain(name) for name in others}
    return [name for name in names if _plain(name) in known]


def lfw_names(path: Path) -> list[str]:
    """The people whom ``path`` names: LFW's folder of images with the lists in or beside it, or one of LFW_LISTS.

    Raises DataError when there is no such path, or it names nobody.
    """
    if path.is_file():
        return sorted(_listed(path))
    lists = [place / name for name in LFW_LISTS for place in (path, path.parent) if (place / name).is_file()]
    listed = set[str]().union(*map(_listed, lists))
    photos = recognise(path)[1] if not lists or folder.fits(path) else []
    people = {record.identity for record in photos}
    # folders beside pairs.txt of which it names none hold LFW's versions, not people
    return sorted(listed | people if not lists or listed & people else listed)


def _listed(file: Path) -> set[str]:
    """The people in pairs.txt, or in lfw-names.txt with its lines "Name 4"."""
    try:
        lines = [line.split() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read ({error}); give LFW's folder, pairs.txt or lfw-names.txt.") from error
    if lines and all(len(fields) == 2 and fields[1].isdigit() for fields in lines):
        return {name for name, _ in lines}
    return {name for pair in lfw.parse(file) for name, _ in (pair.first, pair.second)}


def _plain(name: str) -> str:
    """Words of small letters without accents; "pins_" before a name is a collection's own."""
    letters = "".join(one for one in unicodedata.normalize("NFKD", name) if not unicodedata.combining(one))
    return " ".join(re.sub(r"[\W_]+", " ", letters).split()).casefold().removeprefix("pins ")


def _size(pixels: NDArray[np.uint8]) -> tuple[int, int]:
    return pixels.shape[1], pixels.shape[0]


def _list(path: Path) -> _Contents:
    """What ``path`` is, and its photos, none decoded."""
    splits = find_splits(path)
    if splits is not None:
        parts = {"training photos": splits.train} | ({"test photos": splits.test} if splits.test else {})
        return _Contents(layout=splits.layout, faces=False, classes=splits.classes, parts=parts)
    if path.suffix == ".bin" and path.is_file():
        pairs = lfw.read_pairs(path)
        layout, records = "LFW's pairs in insightface's .bin", pairs.records
        return _Contents(layout=layout, faces=True, classes=(), parts={"photos": records}, pairs=(len(pairs), 0))
    layout, records = recognise(path)
    names = tuple(dict.fromkeys(record.identity for record in records))
    pairs_found = _pairs(path) if layout == FOLDER else None
    faces = layout != "parquet"
    return _Contents(layout=layout, faces=faces, classes=names, parts={"photos": records}, pairs=pairs_found)


def _pairs(path: Path) -> tuple[int, int] | None:
    """LFW's pairs, and how many of them lack a photo, where a sound pairs.txt lies in or beside the folder."""
    lists = [place / "pairs.txt" for place in (path, path.parent) if (place / "pairs.txt").is_file()]
    if not lists:
        return None
    lfw.parse(lists[0])  # a damaged list is an error
    try:
        found = lfw.read_pairs(path, lists[0])
    except DataError:  # it lies beside other photos than those it names
        return None
    return len(found) + found.missing_pairs, found.missing_pairs


def _part(name: str, records: Sequence[Record], classes: Sequence[str]) -> Part:
    counts = Counter(record.identity for record in records)
    numbers = [counts[each] for each in classes] or [0]
    return Part(name=name, photos=len(records), per_class=(min(numbers), median(numbers), max(numbers)))


def _changed(records: Sequence[Record]) -> list[Failure]:
    """The files of CIFAR and SVHN, also the one with CIFAR's names, that are not as published."""
    sources = {record.source for record in records if record.source is not None}
    names = {parent / name for parent in {source.parent for source in sources} for name in ("batches.meta", "meta")}
    reason = "it has another MD5 than the published file; fetch the set again."
    return [Failure(key=file.name, reason=reason) for file in sorted(unlike_published(sources | names))]
