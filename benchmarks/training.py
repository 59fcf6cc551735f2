"""One epoch of ``fit`` with flip and crop, against a bare loop of forward, backward, clip and step on ready tensors."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch

from benchmarks.generation import IDENTITIES, OVERHEAD, bare_step, random_batches, random_faces
from benchmarks.measure import REPETITIONS, Comparison, compare, take_turns
from faceguard.device import make_fabric
from faceguard.recognizer import Recognizer, build
from faceguard.train import TrainSettings, fit


@dataclass(frozen=True, kw_only=True)
class Training:
    """A recognizer and how many photos an epoch is measured on, a multiple of the batch; ``width`` is resnet-18's."""

    model: str
    photos: int
    batch_size: int
    width: int = 64
    size: int = 112


TRAININGS = (
    Training(model="resnet-18", photos=192, batch_size=64),
    Training(model="inception-resnet-v1", photos=128, batch_size=32),
)


def run(trainings: Sequence[Training] = TRAININGS, *, repetitions: int = REPETITIONS) -> list[Comparison]:
    """``fit`` over the bare loop, for each recognizer."""
    found = []
    for training in trainings:
        ours, bare = take_turns((one_epoch(training), bare_epoch(training)), repetitions)
        settings = {**vars(training), "identities": IDENTITIES}
        found.append(compare(f"training, {training.model}", ours, bare, limit=OVERHEAD, settings=settings))
    return found


def one_epoch(training: Training) -> Callable[[], object]:
    """A whole call of ``fit`` for one epoch, on random photos."""
    faces = random_faces(training.photos, training.size)
    model = _recognizer(training)
    settings = TrainSettings(epochs=1, batch_size=training.batch_size)
    start = deepcopy(model.state_dict())

    def ours() -> None:
        model.load_state_dict(start)
        fit(make_fabric(device="cpu"), model, faces, settings, seed=0)

    return ours


def bare_epoch(training: Training) -> Callable[[], None]:
    """The same number of optimizer steps on the same batch size."""
    model = _recognizer(training).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    batches = random_batches(training.photos, training.batch_size, training.size)

    start = deepcopy(model.state_dict())

    def bare() -> None:
        model.load_state_dict(start)
        for x, y in batches:
            bare_step(model, optimizer, x, y)

    return bare


def _recognizer(training: Training) -> Recognizer:
    return build(training.model, identities=IDENTITIES, size=training.size, width=training.width, seed=0)
