"""The noise that reaches a trainer: corrcoef as the independent definition, Pillow as the publisher."""

from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from faceguard import survival
from faceguard.faces import add_to_faces, alignment, crop
from faceguard.finder import FoundFace, find
from faceguard.survival import correlation, face_change, noise_kept, published
from tests.test_protect import make_bank

SIZE = 112


DELTA, OTHER = make_bank().delta([0, 1]).numpy()


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return np.asarray(skimage.data.astronaut())


@pytest.fixture(scope="module")
def protected(astronaut: np.ndarray) -> np.ndarray:
    return protect(astronaut)


def protect(pixels: np.ndarray, which: int = 0, delta: np.ndarray = DELTA) -> np.ndarray:
    return add_to_faces(pixels, [alignment(find(pixels)[which].landmarks, SIZE)], delta, 16 / 255)


def noisy_face(delta: np.ndarray = DELTA) -> tuple[np.ndarray, np.ndarray]:
    face = np.random.default_rng(1).integers(30, 220, (SIZE, SIZE, 3), dtype=np.uint8)
    return face, (face + np.rint(255 * delta.transpose(1, 2, 0))).astype(np.uint8)


def test_it_is_the_correlation_of_the_difference_of_the_crops_with_the_row(
    astronaut: np.ndarray, protected: np.ndarray
) -> None:
    matrix = alignment(find(protected)[0].landmarks, SIZE)
    change = crop(protected, matrix, SIZE).astype(int) - crop(astronaut, matrix, SIZE)
    for delta in (DELTA, OTHER):
        expected = np.corrcoef(change.ravel(), np.moveaxis(delta, 0, -1).ravel())[0, 1]
        assert noise_kept(astronaut, protected, delta, size=SIZE) == pytest.approx(expected, abs=1e-5)


def test_the_row_a_photo_carries_is_found_and_another_is_not(astronaut: np.ndarray, protected: np.ndarray) -> None:
    right, wrong = (noise_kept(astronaut, protected, delta, size=SIZE) for delta in (DELTA, OTHER))
    assert right is not None and wrong is not None and right > 0.9 and abs(wrong) < 0.1


def test_opposite_noise_counts_as_opposite(astronaut: np.ndarray) -> None:
    kept = noise_kept(astronaut, protect(astronaut, delta=-DELTA), DELTA, size=SIZE)
    assert kept is not None and kept < -0.9


def test_an_untouched_photo_carries_no_noise_and_neither_does_one_without_a_face(astronaut: np.ndarray) -> None:
    assert noise_kept(astronaut, astronaut.copy(), DELTA, size=SIZE) is None
    sky = np.full((90, 120, 3), 128, dtype=np.uint8)
    assert noise_kept(sky, sky + np.arange(3, dtype=np.uint8), DELTA, size=SIZE) is None


def test_a_change_outside_the_face_is_no_noise(astronaut: np.ndarray) -> None:
    changed = astronaut.copy()
    changed[400:] //= 2
    assert noise_kept(astronaut, changed, DELTA, size=SIZE) is None


def test_an_aligned_face_is_taken_as_it_is() -> None:
    face, noisy = noisy_face()
    whole_levels = np.corrcoef(np.rint(255 * DELTA).ravel(), DELTA.ravel())[0, 1]
    assert noise_kept(face, noisy, DELTA, size=SIZE) == pytest.approx(whole_levels, abs=1e-9)
    assert face_change(face, face + np.uint8(3), SIZE) is None  # every pixel alike says nothing of a row


def test_an_aligned_face_is_still_one_at_another_size() -> None:
    face, noisy = noisy_face()
    for side in (56, 168, 224):
        copy = np.asarray(Image.fromarray(noisy).resize((side, side), Image.Resampling.LANCZOS))
        kept = noise_kept(face, copy, DELTA, size=SIZE)
        assert kept is not None and kept > 0.97
    flat = np.full_like(face, 100)
    noisy = (flat + np.rint(255 * DELTA.transpose(1, 2, 0))).astype(np.uint8)
    change = face_change(flat, noisy.repeat(3, axis=0).repeat(3, axis=1), SIZE)  # the middle one of three is the pixel
    assert change is not None and np.array_equal(change, noisy.astype(float) - flat)


def test_a_constant_row_correlates_with_nothing() -> None:
    face, noisy = noisy_face()
    assert correlation(noisy.astype(float) - face, np.full((3, SIZE, SIZE), 0.05, dtype=np.float32)) is None


def test_a_scaled_copy_is_compared_at_its_own_size(astronaut: np.ndarray, protected: np.ndarray) -> None:
    for width, height in ((256, 256), (768, 768), (512, 500)):  # also one whose sides shrink by different shares
        copy = np.asarray(Image.fromarray(protected).resize((width, height), Image.Resampling.LANCZOS))
        kept = noise_kept(astronaut, copy, DELTA, size=SIZE)
        assert kept is not None and kept > 0.85


@pytest.mark.parametrize("which", [0, 1])
def test_of_several_faces_the_largest_with_a_change_counts(astronaut: np.ndarray, which: int) -> None:
    smaller = np.zeros_like(astronaut)
    smaller[:410, :410] = np.asarray(Image.fromarray(astronaut).resize((410, 410)))
    pair = np.concatenate([astronaut, smaller], axis=1)
    kept = noise_kept(pair, protect(pair, which), DELTA, size=SIZE)
    assert kept is not None and kept > 0.9


def test_when_all_faces_changed_the_largest_counts(astronaut: np.ndarray) -> None:
    smaller = np.zeros_like(astronaut)
    smaller[:410, :410] = np.asarray(Image.fromarray(astronaut).resize((410, 410)))
    pair = np.concatenate([astronaut, smaller], axis=1)
    both = protect(protect(pair, 1, OTHER), 0, DELTA)
    kept = noise_kept(pair, both, DELTA, size=SIZE)
    assert kept is not None and kept > 0.9


def test_a_panorama_wider_than_opencv_4_takes_is_measured(
    astronaut: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    face = find(astronaut)[0]
    far = FoundFace(
        box=face.box + np.float32([33_000, 0, 33_000, 0]), landmarks=face.landmarks + np.float32([33_000, 0]), score=1.0
    )
    monkeypatch.setattr(survival, "find", lambda pixels: [far])
    before = np.concatenate([np.zeros((512, 33_000, 3), dtype=np.uint8), astronaut], axis=1)
    after = before.copy()
    after[:, 33_000:] = protect(astronaut)
    kept = noise_kept(before, after, DELTA, size=SIZE)
    assert kept is not None and kept > 0.9


def test_a_face_beyond_the_photo_carries_nothing(astronaut: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    face = find(astronaut)[0]
    monkeypatch.setattr(
        survival, "find", lambda pixels: [FoundFace(box=face.box, landmarks=face.landmarks + 5000, score=1.0)]
    )
    assert face_change(astronaut, 255 - astronaut, SIZE) is None


@pytest.mark.parametrize(("subsampling", "samples"), [("4:4:4", 0), ("4:2:0", 2)])
def test_publishing_is_what_pillow_does(
    astronaut: np.ndarray, tmp_path: Path, subsampling: survival.Subsampling, samples: int
) -> None:
    given = astronaut[:250].copy()
    small = Image.fromarray(given).resize((256, 125), Image.Resampling.LANCZOS)
    small.save(tmp_path / "1.jpg", quality=70, subsampling=samples)
    expected = np.asarray(Image.open(tmp_path / "1.jpg"))
    assert np.array_equal(published(given, quality=70, subsampling=subsampling, scale=0.5), expected)
    assert np.array_equal(given, astronaut[:250])


def test_publishing_rounds_sides_and_keeps_at_least_a_pixel() -> None:
    pixels = np.zeros((31, 3, 3), dtype=np.uint8)
    assert published(pixels, quality=90, scale=0.1).shape == (3, 1, 3)
    assert published(pixels, quality=90, scale=0.9).shape == (28, 3, 3)
    assert published(pixels, quality=90).shape == pixels.shape


def test_noise_survives_less_the_stronger_the_compression(astronaut: np.ndarray, protected: np.ndarray) -> None:
    kept = [
        noise_kept(astronaut, published(protected, quality=q, subsampling="4:4:4"), DELTA, size=SIZE)
        for q in (95, 70, 30)
    ]
    assert None not in kept and kept == sorted(kept, reverse=True) and 0.2 < kept[2] < kept[0] - 0.1 < 1
    coarser = noise_kept(astronaut, published(protected, quality=95, subsampling="4:2:0"), DELTA, size=SIZE)
    assert coarser is not None and coarser < kept[0]
