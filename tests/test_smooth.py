"""Noise of few cells: the interpolation, the step on the cells, and Algorithm 1 with them."""

from dataclasses import replace

import pytest
import torch
from small import QUICK, learn, tiny_faces

from faceguard.errors import FaceguardError
from faceguard.noise import NoiseSettings, pgd, random_noise
from faceguard.smooth import pgd_on_cells, place, smooth

EPSILON = 16 / 255


def cells(count=2, side=4, seed=0):
    return (2 * torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed)) - 1) * EPSILON


def test_as_many_cells_as_pixels_are_the_noise_itself():
    noise = cells(side=8)
    assert smooth(noise, 8) is noise


def test_equal_cells_give_flat_noise_and_none_leaves_the_bound_of_the_cells():
    assert torch.allclose(smooth(torch.full((1, 3, 4, 4), 0.05), 16), torch.tensor(0.05))
    corners = EPSILON * torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).expand(1, 3, 2, 2)
    assert smooth(corners, 16).abs().max() <= EPSILON * (1 + 1e-6)


def test_between_the_centres_of_cells_noise_rises_in_a_line():
    ramp = torch.tensor([0.0, 1.0]).expand(1, 3, 2, 2)
    line = torch.tensor([0, 0.25, 0.75, 1])
    assert torch.allclose(smooth(ramp, 4), line.expand(1, 3, 4, 4))
    assert torch.allclose(smooth(ramp.mT, 4), line[:, None].expand(1, 3, 4, 4))


@pytest.mark.parametrize(("objective", "sign"), [("error-minimizing", 1), ("error-maximizing", -1)])
def test_on_a_linear_loss_the_cells_reach_the_corner_of_their_box(objective, sign):
    """Logits (0, -w.x) and label 1: the loss falls along -w, so every cell ends where its share of w is smallest."""
    weight = smooth(torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(1)), 16) / 100

    def model(x):
        score = (x * weight).flatten(1).sum(1)
        return torch.stack([torch.zeros_like(score), -score], dim=1)

    start = torch.zeros(1, 3, 4, 4)
    drawn = start.clone().requires_grad_()
    (smooth(drawn, 16) * weight).sum().backward()
    settings = NoiseSettings(epsilon=EPSILON, step_size=EPSILON / 4, pgd_steps=5, objective=objective, cells=4)
    x, y = torch.full((1, 3, 16, 16), 0.5), torch.ones(1, dtype=torch.long)
    assert torch.allclose(pgd(model, x, y, start, settings), -sign * EPSILON * drawn.grad.sign())


def test_the_step_follows_the_gradient_through_the_interpolation():
    torch.manual_seed(0)
    x, y, start = torch.rand(2, 3, 8, 8), torch.tensor([0, 1]), cells()
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 2))
    moved = pgd_on_cells(network, x, y, start, NoiseSettings(epsilon=EPSILON, pgd_steps=1), 1e-3)
    probe = start.clone()
    for where in ((0, 0, 1, 2), (1, 2, 3, 0)):
        losses = []
        for nudge in (1e-3, -1e-3):
            probe.copy_(start)
            probe[where] += nudge
            losses.append(torch.nn.functional.cross_entropy(network(x + smooth(probe, 8)), y))
        assert (moved - start)[where].sign() == (losses[1] - losses[0]).sign()


def test_the_model_never_sees_a_pixel_outside_the_range_when_cells_are_learnt():
    seen, network = [], torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 2))
    x = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)).round()
    settings = NoiseSettings(epsilon=EPSILON, pgd_steps=2)
    pgd_on_cells(lambda p: seen.append(p.detach()) or network(p), x, torch.tensor([0, 1]), cells(), settings, 1e-3)
    assert torch.equal(seen[0], (x + smooth(cells(), 8)).clamp(0, 1))
    assert len(seen) == 2 and all(pixels.min() >= 0 and pixels.max() <= 1 for pixels in seen)


def test_algorithm_1_learns_cells_and_gives_rows_of_the_faces_size_within_the_budget():
    settings = replace(QUICK, cells=4)
    noise = learn(tiny_faces(), settings)
    assert noise.shape == (3, 3, 8, 8)
    assert noise.abs().max() <= settings.epsilon
    again = torch.nn.functional.interpolate(noise, size=4, mode="area")
    assert (smooth(again, 8) - noise).abs().mean() < 0.35 * noise.abs().mean()  # no detail finer than the cells


def test_random_noise_has_as_many_cells_as_are_asked_for():
    assert random_noise(tiny_faces(), "class-wise", EPSILON, seed=0, cells=4).shape == (3, 3, 4, 4)


def test_a_patch_lies_whole_at_a_place_of_each_photos_own_and_its_gradient_comes_back():
    patches = cells(count=40).requires_grad_()
    torch.manual_seed(0)
    noise = place(patches, 9)
    corners = set()
    for patch, photo in zip(patches.detach(), noise.detach(), strict=True):
        rows, columns = (photo.abs().amax(axes).nonzero() for axes in ((0, 2), (0, 1)))
        top, left = int(rows[0]), int(columns[0])
        corners.add((top, left))
        assert torch.equal(photo[:, top : top + 4, left : left + 4], patch)
        assert photo.count_nonzero() == patch.count_nonzero()
    assert {top for top, _ in corners} == {left for _, left in corners} == set(range(6))
    assert len(corners) > 18  # of 36: the two are drawn apart
    noise.sum().backward()
    assert torch.equal(patches.grad, torch.ones_like(patches))


def test_noise_as_a_patch_is_learnt_and_keeps_its_size_and_budget():
    settings = replace(QUICK, patch=5)
    noise = learn(tiny_faces(), settings)
    again = learn(tiny_faces(), settings)
    assert noise.shape[-2:] == (5, 5)
    assert float(noise.abs().max()) <= settings.epsilon * (1 + 1e-6)
    assert torch.equal(noise, again)
    with pytest.raises(FaceguardError, match="patch=12 does not fit faces of 8 pixels"):
        learn(tiny_faces(), replace(QUICK, patch=12))
