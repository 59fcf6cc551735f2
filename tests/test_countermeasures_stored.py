"""Countermeasures on stored photos, against independent implementations: Pillow, scikit-image, block means, least squares."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from skimage.filters import gaussian

from eval.countermeasures import COUNTERMEASURES
from eval.preprocessing import BitDepth, Blur, Grayscale, Jpeg, Resize
from eval.projecting import OrthogonalProjection, orthonormal
from faceguard.errors import DataError
from faceguard.identities import Faces, to_pixels
from tests.small import tiny_faces


def smooth_faces(size=20, photos=3):
    """Photos with the low frequencies that real ones have."""
    coarse = torch.rand(photos, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    pixels = F.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1).mul(255).round().to(torch.uint8)
    labels, keys = np.zeros(photos, dtype=np.int64), tuple(map(str, range(photos)))
    return Faces(pixels=pixels.movedim(1, -1).contiguous().numpy(), labels=labels, names=("a",), keys=keys)


def stored(countermeasure, faces):
    return countermeasure.prepare(faces, seed=0).pixels


def differences(one, two):
    return np.abs(one.astype(int) - two.astype(int)).max()


@pytest.mark.parametrize("quality", [10, 75])
@pytest.mark.parametrize("size", [20, 33])
def test_jpeg_equals_a_round_trip_through_pillow(size, quality):
    faces = smooth_faces(size)
    for photo, found in zip(faces.pixels, stored(Jpeg(quality=quality), faces), strict=True):
        file = io.BytesIO()
        Image.fromarray(photo).save(file, "JPEG", quality=quality)
        np.testing.assert_array_equal(found, np.asarray(Image.open(file)))
        assert differences(found, photo) > 0


def test_grayscale_has_three_equal_channels_near_pillows_and_once_is_enough():
    faces = smooth_faces()
    gray = stored(Grayscale(), faces)
    assert (gray == gray[..., :1]).all()
    assert differences(gray[0, ..., 0], np.asarray(Image.fromarray(faces.pixels[0]).convert("L"))) <= 1
    np.testing.assert_array_equal(stored(Grayscale(), replace(faces, pixels=gray)), gray)


@pytest.mark.parametrize("bits", range(1, 9))
def test_bit_depth_leaves_at_most_two_to_the_bits_levels_as_pillow_does(bits):
    faces = tiny_faces()
    found = stored(BitDepth(bits=bits), faces)
    assert len(np.unique(found)) <= 2**bits
    np.testing.assert_array_equal(found[0], np.asarray(ImageOps.posterize(Image.fromarray(faces.pixels[0]), bits)))


def test_blur_is_a_gaussian():
    faces = smooth_faces()
    expected = gaussian(faces.pixels[0] / 255, 1.5, channel_axis=2, mode="mirror") * 255
    assert np.abs(stored(Blur(sigma=1.5), faces)[0] - expected).max() <= 1.5


def test_resize_averages_blocks_and_enlarges_them_again():
    faces = smooth_faces()
    small = F.avg_pool2d(to_pixels(faces.pixels), 2).mul(255).round()
    expected = F.interpolate(small, size=faces.size, mode="bilinear").movedim(1, -1).numpy()
    assert np.abs(stored(Resize(factor=2), faces) - expected).max() <= 1.5


def test_resize_never_shrinks_to_nothing():
    assert stored(Resize(factor=100), smooth_faces()).std((1, 2)).max() == 0


def test_clean_photos_are_seen_as_the_literature_and_the_network_need_them():
    faces = smooth_faces()
    changed = {name for name, each in COUNTERMEASURES.items() if differences(each.view(faces).pixels, faces.pixels)}
    assert changed == {"grayscale", "blur", "resize"}
    np.testing.assert_array_equal(Jpeg(at_test=True).view(faces).pixels, stored(Jpeg(), faces))
    assert Grayscale(at_test=False).view(faces) is faces


# ---- orthogonal projection


def noisy_faces(photos=900, identities=3, level=12):
    """Photos that differ from each other by chance alone, plus one constant pattern of +- ``level`` an identity."""
    rng = np.random.default_rng(0)
    labels = np.arange(photos) % identities
    noise = rng.choice([-level, level], (identities, 8, 8, 3))
    pixels = (rng.integers(60, 196, (photos, 8, 8, 3)) + noise[labels]).astype(np.uint8)
    names, keys = (tuple(map(str, range(count))) for count in (identities, photos))
    return Faces(pixels=pixels, labels=labels, names=names, keys=keys)


def nearest_mean_accuracy(faces):
    """How well the identities' mean photos tell them apart on photos that took no part in the means."""
    flat, half = faces.pixels.reshape(len(faces), -1).astype(float), len(faces) // 2
    means = np.stack([flat[:half][faces.labels[:half] == label].mean(0) for label in range(len(faces.names))])
    distance = ((flat[half:, None] - means) ** 2).sum(2)
    return (distance.argmin(1) == faces.labels[half:]).mean()


def test_the_basis_is_orthonormal_and_spans_the_weights_exactly():
    weights = torch.randn(4, 30, generator=torch.Generator().manual_seed(0)) * torch.tensor([[1.0], [9], [30], [0.1]])
    basis = orthonormal(weights)
    torch.testing.assert_close(basis @ basis.T, torch.eye(4))
    torch.testing.assert_close((weights @ basis.T) @ basis, weights, atol=1e-4, rtol=0)
    assert torch.linalg.matrix_rank(torch.cat([basis, weights])) == 4


def test_projection_leaves_photos_that_differ_in_nothing_the_weights_look_at():
    """Up to rounding: 0.29 levels on average along any direction of unit length."""
    faces = noisy_faces(300)
    basis = orthonormal(OrthogonalProjection().weights(faces, seed=0))
    before, after = (
        to_pixels(each.pixels).flatten(1).mul(255) @ basis.T
        for each in (faces, OrthogonalProjection().prepare(faces, seed=0))
    )
    assert before.std(0).min() > 30
    assert after.std(0).max() < 0.4
    torch.testing.assert_close(after.mean(0), before.mean(0), atol=0.5, rtol=0)


def test_projection_kills_class_wise_noise_and_keeps_the_photos():
    faces = noisy_faces()
    found = OrthogonalProjection().prepare(faces, seed=0)
    assert nearest_mean_accuracy(faces) > 0.95
    assert nearest_mean_accuracy(found) < 0.5  # a third is chance
    assert np.corrcoef(found.pixels.ravel(), faces.pixels.ravel())[0, 1] > 0.9


def test_projection_depends_on_its_seed_and_nothing_else():
    faces = noisy_faces(60)
    one, again, other = (OrthogonalProjection(steps=1).prepare(faces, seed=seed).pixels for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert differences(one, other) > 0


def test_projection_refuses_as_many_identities_as_a_photo_has_values():
    faces = Faces(
        pixels=np.zeros((12, 2, 2, 3), np.uint8),
        labels=np.arange(12),
        names=tuple("abcdefghijkl"),
        keys=tuple("abcdefghijkl"),
    )
    with pytest.raises(DataError, match=r"12 identities span all 12 values .*; use larger photos or fewer identities"):
        OrthogonalProjection().prepare(faces, seed=0)


def test_the_regression_takes_all_its_steps_at_a_rate_that_falls_twice(monkeypatch):
    rates, step = [], torch.optim.SGD.step
    monkeypatch.setattr(
        torch.optim.SGD, "step", lambda self, *a: rates.append(self.param_groups[0]["lr"]) or step(self, *a)
    )
    OrthogonalProjection(steps=20, batch_size=7).weights(noisy_faces(30), seed=0)
    rate = 0.1 * 32**2 / 8**2  # photos of a sixteenth of the pixels bear sixteen times the published rate
    assert rates == pytest.approx([rate] * 10 + [rate / 10] * 5 + [rate / 100] * 5)


def test_the_regression_starts_as_a_linear_layer_does():
    start = OrthogonalProjection(steps=1, learning_rate=1e-9).weights(noisy_faces(30), seed=0) * 192**0.5
    assert start.abs().max() <= 1.001 and start.std() == pytest.approx(3**-0.5, abs=0.05)


def test_the_strengths_are_those_of_the_benchmarks():
    assert (COUNTERMEASURES["jpeg"].quality, COUNTERMEASURES["bit-depth"].bits) == (10, 2)
