"""ArcFace (Deng et al. 2019): classify by angle, and ask the right class for a margin of m radians more.

    logit_k = s cos(theta_k),  theta_k the angle between embedding and the class's weight
    loss    = cross entropy after theta_y -> theta_y + m

B batch, K identities, D embedding.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CosineClassifier(nn.Module):
    """Logits = scale times the cosine of embedding and class weight, in float32 also under autocast."""

    def __init__(self, dimension: int, identities: int, *, scale: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(identities, dimension))
        self.scale = scale
        nn.init.normal_(self.weight)  # a direction each; its length means nothing

    def forward(self, features: Tensor) -> Tensor:
        """B x D features of any length to B x K in [-scale, scale]."""
        with torch.autocast(features.device.type, enabled=False):  # bf16 knows cosines to 2^-8 only
            return self.scale * F.linear(F.normalize(features.float()), F.normalize(self.weight.float()))


def arcface_loss(logits: Tensor, y: Tensor, *, scale: float, margin: float) -> Tensor:
    """Mean loss of scaled cosines, B x K, for labels y, B, or shares of labels, B x K (MixUp, CutMix).

    Shares weight the losses of their labels, as MixUp weights two cross entropies: the margin is never added for two
    labels of one photo at once. Beyond theta = pi - margin, where cos(theta + margin) would rise again, the right
    logit goes down in a line instead (as in the authors' code). With margin 0 this is the cross entropy of the logits.
    """
    if y.ndim == 2:
        photo, label = y.nonzero(as_tuple=True)
        share = y[photo, label]
        return (share * _hard(logits[photo], label, scale, margin)).sum() / len(y)
    return _hard(logits, y, scale, margin).mean()


def _hard(logits: Tensor, labels: Tensor, scale: float, margin: float) -> Tensor:
    """The loss of each of B labels."""
    logits = logits.float()
    cosine = logits.gather(1, labels[:, None]) / scale
    sine = (1 - cosine.square()).clamp(min=1e-9).sqrt()  # a bound, so that its gradient stays finite at theta = 0
    farther = cosine * math.cos(margin) - sine * math.sin(margin)
    wanted = torch.where(cosine > -math.cos(margin), farther, cosine - margin * math.sin(margin))
    return F.cross_entropy(logits.scatter(1, labels[:, None], scale * wanted), labels, reduction="none")
