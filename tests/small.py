"""What several test files share: faces, networks, settings, banks and pairs, all small enough for a tenth of a second."""

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import nn

from faceguard.bank import make_bank
from faceguard.checkpoint import Checkpoint
from faceguard.device import generator, make_fabric
from faceguard.gather import Numbers
from faceguard.identities import Faces
from faceguard.noise import NoiseSettings, generate
from faceguard.train import fit

SIZE = 8
EPSILON = 16 / 255
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


def here(rows):
    """Numbers on the CPU, as a batch of noise has them."""
    return Numbers(torch.tensor(rows), torch.tensor(rows))


def tiny_noise(rows=3, size=8, epsilon=EPSILON, *, seed=0):
    return (2 * torch.rand(rows, 3, size, size, generator=generator(seed, "noise")) - 1) * epsilon


def tiny_bank(rows=3, size=8, epsilon=EPSILON, **more):
    about = {"identities": tuple(f"person {i}" for i in range(rows)), "form": "class-wise", "seed": 5}
    return make_bank(tiny_noise(rows, size, epsilon), epsilon=epsilon, **(about | more))


def separable_faces(identities=3, photos=6, *, seed=0):
    """Random pixels around a colour of each identity's own: trivially separable."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(identities), photos)
    colours = np.eye(3)[np.arange(identities) % 3].reshape(identities, 1, 1, 3) * 150 + 50
    pixels = (colours[labels] + rng.integers(-40, 41, (len(labels), SIZE, SIZE, 3))).clip(0, 255).astype(np.uint8)
    names = tuple(f"person {i}" for i in range(identities))
    return Faces(pixels=pixels, labels=labels, names=names, keys=tuple(map(str, range(len(labels)))))


def numbered_faces(count):
    """Photo i is filled with level i, so that a model can tell which photos it is shown."""
    pixels = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, SIZE, SIZE, 3)).copy()
    return Faces(pixels=pixels, labels=np.arange(count) % 2, names=("a", "b"), keys=tuple(map(str, range(count))))


class Net(nn.Module):
    """A small network with batch norm and dropout that remembers the photos it was trained on, by their level."""

    def __init__(self, identities=3):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.conv = nn.Conv2d(3, 6, 3, stride=2, padding=1, bias=False)
            self.norm = nn.BatchNorm2d(6)
            self.head = nn.Linear(6, identities)
        self.seen = []

    def forward(self, pixels):
        if self.training:
            self.seen += (pixels[:, 0, 0, 0] * 255).round().int().tolist()
        return self.head(F.dropout(F.relu(self.norm(self.conv(pixels))), 0.1, self.training).mean((2, 3)))


def tiny_linear():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Linear(3 * SIZE**2, 3)


def train(faces, chosen, *, seed=0, model=None, precision="fp32", checkpoint=None, **more):
    model = Net(len(faces.names)) if model is None else model
    kept = checkpoint and Checkpoint(path=checkpoint)
    fabric = make_fabric(device="cpu", precision=precision)
    return model, fit(fabric, model, faces, chosen, seed=seed, checkpoint=kept, **more)


@st.composite
def scored_pairs(draw):
    """Few distinct scores among up to forty pairs, so that ties are the rule; all-equal, perfect and inverted occur."""
    genuine_scores = draw(st.lists(st.integers(-4, 4), min_size=1, max_size=20))
    impostor_scores = draw(st.lists(st.integers(-4, 4), min_size=1, max_size=20))
    shift = draw(st.sampled_from([0.0, 0.0, 20.0, -20.0]))
    scores = np.array([s / 8 + shift for s in genuine_scores] + [s / 8 for s in impostor_scores])
    genuine = np.repeat([True, False], [len(genuine_scores), len(impostor_scores)])
    order = np.array(draw(st.permutations(range(len(scores)))))
    return scores[order], genuine[order]
