"""The flips and crops that a trainer sees: kornia draws them for every photo on its own, one copy of the batch applies them.

kornia would cut out one photo after the other, which keeps a GPU waiting; the pixels are the same, to the bit.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceguard.gather import send


def flip_and_crop(size: int, *, flip: bool, crop_share: float) -> Callable[[Tensor], Tensor]:
    """For B x 3 x size x size pixels, channels_last in and out; differentiable.

    The crop follows a padding, with zeros, by ``crop_share`` of the side. Without either, pixels pass through untouched.
    """
    import kornia.augmentation as augment

    padding = round(crop_share * size)
    if not (flip or padding):
        return nn.Identity()
    turn, window = augment.RandomHorizontalFlip(), augment.RandomCrop((size, size), padding=padding)

    def change(pixels: Tensor) -> Tensor:
        flipped = torch.zeros(len(pixels), dtype=torch.bool)
        corner = torch.zeros(len(pixels), 2, dtype=torch.long)  # x, y
        if flip:
            flipped = turn.forward_parameters(pixels.shape)["batch_prob"] > 0.5
        if padding:
            corner = window.forward_parameters(pixels.shape)["src"][:, 0].long()
        columns, rows = (corner[:, axis, None] + torch.arange(size) for axis in (0, 1))
        mirrored = size + 2 * padding - 1 - columns
        return _take(pixels, padding, rows, torch.where(flipped[:, None], mirrored, columns))

    return change


def _take(pixels: Tensor, padding: int, rows: Tensor, columns: Tensor) -> Tensor:
    """``rows`` and ``columns`` (B x S, on the CPU) of every photo, after padding on all sides."""
    count, channels, size, _ = pixels.shape
    side = size + 2 * padding
    first = torch.arange(0, count * side, side, device=pixels.device)[:, None]
    lines, columns = first + send(rows, pixels.device), send(columns, pixels.device)
    where = (lines[:, :, None] * side + columns[:, None, :]).flatten()
    padded = F.pad(pixels.permute(0, 2, 3, 1), (0, 0, *[padding] * 4)).reshape(-1, channels)
    return padded.index_select(0, where).view(count, size, size, channels).permute(0, 3, 1, 2)
