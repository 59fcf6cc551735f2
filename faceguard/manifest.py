"""What became of every photo: one line of JSON for each, in ``OUT/manifest.jsonl``.

A line is flushed as soon as its photo is done, so a crash costs at most the line that was being written. Lines follow
the order in which photos end; a run that ends puts them into the order of the photos, one line each, by renaming.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, TextIO

from faceguard.photo import PART_PREFIX

MANIFEST = "manifest.jsonl"


@dataclass(frozen=True, kw_only=True)
class PhotoResult:
    """One line of the manifest; paths are relative to PHOTOS and OUT, with forward slashes.

    ``reason`` says why a photo failed, or what was left undone in a protected one. ``faces`` counts those found (None:
    the photo was not searched). ``max_change`` (levels), ``psnr`` (dB), ``ssim`` and ``noise_kept`` (correlation with the
    row, as a trainer finds it) are measured on the file as written and read again. ``settings`` tells runs apart.
    """

    source: str
    output: str | None
    status: Literal["protected", "failed"]
    reason: str | None
    identity: str
    row: int
    faces: int | None = None
    max_change: int | None = None
    psnr: float | None = None
    ssim: float | None = None
    noise_kept: float | None = None
    sha256_in: str | None = None
    sha256_out: str | None = None
    settings: str = ""


_FIELDS = {field.name for field in fields(PhotoResult)}
_NEEDED = {"source", "output", "status", "reason", "identity", "row"}


def append_result(file: TextIO, result: PhotoResult) -> None:
    """Append one line and hand it to the system, so that a crash later loses nothing."""
    file.write(_line(result))
    file.flush()


def read_results(path: Path) -> list[PhotoResult]:
    """The lines that hold, see `current`; those that are torn or none of ours are passed over. Empty without a manifest."""
    if not path.is_file():
        return []
    parsed = (_parse(line) for line in path.read_bytes().split(b"\n"))
    return current([PhotoResult(**content) for content in parsed if content is not None])


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_of(path: Path) -> str | None:
    """The same, or None when it cannot be read."""
    try:
        return file_hash(path) if path.is_file() else None  # a pipe would wait for ever
    except OSError:
        return None


def holds_copies(folder: Path) -> bool:
    """Whether ``folder`` is an OUT with protected copies, as its manifest says."""
    return next(written(folder), None) is not None


def written(folder: Path) -> Iterator[dict[str, Any]]:
    """The lines of the manifest in ``folder`` that name a copy, one at a time; none where it cannot be read."""
    path = folder / MANIFEST
    try:
        if path.is_file():
            with path.open("rb") as file:
                yield from (line for line in map(_parse, file) if line is not None and line["output"] is not None)
    except OSError:
        return


def current(lines: Sequence[PhotoResult]) -> list[PhotoResult]:
    """The ``lines`` that no later one replaces: one of the same photo, or of another that took its output.

    Photos from two folders may have the same path in PHOTOS; what tells them apart is the content. A line without a copy, or
    without the content's hash, is replaced by any later one of the same path and identity.
    """
    kept: list[PhotoResult] = []
    outputs: set[str] = set()
    later: dict[str, list[PhotoResult]] = defaultdict(list)
    for line in reversed(lines):
        if line.output not in outputs and not any(_replaced(line, other) for other in later[line.source]):
            kept.append(line)
        later[line.source].append(line)
        outputs.update([line.output] if line.output is not None else [])
    return kept[::-1]


def _replaced(line: PhotoResult, later: PhotoResult) -> bool:
    """Of two lines with one source."""
    if line.output is None or line.sha256_in is None:
        return line.identity == later.identity
    return line.sha256_in == later.sha256_in


def rewrite(path: Path, results: Iterable[PhotoResult]) -> None:
    """Replace the manifest by one line for each of the ``results``."""
    temporary = path.with_name(f"{PART_PREFIX}{16 * '0'}.part")
    try:
        temporary.write_text("".join(map(_line, results)), encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _line(result: PhotoResult) -> str:
    return json.dumps(asdict(result), allow_nan=False) + "\n"


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):  # a file of this name may be anybody's
        return None
    if not (isinstance(content, dict) and _NEEDED <= content.keys() <= _FIELDS):
        return None
    texts = isinstance(content["source"], str) and isinstance(content["output"], str | None)
    return content if texts and isinstance(content.get("sha256_out"), str | None) else None
