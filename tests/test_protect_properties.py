"""What holds for every photo, setting and format: the budget, the untouched rest, orientation, alpha, the same bytes twice.

H x W photo. The scenes are the astronaut's face at any scale and place on a background; aligned faces are 112 x 112.
What is expected is computed here from definitions: the alignment by scikit-image's Umeyama, orientations by NumPy.
"""

import hashlib
import math
from dataclasses import replace
from unittest import mock

import cv2
import numpy as np
import pytest
import skimage.data
import torch
from commands import coarse_bank
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from skimage.transform import SimilarityTransform

from faceguard import protect
from faceguard.batch import protect_photos
from faceguard.finder import FoundFace, find
from faceguard.listing import list_photos
from faceguard.protect import Protection

ASTRONAUT = skimage.data.astronaut()[20:210, 120:320]
# ArcFace's five points in 112 pixels, as its authors publish them
ARCFACE = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]])
# EXIF orientation -> what makes the stored pixels upright, in the words of the standard
UPRIGHT = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: np.rot90(stored),
}
STORED = UPRIGHT | {6: UPRIGHT[8], 8: UPRIGHT[6]}  # the inverses; all others are their own
SAVED = {".jpg": {"quality": 92}, ".png": {}, ".webp": {"lossless": True, "exact": True}, ".tiff": {}, ".bmp": {}}
TRANSLUCENT = (".png", ".webp", ".tiff")

forms = st.sampled_from(list(SAVED))
levels = st.one_of(st.integers(1, 32), st.sampled_from([1.4, 1.6, 7.6, 15.51, 31.9]))
often = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
seldom = settings(often, max_examples=10)


@st.composite
def scenes(draw):
    """H x W x 3 pixels with one whole face somewhere."""
    scale = draw(st.floats(0.4, 1.3))
    face = cv2.resize(ASTRONAUT, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    top, left, below, right = (draw(st.integers(0, 90)) for _ in range(4))
    height, width = face.shape[0] + top + below, face.shape[1] + left + right
    seed = draw(st.integers(0, 99))
    scene = cv2.resize(noise(seed, 4, 5), (width, height), interpolation=cv2.INTER_LINEAR)
    scene[top : top + face.shape[0], left : left + face.shape[1]] = face
    return scene


def noise(seed, height=112, width=112, channels=3):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def save(pixels, path, **options):
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, **SAVED[path.suffix], **options)
    return path


def decoded(path):
    """The pixels and the alpha as Pillow gives them, without orientation."""
    with Image.open(path) as image:
        levels = np.asarray(image)
    return levels[..., :3], levels[..., 3:]


def protected(path, out, **how):
    """The one result, and the file that it names."""
    (result,) = protect_photos(list_photos(path, "anna"), out, Protection(**how), rows={"anna": 1}).results
    assert result.status == "protected", result.reason
    return result, out / result.output


def bank_of(levels):
    return coarse_bank(rows=2, epsilon=levels / 255)


def reached(faces, height, width):
    """Which pixels bicubic weights of a 112-pixel crop can reach, each computed on its own."""
    y, x = np.mgrid[:height, :width]
    inside = np.zeros((height, width), dtype=bool)
    for face in faces:
        u, v = SimilarityTransform.from_estimate(face.landmarks, ARCFACE)(np.stack([x, y], -1).reshape(-1, 2)).T
        inside |= ((np.minimum(u, v) > -2.05) & (np.maximum(u, v) < 113.05)).reshape(height, width)
    return inside


def compare(result, source, output, before, after, budget):
    """The budget, and every number of the result against its definition."""
    change = np.abs(after.astype(int) - before)
    assert 0 < change.max() == result.max_change <= budget + 1e-6
    _, similar = structural_similarity(
        *(before, after), gaussian_weights=True, use_sample_covariance=False, data_range=255, channel_axis=2, full=True
    )
    assert result.ssim == pytest.approx(similar[5:-5, 5:-5].mean(), abs=1e-4)  # float32 against float64
    assert result.psnr == pytest.approx(peak_signal_noise_ratio(before, after, data_range=255), abs=1e-3)
    assert result.sha256_in == hashlib.sha256(source.read_bytes()).hexdigest()
    assert result.sha256_out == hashlib.sha256(output.read_bytes()).hexdigest()
    return change


@often
@given(scene=scenes(), form=forms, levels=levels, translucent=st.booleans())
def test_a_photo_changes_within_the_budget_on_its_face_alone_and_the_result_says_by_how_much(
    tmp_path_factory, scene, form, levels, translucent
):
    folder = tmp_path_factory.mktemp("scene")
    translucent = translucent and form in TRANSLUCENT
    source = save(np.dstack([scene, noise(0, *scene.shape[:2], 1)]) if translucent else scene, folder / f"a{form}")
    result, output = protected(source, folder / "out", bank=bank_of(levels))
    (before, alpha), (after, kept) = decoded(source), decoded(output)
    change = compare(result, source, output, before, after, levels)
    inside = reached(find(before)[:1], *before.shape[:2])
    assert not inside.all()
    assert not change[~inside].any()
    assert (change[inside].max(axis=-1) > 0).mean() > 0.3
    assert np.array_equal(alpha, kept)


@often
@given(seed=st.integers(0, 999), form=forms, levels=levels, translucent=st.booleans(), dark=st.booleans())
def test_an_aligned_face_is_the_clipped_sum_of_the_photo_and_its_row(
    tmp_path_factory, seed, form, levels, translucent, dark
):
    folder = tmp_path_factory.mktemp("aligned")
    pixels = noise(seed, channels=3 + (translucent and form in TRANSLUCENT))
    pixels[..., :3] //= 1 + 7 * dark
    source, bank = save(pixels, folder / f"a{form}"), bank_of(levels)
    result, output = protected(source, folder / "out", bank=bank)
    (before, alpha), (after, kept) = decoded(source), decoded(output)
    compare(result, source, output, before, after, levels)
    budget = math.floor(levels + 1e-6)
    row = np.rint(bank.rows[1].numpy().transpose(1, 2, 0).astype(np.float64) / 127 * levels).clip(-budget, budget)
    assert np.array_equal(after, (before + row).clip(0, 255))
    assert np.array_equal(alpha, kept)


@pytest.mark.parametrize("form", [".jpg", ".png", ".webp", ".tiff"])
@settings(often, max_examples=2)
@given(scene=scenes(), keep=st.booleans())
def test_a_photo_of_any_orientation_comes_back_upright_as_if_it_had_been_so(tmp_path_factory, scene, form, keep):
    folder = tmp_path_factory.mktemp("lying")
    for orientation, turn in UPRIGHT.items():
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        name = f"{orientation}{form}"
        source = save(STORED[orientation](scene), folder / name, exif=exif)
        with Image.open(source) as image:  # Pillow turns a TIFF by itself, and no other format
            upright = turn(np.asarray(image)) if form != ".tiff" else np.asarray(image)
        assert form == ".jpg" or np.array_equal(upright, scene)
        _, output = protected(source, folder / "lying" / name, bank=bank_of(16), keep_metadata=keep)
        _, expected = protected(
            save(upright, folder / f"u{orientation}.png"), folder / "upright" / name, bank=bank_of(16)
        )
        with Image.open(output) as written:
            assert written.getexif().get(ExifTags.Base.Orientation, 1) == 1
        assert np.array_equal(decoded(output)[0], decoded(expected)[0])


@seldom
@given(scene=scenes(), form=forms, threads=st.integers(2, 3), which=st.sampled_from(["largest", "all"]))
def test_the_same_photo_row_and_settings_give_the_same_bytes_on_any_number_of_threads(
    tmp_path_factory, scene, form, threads, which
):
    folder = tmp_path_factory.mktemp("again")
    source = save(scene, folder / f"a{form}")
    first = protected(source, folder / "first", bank=bank_of(16), faces=which)
    again = protected(source, folder / "again", bank=bank_of(16), faces=which)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        threaded = protected(source, folder / "threads", bank=bank_of(16), faces=which)
    finally:
        torch.set_num_threads(before)
    for result, output in (again, threaded):
        assert (result, output.read_bytes()) == (first[0], first[1].read_bytes())


@seldom
@given(apart=st.integers(100, 125), lower=st.integers(0, 40), levels=st.integers(1, 32))
def test_two_faces_side_by_side_share_no_pixel_twice_when_all_are_protected(tmp_path_factory, apart, lower, levels):
    folder = tmp_path_factory.mktemp("pair")
    scene = np.full((250, 340, 3), 120, dtype=np.uint8)
    for top, left in ((0, 0), (lower, apart)):
        scene[top + 20 : top + 180, left + 45 : left + 160] = ASTRONAUT[20:180, 45:160]
    source = save(scene, folder / "a.png")
    result, output = protected(source, folder / "out", bank=loud(levels), faces="all")
    after, _ = decoded(output)
    change = compare(result, source, output, scene, after, levels)
    faces = find(scene)
    assert result.faces == len(faces) == 2
    assert all((change * reached([face], 250, 340)[..., None]).any() for face in faces)
    assert (reached(faces[:1], 250, 340) & reached(faces[1:], 250, 340)).any()
    assert not change[~reached(faces, 250, 340)].any()


def loud(levels):
    """Every value at the budget, so that noise added twice breaks it."""
    bank = bank_of(levels)
    return replace(bank, rows=torch.where(bank.rows < 0, -127, 127).to(torch.int8))


@st.composite
def crowds(draw):
    """Up to five faces of any place, size and tilt in a photo of 200 x 240, most of them overlapping."""
    faces = []
    for _ in range(draw(st.integers(2, 5))):
        scale, tilt = draw(st.floats(0.4, 1.2)), draw(st.floats(-3.1, 3.1))
        place = np.array([draw(st.floats(60, 180)), draw(st.floats(60, 140))])
        turn = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
        points = ((ARCFACE - 56) * scale @ turn.T + place).astype(np.float32)
        box = np.concatenate([place - 50 * scale, place + 50 * scale]).astype(np.float32)
        faces.append(FoundFace(box=box, landmarks=points, score=1.0))
    return faces


@often
@given(faces=crowds(), levels=st.integers(1, 32))
def test_however_faces_overlap_all_of_them_together_keep_the_budget(tmp_path_factory, faces, levels):
    folder = tmp_path_factory.mktemp("crowd")
    source = save(noise(0, 200, 240) // 2 + 64, folder / "a.png")  # so that nothing is clipped
    with mock.patch.object(protect, "find", return_value=faces):
        result, output = protected(source, folder / "out", bank=loud(levels), faces="all")
    (before, _), (after, _) = decoded(source), decoded(output)
    change = compare(result, source, output, before, after, levels)
    assert not change[~reached(faces, 200, 240)].any()


def test_noise_that_is_added_twice_would_break_the_budget_of_these_tests():
    assert set(np.unique(np.rint(loud(7).delta(1).numpy() * 255))) == {-7, 7}
