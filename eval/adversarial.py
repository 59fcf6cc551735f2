"""Countermeasures that look for the photo that the network finds hardest: adversarial training and UEraser.

Both ask the network in eval mode: batch normalisation then judges a photo by the running statistics, which stay untouched
as weights, gradients and every module's mode do, and nothing is dropped out. Hardest by the cross entropy of the logits,
also where the training adds ArcFace's margin.

B batch, K identities, C candidates, S x S pixels.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceguard.countermeasure import Countermeasure
from faceguard.noise import NoiseSettings, pgd


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
    Their policy on CIFAR-10 is `policy`. ``search`` 0 is their UEraser-Lite, 1 their UEraser-Max. They backpropagate through
    all candidates in train mode; here the choice is made first, and the training step then sees the chosen ones.
    """

    name: str = field(default="ueraser", init=False)
    candidates: int = 5
    search: float = 0.3

    def problems(self) -> list[str]:
        """No candidate, or a share that is none."""
        wrong = [] if self.candidates >= 1 else [f"candidates must be at least 1, not {self.candidates}"]
        return wrong + ([] if 0 <= self.search <= 1 else [f"search must lie between 0 and 1, not {self.search}"])

    @torch.no_grad()
    def batch(self, model: nn.Module, x: Tensor, y: Tensor, done: float = 0.0) -> tuple[Tensor, Tensor]:
        """Every photo's candidate with the largest loss, or later on its only one."""
        candidates = torch.stack([augmented(x) for _ in range(self.candidates if done < self.search else 1)])
        if len(candidates) == 1:
            return candidates[0], y
        with untouched(model):
            losses = torch.stack([F.cross_entropy(model(each), y, reduction="none") for each in candidates])
        return candidates[losses.argmax(0), torch.arange(len(x), device=x.device)], y


def augmented(x: Tensor) -> Tensor:
    """Pixels B x 3 x S x S in [0, 1] to the same by UEraser's policy."""
    with torch.autocast(x.device.type, enabled=False):
        changed: Tensor = policy()(x.contiguous())
    return changed.clamp(0, 1)


@cache
def policy() -> nn.Module:
    """UEraser's augmentations on CIFAR-10, kornia's as its authors take them.

    Brightness and contrast along plasma maps and a shuffle of the channels, for half of the photos each; then one operation
    of TrivialAugment's at a strength of each photo's own, which kornia draws for the whole batch.
    """
    import kornia.augmentation as augment

    return nn.Sequential(
        augment.RandomPlasmaBrightness(roughness=(0.3, 0.7), intensity=(0.5, 1.0), p=0.5),
        augment.RandomPlasmaContrast(roughness=(0.3, 0.7), p=0.5),
        augment.RandomChannelShuffle(p=0.5),
        augment.auto.TrivialAugment(),
    )


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
