"""The finder on one free photo: any size, any turn; and pictures in which there is nobody."""

import cv2
import numpy as np
import pytest
import skimage.data

from faceguard import finder
from faceguard.finder import find


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    return np.asarray(skimage.data.astronaut())


def test_the_astronaut_has_one_face(astronaut: np.ndarray) -> None:
    (face,) = find(astronaut)
    assert np.abs(face.box - [181, 62, 268, 172]).max() < 5
    assert face.score > 0.99 and face.landmarks.shape == (5, 2) and face.landmarks.dtype == np.float32
    left_eye, right_eye, nose, *mouth = face.landmarks
    assert left_eye[0] < nose[0] < right_eye[0] and max(left_eye[1], right_eye[1]) < nose[1] < min(p[1] for p in mouth)


def test_a_large_photo_gives_the_same_face_in_its_own_coordinates(astronaut: np.ndarray) -> None:
    large = cv2.resize(astronaut, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    (small_face,), (large_face,) = find(astronaut), find(large)
    expected = (small_face.landmarks + 0.5) * 4 - 0.5
    assert np.abs(large_face.landmarks - expected).max() < 4 * 3  # three pixels of the small photo


def test_the_largest_face_comes_first(astronaut: np.ndarray) -> None:
    half = cv2.resize(astronaut, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    pair = np.zeros((512, 768, 3), dtype=np.uint8)
    pair[:256, :256], pair[:, 256:] = half, astronaut
    found = find(pair)
    assert len(found) == 2 and found[0].area > 2 * found[1].area
    assert found[0].box[0] > 256 > found[1].box[2]


@pytest.mark.parametrize("shape", [(1, 1), (19, 300), (300, 19), (20, 20), (5000, 21), (200, 200)])
def test_pictures_without_a_face_give_an_empty_list(shape: tuple[int, int]) -> None:
    assert find(np.full((*shape, 3), 128, dtype=np.uint8)) == []
    assert find(np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)) == []


@pytest.mark.parametrize("angle", [0, 30, 60, 90, 120, 180, 270])
def test_a_turned_head_is_found_with_its_landmarks_in_their_places(astronaut: np.ndarray, angle: int) -> None:
    matrix = cv2.getRotationMatrix2D((255.5, 255.5), angle, 1)
    turned = cv2.warpAffine(astronaut, matrix, (512, 512))
    (face,) = find(turned)
    expected = find(astronaut)[0].landmarks @ matrix[:, :2].T + matrix[:, 2]
    assert np.abs(face.landmarks - expected).max() < 6  # an eighteenth of the face: turned by a quarter it is 30 to 60


def test_the_landmarks_of_a_small_face_in_a_large_photo_are_found_on_full_detail(
    astronaut: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = np.full((2400, 3600, 3), 120, dtype=np.uint8)
    large[1500:1756, 3000:3256] = cv2.resize(astronaut, (256, 256), interpolation=cv2.INTER_AREA)
    truth = (find(astronaut)[0].landmarks + 0.5) / 2 - 0.5 + [3000, 1500]

    def error() -> float:
        return float(np.abs(find(large)[0].landmarks - truth).mean())

    refined = error()
    monkeypatch.setattr(finder, "_refined", lambda face, pixels: face)
    assert refined < 1.5 < error()
