"""Algorithm 1 equals, bit for bit, a plain restatement of the authors' loop, photo by photo."""

from dataclasses import replace

import pytest
import torch

from benchmarks.public_loop import public_loop
from tests.small import QUICK, learn, tiny_faces, tiny_net


@pytest.mark.parametrize(
    ("form", "steps", "part"),
    [("class-wise", 1, 1), ("class-wise", 3, 2), ("sample-wise", 1, 1), ("sample-wise", 4, 1)],
)
@pytest.mark.parametrize("clip", [5.0, 0.5])  # the smaller one is met: this network's gradients are below the paper's
def test_the_noise_equals_the_authors_loop_bit_for_bit(form, steps, part, clip):
    faces = tiny_faces(photos=7)
    learn_on = list(range(0, len(faces), part))
    chosen = replace(
        QUICK, form=form, pgd_steps=steps, train_steps=2, stop_error=0.01, learning_rate=0.05, max_rounds=40
    )
    chosen = replace(chosen, gradient_clip=clip)
    rounds = []
    noise = learn(faces, chosen, learn_on=torch.tensor(learn_on), progress=rounds.append)
    expected, needed = public_loop(faces, tiny_net(), chosen, seed=7, learn_on=learn_on, layout=torch.channels_last)
    assert needed == len(rounds) > 1  # more than one round, so that both loops' states matter
    assert torch.equal(noise, expected)


def test_the_layout_of_the_weights_changes_only_how_sums_are_rounded():
    faces = tiny_faces(photos=7)
    chosen = replace(QUICK, pgd_steps=2, stop_error=0.01, learning_rate=0.05, max_rounds=40)
    noises = [
        public_loop(faces, tiny_net().double(), chosen, seed=7, layout=layout)[0]
        for layout in (torch.contiguous_format, torch.channels_last)
    ]
    torch.testing.assert_close(*noises, rtol=0, atol=1e-9)
    assert noises[0].dtype == torch.float64
