"""Countermeasures that look for the photo that the network finds hardest: adversarial training and UEraser.

Both ask the network in eval mode: batch normalisation then judges a photo by the running statistics, which stay untouched
as weights, gradients and every module's mode do, and nothing is dropped out. Hardest by the cross entropy of the logits,
also where the training adds ArcFace's margin.

B batch, K identities, C candidates, S x S pixels.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from eval.operations import NAMES, operate
from faceguard.countermeasure import Countermeasure
from faceguard.noise import NoiseSettings, pgd

MAPS = 64  # plasma maps a batch
TRIVIAL = torch.tensor([i for i, name in enumerate(NAMES) if name != "Invert"])  # TrivialAugment's operations


@dataclass(frozen=True, kw_only=True)
class AdversarialTraining(Countermeasure):
    """Train on the worst photos within ``epsilon`` of the given ones (Madry et al. 2018), on the pixel range [0, 1].

    PGD-10 at 8/255 in steps of 2/255 from a random start in the box, as published benchmarks do on CIFAR-10.
    """

    name: str = field(default="adversarial-training", init=False)
    epsilon: float = 8 / 255
    step_size: float = 2 / 255
    steps: int = 10

    def problems(self) -> list[str]:
        """A box or a walk that does not exist."""
        positive = ("epsilon", "step_size", "steps")
        wrong = [
            f"{name} must be positive, not {getattr(self, name)}" for name in positive if not getattr(self, name) > 0
        ]
        if self.epsilon > 1:
            wrong.append(f"epsilon {self.epsilon} exceeds the pixel range [0, 1]; divide levels by 255")
        return wrong

    def batch(self, model: nn.Module, x: Tensor, y: Tensor, done: float = 0.0) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Pixels in [0, 1], each at most epsilon from where it was."""
        settings = NoiseSettings(
            objective="error-maximizing", epsilon=self.epsilon, step_size=self.step_size, pgd_steps=self.steps
        )
        start = (2 * torch.rand_like(x) - 1) * self.epsilon
        with untouched(model), torch.enable_grad():
            delta = pgd(model, x, y, start, settings)
        return (x + delta).clamp_(0, 1), y


@dataclass(frozen=True, kw_only=True)
class UEraser(Countermeasure):
    """Train on the augmentation of each photo that has the largest loss among ``candidates`` (Qin et al. 2023).

    So in the first ``search`` of the training, 60 of the authors' 200 epochs; later on any augmentation of each photo.
    Their policy on CIFAR-10: brightness and contrast along plasma maps (roughness 0.3 to 0.7, intensity 0.5 to 1) and a
    shuffle of the channels, each with probability ``chance``; then one operation of TrivialAugment's (Müller and Hutter
    2021) at a random strength. ``search`` 0 is their UEraser-Lite, 1 their UEraser-Max. They backpropagate through all
    candidates in train mode; here the choice is made first, and the training step then sees the chosen ones.
    """

    name: str = field(default="ueraser", init=False)
    candidates: int = 5
    search: float = 0.3
    chance: float = 0.5

    def problems(self) -> list[str]:
        """No candidate, or a share or probability that is none."""
        wrong = [] if self.candidates >= 1 else [f"candidates must be at least 1, not {self.candidates}"]
        return wrong + [
            f"{name} must lie between 0 and 1, not {getattr(self, name)}"
            for name in ("search", "chance")
            if not 0 <= getattr(self, name) <= 1
        ]

    @torch.no_grad()
    def batch(self, model: nn.Module, x: Tensor, y: Tensor, done: float = 0.0) -> tuple[Tensor, Tensor]:
        """Every photo's candidate with the largest loss, or later on its only one, in whole levels of 255."""
        count = self.candidates if done < self.search else 1
        candidates = self.augment(x.contiguous().repeat(count, 1, 1, 1)).unflatten(0, (count, len(x)))
        if count == 1:
            return candidates[0], y
        with untouched(model):
            losses = torch.stack([F.cross_entropy(model(each), y, reduction="none") for each in candidates])
        return candidates[losses.argmax(0), torch.arange(len(x), device=x.device)], y

    def augment(self, x: Tensor) -> Tensor:
        """Pixels B x 3 x S x S in [0, 1] to the same, each photo with draws of its own; x itself may change."""
        maps = plasma(x)
        some = self._drawn(x).nonzero().squeeze(1)
        amount = 1 + torch.rand(len(some), 1, 1, 1, device=x.device)
        lighter = (_pick(maps, x, len(some)) - 0.5).mul_(amount).add_(x.index_select(0, some)).clamp_(0, 1)
        x.index_copy_(0, some, lighter)
        some = self._drawn(x).nonzero().squeeze(1)
        sharper = _pick(maps, x, len(some)).mul_(4).mul_(x.index_select(0, some) - 0.5).add_(0.5).clamp_(0, 1)
        x.index_copy_(0, some, sharper)
        order = torch.rand(len(x), 3, device=x.device).argsort(1)
        order[~self._drawn(x)] = torch.arange(3, device=x.device)
        place = order + 3 * torch.arange(len(x), device=x.device)[:, None]
        shuffled = x.flatten(0, 1).index_select(0, place.flatten()).view_as(x)
        operation, strength = TRIVIAL[torch.randint(len(TRIVIAL), (len(x),))], 2 * torch.rand(len(x)) - 1
        return operate(shuffled.mul_(255).round_().to(torch.uint8), operation, strength).to(x.dtype).div_(255)

    def _drawn(self, x: Tensor) -> Tensor:
        return torch.rand(len(x), device=x.device) < self.chance


def plasma(x: Tensor) -> Tensor:
    """``MAPS`` fractal maps by the diamond-square algorithm, MAPS x S x S in [0, 1], of roughness 0.3 to 0.7.

    Each channel of each photo picks one of them: to make a map for each would cost more than the network's passes.
    """
    from kornia.contrib import diamond_square

    size = x.shape[-1]
    roughness = 0.3 + 0.4 * torch.rand(MAPS, device=x.device)
    with torch.autocast(x.device.type, enabled=False):
        made: Tensor = diamond_square((MAPS, 1, size, size), roughness, device=x.device, dtype=x.dtype)
    return made[:, 0].contiguous()


def _pick(maps: Tensor, x: Tensor, count: int) -> Tensor:
    """One of the maps for every channel of ``count`` photos, count x 3 x S x S."""
    drawn = torch.randint(len(maps), (3 * count,), device=maps.device)
    return maps.index_select(0, drawn).view(count, *x.shape[1:])


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Eval mode inside, and afterwards every module's own mode again."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
