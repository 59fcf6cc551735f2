"""A training as a long run: determinism, interruption, divergence, bad input and two processes."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from faceguard.checkpoint import Checkpoint
from faceguard.device import launch, make_fabric
from faceguard.errors import FaceguardError, RunError, TrainingDiverged
from faceguard.identities import Faces
from faceguard.train import TrainSettings, fit
from tests.small import Net, interrupt_after, numbered_faces, separable_faces, tiny_linear, train

QUICK = TrainSettings(epochs=4, batch_size=8)
PLAIN = TrainSettings(epochs=2, batch_size=8, flip=False, crop_share=0, schedule="constant")


def same_weights(one, two):
    return all(torch.equal(value, two.state_dict()[name]) for name, value in one.state_dict().items())


# ---- determinism, interruption, bad input


def test_the_same_seed_gives_the_same_weights_whatever_the_caller_drew():
    one, _ = train(separable_faces(), QUICK, seed=3)
    torch.rand(5)
    assert same_weights(one, train(separable_faces(), QUICK, seed=3)[0])
    assert not same_weights(one, train(separable_faces(), QUICK, seed=4)[0])


def test_a_resumed_training_equals_an_undisturbed_one_bit_for_bit(tmp_path):
    faces, checkpoint = separable_faces(), tmp_path / "last.ckpt"
    measure = lambda model: {"weight": float(model.head.weight.detach().sum())}  # noqa: E731
    undisturbed, curve = train(faces, QUICK, measure=measure)
    with pytest.raises(KeyboardInterrupt):
        train(faces, QUICK, measure=measure, checkpoint=checkpoint, progress=interrupt_after(2))
    epochs = []
    resumed, again = train(faces, QUICK, measure=measure, checkpoint=checkpoint, progress=epochs.append)
    assert same_weights(undisturbed, resumed)
    assert again == curve
    assert [epoch.number for epoch in epochs] == [3, 4]


def test_learning_on_some_photos_equals_learning_on_a_copy_of_them_bit_for_bit():
    faces, some = separable_faces(), torch.tensor([0, 3, 4, 7, 8, 11, 12, 15, 16, 17, 2])
    chosen, curve = train(faces, QUICK, learn_on=some)
    copied, curve_of_copy = train(faces.take(some.numpy()), QUICK)
    assert same_weights(chosen, copied)
    assert curve == curve_of_copy


def test_learning_on_all_photos_changes_nothing_and_on_others_refuses_the_checkpoint(tmp_path):
    checkpoint, everything = tmp_path / "last.ckpt", torch.arange(18)
    train(separable_faces(), QUICK, checkpoint=checkpoint)
    train(separable_faces(), QUICK, checkpoint=checkpoint, learn_on=everything)
    for others in (everything[:-1], everything.flip(0)):
        with pytest.raises(RunError, match="other settings"):
            train(separable_faces(), QUICK, checkpoint=checkpoint, learn_on=others)


def test_a_finished_training_is_not_repeated(tmp_path):
    first, curve = train(separable_faces(), QUICK, checkpoint=tmp_path / "c")
    again, curve_again = train(separable_faces(), QUICK, checkpoint=tmp_path / "c", progress=interrupt_after(1))
    assert curve_again == curve
    assert same_weights(first, again)


@pytest.mark.parametrize("changed", ["settings", "seed", "faces", "model", "precision"])
def test_a_checkpoint_of_another_training_is_refused_and_kept(tmp_path, changed):
    checkpoint = tmp_path / "last.ckpt"
    train(separable_faces(), QUICK, checkpoint=checkpoint)
    before = checkpoint.read_bytes()
    with pytest.raises(RunError, match=r"last\.ckpt was left by a run with other settings, faces, model or seed"):
        train(
            separable_faces(seed=int(changed == "faces")),
            replace(QUICK, learning_rate=0.01) if changed == "settings" else QUICK,
            seed=int(changed == "seed"),
            model=nn.Sequential(nn.Flatten(), tiny_linear()) if changed == "model" else None,
            precision="bf16" if changed == "precision" else "fp32",
            checkpoint=checkpoint,
        )
    assert checkpoint.read_bytes() == before


def test_a_checkpoint_is_refused_when_one_photo_of_many_changed(tmp_path):
    faces, changed, checkpoint = numbered_faces(200), numbered_faces(200), tmp_path / "last.ckpt"
    changed.pixels[2, 0, 0, 0] += 1
    train(faces, PLAIN, checkpoint=checkpoint)
    with pytest.raises(RunError, match="other settings, faces"):
        train(changed, PLAIN, checkpoint=checkpoint)


def test_the_photos_are_hashed_once_after_the_first_epoch_and_not_at_all_without_a_checkpoint(tmp_path, monkeypatch):
    done, hashed = [], []
    digest = Faces.digest
    monkeypatch.setattr(Faces, "digest", lambda faces: hashed.append(len(done)) or digest(faces))
    train(separable_faces(), QUICK, progress=done.append)
    assert hashed == []
    done.clear()
    train(separable_faces(), QUICK, checkpoint=tmp_path / "c", measure=lambda _: done.append("measured") or {})
    assert hashed == [1]


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "a list"])
def test_a_damaged_checkpoint_is_named(tmp_path, damage):
    checkpoint = tmp_path / "last.ckpt"
    train(separable_faces(), QUICK, checkpoint=checkpoint)
    whole = checkpoint.read_bytes()
    if damage == "a list":
        torch.save([1], checkpoint)
    else:
        checkpoint.write_bytes({"truncated": whole[: len(whole) // 2], "empty": b"", "text": b"hello there"}[damage])
    with pytest.raises(RunError, match=r"last\.ckpt is no .*checkpoint.*delete it to start anew"):
        train(separable_faces(), QUICK, checkpoint=checkpoint)


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
        train(separable_faces(), QUICK, model=Breaks(step, where=where), checkpoint=checkpoint, progress=done.append)
    assert [epoch.number for epoch in done] == [1, 2]
    assert all(math.isfinite(epoch.loss) for epoch in done)
    undisturbed, _ = train(separable_faces(), QUICK)
    resumed, _ = train(separable_faces(), QUICK, checkpoint=checkpoint)
    assert same_weights(undisturbed, resumed)


def test_a_learning_rate_far_too_large_is_a_sentence():
    with pytest.raises(TrainingDiverged, match=r"learning rate 1e\+30; lower the learning rate"):
        train(separable_faces(), replace(QUICK, learning_rate=1e30))


def test_settings_name_all_their_problems_at_once():
    with pytest.raises(FaceguardError) as caught:
        TrainSettings(epochs=0, batch_size=1, learning_rate=float("nan"), gradient_clip=-1)
    for word in ("epochs", "batch_size 1", "learning_rate", "nan", "gradient_clip"):
        assert word in str(caught.value)


# ---- two processes


def train_in_each_process(fabric, folder):
    """What every rank of the two-process test runs; rank 1 writes down what it saw and became, as rank 0 does."""
    model, kept = Net(2), Checkpoint(path=folder / "last.ckpt")
    curve = fit(fabric, model, numbered_faces(24), PLAIN, seed=5, measure=lambda _: {"n": 1.0}, checkpoint=kept)
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
