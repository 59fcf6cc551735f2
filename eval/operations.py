"""The photo operations of AutoAugment on a whole batch, every photo with an operation of its own.

torchvision's versions of these draw once for a batch, and photo by photo they would take longer than a training step.
Here the photos that drew the same operation go through it together, at strengths of their own; the results equal
torchvision's on single photos (nearest neighbour, black outside).

B photos of S x S pixels as uint8 levels, B x 3 x S x S; strength s in [-1, 1], where 1 is the tenth bin of ten:

    shear by 0.3 s | translate by 150/331 s S | rotate by 30 s degrees | brightness, color, contrast, sharpness 1 + 0.9 s
    posterize to 8 - 4 |s| bits | solarize from level 255 (1 - |s|) on | autocontrast, equalize, invert, identity

Cubuk et al. 2019, table 6, as torchvision implements it.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms.v2 import functional

from faceguard.gather import send

Operation = Callable[[Tensor, Tensor], Tensor]  # levels and strengths of the photos that drew it: new levels

NAMES = (
    *("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate", "Brightness", "Color", "Contrast", "Sharpness"),
    *("Posterize", "Solarize", "AutoContrast", "Equalize", "Invert", "Identity"),
)
GEOMETRIC, IDENTITY = 5, NAMES.index("Identity")  # the first five move pixels, all in one pass


def operate(levels: Tensor, operation: Tensor, strength: Tensor) -> Tensor:
    """Apply to every photo the operation of its index in ``NAMES`` (B, on the CPU) at its ``strength`` (B, on the CPU)."""
    levels = levels.contiguous()  # photo after photo: that is how they are taken out and put back
    result = levels.clone()
    families = {index: _OPERATIONS[index] for index in operation.unique().tolist() if GEOMETRIC <= index < IDENTITY}
    groups = [(operation == index, apply) for index, apply in families.items()]
    moved = operation < GEOMETRIC
    groups.append((moved, lambda photos, _: _move(photos, operation[moved], strength[moved])))
    with torch.autocast(levels.device.type, enabled=False):  # half precision would miss pixels by some
        for drawn, apply in groups:
            if len(photos := drawn.nonzero().squeeze(1)):
                where, how = send(photos, levels.device), send(strength[photos], levels.device)
                changed = apply(levels.index_select(0, where), how.view(-1, 1, 1, 1))
                result.index_copy_(0, where, changed)
    return result


def _move(levels: Tensor, operation: Tensor, strength: Tensor) -> Tensor:
    """Shear, translate or rotate: sample the photo at theta (u, v, 1), where (-1, -1) is its upper left corner."""
    size, count = levels.shape[-1], len(levels)
    shear = torch.where(operation < 2, 0.3 * strength, 0)
    pixels = (150 / 331 * size * strength).trunc()
    angle = torch.where(operation == 4, strength * math.radians(30), 0)
    shift = torch.where((operation == 2) | (operation == 3), -2 * pixels / size, 0)
    offset = shear + shift  # shears keep the corner where it is, as the authors' do
    theta = torch.zeros(count, 2, 3)
    across, down = operation % 2 == 0, operation % 2 == 1
    theta[:, 0, 0] = theta[:, 1, 1] = angle.cos()
    theta[:, 0, 1] = torch.where(across, shear, 0) - angle.sin()
    theta[:, 1, 0] = torch.where(down, shear, 0) + angle.sin()
    theta[:, 0, 2], theta[:, 1, 2] = torch.where(across, offset, 0), torch.where(down, offset, 0)
    grid = F.affine_grid(send(theta, levels.device), [count, 3, size, size], align_corners=False)
    return F.grid_sample(levels.float(), grid, mode="nearest", align_corners=False).to(torch.uint8)


def _enhance(degenerate: Callable[[Tensor], Tensor]) -> Operation:
    """Away from, or beyond, the photo without its brightness, colour, contrast or sharpness."""

    def apply(levels: Tensor, strength: Tensor) -> Tensor:
        factor = 1 + 0.9 * strength
        return (levels * factor + degenerate(levels) * (1 - factor)).clamp_(0, 255).to(torch.uint8)

    return apply


def _posterize(levels: Tensor, strength: Tensor) -> Tensor:
    dropped = (4 * strength.abs()).round_().to(torch.uint8)
    return (levels >> dropped) << dropped


def _solarize(levels: Tensor, strength: Tensor) -> Tensor:
    threshold = (255 * (1 - strength.abs())).sub_(1e-3)  # whole thresholds, such as 170, stay reached
    return torch.where(levels >= threshold, 255 - levels, levels)


_OPERATIONS: dict[int, Operation] = {
    NAMES.index(name): apply
    for name, apply in {
        "Brightness": _enhance(lambda levels: torch.zeros((), device=levels.device)),
        "Color": _enhance(lambda levels: functional.rgb_to_grayscale(levels, 1)),
        "Contrast": _enhance(
            lambda levels: functional.rgb_to_grayscale(levels, 1).float().mean((1, 2, 3), keepdim=True)
        ),
        "Sharpness": _enhance(lambda levels: functional.adjust_sharpness(levels, 0.0)),
        "Posterize": _posterize,
        "Solarize": _solarize,
        "AutoContrast": lambda levels, _: functional.autocontrast(levels),
        "Equalize": lambda levels, _: functional.equalize(levels),
        "Invert": lambda levels, _: functional.invert(levels),
    }.items()
}
