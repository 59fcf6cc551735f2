"""Noise that is stored smaller than the photo: few cells, interpolated smoothly, or a patch, put at a random place.

Cells are coarse enough to survive scaling, compression and another alignment.
B batch, C cells or pixels a side, S x S pixels; cells, patches and noise are float32 in [-epsilon, epsilon].
"""

from collections.abc import Callable
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from faceguard.errors import FaceguardError
from faceguard.gather import send


def smooth(cells: Tensor, size: int) -> Tensor:
    """Cells, B x 3 x C x C, as noise of B x 3 x size x size, as they are if C = size: bilinear, so no bound is left."""
    return cells if cells.shape[-1] == size else F.interpolate(cells, size=size, mode="bilinear", align_corners=False)


def place(patches: Tensor, size: int) -> Tensor:
    """Patches, B x 3 x C x C, as noise of B x 3 x size x size that is zero elsewhere; every photo has a place of its own.

    Draws from the global generator, so seed it around the call. Raises FaceguardError when a patch is larger than the photo.
    """
    count, channels, side, _ = patches.shape
    if side > size:
        raise FaceguardError(f"A patch of {side} pixels does not fit photos of {size}; choose a smaller patch.")
    reach, within = size - side + 1, torch.arange(side, device=patches.device)
    rows, columns = (send(torch.randint(reach, (count, 1)), patches.device) + within for _ in range(2))
    where = (rows[:, :, None] * size + columns[:, None, :]).view(count, 1, -1).expand(-1, channels, -1)
    noise = patches.new_zeros(count, channels, size * size).scatter(2, where, patches.flatten(2))
    return noise.view(count, channels, size, size)


class Budget(Protocol):
    """What equation 3 needs to know; ``NoiseSettings`` is one."""

    @property
    def epsilon(self) -> float: ...
    @property
    def pgd_steps(self) -> int: ...
    def spread(self, delta: Tensor, size: int) -> Tensor: ...


def pgd_on_cells(
    model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, cells: Tensor, budget: Budget, step: float
) -> Tensor:
    """Equation 3 for the cells behind the noise: the gradient goes through ``budget.spread``.

    x is B x 3 x S x S, cells B x 3 x C x C; a negative ``step`` ascends. Returns the new cells.
    """
    for _ in range(budget.pgd_steps):
        cells = cells.detach().requires_grad_()
        noisy = (x + budget.spread(cells, x.shape[-1])).clamp(0, 1)
        (gradient,) = torch.autograd.grad(F.cross_entropy(model(noisy), y), cells)
        cells = cells.detach().sub(gradient.sign_(), alpha=step).clamp_(-budget.epsilon, budget.epsilon)
    return cells
