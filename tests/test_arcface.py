"""ArcFace: the loss against its formula in angles, and a classifier that knows nothing but directions."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from faceguard.arcface import CosineClassifier, arcface_loss
from faceguard.device import generator

LABELS = torch.tensor([0, 2, 1, 3])


def cosines(count=4, identities=5, *, seed=0, spread=0.9):
    return (2 * torch.rand(count, identities, generator=generator(seed, "cosines"), dtype=torch.float64) - 1) * spread


def by_angle(cosine, label, scale, margin):
    """One photo's loss as the paper writes it: -log of the share that exp(s cos(theta_y + m)) has."""
    angle = math.acos(cosine[label]) + margin
    own = math.exp(scale * math.cos(angle))
    others = sum(math.exp(scale * value) for k, value in enumerate(cosine) if k != label)
    return -math.log(own / (own + others))


@pytest.mark.parametrize(("scale", "margin"), [(64.0, 0.5), (16.0, 0.2), (1.0, 0.1)])
def test_the_loss_is_that_of_the_paper(scale, margin):
    cosine = cosines(spread=0.8)  # theta + m stays below pi
    expected = np.mean([by_angle(row, y, scale, margin) for row, y in zip(cosine.tolist(), LABELS, strict=True)])
    found = arcface_loss((scale * cosine).float(), LABELS, scale=scale, margin=margin)
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_without_a_margin_it_is_the_cross_entropy_of_the_scaled_cosines():
    logits = 16 * cosines().float()
    torch.testing.assert_close(
        arcface_loss(logits, LABELS, scale=16, margin=0), F.cross_entropy(logits, LABELS), rtol=1e-5, atol=1e-6
    )


def test_a_margin_makes_every_loss_larger_and_a_larger_one_still_larger():
    logits = 16 * cosines(spread=1).float()
    losses = [float(arcface_loss(logits, LABELS, scale=16, margin=margin)) for margin in (0, 0.1, 0.3, 0.5)]
    assert losses == sorted(losses)
    assert len(set(losses)) == 4


@given(st.floats(-1, 1), st.floats(-1, 1))
@settings(deadline=None, max_examples=50)
def test_a_face_farther_from_its_class_never_costs_less(one, other):
    """Also beyond pi - m, where cos(theta + m) would rise again."""
    near, far = max(one, other), min(one, other)
    losses = [
        float(arcface_loss(torch.tensor([[8 * own, 0.0]]), torch.tensor([0]), scale=8, margin=0.5))
        for own in (near, far)
    ]
    assert losses[0] <= losses[1] + 1e-5


def test_shares_weight_the_losses_of_their_labels():
    logits = 16 * cosines().float()
    other = torch.tensor([4, 2, 0, 1])  # the second photo is mixed with one of its own identity
    shares = 0.3 * F.one_hot(LABELS, 5) + 0.7 * F.one_hot(other, 5)
    one, two = (arcface_loss(logits, y, scale=16, margin=0.2) for y in (LABELS, other))
    torch.testing.assert_close(arcface_loss(logits, shares, scale=16, margin=0.2), 0.3 * one + 0.7 * two)
    whole = F.one_hot(LABELS, 5).float()
    torch.testing.assert_close(arcface_loss(logits, whole, scale=16, margin=0.2), one)
    soft = arcface_loss(logits, shares, scale=16, margin=0)
    torch.testing.assert_close(soft, F.cross_entropy(logits, shares), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cosine", [-1.0, 0.0, 1.0])
def test_the_gradient_is_finite_even_where_the_angle_has_none(cosine):
    logits = torch.tensor([[16 * cosine, 0.0]], requires_grad=True)
    arcface_loss(logits, torch.tensor([0]), scale=16, margin=0.5).backward()
    assert logits.grad.isfinite().all()
    assert logits.grad[0, 0] <= 0


def test_logits_are_scaled_cosines_whatever_the_lengths_and_precision():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        classifier = CosineClassifier(6, 4, scale=16)
    features = torch.randn(3, 6, generator=generator(0, "features"))
    expected = torch.tensor(
        [[16 * float(F.cosine_similarity(f, w, dim=0)) for w in classifier.weight.detach()] for f in features]
    )
    torch.testing.assert_close(classifier(features), expected)
    torch.testing.assert_close(classifier(1000 * features), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert classifier(features).dtype == torch.float32
        torch.testing.assert_close(classifier(features), expected)
