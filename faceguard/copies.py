"""Which photos are protected copies, as the manifests in and above their folder say: twice is once too often.

A copy that is protected again carries two rows, at up to twice the budget, and is told apart from its original by nobody.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from faceguard.manifest import written


def copies_among(folder: Path, photos: Iterable[Path]) -> set[Path]:
    """Those of the ``photos`` in ``folder`` (to any depth) that a manifest there or above lists, by place or by content."""
    here = Path(os.path.realpath(folder))
    places: set[Path] = set()
    hashes: set[object] = set()
    for above in (here, *here.parents):
        for line in written(above):
            places.add(above / line["output"])
            hashes.add(line.get("sha256_out"))
    if not places:
        return set()
    return {path for path in photos if here / path.relative_to(folder) in places or _hash(path) in hashes - {None}}


def _hash(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
