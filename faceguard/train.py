"""One training loop: for recognizers, and (through ``optimizer_step``) for Algorithm 1's source model.

Lightning Fabric chooses device, precision and processes. Every epoch draws its order, flips, crops and dropout from a
seed of its own, so on a CPU a resumed run equals an undisturbed one bit for bit.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor, nn

from faceguard.checkpoint import Checkpoint, outline
from faceguard.device import derive_seed, generator, seeded
from faceguard.errors import DataError, FaceguardError, TrainingDiverged
from faceguard.flip_and_crop import flip_and_crop
from faceguard.gather import Numbers, Table, batches, send, settle
from faceguard.identities import Faces, to_pixels


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Settings of one training: SGD with momentum; ``schedule`` lowers the rate per step (``step``: tenfold at 1/2 and 3/4)."""

    epochs: int = 50
    batch_size: int = 64
    learning_rate: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4
    gradient_clip: float = 5.0
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    flip: bool = True
    crop_share: float = 0.03  # random crop after padding by this share of the face's side; 0 switches it off

    def __post_init__(self) -> None:
        positive = ("epochs", "batch_size", "learning_rate", "gradient_clip")
        wrong = [
            f"{name} must be positive, not {getattr(self, name)}" for name in positive if not getattr(self, name) > 0
        ]
        if self.batch_size == 1:
            wrong.append("batch_size 1 gives batch normalisation nothing to average over; use 2 or more")
        if wrong:
            raise FaceguardError("These training settings cannot work: " + "; ".join(wrong) + ".")


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One finished epoch: its number from 1, mean loss and accuracy on the training batches, and what was measured."""

    number: int
    loss: float
    accuracy: float
    measured: Mapping[str, float] = field(default_factory=dict)


Loss = Callable[[Tensor, Tensor], Tensor]  # logits, B x K, and labels, B (or their shares, B x K): one number
ChangeBatch = Callable[
    [nn.Module, Tensor, Tensor, float], tuple[Tensor, Tensor]
]  # network, pixels, labels, the share of the training that lies behind: new pixels, labels


def optimizer_step(
    fabric: Fabric,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    gradient_clip: float,
    loss_of: Loss = F.cross_entropy,
) -> tuple[Tensor, Tensor]:
    """One step on pixels x (B x 3 x S x S) and labels y (B, or shares B x K); returns the loss and the logits, detached."""
    logits = model(x)
    loss = loss_of(logits, y)
    optimizer.zero_grad(set_to_none=True)
    fabric.backward(loss)
    fabric.clip_gradients(model, optimizer, max_norm=gradient_clip, error_if_nonfinite=False)
    optimizer.step()
    return loss.detach(), logits.detach()


def fit(
    fabric: Fabric,
    model: nn.Module,
    faces: Faces,
    settings: TrainSettings,
    *,
    seed: int,
    learn_on: Tensor | None = None,
    change_batch: ChangeBatch | None = None,
    loss_of: Loss = F.cross_entropy,
    measure: Callable[[nn.Module], Mapping[str, float]] | None = None,
    checkpoint: Checkpoint | None = None,
    progress: Callable[[Epoch], None] | None = None,
) -> list[Epoch]:
    """Train ``model`` in place on ``faces`` and return the learning curve, one Epoch each.

    ``learn_on`` (photo indices) leaves out all other photos, without a copy of any. ``change_batch`` is what a countermeasure
    does to every batch after the flips and crops, under autocast; it may return shares of labels, B x K. ``measure`` runs after
    every epoch on the model in eval mode. ``checkpoint`` is written after epochs and resumed from. Raises
    TrainingDiverged when the loss is not finite; the checkpoint then still holds a good epoch.
    """
    optimizer = torch.optim.SGD(
        model.parameters(), lr=settings.learning_rate, momentum=settings.momentum, weight_decay=settings.weight_decay
    )
    wrapped, optimizer = fabric.setup(model.to(memory_format=torch.channels_last), optimizer)
    run = _Run(
        faces=faces,
        settings=settings,
        seed=seed,
        learn_on=torch.arange(len(faces)) if learn_on is None else learn_on,
        fabric=fabric,
        model=model,
        optimizer=optimizer,
        change_batch=change_batch or (lambda _model, x, y, _done: (x, y)),
        loss_of=loss_of,
    )
    if checkpoint is not None and checkpoint.path.exists():
        run.load(checkpoint)
    for number in range(len(run.history) + 1, settings.epochs + 1):
        model.train()
        with seeded(seed, "epoch", number, fabric.global_rank):
            loss, accuracy = run.epoch(wrapped, number)
        if not (math.isfinite(loss) and _finite(model)):
            raise TrainingDiverged(
                f"The training loss became {loss}, or a weight is no longer finite, in epoch {number} at learning rate"
                f" {settings.learning_rate}; lower the learning rate, or look for damaged faces in the training set."
            )
        model.eval()
        measured = dict(measure(model)) if measure is not None and fabric.is_global_zero else {}
        run.history.append(Epoch(number=number, loss=loss, accuracy=accuracy, measured=measured))
        if checkpoint is not None and checkpoint.due and fabric.is_global_zero:
            run.save(checkpoint)
        if progress is not None and fabric.is_global_zero:
            progress(run.history[-1])
    model.eval()
    return run.history


def _finite(model: nn.Module) -> bool:
    """Whether every weight is a number; they are asked together, for each answer waits for a GPU."""
    return bool(torch.stack([weight.isfinite().all() for weight in model.state_dict().values()]).all())


@dataclass(kw_only=True)
class _Run:
    """What an interrupted training needs to go on."""

    faces: Faces
    settings: TrainSettings
    seed: int
    learn_on: Tensor
    fabric: Fabric
    model: nn.Module
    optimizer: Any
    change_batch: ChangeBatch
    loss_of: Loss
    history: list[Epoch] = field(default_factory=list)
    photos: Table = field(init=False)  # uint8, on the network's device when they fit there, so that no batch is copied
    labels: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.photos = settle(self.faces.pixels, self.fabric.device)
        self.labels = send(torch.from_numpy(self.faces.labels), self.fabric.device)

    def epoch(self, wrapped: nn.Module, number: int) -> tuple[float, float]:
        """One pass; returns the mean loss and the training accuracy over all processes."""
        augment = flip_and_crop(self.faces.size, flip=self.settings.flip, crop_share=self.settings.crop_share)
        totals, count = torch.zeros(2, dtype=torch.float64, device=self.fabric.device), 0
        shares = list(self._batches(number))
        if not shares:
            raise DataError(self._too_few())
        for step, batch in enumerate(shares):
            done = (number - 1 + step / len(shares)) / self.settings.epochs
            self._set_rate(done)
            x, label = augment(to_pixels(batch.of(self.photos))), batch.of(self.labels)
            with self.fabric.autocast():  # the bare network: a countermeasure may ask for gradients, Fabric forbids it
                x, y = self.change_batch(self.model, x, label, done)
            loss, logits = optimizer_step(
                self.fabric, wrapped, self.optimizer, x, y, self.settings.gradient_clip, self.loss_of
            )
            totals += torch.stack([loss.double() * len(y), (logits.argmax(1) == label).sum()])
            count += len(y)
        sums = torch.cat([totals, totals.new_full((1,), count)])  # read once: nothing in the loop waits for a GPU
        loss_sum, correct, everywhere = cast(Tensor, self.fabric.all_reduce(sums, reduce_op="sum")).tolist()
        return loss_sum / everywhere, correct / everywhere

    def _batches(self, number: int) -> Iterator[Numbers]:
        """This process's share of every batch; all processes draw the same order. A last batch of one is left out."""
        order = torch.randperm(len(self.learn_on), generator=generator(self.seed, "order", number))
        world, rank = self.fabric.world_size, self.fabric.global_rank
        for batch in batches(self.learn_on[order], self.settings.batch_size, self.fabric.device):
            if (count := len(batch.here)) >= 2 * world:
                yield Numbers(*(numbers[: count // world * world][rank::world] for numbers in batch))

    def _too_few(self) -> str:
        size, world = self.settings.batch_size, self.fabric.world_size
        what = f"Batches of {size}" if size < 2 * world else f"{len(self.learn_on)} faces"
        return f"{what} are too few to train on with {world} process(es); every process needs at least two."

    def _set_rate(self, progress: float) -> None:
        factor = {
            "cosine": (1 + math.cos(math.pi * progress)) / 2,
            "step": 0.1 ** ((progress >= 0.5) + (progress >= 0.75)),
            "constant": 1.0,
        }[self.settings.schedule]
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * factor

    @cached_property
    def _fingerprint(self) -> int:
        """What a checkpoint must agree with, every photo included; of half a million faces only after the first epoch."""
        whole = torch.equal(self.learn_on, torch.arange(len(self.faces)))
        how = [self.fabric._precision.precision, *([] if whole else [repr(self.learn_on.tolist())])]
        return derive_seed(self.seed, repr(asdict(self.settings)), self.faces.digest(), outline(self.model), *how)

    def save(self, checkpoint: Checkpoint) -> None:
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        history = [asdict(epoch) for epoch in self.history]
        checkpoint.save(state | {"history": history, "fingerprint": self._fingerprint})

    def load(self, checkpoint: Checkpoint) -> None:
        state = checkpoint.load(self._fingerprint)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.history = [Epoch(**epoch) for epoch in state["history"]]
