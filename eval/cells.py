"""Cells: one training each, computed once and kept under the hash of everything that determines it.

A cell's file holds what a recognizer made of the clean held-out faces (predictions after every epoch, the last logits and
embeddings), but nothing about groups: the same clean cell serves every study of the same faces. With LFW it also holds
the pairs' scores, and in ``lfw_of`` which pairs of which pictures they are; a study without LFW takes the cell either way.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray

from faceguard import __version__
from faceguard.adversary import Adversary, Attack
from faceguard.decode import resize_faces
from faceguard.identification import embed
from faceguard.identities import Faces
from faceguard.readers.lfw import LfwPairs
from faceguard.recognizer import Embedder
from faceguard.train import Epoch
from faceguard.verification import pair_scores

Cell = Mapping[str, NDArray[Any]]
CONTENT = 3  # raise it with what a cell holds: older cells are then computed again


def run_cell(
    fabric: Fabric,
    train: Faces,
    test: Faces,
    adversary: Adversary,
    *,
    seed: int,
    lfw: tuple[Faces, LfwPairs] | None,
    folder: Path,
    progress: Callable[[Epoch], None],
) -> Cell:
    """The cell's arrays: read when it was computed before, with the scores of just these ``lfw`` pairs, else trained and kept."""
    lfw_of = None if lfw is None else lfw_hash(*lfw)
    path = folder / f"{cell_hash(train, test, adversary, seed, fabric)}.npz"
    if path.is_file():
        with np.load(path, allow_pickle=False) as kept:
            cell = dict(kept)
        if lfw_of is None or str(cell.get("lfw_of")) == lfw_of:
            return cell
    begun = time.monotonic()
    attack = adversary.attack(fabric, train, test, seed=seed, progress=progress)
    content = _arrays(attack) | {"seconds": np.array(time.monotonic() - begun)}
    if lfw is not None:
        content |= {"lfw_scores": _lfw_scores(fabric, attack.embedder, *lfw), "lfw_of": np.array(lfw_of)}
    folder.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.stem}.tmp.npz")
    np.savez_compressed(temporary, **content)  # type: ignore[arg-type]
    temporary.replace(path)
    return content


def cell_hash(train: Faces, test: Faces, adversary: Adversary, seed: int, fabric: Fabric) -> str:
    """SHA-256 over what a cell holds and all that determines it, shortened to 16 hexadecimal digits."""
    digest = hashlib.sha256(
        repr((CONTENT, adversary.fingerprint(), seed, fabric._precision.precision, __version__)).encode()
    )
    for faces in (train, test):
        digest.update(faces.pixels.tobytes() + faces.labels.tobytes())
    return digest.hexdigest()[:16]


def lfw_hash(faces: Faces, pairs: LfwPairs) -> str:
    """SHA-256 over every LFW picture and which two make each pair, shortened as ``cell_hash`` is."""
    digest = hashlib.sha256(repr((faces.pixels.shape, len(pairs))).encode())
    for array in (faces.pixels, pairs.first, pairs.second, pairs.genuine):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _arrays(attack: Attack) -> dict[str, NDArray[Any]]:
    return {
        "predictions": attack.predictions.astype(np.int32),
        "logits": attack.logits,
        "losses": np.array(attack.losses),
        "embeddings": attack.embeddings.numpy(),
    }


def _lfw_scores(fabric: Fabric, embedder: Embedder, faces: Faces, pairs: LfwPairs) -> NDArray[np.float64]:
    with fabric.autocast(), torch.inference_mode():
        embeddings = embed(embedder, resize_faces(faces, embedder.size), device=fabric.device)
    return pair_scores(embeddings.numpy(), pairs.first, pairs.second)
