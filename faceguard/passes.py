"""In which order Algorithm 1 meets the photos, in batches, and which row of noise each of them uses.

``rows[i]`` is the row of photo i: its label for class-wise noise, i itself for sample-wise noise. N photos, R rows, B batch.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from faceguard.device import generator
from faceguard.gather import Numbers, batches, send
from faceguard.identities import Faces
from faceguard.noise_settings import NoiseSettings

Batch = tuple[Numbers, Numbers]  # its photos, and the rows that they use


class Passes:
    """The batches of every pass; each draws an order of its own from the seed, so that any can be met again."""

    def __init__(
        self, faces: Faces, settings: NoiseSettings, learn_on: Tensor | None, *, seed: int, device: torch.device
    ) -> None:
        """``learn_on`` are the photos the noise is learnt on, all when it is left out; ``device`` is the network's."""
        each = torch.arange(len(faces))
        self.settings, self.seed, self.device = settings, seed, device
        self.rows = torch.from_numpy(faces.labels) if settings.form == "class-wise" else each
        self.count = len(faces.names) if settings.form == "class-wise" else len(faces)  # R
        self.learn_on = each if learn_on is None else learn_on
        self._source: tuple[int, list[Batch]] = -1, []  # the pass that the source model is in: its number, its batches

    def source(self, step: int) -> Batch:
        """Batch ``step`` of an endless shuffled stream of all photos; an incomplete last batch of a pass is left out."""
        size = min(self.settings.batch_size, len(self.rows))
        number, position = divmod(step, len(self.rows) // size)
        if number != self._source[0]:
            order = torch.randperm(len(self.rows), generator=generator(self.seed, "source order", number))
            self._source = number, self._batches(order, self.rows[order])
        return self._source[1][position]

    def noise(self, number: int) -> Iterator[Batch]:
        """The photos to learn on, shuffled, for round ``number``; targeted rows are drawn when a batch is asked for."""
        order = torch.randperm(len(self.learn_on), generator=generator(self.seed, "noise order", number))
        for batch in self._batches(self.learn_on[order], self.rows[self.learn_on[order]]):
            yield self._targeted(batch) if self.settings.targeted else batch

    def _targeted(self, batch: Batch) -> Batch:
        """The same photos with rows drawn from the global generator, each eight times: their mean suits many photos."""
        photos, count = batch[0], len(batch[0].here)
        few = torch.randperm(self.count)[: max(1, count // 8)]
        drawn = few[torch.arange(count) % len(few)]
        return photos, Numbers(drawn, send(drawn, self.device))

    def error(self) -> list[Batch]:
        """The photos to learn on, in order; targeted rows lie on other people's photos."""
        others = 1 + self.learn_on % max(1, self.count - 1)  # steps to another's row
        rows = self.rows[self.learn_on] + others * self.settings.targeted
        return self._batches(self.learn_on, rows % self.count)

    def _batches(self, photos: Tensor, rows: Tensor) -> list[Batch]:
        both = (batches(numbers, self.settings.batch_size, self.device) for numbers in (photos, rows))
        return list(zip(*both, strict=True))
