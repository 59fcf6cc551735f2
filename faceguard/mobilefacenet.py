"""MobileFaceNet (Chen et al. 2018): a million weights, and a global depthwise convolution instead of average pooling.

    3 x 3 conv / 2, 64 -> 3 x 3 depthwise -> bottlenecks (expansion t, channels c, n times, stride s) -> 1 x 1 conv, 512
    -> one weight for each channel and place (the face's corners matter less than its eyes) -> 1 x 1 conv, 128

The names of the weights are those of the checkpoints that circulate for the 112 x 96 edition.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BOTTLENECKS = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))  # t, c, n, s: Table 1
DIMENSION = 128


class MobileFaceNet(nn.Module):
    """Standardized pixels, B x 3 x height x width, to features, B x 128; four strides of two divide the picture by 16."""

    def __init__(self, height: int = 112, width: int = 96) -> None:
        super().__init__()
        self.conv1 = _Unit(3, 64, 3, stride=2, padding=1)
        self.dw_conv1 = _Unit(64, 64, 3, padding=1, groups=64)
        blocks, channels = [], 64
        for expansion, after, count, stride in BOTTLENECKS:
            for i in range(count):
                blocks.append(_Bottleneck(channels, after, expansion, stride=stride if i == 0 else 1))
                channels = after
        self.blocks = nn.Sequential(*blocks)
        self.conv2 = _Unit(channels, 512, 1)
        left = (-(-height // 16), -(-width // 16))  # every stride of two rounds up
        self.linear7 = _Unit(512, 512, left, groups=512, linear=True)
        self.linear1 = _Unit(512, DIMENSION, 1, linear=True)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, x: Tensor) -> Tensor:
        """B x 3 x height x width to B x 128."""
        x = self.conv2(self.blocks(self.dw_conv1(self.conv1(x))))
        return torch.flatten(self.linear1(self.linear7(x)), 1)


class _PReLU(nn.PReLU):
    """PReLU from two ReLUs: PyTorch's own takes two fifths of a training step on CPUs."""

    def forward(self, x: Tensor) -> Tensor:
        slope = self.weight.to(x.dtype).view(1, -1, *[1] * (x.ndim - 2))
        return F.relu(x) - slope * F.relu(-x)


class _Unit(nn.Module):
    """Convolution, batch norm and, unless ``linear``, PReLU."""

    def __init__(
        self,
        before: int,
        after: int,
        kernel: int | tuple[int, int],
        *,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        linear: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(after)
        self.prelu = nn.Identity() if linear else _PReLU(after)

    def forward(self, x: Tensor) -> Tensor:
        activated: Tensor = self.prelu(self.bn(self.conv(x)))
        return activated


class _Bottleneck(nn.Module):
    """Widen, convolve each channel, narrow without activation; added to the input when both have one shape."""

    def __init__(self, before: int, after: int, expansion: int, *, stride: int) -> None:
        super().__init__()
        wide = before * expansion
        self.residual = stride == 1 and before == after
        self.conv = nn.Sequential(
            nn.Conv2d(before, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            _PReLU(wide),
            nn.Conv2d(wide, wide, 3, stride, 1, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            _PReLU(wide),
            nn.Conv2d(wide, after, 1, bias=False),
            nn.BatchNorm2d(after),
        )

    def forward(self, x: Tensor) -> Tensor:
        narrow: Tensor = self.conv(x)
        return x + narrow if self.residual else narrow
