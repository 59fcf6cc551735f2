"""Error-minimizing noise: Algorithm 1 of Huang et al. (ICLR 2021), for identity-wise and sample-wise noise alike.

    min over theta   E [ min over delta   L(f_theta(x + delta), y) ]      with |delta| <= epsilon          (eq. 2)
    delta <- clip_eps(delta - alpha * sign(grad_x L(f_theta(x + delta), y)))                                (eq. 3)

Targeted noise solves the inner problem alone, for a theta that knows faces, with label k on photos of anybody (adr/0009).

A noise tensor has R rows, and ``rows[i]`` names the row that photo i uses: its label for class-wise noise, i itself
for sample-wise noise. Each row becomes the mean of its photos' new deltas; a lone photo's mean is itself.

N photos, R rows, B batch, S x S pixels; deltas and noise are float32 in [-epsilon, epsilon] on the pixel range [0, 1].
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor, nn

from faceguard.checkpoint import outline, resume_checkpoint, save_checkpoint
from faceguard.device import derive_seed, generator, seeded
from faceguard.errors import FaceguardError, NoiseDidNotConverge, TrainingDiverged
from faceguard.flip_and_crop import flip_and_crop
from faceguard.gather import Numbers, send, settle
from faceguard.identities import Faces, to_pixels
from faceguard.noise_settings import Form, NoiseSettings, Objective
from faceguard.noise_store import Rows, store_rows
from faceguard.passes import Passes
from faceguard.smooth import pgd_on_cells, smooth
from faceguard.train import optimizer_step

__all__ = ["Form", "NoiseSettings", "Objective", "Round", "generate", "pgd", "random_noise", "update_rows"]


@dataclass(frozen=True, kw_only=True)
class Round:
    """One finished round: its number from 1, and the source model's error on the protected photos, in [0, 1]."""

    number: int
    error: float


Solve = Callable[[Callable[[Tensor], Tensor], Tensor, Tensor, Tensor, NoiseSettings], Tensor]  # as pgd, eq. 3


def pgd(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, delta: Tensor, settings: NoiseSettings) -> Tensor:
    """Equation 3, T times, on pixels x (B x 3 x S x S) with labels y (B); the model must be frozen and in eval mode.

    Descends for error-minimizing noise and ascends for error-maximizing noise. Returns the new delta, B x 3 x S x S; or
    B x 3 x C x C: the new cells of smooth noise, or patches.
    """
    step = settings.step_size if settings.objective == "error-minimizing" else -settings.step_size
    if delta.shape != x.shape:
        return pgd_on_cells(model, x, y, delta, settings, step)
    for _ in range(settings.pgd_steps):
        noisy = (x + delta).clamp_(0, 1).requires_grad_()
        loss = F.cross_entropy(model(noisy), y)
        (gradient,) = torch.autograd.grad(loss, noisy)
        stepped = noisy.detach().sub_(gradient.sign_(), alpha=step)
        delta = stepped.sub_(x).clamp_(-settings.epsilon, settings.epsilon)
    return delta


def update_rows(noise: Rows, rows: Numbers, delta: Tensor, epsilon: float) -> None:
    """Replace, in place, every row that this batch uses by the mean of its photos' deltas, clipped to epsilon."""
    used, mean = rows.means(delta)
    where = used.beside(noise)
    before = noise.index_select(0, where)
    noise.index_copy_(0, where, mean.sub_(before).add_(before).clamp_(-epsilon, epsilon))


def generate(
    fabric: Fabric,
    faces: Faces,
    source: nn.Module,
    settings: NoiseSettings,
    *,
    seed: int,
    learn_on: Tensor | None = None,
    solve: Solve = pgd,
    checkpoint: Path | None = None,
    store: Path | None = None,
    from_zero: bool = False,
    save_every: float = 0.0,
    progress: Callable[[Round], None] | None = None,
) -> Tensor:
    """Algorithm 1: learn noise for ``faces`` together with ``source``, untrained (or trained, for error-maximizing noise).

    ``learn_on`` (photo indices) limits the photos the noise is learnt on, as the paper's 20 %; the source model trains on all.
    ``checkpoint`` is written after a round when the last time lies ``save_every`` seconds back, and after the last one allowed,
    so that a larger limit goes on from there; it is resumed from. Delete it when the noise is saved. Rows start as uniform
    noise, or ``from_zero`` as the authors' public scripts do. Returns the noise, float32 R x 3 x S x S, or the patches. With
    ``store``, a file that is made anew, the rows live there and are returned as they are mapped: int8, in steps of
    epsilon / 127 (``faceguard.noise_store``).
    Raises NoiseDidNotConverge after ``max_rounds`` unless the noise is targeted, TrainingDiverged when the source model's
    outputs are no longer finite, and FaceguardError for cells or a patch larger than the faces.
    """
    settings.check_size(faces.size)
    if store is not None and settings.cells is not None:
        raise FaceguardError("Noise of few cells is interpolated at the end and is small; leave the store out.")
    run = _Run(fabric, faces, source, settings, seed, learn_on, solve, store, from_zero)
    if checkpoint is not None and checkpoint.exists():
        run.load(checkpoint)
    saved = time.monotonic()
    while run.rounds < settings.max_rounds:
        if settings.objective == "error-minimizing" and not settings.targeted:
            run.train_source()
        run.learn_noise()
        error = run.error()
        run.rounds += 1
        if progress is not None:
            progress(Round(number=run.rounds, error=error))
        if settings.reached(error):
            break
        due = run.rounds == settings.max_rounds or time.monotonic() - saved >= save_every
        if checkpoint is not None and due:
            run.save(checkpoint)
            saved = time.monotonic()
    else:
        if not settings.targeted:
            raise NoiseDidNotConverge(
                f"After {settings.max_rounds} rounds the stop error {settings.stop_error} has not been reached;"
                " allow more rounds, more training steps per round, or a larger epsilon."
            )
    noise = run.held.cpu().movedim(-1, 1)
    return noise if store is not None else smooth(noise.contiguous(), settings.patch or faces.size)


def random_noise(faces: Faces, form: Form, epsilon: float, *, seed: int, cells: int | None = None) -> Tensor:
    """Uniform noise in [-epsilon, epsilon] of the same form: Algorithm 1's start, and every experiment's control."""
    count = len(faces.names) if form == "class-wise" else len(faces)
    return _uniform(count, cells or faces.size, epsilon, generator(seed, "random noise"))


def _uniform(count: int, side: int, epsilon: float, draw: torch.Generator) -> Tensor:
    return (2 * torch.rand(count, 3, side, side, generator=draw) - 1) * epsilon


class _Run:
    """The data, the networks and the noise of one generation; ``rounds`` and ``steps`` count what is done."""

    def __init__(
        self,
        fabric: Fabric,
        faces: Faces,
        source: nn.Module,
        settings: NoiseSettings,
        seed: int,
        part: Tensor | None,
        solve: Solve,
        store: Path | None,
        from_zero: bool,
    ) -> None:
        self.fabric, self.source, self.settings, self.seed, self.solve = fabric, source, settings, seed, solve
        self.widest = 0.0 if from_zero else settings.epsilon  # noise that rows start with
        self.passes = Passes(faces, settings, part, seed=seed, device=fabric.device)
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
        """Random rows, R x S x S x 3: how they are read and written, and the tensor that holds them."""
        form, epsilon, side = self.settings.form, self.settings.epsilon, self.settings.cells or self.settings.patch
        if store is None:
            noise = random_noise(faces, form, self.widest, seed=self.seed, cells=side)
            # as the photos are: to gather, add and store in two layouts takes several times as long
            held = self.fabric.to_device(noise).movedim(1, -1).contiguous()
            return held, held
        draw = generator(self.seed, "random noise")
        count, size = self.passes.count, side or faces.size
        stored = store_rows(store, count, epsilon, lambda rows: _uniform(rows, size, self.widest, draw))
        stored.reader = self.fabric.device
        return stored, stored.levels

    def train_source(self) -> None:
        """M optimizer steps on x + delta."""
        self.source.train().requires_grad_(True)
        with seeded(self.seed, "source", self.rounds):
            for _ in range(self.settings.train_steps):
                x, y, delta = self._photos(*self.passes.source(self.steps))
                noisy = self.augment(x.add_(self.settings.spread(delta, x.shape[-1])))
                optimizer_step(self.fabric, self.model, self.optimizer, noisy, y, self.settings.gradient_clip)
                self.steps += 1

    def learn_noise(self) -> None:
        """One pass of equation 3 over the photos; weights and batch-norm statistics stay untouched."""
        self.source.eval().requires_grad_(False)
        with seeded(self.seed, "noise", self.rounds), self.fabric.autocast():
            for batch in self.passes.noise(self.rounds):
                photos, rows = self.passes.targeted(batch) if self.settings.targeted else batch
                x, y, delta = self._photos(photos, rows)
                delta = self.solve(lambda noisy: self.source(self.augment(noisy)), x, y, delta, self.settings)
                update_rows(self.noise, rows, delta.movedim(1, -1), self.settings.epsilon)

    @torch.inference_mode()
    def error(self) -> float:
        """The source model's error on the photos as protected so far, in [0, 1]; targeted rows lie on other people's."""
        counts = torch.zeros(2, dtype=torch.long, device=self.labels.device)  # wrong, not finite: read once, at the end
        with seeded(self.seed, "error", self.rounds):
            for batch in self.passes.error():
                x, y, delta = self._photos(*batch)
                logits = self.model(x.add_(self.settings.spread(delta, x.shape[-1])).clamp_(0, 1))
                counts += torch.stack([(logits.argmax(1) != y).sum(), (~logits.isfinite()).sum()])
        wrong, broken = counts.tolist()
        if broken:
            where = f"round {self.rounds + 1} at learning rate {self.settings.learning_rate}"
            raise TrainingDiverged(f"The source model's outputs are not finite after {where}; lower the learning rate.")
        return float(wrong / len(self.passes.learn_on))

    def _photos(self, photos: Numbers, rows: Numbers) -> tuple[Tensor, Tensor, Tensor]:
        """Pixels, wanted labels and deltas of a batch that carries ``rows``: copies, which the caller may change."""
        labels = rows.there if self.settings.targeted else photos.of(self.labels)
        delta = self.noise.index_select(0, rows.beside(self.noise)).movedim(-1, 1)
        return to_pixels(photos.of(self.photos)), labels, delta

    @cached_property
    def _fingerprint(self) -> int:
        settings = asdict(self.settings) | {"max_rounds": None}  # more rounds may be allowed later
        solver = f"{self.solve.__module__}.{getattr(self.solve, '__qualname__', type(self.solve).__qualname__)}"
        how = solver, self.fabric._precision.precision, str(self.held.dtype), repr(self.passes.learn_on.tolist())
        start = [] if self.widest else ["from zero"]
        return derive_seed(self.seed, repr(settings), self.faces.digest(), outline(self.source), *how, *start)

    def save(self, path: Path) -> None:
        state = {"source": self.source.state_dict(), "optimizer": self.optimizer.state_dict(), "noise": self.held}
        save_checkpoint(path, state | {"rounds": self.rounds, "steps": self.steps, "fingerprint": self._fingerprint})

    def load(self, path: Path) -> None:
        state = resume_checkpoint(path, self._fingerprint, otherwise="delete it or repeat that command")
        self.source.load_state_dict(state["source"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.held.copy_(state["noise"])
        self.rounds, self.steps = state["rounds"], state["steps"]
