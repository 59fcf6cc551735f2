"""Synthetic identities: reproducible, aligned, and learnable from structure but not from colour alone."""

from dataclasses import asdict, fields, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from faceguard.errors import DataError
from faceguard.identities import Faces
from faceguard.readers.studio import TEMPLATE, Easel, View, draw_view
from faceguard.readers.synthetic import Traits, draw_traits, landmarks, render, synthetic_faces

IDENTITIES, PHOTOS, TRAIN = 12, 20, 15


@pytest.fixture(scope="module")
def faces() -> Faces:
    return synthetic_faces(IDENTITIES, PHOTOS, size=64, seed=5)


def thumbnails(faces: Faces) -> NDArray[np.float64]:
    """16 x 16 averages of 4 x 4 pixels, one row of values per face."""
    blocks = faces.pixels.reshape(len(faces), 16, 4, 16, 4, 3).astype(np.float64)
    return np.asarray(blocks.mean(axis=(2, 4)).reshape(len(faces), -1))


def centroid_rank1(values: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Rank-1 on the last photos of each identity against the centroids of its first ``TRAIN``."""
    gallery = np.arange(len(labels)) % PHOTOS < TRAIN
    centroids = np.stack([values[gallery & (labels == i)].mean(axis=0) for i in range(IDENTITIES)])
    distances = ((values[~gallery][:, None] - centroids) ** 2).sum(axis=2)
    return float((distances.argmin(axis=1) == labels[~gallery]).mean())


def test_shapes_names_keys_and_labels_follow_the_contract() -> None:
    faces = synthetic_faces(3, 2, size=48, seed=0)
    assert faces.pixels.shape == (6, 48, 48, 3)
    assert faces.pixels.dtype == np.uint8
    assert faces.labels.dtype == np.int64
    assert faces.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert faces.names == ("synthetic-000", "synthetic-001", "synthetic-002")
    assert faces.keys[:3] == ("synthetic-000/00.png", "synthetic-000/01.png", "synthetic-001/00.png")
    assert len(set(faces.keys)) == 6
    assert faces.failures == ()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not() -> None:
    first, again, other = (synthetic_faces(2, 2, size=32, seed=seed) for seed in (7, 7, 8))
    assert first.pixels.tobytes() == again.pixels.tobytes()
    assert first.pixels.tobytes() != other.pixels.tobytes()


def test_a_picture_does_not_depend_on_how_many_are_asked_for(faces: Faces) -> None:
    fewer = synthetic_faces(4, 3, size=64, seed=5)
    wanted = [i * PHOTOS + j for i in range(4) for j in range(3)]
    assert np.array_equal(fewer.pixels, faces.pixels[wanted])


def test_the_size_changes_the_resolution_and_not_the_scene() -> None:
    small, large = (synthetic_faces(2, 3, size=size, seed=1).pixels.astype(float) for size in (32, 128))
    shrunk = large.reshape(6, 32, 4, 32, 4, 3).mean(axis=(2, 4))
    # Noise and line widths differ; the scenes themselves differ by far more from photo to photo.
    assert np.abs(small - shrunk).mean() < 10
    assert np.abs(small - np.roll(shrunk, 1, axis=0)).mean() > 30


def test_all_photos_of_all_identities_differ(faces: Faces) -> None:
    assert len({photo.tobytes() for photo in faces.pixels}) == len(faces)


def test_photos_differ_within_an_identity_and_more_between_identities(faces: Faces) -> None:
    values = thumbnails(faces)
    values = (values - values.mean(axis=1, keepdims=True)) / values.std(axis=1, keepdims=True)
    # With rows of mean 0 and variance 1 the squared distance is 2 - 2 correlation.
    distances = np.sqrt((2 - 2 * values @ values.T / values.shape[1]).clip(0))
    same = faces.labels[:, None] == faces.labels
    other_photo = ~np.eye(len(faces), dtype=bool)
    within, between = distances[same & other_photo].mean(), distances[~same].mean()
    assert within > 0.2
    assert between > 1.08 * within


def test_every_trait_shows_in_the_picture() -> None:
    wearing = replace(draw_traits(np.random.default_rng(3)), glasses=12.0, beard=0.5, hairline=15.0, hair_length=60.0)
    plain = render(wearing, np.random.default_rng(0), 64).astype(int)
    for trait in fields(Traits):
        low, high = trait.metadata["range"]
        value = asdict(wearing)[trait.name]
        changed = replace(wearing, **{trait.name: low if value > (low + high) / 2 else high})
        assert np.abs(render(changed, np.random.default_rng(0), 64) - plain).max() > 0, trait.name


def test_landmarks_lie_on_the_template_up_to_the_aligners_error() -> None:
    canvas = np.zeros((8, 8, 3), np.uint8)
    exact = {"misfit_scale": 1.0, "misfit_angle": 0.0, "misfit_x": 0.0, "misfit_y": 0.0}
    for i in range(200):
        rng = np.random.default_rng(i)
        points, view = landmarks(draw_traits(rng)), draw_view(rng)
        aligned = Easel(points, replace(view, **exact), canvas).project(points)
        assert abs(aligned.mean() - TEMPLATE.mean()) < 1e-9
        assert np.abs(aligned - TEMPLATE).max() < 10
        assert np.abs(Easel(points, view, canvas).project(points) - TEMPLATE).max() < 14


def test_the_alignment_is_the_least_squares_similarity() -> None:
    rng = np.random.default_rng(11)
    points = landmarks(draw_traits(rng))
    view = replace(draw_view(rng), misfit_scale=1.0, misfit_angle=0.0, misfit_x=0.0, misfit_y=0.0)
    easel = Easel(points, view, np.zeros((8, 8, 3), np.uint8))
    turned = (easel.project(points) - easel.offset) / easel.factor
    # Unknowns a, b, c, d of the similarity (x, y) -> (ax - by + c, bx + ay + d), solved independently.
    zeros, ones = np.zeros(5), np.ones(5)
    rows = np.concatenate(
        [
            np.stack([turned.real, -turned.imag, ones, zeros], axis=1),
            np.stack([turned.imag, turned.real, zeros, ones], axis=1),
        ]
    )
    a, b, c, d = np.linalg.lstsq(rows, np.concatenate([TEMPLATE.real, TEMPLATE.imag]), rcond=None)[0]
    assert easel.factor == pytest.approx(complex(a, b), abs=1e-9)
    assert easel.offset == pytest.approx(complex(c, d), abs=1e-9)


def test_every_drawn_value_lies_in_its_documented_range() -> None:
    rng = np.random.default_rng(2)
    for drawn in (draw_traits(rng), draw_view(rng)):
        for part in fields(drawn):
            low, high = part.metadata["range"]
            assert low <= getattr(drawn, part.name) <= high, part.name


def test_colour_alone_does_not_give_the_identity_away(faces: Faces) -> None:
    assert centroid_rank1(faces.pixels.mean(axis=(1, 2)), faces.labels) < 0.4


def test_a_linear_classifier_beats_chance_by_far_and_still_errs(faces: Faces) -> None:
    values = thumbnails(faces) / 255
    gallery = np.arange(len(faces)) % PHOTOS < TRAIN
    mean = values[gallery].mean(axis=0)
    inputs, targets = values[gallery] - mean, np.eye(IDENTITIES)[faces.labels[gallery]]
    # Ridge regression in its dual form: one weight per photo, for there are fewer photos than pixels.
    weights = inputs.T @ np.linalg.solve(inputs @ inputs.T + 10 * np.eye(len(inputs)), targets)
    predicted = ((values[~gallery] - mean) @ weights).argmax(axis=1)
    rank1 = float((predicted == faces.labels[~gallery]).mean())
    assert 4 / IDENTITIES < rank1 < 0.95


@pytest.mark.parametrize(("identities", "photos", "size"), [(0, 1, 64), (-1, 1, 64), (1, 0, 64), (1, 1, 15)])
def test_asking_for_nothing_or_for_too_few_pixels_is_a_data_error(identities: int, photos: int, size: int) -> None:
    with pytest.raises(DataError, match="ask for at least 1 identity, 1 photo and 16 px"):
        synthetic_faces(identities, photos, size=size, seed=0)


def test_the_smallest_faces_can_be_drawn() -> None:
    assert synthetic_faces(1, 1, size=16, seed=0).pixels.std() > 10


def test_a_view_is_drawn_anew_for_every_photo() -> None:
    rng = np.random.default_rng(0)
    assert draw_view(rng) != draw_view(rng)
    assert isinstance(draw_view(rng), View)
