"""One epoch of ``fit`` with flip and crop, against a bare loop of forward, backward, clip and step on ready tensors.

The tensors lie on the network's device, so that nothing is decoded, drawn, gathered or moved. Measured are two recognizers
of faces, and the paper's ResNet-18 for photos as small as CIFAR-10's.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Literal

import torch

from benchmarks.generation import IDENTITIES, OVERHEAD, bare_step, random_batches, random_faces
from benchmarks.measure import REPETITIONS, Comparison, compare, take_turns
from eval.networks import build_network
from faceguard.device import make_fabric
from faceguard.recognizer import Recognizer, build
from faceguard.train import TrainSettings, fit


@dataclass(frozen=True, kw_only=True)
class Training:
    """A network and how many photos an epoch is measured on, a multiple of the batch; ``width`` is resnet-18's."""

    model: str
    photos: int
    batch_size: int
    width: int = 64
    size: int = 112
    kind: Literal["recognizer", "classifier"] = "recognizer"

    def network(self) -> Recognizer:
        """The network, untrained."""
        if self.kind == "classifier":
            return build_network(self.model, classes=IDENTITIES, size=self.size, width=self.width, seed=0)
        return build(self.model, identities=IDENTITIES, size=self.size, width=self.width, seed=0)


TRAININGS = {  # the classifier is narrow where the paper's would take minutes
    "cpu": (
        Training(model="resnet-18", photos=192, batch_size=64),
        Training(model="inception-resnet-v1", photos=128, batch_size=32),
        Training(model="resnet-18", photos=1024, batch_size=128, width=16, size=32, kind="classifier"),
    ),
    "cuda": (
        Training(model="resnet-18", photos=7680, batch_size=128),
        Training(model="inception-resnet-v1", photos=7680, batch_size=128),
        Training(model="resnet-18", photos=10240, batch_size=128, size=32, kind="classifier"),
    ),
}
LIMITS = {"recognizer": OVERHEAD, "classifier": 1 / 0.9}


def run(trainings: Sequence[Training] | None = None, *, repetitions: int = REPETITIONS) -> list[Comparison]:
    """``fit`` over the bare loop, for each network."""
    found = []
    for training in trainings or TRAININGS[make_fabric().device.type]:
        ours, bare = take_turns((one_epoch(training), bare_epoch(training)), repetitions)
        settings = {**vars(training), "identities": IDENTITIES}
        name = f"training, {training.model}" + (f", {training.size} px" if training.kind == "classifier" else "")
        found.append(compare(name, ours, bare, limit=LIMITS[training.kind], settings=settings))
    return found


def one_epoch(training: Training) -> Callable[[], object]:
    """A whole call of ``fit`` for one epoch, on random photos."""
    faces = random_faces(training.photos, training.size)
    model = training.network()
    settings = TrainSettings(epochs=1, batch_size=training.batch_size)
    start = deepcopy(model.state_dict())

    def ours() -> None:
        model.load_state_dict(start)
        fit(make_fabric(), model, faces, settings, seed=0)

    return ours


def bare_epoch(training: Training) -> Callable[[], None]:
    """The same number of optimizer steps on the same batch size."""
    device = make_fabric().device
    model = training.network().to(device).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    batches = random_batches(training.photos, training.batch_size, training.size, device)
    start = deepcopy(model.state_dict())

    def bare() -> None:
        model.load_state_dict(start)
        for x, y in batches:
            bare_step(model, optimizer, x, y)

    return bare
