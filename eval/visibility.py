"""How visible a noise is: to the eye (levels, PSNR, SSIM, CIEDE2000, LPIPS) and to a small classifier (detectability).

The eye's numbers are those of the aligned face. Of photos that are protected at full size, PSNR and SSIM of the whole photo
stand beside them: the noise covers a part of it, so they are higher.

Detectability is the AUC of a network that learns to tell protected faces from clean ones on half of the identities and is
tried on the other half, whose rows it has never seen: 0.5 means that the presence of noise cannot be told. That counts only
where the network learnt, so its AUC on the identities it learnt on stands beside it. Shown faint noise at once it often
learns nothing at all; it begins with noise that is ``LOUDER``, and has then learnt on every seed tried (docs/log.md).

N photos, S x S pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab
from sklearn.metrics import roc_auc_score

from eval.data import StudyData
from faceguard.bank import NoiseBank
from faceguard.decode import resize_faces
from faceguard.device import ChosenPrecision, make_fabric
from faceguard.errors import PhotoError
from faceguard.faces import add_levels
from faceguard.identification import classify
from faceguard.identities import Faces, merge
from faceguard.quality import Quality, quality
from faceguard.recognizer import Recognizer, build
from faceguard.study import protect_faces, protect_photos
from faceguard.train import TrainSettings, fit
from faceguard.uploads import protect_pixels

LPIPS_BACKBONE = "alexnet-owt-7be5be79.pth"
SAMPLE = 100  # faces whose PSNR and SSIM are averaged
PHOTOS = 50  # photos of full size whose PSNR and SSIM are averaged
WIDTH, SIZE = 8, 112  # of the detector, a ResNet-18
LOUDER, LOUD_EPOCHS = 4, 3
DETECTOR = TrainSettings(epochs=7, batch_size=32, learning_rate=0.02)
LEARNT_ON = 1500  # clean faces at most that the detector learns from, and is tried on; as many noisy ones


@dataclass(frozen=True, kw_only=True)
class Detection:
    """AUC, in [0, 1], of telling noisy from clean faces: of identities the detector learnt on, and of ones it never saw."""

    known: float
    unseen: float


def visibility(data: StudyData, noise: str) -> dict[str, Any]:
    """The numbers of one noise on the study's training faces, as aligned crops: levels, dB, SSIM in [0, 1], CIEDE2000, and so on.

    ``photo_psnr`` and ``photo_ssim`` are None unless the study protects photos at full size; ``lpips`` is None unless the
    package lpips is installed and AlexNet's weights are in torch's cache folder.
    """
    bank = data.bank(noise)
    clean, noisy = carrying_pairs(data, bank)
    picked = _evenly(len(clean), SAMPLE)
    found = [quality(clean.pixels[i], noisy.pixels[i]) for i in picked]
    photos = [] if data.study.upload is None else photo_qualities(data, bank)
    told = detect(clean, noisy, seed=data.study.data_seed, precision=data.precision)
    return {
        "epsilon_levels": round(255 * bank.epsilon, 2),
        "cells": bank.cells,
        "max_change": max(one.max_change for one in found),
        "psnr": _mean([one.psnr for one in found], 2),
        "ssim": _mean([one.ssim for one in found], 4),
        "ciede2000": round(colour_difference(clean.pixels[picked], noisy.pixels[picked]), 2),
        "photo_psnr": _mean([one.psnr for one in photos], 2),
        "photo_ssim": _mean([one.ssim for one in photos], 4),
        "lpips": _lpips(clean.pixels[picked], noisy.pixels[picked]),
        "detectability_auc": round(told.unseen, 4),
        "detector_training_auc": round(told.known, 4),
    }


def carrying_pairs(data: StudyData, bank: NoiseBank) -> tuple[Faces, Faces]:
    """All training faces, clean, and the same with a row for every identity, see ``_rows``."""
    names = data.train.names
    if bank.form == "sample-wise":
        return data.train, protect_photos(data.train, bank, names)
    return data.train, protect_faces(data.train, bank, _rows(names, bank))


def photo_qualities(data: StudyData, bank: NoiseBank) -> list[Quality]:
    """Of photos spread over all identities, at full size: before and after `protect`, which nobody has compressed yet.

    A photo without a face to protect is left out: it has no protected copy.
    """
    faces, found = data.train.take(_evenly(len(data.train), PHOTOS)), []
    rows = _rows(faces.names, bank)
    for record in data.photos(faces):
        try:
            before, after, _ = protect_pixels(record, bank, rows[record.identity])
        except PhotoError:
            continue
        found.append(quality(before, after))
    return found


def detect(clean: Faces, noisy: Faces, *, seed: int, precision: ChosenPrecision) -> Detection:
    """Have a detector learn ``noisy`` from ``clean`` faces of half of the identities, and try it on both halves."""
    half, other = _halves(clean.names)
    known, unseen = (_labelled(clean, noisy, names) for names in (half, other))
    fabric = make_fabric(device="cpu", precision=precision)
    model = build("resnet-18", identities=2, size=SIZE, width=WIDTH, seed=seed)
    loud = _labelled(clean, _louder(clean, noisy), half)
    fit(fabric, model, loud, replace(DETECTOR, epochs=LOUD_EPOCHS), seed=seed)
    fit(fabric, model, known, DETECTOR, seed=seed)
    with fabric.autocast():
        return Detection(known=_auc(model, known), unseen=_auc(model, unseen))


def _auc(model: Recognizer, faces: Faces) -> float:
    logits = classify(model, faces).astype(np.float64)
    return float(roc_auc_score(faces.labels, logits[:, 1] - logits[:, 0]))


def _louder(clean: Faces, noisy: Faces) -> Faces:
    """``clean`` with the noise of ``noisy``, ``LOUDER`` times."""
    levels = noisy.pixels.astype(np.int16) - clean.pixels
    return replace(noisy, pixels=add_levels(clean.pixels, LOUDER * levels))


def _labelled(clean: Faces, noisy: Faces, names: Sequence[str]) -> Faces:
    """The faces of some identities at the detector's size under two labels: 0 clean, 1 noisy."""
    sides = []
    for label, faces in (("clean", clean), ("noisy", noisy)):
        part = faces.of(names)
        small = resize_faces(part.take(_evenly(len(part), LEARNT_ON)), SIZE)
        sides.append(replace(small, labels=np.zeros(len(small), dtype=np.int64), names=(label,)))
    return merge(*sides)


def _halves(names: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    return names[: len(names) // 2], names[len(names) // 2 :]


def _rows(names: Sequence[str], bank: NoiseBank) -> dict[str, int]:
    """A row for every identity; the two halves of the identities have none in common, unless the bank has but one."""
    middle = (len(bank) + 1) // 2
    shares = range(middle), range(middle, len(bank)) or range(1)
    return {
        name: rows[i % len(rows)]
        for half, rows in zip(_halves(names), shares, strict=True)
        for i, name in enumerate(half)
    }


def _evenly(count: int, most: int) -> NDArray[np.int64]:
    """At most ``most`` of the numbers below ``count``, spread evenly."""
    return np.unique(np.linspace(0, count - 1, num=min(most, count)).astype(np.int64))


def _mean(values: Sequence[float], digits: int) -> float | None:
    return round(float(np.mean(values)), digits) if values else None


def colour_difference(clean: NDArray[np.uint8], noisy: NDArray[np.uint8]) -> float:
    """Mean CIEDE2000 of N x S x S x 3 photos: what PSNR and SSIM do not see of noise that lies in the colours."""
    first, second = (rgb2lab(pixels) for pixels in (clean, noisy))
    return float(deltaE_ciede2000(first, second).mean())


def _lpips(clean: np.ndarray, noisy: np.ndarray) -> float | None:
    weights = Path(torch.hub.get_dir()) / "checkpoints" / LPIPS_BACKBONE
    try:
        import lpips
    except ImportError:
        return None
    if not weights.is_file():  # it would fetch them, and nothing here goes online unasked
        return None
    first, second = (torch.from_numpy(p).permute(0, 3, 1, 2).float() / 127.5 - 1 for p in (clean, noisy))
    with torch.inference_mode():
        return round(float(lpips.LPIPS(net="alex", verbose=False)(first, second).mean()), 4)
