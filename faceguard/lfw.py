"""The LFW verification protocol: 6,000 pairs in ten folds (Huang et al. 2007); every image is embedded once."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from faceguard.decode import load_records
from faceguard.errors import DataError
from faceguard.identification import embed
from faceguard.identities import Failure
from faceguard.outputs import write_json
from faceguard.plots import roc_figure
from faceguard.readers.lfw import LfwPairs
from faceguard.recognizer import Embedder
from faceguard.verification import Verification, pair_scores, verify


def evaluate_lfw(
    model: Embedder,
    pairs: LfwPairs,
    out: Path,
    *,
    seed: int,
    device: torch.device | None = None,
    on_read: Callable[[int, int], None] | None = None,
    on_embedded: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Score the pairs and write ``lfw.json`` and ``roc.png`` to ``out``; returns what ``lfw.json`` holds."""
    found, images, failures = verify_lfw(
        model, pairs, seed=seed, device=device, on_read=on_read, on_embedded=on_embedded
    )
    roc_figure({"LFW": (found.far, found.tar)}, out / "roc.png", title=f"LFW, {found.pairs} pairs")
    damaged = {failure.key: failure.reason for failure in failures}
    content = found.to_json() | {"missing_images": list(images), "damaged_images": damaged}
    write_json(out / "lfw.json", content)
    return content


def verify_lfw(
    model: Embedder,
    pairs: LfwPairs,
    *,
    seed: int,
    device: torch.device | None = None,
    on_read: Callable[[int, int], None] | None = None,
    on_embedded: Callable[[int, int], None] | None = None,
) -> tuple[Verification, tuple[str, ...], Sequence[Failure]]:
    """The verification of ``pairs``, the names of images that were absent or unreadable, and why the latter were.

    Intervals come from a bootstrap over identities, so a .bin file, which names nobody, gets none; accuracy needs two
    folds, so pairs of a single one get none. A PyTorch model moves to ``device``; an ONNX file's stays on the CPU.
    Raises DataError when no pair has two readable images, or the pairs that have are all genuine or all impostors.
    """
    faces = load_records(pairs.records, size=model.size, progress=on_read)
    pairs = pairs.keep(faces.keys)
    if pairs.missing_pairs and len(set(pairs.genuine.tolist())) == 1:
        kind = "genuine" if pairs.genuine.all() else "impostor"
        raise DataError(
            f"{pairs.missing_pairs} of {len(pairs) + pairs.missing_pairs} pairs lack a readable photo, and the {len(pairs)} that"
            f" are left are all {kind} pairs, so there is no error rate to measure; give the folder that holds all photos."
        )
    if isinstance(model, nn.Module):
        model.to(device)
    else:
        device = None
    embeddings = embed(model, faces, device=device, progress=on_embedded).numpy()
    found = verify(
        pair_scores(embeddings, pairs.first, pairs.second),
        pairs.genuine,
        identities=pairs.identities,
        fold=pairs.folds,
        missing=pairs.missing_pairs,
        seed=seed,
    )
    return found, pairs.missing, faces.failures
