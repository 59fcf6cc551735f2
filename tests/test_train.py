"""The training loop: it learns, every photo takes part once, and an interruption changes nothing."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from faceguard.device import generator, launch, make_fabric, seeded
from faceguard.errors import DataError, FaceguardError, RunError, TrainingDiverged
from faceguard.identities import Faces, to_pixels
from faceguard.train import TrainSettings, augmentation, fit, optimizer_step
from tests.small import interrupt_after

SIZE = 8
QUICK = TrainSettings(epochs=4, batch_size=8)
PLAIN = TrainSettings(epochs=2, batch_size=8, flip=False, crop_share=0, schedule="constant")


def tiny_faces(identities=3, photos=6, *, seed=0):
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


def train(faces, chosen, *, seed=0, model=None, precision="fp32", **more):
    model = Net(len(faces.names)) if model is None else model
    return model, fit(make_fabric(device="cpu", precision=precision), model, faces, chosen, seed=seed, **more)


def same_weights(one, two):
    return all(torch.equal(value, two.state_dict()[name]) for name, value in one.state_dict().items())


# ---- learning


def test_training_learns_what_is_trivially_separable():
    model, curve = train(tiny_faces(photos=12), replace(QUICK, epochs=8, learning_rate=0.1))
    test = tiny_faces(photos=12, seed=1)
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


def test_a_last_batch_of_a_single_photo_is_left_out():
    model, _ = train(numbered_faces(9), replace(PLAIN, epochs=1))
    assert len(model.seen) == 8


def test_a_single_photo_is_too_few_to_train_on():
    with pytest.raises(DataError, match="1 faces are too few to train on"):
        train(numbered_faces(2).take([0]), PLAIN)


def test_what_is_measured_every_epoch_sees_the_model_in_eval_mode_and_stays_in_the_curve():
    modes = []
    _, curve = train(
        tiny_faces(), QUICK, measure=lambda model: modes.append(model.training) or {"rank-1": len(modes) / 10}
    )
    assert modes == [False] * 4
    assert [epoch.measured["rank-1"] for epoch in curve] == [0.1, 0.2, 0.3, 0.4]


def test_the_curve_holds_the_mean_loss_and_accuracy_of_the_training_batches():
    """With a learning rate of zero-like size the model stays, and the loss can be computed beside it."""
    faces = tiny_faces()
    model, curve = train(
        faces, replace(PLAIN, learning_rate=1e-30, epochs=1), model=nn.Sequential(nn.Flatten(), linear())
    )
    logits = model(to_pixels(faces.pixels)).detach()
    y = torch.from_numpy(faces.labels)
    assert curve[0].loss == pytest.approx(float(F.cross_entropy(logits, y)), abs=1e-5)
    assert curve[0].accuracy == pytest.approx(float((logits.argmax(1) == y).float().mean()))


def linear():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Linear(3 * SIZE**2, 3)


def test_bf16_trains_and_its_loss_stays_close_to_fp32():
    curves = {}
    for precision in ("fp32", "bf16"):
        model, curves[precision] = train(tiny_faces(), QUICK, precision=precision)
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


# ---- augmentation


def test_flips_and_crops_are_drawn_for_every_photo_on_its_own():
    ramp = torch.arange(SIZE, dtype=torch.float32).expand(64, 3, SIZE, SIZE) / SIZE
    with seeded(0, "augment"):
        flipped = augmentation(SIZE, flip=True, crop_share=0)(ramp)
    mirrored = [bool(torch.equal(photo, ramp[0].flip(-1))) for photo in flipped]
    assert all(m or torch.equal(photo, ramp[0]) for m, photo in zip(mirrored, flipped, strict=True))
    assert 16 < sum(mirrored) < 48
    with seeded(0, "augment"):
        cropped = augmentation(SIZE, flip=False, crop_share=0.13)(ramp + 1)
    padded = F.pad(ramp[0] + 1, (1, 1, 1, 1))
    windows = [padded[:, i : i + SIZE, j : j + SIZE] for i in range(3) for j in range(3)]
    places = [[torch.equal(photo, window) for window in windows] for photo in cropped]
    assert all(any(place) for place in places)
    assert len({tuple(place) for place in places}) == 9
    assert cropped.is_contiguous(memory_format=torch.channels_last)


def test_the_gradient_passes_through_flips_and_crops():
    pixels = torch.rand(16, 3, SIZE, SIZE, requires_grad=True)
    with seeded(0, "augment"):
        augmentation(SIZE, flip=True, crop_share=0.13)(pixels).sum().backward()
    assert set(pixels.grad.unique().tolist()) == {0.0, 1.0}  # a pixel is kept as it is or cropped away


def test_without_flip_and_crop_pixels_pass_untouched():
    pixels = torch.rand(4, 3, SIZE, SIZE)
    assert augmentation(SIZE, flip=False, crop_share=0)(pixels) is pixels
    assert augmentation(SIZE, flip=False, crop_share=0.01)(pixels) is pixels  # less than half a pixel


def test_training_passes_every_batch_through_its_flips_and_crops(monkeypatch):
    import faceguard.train as module

    def invert(size, *, flip, crop_share):
        assert (size, flip, crop_share) == (SIZE, True, 0.5)
        return lambda pixels: 1 - pixels

    monkeypatch.setattr(module, "augmentation", invert)
    model, _ = train(numbered_faces(8), replace(PLAIN, epochs=1, flip=True, crop_share=0.5))
    assert sorted(model.seen) == [255 - i for i in reversed(range(8))]


# ---- determinism, interruption, bad input


def test_the_same_seed_gives_the_same_weights_whatever_the_caller_drew():
    one, _ = train(tiny_faces(), QUICK, seed=3)
    torch.rand(5)
    assert same_weights(one, train(tiny_faces(), QUICK, seed=3)[0])
    assert not same_weights(one, train(tiny_faces(), QUICK, seed=4)[0])


def test_a_resumed_training_equals_an_undisturbed_one_bit_for_bit(tmp_path):
    faces, checkpoint = tiny_faces(), tmp_path / "last.ckpt"
    measure = lambda model: {"weight": float(model.head.weight.detach().sum())}  # noqa: E731
    undisturbed, curve = train(faces, QUICK, measure=measure)
    with pytest.raises(KeyboardInterrupt):
        train(faces, QUICK, measure=measure, checkpoint=checkpoint, progress=interrupt_after(2))
    epochs = []
    resumed, again = train(faces, QUICK, measure=measure, checkpoint=checkpoint, progress=epochs.append)
    assert same_weights(undisturbed, resumed)
    assert again == curve
    assert [epoch.number for epoch in epochs] == [3, 4]


def test_a_finished_training_is_not_repeated(tmp_path):
    first, curve = train(tiny_faces(), QUICK, checkpoint=tmp_path / "c")
    again, curve_again = train(tiny_faces(), QUICK, checkpoint=tmp_path / "c", progress=interrupt_after(1))
    assert curve_again == curve
    assert same_weights(first, again)


@pytest.mark.parametrize("changed", ["settings", "seed", "faces", "model"])
def test_a_checkpoint_of_another_training_is_refused_and_kept(tmp_path, changed):
    checkpoint = tmp_path / "last.ckpt"
    train(tiny_faces(), QUICK, checkpoint=checkpoint)
    before = checkpoint.read_bytes()
    with pytest.raises(RunError, match=r"last\.ckpt was left by a run with other settings, faces, model or seed"):
        train(
            tiny_faces(seed=int(changed == "faces")),
            replace(QUICK, learning_rate=0.01) if changed == "settings" else QUICK,
            seed=int(changed == "seed"),
            model=nn.Sequential(nn.Flatten(), linear()) if changed == "model" else None,
            checkpoint=checkpoint,
        )
    assert checkpoint.read_bytes() == before


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "a list"])
def test_a_damaged_checkpoint_is_named(tmp_path, damage):
    checkpoint = tmp_path / "last.ckpt"
    train(tiny_faces(), QUICK, checkpoint=checkpoint)
    whole = checkpoint.read_bytes()
    if damage == "a list":
        torch.save([1], checkpoint)
    else:
        checkpoint.write_bytes({"truncated": whole[: len(whole) // 2], "empty": b"", "text": b"hello there"}[damage])
    with pytest.raises(RunError, match=r"last\.ckpt is no .*checkpoint.*delete it to start anew"):
        train(tiny_faces(), QUICK, checkpoint=checkpoint)


class Breaks(Net):
    """Fails as a real network does: from its ``step``-th training batch on, it holds a number that is not finite."""

    def __init__(self, step, *, where):
        super().__init__()
        self.step, self.where, self.steps = step, where, 0

    def forward(self, pixels):
        logits = super().forward(pixels)
        self.steps += self.training
        if self.steps >= self.step and self.training:
            logits = (
                logits * float("nan")
                if self.where == "loss"
                else logits + 0 * (self.head.weight - self.head.weight).sqrt().sum()
            )
        return logits


@pytest.mark.parametrize(("where", "step"), [("loss", 7), ("loss", 9), ("weight", 9), ("weight", 7)])
def test_a_loss_that_is_not_finite_ends_the_training_and_the_last_good_epoch_stays(tmp_path, where, step):
    """Three batches an epoch: batch 7 opens epoch 3, batch 9 closes it, when only the weights can still tell."""
    checkpoint, done = tmp_path / "last.ckpt", []
    with pytest.raises(TrainingDiverged, match=r"in epoch 3 at learning rate 0\.05; lower the learning rate"):
        train(tiny_faces(), QUICK, model=Breaks(step, where=where), checkpoint=checkpoint, progress=done.append)
    assert [epoch.number for epoch in done] == [1, 2]
    assert all(math.isfinite(epoch.loss) for epoch in done)
    undisturbed, _ = train(tiny_faces(), QUICK)
    resumed, _ = train(tiny_faces(), QUICK, checkpoint=checkpoint)
    assert same_weights(undisturbed, resumed)


def test_a_learning_rate_far_too_large_is_a_sentence():
    with pytest.raises(TrainingDiverged, match=r"learning rate 1e\+30; lower the learning rate"):
        train(tiny_faces(), replace(QUICK, learning_rate=1e30))


def test_settings_name_all_their_problems_at_once():
    with pytest.raises(FaceguardError) as caught:
        TrainSettings(epochs=0, batch_size=1, learning_rate=float("nan"), gradient_clip=-1)
    for word in ("epochs", "batch_size 1", "learning_rate", "nan", "gradient_clip"):
        assert word in str(caught.value)


# ---- two processes


def train_in_each_process(fabric, folder):
    """What every rank of the two-process test runs; rank 1 writes down what it saw and became, as rank 0 does."""
    model = Net(2)
    checkpoint = folder / "last.ckpt"
    curve = fit(fabric, model, numbered_faces(24), PLAIN, seed=5, measure=lambda _: {"n": 1.0}, checkpoint=checkpoint)
    weights = dict(model.named_parameters())
    torch.save({"seen": model.seen, "weights": weights}, folder / f"rank{fabric.global_rank}.pt")
    return curve


def test_two_processes_share_every_epochs_photos_and_end_with_equal_weights(tmp_path):
    """Gloo on the CPU; starting two processes takes about ten seconds on two busy cores."""
    fabric = make_fabric(device="cpu", devices=2)
    curve = launch(fabric, train_in_each_process, tmp_path)
    ranks = [torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in (0, 1)]
    for epoch in (slice(0, 12), slice(12, 24)):
        assert sorted(ranks[0]["seen"][epoch] + ranks[1]["seen"][epoch]) == list(range(24))
    for name, weight in ranks[0]["weights"].items():
        assert torch.equal(weight, ranks[1]["weights"][name])
    assert [epoch.number for epoch in curve] == [1, 2]
    assert [epoch.measured for epoch in curve] == [{"n": 1.0}, {"n": 1.0}]
    alone, _ = train(numbered_faces(24), PLAIN, seed=5, model=Net(2))
    seen = [sorted(alone.seen[i : i + 8]) for i in range(0, 48, 8)]
    together = [sorted(ranks[0]["seen"][i : i + 4] + ranks[1]["seen"][i : i + 4]) for i in range(0, 24, 4)]
    assert together == seen  # the same batches as one process would train on
    assert (tmp_path / "last.ckpt").exists()
