"""Algorithm 1 as a long run: interruption, resume, limits, divergence and settings that cannot work."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from faceguard.device import make_fabric
from faceguard.errors import FaceguardError, NoiseDidNotConverge, RunError, TrainingDiverged
from faceguard.identities import Faces
from faceguard.noise import NoiseSettings, Round, generate, pgd
from tests.small import QUICK, SIZE, interrupt_after, learn, tiny_faces, tiny_net


def test_a_checkpoint_is_written_as_often_as_is_asked_for_and_after_the_last_round_that_is_allowed(tmp_path):
    often, checkpoint, seen = [], tmp_path / "noise.ckpt", []
    for every in (0, 1000):
        seen.clear()
        few = replace(QUICK, max_rounds=3, stop_error=1e-9)
        with pytest.raises(NoiseDidNotConverge):
            asked = {
                "checkpoint": checkpoint,
                "save_every": every,
                "progress": lambda _: seen.append(checkpoint.exists()),
            }
            learn(tiny_faces(), few, **asked)
        often.append([*seen, checkpoint.exists()])
        checkpoint.unlink()
    assert often == [[False, True, True, True], [False, False, False, True]]


@pytest.mark.parametrize("form", ["class-wise", "sample-wise"])
def test_a_resumed_generation_equals_an_undisturbed_one_bit_for_bit(tmp_path, form):
    faces = tiny_faces()
    chosen = replace(QUICK, form=form, flip=True, crop_share=0.13, stop_error=0.06, train_steps=2, max_rounds=40)
    rounds: list[Round] = []
    undisturbed = learn(faces, chosen, progress=rounds.append)
    assert len(rounds) > 3
    checkpoint = tmp_path / "noise.ckpt"
    with pytest.raises(KeyboardInterrupt):
        learn(faces, chosen, checkpoint=checkpoint, progress=interrupt_after(3))
    assert checkpoint.exists()
    again: list[Round] = []
    resumed = learn(faces, chosen, checkpoint=checkpoint, progress=again.append)
    assert torch.equal(resumed, undisturbed)
    assert again == rounds[2:]
    assert list(tmp_path.iterdir()) == [checkpoint]  # the caller deletes it once the noise is saved


@pytest.mark.parametrize("changed", ["settings", "seed", "photos", "names", "learn_on", "model", "solver", "precision"])
def test_a_checkpoint_of_another_run_is_refused_and_kept(tmp_path, changed):
    faces, checkpoint, fabric = tiny_faces(), tmp_path / "noise.ckpt", make_fabric(device="cpu")
    with pytest.raises(KeyboardInterrupt):
        generate(fabric, faces, tiny_net(), QUICK, seed=7, checkpoint=checkpoint, progress=interrupt_after(2))
    before = checkpoint.read_bytes()
    others = {
        "faces": tiny_faces(seed=1) if changed == "photos" else faces,
        "source": nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE**2, 3)) if changed == "model" else tiny_net(),
        "settings": replace(QUICK, train_steps=4) if changed == "settings" else QUICK,
        "seed": 8 if changed == "seed" else 7,
        "learn_on": torch.arange(9) if changed == "learn_on" else None,
    }
    if changed == "names":
        others["faces"] = replace(faces, names=("a", "b", "c"))
    if changed == "solver":
        others["solve"] = lambda *given: pgd(*given)
    if changed == "precision":
        fabric = make_fabric(device="cpu", precision="bf16")
    with pytest.raises(
        RunError, match=r"noise\.ckpt was left by a run with other settings, faces, model or seed, or in"
    ):
        generate(fabric, **others, checkpoint=checkpoint)
    assert checkpoint.read_bytes() == before


def test_a_checkpoint_is_refused_when_one_photo_of_many_changed_and_the_photos_are_hashed_once(tmp_path, monkeypatch):
    checkpoint, hashed, digest = tmp_path / "noise.ckpt", [], Faces.digest
    monkeypatch.setattr(Faces, "digest", lambda faces: hashed.append(faces) or digest(faces))
    slow = replace(QUICK, train_steps=1, stop_error=0.001)
    with pytest.raises(KeyboardInterrupt):
        learn(tiny_faces(3, 60), slow, checkpoint=checkpoint, progress=interrupt_after(3))
    assert len(hashed) == 1
    changed = tiny_faces(3, 60)
    changed.pixels[2, 0, 0, 0] ^= 1
    with pytest.raises(RunError, match="other settings, faces"):
        learn(changed, slow, checkpoint=checkpoint)


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "a list"])
def test_a_damaged_checkpoint_is_named(tmp_path, damage):
    checkpoint = tmp_path / "noise.ckpt"
    with pytest.raises(KeyboardInterrupt):
        learn(tiny_faces(), QUICK, checkpoint=checkpoint, progress=interrupt_after(2))
    whole = checkpoint.read_bytes()
    if damage == "a list":
        torch.save([1, 2], checkpoint)
    else:
        checkpoint.write_bytes({"truncated": whole[: len(whole) // 2], "empty": b"", "text": b"hello there"}[damage])
    with pytest.raises(RunError, match=r"noise\.ckpt is no .*checkpoint.*delete it"):
        learn(tiny_faces(), QUICK, checkpoint=checkpoint)


def test_a_checkpoint_with_code_in_it_is_refused_and_the_code_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (exec, (f"open({str(tmp_path / 'ran')!r}, 'w').close()",))

    torch.save({"fingerprint": Evil()}, tmp_path / "noise.ckpt")
    with pytest.raises(RunError, match="no readable checkpoint"):
        learn(tiny_faces(), QUICK, checkpoint=tmp_path / "noise.ckpt")
    assert not (tmp_path / "ran").exists()


def test_rounds_that_run_out_are_an_error_and_a_larger_limit_goes_on_where_it_stopped(tmp_path):
    faces, checkpoint = tiny_faces(), tmp_path / "noise.ckpt"
    chosen = replace(QUICK, stop_error=0.06, train_steps=2, max_rounds=40)
    undisturbed = learn(faces, chosen)
    with pytest.raises(
        NoiseDidNotConverge, match=r"After 2 rounds the stop error 0.06 has not been reached; allow more"
    ):
        learn(faces, replace(chosen, max_rounds=2), checkpoint=checkpoint)
    rounds: list[Round] = []
    assert torch.equal(learn(faces, chosen, checkpoint=checkpoint, progress=rounds.append), undisturbed)
    assert rounds[0].number == 3


def test_every_step_of_every_round_has_draws_of_its_own(monkeypatch):
    import faceguard.noise as module

    drawn, step = [], module.optimizer_step
    monkeypatch.setattr(module, "optimizer_step", lambda *a: drawn.append(float(torch.rand(()))) or step(*a))
    chosen = replace(QUICK, stop_error=1e-9, max_rounds=3)
    with pytest.raises(NoiseDidNotConverge):
        learn(tiny_faces(), chosen, solve=lambda *a: drawn.append(float(torch.rand(()))) or pgd(*a))
    assert len(set(drawn)) == len(drawn) == 3 * (3 + 3)


def test_the_error_is_that_of_the_photos_as_they_are_and_of_those_learnt_on_alone(monkeypatch):
    tried = []

    def augmentation(*_, **__):
        return lambda pixels: tried.append(torch.is_inference_mode_enabled()) or pixels

    monkeypatch.setattr("faceguard.noise_run.flip_and_crop", augmentation)
    flat = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE**2, 3))
    nn.init.zeros_(flat[1].weight)
    flat[1].bias.data = torch.tensor([1.0, 0.0, 0.0])
    rounds: list[Round] = []
    chosen, part = replace(QUICK, objective="error-maximizing"), torch.tensor([0, 6, 7, 12])
    generate(make_fabric(device="cpu"), tiny_faces(), flat, chosen, seed=7, learn_on=part, progress=rounds.append)
    assert [done.error for done in rounds] == [0.75]
    assert tried and not any(tried)


def test_noise_is_learnt_in_the_precision_of_the_training():
    told = []
    for precision in ("bf16", "fp32"):
        solve = lambda *a: told.append(torch.is_autocast_enabled("cpu")) or pgd(*a)  # noqa: E731
        one = replace(QUICK, stop_error=0.999, batch_size=18)
        generate(make_fabric(device="cpu", precision=precision), tiny_faces(), tiny_net(), one, seed=7, solve=solve)
    assert told == [True, False]


def test_photos_are_published_before_a_trainer_flips_and_crops_them(monkeypatch):
    order = []
    monkeypatch.setattr(
        "faceguard.noise_run.flip_and_crop", lambda *_, **__: lambda pixels: order.append("flipped") or pixels
    )
    publish = lambda pixels: order.append("published") or pixels  # noqa: E731
    learn(tiny_faces(), replace(QUICK, publication=publish, stop_error=0.999, train_steps=1, batch_size=18))
    assert order == ["published", "flipped"] * 2


def test_a_diverging_source_model_is_a_sentence_and_the_last_good_round_stays(tmp_path):
    faces, checkpoint = tiny_faces(), tmp_path / "noise.ckpt"
    with pytest.raises(TrainingDiverged, match=r"after round 1 at learning rate 1e\+30; lower the learning rate"):
        learn(faces, replace(QUICK, learning_rate=1e30), checkpoint=checkpoint)
    assert not checkpoint.exists()


@pytest.mark.parametrize("too_large", [{"cells": SIZE + 1}, {"patch": SIZE + 1}])
def test_cells_and_patches_larger_than_the_faces_are_refused_before_anything_is_learnt(too_large):
    rounds: list[Round] = []
    with pytest.raises(FaceguardError, match=r"=9 does not fit faces of 8 pixels; choose 8 or fewer, or larger faces"):
        learn(tiny_faces(), replace(QUICK, **too_large), solve=None, progress=rounds.append)
    assert not rounds


def test_noise_is_of_few_cells_or_a_patch():
    with pytest.raises(FaceguardError, match="few cells or a patch, not both"):
        NoiseSettings(cells=4, patch=4)


def test_batches_of_one_are_for_source_models_that_no_longer_learn():
    for finished in ({"objective": "error-maximizing"}, {"targeted": True}):
        NoiseSettings(batch_size=1, **finished)
    with pytest.raises(FaceguardError, match="batch_size 1 gives batch normalisation nothing to average over; use 2"):
        NoiseSettings(batch_size=1)


def test_settings_name_all_their_problems_at_once():
    with pytest.raises(FaceguardError) as caught:
        NoiseSettings(epsilon=2, step_size=0, pgd_steps=0, stop_error=1.5, learning_rate=float("nan"), gradient_clip=-1)
    for word in ("epsilon 2", "step_size", "pgd_steps", "stop_error", "learning_rate", "nan", "gradient_clip"):
        assert word in str(caught.value)
