"""Countermeasures on batches: squares and shares by hand, AutoAugment against torchvision's, PGD's corner, UEraser's choice."""

from collections import Counter

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.transforms import AutoAugment as Reference
from torchvision.transforms import AutoAugmentPolicy

from eval.adversarial import AdversarialTraining, UEraser, augmented, policy, untouched
from eval.augmentations import AutoAugment, CutMix, Cutout, MixUp, squares
from eval.operations import IDENTITY, NAMES, operate
from tests.small import tiny_net


def photos(count=24, size=8, *, seed=0):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


def countable(identities=3):
    model = nn.Identity()
    model.identities = identities
    return model


# ---- Cutout, MixUp, CutMix


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_cutout_blackens_one_square_of_each_photo_cut_off_at_the_edges(share):
    x = photos(300, 9) * 0.9 + 0.1
    changed, _ = Cutout(share=share).batch(nn.Identity(), x, torch.zeros(300))
    side, places = max(round(share * 9), 1), Counter()
    for before, after in zip(x, changed, strict=True):
        black = (after == 0).all(0)
        rows, columns = (np.flatnonzero(black.any(axis).numpy()) for axis in (1, 0))
        top, left, bottom, right = rows[0], columns[0], rows[-1] + 1, columns[-1] + 1
        assert black[top:bottom, left:right].all() and black.sum() == (bottom - top) * (right - left)
        assert bottom - top == side or top == 0 or bottom == 9
        assert right - left == side or left == 0 or right == 9
        assert max(bottom - top, right - left) <= side
        assert torch.equal(after[:, ~black], before[:, ~black])
        places[top, left, bottom, right] += 1
    assert len(places) > 15


def test_a_square_is_centred_on_every_pixel_alike():
    torch.manual_seed(0)
    mask = squares(torch.zeros(20000, 3, 4, 4), torch.ones(20000, dtype=torch.long))
    assert (mask.flatten(1).sum(1) == 1).all()
    assert (mask.float().mean(0) * 16 - 1).abs().max() < 0.15
    hidden = squares(torch.zeros(20000, 3, 5, 5), torch.full((20000,), 3)).float().mean((0, 1))
    centred = torch.tensor([2, 3, 3, 3, 2]) / 5  # of a line's five centres, those that hide it
    torch.testing.assert_close(hidden, centred[:, None] * centred, atol=0.02, rtol=0)


def test_mixup_gives_labels_the_shares_that_pixels_have():
    """Photo i shows level i alone, so its pixels tell both partners' share; labels say the same."""
    x = (torch.arange(24.0) / 24).view(-1, 1, 1, 1).expand(24, 3, 2, 2)
    y = torch.arange(24)
    mixed, labels = MixUp().batch(countable(24), x, y)
    torch.testing.assert_close(labels.sum(1), torch.ones(24))
    torch.testing.assert_close(mixed[:, 0, 0, 0], labels @ (torch.arange(24.0) / 24))
    assert (labels > 0).sum(1).max() == 2
    kept = labels[torch.arange(24), y]
    assert kept.std() > 0.1  # every photo has a share of its own


@pytest.mark.parametrize(("alpha", "spread"), [(1.0, 12**-0.5), (8.0, 68**-0.5)])
def test_shares_are_drawn_from_beta(alpha, spread):
    torch.manual_seed(0)
    shares = MixUp(alpha=alpha).shares(torch.zeros(20000, 1))
    assert shares.mean().item() == pytest.approx(0.5, abs=0.01)
    assert shares.std().item() == pytest.approx(spread, abs=0.01)


def test_cutmix_pastes_a_square_of_one_partner_and_counts_its_area():
    torch.manual_seed(0)
    x = torch.arange(24.0).view(-1, 1, 1, 1).expand(24, 3, 8, 8) / 24
    mixed, labels = CutMix().batch(countable(24), x, torch.arange(24))
    for i, (photo, label) in enumerate(zip(mixed, labels, strict=True)):
        shown, counts = (photo[0] * 24).round().long().unique(return_counts=True)
        assert set(shown.tolist()) - {i} == set(label.nonzero().flatten().tolist()) - {i}
        torch.testing.assert_close(label[shown], counts / 64)
        assert label.sum().item() == pytest.approx(1)
    assert len(labels.max(1).values.unique()) > 5


def test_cutmix_pastes_the_area_that_the_share_leaves(monkeypatch):
    monkeypatch.setattr(CutMix, "shares", lambda self, x: torch.full((len(x),), 0.75))
    _, labels = CutMix().batch(countable(240), photos(240), torch.arange(240))
    assert labels[torch.arange(240), torch.arange(240)].min() == 0.75  # a quarter of the photo, or less at the edges


# ---- AutoAugment


@pytest.mark.parametrize(("policy", "size"), [("cifar10", 32), ("svhn", 15), ("imagenet", 24)])
def test_autoaugment_equals_torchvisions_on_single_photos(policy, size, monkeypatch):
    """The same draws, photo by photo; a level may round differently, and a few pixels lie between two neighbours."""
    coarse = F.interpolate(photos(150, 6), size=size, mode="bicubic").clamp(0, 1)
    levels = coarse.mul(255).round().to(torch.uint8)
    torch.manual_seed(1)
    found, _ = AutoAugment(policy=policy).batch(nn.Identity(), levels / 255, torch.zeros(150))
    torch.manual_seed(1)
    draws = torch.randint(25, (150,)), torch.rand(150, 2), torch.randint(2, (150, 2))
    reference = Reference(AutoAugmentPolicy(policy))
    expected = []
    for photo, pair, chances, signs in zip(levels, *draws, strict=True):
        monkeypatch.setattr(reference, "get_params", lambda _, drawn=(int(pair), chances, signs): drawn)
        expected.append(reference(photo))
    off = (found * 255).round().int().sub(torch.stack(expected).int()).abs() > 1
    assert off.float().mean() < 0.005
    assert off.flatten(1).float().mean(1).max() < 0.2
    assert (found * 255 - levels).abs().flatten(1).amax(1).gt(0).float().mean() > 0.5


def test_operations_touch_their_own_photos_alone():
    levels = photos().mul(255).to(torch.uint8)
    operation = torch.full((24,), IDENTITY)
    operation[::2] = NAMES.index("Invert")
    changed = operate(levels, operation, torch.ones(24))
    assert torch.equal(changed[::2], 255 - levels[::2])
    assert torch.equal(changed[1::2], levels[1::2])


@pytest.mark.parametrize("countermeasure", [AutoAugment(), UEraser(candidates=1)])
def test_half_precision_of_a_training_moves_no_pixel(countermeasure):
    found = []
    for enabled in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            found.append(countermeasure.batch(nn.Identity(), photos(size=16), torch.zeros(24))[0])
    assert torch.equal(*found)


def test_no_strength_changes_nothing():
    levels = photos(len(NAMES) * 2).mul(255).to(torch.uint8)
    named = [i for i, name in enumerate(NAMES) if name not in ("AutoContrast", "Equalize", "Invert", "Solarize")]
    operation = torch.tensor(named).repeat(2)
    assert torch.equal(
        operate(levels[: len(operation)], operation, torch.zeros(len(operation))), levels[: len(operation)]
    )


# ---- adversarial training


@pytest.mark.parametrize("step_size", [2 / 255, 0.5])
def test_adversarial_training_reaches_the_corner_of_the_box_on_a_linear_network(step_size):
    epsilon, weights = 8 / 255, torch.randn(2, 192, generator=torch.Generator().manual_seed(0))
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2, bias=False))
    model[1].weight.data = weights
    x, y = photos(), torch.arange(24) % 2
    x[0], x[1] = 0, 1  # where the pixel range cuts the box
    found, labels = AdversarialTraining(step_size=step_size).batch(model, x, y)
    towards = (weights[1 - y] - weights[y]).sign().view_as(x)
    torch.testing.assert_close(found, (x + epsilon * towards).clamp(0, 1), atol=1e-6, rtol=0)
    assert torch.equal(labels, y)


@pytest.mark.parametrize("steps", [1, 3])
def test_adversarial_photos_never_leave_the_box_or_the_pixel_range_and_are_harder(steps):
    x, y, model = photos(), torch.arange(24) % 3, tiny_net()
    found, _ = AdversarialTraining(steps=steps).batch(model, x, y)
    assert (found - x).abs().max() <= 8 / 255 + 1e-6
    assert found.min() >= 0 and found.max() <= 1
    model.eval()
    assert F.cross_entropy(model(found), y) > F.cross_entropy(model(x), y)


@pytest.mark.parametrize("countermeasure", [AdversarialTraining(), UEraser()])
def test_the_network_stays_as_it_was_in_every_part(countermeasure):
    """Weights, statistics, gradients, what requires them, and each module's mode."""
    model = tiny_net()
    F.cross_entropy(model(photos()), torch.arange(24) % 3).backward()
    model[1].eval()  # a fine-tuning adversary freezes statistics
    model[3].requires_grad_(False)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    about = [(p.requires_grad, p.grad.clone()) for p in model.parameters()]
    modes = [module.training for module in model.modules()]
    x, _ = countermeasure.batch(model, photos(), torch.arange(24) % 3)
    assert not x.requires_grad
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    for parameter, (required, gradient) in zip(model.parameters(), about, strict=True):
        assert parameter.requires_grad == required and torch.equal(parameter.grad, gradient)
    assert [module.training for module in model.modules()] == modes


def test_a_network_comes_back_in_train_mode_even_after_an_error():
    model = tiny_net()
    with pytest.raises(RuntimeError), untouched(model):
        assert not model.training
        raise RuntimeError
    assert model.training


def test_adversarial_training_starts_anywhere_in_the_box_and_takes_steps_of_its_own_size():
    flat = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    x = photos() * 0.5 + 0.25
    found, _ = AdversarialTraining(step_size=1e-9, steps=1).batch(flat, x, torch.arange(24) % 3)
    start = (found - x) * 255
    assert start.min() < -7.9 and start.max() > 7.9 and abs(start.mean()) < 0.3
    torch.manual_seed(0)
    one, _ = AdversarialTraining(step_size=1 / 255, steps=1).batch(flat, x, torch.arange(24) % 3)
    torch.manual_seed(0)
    none, _ = AdversarialTraining(step_size=1e-9, steps=1).batch(flat, x, torch.arange(24) % 3)
    assert (255 * (one - none)).abs().median() == pytest.approx(1, abs=1e-3)


# ---- UEraser


def test_ueraser_returns_every_photos_candidate_with_the_largest_loss():
    x, y, model, countermeasure = photos(), torch.arange(24) % 3, tiny_net(), UEraser()
    torch.manual_seed(5)
    chosen, _ = countermeasure.batch(model, x, y)
    torch.manual_seed(5)
    candidates = torch.stack([augmented(x) for _ in range(5)])
    model.eval()
    for i in range(24):
        losses = [F.cross_entropy(model(candidates[k, i : i + 1]), y[i : i + 1]).item() for k in range(5)]
        assert torch.equal(chosen[i], candidates[int(np.argmax(losses)), i])
        assert len(set(losses)) > 1


@pytest.mark.parametrize(("search", "done"), [(0, 0), (0.3, 0.3), (0.3, 0.99)])
def test_ueraser_asks_no_network_after_its_search_and_leaves_the_batch_alone(search, done):
    x = photos()
    before = x.clone()
    changed, _ = UEraser(search=search).batch(None, x, torch.zeros(24), done)
    assert torch.equal(x, before)
    assert changed.min() >= 0 and changed.max() <= 1 and not torch.equal(changed, x)


def test_uerasers_policy_is_its_authors():
    """lafeat/ueraser on CIFAR-10: plasma brightness and contrast, a shuffle of the channels, one of twelve operations."""
    *first, trivial = policy()
    kinds = ["RandomPlasmaBrightness", "RandomPlasmaContrast", "RandomChannelShuffle"]
    assert [type(one).__name__ for one in first] == kinds
    assert [one.p for one in first] == [0.5, 0.5, 0.5] and len(list(trivial.children())) == 12
    torch.manual_seed(0)
    gray = torch.full((64, 3, 16, 16), 0.5)
    assert len({tuple(one.flatten().tolist()) for one in augmented(gray)}) > 32
