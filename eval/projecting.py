"""Orthogonal projection: find what a linear classifier tells the identities apart by, and remove it from every photo.

    x <- mu + (I - Q Q^T)(x - mu)        with Q R = W^T, W the weights of a logistic regression on the pixels

Sandoval-Segura et al. 2023, *What Can We Learn from Unlearnable Datasets?*. They project x itself and train on numbers of
any size; here the mean photo mu stays, so that the result is a photo again (8 bits, clipped). Photos still differ in nothing
that lies in the span of W: that part is mu's in all of them.

N photos, K identities, D = 3 S^2 values of a photo in [0, 1].
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from eval.adaptive import project_out
from faceguard.countermeasure import Countermeasure
from faceguard.device import generator
from faceguard.errors import DataError
from faceguard.identities import Faces, to_pixels

REFERENCE = 3 * 32**2  # D of the photos that the published learning rate is meant for


@dataclass(frozen=True, kw_only=True)
class OrthogonalProjection(Countermeasure):
    """The published settings: no bias, plain SGD in batches of 1024, a tenth of the rate at 1/2 and 3/4 of the steps.

    ``steps`` are the published 20 epochs of CIFAR-10; smaller sets get as many, in batches of at most ``batch_size``.
    ``learning_rate`` holds for photos of 32 x 32 pixels and falls as their number of pixels grows, since the largest rate
    that converges does. Clean photos are tried as they are.
    """

    name: str = field(default="orthogonal-projection", init=False)
    steps: int = 980
    learning_rate: float = 0.1
    batch_size: int = 1024

    def problems(self) -> list[str]:
        """Numbers that train nothing."""
        positive = ("steps", "learning_rate", "batch_size")
        return [
            f"{name} must be positive, not {getattr(self, name)}" for name in positive if not getattr(self, name) > 0
        ]

    def prepare(self, train: Faces, *, seed: int) -> Faces:
        """The photos without their part in the span of the regression's weights; ``seed`` gives its start and order.

        Raises DataError when there are as many identities as values of a photo: nothing would be left.
        """
        if len(train.names) >= train.pixels[0].size:
            raise DataError(
                f"{len(train.names)} identities span all {train.pixels[0].size} values of a photo, so projecting them out"
                " leaves nothing; use larger photos or fewer identities."
            )
        mean = train.pixels.mean(axis=0, dtype=np.float64).astype(np.float32)
        return project_out(train, orthonormal(self.weights(train, seed=seed)), mean)

    def weights(self, train: Faces, *, seed: int) -> Tensor:
        """The logistic regression's, K x D, after training on the flattened photos."""
        size, random = train.pixels[0].size, generator(seed, self.name)
        bound = size**-0.5  # as linear layers start
        weight: Tensor = ((2 * torch.rand(len(train.names), size, generator=random) - 1) * bound).requires_grad_()
        optimizer = torch.optim.SGD([weight], lr=self.learning_rate * REFERENCE / size)
        schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [self.steps // 2, self.steps * 3 // 4])
        labels, batches = torch.from_numpy(train.labels), self._batches(len(train), random)
        for batch in islice(batches, self.steps):
            optimizer.zero_grad(set_to_none=True)
            flat = to_pixels(train.pixels[batch.numpy()]).flatten(1)
            F.cross_entropy(F.linear(flat, weight), labels[batch]).backward()
            optimizer.step()
            schedule.step()
        return weight.detach()

    def _batches(self, photos: int, random: torch.Generator) -> Iterator[Tensor]:
        """Shuffled photos, again and again."""
        while True:
            yield from torch.randperm(photos, generator=random).split(self.batch_size)


def orthonormal(weights: Tensor) -> Tensor:
    """An orthonormal basis, K x D, of the span of K weight vectors, K x D; each is scaled to unit length first."""
    basis: Tensor = torch.linalg.qr(F.normalize(weights, dim=1).T).Q.T
    return basis
