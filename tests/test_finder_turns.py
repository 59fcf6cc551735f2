"""Which turn of a picture counts, and what is no face although the detector is sure of it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from faceguard import finder, photo
from faceguard.bank import default_bank
from faceguard.faces import add_to_faces, alignment
from faceguard.finder import FoundFace, find
from faceguard.survival import noise_kept

FACE = np.float32([[37, 45], [63, 45], [50, 60], [40, 75], [60, 75]])  # in a box from (20, 10) to (80, 90)
BOX = np.float32([20, 10, 80, 90])
PICTURE = np.zeros((100, 100, 3), dtype=np.uint8)
Turns = Callable[..., None]


def face(score: float, landmarks: np.ndarray = FACE) -> list[FoundFace]:
    return [FoundFace(box=BOX, landmarks=landmarks, score=score)]


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> Turns:
    """Says what is found in the picture as it is, and turned once, twice and three times."""

    def tell(*found: list[FoundFace]) -> None:
        rest = iter(found)
        monkeypatch.setattr(finder, "_detect", lambda pixels: next(rest))

    return tell


def upright() -> bool:
    (found,) = find(PICTURE)
    return bool(np.abs(found.landmarks - FACE).max() < 1e-3)


@pytest.mark.parametrize(
    ("as_it_is", "turned", "stays"),
    [(0.975, 0.979, True), (0.9977, 0.9985, True), (0.99, 0.9998, False), (0.9975, 0.9999, False), (0.9, 0.96, False)],
)
def test_a_turn_wins_only_with_half_the_doubt(turns: Turns, as_it_is: float, turned: float, stays: bool) -> None:
    for place in range(3):
        found = [face(turned) if place == turn else [] for turn in range(3)]
        turns(face(as_it_is), *found)
        assert upright() is stays


def test_a_face_that_is_found_only_in_a_turned_picture_counts_however_hesitantly(turns: Turns) -> None:
    turns([], [], face(0.85), [])
    assert not upright()


def test_a_certain_face_needs_no_turn(turns: Turns) -> None:
    turns(face(0.9981))
    assert upright()


def test_a_head_that_lies_in_its_turned_picture_does_not_count_against_one_that_stands(turns: Turns) -> None:
    lying = FACE[:, ::-1].copy()  # the mouth is beside the eyes
    turns(face(0.97), face(0.9999, lying), [], [])
    assert upright()
    turns(face(0.9999, lying), face(0.97), [], [])
    assert not upright()
    turns(face(0.9, lying), [], [], [])
    assert np.array_equal(find(PICTURE)[0].landmarks, lying)  # better than none


@pytest.mark.parametrize(
    ("landmarks", "kept"),
    [
        (FACE, True),
        ((FACE - 50) * np.float32([0.5, 1]) + 50, True),  # half turned away: the eyes are 13 of 60 pixels apart
        ((FACE - 50) * 0.4 + 50, False),
        (FACE * np.float32([1, -1]) + np.float32([0, 100]), False),
    ],
    ids=["upright", "half profile", "five points on a heap", "the mouth above the eyes"],
)
def test_landmarks_that_no_head_has_are_no_face(
    monkeypatch: pytest.MonkeyPatch, landmarks: np.ndarray, kept: bool
) -> None:
    class Detector:
        def detect(self, pixels: np.ndarray, *, landmarks: bool) -> tuple[np.ndarray, ...]:
            return np.stack([BOX]), np.array([0.9999]), np.stack([points])

    points = np.asarray(landmarks)
    monkeypatch.setattr(finder, "_detector", Detector)
    assert len(find(PICTURE)) == kept


def test_the_noise_on_a_real_face_is_found_again_where_a_turned_patch_is_as_certain(real_data: Path) -> None:
    source = real_data / "photos" / "7423" / "050139.jpg"
    if not source.is_file():
        pytest.skip("the real photos lack the one on which a turned patch won")
    bank, pixels = default_bank(), photo.read(source).pixels
    delta = bank.delta(42).numpy()
    copy = add_to_faces(pixels, [alignment(find(pixels)[0].landmarks, bank.size)], delta, bank.epsilon)
    kept = noise_kept(pixels, copy, delta, size=bank.size)
    assert kept is not None and kept > 0.9
