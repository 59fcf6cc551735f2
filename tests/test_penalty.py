"""Equation 5: the penalty alone shrinks noise, the loss alone is followed, and the budget holds."""

import torch

from eval.image_noise import learn
from eval.image_scales import size_of
from eval.image_study import ImageNoise
from eval.penalty import RATE, penalized
from faceguard.noise import NoiseSettings, pgd
from tests.small import tiny_faces

SETTINGS = NoiseSettings(epsilon=8 / 255, pgd_steps=5)
PHOTO, LABEL = torch.full((2, 3, 4, 4), 0.5), torch.tensor([1, 1])


def scores(right):
    """Logits that are zero for the other label."""
    return torch.stack([torch.zeros_like(right), right], dim=1)


def test_where_the_loss_says_nothing_the_noise_shrinks_towards_zero():
    start = torch.full((2, 3, 4, 4), 0.02)
    found = penalized(lambda x: torch.zeros(len(x), 2) + 0 * x.mean(), PHOTO, LABEL, start, SETTINGS)
    assert bool((found.abs() < 0.02).all())


def test_where_the_loss_is_steep_it_is_followed_up_to_the_budget():
    steep = NoiseSettings(epsilon=8 / 255, pgd_steps=20)
    found = penalized(
        lambda x: torch.stack([0 * x.sum((1, 2, 3)), 1e4 * (x - 0.6).sum((1, 2, 3))], 1), PHOTO, LABEL, 0 * PHOTO, steep
    )
    assert steep.epsilon < RATE * 20
    assert torch.equal(found, torch.full_like(found, steep.epsilon))


def test_no_noise_has_a_gradient_and_stays_finite():
    found = penalized(
        lambda x: torch.stack([x.mean((1, 2, 3)), 0 * x.mean((1, 2, 3))], 1), PHOTO, LABEL, 0 * PHOTO, SETTINGS
    )
    assert bool(found.isfinite().all())
    assert float(found.abs().max()) <= SETTINGS.epsilon


def test_a_photos_noise_does_not_hang_on_the_others_of_its_batch():
    """Alone, the penalty outweighs this loss; a norm over a batch with stronger noise would be outweighed."""
    start = torch.cat([torch.full((1, 3, 4, 4), 0.01), torch.full((1, 3, 4, 4), 0.03)])

    def model(x):
        return scores(0.2 * x.sum((1, 2, 3)))

    both = penalized(model, PHOTO, torch.tensor([0, 1]), start, SETTINGS)
    alone = [penalized(model, PHOTO[:1], torch.tensor([label]), start[label : label + 1], SETTINGS) for label in (0, 1)]
    torch.testing.assert_close(both, torch.cat(alone))


def test_the_model_never_sees_a_pixel_outside_the_range():
    seen, white = [], torch.ones(2, 3, 4, 4)
    penalized(lambda x: seen.append(x.detach()) or scores(x.sum((1, 2, 3))), white, LABEL, 0.1 * white, SETTINGS)
    assert len(seen) == SETTINGS.pgd_steps and max(pixels.max() for pixels in seen) <= 1


def test_a_patch_is_solved_for_as_well():
    patches = torch.full((2, 3, 2, 2), 0.01)
    settings = NoiseSettings(epsilon=8 / 255, pgd_steps=20, patch=2)
    found = penalized(lambda x: scores(1e4 * (x - 0.6).sum((1, 2, 3))), PHOTO, LABEL, patches, settings)
    assert torch.equal(found, torch.full_like(patches, settings.epsilon))


def test_a_noise_that_names_equation_5_is_learnt_with_it(monkeypatch):
    solved = []
    monkeypatch.setattr(
        "eval.image_noise.generate", lambda *_, solve, **__: solved.append(solve) or torch.zeros(18, 3, 8, 8)
    )
    for solver in ("penalty", "pgd"):
        learn(None, tiny_faces(), ImageNoise(form="sample-wise", solver=solver), size_of("cifar10", "smoke"))
    assert solved == [penalized, pgd]
