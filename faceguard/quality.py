"""What the eye sees of the noise: largest change in levels, PSNR, SSIM.

H x W pixels. PSNR = 10 log10(255^2 / MSE) comes from torchmetrics. SSIM (Wang et al. 2004: Gaussian window of sigma 1.5 and
11 pixels, only windows that lie wholly inside the photo) is written out over OpenCV's separable blur: the libraries at
hand take up to eight times as long, which was a seventh of a large photo's time. Unchanged windows have an SSIM of exactly
1 and an error of 0, so both are computed on the rectangle that changed and spread over the photo: the same numbers as on the
whole photo, at the cost of one face.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceguard.errors import PhotoError

WINDOW = 11
SIGMA = 1.5
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
CENTRE = 128.0
_RADIUS = WINDOW // 2
_STRIP = 256


@dataclass(frozen=True, kw_only=True)
class Quality:
    """``max_change`` in levels of 255, ``psnr`` in dB (infinite when nothing changed), ``ssim`` at most 1."""

    max_change: int
    psnr: float
    ssim: float


def quality(original: NDArray[np.uint8], changed: NDArray[np.uint8]) -> Quality:
    """Compare two H x W x 3 photos of the same size.

    Raises PhotoError when their sizes differ, or when a side is shorter than the 11-pixel window of SSIM.
    """
    if original.shape != changed.shape:
        raise PhotoError(f"Photos of shape {original.shape} and {changed.shape} cannot be compared; use equal sizes.")
    height, width = original.shape[:2]
    if min(height, width) < WINDOW:
        raise PhotoError(
            f"A picture of {width} x {height} pixels is too small for SSIM; it needs {WINDOW} on each side."
        )
    lines = (original != changed).reshape(height, -1).any(axis=1)
    if not lines.any():
        return Quality(max_change=0, psnr=math.inf, ssim=1.0)
    rows = _around(lines)
    columns = _around((original[rows] != changed[rows]).any(axis=(0, 2)))
    before, after = original[rows, columns], changed[rows, columns]
    return Quality(
        max_change=int(np.abs(before.astype(np.int16) - after).max()),
        psnr=_psnr(_to_tensor(before), _to_tensor(after), height * width),
        ssim=_ssim(before, after, _windows(height, width)),
    )


def _around(changed: NDArray[np.bool_]) -> slice:
    """From the first to the last changed line, and far enough that every window that sees a change lies inside."""
    lines = np.flatnonzero(changed)
    return slice(max(int(lines[0]) - 2 * _RADIUS, 0), min(int(lines[-1]) + 2 * _RADIUS + 1, len(changed)))


def _psnr(first: Tensor, second: Tensor, area: int) -> float:
    """PSNR over a photo of ``area`` pixels that is unchanged outside this rectangle."""
    from torchmetrics.functional.image import peak_signal_noise_ratio

    here = float(peak_signal_noise_ratio(second, first, data_range=255.0))
    return here + 10 * math.log10(area / (first.shape[-1] * first.shape[-2]))


def _ssim(first: NDArray[np.uint8], second: NDArray[np.uint8], windows: int) -> float:
    """Mean SSIM over the ``windows`` of a photo that is unchanged outside this rectangle."""
    height = first.shape[0]
    lost = 0.0
    for top in range(0, height - WINDOW + 1, _STRIP):  # strips keep the memory of a large face small
        strip = slice(top, top + _STRIP + WINDOW - 1)
        lost += float((1 - _ssim_map(first[strip], second[strip])).mean(axis=-1).sum(dtype=np.float64))
    return 1 - lost / windows


def _ssim_map(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float32]:
    """SSIM of every window that lies inside two h x w x 3 pictures: (h - 10) x (w - 10) x 3."""
    import cv2

    def windowed(picture: NDArray[np.float32]) -> NDArray[np.float32]:
        blurred = cv2.GaussianBlur(picture, (WINDOW, WINDOW), SIGMA)
        return np.asarray(blurred[_RADIUS:-_RADIUS, _RADIUS:-_RADIUS], dtype=np.float32)

    x, y = (picture.astype(np.float32) - CENTRE for picture in (first, second))  # around 0, variances lose fewer digits
    mean_x, mean_y = windowed(x), windowed(y)
    variances = windowed(x * x + y * y) - mean_x**2 - mean_y**2
    covariance = windowed(x * y) - mean_x * mean_y
    mean_x, mean_y = mean_x + CENTRE, mean_y + CENTRE
    structure = (2 * covariance + C2) / (variances + C2)
    return np.asarray(structure * (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1), dtype=np.float32)


def _windows(height: int, width: int) -> int:
    """How many windows lie wholly inside H x W pixels."""
    return (height - WINDOW + 1) * (width - WINDOW + 1)


def _to_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """H x W x 3 levels to float32 1 x 3 x H x W levels."""
    return torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32)).unsqueeze(0)
