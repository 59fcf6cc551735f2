"""Alignment, warping and adding: closed forms and the two invariants."""

import math

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from insightface.utils.face_align import arcface_dst
from skimage.transform import SimilarityTransform

from faceguard.errors import PhotoError
from faceguard.faces import (
    TEMPLATE_SIZE,
    add_levels,
    add_to_faces,
    align_photo,
    alignment,
    crop,
    crop_side,
    level_budget,
    noise_levels,
    paste,
    unusable,
)
from faceguard.finder import FoundFace, find

SIZE = 24
similarities = st.builds(
    lambda scale, angle, x, y: similarity(scale, angle, x, y),
    st.floats(0.15, 4),
    st.floats(-math.pi, math.pi),
    st.floats(-60, 60),
    st.floats(-60, 60),
)


def similarity(scale: float, angle: float, x: float, y: float) -> np.ndarray:
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    return np.array([[cos, -sin, x], [sin, cos, y]])


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:, :2].T + matrix[:, 2]


def undo(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return (points - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T


def random_delta(epsilon: float, size: int = SIZE, seed: int = 0) -> np.ndarray:
    """Fine noise that touches both ends of its range."""
    return np.random.default_rng(seed).choice([-epsilon, 0, epsilon / 3, epsilon], (3, size, size)).astype(np.float32)


def random_pixels(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def reach(matrix: np.ndarray, height: int, width: int, size: int = SIZE) -> np.ndarray:
    """Which pixels of a photo lie within two crop pixels of the crop: H x W, pixel by pixel."""
    inside = np.zeros((height, width), dtype=bool)
    for y in range(height):
        for x in range(width):
            u, v = apply(matrix, np.array([[x, y]]))[0]
            inside[y, x] = min(u, v) > -2.05 and max(u, v) < size + 1.05  # OpenCV rounds places to 1/32 pixel
    return inside


@given(similarities, st.sampled_from([56, 112, 224]))
def test_a_known_similarity_is_recovered_exactly(matrix: np.ndarray, size: int) -> None:
    landmarks = undo(matrix, arcface_dst.astype(np.float64) * size / 112)
    assert np.allclose(alignment(landmarks, size), matrix, atol=1e-8)


@given(st.integers(0, 10_000))
def test_the_alignment_is_the_least_squares_similarity_over_all_five_points(seed: int) -> None:
    landmarks = np.random.default_rng(seed).normal(100, 30, (5, 2))
    expected = SimilarityTransform.from_estimate(landmarks, arcface_dst.astype(np.float64))
    assert np.abs(alignment(landmarks) - expected.params[:2]).max() < 1e-9


def test_landmarks_on_one_point_cannot_be_aligned() -> None:
    with pytest.raises(PhotoError, match="fall on one point"):
        alignment(np.full((5, 2), 7.0))


def test_cropping_by_whole_pixels_copies_them_and_is_black_outside() -> None:
    pixels = random_pixels(60, 50)
    cut = crop(pixels, np.array([[1.0, 0, -30], [0, 1.0, -40]]), SIZE)
    assert np.array_equal(cut[:20, :20], pixels[40:, 30:])
    assert not cut[20:].any() and not cut[:, 20:].any()


def test_pasting_by_whole_pixels_copies_the_noise_and_nothing_else() -> None:
    delta = random_delta(0.1)
    noise = paste(delta, np.array([[1.0, 0, -5], [0, 1.0, -9]]), 60, 50)
    assert np.array_equal(noise[9 : 9 + SIZE, 5 : 5 + SIZE], delta.transpose(1, 2, 0))
    assert np.count_nonzero(noise) == np.count_nonzero(delta)


@settings(max_examples=40, deadline=None)
@given(similarities)
def test_pasting_into_a_part_equals_warping_over_the_whole_photo(matrix: np.ndarray) -> None:
    delta = random_delta(0.1)
    whole = cv2.warpAffine(delta.transpose(1, 2, 0), matrix, (50, 40), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)
    part = paste(delta, matrix, 40, 50)
    assert np.abs(part - whole.clip(-0.1, 0.1)).max() < 0.1 * 0.2  # places are rounded to 1/32 pixel
    assert np.abs(part).max() <= np.abs(delta).max()
    assert not part[~reach(matrix, 40, 50)].any()


@pytest.mark.parametrize("scale", [0.3, 0.7, 1.0, 1.4])
def test_smooth_noise_survives_pasting_and_cropping_again(scale: float) -> None:
    coarse = np.random.default_rng(0).uniform(-0.1, 0.1, (7, 7, 3)).astype(np.float32)
    delta = cv2.resize(coarse, (112, 112), interpolation=cv2.INTER_CUBIC).transpose(2, 0, 1)
    matrix = similarity(scale, 0.3, 0, 0)
    matrix[:, 2] = 56 - matrix[:, :2] @ (300, 300)
    noise = paste(delta, matrix, 600, 600)
    back = cv2.warpAffine(noise, matrix, (112, 112)).transpose(2, 0, 1)
    assert np.corrcoef(back.ravel(), delta.ravel())[0, 1] > 0.98


@settings(max_examples=60, deadline=None)
@given(
    matrices=st.lists(similarities, min_size=1, max_size=3),
    levels=st.one_of(st.integers(1, 32), st.floats(1, 32)),
    height=st.integers(1, 60),
    width=st.integers(1, 60),
)
def test_no_pixel_leaves_the_budget_and_none_outside_the_faces_changes(
    matrices: list[np.ndarray], levels: float, height: int, width: int
) -> None:
    epsilon = levels / 255
    pixels = random_pixels(height, width)
    changed = add_to_faces(pixels, matrices, random_delta(epsilon), epsilon)
    assert np.abs(changed.astype(int) - pixels).max(initial=0) <= levels + 1e-6
    outside = ~np.logical_or.reduce([reach(matrix, height, width) for matrix in matrices])
    assert np.array_equal(changed[outside], pixels[outside])


def test_where_faces_overlap_the_first_keeps_its_noise() -> None:
    pixels = np.full((60, 60, 3), 128, dtype=np.uint8)
    delta = np.full((3, SIZE, SIZE), 16 / 255, dtype=np.float32)
    first, second = similarity(1, 0, -5, -5), similarity(1, 0, -15, -15)
    alone = add_to_faces(pixels, [first], delta, 16 / 255)
    both = add_to_faces(pixels, [first, second], delta, 16 / 255)
    assert np.array_equal(add_to_faces(pixels, [first, first], delta, 16 / 255), alone)
    assert np.array_equal(both[alone != pixels], alone[alone != pixels])
    assert (both == 144).sum() == 3 * (2 * SIZE**2 - (SIZE - 10) ** 2)


def test_adding_noise_leaves_the_original_array_alone() -> None:
    pixels = random_pixels(40, 40)
    before = pixels.copy()
    add_to_faces(pixels, [similarity(1, 0, 0, 0)], random_delta(0.1), 0.1)
    assert np.array_equal(pixels, before)


def test_levels_are_added_and_clipped_by_hand() -> None:
    pixels = np.array([0, 5, 250, 255, 100], dtype=np.uint8)
    assert add_levels(pixels, np.array([-3, -5, 9, 0, 7], dtype=np.int8)).tolist() == [0, 0, 255, 255, 107]


def test_one_row_of_levels_serves_a_batch_of_faces() -> None:
    batch = np.stack([random_pixels(8, 8, seed) for seed in range(4)])
    levels = np.random.default_rng(0).integers(-16, 17, (8, 8, 3)).astype(np.int16)
    together = add_levels(batch, levels)
    assert all(np.array_equal(together[i], add_levels(batch[i], levels)) for i in range(4))


def test_float32_noise_a_hair_beyond_epsilon_stays_within_the_budget() -> None:
    epsilon = 8.5 / 255  # round(8.5) is 8, yet the next float32 above it rounds to 9
    delta = np.nextafter(np.full((2, 2, 3), epsilon, dtype=np.float32), np.float32(1))
    assert noise_levels(delta, epsilon).max() == 8 and noise_levels(-delta, epsilon).min() == -8


@given(st.integers(0, 255), st.floats(-0.25, 0.25, width=32), st.integers(0, 40))
def test_adding_noise_rounds_once_and_keeps_the_budget(level: int, delta: float, budget: int) -> None:
    pixels = np.full((1, 1, 3), level, dtype=np.uint8)
    changed = int(add_levels(pixels, noise_levels(np.full((1, 1, 3), delta, dtype=np.float32), budget / 255))[0, 0, 0])
    assert abs(changed - level) <= budget
    if abs(delta * 255) < 0.499:
        assert changed == level


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return np.asarray(skimage.data.astronaut())


def test_a_face_found_again_in_its_crop_is_where_the_alignment_put_it(astronaut: np.ndarray) -> None:
    (face,) = find(astronaut)
    (again,) = find(align_photo(astronaut))
    expected = apply(alignment(face.landmarks), face.landmarks)
    assert np.abs(again.landmarks - expected).max() < 2.5
    # this smile is wider and higher than the template's, so single points lie off it, but not their similarity
    assert np.abs(alignment(again.landmarks)[:, :2] - np.eye(2)).max() < 0.03
    assert np.abs(again.landmarks.mean(axis=0) - arcface_dst.mean(axis=0)).max() < 1


def test_a_face_can_be_aligned_at_any_size(astronaut: np.ndarray) -> None:
    large = align_photo(astronaut, 224)
    assert large.shape == (224, 224, 3)
    small = cv2.resize(large, (TEMPLATE_SIZE, TEMPLATE_SIZE), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - align_photo(astronaut)).mean() < 6


def test_aligning_a_picture_without_a_face_is_a_photo_error() -> None:
    with pytest.raises(PhotoError, match="No face was found in this picture of 50 x 40"):
        align_photo(np.zeros((40, 50, 3), dtype=np.uint8))


def face_at(left: float, top: float, side: float) -> FoundFace:
    """A face whose aligned crop is the square of ``side`` pixels at (left, top)."""
    landmarks = arcface_dst * side / 112 + [left, top]
    box = np.array([left + 0.2 * side, top + 0.1 * side, left + 0.8 * side, top + 0.9 * side])
    return FoundFace(box=box.astype(np.float32), landmarks=landmarks.astype(np.float32), score=1.0)


@pytest.mark.parametrize(("left", "usable"), [(0, True), (-20, True), (-27, True), (-29, False), (-80, False)])
def test_a_face_is_cut_when_a_quarter_of_its_crop_lies_beyond_the_edge(left: float, usable: bool) -> None:
    problem = unusable(face_at(left, 0, 112), 112, 400, 400)
    assert (problem is None) == usable
    assert usable or "is cut by the photo's edge" in problem


def test_a_face_of_fewer_than_twenty_pixels_is_too_small() -> None:
    assert unusable(face_at(100, 100, 20.5 / 0.6), 112, 400, 400) is None
    for side in (19, 19.9):
        assert "A face of 19 pixels is too small" in unusable(face_at(100, 100, side / 0.6), 112, 400, 400)


@pytest.mark.parametrize(("side", "size"), [(33, 112), (112, 112), (250, 64)])
def test_the_side_of_a_crop_is_counted_in_pixels_of_the_photo(side: int, size: int) -> None:
    assert crop_side(alignment(face_at(100, 50, side).landmarks, size), size) == pytest.approx(side, rel=1e-5)


def test_the_budget_is_in_whole_levels_and_never_more_than_epsilon() -> None:
    assert [level_budget(levels / 255) for levels in (1.5, 2.5, 1.999)] == [1, 2, 1]
    assert [level_budget(levels / 255) for levels in range(256)] == list(range(256))
