"""Countermeasures that augment every training batch without asking the network: Cutout, MixUp, CutMix, AutoAugment.

Every photo has draws of its own. B batch, K identities, S x S pixels.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms import AutoAugment as Policies
from torchvision.transforms import AutoAugmentPolicy

from eval.operations import IDENTITY, NAMES, operate
from faceguard.countermeasure import Countermeasure


@dataclass(frozen=True, kw_only=True)
class Cutout(Countermeasure):
    """A black square of ``share`` (0 to 1) of the side, centred anywhere and cut off at the edges.

    DeVries and Taylor 2017; 16 of 32 pixels on CIFAR-10, also in APBench.
    """

    name: str = field(default="cutout", init=False)
    share: float = 0.5

    def problems(self) -> list[str]:
        """A square that hides nothing, or more than all."""
        return [] if 0 < self.share <= 1 else [f"share must lie above 0 and at most at 1, not {self.share}"]

    def batch(self, model: nn.Module, x: Tensor, y: Tensor, done: float = 0.0) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Zeros in each photo's own square."""
        sides = torch.full((len(x),), max(round(self.share * x.shape[-1]), 1), device=x.device)
        return x.masked_fill(squares(x, sides), 0), y


@dataclass(frozen=True, kw_only=True)
class _Mix(Countermeasure):
    """Two photos in one, with labels in the same shares, drawn from Beta(``alpha``, ``alpha``)."""

    alpha: float = 1.0

    def problems(self) -> list[str]:
        """A Beta distribution that does not exist."""
        return [] if 0 < self.alpha < float("inf") else [f"alpha must be a positive number, not {self.alpha}"]

    def shares(self, x: Tensor) -> Tensor:
        """What each photo keeps of itself, B in [0, 1]."""
        alpha = x.new_full((), self.alpha)
        return torch.distributions.Beta(alpha, alpha, validate_args=False).sample((len(x),))  # to check waits for a GPU

    @staticmethod
    def labels(model: nn.Module, y: Tensor, partner: Tensor, share: Tensor) -> Tensor:
        """B x K: ``share`` of a photo's own label, the rest its partner's. ``model`` tells K, as every Recognizer does."""
        own = F.one_hot(y, cast(int, model.identities)).to(share.dtype) if y.ndim == 1 else y
        return torch.lerp(own[partner], own, share[:, None])


@dataclass(frozen=True, kw_only=True)
class MixUp(_Mix):
    """Pixels and labels of two photos, added in shares (Zhang et al. 2018)."""

    name: str = field(default="mixup", init=False)

    def batch(self, model: nn.Module, x: Tensor, y: Tensor, done: float = 0.0) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """The photo's own share, and the rest of a random partner from the same batch; labels B x K."""
        share, partner = self.shares(x), torch.randperm(len(x), device=x.device)
        return torch.lerp(x[partner], x, share.view(-1, 1, 1, 1)), self.labels(model, y, partner, share)


@dataclass(frozen=True, kw_only=True)
class CutMix(_Mix):
    """A square of another photo pasted in, labels by area (Yun et al. 2019)."""

    name: str = field(default="cutmix", init=False)

    def batch(self, model: nn.Module, x: Tensor, y: Tensor, done: float = 0.0) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """A random partner's square at the same place; labels B x K in the shares that are really seen."""
        partner = torch.randperm(len(x), device=x.device)
        pasted = squares(x, (x.shape[-1] * (1 - self.shares(x)).sqrt()).long())
        share = 1 - pasted.float().mean((1, 2, 3))
        return torch.where(pasted, x[partner], x), self.labels(model, y, partner, share)


@dataclass(frozen=True, kw_only=True)
class AutoAugment(Countermeasure):
    """One of the 25 pairs of operations that were found for ``policy`` (Cubuk et al. 2019), for every photo on its own.

    torchvision's table and strengths, black outside the photo; without the Cutout that the paper adds on CIFAR-10.
    """

    name: str = field(default="autoaugment", init=False)
    policy: Literal["cifar10", "imagenet", "svhn"] = "cifar10"

    def problems(self) -> list[str]:
        """A policy that torchvision does not have."""
        known = [policy.value for policy in AutoAugmentPolicy]
        return [] if self.policy in known else [f"policy must be one of {', '.join(known)}, not {self.policy}"]

    def batch(self, model: nn.Module, x: Tensor, y: Tensor, done: float = 0.0) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Pixels in whole levels of 255."""
        operations, chances, strengths = _table(self.policy)
        pair = torch.randint(len(operations), (len(x),))
        happens = torch.rand(len(x), 2) <= chances[pair]
        operation = torch.where(happens, operations[pair], IDENTITY)
        strength = strengths[pair] * (2 * torch.randint(2, (len(x), 2)) - 1)
        levels = x.mul(255).round_().to(torch.uint8)
        for step in (0, 1):
            levels = operate(levels, operation[:, step], strength[:, step])
        return levels.to(x.dtype).div_(255), y


def squares(x: Tensor, sides: Tensor) -> Tensor:
    """A mask, B x 1 x S x S, of one square a photo: ``sides`` pixels (B) around a random pixel, cut off at the edges."""
    size = x.shape[-1]
    place = torch.arange(size, device=x.device)
    start = torch.randint(size, (len(x), 2, 1), device=x.device) - sides.view(-1, 1, 1) // 2
    inside = (place >= start) & (place < start + sides.view(-1, 1, 1))
    return (inside[:, 0, :, None] & inside[:, 1, None, :])[:, None]


@cache
def _table(policy: str) -> tuple[Tensor, Tensor, Tensor]:
    """The policy as three tables of pairs, 25 x 2: which operation, how likely, how strong."""
    pairs = Policies(AutoAugmentPolicy(policy)).policies
    operations = torch.tensor([[NAMES.index(name) for name, _, _ in pair] for pair in pairs])
    chances = torch.tensor([[chance for _, chance, _ in pair] for pair in pairs])
    strengths = torch.tensor([[(size or 0) / 9 for _, _, size in pair] for pair in pairs])
    return operations, chances, strengths
