"""Who gets which row of a noise bank."""

import unicodedata
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal

from faceguard.bank import NoiseBank
from faceguard.decode import load_records
from faceguard.device import derive_seed
from faceguard.errors import BankError, NothingReadError
from faceguard.identification import centroids
from faceguard.identities import Faces
from faceguard.listing import PhotoJob
from faceguard.readers.record import Record, decode_image

Assign = Literal["nearest", "random", "round-robin"]


def assign_rows(
    bank: NoiseBank, names: Sequence[str], how: Assign, *, seed: int, faces: Faces | None = None
) -> dict[str, int]:
    """Which row each new identity gets.

    * ``round-robin``: in the order of the names; rows repeat only when there are more identities than rows.
    * ``random``: a hash of the seed and the name alone, so that a person keeps the row whoever else is there, also where a
      file system writes the name's accents in another Unicode form.
    * ``nearest``: the source identity whose centroid of source-model features has the largest cosine to the identity's own
      (the paper's class matching); needs ``faces``. Several identities may share a row.

    Raises BankError for a sample-wise bank, whose rows belong to single photos, or when ``faces`` lacks an identity.
    """
    if bank.form == "sample-wise":
        raise BankError(
            "A sample-wise bank holds noise for single photos and fits no other identity; use a class-wise bank."
        )
    if how == "round-robin":
        return {name: i % len(bank) for i, name in enumerate(names)}
    if how == "random":
        return {name: derive_seed(seed, "row", _composed(name)) % len(bank) for name in names}
    if how != "nearest":
        raise BankError(f"Assignment {how!r} is unknown; use nearest, random or round-robin.")
    if faces is None or bank.centroids is None:
        raise BankError("'nearest' needs faces to compare and a bank that carries centroids; use --assign random.")
    similarity = centroids(bank.source(), faces.of(names)) @ bank.centroids.T
    return dict(zip(names, similarity.argmax(dim=1).tolist(), strict=True))


def strangers(bank: NoiseBank, jobs: Sequence[PhotoJob]) -> list[str]:
    """Whoever the ``jobs`` show and no row of the ``bank`` was learnt for, in order."""
    learnt = own_rows(bank)
    return sorted({job.identity for job in jobs if _composed(job.identity) not in learnt})


def own_rows(bank: NoiseBank) -> dict[str, int]:
    """Whom the rows of a class-wise bank were learnt for, in Unicode's composed form (NFC), and which rows."""
    return {_composed(name): row for row, name in enumerate(bank.identities)}


def named_rows(bank: NoiseBank, drawn: Mapping[str, int]) -> dict[str, int]:
    """The rows ``drawn`` for some people, but their own for those whom the bank names."""
    learnt = own_rows(bank)
    return {name: learnt.get(_composed(name), row) for name, row in drawn.items()}


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def assign_to_photos(
    bank: NoiseBank, jobs: Sequence[PhotoJob], how: Assign, *, seed: int, named: bool = False
) -> dict[str, int]:
    """`assign_rows` for whoever the ``jobs`` show; for ``nearest`` their faces are looked for first.

    With ``named`` whoever the bank's identities name takes the row learnt for them, and only the others draw one. It is for
    banks of the user's own: in the bank that everybody has, a row that follows from a name could be foreseen.
    An identity without a face that could be compared gets a random row: its photos go on to say why they fail. What cannot
    be protected is not opened here either.
    """
    names = sorted({job.identity for job in jobs})
    if how != "nearest":
        rows = assign_rows(bank, names, how, seed=seed)
        return named_rows(bank, rows) if named and how == "random" else rows
    photos = [(job.relative.as_posix(), job) for job in jobs if job.problem is None]
    records = [Record(key, job.identity, partial(decode_image, job.source, key), job.source) for key, job in photos]
    try:
        faces = load_records(records, size=bank.size)
    except NothingReadError:
        return assign_rows(bank, names, "random", seed=seed)
    rest = assign_rows(bank, [name for name in names if name not in faces.names], "random", seed=seed)
    return rest | assign_rows(bank, faces.names, how, seed=seed, faces=faces)
