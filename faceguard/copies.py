"""Which photos are protected copies, as the manifests around them and in OUT say: twice is once too often.

A copy that is protected again carries two rows, at up to twice the budget, and is told apart from its original by nobody.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from faceguard.errors import DataError
from faceguard.manifest import hash_of, holds_copies, written


def copies_among(
    folder: Path,
    photos: Iterable[Path],
    *,
    out: Path | None = None,
    content: Callable[[Path], str | None] = hash_of,
) -> set[Path]:
    """Those of the ``photos`` in ``folder`` (to any depth) that a manifest there or above lists, by place or by content.

    A manifest between the folder and a photo counts for all of them, and so does that of ``out``, wherever it lies.
    ``content`` gives a photo's SHA-256.
    """
    here = Path(os.path.realpath(folder))
    relative = {path: path.relative_to(folder) for path in photos}
    between = {
        here / above for parent in {path.parent for path in relative.values()} for above in (parent, *parent.parents)
    }
    places: set[Path] = set()
    hashes: set[object] = set()
    known = set() if out is None else {Path(os.path.realpath(out))}
    for holder in {*between, here, *here.parents, *known}:
        for line in written(holder):
            place = holder / line["output"]
            if place.is_relative_to(holder):  # a forged line may name any file
                places.add(place)
            hashes.add(line.get("sha256_out"))
    hashes.discard(None)
    if not places and not hashes:
        return set()
    return {path for path in relative if here / relative[path] in places or content(path) in hashes}


def refuse_among(out: Path, originals: Path | None = None, protected: Path | None = None) -> None:
    """Raise DataError for results ``out``, which show originals, in a folder of copies, where everything may be published.

    That is an OUT, as its manifest says, the folder ``protected``, or that of the file ``protected`` unless ``originals`` lie
    there too; each to any depth.
    """
    here = Path(os.path.realpath(out))
    among = any(holds_copies(folder) for folder in (here, *here.parents))
    if protected is not None:
        folder = Path(os.path.realpath(protected if protected.is_dir() else protected.parent))
        both = (
            not protected.is_dir()
            and originals is not None
            and Path(os.path.realpath(originals)).is_relative_to(folder)
        )
        among |= here.is_relative_to(folder) and not both
    if among:
        raise DataError(
            f"{out} lies among the copies, and what is written there shows the originals; choose another --out."
        )


def holders(copies: Iterable[Path], root: Path) -> set[Path]:
    """The folders that hold the files ``copies`` in ``root``: of each the innermost with a manifest of copies, else ``root``."""
    return {_holder(parent, root) for parent in {path.parent for path in copies}}


def _holder(parent: Path, root: Path) -> Path:
    inside = [folder for folder in (parent, *parent.parents) if folder.is_relative_to(root)]
    return next((folder for folder in inside if holds_copies(folder)), root)
