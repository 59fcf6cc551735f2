"""The other formulation of the inner problem (Huang et al. 2021, eq. 5, after Szegedy et al. 2014), solved with Adam.

    min over delta   c |delta|_2 + L(f(x + delta), y)      with x + delta in [0, 1]

No epsilon bounds delta there, so every photo's own is clipped at the end: both formulations keep one budget. It minimizes the
error alone; `eval.image_noise.settings_of` refuses it for error-maximizing noise.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from faceguard.noise import NoiseSettings

WEIGHT = 1.0  # c
RATE = 0.01  # Adam's


def penalized(
    model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, delta: Tensor, settings: NoiseSettings
) -> Tensor:
    """The new delta, B x 3 x S x S, or patches, B x 3 x C x C, after ``pgd_steps`` steps of Adam.

    The model must be frozen and in eval mode.
    """
    delta = delta.detach().clone().requires_grad_()
    optimizer = torch.optim.Adam([delta], lr=RATE)
    for _ in range(settings.pgd_steps):
        noisy = (x + settings.spread(delta, x.shape[-1])).clamp(0, 1)
        # a small number keeps the norm's gradient finite at zero
        loss = WEIGHT * (delta.square().sum((1, 2, 3)) + 1e-12).sqrt() + F.cross_entropy(
            model(noisy), y, reduction="none"
        )
        optimizer.zero_grad(set_to_none=True)
        loss.sum().backward(inputs=[delta])
        optimizer.step()
    return delta.detach().clamp_(-settings.epsilon, settings.epsilon)
