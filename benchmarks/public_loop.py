"""A plain restatement of the authors' public loop (Huang et al. 2021), which handles noise photo by photo.

Restated is how that loop spends its time: photos move to the device batch by batch, class labels are read one at a time,
every photo's noise passes an empty canvas in main memory on its way to the device, and new deltas come back one by one, into
lists. What it computes is what ours computes, so that both must find equal noise. The public code itself starts from zeros
unless asked, draws other orders (none for sample-wise noise), drops an incomplete last batch where class-wise noise is learnt,
and measures its error on pixels that it does not clip, every batch with equal weight. Left out, in its favour, are its
decoding of photos and its running means of loss and accuracy.

N photos, R rows, B batch, S x S pixels.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from faceguard.device import generator
from faceguard.identities import Faces, to_pixels
from faceguard.noise import NoiseSettings, random_noise


def public_loop(
    faces: Faces,
    model: nn.Module,
    settings: NoiseSettings,
    *,
    seed: int,
    learn_on: Sequence[int] | None = None,
    layout: torch.memory_format = torch.contiguous_format,
) -> tuple[Tensor, int]:
    """Train M steps, then one pass over the photos whose new deltas become their class's (or their own) noise; repeat.

    The model stays on its device and in its precision; ``layout`` is that of its weights, PyTorch's own as in the public code.
    Returns the noise, R x 3 x S x S, and the rounds it took; raises RuntimeError when ``max_rounds`` do not suffice.
    """
    loop = _PublicLoop(faces, model.to(memory_format=layout), settings, seed)
    part = list(range(len(faces)) if learn_on is None else learn_on)
    for number in range(settings.max_rounds):
        loop.train()
        order = torch.randperm(len(part), generator=generator(seed, "noise order", number)).tolist()
        loop.learn([part[i] for i in order])
        if loop.error(part) <= settings.stop_error:
            return loop.noise, number + 1
    raise RuntimeError("the public loop did not converge")


class _PublicLoop:
    """The photos and the noise, in main memory, and the model, on its device."""

    def __init__(self, faces: Faces, model: nn.Module, settings: NoiseSettings, seed: int) -> None:
        weight = next(model.parameters())
        self.model, self.settings, self.device = model, settings, weight.device
        self.photos = to_pixels(faces.pixels).to(weight.dtype).contiguous()
        self.labels = torch.from_numpy(faces.labels)
        self.noise = random_noise(faces, settings.form, settings.epsilon, seed=seed).to(weight.dtype)
        self.optimizer = torch.optim.SGD(
            model.parameters(), settings.learning_rate, settings.momentum, weight_decay=settings.weight_decay
        )
        self.batches = source_batches(len(faces), seed, settings.batch_size)

    def train(self) -> None:
        """M optimizer steps on noisy photos, not clipped."""
        self._freeze(False)
        for _ in range(self.settings.train_steps):
            x, y, rows = self._batch(next(self.batches))
            noisy = torch.stack([photo + self._on_device(row) for photo, row in zip(x, rows, strict=True)])
            self.optimizer.zero_grad()
            F.cross_entropy(self.model(noisy), y).backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.gradient_clip)
            self.optimizer.step()

    def learn(self, order: Sequence[int]) -> None:
        """New noise for the rows of every batch: the mean of its photos' new deltas."""
        self._freeze(True)
        for indices in self._parts(order):
            x, y, rows = self._batch(indices)
            delta = sign_steps(self.model, x, y, torch.stack([self._on_device(row) for row in rows]), self.settings)
            collected = defaultdict(list)
            for row, photos_delta in zip(rows, delta, strict=True):
                collected[row].append(photos_delta.detach().cpu())
            for row, deltas in collected.items():
                noise = self.noise[row] + (torch.stack(deltas).mean(dim=0) - self.noise[row])
                self.noise[row] = torch.clamp(noise, -self.settings.epsilon, self.settings.epsilon)

    def error(self, part: Sequence[int]) -> float:
        """The share of wrong answers on the noisy photos ``part``, clipped."""
        wrong = 0
        for indices in self._parts(part):
            x, y, rows = self._batch(indices)
            for place, row in enumerate(rows):
                x[place] += self._on_device(row)
            wrong += int((self.model(x.clamp(0, 1)).argmax(1) != y).sum())
        return wrong / len(part)

    def _batch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor, list[int]]:
        """Pixels and labels on the device, and the row of every photo: its label, read from there, or its own number."""
        x, y = self.photos[indices].to(self.device), self.labels[indices].to(self.device)
        return x, y, [label.item() for label in y] if self.settings.form == "class-wise" else list(indices)

    def _on_device(self, row: int) -> Tensor:
        """One photo's noise, by way of a canvas as large as the photo, where a patch would have its place."""
        noise = self.noise[row].numpy()
        canvas = np.zeros_like(noise)
        canvas[:] = noise
        return torch.from_numpy(canvas).to(self.device)

    def _parts(self, indices: Sequence[int]) -> Iterator[Sequence[int]]:
        size = self.settings.batch_size
        return (indices[start : start + size] for start in range(0, len(indices), size))

    def _freeze(self, frozen: bool) -> None:
        self.model.train(not frozen)
        for parameter in self.model.parameters():
            parameter.requires_grad = not frozen


def sign_steps(
    model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, noise: Tensor, settings: NoiseSettings
) -> Tensor:
    """Start inside the pixel range, step against the sign, clip the delta to the budget, T times; B x 3 x S x S."""
    delta, perturbed = noise, torch.clamp(x + noise, 0, 1)
    for _ in range(settings.pgd_steps):
        perturbed = perturbed.clone().requires_grad_(True)
        F.cross_entropy(model(perturbed), y).backward()
        assert perturbed.grad is not None
        stepped = perturbed.data - settings.step_size * perturbed.grad.sign()
        delta = torch.clamp(stepped - x, -settings.epsilon, settings.epsilon)
        perturbed = torch.clamp(x + delta, 0, 1)
    return delta


def source_batches(count: int, seed: int, batch_size: int) -> Iterator[list[int]]:
    """An endless stream of shuffled passes without their incomplete last batch: our orders."""
    number = 0
    while True:
        order = torch.randperm(count, generator=generator(seed, "source order", number)).tolist()
        yield from (order[i : i + batch_size] for i in range(0, count - batch_size + 1, batch_size))
        number += 1
