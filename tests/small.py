"""Faces, a network and settings small enough that Algorithm 1 takes a tenth of a second."""

import numpy as np
import torch
from torch import nn

from faceguard.device import make_fabric
from faceguard.identities import Faces
from faceguard.noise import NoiseSettings, generate

SIZE = 8
QUICK = NoiseSettings(train_steps=3, batch_size=8, stop_error=0.3, max_rounds=12)


def tiny_faces(identities=3, photos=6, *, seed=0):
    """Random pixels around a colour of each identity's own, so that a small network can learn them."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(identities), photos)
    colours = rng.integers(60, 196, (identities, 1, 1, 3))
    pixels = (colours[labels] + rng.integers(-60, 61, (len(labels), SIZE, SIZE, 3))).clip(0, 255).astype(np.uint8)
    names = tuple(f"person {i}" for i in range(identities))
    return Faces(pixels=pixels, labels=labels, names=names, keys=tuple(f"{i}.png" for i in range(len(labels))))


def tiny_net(identities=3, *, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.Conv2d(6, 8, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(8 * (SIZE // 2) ** 2, identities),
        )


def learn(faces, chosen, **more):
    return generate(make_fabric(device="cpu"), faces, tiny_net(len(faces.names)), chosen, seed=7, **more)


def interrupt_after(number):
    def progress(done):
        if done.number == number:
            raise KeyboardInterrupt

    return progress
