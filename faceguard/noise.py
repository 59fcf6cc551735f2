"""Error-minimizing noise: Algorithm 1 of Huang et al. (ICLR 2021), for identity-wise and sample-wise noise alike.

    min over theta   E [ min over delta   L(f_theta(x + delta), y) ]      with |delta| <= epsilon          (eq. 2)
    delta <- clip_eps(delta - alpha * sign(grad_x L(f_theta(x + delta), y)))                                (eq. 3)

Targeted noise solves the inner problem alone, for a theta that knows faces, with label k on photos of anybody (adr/0009).

A noise tensor has R rows, and ``rows[i]`` names the row that photo i uses: its label for class-wise noise, i itself
for sample-wise noise. Each row becomes the mean of its photos' new deltas; a lone photo's mean is itself.

N photos, R rows, B batch, S x S pixels; deltas and noise are float32 in [-epsilon, epsilon] on the pixel range [0, 1].
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor, nn

from faceguard.device import seeded
from faceguard.errors import FaceguardError, NoiseDidNotConverge, TrainingDiverged
from faceguard.gather import Numbers
from faceguard.identities import Faces
from faceguard.noise_run import NoiseRun, Solve, random_noise
from faceguard.noise_settings import Form, NoiseSettings, Objective
from faceguard.noise_store import Rows
from faceguard.printable import counted
from faceguard.smooth import pgd_on_cells, smooth
from faceguard.train import optimizer_step

__all__ = ["Form", "NoiseSettings", "Objective", "Round", "Solve", "generate", "pgd", "random_noise", "update_rows"]


@dataclass(frozen=True, kw_only=True)
class Round:
    """One finished round: its number from 1, and the source model's error on the protected photos, in [0, 1]."""

    number: int
    error: float


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
    # before + (mean - before): every noise that ships or is kept was rounded so
    noise.index_copy_(0, where, mean.sub_(before).add_(before).clamp_(-epsilon, epsilon))


def train_source(run: NoiseRun) -> None:
    """Equation 2's outer problem: M optimizer steps of the source model on x + delta."""
    run.source.train().requires_grad_(True)
    with seeded(run.seed, "source", run.rounds):
        for _ in range(run.settings.train_steps):
            x, y, delta = run.batch(run.passes.source(run.steps))
            noisy = run.augment(run.noisy(x, delta))
            optimizer_step(run.fabric, run.model, run.optimizer, noisy, y, run.settings.gradient_clip)
            run.steps += 1


def learn_noise(run: NoiseRun) -> None:
    """The inner problem: equation 3, once over the photos; weights and batch-norm statistics stay untouched."""
    run.source.eval().requires_grad_(False)
    with seeded(run.seed, "noise", run.rounds), run.fabric.autocast():
        for photos, rows in run.passes.noise(run.rounds):
            x, y, delta = run.batch((photos, rows))
            delta = run.solve(lambda noisy: run.source(run.augment(noisy)), x, y, delta, run.settings)
            update_rows(run.noise, rows, delta.movedim(1, -1), run.settings.epsilon)


@torch.inference_mode()
def source_error(run: NoiseRun) -> float:
    """The source model's error on the photos as protected so far, in [0, 1]; targeted rows lie on other people's."""
    counts = torch.zeros(2, dtype=torch.long, device=run.labels.device)  # wrong, not finite: read once, at the end
    with seeded(run.seed, "error", run.rounds):
        for batch in run.passes.error():
            x, y, delta = run.batch(batch)
            logits = run.model(run.noisy(x, delta).clamp_(0, 1))
            counts += torch.stack([(logits.argmax(1) != y).sum(), (~logits.isfinite()).sum()])
    wrong, broken = counts.tolist()
    if broken:
        where = f"round {run.rounds + 1} at learning rate {run.settings.learning_rate}"
        raise TrainingDiverged(f"The source model's outputs are not finite after {where}; lower the learning rate.")
    return float(wrong / len(run.passes.learn_on))


def rounds(run: NoiseRun) -> Iterator[Round]:
    """Algorithm 1: both problems in turn, until the source model's error reaches lambda.

    Raises NoiseDidNotConverge after ``max_rounds`` unless the noise is targeted.
    """
    settings = run.settings
    while run.rounds < settings.max_rounds:
        if settings.learns_source:
            train_source(run)
        learn_noise(run)
        error = source_error(run)
        run.rounds += 1
        yield Round(number=run.rounds, error=error)
        if settings.reached(error):
            return
    if not settings.targeted:
        raise NoiseDidNotConverge(
            f"After {counted(settings.max_rounds, 'round')} the stop error {settings.stop_error} has not been reached;"
            " allow more rounds, more training steps per round, or a larger epsilon."
        )


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
    """Learn noise for ``faces`` together with ``source``, untrained (or trained, for error-maximizing and targeted noise).

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
    run = NoiseRun(
        fabric,
        faces,
        source,
        settings,
        seed=seed,
        learn_on=learn_on,
        solve=solve,
        store=store,
        from_zero=from_zero,
    )
    if checkpoint is not None and checkpoint.exists():
        run.load(checkpoint)
    saved = time.monotonic()
    for done in rounds(run):
        if progress is not None:
            progress(done)
        due = done.number == settings.max_rounds or time.monotonic() - saved >= save_every
        if checkpoint is not None and due and not settings.reached(done.error):
            run.save(checkpoint)
            saved = time.monotonic()
    noise = run.held.cpu().movedim(-1, 1)
    return noise if store is not None else smooth(noise.contiguous(), settings.patch or faces.size)
