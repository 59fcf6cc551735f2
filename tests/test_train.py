"""The training loop: it learns, every photo takes part once, and its rates, flips and crops are what they should be."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from faceguard.device import generator, make_fabric
from faceguard.errors import DataError
from faceguard.identities import to_pixels
from faceguard.train import TrainSettings, optimizer_step
from tests.small import SIZE, numbered_faces, separable_faces, tiny_linear, train

QUICK = TrainSettings(epochs=4, batch_size=8)
PLAIN = TrainSettings(epochs=2, batch_size=8, flip=False, crop_share=0, schedule="constant")


# ---- learning


def test_training_learns_what_is_trivially_separable():
    model, curve = train(separable_faces(photos=12), replace(QUICK, epochs=8, learning_rate=0.1))
    test = separable_faces(photos=12, seed=1)
    assert [epoch.number for epoch in curve] == list(range(1, 9))
    assert curve[-1].loss < curve[0].loss / 2
    assert curve[-1].accuracy >= 0.9
    assert not model.training
    with torch.no_grad():
        assert (model(to_pixels(test.pixels)).argmax(1).numpy() == test.labels).mean() >= 0.9


def test_one_step_equals_sgd_written_by_hand():
    weight = torch.randn(2, 12, generator=generator(0, "w"))
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 2, bias=False))
    model[1].weight.data.copy_(weight)
    x, y = torch.rand(4, 3, 2, 2, generator=generator(0, "x")), torch.tensor([0, 1, 1, 0])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    fabric = make_fabric(device="cpu")
    wrapped, optimizer = fabric.setup(model, optimizer)
    loss, logits = optimizer_step(fabric, wrapped, optimizer, x, y, 0.01)
    flat = x.flatten(1).double()
    p = (flat @ weight.double().T).softmax(1)
    gradient = (p - F.one_hot(y, 2)).T @ flat / 4
    clipped = gradient * 0.01 / (gradient.norm() + 1e-6)
    assert gradient.norm() > 0.01
    torch.testing.assert_close(model[1].weight.double(), weight.double() - 0.5 * clipped, rtol=0, atol=1e-6)
    assert float(loss) == pytest.approx(float(-p[range(4), y].log().mean()), abs=1e-6)
    assert logits.shape == (4, 2)
    assert not logits.requires_grad


def test_every_photo_of_an_epoch_is_seen_once_in_an_order_of_its_own():
    faces = numbered_faces(24)
    model, _ = train(faces, PLAIN)
    first, second = model.seen[:24], model.seen[24:]
    assert sorted(first) == sorted(second) == list(range(24))
    assert first != second


def test_who_changes_batches_is_told_how_much_of_the_training_lies_behind():
    told = []

    def look(_, x, y, done):
        told.append(done)
        return x, y

    train(numbered_faces(20), PLAIN, change_batch=look)
    assert told == pytest.approx([0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6])


def test_every_batch_of_every_epoch_and_process_has_draws_of_its_own(monkeypatch):
    drawn = []

    def draw(_, x, y, done):
        drawn.append(float(torch.rand(())))
        return x, y

    train(numbered_faces(24), PLAIN, change_batch=draw)
    monkeypatch.setattr("lightning_fabric.Fabric.global_rank", 1)
    train(numbered_faces(24), PLAIN, change_batch=draw)
    assert len(set(drawn)) == len(drawn) == 2 * 2 * 3


def test_the_accuracy_is_by_the_photos_own_labels_whatever_labels_are_learnt():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE**2, 2))
    nn.init.zeros_(model[1].weight)
    model[1].bias.data = torch.tensor([1.0, 0.0])
    faces = numbered_faces(24).take([*range(0, 24, 2), 1, 3, 5, 7])
    still = replace(PLAIN, learning_rate=1e-30, epochs=1)
    _, curve = train(faces, still, model=model, change_batch=lambda _, x, y, done: (x, 1 - y))
    assert curve[0].accuracy == 0.75


def test_what_is_learnt_is_the_loss_that_was_given():
    _, curve = train(numbered_faces(16), PLAIN, loss_of=lambda logits, y: 3 + 0 * logits.sum())
    assert [epoch.loss for epoch in curve] == [3, 3]


def test_a_last_batch_of_a_single_photo_is_left_out():
    model, _ = train(numbered_faces(9), replace(PLAIN, epochs=1))
    assert len(model.seen) == 8


def test_a_single_photo_is_too_few_to_train_on():
    with pytest.raises(DataError, match="1 faces are too few to train on"):
        train(numbered_faces(2).take([0]), PLAIN)


def test_batches_with_less_than_two_photos_for_every_process_are_named_instead(monkeypatch):
    monkeypatch.setattr("lightning_fabric.Fabric.world_size", 5)
    with pytest.raises(
        DataError, match=r"Batches of 8 are too few to train on with 5 process\(es\); every process needs"
    ):
        train(numbered_faces(24), PLAIN)


def test_what_is_measured_every_epoch_sees_the_model_in_eval_mode_and_stays_in_the_curve():
    modes = []
    _, curve = train(
        separable_faces(), QUICK, measure=lambda model: modes.append(model.training) or {"rank-1": len(modes) / 10}
    )
    assert modes == [False] * 4
    assert [epoch.measured["rank-1"] for epoch in curve] == [0.1, 0.2, 0.3, 0.4]


def test_the_curve_holds_the_mean_loss_and_accuracy_of_the_training_batches():
    """With a learning rate of zero-like size the model stays, and the loss can be computed beside it."""
    faces = separable_faces()
    model, curve = train(
        faces, replace(PLAIN, learning_rate=1e-30, epochs=1), model=nn.Sequential(nn.Flatten(), tiny_linear())
    )
    logits = model(to_pixels(faces.pixels)).detach()
    y = torch.from_numpy(faces.labels)
    assert curve[0].loss == pytest.approx(float(F.cross_entropy(logits, y)), abs=1e-5)
    assert curve[0].accuracy == pytest.approx(float((logits.argmax(1) == y).float().mean()))


def test_bf16_trains_and_its_loss_stays_close_to_fp32():
    curves = {}
    for precision in ("fp32", "bf16"):
        model, curves[precision] = train(separable_faces(), QUICK, precision=precision)
        assert model.head.weight.dtype == torch.float32
    for one, other in zip(*curves.values(), strict=True):
        assert other.loss == pytest.approx(one.loss, rel=0.05)
        assert other.loss != one.loss


# ---- rates


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [1, 1, 1, 1]),
        ("step", [1, 1, 0.1, 0.01]),
        ("cosine", [1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]),
    ],
)
def test_the_learning_rate_follows_its_schedule(monkeypatch, schedule, expected):
    """Two epochs of two steps each are four places on the curve: 0, 1/4, 1/2, 3/4."""
    import faceguard.train as module

    rates = []
    step = module.optimizer_step
    monkeypatch.setattr(module, "optimizer_step", lambda *a: rates.append(a[2].param_groups[0]["lr"]) or step(*a))
    train(numbered_faces(16), replace(PLAIN, schedule=schedule, learning_rate=0.5))
    assert rates == pytest.approx([0.5 * share for share in expected])


def test_training_takes_its_momentum_weight_decay_and_clip_from_the_settings(monkeypatch):
    import faceguard.train as module

    told, step = [], module.optimizer_step
    monkeypatch.setattr(module, "optimizer_step", lambda *a: told.append((a[2].param_groups[0], a[5])) or step(*a))
    train(numbered_faces(16), replace(PLAIN, momentum=0.7, weight_decay=0.002, gradient_clip=1.5))
    for group, clip in told:
        assert (group["momentum"], group["weight_decay"], clip) == (0.7, 0.002, 1.5)


def test_training_passes_every_batch_through_its_flips_and_crops(monkeypatch):
    import faceguard.train as module

    def invert(size, *, flip, crop_share):
        assert (size, flip, crop_share) == (SIZE, True, 0.5)
        return lambda pixels: 1 - pixels

    monkeypatch.setattr(module, "flip_and_crop", invert)
    model, _ = train(numbered_faces(8), replace(PLAIN, epochs=1, flip=True, crop_share=0.5))
    assert sorted(model.seen) == [255 - i for i in reversed(range(8))]
