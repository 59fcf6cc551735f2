"""Cells: one training each, computed once and kept under the hash of everything that determines it.

A cell's file holds what a recognizer made of the clean held-out faces (predictions after every epoch, the last logits and
embeddings), but nothing about groups: the same clean cell serves every study of the same faces. With LFW it also holds
the pairs' scores, and in ``lfw_of`` which pairs of which pictures they are; a study without LFW takes the cell either way.
``commit`` is that of the code that trained it. A training that is killed goes on from HASH.partial beside the cells.
A frozen extractor gives every cell the same scores, so they are computed once and kept beside the cells, in lfw-HASH.npy.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import numpy as np
import torch
from filelock import FileLock
from lightning_fabric import Fabric
from numpy.typing import NDArray

from faceguard import __version__
from faceguard.about import UNKNOWN, commit
from faceguard.adversary import Adversary, Attack
from faceguard.checkpoint import SAVED_EVERY, Checkpoint
from faceguard.countermeasure import Countermeasure
from faceguard.decode import resize_faces
from faceguard.device import apart
from faceguard.errors import FaceguardError
from faceguard.identification import embed
from faceguard.identities import Faces
from faceguard.readers.lfw import LfwPairs
from faceguard.recognizer import Embedder
from faceguard.train import Epoch
from faceguard.verification import pair_scores

Cell = Mapping[str, NDArray[Any]]
CONTENT = 3  # raise it with what a cell holds: older cells are then computed again


class CellMissingError(FaceguardError):
    """A cell that was only to be read has not been computed."""


def run_cell(
    fabric: Fabric,
    train: Faces,
    test: Faces,
    adversary: Adversary,
    countermeasure: Countermeasure | None = None,
    *,
    seed: int,
    lfw: tuple[Faces, LfwPairs] | None,
    folder: Path,
    without: Collection[str] = (),
    wait: bool = True,
    read_only: bool = False,
    progress: Callable[[Epoch], None] | None = None,
) -> Cell:
    """The cell's arrays: read when it was computed before, with the scores of just these ``lfw`` pairs, else trained and kept.

    ``without`` names arrays that are not kept, for studies that ask nothing of them. Of several processes that ask for one
    cell, one computes it and the others wait, or raise filelock.Timeout at once without ``wait``; a lock ends with its
    process. With ``read_only`` nothing is computed or waited for, and CellMissingError raised instead.
    """
    against = countermeasure or Countermeasure()
    lfw_of = None if lfw is None else lfw_hash(*lfw)
    path = folder / f"{cell_hash(train, test, adversary, against, seed, fabric)}.npz"
    if (cell := _kept(path, lfw_of)) is not None:
        return cell
    if read_only:
        raise CellMissingError(f"The cell {path.name} has not been computed; run the recipe without --judge.")
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock"), timeout=-1 if wait else 0):
        if (cell := _kept(path, lfw_of)) is not None:  # computed by another process meanwhile
            return cell
        checkpoint = Checkpoint(path=path.with_suffix(".partial"), every=SAVED_EVERY)
        content = _compute(
            fabric, train, test, adversary, against, checkpoint, seed=seed, lfw=lfw, folder=folder, progress=progress
        )
        content = {name: array for name, array in content.items() if name not in without}
        temporary = path.with_name(f"{path.stem}.tmp.npz")
        np.savez_compressed(temporary, **content)  # type: ignore[arg-type]
        temporary.replace(path)
        checkpoint.path.unlink(missing_ok=True)
    return content


def _kept(path: Path, lfw_of: str | None) -> Cell | None:
    """The cell's arrays, if its file is there, whole, and has the scores of the wanted pairs."""
    if not is_zipfile(path):  # absent, or torn by a crash of the machine: computed again
        return None
    with np.load(path, allow_pickle=False) as kept:
        cell = dict(kept)
    return cell if lfw_of is None or str(cell.get("lfw_of")) == lfw_of else None


def _compute(
    fabric: Fabric,
    train: Faces,
    test: Faces,
    adversary: Adversary,
    countermeasure: Countermeasure,
    checkpoint: Checkpoint,
    *,
    seed: int,
    lfw: tuple[Faces, LfwPairs] | None,
    folder: Path,
    progress: Callable[[Epoch], None] | None,
) -> Cell:
    by = np.array(commit() or UNKNOWN)  # asked first: the clone may have moved on by the end
    changes = type(countermeasure).batch is not Countermeasure.batch  # who trains nothing refuses to change batches
    attack = adversary.attack(
        fabric,
        countermeasure.prepare(train, seed=seed),
        countermeasure.view(test),
        seed=seed,
        change_batch=countermeasure.batch if changes else None,
        progress=progress,
        checkpoint=checkpoint,
    )
    content = attack.arrays() | {"seconds": np.array(checkpoint.seconds), "commit": by}
    if lfw is not None:
        scores = _lfw_scores(fabric, attack, countermeasure.view(lfw[0]), lfw[1], folder)
        content |= {"lfw_scores": scores, "lfw_of": np.array(lfw_hash(*lfw))}
    return content


def commit_of(cell: Cell) -> str:
    """The commit that computed the cell; UNKNOWN for one from before it was kept."""
    return str(cell.get("commit", UNKNOWN))


def cell_hash(
    train: Faces, test: Faces, adversary: Adversary, countermeasure: Countermeasure, seed: int, fabric: Fabric
) -> str:
    """SHA-256 over what a cell holds and all that determines it, shortened to 16 hexadecimal digits."""
    settings = adversary.fingerprint(), countermeasure, seed, fabric._precision.precision
    digest = hashlib.sha256(repr((CONTENT, *settings, __version__, *apart(fabric))).encode())
    for faces in (train, test):
        digest.update(faces.pixels.tobytes() + faces.labels.tobytes())
    return digest.hexdigest()[:16]


def lfw_hash(faces: Faces, pairs: LfwPairs) -> str:
    """SHA-256 over every LFW picture and which two make each pair, shortened as ``cell_hash`` is."""
    digest = hashlib.sha256(repr((faces.pixels.shape, len(pairs))).encode())
    for array in (faces.pixels, pairs.first, pairs.second, pairs.genuine):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _lfw_scores(fabric: Fabric, attack: Attack, seen: Faces, pairs: LfwPairs, folder: Path) -> NDArray[np.float64]:
    """The pairs' scores on the pictures as they are ``seen``; those of a frozen embedder are kept in ``folder``."""
    if attack.frozen is None:
        with fabric.autocast():
            return _score(fabric, attack.embedder, seen, pairs)
    settings = CONTENT, attack.frozen, fabric._precision.precision, lfw_hash(seen, pairs), __version__
    path = folder / f"lfw-{hashlib.sha256(repr(settings).encode()).hexdigest()[:16]}.npy"
    with FileLock(path.with_suffix(".lock")):  # whoever comes second waits, and embeds nothing
        if not path.is_file():
            temporary = path.with_name(f"{path.stem}.tmp.npy")
            np.save(temporary, _score(fabric, attack.embedder, seen, pairs))  # in fp32, as it embedded the faces
            temporary.replace(path)
        kept: NDArray[np.float64] = np.load(path, allow_pickle=False)
        return kept


def _score(fabric: Fabric, embedder: Embedder, faces: Faces, pairs: LfwPairs) -> NDArray[np.float64]:
    with torch.inference_mode():
        embeddings = embed(embedder, resize_faces(faces, embedder.size), device=fabric.device)
    return pair_scores(embeddings.numpy(), pairs.first, pairs.second)
