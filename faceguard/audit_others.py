"""The other people of an audit, among whom the user's are to be known: drawn, or from a folder of the user's choice.

Their photos are clean in every arm, and uploaded like the user's.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from faceguard import readers
from faceguard.copies import copies_among
from faceguard.device import derive_seed
from faceguard.errors import DataError
from faceguard.faces import TEMPLATE_SIZE
from faceguard.identities import Faces
from faceguard.manifest import MANIFEST
from faceguard.readers.record import Record
from faceguard.readers.synthetic import synthetic_faces
from faceguard.study import draw_protected
from faceguard.uploads import Upload, reach_trainer, upload_faces

Progress = Callable[[str, int, int], None]  # what is read, photos done, photos in all


@dataclass(frozen=True, kw_only=True)
class AuditSize:
    """How many others, how many photos of a person at most and at least, and how many people one audit takes.

    ``own_photos`` and ``their_photos`` limit how many are looked at in all, because finding faces takes most of the time.
    """

    others: int = 30
    photos: int = 30
    fewest: int = 5
    people: int = 20
    own_photos: int = 200
    their_photos: int = 600

    def of_each(self, people: int, in_all: int) -> int:
        """How many photos of each of ``people`` are looked at when they may be ``in_all`` together."""
        return max(self.fewest, min(self.photos, in_all // people))


def photos_of_each(faces: Faces) -> Counter[str]:
    """How many photos each person has."""
    return Counter(faces.names[label] for label in faces.labels)


def draw_others(people: int, photos: int, upload: Upload, seed: int) -> Faces:
    """Drawn faces, as many of each person as the user has, compressed like the user's photos."""
    drawn = synthetic_faces(people, photos, size=TEMPLATE_SIZE, seed=derive_seed(seed, "others of an audit"))
    names, keys = (tuple(one.replace("synthetic", "drawn") for one in all_of) for all_of in (drawn.names, drawn.keys))
    pixels = np.stack([reach_trainer(face, upload, TEMPLATE_SIZE) for face in drawn.pixels])
    return replace(drawn, names=names, keys=keys, pixels=pixels)


def their_records(folder: Path, size: AuditSize, seed: int) -> list[Record]:
    """The photos of people drawn by ``seed`` among those in ``folder`` with enough; DataError for too few."""
    by_person: dict[str, list[Record]] = defaultdict(list)
    for record in readers.find(folder):
        by_person[record.identity].append(record)
    enough = [who for who, records in by_person.items() if len(records) >= size.fewest]
    drawn = draw_protected(enough, size.others, seed=seed)
    most = size.of_each(max(len(drawn), 1), size.their_photos)
    wanted = [record for who in drawn for record in by_person[who][:most]]
    _refuse_copies(wanted)
    _refuse_alone(drawn, folder, size)
    return wanted


def read_others(folder: Path, records: Sequence[Record], size: AuditSize, upload: Upload, progress: Progress) -> Faces:
    """Faces of who still has enough of the ``records``, which are from ``folder``; DataError for too few."""
    tell = partial(progress, "photos of the others")
    faces = upload_faces(records, upload, size=TEMPLATE_SIZE, rows={}, progress=tell)
    counts = photos_of_each(faces)
    names = [who for who in dict.fromkeys(record.identity for record in records) if counts[who] >= size.fewest]
    _refuse_alone(names, folder, size)
    return faces.of(names)


def _refuse_alone(people: Sequence[str], folder: Path, size: AuditSize) -> None:
    if len(people) < 2:
        raise DataError(
            f"{folder} holds {len(people)} people with {size.fewest} usable photos or more; a comparison needs two at the"
            f" very least, and is better with {size.others}."
        )


def _refuse_copies(records: Sequence[Record]) -> None:
    """Raise DataError for others whose photos carry noise already: they are clean in every arm."""
    sources: dict[Path, list[Path]] = defaultdict(list)
    for record in records:
        if record.source is not None:
            sources[record.source.parent].append(record.source)
    if held := [folder for folder, photos in sources.items() if copies_among(folder, photos)]:
        raise DataError(f"{held[0]} of the others holds protected copies ({MANIFEST} says so); give their originals.")
