"""Which photos are protected copies, as the manifests in and above their folder say: twice is once too often.

A copy that is protected again carries two rows, at up to twice the budget, and is told apart from its original by nobody.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from faceguard.manifest import hash_of, written


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
    return {path for path in photos if here / path.relative_to(folder) in places or hash_of(path) in hashes - {None}}
