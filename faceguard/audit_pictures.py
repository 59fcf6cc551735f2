"""What an audit shows of the noise: a few of the user's photos before and after at full size, and numbers about them."""

import base64
import io
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from faceguard.bank import NoiseBank
from faceguard.faces import footprint
from faceguard.identities import Faces
from faceguard.quality import Quality, quality
from faceguard.readers.record import Record
from faceguard.study import Arm
from faceguard.survival import correlation
from faceguard.uploads import protect_pixels

PICTURES = 4
PICTURE_SIDE = 256  # pixels of a picture's longer side at most


def show_noise(
    arms: Mapping[Arm, Faces], records: Sequence[Record], bank: NoiseBank, rows: Mapping[str, int]
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """``noise`` and ``pictures`` of result.json: numbers, and the faces of the first photos, of as many people as there are.

    ``noise_kept`` is the median over all photos of the correlation of what a trainer finds with the row, as `protect` says it.
    """
    clean, noisy = arms["clean"], arms["error-minimizing"]
    usable = [record for record in records if record.key in set(clean.keys)]
    by_person = [[record for record in usable if record.identity == who] for who in clean.names]
    in_turn = [record for several in zip_longest(*by_person) for record in several if record is not None]
    pictures, measured = [], []
    for record in in_turn[:PICTURES]:
        before, after, matrix = protect_pixels(record, bank, rows[record.identity])
        region = footprint(matrix, bank.size, *before.shape[:2])
        measured.append(quality(before[region], after[region]))
        pictures.append({"name": record.key, "before": _png(before[region]), "after": _png(after[region])})
    kept = [
        correlation(after.astype(np.float64) - before, bank.delta(rows[clean.names[label]]).numpy())
        for before, after, label in zip(clean.pixels, noisy.pixels, clean.labels, strict=True)
        if bank.size == clean.size
    ]
    return _visible(bank, measured, [value for value in kept if value is not None]), pictures


def _visible(bank: NoiseBank, measured: Sequence[Quality], kept: Sequence[float]) -> dict[str, Any]:
    return {
        "epsilon_levels": round(255 * bank.epsilon, 2),
        "max_change": max(one.max_change for one in measured),
        "psnr": round(float(np.mean([one.psnr for one in measured])), 2),
        "ssim": round(float(np.mean([one.ssim for one in measured])), 4),
        "noise_kept": round(float(np.median(kept)), 4) if kept else None,
    }


def _png(pixels: NDArray[np.uint8]) -> str:
    image = Image.fromarray(pixels)
    image.thumbnail((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.BOX)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
