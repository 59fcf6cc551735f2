"""How much of a noise survives publication: noise_kept over JPEG quality, scaling and the face's size in the photo.

photo -> protected at full size -> published (scaled, JPEG 4:2:0) -> found and aligned again -> correlation with the row
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eval.banks import PLAIN, WITH_THE_PACKAGE, find_set
from eval.scales import Scale
from faceguard.bank import SHIPPED, NoiseBank
from faceguard.errors import DataError, PhotoError
from faceguard.faces import TEMPLATE_SIZE, add_to_faces, crop_scaling, crop_side
from faceguard.pool import in_order
from faceguard.protect import Protection, usable_faces
from faceguard.readers.record import Record
from faceguard.survival import noise_kept, published

LONGEST_SIDE = 1600  # pixels: larger photos are scaled down first, as services do
SCALED_QUALITY = 90  # of the JPEG that a scaled photo becomes
LOSSLESS = "lossless"
QUALITY, SCALE, FACE, COMPRESSED_FACE = "JPEG quality", "scaled to", "face of pixels", "face of pixels, JPEG 75"
Kept = dict[tuple[str, str, float], float | None]  # noise, curve, value -> noise_kept


@dataclass(frozen=True, kw_only=True)
class SurvivalStudy:
    """The photos (folders below the data folder, every n-th photo of each), and the points of the curves.

    ``lossless_at_least`` and ``compressed_at_least`` (JPEG 75) are claims about the shipped noise's median in each folder.
    """

    claim: str
    photos: Mapping[str, int]
    qualities: tuple[int, ...] = (50, 60, 70, 75, 80, 90, 95, 100)
    scales: tuple[float, ...] = (0.5, 0.6, 0.7, 0.8, 0.9)
    face_sizes: tuple[int, ...] = (20, 30, 45, 70, 112, 160)
    noises: tuple[str, ...] = (SHIPPED, PLAIN)
    most: int | None = None  # photos of each folder
    lossless_at_least: float = 0.8
    compressed_at_least: float = 0.6

    def at(self, scale: Scale) -> "SurvivalStudy":
        """The study as it is run at ``scale``: for smoke, two photos of each folder, one point a curve, nothing expected."""
        if scale != "smoke":
            return self
        few = {"qualities": (75,), "scales": (0.5,), "face_sizes": (45,), "most": 2}
        return replace(self, lossless_at_least=-1, compressed_at_least=-1, **few)  # type: ignore[arg-type]


def survive(study: SurvivalStudy, data: Path, *, workers: int, progress: Callable[[int, int], None]) -> dict[str, Any]:
    """Folder -> noise -> curve -> value -> median, quartiles and number of photos; and the expectations.

    Raises DataError for a folder in which no photo shows a usable face.
    """
    tasks = {folder: list(find_set(data, folder)[::every][: study.most]) for folder, every in study.photos.items()}
    done, count = 0, sum(map(len, tasks.values()))
    found: dict[str, Any] = {}
    for folder, records in tasks.items():
        kept: dict[tuple[str, str, float], list[float]] = {}
        for one in in_order(partial(_keep, study), list(enumerate(records)), workers=workers):
            for key, value in one.items():
                if value is not None:
                    kept.setdefault(key, []).append(value)
            done += 1
            progress(done, count)
        if not kept:
            raise DataError(f"No photo in {data / folder} shows a usable face; name another folder.")
        found[folder] = _summary(kept)
    return {"claim": study.claim, "folders": found, "expectations": _expectations(study, found)}


def _keep(study: SurvivalStudy, task: tuple[int, Record]) -> Kept:
    """Every point of the curves for one photo; nothing for a photo without a usable face."""
    number, record = task
    try:
        pixels = _bounded(record.read())
    except PhotoError:
        return {}
    kept: Kept = {}
    for original, matrices, points in _originals(study, pixels):
        for noise in study.noises:
            bank = _bank(noise)
            delta = bank.delta(number % len(bank)).numpy()
            written = add_to_faces(original, matrices, delta, bank.epsilon)
            for curve, value, publish in points:
                kept[noise, curve, value] = noise_kept(original, publish(written), delta, size=bank.size)
    return kept


Publish = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


def _originals(
    study: SurvivalStudy, pixels: NDArray[np.uint8]
) -> Iterator[tuple[NDArray[np.uint8], list[NDArray[np.float64]], list[tuple[str, float, Publish]]]]:
    """The photo and its smaller copies that show a usable face, with the face's alignment and the points of the curves."""
    matrices, _, _ = usable_faces(pixels, Protection(bank=_bank(SHIPPED)))
    if not matrices:
        return
    points: list[tuple[str, float, Publish]] = [(LOSSLESS, 1.0, lambda written: written)]
    points += [(QUALITY, quality, partial(published, quality=quality)) for quality in study.qualities]
    points += [(SCALE, scale, partial(published, quality=SCALED_QUALITY, scale=scale)) for scale in study.scales]
    yield pixels, matrices, points
    side = crop_side(matrices[0])
    for size in study.face_sizes:
        small = _still_a_photo(pixels, _scaled(pixels, min(size / side, 1.0)))
        found, _, _ = usable_faces(small, Protection(bank=_bank(SHIPPED))) if size <= side else ([], 0, [])
        if found:
            compressed = partial(published, quality=75)
            yield small, found, [(FACE, size, lambda written: written), (COMPRESSED_FACE, size, compressed)]


@cache
def _bank(noise: str) -> NoiseBank:
    return WITH_THE_PACKAGE[noise]()


def _bounded(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return _scaled(pixels, min(1.0, LONGEST_SIDE / max(pixels.shape[:2])))


def _scaled(pixels: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    if factor == 1:
        return pixels
    height, width = (max(round(factor * side), 1) for side in pixels.shape[:2])
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))


def _still_a_photo(pixels: NDArray[np.uint8], small: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``small``, without a column when it is a square that would pass for an aligned crop, which ``pixels`` are not."""
    was, now = (crop_scaling(TEMPLATE_SIZE, *some.shape[:2]) is not None for some in (pixels, small))
    return small[:, 1:] if now and not was else small


def _summary(kept: Mapping[tuple[str, str, float], list[float]]) -> dict[str, Any]:
    """noise -> curve -> value, as text -> median, quartiles, photos."""
    found: dict[str, Any] = {}
    for (noise, curve, value), values in kept.items():
        low, middle, high = (round(float(q), 3) for q in np.percentile(values, (25, 50, 75)))
        numbers = {"median": middle, "quartiles": [low, high], "photos": len(values)}
        found.setdefault(noise, {}).setdefault(curve, {})[f"{value:g}"] = numbers
    return found


def _expectations(study: SurvivalStudy, found: Mapping[str, Any]) -> dict[str, bool]:
    met = {}
    for folder, noises in found.items():
        lossless = noises[SHIPPED][LOSSLESS]["1"]["median"]
        met[f"{folder}: lossless at least {study.lossless_at_least:g}"] = lossless >= study.lossless_at_least
        if "75" in noises[SHIPPED].get(QUALITY, {}):
            compressed = noises[SHIPPED][QUALITY]["75"]["median"]
            met[f"{folder}: JPEG 75 at least {study.compressed_at_least:g}"] = compressed >= study.compressed_at_least
    return met
