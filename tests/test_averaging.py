"""The averaging attack: its estimate against the dense formula, a planted row, and photos without one."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small import tiny_bank, tiny_faces

from faceguard.adversary import Scratch
from faceguard.averaging import Averaging, estimate_rows, subtract_rows
from faceguard.device import make_fabric
from faceguard.readers.synthetic import synthetic_faces
from faceguard.study import protect_faces
from faceguard.train import TrainSettings

EPSILON = 16 / 255
STRONG = 24 / 255  # drawn faces vary more from photo to photo than real ones


@pytest.fixture(scope="module")
def planted():
    """Twelve people of 40 photos, every other one with a random row of their own; the rows; who has one; and clean."""
    faces = synthetic_faces(12, 40, size=32, seed=0)
    bank = tiny_bank(6, 32, STRONG)
    rows = {name: i for i, name in enumerate(faces.names[::2])}
    return protect_faces(faces, bank, rows), bank.levels(range(6)), np.arange(12) % 2 == 0, faces


def correlation(one, other):
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def test_a_planted_row_is_recovered_and_far_better_than_by_the_difference_of_means(planted):
    noisy, rows, has_one, _ = planted
    found = estimate_rows(noisy, epsilon=STRONG, seed=0)[has_one]
    means = np.stack([noisy.pixels[noisy.labels == k].mean(axis=0) for k in range(12)])
    plain = (means - means.mean(axis=0))[has_one]
    assert min(correlation(estimate, row) for estimate, row in zip(found, rows, strict=True)) > 0.9
    assert np.square(found - rows).mean() < np.square(plain - rows).mean() / 3


def test_whoever_has_no_row_is_estimated_to_have_a_weak_one(planted):
    noisy, rows, has_one, clean = planted
    power = (estimate_rows(noisy, epsilon=STRONG, seed=0) ** 2).mean(axis=(1, 2, 3)) ** 0.5
    assert power[~has_one].max() < 0.65 * power[has_one].min()
    assert (estimate_rows(clean, epsilon=STRONG, seed=0) ** 2).mean() < (rows.astype(float) ** 2).mean() / 4


def test_subtracting_the_estimate_leaves_less_noise_than_it_found(planted):
    noisy, rows, has_one, clean = planted
    attacked = subtract_rows(noisy, estimate_rows(noisy, epsilon=STRONG, seed=0))
    left = [
        (attacked.pixels[attacked.labels == k].mean(0) - clean.pixels[clean.labels == k].mean(0)) for k in range(12)
    ]
    assert np.mean(np.square(left)[has_one]) < 0.3 * np.mean(np.square(rows, dtype=float))


@given(st.integers(2, 4), st.integers(2, 5), st.integers(0, 2**20))
@settings(deadline=None, max_examples=15)
def test_the_estimate_is_that_of_the_dense_formula(identities, photos, seed):
    """tau (tau I + S / n)^-1 (mean_k - mu), with the d x d scatter S written out."""
    faces = tiny_faces(identities, photos, seed=seed)
    x = faces.pixels.reshape(len(faces), -1).astype(float)
    means = np.stack([x[faces.labels == k].mean(0) for k in range(identities)])
    deviations = x - means[faces.labels]
    scatter = deviations.T @ deviations / (identities * (photos - 1))
    power = 16**2 / 3
    shrunk = power * np.linalg.inv(power * np.eye(x.shape[1]) + scatter / photos)
    expected = (means - means.mean(0)) @ shrunk
    found = estimate_rows(faces, epsilon=EPSILON, seed=0).reshape(identities, -1)
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_people_with_many_photos_do_not_move_the_mean_face_and_whoever_has_none_counts_as_nobody():
    faces = tiny_faces(4, 6).take([*range(6), 6, 7, 18, 19, 20, 21])
    present = [0, 1, 3]
    x = faces.pixels.reshape(len(faces), -1).astype(float)
    means = np.stack([x[faces.labels == k].mean(0) for k in present])
    deviations = x - means[[present.index(label) for label in faces.labels]]
    power = 16**2 / 3
    noisy = power * np.eye(x.shape[1]) + deviations.T @ deviations / (12 - 3) / (12 / 3)
    found = estimate_rows(faces, epsilon=EPSILON, seed=0).reshape(4, -1)
    np.testing.assert_allclose(found[present], power * (means - means.mean(0)) @ np.linalg.inv(noisy), atol=0.02)


def test_one_photo_each_and_identities_without_photos_give_a_finite_estimate():
    faces = tiny_faces(4, 2)
    lone = faces.take([0, 2, 4])
    found = estimate_rows(lone, epsilon=EPSILON, seed=0)
    assert np.isfinite(found).all()
    assert not found[3].any()
    assert np.isfinite(estimate_rows(faces.take([0]), epsilon=EPSILON, seed=0)).all()


def test_a_part_of_the_photos_is_drawn_by_seed_when_there_are_many():
    faces = tiny_faces(3, 6)
    one, again, other = (estimate_rows(faces, epsilon=EPSILON, seed=seed, at_most=9) for seed in (0, 0, 1))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_rows_are_subtracted_from_their_identity_in_whole_levels_within_the_range():
    faces = tiny_faces(2, 2)
    pixels = faces.pixels.copy()
    pixels[0, 0, 0], pixels[0, 0, 1] = 3, 250
    faces = replace(faces, pixels=pixels)
    rows = np.zeros((2, *pixels.shape[1:]), dtype=np.float32)
    rows[0] = 5.4
    rows[0, 0, 1] = -16
    found = subtract_rows(faces, rows).pixels
    assert np.array_equal(found[2:], pixels[2:])
    assert (found[0, 0, 0].tolist(), found[0, 0, 1].tolist()) == ([0, 0, 0], [255, 255, 255])
    assert np.array_equal(found[1, 1:], np.clip(pixels[1, 1:].astype(int) - 5, 0, 255))
    assert np.array_equal(faces.pixels, pixels)


def test_the_attack_is_what_the_next_adversary_makes_of_the_cleaned_faces():
    train, test = tiny_faces(3, 6, seed=0), tiny_faces(3, 2, seed=1)
    then = Scratch(width=8, size=8, train=TrainSettings(epochs=1, batch_size=6))
    rows = np.clip(estimate_rows(train, epsilon=EPSILON, seed=4), -16, 16)
    fabric = make_fabric(device="cpu")
    expected = then.attack(fabric, subtract_rows(train, rows), test, seed=4)
    found = Averaging(then=then).attack(fabric, train, test, seed=4)
    assert torch.equal(found.embeddings, expected.embeddings)
    assert not torch.equal(found.embeddings, then.attack(fabric, train, test, seed=4).embeddings)


def test_the_attack_estimates_with_its_seed_and_hands_its_countermeasure_on(monkeypatch):
    seeds, changed = [], []
    monkeypatch.setattr(
        "faceguard.averaging.estimate_rows",
        lambda faces, *, epsilon, seed: seeds.append(seed) or estimate_rows(faces, epsilon=epsilon, seed=seed),
    )
    then = Scratch(width=8, size=8, train=TrainSettings(epochs=1, batch_size=6))
    fabric, change = make_fabric(device="cpu"), lambda _, x, y, done: changed.append(len(x)) or (x, y)
    Averaging(then=then).attack(fabric, tiny_faces(3, 6), tiny_faces(3, 2, seed=1), seed=4, change_batch=change)
    assert (seeds, changed) == ([4], [6, 6, 6])
