"""Noise of few cells, interpolated smoothly: coarse enough to survive scaling, compression and another alignment.

B batch, C cells a side, S x S pixels; cells and noise are float32 in [-epsilon, epsilon].
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def smooth(cells: Tensor, size: int) -> Tensor:
    """Cells, B x 3 x C x C, as noise of B x 3 x size x size, as they are if C = size: bilinear, so no bound is left."""
    return cells if cells.shape[-1] == size else F.interpolate(cells, size=size, mode="bilinear", align_corners=False)


def pgd_on_cells(
    model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, cells: Tensor, *, step: float, steps: int, epsilon: float
) -> Tensor:
    """Equation 3 for the cells behind the noise, ``steps`` times: the gradient goes through the interpolation.

    x is B x 3 x S x S, cells B x 3 x C x C; a negative ``step`` ascends. Returns the new cells.
    """
    for _ in range(steps):
        cells = cells.detach().requires_grad_()
        noisy = (x + smooth(cells, x.shape[-1])).clamp(0, 1)
        (gradient,) = torch.autograd.grad(F.cross_entropy(model(noisy), y), cells)
        cells = cells.detach().sub(gradient.sign_(), alpha=step).clamp_(-epsilon, epsilon)
    return cells
