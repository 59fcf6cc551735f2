"""The paper's image classifiers for small pictures, built from torchvision's: VGG-11, ResNet-18, ResNet-50, DenseNet-121.

Below 96 pixels a side the stem is a 3 x 3 convolution of stride 1 without pooling, as everybody trains them on CIFAR; from
96 on it is torchvision's own. ``width`` 64 is the paper's; other widths scale every layer. Pixels go in as they are, in
[0, 1]: like the paper's public code, no network standardizes them.

B batch, K classes, S x S pixels.
"""

from collections.abc import Callable

from torch import nn
from torchvision.models.densenet import DenseNet
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
from torchvision.models.vgg import cfgs, make_layers

from faceguard.device import seeded
from faceguard.errors import RunError
from faceguard.recognizer import Recognizer, check_width

NETWORKS = ("vgg-11", "resnet-18", "resnet-50", "densenet-121")
WIDTH = 64  # the paper's
LARGE = 96  # pixels from which torchvision's own stem is used


def build_network(name: str, *, classes: int, size: int, width: int = WIDTH, seed: int) -> Recognizer:
    """An untrained classifier, B x 3 x S x S in [0, 1] to logits B x K, with weights drawn from ``seed``.

    Raises RunError when ``name`` is none of ``NETWORKS``, the pictures are too small for vgg-11's five poolings, or ``width``
    is below what every network can bear (``faceguard.recognizer.check_width``).
    """
    check_width(width)
    if name not in _FEATURES:
        raise RunError(f"The network {name!r} is unknown; use one of {', '.join(NETWORKS)}.")
    if name == "vgg-11" and size < 32:
        raise RunError(f"vgg-11 pools five times and needs pictures of at least 32 px, not {size}; take larger ones.")
    with seeded(seed, "weights", name):
        features, dimension = _FEATURES[name](width, size < LARGE)
        return Recognizer(features, dimension, classes, name=name, size=size, width=width)


def _vgg11(width: int, small: bool) -> tuple[nn.Module, int]:  # noqa: ARG001 - five poolings suit both
    """With batch normalisation; pooled to one place, without the two layers of 4096."""
    layers: list[str | int] = [part if isinstance(part, str) else part * width // WIDTH for part in cfgs["A"]]
    pooled = nn.Sequential(make_layers(layers, batch_norm=True), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    for module in pooled.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return pooled, 512 * width // WIDTH


class _ResNet(ResNet):  # type: ignore[misc] # torchvision carries no types
    """torchvision's, whose layers start from ``width`` channels instead of 64."""

    def __init__(self, block: type[BasicBlock | Bottleneck], layers: list[int], width: int) -> None:
        self._width = width
        super().__init__(block, layers)

    def _make_layer(
        self, block: type[BasicBlock | Bottleneck], planes: int, *rest: object, **more: object
    ) -> nn.Sequential:
        if planes == WIDTH:
            self.inplanes = self._width
        made: nn.Sequential = super()._make_layer(block, planes * self._width // WIDTH, *rest, **more)
        return made


def _resnet(block: type[BasicBlock | Bottleneck], layers: list[int], width: int, small: bool) -> tuple[nn.Module, int]:
    network = _ResNet(block, layers, width)
    kernel, stride = (3, 1) if small else (7, 2)
    network.conv1 = nn.Conv2d(3, width, kernel, stride=stride, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(network.conv1.weight, mode="fan_out", nonlinearity="relu")
    network.bn1 = nn.BatchNorm2d(width)
    if small:
        network.maxpool = nn.Identity()
    network.fc = nn.Identity()
    return network, 8 * width * block.expansion


def _densenet121(width: int, small: bool) -> tuple[nn.Module, int]:
    network = DenseNet(growth_rate=width // 2, block_config=(6, 12, 24, 16), num_init_features=width)
    if small:
        network.features.conv0 = nn.Conv2d(3, width, 3, padding=1, bias=False)
        nn.init.kaiming_normal_(network.features.conv0.weight)
        network.features.pool0 = nn.Identity()
    dimension: int = network.classifier.in_features
    network.classifier = nn.Identity()
    return network, dimension


_FEATURES: dict[str, Callable[[int, bool], tuple[nn.Module, int]]] = {
    "vgg-11": _vgg11,
    "resnet-18": lambda width, small: _resnet(BasicBlock, [2, 2, 2, 2], width, small),
    "resnet-50": lambda width, small: _resnet(Bottleneck, [3, 4, 6, 3], width, small),
    "densenet-121": _densenet121,
}
