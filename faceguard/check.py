"""Originals and their protected copies, side by side: what changed, where, and whether the noise is there.

Photos are read one pair at a time and never raise: whatever goes wrong with one becomes its status and a ``reason``, a
sentence. Paths are relative to what was named, with forward slashes, so a report names no folder of this machine.

H x W photo, S size of the noise bank's rows.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from faceguard import photo
from faceguard.bank import NoiseBank
from faceguard.errors import PhotoError
from faceguard.faces import alignment, crop_scaling, footprint, level_budget
from faceguard.finder import FoundFace, find
from faceguard.framing import Box, is_whole, shown
from faceguard.listing import PhotoJob, list_photos
from faceguard.manifest import MANIFEST, read_results
from faceguard.outputs import write_json
from faceguard.pairs import copies_in, pair
from faceguard.quality import quality
from faceguard.survival import correlation, face_change, weakness

Pixels = NDArray[np.uint8]
Status = Literal["over budget", "without noise", "missing", "unreadable", "another size", "protected"]
STATUSES: tuple[Status, ...] = ("over budget", "without noise", "missing", "unreadable", "another size", "protected")
# Below, what changed is not the noise: of the bank that ships, a face of 25 pixels kept 0.23 at JPEG quality 50. Without a
# manifest's word the best of 100 rows must fit better: lower contrast alone reached 0.25, blurring or another compression 0.04.
LEAST_KEPT, LEAST_MATCHED = 0.1, 0.3
FACELESS = "no face was found in it"
CHECK_IT = "Check the file that protect wrote."
UNLIKE = "its face does not fit onto the original's: it was turned, mirrored or altered much, or shows something else"
UPLOAD_IT = "Upload the protected copy, or name the bank with --noise if it was not the shipped one."
NO_NOISE = "No noise is in it; is it this photo's copy? Name the bank with --noise if it was not the shipped one."


@dataclass(frozen=True, kw_only=True)
class PhotoCheck:
    """One original and its copy; numbers are None where they could not be measured.

    ``row`` comes from the manifest or is the bank's best by correlation, as ``row_from`` says. ``face`` is left, top,
    right, bottom of the largest face's footprint in the original. ``max_change`` is in levels, ``psnr`` in dB (infinite
    when nothing changed), ``changed_outside`` counts changed pixels outside every face's footprint.
    """

    source: str
    output: str | None
    status: Status
    reason: str | None = None
    row: int | None = None
    row_from: Literal["manifest", "correlation"] | None = None
    face: tuple[int, int, int, int] | None = None
    max_change: int | None = None
    psnr: float | None = None
    ssim: float | None = None
    budget_kept: bool | None = None
    changed_outside: int | None = None
    noise_kept: float | None = None


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """Every original, in order; ``unmatched`` are the copies that belong to none; ``budget`` is in levels."""

    budget: int
    photos: tuple[PhotoCheck, ...]
    unmatched: tuple[str, ...]

    @property
    def counts(self) -> dict[Status, int]:
        """How many photos have each status, zeros included."""
        found = Counter(check.status for check in self.photos)
        return {status: found[status] for status in STATUSES}

    @property
    def complete(self) -> bool:
        """Whether every original is protected; a command exits with 1 otherwise."""
        return self.counts["protected"] == len(self.photos)

    @property
    def median_noise_kept(self) -> float | None:
        """Over the photos where it could be measured."""
        return median(kept) if (kept := [c.noise_kept for c in self.photos if c.noise_kept is not None]) else None

    @property
    def max_change(self) -> int | None:
        """The largest change of any photo, in levels."""
        return max((check.max_change for check in self.photos if check.max_change is not None), default=None)

    def write(self, path: Path) -> None:
        """Everything as JSON; the same report gives the same bytes."""
        summary = {"counts": self.counts, "median_noise_kept": self.median_noise_kept, "max_change": self.max_change}
        write_json(path, summary | asdict(self))


def check_photos(
    originals: Path, protected: Path, *, bank: NoiseBank, progress: Callable[[PhotoCheck, int], None] | None = None
) -> CheckReport:
    """Compare every photo of ``originals``, a folder or file, with its copy in ``protected``.

    `faceguard.pairs` says which copy is whose, and which are nobody's; of one file's, no other is asked for. ``progress`` gets
    each result and how many there will be. Raises DataError when there are no originals, ``protected`` does not exist, or
    the two are one.
    """
    copies, jobs = copies_in(protected, originals), list_photos(originals, out=protected)
    written = read_results((protected if protected.is_dir() else protected.parent) / MANIFEST)
    pairs = pair(jobs, copies, written, both_files=originals.is_file() and protected.is_file())
    rows = {str(line.output): line.row for line in written}
    checks = []
    for job in jobs:
        source = job.relative.as_posix()
        output = pairs.outputs.get(source, "")
        named = PhotoCheck(source=source, output=output or None, status="missing", reason=pairs.why_missing(source))
        checks.append(_check(named, job, copies[output], bank, rows.get(output)) if output in copies else named)
        if progress is not None:
            progress(checks[-1], len(jobs))
    unmatched = () if originals.is_file() else pairs.unmatched(copies)
    return CheckReport(budget=level_budget(bank.epsilon), photos=tuple(checks), unmatched=unmatched)


def _check(named: PhotoCheck, job: PhotoJob, copy: PhotoJob, bank: NoiseBank, row: int | None) -> PhotoCheck:
    """The result of a pair of files; ``row`` is the manifest's."""
    try:
        original = _read(job, f"The original {named.source}")
        written = _read(copy, f"The copy {named.output}")
        return _compare(replace(named, reason=None), original, written, bank, row)
    except PhotoError as error:
        return replace(named, status="unreadable", reason=str(error))


def _read(job: PhotoJob, name: str) -> Pixels:
    if job.problem is not None:
        raise PhotoError(f"{name} was not opened. {job.problem}")
    try:
        return photo.read(job.source).pixels
    except (PhotoError, OSError) as error:
        raise PhotoError(str(error).replace(str(job.source), name)) from error


def _compare(named: PhotoCheck, original: Pixels, written: Pixels, bank: NoiseBank, row: int | None) -> PhotoCheck:
    aligned = crop_scaling(bank.size, *original.shape[:2]) is not None
    faces = [] if aligned else find(original)
    regions = [_region(face, bank.size, original) for face in faces]
    found = replace(named, face=_box(*regions[0]) if regions else None)
    if original.shape != written.shape:
        return _compare_sizes(replace(found, status="another size"), original, written, faces, bank, row)
    measured = quality(original, written)
    changed = (original != written).any(axis=-1)
    for region in [(slice(None), slice(None))] if aligned else regions:
        changed[region] = False
    budget, outside = level_budget(bank.epsilon), int(changed.sum())
    found = replace(found, **asdict(measured), budget_kept=measured.max_change <= budget, changed_outside=outside)
    return _judged(_with_noise(found, face_change(original, written, bank.size), bank, row), budget)


def _compare_sizes(
    found: PhotoCheck, original: Pixels, written: Pixels, faces: list[FoundFace], bank: NoiseBank, row: int | None
) -> PhotoCheck:
    """The result of a pair of different sizes; ``faces`` are the original's."""
    (height, width), (high, wide) = original.shape[:2], written.shape[:2]
    sizes = f"It has {wide} x {high} pixels and the original {width} x {height}"
    part: Box | None = (0.0, 0.0, float(width), float(height))
    if crop_scaling(bank.size, height, width) is not None:  # a face that is cut out: no other is looked for
        seen, problem = list[FoundFace](), "it was cut or stretched"
        if abs(wide * height - high * width) > width + height:  # more than rounding both sides
            part = None
    else:
        seen = find(written)
        part, problem = shown(original, written, faces, seen[0]) if seen else None, UNLIKE if seen else FACELESS
    if part is None:
        return replace(found, reason=f"{sizes}, and {problem}, so the noise could not be compared. {CHECK_IT}")
    found = _with_noise(found, face_change(original, written, bank.size, part=part, faces=seen), bank, row)
    return _judged_part(found, sizes if is_whole(part, original) else f"{sizes}, of which it shows a part")


def _with_noise(found: PhotoCheck, change: NDArray[np.float64] | None, bank: NoiseBank, row: int | None) -> PhotoCheck:
    """With the row and how much of it is in the ``change`` of the face."""
    if isinstance(row, int) and row in range(len(bank)):
        kept = None if change is None else correlation(change, bank.delta(row).numpy())
        return replace(found, row=row, row_from="manifest", noise_kept=kept)
    if change is None:
        return found
    deltas = enumerate(bank.delta(index).numpy() for index in range(len(bank)))  # one in memory: a bank may have many
    scores = {index: kept for index, delta in deltas if (kept := correlation(change, delta)) is not None}
    if not scores:
        return found
    best = max(scores, key=scores.__getitem__)
    return replace(found, row=best, row_from="correlation", noise_kept=scores[best])


def _judged_part(check: PhotoCheck, sizes: str) -> PhotoCheck:
    """The status of a pair of different ``sizes``, of which only the noise in the face tells anything."""
    kept = check.noise_kept
    if kept is None or kept < _least(check):
        number = "" if kept is None else f" (correlation {kept:.2f})"
        reason = f"{sizes}, and no noise is in its face{number}. {UPLOAD_IT}{_alone(check)}"
        return replace(check, status="without noise", reason=reason)
    reason = f"{sizes}, so only the noise in the face could be compared: noise kept {kept:.2f}."
    return replace(check, reason=_joined(reason, weakness(kept)))


def _judged(check: PhotoCheck, budget: int) -> PhotoCheck:
    """The status of a pair of equal sizes, with the reason for anything that is not as it should be."""
    kept, least = check.noise_kept, _least(check)
    if check.max_change == 0:
        return replace(check, status="without noise", reason="Nothing in it was changed; protect it again.")
    if not check.budget_kept:
        there = kept is not None and kept >= least
        cause = _joined("It was saved with loss, or altered since.", weakness(kept)) if there else NO_NOISE
        reason = f"It changed by {check.max_change} levels, more than {budget}. {cause}"
        return replace(check, status="over budget", reason=reason)
    if kept is None:
        return replace(check, status="without noise", reason="No face that carries a change was found in it.")
    if kept < least:
        reason = f"What changed is not row {check.row}'s noise (correlation {kept:.2f}); name its bank with --noise."
        return replace(check, status="without noise", reason=reason + _alone(check))
    outside = f"{check.changed_outside} pixels outside the faces changed; only saving with loss should do that."
    return replace(
        check, status="protected", reason=_joined(outside if check.changed_outside else None, weakness(kept))
    )


def _joined(*sentences: str | None) -> str | None:
    return " ".join(sentence for sentence in sentences if sentence) or None


def _least(check: PhotoCheck) -> float:
    return LEAST_KEPT if check.row_from == "manifest" else LEAST_MATCHED


def _alone(check: PhotoCheck) -> str:
    """What to add where a correlation is too small to tell."""
    return " So little tells nothing without the manifest.jsonl beside it." * (check.row_from == "correlation")


def _region(face: FoundFace, size: int, pixels: Pixels) -> tuple[slice, slice]:
    return footprint(alignment(face.landmarks, size), size, *pixels.shape[:2])


def _box(rows: slice, columns: slice) -> tuple[int, int, int, int]:
    return columns.start, rows.start, columns.stop, rows.stop
