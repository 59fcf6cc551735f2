"""Equation 3 in closed form: on a linear loss, pgd must reach the corner of the box that the gradient's sign names."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from faceguard.device import generator, make_fabric
from faceguard.noise import NoiseSettings, generate, pgd, random_noise
from tests.small import QUICK, SIZE, tiny_faces


def linear(weights):
    """Two logits w.x and -w.x: for label 0 the loss falls along sign(w) everywhere, for label 1 along -sign(w)."""
    return lambda pixels: torch.stack([(pixels * weights).sum((1, 2, 3)), -(pixels * weights).sum((1, 2, 3))], dim=1)


@pytest.fixture
def weights():
    drawn = torch.randn(3, SIZE, SIZE, generator=generator(0, "weights")) * 0.01
    return drawn + 0.001 * drawn.sign()  # no weight near zero, whose sign would be undefined


@pytest.mark.parametrize("objective", ["error-minimizing", "error-maximizing"])
def test_pgd_on_a_linear_loss_reaches_the_corner_of_the_box(weights, objective):
    """Twenty steps of eps / 10 from anywhere inside the box end in the corner that the gradient's sign names."""
    chosen = NoiseSettings(objective=objective, pgd_steps=25)
    x = torch.full((4, 3, SIZE, SIZE), 0.5)
    y = torch.tensor([0, 1, 0, 1])
    start = (2 * torch.rand(x.shape, generator=generator(0, "start")) - 1) * chosen.epsilon
    delta = pgd(linear(weights), x, y, start, chosen)
    downhill = torch.where(y == 0, 1.0, -1.0).view(-1, 1, 1, 1) * weights.sign()
    corner = chosen.epsilon * (downhill if objective == "error-minimizing" else -downhill)
    torch.testing.assert_close(delta, corner, rtol=0, atol=1e-7)
    before, after = (F.cross_entropy(linear(weights)(x + d), y) for d in (start, delta))
    assert (after < before) == (objective == "error-minimizing")


@pytest.mark.parametrize("steps", [1, 3, 7])
def test_t_steps_move_exactly_t_alpha_where_nothing_clips(weights, steps):
    chosen = NoiseSettings(epsilon=0.2, step_size=0.02, pgd_steps=steps)
    x = torch.full((2, 3, SIZE, SIZE), 0.5)
    delta = pgd(linear(weights), x, torch.zeros(2, dtype=torch.long), torch.zeros_like(x), chosen)
    torch.testing.assert_close(delta, (steps * 0.02 * weights.sign()).expand_as(x), rtol=0, atol=1e-6)


def test_delta_never_leaves_the_budget_and_the_model_never_sees_a_pixel_outside_the_range(weights):
    seen = []

    def model(pixels):
        seen.append(pixels.detach().clone())
        return linear(weights)(pixels)

    chosen = NoiseSettings(epsilon=0.3, step_size=0.25, pgd_steps=4)
    x = torch.rand(5, 3, SIZE, SIZE, generator=generator(1, "x")).round()  # black and white: the sum leaves [0, 1]
    start = (2 * torch.rand(x.shape, generator=generator(1, "start")) - 1) * 0.3
    delta = pgd(model, x, torch.tensor([0, 1, 0, 1, 0]), start, chosen)
    assert delta.abs().max() <= chosen.epsilon
    assert len(seen) == 4
    assert all(pixels.min() >= 0 and pixels.max() <= 1 for pixels in seen)
    assert torch.equal(seen[0], (x + start).clamp(0, 1))


def test_a_flip_inside_the_model_gives_the_flipped_gradient(weights):
    chosen = NoiseSettings(pgd_steps=25)
    x = torch.full((1, 3, SIZE, SIZE), 0.5)
    delta = pgd(lambda p: linear(weights)(p.flip(-1)), x, torch.tensor([0]), torch.zeros_like(x), chosen)
    torch.testing.assert_close(delta[0], chosen.epsilon * weights.sign().flip(-1), rtol=0, atol=1e-7)


class Linear(nn.Module):
    """`linear` as a network, whose weights a learning rate near zero leaves as they are."""

    def __init__(self, weights):
        super().__init__()
        self.weights = nn.Parameter(weights.clone())

    def forward(self, pixels):
        return linear(self.weights)(pixels)


def test_flips_and_crops_reach_the_image_and_its_noise_together_in_both_steps(monkeypatch, weights):
    """With an augmentation that mirrors every photo, the noise ends in the mirrored corner, through the whole algorithm."""
    import faceguard.noise_run as module

    seen = []

    def mirror(size, *, flip, crop_share):
        assert (size, flip, crop_share) == (SIZE, True, 0.5)
        return lambda pixels: seen.append(pixels.detach().clone()) or pixels.flip(-1)

    monkeypatch.setattr(module, "flip_and_crop", mirror)
    faces = replace(tiny_faces(2, 2), pixels=np.full((4, SIZE, SIZE, 3), 128, dtype=np.uint8))
    chosen = replace(
        QUICK, pgd_steps=25, train_steps=1, learning_rate=1e-30, stop_error=0.999, flip=True, crop_share=0.5
    )
    noise = generate(make_fabric(device="cpu"), faces, Linear(weights), chosen, seed=7)
    corner = chosen.epsilon * weights.sign().flip(-1)
    torch.testing.assert_close(noise, torch.stack([corner, -corner]), rtol=0, atol=1e-7)
    start = random_noise(faces, "class-wise", chosen.epsilon, seed=7)
    for photo in seen[0] - 128 / 255:  # what the source trained on: image and noise, mirrored together
        assert min((photo - row).abs().max() for row in start) < 1e-6
