"""What a countermeasure in the loop costs: one epoch of ``fit`` with it over one without, on a small network and photos.

Adversarial training and UEraser pass the network several times by definition; their reference is those bare passes on
ready tensors, for UEraser on its candidates. Beside it stands, without a limit, UEraser over the network's passes alone.
Countermeasures on stored photos work once before a training and cost the loop nothing.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.generation import IDENTITIES, bare_step, random_batches, random_faces
from benchmarks.measure import REPETITIONS, Comparison, compare, take_turns
from eval.adversarial import UEraser, augmented
from eval.countermeasures import COUNTERMEASURES
from faceguard.device import make_fabric
from faceguard.recognizer import Recognizer, build
from faceguard.train import TrainSettings, fit

OVERHEAD = 1.25  # limit: the loop with a countermeasure over the loop without, or over its own bare passes
CHEAP = ("cutout", "mixup", "cutmix", "autoaugment")
CANDIDATES, STEPS = 5, 10  # UEraser's and PGD-10's
TIMED = {**COUNTERMEASURES, "ueraser": UEraser(search=1)}  # whose search goes on to the end, so that all batches ask

Passes = Callable[[nn.Module, Tensor, Tensor], None]


@dataclass(frozen=True, kw_only=True)
class Loop:
    """One epoch on ``photos`` random photos, a multiple of the batch, with a ResNet-18 of this width."""

    photos: int = 768
    batch_size: int = 128
    width: int = 16
    size: int = 32


LOOP = Loop()


def run(loop: Loop = LOOP, *, repetitions: int = REPETITIONS) -> list[Comparison]:
    """Every countermeasure of the loop; all sides that share a reference take turns with it."""
    settings = {**vars(loop), "identities": IDENTITIES}
    plain, *measured = take_turns([epoch(loop, name) for name in ("none", *CHEAP)], repetitions)
    found = [
        compare(f"training with {name}", ours, plain, limit=OVERHEAD, settings=settings)
        for name, ours in zip(CHEAP, measured, strict=True)
    ]
    for name, references in ASKING.items():
        sides = (epoch(loop, name), *(bare_epoch(loop, passes) for passes, _ in references.values()))
        ours, *bare = take_turns(sides, repetitions)
        for (what, (_, limit)), reference in zip(references.items(), bare, strict=True):
            found.append(compare(f"training with {name}, over {what}", ours, reference, limit=limit, settings=settings))
    return found


def epoch(loop: Loop, name: str) -> Callable[[], None]:
    """A whole call of ``fit`` for one epoch with the countermeasure of that name."""
    faces, model = random_faces(loop.photos, loop.size), _recognizer(loop)
    settings = TrainSettings(epochs=1, batch_size=loop.batch_size)
    start, change = deepcopy(model.state_dict()), TIMED[name].batch

    def ours() -> None:
        model.load_state_dict(start)
        fit(make_fabric(device="cpu"), model, faces, settings, seed=0, change_batch=change)

    return ours


def bare_epoch(loop: Loop, passes: Passes) -> Callable[[], None]:
    """The passes in eval mode and then an optimizer step, batch by batch."""
    model = _recognizer(loop).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    batches = random_batches(loop.photos, loop.batch_size, loop.size)
    start = deepcopy(model.state_dict())

    def bare() -> None:
        model.load_state_dict(start)
        for x, y in batches:
            passes(model.eval(), x, y)
            bare_step(model.train(), optimizer, x, y)

    return bare


def gradients(model: nn.Module, x: Tensor, y: Tensor) -> None:
    """PGD-10's passes."""
    for _ in range(STEPS):
        asked = x.detach().requires_grad_()
        torch.autograd.grad(F.cross_entropy(model(asked), y), asked)


@torch.no_grad()
def forwards(model: nn.Module, x: Tensor, _: Tensor) -> None:
    """UEraser's passes without its augmentations."""
    for _candidate in range(CANDIDATES):
        model(x)


@torch.no_grad()
def augmented_forwards(model: nn.Module, x: Tensor, _: Tensor) -> None:
    """UEraser's passes on its augmentations."""
    for _candidate in range(CANDIDATES):
        model(augmented(x))


def _recognizer(loop: Loop) -> Recognizer:
    return build("resnet-18", identities=IDENTITIES, size=loop.size, width=loop.width, seed=0)


# countermeasures that ask the network -> what the reference does -> how, and the limit of the ratio
ASKING: Mapping[str, Mapping[str, tuple[Passes, float | None]]] = {
    "ueraser": {"its bare passes": (augmented_forwards, OVERHEAD), "the network's passes": (forwards, None)},
    "adversarial-training": {"its bare passes": (gradients, OVERHEAD)},
}
