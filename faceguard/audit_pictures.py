"""What an audit shows of the noise: a few of the user's photos before and after at full size, and numbers about them."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import zip_longest
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from faceguard.bank import NoiseBank
from faceguard.faces import footprint
from faceguard.identities import Faces
from faceguard.quality import quality
from faceguard.readers.record import Record
from faceguard.survival import noise_kept, published
from faceguard.uploads import Upload, protect_pixels

PICTURES = 4
PICTURE_SIDE = 256  # pixels of a picture's longer side at most


def show_noise(
    clean: Faces, records: Sequence[Record], bank: NoiseBank, rows: Mapping[str, int], upload: Upload
) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """``noise`` and ``pictures`` of result.json, from the first of the ``clean`` photos of as many people as there are.

    ``noise_kept`` is the median correlation of what a trainer finds in the uploads with their rows; PSNR and SSIM are of
    the faces. Pictures show them at full size, or shrunk to 256 pixels, in PNG and base64.
    """
    usable = set(clean.keys)
    by_person = [[one for one in records if one.identity == who and one.key in usable] for who in clean.names]
    in_turn = [record for several in zip_longest(*by_person) for record in several if record is not None]
    pictures, measured, kept = [], [], []
    for record in in_turn[:PICTURES]:
        row = rows[record.identity]
        before, after, matrix = protect_pixels(record, bank, row)
        arrived = published(after, **asdict(upload))
        kept.append(noise_kept(before, arrived, bank.delta(row).numpy(), size=bank.size))
        region = footprint(matrix, bank.size, *before.shape[:2])
        measured.append(quality(before[region], after[region]))
        pictures.append({"name": record.key, "before": _png(before[region]), "after": _png(after[region])})
    found = [value for value in kept if value is not None]
    noise = {
        "epsilon_levels": round(255 * bank.epsilon, 2),
        "max_change": max(one.max_change for one in measured),
        "psnr": round(float(np.mean([one.psnr for one in measured])), 2),
        "ssim": round(float(np.mean([one.ssim for one in measured])), 4),
        "noise_kept": round(median(found), 4) if found else None,
    }
    return noise, pictures


def _png(pixels: NDArray[np.uint8]) -> str:
    image = Image.fromarray(pixels)
    image.thumbnail((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.BOX)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")
