"""Targeted rows: learnt on anybody's photos against a source that stays as it is, so that they outweigh the face."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from faceguard.device import make_fabric
from faceguard.errors import FaceguardError
from faceguard.generate import SourceModel, learn_bank
from faceguard.identities import to_pixels
from faceguard.noise import NoiseSettings, Round, generate, random_noise
from tests.small import SIZE, interrupt_after, tiny_faces

TARGETED = NoiseSettings(targeted=True, epsilon=0.5, step_size=0.1, batch_size=16, max_rounds=12, stop_error=0.001)


class Linear(nn.Module):
    """Two classes told apart by fixed weights, D each."""

    def __init__(self, weights):
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, pixels):
        return pixels.flatten(1) @ self.weights.T


def test_of_two_classes_each_row_reaches_the_corner_that_its_own_label_likes_best():
    weights = torch.randn(2, 3 * SIZE * SIZE, generator=torch.Generator().manual_seed(0))
    faint = replace(TARGETED, epsilon=0.004, step_size=0.001)  # too faint to meet the stop error
    noise = generate(make_fabric(device="cpu"), tiny_faces(2, 16), Linear(weights.clone()), faint, seed=0)
    corner = faint.epsilon * (weights[0] - weights[1]).sign().view(3, SIZE, SIZE)
    torch.testing.assert_close(noise, torch.stack([corner, -corner]))


def test_a_row_makes_other_peoples_photos_look_like_its_own_identity_and_the_source_is_left_alone():
    # Colours so far apart that all four rows are found from four starts of five; of others fewer starts find them.
    faces, rounds, settings = tiny_faces(4, 16, seed=3), [], replace(TARGETED, max_rounds=30)
    bank = learn_bank(
        make_fabric(device="cpu"), faces, settings, source_model=SourceModel(width=16), seed=0, progress=rounds.append
    )
    source = bank.source()
    assert int(bank.source_weights["features.stem.1.num_batches_tracked"]) == 20 * 4  # epochs x batches, on clean faces

    def taken_for(noise, row):
        others = to_pixels(faces.pixels[faces.labels != row])
        with torch.inference_mode():
            return (source((others + noise[row]).clamp(0, 1)).argmax(1) == row).float().mean().item()

    control = random_noise(faces, "class-wise", TARGETED.epsilon, seed=1)
    found, chance = ([taken_for(noise, row) for row in range(4)] for noise in (bank.delta(range(4)), control))
    assert min(found) > 0.8
    assert max(chance) < 0.5
    assert rounds[-1].error == pytest.approx(1 - sum(found) / 4, abs=0.15)


def test_it_ends_after_its_rounds_whatever_the_error():
    rounds: list[Round] = []
    flat = Linear(torch.zeros(2, 3 * SIZE * SIZE))
    settings = replace(TARGETED, max_rounds=3)
    generate(make_fabric(device="cpu"), tiny_faces(2, 4), flat, settings, seed=0, progress=rounds.append)
    assert [done.number for done in rounds] == [1, 2, 3]
    assert rounds[-1].error >= 0.5


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_limit_below_the_rounds_that_are_done_gives_the_noise_they_left(tmp_path, limit):
    faces, flat, checkpoint = tiny_faces(2, 4), Linear(torch.rand(2, 3 * SIZE * SIZE)), tmp_path / "noise.ckpt"
    left = replace(TARGETED, max_rounds=2, epsilon=0.004, step_size=0.001)  # too faint to meet the stop error
    undisturbed = generate(make_fabric(device="cpu"), faces, flat, left, seed=0)
    with pytest.raises(KeyboardInterrupt):
        generate(
            make_fabric(device="cpu"),
            faces,
            flat,
            replace(left, max_rounds=9),
            seed=0,
            checkpoint=checkpoint,
            progress=interrupt_after(3),
        )
    resumed = generate(
        make_fabric(device="cpu"), faces, flat, replace(left, max_rounds=limit), seed=0, checkpoint=checkpoint
    )
    assert torch.equal(resumed, undisturbed) == (limit < 3)


@pytest.mark.parametrize("change", [{"form": "sample-wise"}, {"objective": "error-maximizing"}])
def test_other_forms_and_objectives_cannot_be_targeted(change):
    with pytest.raises(FaceguardError, match="targeted noise is class-wise and error-minimizing"):
        NoiseSettings(targeted=True, **change)
