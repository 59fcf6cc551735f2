"""Face recognizers behind one interface: pixels in [0, 1] in, unit embeddings out.

* ``inception-resnet-v1``: facenet-pytorch's (Szegedy et al. 2017; Schroff et al. 2015), 512-d, the paper's recognizer.
* ``resnet-18``: He et al. 2016 for small faces: a 3 x 3 stem, then torchvision's basic blocks; ``width`` channels at first.
* ``mobilefacenet``: Chen et al. 2018, 128-d, a million weights.
* any ONNX recognizer that insightface's loader understands (ArcFace family, SFace).

B batch, K identities, D embedding. Normalisation of pixels lives in here and nowhere else.
"""

from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock

from faceguard.arcface import CosineClassifier
from faceguard.device import seeded
from faceguard.errors import RunError
from faceguard.mobilefacenet import MobileFaceNet

NARROWEST = 8  # channels
MODELS = ("inception-resnet-v1", "resnet-18", "mobilefacenet")
LEAST_SIZE = {"inception-resnet-v1": 80, "mobilefacenet": 32}  # px of a face
Head = Literal["softmax", "arcface"]


class Embedder(Protocol):
    """Whatever compares faces: our recognizers and ONNX files alike."""

    size: int

    def embed(self, pixels: Tensor) -> Tensor:
        """B x 3 x size x size in [0, 1] to B x D of unit length, float32."""
        ...


class Extractor(nn.Module):
    """A recognizer without a classifier: ``features`` are pixels, B x 3 x size x size in [0, 1], to B x ``dimension``."""

    def __init__(self, features: nn.Module, dimension: int, *, size: int) -> None:
        super().__init__()
        self.features, self.dimension, self.size = features, dimension, size

    def embed(self, pixels: Tensor) -> Tensor:
        """B x 3 x H x W in [0, 1] to B x D of unit length, float32."""
        return F.normalize(self.features(pixels).float(), dim=1)


class Recognizer(Extractor):
    """A trainable recognizer: ``forward`` gives logits over K identities, ``embed`` unit embeddings."""

    def __init__(
        self,
        features: nn.Module,
        dimension: int,
        identities: int,
        *,
        name: str,
        size: int,
        width: int = 64,
        classifier: nn.Module | None = None,
    ) -> None:
        """``classifier`` maps features to logits; a linear layer when it is left out."""
        super().__init__(features, dimension, size=size)
        self.classifier = classifier or nn.Linear(dimension, identities)
        self.name, self.width, self.identities = name, width, identities

    def forward(self, pixels: Tensor) -> Tensor:
        """B x 3 x H x W in [0, 1] to logits, B x K."""
        logits: Tensor = self.classifier(self.features(pixels))
        return logits


def build(
    name: str, *, identities: int, size: int, width: int = 64, head: Head = "softmax", scale: float = 16.0, seed: int
) -> Recognizer:
    """An untrained recognizer with initial weights drawn from ``seed``; ``width`` concerns resnet-18 only.

    The head ``arcface`` gives cosines times ``scale`` for logits, to be trained with ``arcface_loss``.
    Raises RunError when ``name`` is none of ``MODELS``, the head is unknown, ``size`` is too small for the network, or
    ``width`` is below ``NARROWEST``.
    """
    if head not in ("softmax", "arcface"):
        raise RunError(f"Head {head!r} is unknown; use softmax or arcface.")
    with seeded(seed, "weights", name):
        features, dimension = _features(name, size, width)
        classifier = CosineClassifier(dimension, identities, scale=scale) if head == "arcface" else None
        return Recognizer(features, dimension, identities, name=name, size=size, width=width, classifier=classifier)


def check_width(width: int) -> None:
    """Raises RunError for a network whose strided 1 x 1 convolutions would crash the process.

    On processors without AVX-512 their gradients write past their memory when they have fewer than eight channels
    (PyTorch 2.14 and 2.15, channels_last, float32).
    """
    if width < NARROWEST:
        raise RunError(f"A network of width {width} is too narrow; use {NARROWEST} or more.")


def check_size(name: str, size: int) -> None:
    """Raises RunError for faces that are too small for the network ``name``."""
    least = LEAST_SIZE.get(name, 1)
    if size < least:
        raise RunError(f"{name} needs faces of at least {least} px, not {size}; raise --size.")


def _features(name: str, size: int, width: int) -> tuple[nn.Module, int]:
    """The network before its classifier, and its dimension."""
    if name == "resnet-18":
        check_width(width)
        return _ResNet18(width), 8 * width
    check_size(name, size)
    if name == "inception-resnet-v1":
        return inception_features(), 512
    if name == "mobilefacenet":
        return Standardized(MobileFaceNet(size, size)), 128
    raise RunError(f"Model {name!r} is unknown; use one of {', '.join(MODELS)}.")


class _ResNet18(nn.Module):
    """ResNet-18 whose stem divides the resolution by four, so that 112 px faces reach the last stage at 4 x 4."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        widths = [width, width, 2 * width, 4 * width, 8 * width]
        self.stages = nn.Sequential(
            *(_stage(before, after, stride=1 if i == 0 else 2) for i, (before, after) in enumerate(pairwise(widths)))
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, pixels: Tensor) -> Tensor:
        pooled: Tensor = self.stages(self.stem(pixels)).mean(dim=(2, 3))
        return pooled


def _stage(before: int, after: int, *, stride: int) -> nn.Sequential:
    shortcut = None
    if stride != 1 or before != after:
        shortcut = nn.Sequential(nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after))
    return nn.Sequential(BasicBlock(before, after, stride, shortcut), BasicBlock(after, after))


class Standardized(nn.Module):
    """The input convention of facenet-pytorch and of the MobileFaceNets: (255 x - 127.5) / 128."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.network((pixels * 255 - 127.5) / 128)
        return features


def inception_features() -> Standardized:
    """Inception-ResNet-v1 up to the 512 features after its last batch norm, untrained."""
    from facenet_pytorch import InceptionResnetV1

    network = InceptionResnetV1(classify=True, num_classes=1)
    network.logits = nn.Identity()  # our classifier follows, embed() normalises
    return Standardized(network)


class OnnxRecognizer:
    """A recognizer in an ONNX file, loaded by insightface; pixels are normalised as its family (ArcFace, SFace) expects."""

    def __init__(self, path: Path) -> None:
        """Raises RunError when the file is no ONNX face recognizer."""
        import onnx
        import onnxruntime
        from google.protobuf.message import DecodeError
        from insightface.model_zoo import get_model
        from onnx.checker import ValidationError
        from onnxruntime.capi import onnxruntime_pybind11_state as failures

        damaged = (OSError, ValueError, DecodeError, ValidationError)  # the last is of a part that is not beside it
        refused = (failures.Fail, failures.InvalidGraph, failures.NotImplemented)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only: its warnings concern the file's author
        # unpack quantized weights once instead of on every call: 33 instead of 53 ms a face for SFace, equal to 2e-6
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        try:
            if not path.is_file():
                raise RunError(f"There is no file {path}; give an .onnx recognizer, a run folder or a model's name.")
            graph = onnx.load(str(path)).graph
            if not _fits_a_face_recognizer(graph):
                raise RunError(
                    f"{path} is an ONNX file but no face recognizer; give one of the ArcFace family or SFace."
                )
            self._model = get_model(str(path), providers=["CPUExecutionProvider"], sess_options=options)
        except (*damaged, *refused) as error:
            raise RunError(
                f"{path} cannot be loaded as an ONNX recognizer ({error}); check the file, and any .data beside it."
            ) from error
        if _normalises_inside(graph):
            self._model.input_mean, self._model.input_std = 0.0, 1.0
        self.size = int(self._model.input_size[0])
        batch = self._model.input_shape[0]
        self._batch = batch if isinstance(batch, int) and batch > 0 else None

    def embed(self, pixels: Tensor) -> Tensor:
        """B x 3 x size x size in [0, 1] to B x D of unit length, float32."""
        levels = pixels.float().mul(255).cpu().contiguous()
        size = self._batch or len(levels)  # some files fix the batch, SFace to one photo
        lacking = -len(levels) % size  # photos in the last batch, which is filled up with copies of the last one
        filled = torch.cat([levels, levels[-1:].expand(lacking, -1, -1, -1)]) if lacking else levels
        found = [torch.from_numpy(self._model.forward(batch.numpy())) for batch in filled.split(size)]
        return F.normalize(torch.cat(found)[: len(levels)].float(), dim=1)


def _fits_a_face_recognizer(graph: Any) -> bool:
    """One square picture of at least 112 px in, one embedding out: what insightface takes for a recognizer."""
    weights = {tensor.name for tensor in graph.initializer}
    pictures = [value for value in graph.input if value.name not in weights]
    if len(pictures) != 1 or len(graph.output) != 1:
        return False
    shape = [dimension.dim_value for dimension in pictures[0].type.tensor_type.shape.dim]
    return len(shape) == 4 and shape[1] == 3 and shape[2] == shape[3] >= 112 and shape[2] % 16 == 0 and shape[2] != 192


def _normalises_inside(graph: Any) -> bool:
    """Whether the network itself subtracts and scales, so that levels of 255 go in.

    insightface looks at the first eight nodes alone, which in a quantized file only unpack weights.
    """
    first = [node.op_type for node in graph.node if node.op_type not in ("DequantizeLinear", "Reshape", "Constant")]
    return first[:2] == ["Sub", "Mul"]
