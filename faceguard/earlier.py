"""What an earlier run left in OUT: which line is a photo's own, and what this run may do with the file it names.

A line belongs to a photo when path and content are the same. Path and identity do not tell: two folders of one person may
hold photos of one name, so they give a line to a photo only where the content is unknown, or is not to be told from a newer
version. A file is still what the line says as long as its hash is.
"""

import os
from collections import defaultdict
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from faceguard.errors import DataError
from faceguard.listing import PhotoJob, real_path
from faceguard.manifest import MANIFEST, PhotoResult, hash_of, read_results, rewrite
from faceguard.photo import PART_PATTERN
from faceguard.protect import Protection

State = Literal["absent", "altered", "outdated", "intact"]


def earlier_lines(out: Path, *, refuse: bool) -> list[PhotoResult]:
    """Clear the folder ``out`` of torn parts, and give the lines that an earlier run left.

    Raises DataError with ``refuse``, unless that run protected nothing.
    """
    manifest = out / MANIFEST
    if refuse and manifest.exists() and not _protected_nothing(manifest):
        raise DataError(
            f"{out} already holds protected photos, which are left as they are; go on with --resume, replace them with"
            " --overwrite, or choose another folder."
        )
    remove_parts(out)
    earlier = read_results(manifest)
    rewrite(manifest, earlier)  # without the torn line that a killed run may have left
    return earlier


def _protected_nothing(manifest: Path) -> bool:
    """Whether it is an earlier run's, and every photo failed or none was begun; a file of this name may be anybody's."""
    lines = read_results(manifest)
    empty = manifest.is_file() and manifest.stat().st_size == 0
    return empty or (bool(lines) and all(line.output is None for line in lines))


def remove_parts(out: Path) -> None:
    """Remove what processes that were killed, or ended by Ctrl-C, left unfinished; not in a folder with a run of its own."""
    for folder, folders, names in os.walk(out):
        here = Path(folder)
        for name in filter(lambda name: fnmatchcase(name, PART_PATTERN), names):
            (here / name).unlink()
        folders[:] = [name for name in folders if not (here / name / MANIFEST).exists()]


def own_lines(
    jobs: Sequence[PhotoJob], lines: Sequence[PhotoResult], *, newer: bool = True
) -> list[PhotoResult | None]:
    """The line of each photo's own among ``lines``, or None.

    ``newer`` takes a photo of the same path and identity, with other content, for a newer version of the line's.
    """
    of_source: dict[str, list[PhotoResult]] = defaultdict(list)
    for line in lines:
        of_source[line.source].append(line)
    return [_own_line(job, of_source.get(job.relative.as_posix(), []), newer) for job in jobs]


def _own_line(job: PhotoJob, lines: Sequence[PhotoResult], newer: bool) -> PhotoResult | None:
    content = job.content if lines and job.problem is None else None
    same = [line for line in lines if content is not None and line.sha256_in == content]
    known = [line for line in lines if newer or content is None or line.sha256_in is None]
    return next(iter([*same, *(line for line in known if line.identity == job.identity)]), None)


def state(job: PhotoJob, line: PhotoResult | None, copy: Path, *, name: str, how: Protection, row: int) -> State:
    """What the file ``copy`` is to a photo's own ``line``, which may give it that ``name``.

    Not there or not the photo's, altered since, of another photo, row or setting, or all that is wished.
    """
    found = hash_of(copy)
    if line is None or line.status != "protected" or line.output != name or found is None:
        return "absent"
    if found != line.sha256_out:
        return "altered"
    same = (line.identity, line.row, line.settings) == (job.identity, row, how.digest)
    return "intact" if same and job.problem is None and job.content == line.sha256_in else "outdated"


def standing(line: PhotoResult, out: Path) -> Path | None:
    """The copy that ``line`` names, when it lies in ``out`` and still is what was written; else None."""
    if line.output is None or line.sha256_out is None:
        return None
    path = out / line.output
    inside = real_path(path.parent).is_relative_to(real_path(out))
    return path if inside and hash_of(path) == line.sha256_out else None
