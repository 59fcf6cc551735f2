"""Adversaries who know the rows: projecting removes their span, augmenting adds them to anybody."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import tiny_bank, tiny_faces, tiny_noise
from studies import data  # noqa: F401

import eval.adaptive
from eval.adaptive import (
    NoiseAugmented,
    Projecting,
    add_random_rows,
    bank_hashes,
    known_rows,
    open_bank,
    project_out,
    span,
)
from eval.engine import adversary_of, jobs_of, loaded
from eval.plan import Plan
from faceguard.adversary import Scratch
from faceguard.bank import make_bank
from faceguard.device import make_fabric
from faceguard.errors import BankError, RunError
from faceguard.identification import embed
from faceguard.identities import Faces
from faceguard.study import protect_faces
from faceguard.train import TrainSettings

RECIPE = """
from eval.banks import BankRecipe
from eval.experiment import Condition, FaceStudy
experiment = FaceStudy(
    claim="", faces="people", noises={"own": BankRecipe(faces="people")}, expectations=(),
    conditions=tuple(
        Condition(adversary=who, noise=noise, protected=2)
        for who in ("projecting", "noise-augmented") for noise in ("own", "plain")
    ),
)
"""
SCRATCH = Scratch(width=8, size=8, train=TrainSettings(epochs=1, batch_size=6))


@pytest.fixture
def shipped(monkeypatch):
    """Two banks that ship, small ones of 8 px; they have one row in common."""
    noise = tiny_noise(4)
    parts = {"shipped": noise[:3], "plain": noise[2:]}
    banks = {
        name: make_bank(rows, epsilon=16 / 255, identities=tuple("abc"[: len(rows)]), form="class-wise", seed=0)
        for name, rows in parts.items()
    }
    monkeypatch.setattr(eval.adaptive, "WITH_THE_PACKAGE", {name: partial(banks.get, name) for name in banks})
    return banks


def grey_faces(count, *, seed=0):
    """Faces far from black and white, so that nothing is clipped."""
    pixels = np.random.default_rng(seed).integers(100, 156, (count, 8, 8, 3)).astype(np.uint8)
    return Faces(pixels=pixels, labels=np.arange(count) % 2, names=("a", "b"), keys=tuple(map(str, range(count))))


def flat(faces):
    return torch.from_numpy(faces.pixels).permute(0, 3, 1, 2).float().flatten(1)


@given(st.integers(1, 6), st.integers(0, 2**20))
@settings(deadline=None, max_examples=25)
def test_nothing_but_rounding_is_left_in_the_span_and_nothing_outside_is_touched(rows, seed):
    basis = span(tiny_noise(rows, seed=seed).flatten(1))
    assert basis.shape == (rows, 192)
    torch.testing.assert_close(basis @ basis.T, torch.eye(rows), rtol=0, atol=1e-4)
    faces = grey_faces(6, seed=seed)
    center = faces.pixels.mean(axis=0, dtype=np.float32)
    found = project_out(faces, basis, center)
    middle = torch.from_numpy(center).permute(2, 0, 1).flatten()
    before, after = flat(faces) - middle, flat(found) - middle
    assert (after @ basis.T).norm(dim=1).max() <= 0.5 * 192**0.5  # each of 192 values is rounded by at most one half
    outside = before - before @ basis.T @ basis
    assert (after - outside).abs().max() <= 0.501


def test_a_protected_face_and_the_clean_one_are_the_same_after_projecting():
    faces, bank = grey_faces(4), tiny_bank(2)
    noisy = protect_faces(faces, bank, {"a": 0, "b": 1})
    basis = span(bank.delta([0, 1]).flatten(1))
    center = faces.pixels.mean(axis=0, dtype=np.float32)
    one, other = (project_out(some, basis, center).pixels.astype(int) for some in (faces, noisy))
    assert np.abs(noisy.pixels.astype(int) - faces.pixels).max() == 16
    assert np.abs(one - other).max() <= 1


def test_the_span_has_the_rank_of_the_rows_or_less_when_asked_and_the_strongest_come_first():
    rows = tiny_noise(3).flatten(1)
    repeated = torch.cat([rows, 2 * rows, rows[:1] - rows[1:2]])
    assert len(span(repeated)) == 3
    strong = torch.cat([10 * rows[:1], rows[1:]])
    first = span(strong, rank=1)
    assert abs(float(first @ rows[0]) / float(rows[0].norm())) > 0.99


def test_the_rows_of_all_banks_are_known_once_at_any_size(shipped):
    assert known_rows(("shipped", "plain"), 8).shape == (4, 3, 8, 8)
    assert known_rows(("plain",), 8).shape == (2, 3, 8, 8)
    halved = known_rows(("plain",), 4)
    means = shipped["plain"].delta([0, 1]).reshape(2, 3, 4, 2, 4, 2).mean(dim=(3, 5))
    assert {tuple(row.flatten().tolist()) for row in halved.round(decimals=5)} == {
        tuple(row.flatten().tolist()) for row in means.round(decimals=5)
    }
    assert known_rows(("plain",), 16).shape == (2, 3, 16, 16)


def test_a_file_is_a_bank_like_any_other_and_a_missing_one_is_a_sentence(tmp_path):
    tiny_bank(3).save(tmp_path / "own.safetensors")
    located = Projecting(banks=("own.safetensors", "plain")).located(tmp_path)
    assert located.banks == (str(tmp_path / "own.safetensors"), "plain")
    assert bank_hashes(located.banks[:1]).startswith("own.safetensors ")
    with pytest.raises(BankError, match="There is no noise bank"):
        NoiseAugmented(banks=("absent.safetensors",)).fingerprint()


def test_random_rows_come_with_either_sign_on_about_the_wanted_share():
    rows = tiny_noise(2)
    x = torch.full((400, 3, 8, 8), 0.5)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        change = add_random_rows(x, rows, 0.5) - 0.5
        assert torch.equal(add_random_rows(x, rows, 0.0), x)
        assert (add_random_rows(x, rows, 1.0) != x).flatten(1).any(dim=1).all()
    kinds = torch.stack([torch.zeros_like(rows[0]), rows[0], rows[1], -rows[0], -rows[1]])
    distance = (change[:, None] - kinds[None]).flatten(2).norm(dim=2)
    assert distance.min(dim=1).values.max() < 1e-5
    counts = torch.bincount(distance.argmin(dim=1), minlength=5).tolist()
    assert counts[0] == pytest.approx(200, abs=40)
    assert min(counts[1:]) > 25


def test_pixels_stay_pixels_when_rows_are_added():
    x = torch.cat([torch.zeros(8, 3, 8, 8), torch.ones(8, 3, 8, 8)])
    found = add_random_rows(x, tiny_noise(2), 1.0)
    assert (float(found.min()), float(found.max())) == (0, 1)


def test_noise_comes_before_another_change_of_the_batch_and_at_the_size_of_training(shipped):
    train, test = tiny_faces(3, 6, seed=0), tiny_faces(3, 2, seed=1)
    seen = []

    def look(_, x, y, done):
        seen.append(x)
        return x, y

    adversary = NoiseAugmented(then=Scratch(width=8, size=16, train=TrainSettings(epochs=1, batch_size=6)), share=1.0)
    adversary.attack(make_fabric(device="cpu"), train, test, seed=0, change_batch=look)
    with_noise = torch.cat(seen)
    seen.clear()
    adversary.then.attack(make_fabric(device="cpu"), train, test, seed=0, change_batch=look)
    assert with_noise.shape == torch.cat(seen).shape == (18, 3, 16, 16)
    change = (with_noise - torch.cat(seen)).flatten(1).abs().amax(dim=1)
    assert (change > 0).all()


@pytest.mark.parametrize("rows", ["known", "estimated"])
def test_projecting_attacks_with_both_sets_projected(shipped, rows):
    train, test = tiny_faces(3, 6, seed=0), tiny_faces(3, 2, seed=1)
    fabric = make_fabric(device="cpu")
    found = Projecting(then=SCRATCH, rows=rows, rank=2).attack(fabric, train, test, seed=0)
    plain = SCRATCH.attack(fabric, train, test, seed=0)
    assert not torch.equal(found.embeddings, plain.embeddings)
    if rows == "known":
        basis = span(known_rows(("shipped", "plain"), 8).flatten(1))
        center = train.pixels.mean(axis=0, dtype=np.float32)
        both = (project_out(faces, basis, center) for faces in (train, test))
        assert torch.equal(found.embeddings, SCRATCH.attack(fabric, *both, seed=0).embeddings)
    torch.testing.assert_close(embed(found.embedder, test), found.embeddings)  # other faces are projected as well


def test_rows_that_are_neither_known_nor_estimated_are_a_sentence():
    with pytest.raises(RunError, match="Rows 'guessed' are neither known nor estimated"):
        Projecting(then=SCRATCH, rows="guessed").attack(make_fabric(device="cpu"), tiny_faces(), tiny_faces(), seed=0)


def test_a_study_gives_whoever_knows_rows_the_rows_that_it_uses(data, tmp_path, monkeypatch):
    """With the rows of other banks they would defeat less than they can."""
    recipe = tmp_path / "tiny.py"
    recipe.write_text(RECIPE)
    plan = Plan(recipe=recipe, data=data, out=tmp_path, scale="smoke", precision="fp32")
    for job in jobs_of(plan, "*/error-minimizing"):
        adversary = adversary_of(plan, job.condition)
        (known,) = adversary.banks
        assert torch.equal(open_bank(known).rows, loaded(plan).bank(job.condition.noise).rows)
        assert bank_hashes(adversary.banks) in adversary.fingerprint()


def test_banks_that_differ_in_their_budget_alone_are_two_banks(shipped, monkeypatch):
    louder = {name: partial(lambda bank: replace(bank, epsilon=0.2), bank) for name, bank in shipped.items()}
    before = bank_hashes(("plain",))
    monkeypatch.setattr(eval.adaptive, "WITH_THE_PACKAGE", louder)
    assert bank_hashes(("plain",)) != before


def test_an_extractor_that_sees_projected_faces_is_no_longer_one_for_all_training_faces(shipped, monkeypatch):
    attack = SCRATCH.attack
    monkeypatch.setattr(Scratch, "attack", lambda _, *a, **k: replace(attack(*a, **k), frozen="weights"))
    found = Projecting(then=SCRATCH).attack(make_fabric(device="cpu"), tiny_faces(), tiny_faces(seed=1), seed=0)
    assert found.frozen is None


def test_estimated_rows_are_those_of_the_seed_and_no_more_than_the_rank(monkeypatch):
    told, estimate = [], eval.adaptive.estimate_rows
    monkeypatch.setattr(eval.adaptive, "estimate_rows", lambda *a, **k: told.append(k) or estimate(*a, **k))
    train, test = tiny_faces(4, 6), tiny_faces(4, 2, seed=1)
    attacks = [
        Projecting(then=SCRATCH, rows="estimated", rank=rank).attack(make_fabric(device="cpu"), train, test, seed=5)
        for rank in (1, 2)
    ]
    assert told == [{"epsilon": 16 / 255, "seed": 5}] * 2
    assert not torch.equal(attacks[0].embeddings, attacks[1].embeddings)
