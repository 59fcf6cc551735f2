"""A whole cell of the harness, against a bare loop that makes the same passes over the same number of faces.

The bare side trains for the same steps and names the held-out faces after every epoch (in batches, without gradients), as
every cell does; it neither augments, hashes, locks, keeps nor embeds.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.generation import IDENTITIES, OVERHEAD, bare_step, random_batches, random_faces
from benchmarks.measure import REPETITIONS, Comparison, compare, take_turns
from eval.cells import run_cell
from faceguard.adversary import Scratch
from faceguard.device import make_fabric
from faceguard.recognizer import build
from faceguard.train import TrainSettings


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """The cell that is measured: the small scale's ResNet-18 on few faces for a third of its epochs.

    ``photos`` is a multiple of the batch. Embedding, hashing and writing come once a cell, so fewer epochs would overstate them.
    """

    photos: int = 384
    held_out: int = 96
    epochs: int = 8
    batch_size: int = 32
    width: int = 32
    size: int = 64


def run(sweep: Sweep | None = None, *, repetitions: int = REPETITIONS) -> list[Comparison]:
    """The cell over its bare loop."""
    sweep = sweep or Sweep()
    ours, bare = take_turns((one_cell(sweep), bare_loop(sweep)), repetitions)
    settings = {**vars(sweep), "identities": IDENTITIES}
    return [compare("cell, resnet-18", ours, bare, limit=OVERHEAD, settings=settings)]


def one_cell(sweep: Sweep) -> Callable[[], None]:
    """A cell computed from nothing, on random faces, and written."""
    train, test = random_faces(sweep.photos, sweep.size), random_faces(sweep.held_out, sweep.size)
    settings = TrainSettings(epochs=sweep.epochs, batch_size=sweep.batch_size)
    adversary = Scratch(model="resnet-18", width=sweep.width, size=sweep.size, train=settings)

    def ours() -> None:
        with tempfile.TemporaryDirectory() as folder:
            run_cell(make_fabric(device="cpu"), train, test, adversary, seed=0, lfw=None, folder=Path(folder))

    return ours


def bare_loop(sweep: Sweep) -> Callable[[], None]:
    """The same steps and the same naming of held-out faces on ready tensors."""
    batches = random_batches(sweep.photos, sweep.batch_size, sweep.size)
    held_out = [x for x, _ in random_batches(sweep.held_out, sweep.held_out, sweep.size)]

    def bare() -> None:
        model = build("resnet-18", identities=IDENTITIES, size=sweep.size, width=sweep.width, seed=0)
        model = model.to(memory_format=torch.channels_last)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
        for _ in range(sweep.epochs):
            model.train()
            for x, y in batches:
                bare_step(model, optimizer, x, y)
            model.eval()
            with torch.inference_mode():
                for x in held_out:
                    model(x).argmax(1)

    return bare
