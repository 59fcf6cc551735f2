"""The faces of an audit: the user's own photos as a trainer finds them, in every arm, among other people's.

    photo -> protected at full size, or not -> JPEG -> found and aligned again -> 112 x 112 face

A photo that fails in one arm is left out of all, so that the arms differ in the noise alone. The others' photos are clean in
every arm; they are drawn faces, or those of a folder. Nothing is kept on disk. N photos, R rows.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from faceguard import readers
from faceguard.assign import assign_rows, named_rows
from faceguard.audit_pictures import show_noise
from faceguard.bank import SHIPPED, NoiseBank
from faceguard.controls import random_bank
from faceguard.copies import copies_among
from faceguard.decode import decode_image
from faceguard.device import derive_seed
from faceguard.doubts import doubts_about
from faceguard.errors import DataError
from faceguard.faces import TEMPLATE_SIZE
from faceguard.identities import Faces, Failure, merge, split
from faceguard.listing import list_photos
from faceguard.manifest import MANIFEST
from faceguard.readers.record import Record
from faceguard.readers.synthetic import synthetic_faces
from faceguard.study import Arm, draw_protected
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


@dataclass(frozen=True, kw_only=True)
class AuditFaces:
    """Training faces by arm, clean held-out faces, whose photos are protected, and what was found wrong with them.

    ``drawn`` says that the others are drawn. ``noise`` and ``pictures`` are those of result.json.
    """

    train: Mapping[Arm, Faces]
    test: Faces
    protected: tuple[str, ...]
    drawn: bool
    doubts: list[str]
    failures: tuple[Failure, ...]
    noise: dict[str, Any]
    pictures: list[dict[str, str]]


def gather(
    photos: Path,
    bank: NoiseBank,
    name: str,
    *,
    others: Path | None,
    upload: Upload,
    size: AuditSize,
    seed: int,
    progress: Progress = lambda *_: None,
) -> AuditFaces:
    """Read the user's ``photos`` and the others' and make every arm; ``name`` is what sentences call the ``bank``.

    Raises DataError for too few photos or people, and for photos that carry noise already; BankError for sample-wise noise.
    """
    records, unlisted = _own_records(photos, size)
    people = list(dict.fromkeys(record.identity for record in records))
    in_turn = assign_rows(bank, people, "round-robin", seed=seed)
    rows = in_turn if name == SHIPPED else named_rows(bank, in_turn)  # as protect gives them
    arms, failures = _own_arms(records, bank, rows, upload, seed, progress)
    failures = unlisted + failures
    _refuse_few(arms["clean"], people, size, failures)
    each = int(np.bincount(arms["clean"].labels).max())
    company = (
        _drawn(size.others, each, upload, seed)
        if others is None
        else _read_others(others, size, upload, seed, progress)
    )
    doubts = _namesakes(people, company)
    company = replace(company, names=tuple(f"{who} (other)" if who in people else who for who in company.names))
    halves = {arm: split(merge(mine, company), seed=seed) for arm, mine in arms.items()}
    train, test = halves["clean"]
    noise, pictures = show_noise(arms["clean"], records, bank, rows, upload)
    return AuditFaces(
        train={arm: half[0] for arm, half in halves.items()},
        test=test,
        protected=arms["clean"].names,
        drawn=others is None,
        doubts=doubts_about(bank, name, train, test) + doubts,
        failures=failures + company.failures,
        noise=noise,
        pictures=pictures,
    )


def _own_records(photos: Path, size: AuditSize) -> tuple[list[Record], tuple[Failure, ...]]:
    """As many records of each person as ``size`` allows, spread evenly, and the photos that cannot be opened at all."""
    folder = photos if photos.is_dir() else photos.parent
    if (folder / MANIFEST).exists():
        raise DataError(f"{folder} holds protected copies ({MANIFEST} says so); name the folder of the originals.")
    by_person: dict[str, list[Record]] = defaultdict(list)
    failures = []
    for job in list_photos(photos):
        key = job.relative.as_posix()
        if job.problem is not None:
            failures.append(Failure(key=key, reason=job.problem))
        else:
            by_person[job.identity].append(
                Record(key, job.identity, partial(decode_image, job.source, key), job.source)
            )
    if len(by_person) > size.people:
        raise DataError(
            f"{photos} holds photos of {len(by_person)} people, and an audit takes {size.people} at most;"
            " name a folder with fewer, or use the harness, python -m eval."
        )
    if not by_person:
        raise DataError(
            f"Not one photo in {photos} could be opened; the first: {failures[0].key}: {failures[0].reason}"
        )
    most, chosen = size.of_each(len(by_person), size.own_photos), []
    for mine in by_person.values():
        chosen += [mine[i] for i in np.linspace(0, len(mine) - 1, min(len(mine), most)).astype(int)]
    return chosen, tuple(failures)


def _own_arms(
    records: Sequence[Record],
    bank: NoiseBank,
    rows: Mapping[str, int],
    upload: Upload,
    seed: int,
    progress: Progress,
) -> tuple[dict[Arm, Faces], tuple[Failure, ...]]:
    """The same photos in every arm, under the same names, and those that failed in one."""
    noises: dict[Arm, NoiseBank | None] = {
        "clean": None,
        "random": random_bank(bank, seed=seed),
        "error-minimizing": bank,
    }
    found = {
        arm: upload_faces(
            records,
            upload,
            size=TEMPLATE_SIZE,
            bank=noise,
            rows={} if noise is None else rows,
            progress=partial(progress, f"photos, {arm} arm"),
        )
        for arm, noise in noises.items()
    }
    failures = {failure.key: failure for faces in found.values() for failure in faces.failures}
    kept = set.intersection(*(set(faces.keys) for faces in found.values()))
    if not kept:
        raise DataError("Not one photo could be used in every arm; use photos that show the whole face.")
    identity = {record.key: record.identity for record in records}
    names = sorted({identity[key] for key in kept})
    arms = {
        arm: faces.take([i for i, key in enumerate(faces.keys) if key in kept]).of(names)
        for arm, faces in found.items()
    }
    return {arm: replace(faces, failures=()) for arm, faces in arms.items()}, tuple(failures.values())


def _refuse_few(clean: Faces, people: Sequence[str], size: AuditSize, failures: Sequence[Failure]) -> None:
    counts = Counter(clean.names[label] for label in clean.labels)
    few = [f"{who} {counts[who]}" for who in people if counts[who] < size.fewest]
    if few:
        lost = (
            f" {len(failures)} photos could not be used; of {failures[0].key}: {failures[0].reason}" if failures else ""
        )
        raise DataError(
            f"An audit needs {size.fewest} usable photos of each person, to train on most and to test on the rest, and"
            f" there are fewer of {len(few)} ({', '.join(few[:5])}); add photos, or leave these people out.{lost}"
        )


def _drawn(people: int, photos: int, upload: Upload, seed: int) -> Faces:
    """Drawn faces, as many of each person as the user has, compressed like the user's photos."""
    drawn = synthetic_faces(people, photos, size=TEMPLATE_SIZE, seed=derive_seed(seed, "others of an audit"))
    names, keys = (tuple(one.replace("synthetic", "drawn") for one in all_of) for all_of in (drawn.names, drawn.keys))
    pixels = np.stack([reach_trainer(face, upload, TEMPLATE_SIZE) for face in drawn.pixels])
    return replace(drawn, names=names, keys=keys, pixels=pixels)


def _read_others(folder: Path, size: AuditSize, upload: Upload, seed: int, progress: Progress) -> Faces:
    """The faces of people drawn by ``seed`` among those in ``folder`` with enough photos, uploaded like the user's."""
    by_person: dict[str, list[Record]] = defaultdict(list)
    for record in readers.find(folder):
        by_person[record.identity].append(record)
    enough = [who for who, records in by_person.items() if len(records) >= size.fewest]
    drawn = draw_protected(enough, size.others, seed=seed)
    most = size.of_each(max(len(drawn), 1), size.their_photos)
    wanted = [record for who in drawn for record in by_person[who][:most]]
    _refuse_copies(wanted)
    tell = partial(progress, "photos of the others")
    faces = upload_faces(wanted, upload, size=TEMPLATE_SIZE, rows={}, progress=tell) if wanted else None
    counts: Counter[str] = Counter() if faces is None else Counter(faces.names[label] for label in faces.labels)
    names = [who for who in drawn if counts[who] >= size.fewest]
    if faces is None or len(names) < 2:
        raise DataError(
            f"{folder} holds {len(names)} people with {size.fewest} usable photos or more; a comparison needs two at the"
            f" very least, and is better with {size.others}."
        )
    return faces.of(names)


def _refuse_copies(records: Sequence[Record]) -> None:
    """Raise DataError for others whose photos carry noise already: they are clean in every arm."""
    sources: dict[Path, list[Path]] = defaultdict(list)
    for record in records:
        if record.source is not None:
            sources[record.source.parent].append(record.source)
    if held := [folder for folder, photos in sources.items() if copies_among(folder, photos)]:
        raise DataError(f"{held[0]} of the others holds protected copies ({MANIFEST} says so); give their originals.")


def _namesakes(people: Sequence[str], company: Faces) -> list[str]:
    both = sorted(set(people) & set(company.names))
    if not both:
        return []
    return [
        f"The others hold people named as yours are ({', '.join(both[:5])}): if they are the same, their clean photos teach"
        " what yours should not; rename or remove them."
    ]
