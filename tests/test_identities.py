"""Labelled faces: choosing, joining and splitting them never mixes up a photo and its identity."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from faceguard.errors import DataError
from faceguard.identities import Faces, merge, split, split_photos, to_pixels, to_uint8

counts_of_photos = st.lists(st.integers(2, 12), min_size=1, max_size=6)


def numbered(counts, *, prefix="p", first=0):
    """Photo i is filled with level i % 256 and called by identity and number, so that each can be traced."""
    labels = np.repeat(np.arange(len(counts)), counts)
    names = tuple(f"{prefix}{i}" for i in range(len(counts)))
    levels = (np.arange(len(labels)) + first).astype(np.uint8)
    pixels = np.broadcast_to(levels[:, None, None, None], (len(labels), 4, 4, 3)).copy()
    return Faces(
        pixels=pixels, labels=labels, names=names, keys=tuple(f"{names[label]}/{i}" for i, label in enumerate(labels))
    )


def contents(faces):
    """Every photo as (identity, key, level), sorted: what must survive."""
    return sorted(
        (faces.names[label], key, int(pixels[0, 0, 0]))
        for label, key, pixels in zip(faces.labels, faces.keys, faces.pixels, strict=True)
    )


@given(counts_of_photos, st.data())
@settings(deadline=None)
def test_take_keeps_photo_label_and_key_together_in_the_order_asked(counts, data):
    faces = numbered(counts)
    chosen = data.draw(st.lists(st.integers(0, len(faces) - 1)))
    taken = faces.take(chosen)
    assert len(taken) == len(chosen)
    assert taken.keys == tuple(faces.keys[i] for i in chosen)
    assert taken.pixels[:, 0, 0, 0].tolist() == [i % 256 for i in chosen]
    assert taken.labels.tolist() == faces.labels[np.array(chosen, dtype=int)].tolist()
    assert taken.names == faces.names
    assert taken.size == 4


@given(counts_of_photos, st.data())
@settings(deadline=None)
def test_of_keeps_the_named_identities_alone_under_those_names_in_that_order(counts, data):
    faces = numbered(counts)
    names = data.draw(st.lists(st.sampled_from(faces.names), unique=True, min_size=1))
    part = faces.of(names)
    assert part.names == tuple(names)
    assert contents(part) == [photo for photo in contents(faces) if photo[0] in names]


def test_of_a_stranger_or_of_an_identity_without_photos_is_a_sentence():
    faces = numbered([2, 3])
    with pytest.raises(DataError, match="No faces of stranger here"):
        faces.of(["p0", "stranger"])
    with pytest.raises(DataError, match="No faces of p1 here"):
        faces.take([0, 1]).of(["p1"])


@given(counts_of_photos, counts_of_photos)
@settings(deadline=None)
def test_merging_keeps_every_photo_and_the_same_name_is_the_same_identity(first, second):
    one, two = numbered(first), numbered(second, prefix="p", first=100)
    other = numbered(second, prefix="q", first=100)
    assert contents(merge(one, other)) == sorted(contents(one) + contents(other))
    assert merge(one, other).names == one.names + other.names
    assert contents(merge(one, two)) == sorted(contents(one) + contents(two))
    assert len(merge(one, two).names) == max(len(first), len(second))


def test_merging_faces_of_two_sizes_is_a_sentence():
    small = numbered([2])
    with pytest.raises(DataError, match="Faces of 4 and 6 px cannot be merged"):
        merge(small, replace(small, pixels=np.zeros((2, 6, 6, 3), dtype=np.uint8)))


@given(counts_of_photos, st.floats(0.01, 0.99), st.integers(0, 2**40))
@settings(deadline=None)
def test_a_split_is_disjoint_complete_and_keeps_the_share_in_every_identity(counts, share, seed):
    faces = numbered(counts)
    train, test = split(faces, share=share, seed=seed)
    assert set(train.keys).isdisjoint(test.keys)
    assert contents(train) + contents(test) != []
    assert sorted(contents(train) + contents(test)) == contents(faces)
    for label, count in enumerate(counts):
        trained, tested = (int((part.labels == label).sum()) for part in (train, test))
        assert trained >= 1
        assert tested >= 1
        assert abs(trained - share * count) <= 0.5 or trained in (1, count - 1)


@given(counts_of_photos, st.integers(0, 2**40))
@settings(deadline=None)
def test_the_split_of_an_identity_does_not_depend_on_who_else_is_there(counts, seed):
    faces = numbered(counts)
    alone = faces.of([faces.names[-1]])
    for part, lone in zip(split(faces, seed=seed), split(alone, seed=seed), strict=True):
        assert contents(part.of([faces.names[-1]])) == contents(lone)


def test_a_split_follows_its_seed():
    faces = numbered([20, 20])
    assert split(faces, seed=1)[0].keys == split(faces, seed=1)[0].keys
    assert split(faces, seed=1)[0].keys != split(faces, seed=2)[0].keys
    assert len(split(faces, seed=1)[0]) == 32


def test_every_identity_has_draws_of_its_own():
    _, tested = split(numbered([20, 20]), seed=0)
    first, second = ([key.split("/")[1] for key in tested.keys if key.startswith(name)] for name in ("p0", "p1"))
    assert len(first) == len(second) == 4
    assert first != [str(int(number) - 20) for number in second]


def test_a_split_names_the_identities_that_have_a_single_photo():
    with pytest.raises(DataError, match=r"2 identities have fewer than two photos \(p0, p2\)"):
        split(numbered([1, 5, 1]), seed=0)


def test_every_level_survives_the_way_to_pixels_and_back():
    image = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    pixels = to_pixels(image)
    assert pixels.shape == (1, 3, 16, 16)
    assert pixels.dtype == torch.float32
    assert pixels.is_contiguous(memory_format=torch.channels_last)
    assert (pixels.min(), pixels.max()) == (0, 1)
    assert np.array_equal(to_uint8(pixels), image)


@given(st.floats(-0.5, 1.5, width=32))
@settings(deadline=None)
def test_pixels_are_rounded_to_the_nearest_level_and_clipped(value):
    level = int(to_uint8(torch.full((1, 3, 1, 1), value))[0, 0, 0, 0])
    assert abs(level - min(max(value, 0), 1) * 255) <= 0.5 + 1e-4


def test_channels_and_places_keep_their_order():
    image = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
    pixels = to_pixels(torch.from_numpy(image))
    assert pixels[1, 2, 3, 4] * 255 == image[1, 3, 4, 2]
    assert np.array_equal(to_uint8(pixels), image)


@pytest.mark.parametrize("change", ["names", "keys", "labels", "pixels"])
def test_a_digest_tells_other_faces_apart(change):
    faces = numbered([3, 4])
    assert faces.digest() == numbered([3, 4]).digest()
    others = {
        "names": ("x", "y"),
        "keys": faces.keys[::-1],
        "labels": faces.labels[::-1].copy(),
        "pixels": faces.pixels + np.uint8(1),
    }
    assert replace(faces, **{change: others[change]}).digest() != faces.digest()


def test_a_digest_is_of_every_photo_however_many_there_are():
    faces = numbered([300, 300])
    known = {faces.digest()}
    for photo in range(len(faces)):
        changed = replace(faces, pixels=faces.pixels.copy())
        changed.pixels[photo, -1, -1, -1] ^= 1
        known.add(changed.digest())
    assert len(known) == len(faces) + 1


def test_a_digest_is_the_same_whatever_lies_between_the_photos_in_memory():
    faces = numbered([300, 300])
    spaced = np.repeat(faces.pixels, 2, axis=2)[:, :, ::2]
    assert not spaced.flags.c_contiguous
    assert replace(faces, pixels=spaced).digest() == faces.digest()


@given(counts_of_photos, st.integers(0, 5), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_split_photos_names_what_split_copies_whatever_the_order_of_the_photos(counts, seed, random):
    faces = numbered(counts)
    faces = faces.take(random.sample(range(len(faces)), len(faces)))
    for half, photos in zip(split(faces, seed=seed), split_photos(faces, seed=seed), strict=True):
        assert half.keys == tuple(faces.keys[i] for i in photos)
        assert np.array_equal(half.pixels, faces.pixels[photos])
        assert np.all(np.diff(half.labels) >= 0)  # by identity, and in the order of the faces within
        assert all(np.all(np.diff(photos[half.labels == label]) > 0) for label in range(len(counts)))
