"""What an earlier run left in OUT: which line is a photo's own, and what this run may do with the file it names.

A line belongs to a photo when path and identity are the same, or path and content; the path alone does not tell, because
photos from two folders may share it. A file is still what the line says as long as its hash is.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from faceguard.listing import PhotoJob
from faceguard.manifest import PhotoResult
from faceguard.protect import Protection, file_hash

State = Literal["absent", "altered", "outdated", "intact"]


def own_lines(jobs: Sequence[PhotoJob], lines: Sequence[PhotoResult]) -> list[PhotoResult | None]:
    """The line of each photo's own among ``lines``, or None."""
    of_source: dict[str, list[PhotoResult]] = defaultdict(list)
    for line in lines:
        of_source[line.source].append(line)
    return [_own_line(job, of_source.get(job.relative.as_posix(), [])) for job in jobs]


def _own_line(job: PhotoJob, lines: Sequence[PhotoResult]) -> PhotoResult | None:
    for line in lines:
        if line.identity == job.identity:
            return line
    content = hash_of(job.source) if lines and job.problem is None else None
    return next((line for line in lines if content is not None and line.sha256_in == content), None)


def state(job: PhotoJob, line: PhotoResult | None, path: Path, how: Protection, row: int) -> State:
    """What the output ``path`` of a photo is to its own ``line``: not there, another file, made otherwise, or as wished."""
    found = hash_of(path)
    if line is None or line.status != "protected" or found is None:
        return "absent"
    if found != line.sha256_out:
        return "altered"
    same = (line.identity, line.row, line.settings) == (job.identity, row, how.digest)
    return "intact" if same and job.problem is None and hash_of(job.source) == line.sha256_in else "outdated"


def hash_of(path: Path) -> str | None:
    """SHA-256 of a file, or None when it cannot be read."""
    try:
        return file_hash(path) if path.is_file() else None  # a pipe would wait for ever
    except OSError:
        return None
