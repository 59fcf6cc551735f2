"""The order of the photos in every pass: the same for the same seed, wherever it is entered, and drawn once a pass."""

from dataclasses import replace

import pytest
import torch

from faceguard.device import generator
from faceguard.passes import Passes
from tests.small import QUICK, tiny_faces

FACES = tiny_faces(photos=9)  # 27 in batches of eight: three a pass, and three photos are left out


def passes(learn_on=None, **changes):
    return Passes(FACES, replace(QUICK, **changes), learn_on, seed=7, device=torch.device("cpu"))


def test_the_source_models_batches_go_through_one_order_a_pass_and_leave_an_incomplete_last_one_out():
    every = passes()
    for number in range(3):
        order = torch.randperm(27, generator=generator(7, "source order", number))
        for position in range(3):
            photos, rows = every.source(3 * number + position)
            assert torch.equal(photos.here, order[8 * position : 8 * position + 8])
            assert torch.equal(rows.here, torch.from_numpy(FACES.labels)[photos.here])


def test_a_pass_can_be_entered_anywhere_and_again():
    every, other = passes(), passes()
    ahead = [every.source(step)[0].here for step in range(7)]
    assert all(torch.equal(other.source(step)[0].here, ahead[step]) for step in (5, 1, 1, 6, 0))


def test_an_order_is_drawn_once_a_pass(monkeypatch):
    drawn, draw = [], torch.randperm
    monkeypatch.setattr(torch, "randperm", lambda *a, **k: drawn.append(a) or draw(*a, **k))
    every = passes()
    for step in range(9):
        every.source(step)
    assert drawn == [(27,)] * 3


def test_a_batch_larger_than_all_photos_is_all_photos():
    photos, _ = passes(batch_size=50).source(4)
    assert sorted(photos.here.tolist()) == list(range(27))


@pytest.mark.parametrize("form", ["class-wise", "sample-wise"])
def test_noise_and_error_meet_the_photos_to_learn_on_with_their_own_rows(form):
    part = torch.tensor([20, 3, 9, 4, 26, 1, 8, 2, 15])
    every = passes(part, form=form)
    own = torch.from_numpy(FACES.labels) if form == "class-wise" else torch.arange(27)
    order = part[torch.randperm(9, generator=generator(7, "noise order", 2))]
    for expected, met in ((order, list(every.noise(2))), (part, every.error())):
        assert torch.equal(torch.cat([photos.here for photos, _ in met]), expected)
        assert torch.equal(torch.cat([rows.here for _, rows in met]), own[expected])


def test_targeted_rows_lie_on_anybodys_photos_and_are_tried_on_other_peoples():
    every = passes(targeted=True)
    for photos, rows in every.error():
        assert not torch.isin(rows.here - torch.from_numpy(FACES.labels)[photos.here], torch.tensor([0])).any()
    order = torch.randperm(27, generator=generator(7, "noise order", 0))
    torch.manual_seed(3)
    met = list(every.noise(0))
    assert torch.equal(torch.cat([photos.here for photos, _ in met]), order)
    assert [(len(rows.here), len(rows.here.unique())) for _, rows in met] == [(8, 1), (8, 1), (8, 1), (3, 1)]
    torch.manual_seed(3)
    assert [rows.here[0] for _, rows in met] == [torch.randperm(3)[0] for _ in met]
