"""The experiment: the faces of its arms, who is protected, and a tiny real run with its controls."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from faceguard.adversary import Scratch
from faceguard.bank import NoiseBank
from faceguard.decode import resize_faces
from faceguard.device import make_fabric
from faceguard.errors import DataError
from faceguard.identification import embed, predict, rank1, rank1_within
from faceguard.identities import Faces, split
from faceguard.readers.synthetic import synthetic_faces
from faceguard.study import (
    ARMS,
    ArmResult,
    arm_faces,
    draw_protected,
    judge,
    make_groups,
    protect_faces,
    protect_photos,
    verdict,
)
from faceguard.train import TrainSettings

EPSILON = 16 / 255


@pytest.fixture(scope="module")
def faces():
    return synthetic_faces(6, 5, size=16, seed=0)


def bank(rows=3, size=16, *, fill=None, epsilon=EPSILON):
    drawn = torch.randint(-127, 128, (rows, 3, size, size), generator=torch.Generator().manual_seed(0))
    values = drawn if fill is None else torch.full_like(drawn, fill)
    names = tuple(f"row {i}" for i in range(rows))
    return NoiseBank(rows=values.to(torch.int8), identities=names, epsilon=epsilon, form="class-wise", seed=0)


# ---- the arms' faces


def test_protecting_changes_the_named_identities_alone_and_by_their_row(faces):
    rows = {faces.names[1]: 2, faces.names[4]: 0}
    noise = bank()
    found = protect_faces(faces, noise, rows)
    change = found.pixels.astype(int) - faces.pixels
    for label, name in enumerate(faces.names):
        mine = change[faces.labels == label]
        if name not in rows:
            assert not mine.any()
            continue
        expected = np.clip(faces.pixels[faces.labels == label] + noise.levels(rows[name]), 0, 255)
        assert np.array_equal(found.pixels[faces.labels == label], expected)
        assert mine.any()
    assert (found.labels is faces.labels, found.names, found.keys) == (True, faces.names, faces.keys)


@given(st.integers(1, 255), st.integers(0, 2**20))
@settings(deadline=None, max_examples=25)
def test_no_pixel_changes_by_more_than_the_whole_level_budget(levels, seed):
    rng = np.random.default_rng(seed)
    pixels = rng.choice(np.array([0, 1, 128, 254, 255], dtype=np.uint8), (4, 8, 8, 3))
    some = Faces(pixels=pixels, labels=np.arange(4) % 2, names=("a", "b"), keys=tuple("abcd"))
    found = protect_faces(some, bank(2, 8, epsilon=levels / 255), {"a": 1, "b": 0})
    assert np.abs(found.pixels.astype(int) - pixels).max() <= levels


def test_protecting_leaves_the_callers_pixels_alone(faces):
    before = faces.pixels.copy()
    protect_faces(faces, bank(), {faces.names[0]: 0})
    assert np.array_equal(faces.pixels, before)


def test_a_bank_of_another_size_is_a_sentence(faces):
    with pytest.raises(DataError, match="The faces are 16 px and the bank's rows 32 px; read the faces at"):
        protect_faces(faces, bank(size=32), {faces.names[0]: 0})


def test_every_arm_has_its_faces_and_clean_is_untouched(faces):
    arms = arm_faces(faces, bank(), {faces.names[0]: 1}, seed=0)
    assert tuple(arms) == ARMS
    assert arms["clean"] is faces
    assert not np.array_equal(arms["random"].pixels, arms["error-minimizing"].pixels)
    for arm in ("random", "error-minimizing"):
        changed = np.flatnonzero((arms[arm].pixels != faces.pixels).any(axis=(1, 2, 3)))
        assert set(faces.labels[changed]) == {0}


def test_a_photo_finds_its_sample_wise_row_by_its_key_wherever_it_stands(faces):
    of_photos = replace(bank(30), identities=faces.keys[::-1], form="sample-wise")
    found = protect_photos(faces, of_photos, faces.names)
    assert np.array_equal(found.pixels, np.clip(faces.pixels + of_photos.levels(range(30))[::-1], 0, 255))


def test_the_public_codes_switch_is_that_of_both_noisy_arms(faces):
    arms = arm_faces(faces, bank(), {faces.names[0]: 1}, seed=0, original=True)
    for arm in ("random", "error-minimizing"):
        change = arms[arm].pixels.astype(int) - faces.pixels
        assert change.min() == 0 < change.max()


def test_groups_part_the_identities_and_an_empty_group_is_left_out(faces):
    groups = make_groups(faces, [faces.names[4], faces.names[1]])
    assert {group: labels.tolist() for group, labels in groups.items()} == {"protected": [1, 4], "others": [0, 2, 3, 5]}
    assert list(make_groups(faces, faces.names)) == ["protected"]
    assert list(make_groups(faces, [])) == ["others"]


def test_the_protected_identities_are_drawn_by_seed_and_keep_their_order():
    names = tuple(f"n{i:02}" for i in range(30))
    drawn = draw_protected(names, 10, seed=0)
    assert len(set(drawn)) == 10
    assert drawn == sorted(drawn)
    assert set(drawn) <= set(names)
    assert drawn == draw_protected(names, 10, seed=0) != draw_protected(names, 10, seed=1)
    assert draw_protected(names, 30, seed=0) == list(names)


def test_faces_are_resized_as_a_trainer_would_and_left_alone_at_their_size(faces):
    assert resize_faces(faces, 16) is faces
    small = resize_faces(faces, 8)
    assert small.pixels.shape == (30, 8, 8, 3)
    means = faces.pixels.reshape(30, 8, 2, 8, 2, 3).mean(axis=(2, 4))
    assert np.abs(small.pixels - means).max() <= 1
    assert resize_faces(faces, 24).size == 24


def test_the_best_epoch_may_be_the_first():
    found = ArmResult(losses=[], rank1={"all": [0.5, 0.1]}, within={"all": 0.2}, verification={})
    assert found.recognition == {"all": {"last": 0.1, "best": 0.5, "within": 0.2}}


# ---- a tiny real run


ADVERSARY = Scratch(width=8, size=32, train=TrainSettings(epochs=10, batch_size=16))


def train(faces, test):
    return ADVERSARY.attack(make_fabric(device="cpu"), faces, test, seed=0)


@pytest.fixture(scope="module")
def clean_run():
    faces, test = split(synthetic_faces(8, 20, size=32, seed=1), seed=0)
    return faces, test, train(faces, test)


def test_an_arm_is_judged_by_group_after_every_epoch(clean_run):
    faces, test, arm = clean_run
    groups = make_groups(faces, faces.names[:4])
    result = judge(arm, test, groups, seed=0)
    assert arm.predictions.shape == (10, len(test))
    correct = arm.predictions == test.labels
    for group, labels in groups.items():
        curve = [float(epoch[np.isin(test.labels, labels)].mean()) for epoch in correct]
        assert result.rank1[group] == curve
        within = rank1_within(arm.logits, test, {group: labels})[group]
        assert result.recognition[group] == {"last": curve[-1], "best": max(curve), "within": within}
    assert np.array_equal(predict(arm.embedder, test), arm.predictions[-1])
    torch.testing.assert_close(embed(arm.embedder, test), arm.embeddings)
    written = result.to_json()
    assert written["verification"]["auc"] == result.verification["all"].auc
    assert written["verification"]["eer"] == result.verification["all"].eer
    assert set(written["verification"]) == {"auc", "eer", "protected", "others"}
    assert written["curves"]["loss"] == arm.losses


def test_within_its_group_a_face_is_named_among_the_groups_own_identities(clean_run):
    """By hand: the logits always prefer identity 3, and in second place the right one, but for the last photo."""
    faces, *_ = clean_run
    four = replace(faces.take([0, 1, 2, 3]), labels=np.array([0, 1, 2, 0]), names=("a", "b", "c", "d"))
    logits = np.array([[1, 0, 0, 9], [0, 1, 0, 9], [0, 0, 1, 9], [0, 1, 0, 9]], dtype=np.float32)
    groups = {"first": np.array([0, 1]), "last": np.array([2, 3])}
    assert rank1_within(logits, four, groups) == {"first": pytest.approx(2 / 3), "last": 0}
    assert rank1(logits.argmax(1), four, groups) == {"first": 0, "last": 0}


def test_the_same_seed_gives_the_same_arm(clean_run):
    faces, test, arm = clean_run
    again = train(faces, test)
    assert again.losses == arm.losses
    assert np.array_equal(again.predictions, arm.predictions)
    assert torch.equal(again.embeddings, arm.embeddings)


def test_a_bank_of_zeros_is_never_called_protected(clean_run):
    """An injected fault: noise that does nothing. Its arm equals the clean one, so there is no effect to report."""
    faces, test, clean_arm = clean_run
    protected = draw_protected(faces.names, 4, seed=0)
    groups = make_groups(faces, protected)
    nothing = protect_faces(faces, bank(4, 32, fill=0), {name: i for i, name in enumerate(protected)})
    assert np.array_equal(nothing.pixels, faces.pixels)
    clean, zeros = (judge(arm, test, groups, seed=0).recognition for arm in (clean_arm, train(nothing, test)))
    assert min(values["last"] for values in clean.values()) >= 0.25  # it learns, so a careless verdict could be wrong
    assert zeros == clean
    for identities in (8, 1000):
        assert verdict(dict(zip(ARMS, (clean, clean, zeros), strict=True)), identities)[0] == "not protected"
