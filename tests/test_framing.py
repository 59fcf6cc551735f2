"""Which part of its original a copy shows: crops whose place is known, and pictures that do not fit."""

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image

from faceguard.finder import find
from faceguard.framing import Box, is_whole, shown
from faceguard.survival import published

PHOTO = np.asarray(skimage.data.astronaut())
HEIGHT, WIDTH = PHOTO.shape[:2]


def place(copy: np.ndarray, original: np.ndarray = PHOTO) -> Box | None:
    return shown(original, copy, find(original), find(copy)[0])


def cut(part: tuple[int, int, int, int], width: int, height: int) -> np.ndarray:
    return np.asarray(Image.fromarray(PHOTO).resize((width, height), Image.Resampling.LANCZOS, box=part))


@pytest.mark.parametrize(
    ("part", "width", "height"),
    [
        ((0, 0, WIDTH, HEIGHT), 300, 300),
        ((0, 0, WIDTH, HEIGHT), 700, 700),
        ((0, 0, WIDTH, HEIGHT), 400, 300),
        ((20, 10, 492, 482), 472, 472),
        ((100, 20, 340, 380), 180, 270),
        ((0, 0, 511, 512), 511, 512),
    ],
    ids=["smaller", "larger", "stretched", "cut evenly", "cut and smaller", "one column less"],
)
def test_the_place_of_a_crop_is_found_to_a_fraction_of_a_pixel(
    part: tuple[int, int, int, int], width: int, height: int
) -> None:
    for copy in (cut(part, width, height), published(cut(part, width, height), quality=60)):
        found = place(copy)
        assert found is not None and np.abs(np.subtract(found, part)).max() < 0.5
        assert is_whole(found, PHOTO) == (part[2] - part[0] > 500)


def test_a_small_face_at_the_edge_of_a_large_picture_is_laid_onto_its_own() -> None:
    large = np.full((900, 1400, 3), 90, dtype=np.uint8)
    large[:256, :256] = cv2.resize(PHOTO, (256, 256), interpolation=cv2.INTER_AREA)
    found = place(large[10:600, 15:800], large)
    assert found is not None and np.abs(np.subtract(found, (15, 10, 800, 600))).max() < 2


def test_a_crop_that_leaves_out_the_largest_face_is_laid_onto_the_one_it_shows() -> None:
    pair = np.zeros((512, 922, 3), dtype=np.uint8)
    pair[:, :512] = PHOTO
    pair[:410, 512:] = cv2.resize(PHOTO[:, ::-1], (410, 410), interpolation=cv2.INTER_AREA)
    found = place(pair[5:405, 530:910], pair)
    assert found is not None and np.abs(np.subtract(found, (530, 5, 910, 405))).max() < 0.5


@pytest.mark.parametrize("change", ["mirrored", "turned", "somebody else", "covered"])
def test_what_does_not_fit_has_no_place(change: str) -> None:
    matrix = cv2.getRotationMatrix2D((224, 117), 2.0, 1)
    pictures = {
        "mirrored": PHOTO[:, 20:][:, ::-1],
        "turned": cv2.warpAffine(PHOTO, matrix, (WIDTH, HEIGHT))[20:400, 60:480],
        "somebody else": warped(),
        "covered": covered(),
    }
    copy = np.ascontiguousarray(pictures[change])
    assert find(copy) and place(copy) is None


def warped() -> np.ndarray:
    """Another head: broader above and narrower below."""
    source = np.float32([[120, 0], [330, 0], [330, 250], [120, 250]])
    target = np.float32([[60, 0], [390, 0], [300, 250], [150, 250]])
    return cv2.warpPerspective(PHOTO, cv2.getPerspectiveTransform(source, target), (420, 260))


def covered() -> np.ndarray:
    """Half of the surroundings and much of the hair under stripes."""
    picture = PHOTO[:400].copy()
    picture[:95, ::2] = 255 - picture[:95, ::2]
    picture[170:, ::2] = 255 - picture[170:, ::2]
    return picture


def test_a_face_that_is_too_small_or_flat_to_compare_has_no_place() -> None:
    (face,) = find(PHOTO)
    for copy in (np.zeros((6, 6, 3), dtype=np.uint8), np.full((300, 300, 3), 7, dtype=np.uint8)):
        assert shown(PHOTO, copy, [face], face) is None


def test_a_copy_of_a_photo_without_a_found_face_can_still_be_whole() -> None:
    half = np.asarray(Image.fromarray(PHOTO).resize((256, 256), Image.Resampling.LANCZOS))
    found = shown(PHOTO, half, [], find(half)[0])
    assert found is not None and is_whole(found, PHOTO)
