"""A file or folder of photos -> protected photos and a manifest.

H x W photo, S crop size. Each photo goes on its own: read, find faces, warp the identity's noise into the photo, add,
write, read again, measure. A photo that fails is reported with its reason and the others go on. ``OUT/manifest.jsonl``
gets one line per photo, flushed with it.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal, TextIO

import numpy as np
from numpy.typing import NDArray

from faceguard import photo
from faceguard.bank import NoiseBank
from faceguard.errors import DataError, PhotoError
from faceguard.faces import add_to_faces, alignment, find, level_budget
from faceguard.listing import PhotoJob, output_names
from faceguard.quality import Quality, quality

MANIFEST = "manifest.jsonl"


@dataclass(frozen=True, kw_only=True)
class PhotoResult:
    """One line of the manifest; paths are relative to PHOTOS and OUT, with forward slashes.

    ``faces`` counts those found (None: the photo was not searched). ``max_change`` (levels), ``psnr`` (dB) and ``ssim``
    are measured on the file as written and read again, and None unless ``status`` is protected.
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
    sha256_in: str | None = None
    sha256_out: str | None = None


@dataclass(frozen=True, kw_only=True)
class ProtectReport:
    """What became of every photo, in order."""

    results: tuple[PhotoResult, ...]

    @property
    def protected(self) -> tuple[PhotoResult, ...]:
        """The photos that were written."""
        return tuple(result for result in self.results if result.status == "protected")

    @property
    def failed(self) -> tuple[PhotoResult, ...]:
        """The photos that were not, each with its reason."""
        return tuple(result for result in self.results if result.status == "failed")

    @property
    def complete(self) -> bool:
        """Whether every photo is protected; a command exits with 1 otherwise."""
        return not self.failed


def protect_photos(
    jobs: Sequence[PhotoJob],
    out: Path,
    *,
    bank: NoiseBank,
    rows: Mapping[str, int],
    which: Literal["largest", "all"] = "largest",
    progress: Callable[[PhotoResult], None] | None = None,
) -> ProtectReport:
    """Write a protected copy of every photo under ``out``, with one manifest line each; ``rows`` gives identity -> row.

    A photo of exactly ``bank.size`` squared is an aligned face and takes the row as it is; in any other, faces are
    found, and the noise goes into the ``which`` ones. Nothing is ever overwritten. Raises DataError when there are no
    photos, when an identity has no row, or when ``out`` cannot be written to; one photo's failure is in the report.
    """
    if not jobs:
        raise DataError("There are no photos to protect; name a folder that holds some.")
    unknown = sorted({job.identity for job in jobs} - set(rows))
    if unknown:
        raise DataError(
            f"No row of the noise bank is assigned to {', '.join(unknown[:5])}; assign one to each identity."
        )
    results = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        with (out / MANIFEST).open("a", encoding="utf-8") as manifest:
            for job, name in zip(jobs, output_names(jobs), strict=True):
                result = _attempt(job, out, name, bank=bank, row=rows[job.identity], which=which)
                _record(manifest, result)
                results.append(result)
                if progress is not None:
                    progress(result)
    except OSError as error:
        raise DataError(f"{out} cannot be written to ({error}); check the folder and its space.") from error
    return ProtectReport(results=tuple(results))


def _attempt(
    job: PhotoJob, out: Path, name: Path, *, bank: NoiseBank, row: int, which: Literal["largest", "all"]
) -> PhotoResult:
    """Protect one photo, or say why not."""
    failed = PhotoResult(
        source=job.relative.as_posix(), output=None, status="failed", reason=None, identity=job.identity, row=row
    )
    try:
        photo.refuse_existing(out / name)
        original = photo.read(job.source)
        sha256_in = _sha256(job.source)
        matrices, count = _alignments(original.pixels, bank.size, which)
        if not matrices:
            reason = f"No face was found in {failed.source}, so nothing was written; use a photo that shows the face."
            return replace(failed, reason=reason, faces=0, sha256_in=sha256_in)
        delta = np.asarray(bank.delta(row), dtype=np.float32)
        changed = replace(original, pixels=add_to_faces(original.pixels, matrices, delta, bank.epsilon))
        photo.write(changed, out / name)
        measured = _measure(original.pixels, out / name, bank.epsilon)
        sha256_out = _sha256(out / name)
    except (PhotoError, OSError) as error:
        # the manifest may be published with the photos, so it names no folder of this machine
        reason = str(error).replace(str(out / name), name.as_posix()).replace(str(job.source), failed.source)
        return replace(failed, reason=reason)
    return replace(
        failed,
        output=name.as_posix(),
        status="protected",
        faces=count,
        **asdict(measured),
        sha256_in=sha256_in,
        sha256_out=sha256_out,
    )


def _alignments(
    pixels: NDArray[np.uint8], size: int, which: Literal["largest", "all"]
) -> tuple[list[NDArray[np.float64]], int]:
    """The alignments to use, the largest face first, and how many faces there are."""
    if pixels.shape[:2] == (size, size):
        return [np.eye(2, 3)], 1
    found = find(pixels)
    used = found[:1] if which == "largest" else found
    return [alignment(face.landmarks, size) for face in used], len(found)


def _measure(original: NDArray[np.uint8], path: Path, epsilon: float) -> Quality:
    """The quality of the file as written; one that breaks the budget, or carries no noise, is removed and refused."""
    try:
        measured = quality(original, photo.read(path).pixels)
        if measured.max_change > level_budget(epsilon):
            raise PhotoError(
                f"{path} changed by {measured.max_change} levels, more than {level_budget(epsilon)}, and was removed;"
                " please report this photo."
            )
        if measured.max_change == 0:
            raise PhotoError(
                f"{path} carried no noise at all and was removed; check the noise bank, or use another photo."
            )
    except PhotoError:
        path.unlink(missing_ok=True)
        raise
    return measured


def _record(manifest: TextIO, result: PhotoResult) -> None:
    """Append one line and hand it to the system, so that a crash later loses nothing."""
    manifest.write(json.dumps(asdict(result), allow_nan=False) + "\n")
    manifest.flush()


def _sha256(path: Path) -> str:
    """The hash of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
