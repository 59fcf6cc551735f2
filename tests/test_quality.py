"""What the eye sees: closed forms, and scikit-image as the independent definition."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from faceguard.errors import PhotoError
from faceguard.quality import quality


def pixels(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def reference_ssim(first: np.ndarray, second: np.ndarray) -> float:
    return float(
        structural_similarity(
            first,
            second,
            channel_axis=-1,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(11, 60),
    width=st.integers(11, 60),
    corner=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    extent=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    seed=st.integers(0, 99),
)
def test_a_local_change_measures_as_scikit_image_measures_the_whole_photo(
    height: int, width: int, corner: tuple[float, float], extent: tuple[int, int], seed: int
) -> None:
    original = pixels(height, width, seed)
    changed = original.copy()
    top, left = int(corner[0] * (height - 1)), int(corner[1] * (width - 1))
    changed[top : top + extent[0], left : left + extent[1]] //= 2
    measured = quality(original, changed)
    assert measured.max_change == np.abs(original.astype(int) - changed).max()
    assert measured.ssim == pytest.approx(reference_ssim(original, changed), abs=2e-5)
    if measured.max_change:
        assert measured.psnr == pytest.approx(peak_signal_noise_ratio(original, changed, data_range=255), abs=1e-4)


@pytest.mark.parametrize(("low", "high"), [(100, 110), (0, 255), (7, 8)])
def test_flat_pictures_give_the_closed_forms(low: int, high: int) -> None:
    first, second = np.full((20, 30, 3), low, dtype=np.uint8), np.full((20, 30, 3), high, dtype=np.uint8)
    measured = quality(first, second)
    c1 = (0.01 * 255) ** 2
    assert measured.max_change == high - low
    assert measured.psnr == pytest.approx(20 * math.log10(255 / (high - low)), abs=1e-4)
    assert measured.ssim == pytest.approx((2 * low * high + c1) / (low**2 + high**2 + c1), abs=2e-4)


def test_a_change_taller_than_one_strip_measures_the_same() -> None:
    original = pixels(600, 40)
    changed = np.roll(original, 1, axis=1)
    changed[:20] = original[:20]
    assert quality(original, changed).ssim == pytest.approx(reference_ssim(original, changed), abs=2e-5)


def test_equal_photos_lose_nothing() -> None:
    measured = quality(pixels(40, 50), pixels(40, 50))
    assert (measured.max_change, measured.psnr, measured.ssim) == (0, math.inf, 1.0)


def test_one_changed_pixel_far_from_the_edge_costs_its_121_windows() -> None:
    original = np.full((200, 300, 3), 128, dtype=np.uint8)
    changed = original.copy()
    changed[100, 150] = 138
    measured = quality(original, changed)
    assert measured.psnr == pytest.approx(10 * math.log10(255**2 / (100 / (200 * 300))), abs=1e-4)
    assert measured.ssim == pytest.approx(reference_ssim(original, changed), abs=2e-7)
    assert 0 < 1 - measured.ssim <= 121 / (190 * 290)


def test_photos_of_different_sizes_are_refused() -> None:
    with pytest.raises(PhotoError, match="cannot be compared"):
        quality(pixels(20, 20), pixels(20, 21))


def test_a_picture_smaller_than_the_window_is_refused() -> None:
    with pytest.raises(PhotoError, match="30 x 10 pixels is too small"):
        quality(pixels(10, 30), pixels(10, 30, seed=1))
