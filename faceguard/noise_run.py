"""What one run of Algorithm 1 holds: photos, rows, the source model and its optimizer; kept in a file and resumed.

The algorithm itself is ``faceguard.noise``. N photos, R rows, B batch, S x S pixels; noise in [-epsilon, epsilon].
"""

from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from faceguard.checkpoint import outline, resume_checkpoint, save_checkpoint
from faceguard.device import derive_seed, generator
from faceguard.flip_and_crop import flip_and_crop
from faceguard.gather import send, settle
from faceguard.identities import Faces, to_pixels
from faceguard.noise_settings import Form, NoiseSettings
from faceguard.noise_store import Rows, store_rows
from faceguard.passes import Batch, Passes

Solve = Callable[[Callable[[Tensor], Tensor], Tensor, Tensor, Tensor, NoiseSettings], Tensor]  # as ``noise.pgd``, eq. 3


class NoiseRun:
    """The data, the networks and the noise of one generation; ``rounds`` and ``steps`` count what is done.

    ``noise`` is how the rows are read and written, ``held`` the tensor that holds them, R x S x S x 3 (or cells, or a
    patch): laid out as the photos are, since to gather, add and store in two layouts takes several times as long.
    """

    def __init__(
        self,
        fabric: Fabric,
        faces: Faces,
        source: nn.Module,
        settings: NoiseSettings,
        *,
        seed: int,
        learn_on: Tensor | None,
        solve: Solve,
        store: Path | None,
        from_zero: bool,
    ) -> None:
        self.fabric, self.source, self.settings, self.seed, self.solve = fabric, source, settings, seed, solve
        self.widest = 0.0 if from_zero else settings.epsilon  # noise that rows start with
        self.passes = Passes(faces, settings, learn_on, seed=seed, device=fabric.device)
        self.faces = faces
        self.noise, self.held = self._start(faces, store)
        self.labels = send(torch.from_numpy(faces.labels), fabric.device)
        self.photos = settle(faces.pixels, fabric.device)  # after the noise, which has to fit
        self.rounds = self.steps = 0
        flips_and_crops = flip_and_crop(faces.size, flip=settings.flip, crop_share=settings.crop_share)
        publish = settings.publication
        self.augment = flips_and_crops if publish is None else lambda pixels: flips_and_crops(publish(pixels))
        rate, decay = settings.learning_rate, settings.weight_decay
        optimizer = torch.optim.SGD(source.parameters(), rate, settings.momentum, weight_decay=decay)
        self.model, self.optimizer = fabric.setup(source.to(memory_format=torch.channels_last), optimizer)

    def _start(self, faces: Faces, store: Path | None) -> tuple[Rows, Tensor]:
        form, epsilon, side = self.settings.form, self.settings.epsilon, self.settings.cells or self.settings.patch
        if store is None:
            noise = random_noise(faces, form, self.widest, seed=self.seed, cells=side)
            held = self.fabric.to_device(noise).movedim(1, -1).contiguous()
            return held, held
        draw = generator(self.seed, "random noise")
        count, size = self.passes.count, side or faces.size
        stored = store_rows(store, count, epsilon, lambda rows: _uniform(rows, size, self.widest, draw))
        stored.reader = self.fabric.device
        return stored, stored.levels

    def batch(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Pixels x (B x 3 x S x S), wanted labels y (B) and deltas of a batch: copies, which the caller may change."""
        photos, rows = batch
        labels = rows.there if self.settings.targeted else photos.of(self.labels)
        delta = self.noise.index_select(0, rows.beside(self.noise)).movedim(-1, 1)
        return to_pixels(photos.of(self.photos)), labels, delta

    def noisy(self, x: Tensor, delta: Tensor) -> Tensor:
        """x + delta, in place of x, not clipped; a patch at a random place, cells interpolated."""
        return x.add_(self.settings.spread(delta, x.shape[-1]))

    @cached_property
    def _fingerprint(self) -> int:
        settings = asdict(self.settings) | {"max_rounds": None}  # more rounds may be allowed later
        solver = f"{self.solve.__module__}.{getattr(self.solve, '__qualname__', type(self.solve).__qualname__)}"
        how = solver, self.fabric._precision.precision, str(self.held.dtype), repr(self.passes.learn_on.tolist())
        start = [] if self.widest else ["from zero"]
        return derive_seed(self.seed, repr(settings), self.faces.digest(), outline(self.source), *how, *start)

    def save(self, path: Path) -> None:
        """All that the next round needs."""
        state = {"source": self.source.state_dict(), "optimizer": self.optimizer.state_dict(), "noise": self.held}
        save_checkpoint(path, state | {"rounds": self.rounds, "steps": self.steps, "fingerprint": self._fingerprint})

    def load(self, path: Path) -> None:
        """Go on from there; raises RunError for what another run, or a damaged file, left."""
        state = resume_checkpoint(path, self._fingerprint, otherwise="delete it or repeat that command")
        self.source.load_state_dict(state["source"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.held.copy_(state["noise"])
        self.rounds, self.steps = state["rounds"], state["steps"]


def random_noise(faces: Faces, form: Form, epsilon: float, *, seed: int, cells: int | None = None) -> Tensor:
    """Uniform noise in [-epsilon, epsilon] of the same form: Algorithm 1's start, and every experiment's control."""
    count = len(faces.names) if form == "class-wise" else len(faces)
    return _uniform(count, cells or faces.size, epsilon, generator(seed, "random noise"))


def _uniform(count: int, side: int, epsilon: float, draw: torch.Generator) -> Tensor:
    return (2 * torch.rand(count, 3, side, side, generator=draw) - 1) * epsilon
