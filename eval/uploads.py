"""Photos on their way to a trainer: protected at full size, uploaded, then found and aligned again.

    photo -> its owner adds a row to the face, as `faceguard protect` does -> upload: scaled, JPEG -> the trainer's S x S face

Every face is found anew in the uploaded file, so noise and trainer's crop no longer fit exactly. S crop size.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from faceguard import face_cache
from faceguard.bank import NoiseBank
from faceguard.decode import load_records
from faceguard.errors import PhotoError
from faceguard.faces import add_to_faces, align_photo
from faceguard.identities import Faces
from faceguard.protect import Protection, usable_faces
from faceguard.readers.record import Record
from faceguard.survival import Subsampling, published


@dataclass(frozen=True, kw_only=True)
class Upload:
    """What happens to a photo between its owner and the trainer; see `survival.published` for the units."""

    quality: int = 75
    subsampling: Subsampling = "4:2:0"
    scale: float = 1.0


def upload_faces(
    records: Sequence[Record], upload: Upload, *, size: int, bank: NoiseBank | None = None, rows: Mapping[str, int]
) -> Faces:
    """The trainer's faces, N x size x size x 3, of uploaded photos; identities named in ``rows`` carry that row of ``bank``.

    A photo whose face is not found, or that `protect` would refuse, is left out and listed in ``failures``: its owner has
    no protected copy to publish, or the trainer no face. The result is kept in the cache folder.
    """
    noise = None if bank is None else Protection(bank=bank).digest
    digest = hashlib.sha256(repr((asdict(upload), noise, sorted(rows.items()))).encode()).hexdigest()[:16]
    made = []
    for record in records:
        noisy = bank if record.identity in rows else None
        read = partial(_reach_trainer, record, upload, size, noisy, rows.get(record.identity, 0))
        made.append(replace(record, read=read))
    return load_records(made, size=size, cache=face_cache.default_folder() / f"uploads-{digest}")


def _reach_trainer(record: Record, upload: Upload, size: int, bank: NoiseBank | None, row: int) -> NDArray[np.uint8]:
    pixels = record.read()
    if bank is not None:
        matrices, _, problems = usable_faces(pixels, Protection(bank=bank))
        if not matrices:
            raise PhotoError(f"{record.key}: {' '.join(problems)} Use a photo that shows the face.")
        pixels = add_to_faces(pixels, matrices, bank.delta(row).numpy(), bank.epsilon)
    return align_photo(published(pixels, **asdict(upload)), size)
