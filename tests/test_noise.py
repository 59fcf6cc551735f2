"""Algorithm 1: row updates, and what each of its parts may and may not change."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from faceguard.device import generator, make_fabric
from faceguard.identities import to_pixels
from faceguard.noise import NoiseSettings, Round, generate, pgd, random_noise, update_rows
from tests.small import QUICK, SIZE, here, learn, tiny_faces, tiny_net

LEVEL = 1 / 255


# ---- rows


@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=12),
    st.integers(0, 2**31),
    st.floats(0.01, 0.5),
)
@settings(deadline=None, max_examples=60)
def test_every_row_in_the_batch_becomes_its_photos_mean_and_the_others_stay(rows, seed, epsilon):
    draw = torch.Generator().manual_seed(seed)
    noise = (2 * torch.rand(5, 3, 2, 2, generator=draw) - 1) * epsilon
    delta = (2 * torch.rand(len(rows), 3, 2, 2, generator=draw) - 1) * 1.5  # some beyond the budget
    before = noise.clone()
    update_rows(noise, here(rows), delta, epsilon)
    for row in range(5):
        mine = [delta[i] for i, r in enumerate(rows) if r == row]
        if not mine:
            assert torch.equal(noise[row], before[row])
        else:
            expected = torch.stack(mine).double().mean(0).clamp(-epsilon, epsilon)
            torch.testing.assert_close(noise[row].double(), expected, rtol=0, atol=1e-6)
    assert noise.abs().max() <= torch.tensor(epsilon)


def test_a_lone_photos_mean_is_itself_and_its_delta_stays():
    noise = torch.zeros(4, 3, 2, 2)
    delta = torch.rand(4, 3, 2, 2, generator=generator(0, "delta"))
    before = delta.clone()
    update_rows(noise, here([2, 0, 3, 1]), delta, 1.0)
    assert torch.equal(noise[[2, 0, 3, 1]], before)
    assert torch.equal(delta, before)


# ---- the whole algorithm


@pytest.mark.parametrize("stored", [True, False])
def test_rows_start_uniform_or_from_zero(tmp_path, stored):
    """One step of equation 3 by a hundredth of the budget shows where it began."""
    chosen = replace(QUICK, form="sample-wise", max_rounds=1, step_size=QUICK.epsilon / 100, stop_error=0.999)
    store = tmp_path / "rows.npy" if stored else None
    uniform, zero = (
        learn(tiny_faces(), chosen, from_zero=from_zero, store=store).double() / (127 if stored else QUICK.epsilon)
        for from_zero in (False, True)
    )
    assert uniform.abs().max() > 0.9 and 0 < zero.abs().max() < 0.02


def test_generation_lowers_the_error_and_the_noise_keeps_the_budget():
    rounds: list[Round] = []
    noise = learn(tiny_faces(), QUICK, progress=rounds.append)
    assert noise.shape == (3, 3, SIZE, SIZE)
    assert noise.dtype == torch.float32
    assert noise.abs().max() <= torch.tensor(QUICK.epsilon)
    assert [r.number for r in rounds] == list(range(1, len(rounds) + 1))
    assert rounds[-1].error <= QUICK.stop_error


def test_error_minimizing_noise_lowers_and_error_maximizing_noise_raises_the_loss_of_a_trained_model():
    faces, chosen = tiny_faces(photos=20), replace(QUICK, train_steps=30, stop_error=0.05, epsilon=32 * LEVEL)
    source = tiny_net()
    learn_source = replace(chosen, epsilon=1e-6, step_size=1e-7)
    generate(make_fabric(device="cpu"), faces, source, learn_source, seed=0)
    x, y = to_pixels(faces.pixels), torch.from_numpy(faces.labels)
    loss = {"clean": F.cross_entropy(source(x), y)}
    for objective in ("error-minimizing", "error-maximizing"):
        start = (random_noise(faces, "class-wise", chosen.epsilon, seed=3) / 10)[y]
        delta = pgd(source, x, y, start, replace(chosen, objective=objective, pgd_steps=10, step_size=4 * LEVEL))
        loss[objective] = F.cross_entropy(source((x + delta).clamp(0, 1)), y)
    assert loss["error-minimizing"] < loss["clean"] < loss["error-maximizing"]


def test_error_maximizing_generation_stops_when_the_trained_model_fails_and_leaves_its_weights_alone():
    faces, source = tiny_faces(photos=10), tiny_net()
    learn_source = replace(QUICK, epsilon=1e-6, step_size=1e-7, train_steps=30, stop_error=0.05)
    generate(make_fabric(device="cpu"), faces, source, learn_source, seed=0)
    before = {name: value.clone() for name, value in source.state_dict().items()}
    rounds: list[Round] = []
    worst = NoiseSettings(objective="error-maximizing", form="sample-wise", epsilon=0.5, step_size=0.05, batch_size=8)
    noise = generate(
        make_fabric(device="cpu"), faces, source, replace(worst, stop_error=0.3), seed=0, progress=rounds.append
    )
    assert rounds[-1].error >= 0.7
    assert noise.shape == (len(faces), 3, SIZE, SIZE)
    assert all(torch.equal(value, before[name]) for name, value in source.state_dict().items())


def test_batch_norm_statistics_and_weights_stay_untouched_while_the_noise_is_learnt():
    """Only the M steps of a round may change the source, and they do."""
    source, states, rounds = tiny_net(), [], []

    def state():
        return {name: value.clone() for name, value in source.state_dict().items()}

    def watched(*given):
        before = state()
        delta = pgd(*given)
        states.append((before, state()))
        return delta

    generate(make_fabric(device="cpu"), tiny_faces(), source, QUICK, seed=7, solve=watched, progress=rounds.append)
    assert all(torch.equal(value, before[name]) for before, after in states for name, value in after.items())
    in_a_round = len(states) // len(rounds)
    firsts = [before for before, _ in states[::in_a_round]]
    assert len(firsts) > 1
    for one, following, (_, left) in zip(firsts, firsts[1:], states[in_a_round - 1 :: in_a_round], strict=False):
        assert all(torch.equal(value, one[name]) for name, value in left.items())  # nor between two solves of a round
        assert not any(torch.equal(value, one[name]) for name, value in following.items())
    assert int(source[1].num_batches_tracked) == QUICK.train_steps * len(rounds)


@pytest.mark.parametrize("form", ["class-wise", "sample-wise"])
def test_random_noise_fills_the_budget_and_follows_its_seed(form):
    faces = tiny_faces()
    noise = random_noise(faces, form, 0.1, seed=1)
    assert noise.shape == (3 if form == "class-wise" else len(faces), 3, SIZE, SIZE)
    assert 0.095 < noise.max() <= 0.1
    assert -0.1 <= noise.min() < -0.095
    assert abs(noise.mean()) < 0.01
    assert torch.equal(noise, random_noise(faces, form, 0.1, seed=1))
    assert not torch.equal(noise, random_noise(faces, form, 0.1, seed=2))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not():
    faces, chosen = tiny_faces(), replace(QUICK, flip=True, crop_share=0.13)
    fabric = make_fabric(device="cpu")
    same = [generate(fabric, faces, tiny_net(), chosen, seed=7) for _ in range(2)]
    torch.rand(17)  # the caller's own draws must not matter
    same.append(generate(fabric, faces, tiny_net(), chosen, seed=7))
    assert torch.equal(same[0], same[1])
    assert torch.equal(same[0], same[2])
    assert not torch.equal(same[0], generate(fabric, faces, tiny_net(), chosen, seed=8))


def test_the_source_model_is_trained_as_the_settings_say(monkeypatch):
    import faceguard.noise as module

    told, step = [], module.optimizer_step
    monkeypatch.setattr(module, "optimizer_step", lambda *a: told.append((a[2].param_groups[0], a[5])) or step(*a))
    learn(tiny_faces(), replace(QUICK, learning_rate=0.03, momentum=0.7, weight_decay=0.002, gradient_clip=1.5))
    for group, clip in told:
        assert (group["lr"], group["momentum"], group["weight_decay"], clip) == (0.03, 0.7, 0.002, 1.5)


def test_learn_on_limits_the_learning_photos_while_the_source_trains_on_all(monkeypatch):
    faces = tiny_faces(photos=8)
    part = torch.arange(0, len(faces), 4)
    trained, learnt = [], []
    import faceguard.noise as module

    step, equation_3 = module.optimizer_step, module.pgd
    monkeypatch.setattr(module, "optimizer_step", lambda *a: trained.append(a[4].numpy().copy()) or step(*a))
    chosen = replace(QUICK, form="sample-wise", train_steps=4, max_rounds=1, stop_error=0.999)
    noise = learn(faces, chosen, learn_on=part, solve=lambda m, x, *a: learnt.append(x.clone()) or equation_3(m, x, *a))
    assert sum(map(len, trained)) == 4 * 8  # three batches of eight are one pass over all 24 photos
    counts = np.bincount(np.concatenate(trained[:3]), minlength=3)
    assert counts.tolist() == [8, 8, 8]
    x = to_pixels(faces.pixels)
    assert {tuple(p.flatten().tolist()) for p in torch.cat(learnt)} == {tuple(x[i].flatten().tolist()) for i in part}
    start = random_noise(faces, "sample-wise", chosen.epsilon, seed=7)
    changed = (noise != start).flatten(1).any(dim=1)
    assert changed.nonzero().flatten().tolist() == part.tolist()


@pytest.mark.parametrize(
    ("objective", "error", "done"),
    [
        ("error-minimizing", 0.1, True),
        ("error-minimizing", 0.11, False),
        ("error-maximizing", 0.9, True),
        ("error-maximizing", 0.89, False),
        ("error-maximizing", 0.05, False),
    ],
)
def test_the_stop_error_is_reached_from_the_objectives_side(objective, error, done):
    assert NoiseSettings(objective=objective).reached(error) == done


def test_bf16_generation_ends_with_finite_float32_noise_inside_the_budget():
    noise = generate(make_fabric(device="cpu", precision="bf16"), tiny_faces(), tiny_net(), QUICK, seed=7)
    assert noise.dtype == torch.float32
    assert noise.isfinite().all()
    assert noise.abs().max() <= torch.tensor(QUICK.epsilon)
