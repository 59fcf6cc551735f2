"""One photo -> its protected copy: read, find the faces, warp the noise into them, add, write, read again, measure.

H x W photo, S crop size. Whatever goes wrong with a photo becomes the ``reason`` of its result; nothing is raised and
nothing is written then. Photos are independent of each other, so any number of processes gives the same bytes.
"""

import hashlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from faceguard import photo
from faceguard.bank import NoiseBank
from faceguard.errors import PhotoError
from faceguard.faces import FRAIL_SIDE, add_to_faces, alignment, crop_scaling, crop_side, level_budget, unusable
from faceguard.finder import find
from faceguard.listing import PhotoJob, real_path
from faceguard.manifest import PhotoResult, file_hash
from faceguard.quality import Quality, quality
from faceguard.survival import noise_kept, weakness

Which = Literal["largest", "all"]
LEAST_CUT_OUT = 0.75  # of its side an aligned crop's face takes; a head and shoulders take half
NOT_CUT_OUT = (
    "So small a square counts as a face that is cut out already, and the noise covers all of it; this one shows more than a face,"
    " and who looks for the face in it finds next to no noise there. Use a larger picture."
)
Existing = Literal["refuse", "match", "altered", "replace"]  # a file that already has the name: see protect_photo


@dataclass(frozen=True, kw_only=True)
class Protection:
    """How photos are protected; the same for every photo of a run.

    An aligned crop, see `faces.crop_scaling`, takes the row over all of it, scaled to its size; in any other photo, faces
    are found, and the noise goes into the ``faces`` ones. ``quality`` (1 to 100) allows JPEG, and lossy WebP.
    """

    bank: NoiseBank
    faces: Which = "largest"
    quality: int | None = None
    keep_metadata: bool = False

    @cached_property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that differ when the same photo and row would be written differently."""
        options = repr((self.faces, self.quality, self.keep_metadata, self.bank.epsilon)).encode()
        return hashlib.sha256(self.bank.rows.contiguous().numpy().tobytes() + options).hexdigest()[:16]


def protect_photo(
    job: PhotoJob, out: Path, name: Path, how: Protection, *, row: int, existing: Existing = "refuse"
) -> PhotoResult:
    """Write the protected copy of one photo to ``out / name``, or say why not.

    A file that already has this name is left alone and the photo fails, unless ``existing`` is ``replace``, or ``match``
    and the file holds the very bytes that would be written; ``altered`` is the same of a file that is not as it once was.
    """
    failed = PhotoResult(
        source=job.relative.as_posix(), output=None, status="failed", reason=job.problem, identity=job.identity, row=row
    )
    if job.problem is not None:
        return failed
    try:
        _refuse_outside(out / name, out)
        named = replace(failed, output=name.as_posix())
        if existing in ("match", "altered") and os.path.exists(out / name):  # noqa: PTH110  a name too long is no error yet
            return _protect_again(job, out / name, how, named, altered=existing == "altered")
        return _protect(job, out / name, how, named, overwrite=existing == "replace")
    except (PhotoError, OSError) as error:
        # the manifest may be published with the photos, so it names no folder of this machine
        reason = str(error).replace(str(out / name), name.as_posix()).replace(str(job.source), failed.source)
        return replace(failed, reason=reason)


def _protect(job: PhotoJob, path: Path, how: Protection, named: PhotoResult, *, overwrite: bool) -> PhotoResult:
    """The result of a photo that could be written; raises PhotoError or OSError for any other."""
    if not overwrite:
        photo.refuse_existing(path)
    original = photo.read(job.source)
    sha256_in = file_hash(job.source)  # before anything is written: the photo may vanish meanwhile
    matrices, count, left_out = usable_faces(original.pixels, how)
    if not matrices:
        reason = " ".join([*left_out, f"Nothing was written for {named.source}; use a photo that shows the face."])
        return replace(named, output=None, reason=reason, faces=count, sha256_in=sha256_in)
    delta = np.asarray(how.bank.delta(named.row), dtype=np.float32)
    changed = replace(original, pixels=add_to_faces(original.pixels, matrices, delta, how.bank.epsilon))
    photo.write(changed, path, overwrite=overwrite, quality=how.quality, keep_metadata=how.keep_metadata)
    try:
        written = photo.read(path).pixels
        measured = _measure(original.pixels, written, path, how)
        kept = noise_kept(original.pixels, written, delta, size=how.bank.size)
    except PhotoError:
        path.unlink(missing_ok=True)
        raise
    return replace(
        named,
        status="protected",
        reason=" ".join([*left_out, *_warnings(original, matrices, count, how, kept)]) or None,
        faces=count,
        **asdict(measured),
        noise_kept=kept,
        sha256_in=sha256_in,
        sha256_out=file_hash(path),
        settings=how.digest,
    )


def _protect_again(job: PhotoJob, path: Path, how: Protection, named: PhotoResult, *, altered: bool) -> PhotoResult:
    """The result of a photo that may be written already: it is written beside ``path`` and compared."""
    beside = path.with_name(f"{photo.PART_PREFIX}{secrets.token_hex(8)}{path.suffix}")
    try:
        result = _protect(job, beside, how, named, overwrite=False)
        if result.sha256_out != file_hash(path):
            if altered:
                raise PhotoError(
                    f"{path} was altered after it had been protected and is left as it is; move it away, and go on with"
                    " --resume."
                )
            photo.refuse_existing(path)
        return result
    except PhotoError as error:
        raise PhotoError(str(error).replace(str(beside), str(path))) from error
    finally:
        beside.unlink(missing_ok=True)


def usable_faces(pixels: NDArray[np.uint8], how: Protection) -> tuple[list[NDArray[np.float64]], int, list[str]]:
    """The alignments of the faces to protect, the largest first; how many faces there are; what is wrong with the rest."""
    size = how.bank.size
    if (matrix := crop_scaling(size, *pixels.shape[:2])) is not None:
        return [matrix], 1, []
    found = find(pixels)
    wanted = found[:1] if how.faces == "largest" else found
    problems = [unusable(face, size, *pixels.shape[:2]) for face in wanted]
    usable = [alignment(face.landmarks, size) for face, problem in zip(wanted, problems, strict=True) if not problem]
    return usable, len(found), [problem for problem in problems if problem] if found else ["No face was found."]


def _warnings(
    original: photo.Photo, matrices: Sequence[NDArray[np.float64]], count: int, how: Protection, kept: float | None
) -> list[str]:
    """What the noise at ``matrices`` will not do for this photo, of ``count`` faces, although it is written.

    ``kept`` is how much of it was found in the file as written.
    """
    others, gray = count - 1, bool((original.pixels == original.pixels[..., :1]).all())
    unprotected = (
        f"{others} more face{'s' if others > 1 else ''} in it got no noise; --faces all gives it to every face."
    )
    small = [side for matrix in matrices if (side := crop_side(matrix, how.bank.size)) < FRAIL_SIDE]
    frail = (
        f"A face in it is only {int(min(small, default=0))} pixels wide when cut out; below {FRAIL_SIDE}, JPEG of quality 75"
        " takes about a third of the noise and more. Use a larger picture if there is one."
    )
    aligned = original.pixels.shape[:2] == (how.bank.size, how.bank.size)
    turned = "It was gray and its noise has colours; whoever turns it gray again takes most of the noise away."
    noted = [unprotected] * (others > 0 and how.faces == "largest") + [frail] * (bool(small) and not aligned)
    noted += [little] if (little := weakness(kept)) else []
    noted += [NOT_CUT_OUT] if _shows_more(original.pixels, how.bank.size) else []
    of_file = [note for note in original.notes if how.keep_metadata or note != photo.EXIF_LOST]
    return [*noted, *[turned] * gray, *of_file]


def _shows_more(pixels: NDArray[np.uint8], size: int) -> bool:
    """Whether a picture that counts as an aligned crop of another size than the bank's shows a face much smaller than that."""
    height, width = pixels.shape[:2]
    if width == size or crop_scaling(size, height, width) is None:
        return False
    found = find(pixels)
    return bool(found) and crop_side(alignment(found[0].landmarks, size), size) < LEAST_CUT_OUT * width


def _measure(original: NDArray[np.uint8], written: NDArray[np.uint8], path: Path, how: Protection) -> Quality:
    """The quality of the file as written. Raises PhotoError for one that breaks the budget, or carries no noise."""
    measured, budget = quality(original, written), level_budget(how.bank.epsilon)
    if measured.max_change > budget and photo.lossless(path, how.quality):
        raise PhotoError(
            f"{path} changed by {measured.max_change} levels, more than {budget}, and was removed; please report this photo."
        )
    if measured.max_change == 0:
        raise PhotoError(f"{path} carried no noise at all and was removed; check the noise bank, or use another photo.")
    return measured


def _refuse_outside(path: Path, out: Path) -> None:
    """A link inside OUT must not carry a photo out of it."""
    if not real_path(path.parent).is_relative_to(real_path(out)):
        raise PhotoError(f"{path} leads out of the output folder through a link; choose another folder.")
