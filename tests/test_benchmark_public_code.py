"""The benchmark against the public loop, at a tiny scale: equal noise, the same passes, and limits on a GPU alone."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from benchmarks import __main__ as command
from benchmarks import public_code
from benchmarks.public_code import LIMITS, OneRound, differences, ours, public
from faceguard.recognizer import Recognizer

TINY = OneRound(form="class-wise", photos=24, train_steps=2, pgd_steps=2, width=8, batch_size=8, size=16)
FORMS = pytest.mark.parametrize("one", [TINY, replace(TINY, form="sample-wise")], ids=lambda one: one.form)


@FORMS
def test_the_noise_equals_the_public_loops_bit_for_bit_each_time_it_is_measured(one):
    ours_side, public_side = ours(one), public(one, torch.channels_last)
    first = ours_side()
    assert first.shape == (10 if one.form == "class-wise" else 24, 3, 16, 16)
    assert all(torch.equal(first, other) for other in (public_side(), public_side(), ours_side()))
    assert not torch.equal(first, ours(replace(one, pgd_steps=1))())


@FORMS
def test_both_sides_make_the_same_passes_over_the_network(one, monkeypatch):
    counts = {"train": 0, "eval": 0}
    forward = Recognizer.forward

    def counting(model, pixels):
        counts["train" if model.training else "eval"] += len(pixels)
        return forward(model, pixels)

    monkeypatch.setattr(Recognizer, "forward", counting)
    ours(one)()
    assert counts == {"train": 2 * 8, "eval": 2 * 24 + 24}  # M batches; T steps and one error pass over all photos
    public(one, torch.contiguous_format)()
    assert counts == {"train": 2 * 16, "eval": 6 * 24}


@FORMS
def test_ours_is_compared_with_the_loop_as_published_and_in_our_layout(one):
    published, laid_out = public_code.run([one], repetitions=1)
    assert published.name == f"{one.form} generation over the public loop"
    assert laid_out.name == f"{published.name} laid out as ours"
    assert laid_out.notes == {"equal": 1.0, "largest_difference": 0.0}
    assert set(published.notes) == set(laid_out.notes)
    assert published.measured == laid_out.measured
    assert laid_out.limit is None


@pytest.mark.parametrize(("device", "limit"), [("cpu", None), ("cuda", 1 / 3)])
def test_the_loop_as_published_has_a_limit_on_a_gpu_alone(device, limit, monkeypatch):
    fabric = SimpleNamespace(device=SimpleNamespace(type=device))
    monkeypatch.setattr(public_code, "make_fabric", lambda: fabric)
    monkeypatch.setattr(public_code, "ours", lambda _: lambda: torch.zeros(1))
    monkeypatch.setattr(public_code, "public", lambda *_: lambda: torch.zeros(1))
    published, laid_out = public_code.run([TINY], repetitions=1)
    assert (published.limit, laid_out.limit) == (limit, None)
    assert LIMITS["sample-wise"] == pytest.approx(1 / 1.2)


def test_differences_are_a_share_and_levels():
    noise = torch.tensor([0.0, 1.0, 2.0, 3.0]) / 255
    assert differences(noise, torch.tensor([0.0, 1.0, 2.0, 1.5]) / 255) == {"equal": 0.75, "largest_difference": 1.5}


def test_the_command_knows_the_benchmark(monkeypatch):
    asked = []
    monkeypatch.setattr(command, "public_code", SimpleNamespace(run=lambda **settings: asked.append(settings) or []))
    assert command.main(["public-code", "--repetitions", "7"]) == 0
    assert asked == [{"repetitions": 7}]
