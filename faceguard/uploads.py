"""Photos on their way to a trainer: protected at full size, uploaded, then found and aligned again.

    photo -> its owner adds a row to the face, as `faceguard protect` does -> upload: scaled, JPEG -> the trainer's S x S face

Every face is found anew in the uploaded file, so noise and trainer's crop no longer fit exactly. A square of 20 to
160 px is an aligned face, as in `decode`, and stays one. S crop size.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceguard.bank import NoiseBank
from faceguard.decode import load_records, resize
from faceguard.errors import PhotoError
from faceguard.faces import add_to_faces, align_photo, crop_scaling
from faceguard.identities import Faces
from faceguard.protect import Protection, usable_faces
from faceguard.readers.record import Record
from faceguard.reading import Progress
from faceguard.survival import Subsampling, published


@dataclass(frozen=True, kw_only=True)
class Upload:
    """What happens to a photo between its owner and the trainer; see `survival.published` for the units."""

    quality: int = 75
    subsampling: Subsampling = "4:2:0"
    scale: float = 1.0


def upload_faces(
    records: Sequence[Record],
    upload: Upload,
    *,
    size: int,
    bank: NoiseBank | None = None,
    rows: Mapping[str, int],
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Faces:
    """The trainer's faces, N x size x size x 3, of uploaded photos; identities named in ``rows`` carry that row of ``bank``.

    A photo whose face is not found, or that `protect` would refuse, is left out and listed in ``failures``: its owner has
    no protected copy to publish, or the trainer no face. With a ``cache`` folder the result is kept there. ``progress``
    gets (photos done, photos in all).
    """
    noise = None if bank is None else Protection(bank=bank).digest
    digest = hashlib.sha256(repr((asdict(upload), noise, sorted(rows.items()))).encode()).hexdigest()[:16]
    made = []
    for record in records:
        noisy = bank if record.identity in rows else None
        read = partial(_read_upload, record, upload, size, noisy, rows.get(record.identity, 0))
        made.append(replace(record, read=read))
    folder = None if cache is None else cache / f"uploads-{digest}"
    return load_records(made, size=size, cache=folder, progress=progress)


def reach_trainer(pixels: NDArray[np.uint8], upload: Upload, size: int) -> NDArray[np.uint8]:
    """The size x size x 3 face that a trainer finds in the upload of an H x W x 3 photo; PhotoError when there is none."""
    arrived = published(pixels, **asdict(upload))
    is_crop = crop_scaling(size, *pixels.shape[:2]) is not None
    return resize(arrived, size) if is_crop else align_photo(arrived, size)


def protect_pixels(
    record: Record, bank: NoiseBank, row: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float64]]:
    """A photo before and after `protect`, H x W x 3, and the alignment of its face; PhotoError when it has none to protect."""
    pixels = record.read()
    matrices, _, problems = usable_faces(pixels, Protection(bank=bank))
    if not matrices:
        raise PhotoError(f"{record.key}: {' '.join(problems)} Use a photo that shows the face.")
    return pixels, add_to_faces(pixels, matrices, bank.delta(row).numpy(), bank.epsilon), matrices[0]


def carry(faces: Faces, noisy: Faces, names: Collection[str]) -> Faces:
    """``faces`` with the photos of ``noisy`` in the place of their clean ones, for the identities ``names``.

    Who lost a photo there lacks it here.
    """
    found = {key: i for i, key in enumerate(noisy.keys)}
    carries = np.isin(np.array(faces.names)[faces.labels], list(names))
    kept = [i for i, key in enumerate(faces.keys) if not carries[i] or key in found]
    part = faces.take(kept)
    pixels = part.pixels.copy()
    for i, key in enumerate(part.keys):
        if carries[kept[i]]:
            pixels[i] = noisy.pixels[found[key]]
    return replace(part, pixels=pixels)


def _read_upload(record: Record, upload: Upload, size: int, bank: NoiseBank | None, row: int) -> NDArray[np.uint8]:
    pixels = record.read() if bank is None else protect_pixels(record, bank, row)[1]
    return reach_trainer(pixels, upload, size)
