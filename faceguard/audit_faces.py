"""The faces of an audit: the user's own photos as a trainer finds them, in every arm, among other people's.

    photo -> protected at full size, or not -> JPEG -> found and aligned again -> 112 x 112 face

A photo that fails in one arm is left out of all, so that the arms differ in the noise alone. The others' photos are clean in
every arm; they are drawn faces, or those of a folder. Nothing is kept on disk. N photos, R rows.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from faceguard.assign import assign_rows, named_rows
from faceguard.audit_others import AuditSize, Progress, draw_others, photos_of_each, read_others, their_records
from faceguard.audit_pictures import show_noise
from faceguard.bank import SHIPPED, NoiseBank
from faceguard.controls import random_bank
from faceguard.decode import decode_image
from faceguard.doubts import doubts_about
from faceguard.errors import DataError
from faceguard.faces import TEMPLATE_SIZE
from faceguard.identities import Faces, Failure, merge, split
from faceguard.listing import list_photos
from faceguard.manifest import MANIFEST
from faceguard.readers.record import Record
from faceguard.study import Arm
from faceguard.uploads import Upload, upload_faces


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
    _refuse_few(Counter(record.identity for record in records), people, size, unlisted)
    theirs = None if others is None else their_records(others, size, seed)  # a mistake in them, before photos are read
    rows = in_turn if name == SHIPPED else named_rows(bank, in_turn)  # as protect gives them
    arms, failures = _own_arms(records, bank, rows, upload, seed, progress)
    failures = unlisted + failures
    _refuse_few(photos_of_each(arms["clean"]), people, size, failures)
    each = int(np.bincount(arms["clean"].labels).max())
    company = (
        draw_others(size.others, each, upload, seed)
        if others is None or theirs is None
        else read_others(others, theirs, size, upload, progress)
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


def _refuse_few(counts: Counter[str], people: Sequence[str], size: AuditSize, failures: Sequence[Failure]) -> None:
    few = [f"{who} {counts[who]}" for who in people if counts[who] < size.fewest]
    if few:
        lost = (
            f" {len(failures)} photos could not be used; of {failures[0].key}: {failures[0].reason}" if failures else ""
        )
        raise DataError(
            f"An audit needs {size.fewest} usable photos of each person, to train on most and to test on the rest, and"
            f" there are fewer of {len(few)} ({', '.join(few[:5])}); add photos, or leave these people out.{lost}"
        )


def _namesakes(people: Sequence[str], company: Faces) -> list[str]:
    both = sorted(set(people) & set(company.names))
    if not both:
        return []
    return [
        f"The others hold people named as yours are ({', '.join(both[:5])}): if they are the same, their clean photos teach"
        " what yours should not; rename or remove them."
    ]
