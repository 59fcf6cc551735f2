"""One round of Algorithm 1 against the bare passes it needs: M optimizer steps, one PGD pass, one error pass.

The bare side runs the same network on random float tensors that are ready in memory: no decoding to floats, no noise to
look up or update, no clipping of pixels. Then, where the processor computes in bf16, fp32 against it, with the effect of
both on a small problem.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.measure import REPETITIONS, Comparison, compare, take_turns
from faceguard.device import fastest_precision, generator, make_fabric
from faceguard.errors import NoiseDidNotConverge
from faceguard.identities import Faces
from faceguard.noise import NoiseSettings, Round, generate
from faceguard.readers.synthetic import synthetic_faces
from faceguard.recognizer import Recognizer, build

OVERHEAD = 1.10  # limit: ours over the bare passes
IDENTITIES = 100


@dataclass(frozen=True, kw_only=True)
class Network:
    """A source model and how much of a round is measured; ``photos`` is a multiple of the batch."""

    width: int
    train_steps: int
    photos: int
    size: int = 112
    batch_size: int = 32


NETWORKS = {
    "cpu": (Network(width=64, train_steps=6, photos=96), Network(width=16, train_steps=30, photos=480)),
    "cuda": (  # the paper's 30 steps, in batches that keep a GPU busy
        Network(width=64, train_steps=30, photos=3840, batch_size=128),
        Network(width=16, train_steps=30, photos=7680, batch_size=256),
    ),
}


def run(
    networks: Sequence[Network] | None = None, *, repetitions: int = REPETITIONS, seeds: Sequence[int] = (0, 1, 2)
) -> list[Comparison]:
    """For each network: fp32 over the bare passes, and bf16 over fp32 with both precisions' effect for ``seeds``."""
    precisions = ("fp32", "bf16") if fastest_precision() == "bf16" else ("fp32",)
    effects = {precision: [effect(precision, seed) for seed in seeds] for precision in precisions}
    found = []
    for network in networks or NETWORKS[make_fabric().device.type]:
        sides = (bare_round(network), *(one_round(network, precision) for precision in precisions))
        bare, fp32, *bf16 = take_turns(sides, repetitions)
        name = f"resnet-18 width {network.width}"
        settings = {**vars(network), "identities": IDENTITIES}
        limit = bf16_limit(network.width)
        found.append(compare(f"generation, {name}", fp32, bare, limit=OVERHEAD, settings=settings))
        found += [
            compare(f"generation in bf16 over fp32, {name}", one, fp32, limit=limit, settings=settings, notes=effects)
            for one in bf16
        ]
    return found


def bf16_limit(width: int) -> float | None:
    """1.6 times faster than fp32 for wide networks; narrow ones are only reported: even their bare passes gain less."""
    return 1 / 1.6 if width >= 64 else None


def one_round(network: Network, precision: str) -> Callable[[], None]:
    """A whole call of ``generate`` that ends after its first round, on random photos."""
    faces = random_faces(network.photos, network.size)
    settings = NoiseSettings(
        train_steps=network.train_steps, batch_size=network.batch_size, max_rounds=1, stop_error=1e-9
    )
    source = _source(network)
    start = deepcopy(source.state_dict())

    def ours() -> None:
        source.load_state_dict(
            start
        )  # not a network that has learnt these photos by heart: its gradients become denormal
        try:
            generate(make_fabric(precision=precision), faces, source, settings, seed=0)
        except NoiseDidNotConverge:
            return  # expected: the only round is over, and this stop error is out of reach

    return ours


def bare_round(network: Network) -> Callable[[], None]:
    """The same forward and backward passes, with clipping of gradients and optimizer steps, on ready tensors."""
    device = make_fabric().device
    model = _source(network).to(device).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.025, momentum=0.9, weight_decay=5e-4)
    batches = random_batches(network.photos, network.batch_size, network.size, device)
    start = deepcopy(model.state_dict())

    def bare() -> None:
        model.load_state_dict(start)
        model.train().requires_grad_(True)
        for x, y in islice(cycle(batches), network.train_steps):
            bare_step(model, optimizer, x, y)
        model.eval().requires_grad_(False)
        for x, y in batches:
            noisy = x.detach().requires_grad_()
            torch.autograd.grad(F.cross_entropy(model(noisy), y), noisy)
        with torch.inference_mode():
            for x, _ in batches:
                model(x)

    return bare


def bare_step(model: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor, y: Tensor) -> None:
    """One optimizer step as anybody would write it."""
    optimizer.zero_grad(set_to_none=True)
    F.cross_entropy(model(x), y).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()


def random_faces(photos: int, size: int, identities: int = IDENTITIES) -> Faces:
    """Uniform levels: what a photo shows changes nothing about the time it takes."""
    pixels = np.random.default_rng(0).integers(0, 256, (photos, size, size, 3), dtype=np.uint8)
    names, keys = (tuple(str(i) for i in range(count)) for count in (identities, photos))
    return Faces(pixels=pixels, labels=np.arange(photos) % identities, names=names, keys=keys)


def random_batches(
    photos: int, batch_size: int, size: int, device: torch.device | str = "cpu"
) -> list[tuple[Tensor, Tensor]]:
    """Uniform pixels, B x 3 x size x size in channels_last, with labels, on ``device``."""
    random = generator(0, "bare batches")
    x = torch.rand(photos, 3, size, size, generator=random).contiguous(memory_format=torch.channels_last)
    y = torch.randint(IDENTITIES, (photos,), generator=random)
    return list(zip(x.to(device).split(batch_size), y.to(device).split(batch_size), strict=True))


def effect(precision: str, seed: int) -> dict[str, float]:
    """Rounds until the stop error 0.1, and the error then, on a small set of synthetic faces."""
    faces = synthetic_faces(10, 12, size=32, seed=seed)
    source = build("resnet-18", identities=10, size=32, width=8, seed=seed)
    rounds: list[Round] = []
    fabric = make_fabric(precision=precision)
    generate(fabric, faces, source, NoiseSettings(train_steps=10), seed=seed, progress=rounds.append)
    return {"rounds": rounds[-1].number, "error": rounds[-1].error}


def _source(network: Network) -> Recognizer:
    return build("resnet-18", identities=IDENTITIES, size=network.size, width=network.width, seed=0)
