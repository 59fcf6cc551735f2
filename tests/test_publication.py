"""What publishing does to a face: as Pillow's JPEG and OpenCV's warp do it, differentiably, from seeded draws."""

import io
from dataclasses import replace

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from small import QUICK, learn, tiny_faces

from faceguard.publication import Publication

NOTHING = Publication(scale=(1, 1), compressed=0, shift=0, turn=0, zoom=0, gray=0)


@pytest.fixture(scope="module")
def face():
    crop = np.ascontiguousarray(skimage.data.astronaut()[50:178, 160:288])
    return torch.from_numpy(crop).permute(2, 0, 1)[None].float() / 255


def publish(publication, pixels, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return publication(pixels)


@pytest.mark.parametrize("bf16", [False, True])
def test_publishing_that_does_nothing_changes_nothing(face, bf16):
    face = face[..., :112, :112]  # the places of 128 pixels are whole in bf16 too
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        published = publish(NOTHING, face)
    torch.testing.assert_close(published, face, atol=1e-5, rtol=0)


def test_the_new_alignment_misses_by_as_much_under_autocast(face):
    turned = replace(NOTHING, turn=3, zoom=0.05, shift=1)
    with torch.autocast("cpu", torch.bfloat16):
        published = publish(turned, face)
    torch.testing.assert_close(published, publish(turned, face), atol=1e-6, rtol=0)


def test_jpeg_is_pillows_within_two_levels(face):
    quality = 75
    ours = publish(replace(NOTHING, quality=(quality, quality), compressed=1), face)
    file = io.BytesIO()
    Image.fromarray((face[0].permute(1, 2, 0) * 255).byte().numpy()).save(file, "JPEG", quality=quality, subsampling=2)
    pillows = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)[None] / 255

    def levels(first, second):
        return float((first - second).pow(2).mean().sqrt() * 255)

    assert levels(ours, pillows) < 2 < levels(face, pillows)


@pytest.mark.parametrize("seed", range(4))
def test_the_new_alignment_misses_by_no_more_than_it_may(seed):
    """A bright spot moves by the shift, and further out by the turn and the zoom."""
    spot = torch.zeros(1, 3, 64, 64)
    spot[..., 30:34, 30:34] = 1
    published = publish(replace(NOTHING, shift=2), spot, seed)[0, 0]
    y, x = (float((published * torch.arange(64.0).view(shape)).sum() / published.sum()) for shape in ((-1, 1), (1, -1)))
    assert max(abs(y - 31.5), abs(x - 31.5)) <= 2.01
    assert max(abs(y - 31.5), abs(x - 31.5)) > 0.05


def test_every_photo_of_a_batch_misses_in_its_own_way_and_the_seed_decides(face):
    pair = face.expand(2, -1, -1, -1)
    published = publish(Publication(), pair)
    assert published.shape == pair.shape
    assert not torch.equal(published[0], published[1])
    assert torch.equal(publish(Publication(), pair), published)
    assert not torch.equal(publish(Publication(), pair, seed=1), published)


def test_every_photo_of_a_batch_is_compressed_with_a_quality_of_its_own(face):
    published = publish(replace(NOTHING, compressed=1, quality=(5, 95)), face.expand(8, -1, -1, -1))
    assert len({photo.numpy().tobytes() for photo in published}) == 8


def test_faces_come_out_larger_and_smaller_and_their_sizes_are_spread_evenly_over_factors():
    torch.manual_seed(0)
    misses = replace(NOTHING, zoom=0.05)._draw_misses(torch.zeros(400, 3, 64, 64), 64)
    assert misses[:, 0, 0].min() < 0.96 and misses[:, 0, 0].max() > 1.04
    assert misses[:, 0, 0].mean() == pytest.approx(1, abs=0.005)
    sides = [Publication(scale=(0.25, 4))._draw_side(640) for _ in range(400)]
    assert np.median(sides) == pytest.approx(640, rel=0.2)  # halfway between the ends it would be 1360


def test_the_size_of_the_face_is_drawn_between_its_ends_and_smaller_faces_lose_detail(face):
    sides = [Publication(scale=(0.5, 2))._draw_side(128) for _ in range(200)]
    assert min(sides) >= 64 and max(sides) <= 256 and len(set(sides)) > 6
    losses = []
    for scale in (0.5, 2):
        published = publish(replace(NOTHING, scale=(scale, scale)), face)
        losses.append(float((published - face).abs().mean()))
    assert losses[0] > 3 * losses[1]


def test_about_half_of_the_photos_are_gray_as_pillow_sees_them_and_the_others_untouched(face):
    photos = face.expand(200, -1, -1, -1)[..., :16, :16]
    published = publish(replace(NOTHING, gray=0.5), photos)
    gray = (published.std(dim=1) < 1e-4).flatten(1).all(dim=1)
    assert 70 <= int(gray.sum()) <= 130
    torch.testing.assert_close(published[~gray], photos[~gray], atol=1e-5, rtol=0)
    pixels = (photos[0].movedim(0, -1) * 255).round().byte().numpy()
    expected = np.asarray(Image.fromarray(pixels).convert("L"))
    assert np.abs(255 * published[gray][0, 0].numpy() - expected).max() <= 1


def test_without_gray_pictures_nothing_is_drawn_for_them(face):
    torch.manual_seed(0)
    assert Publication()._without_colour(face) is face
    assert torch.equal(torch.get_rng_state(), torch.Generator().manual_seed(0).get_state())


def test_gradients_reach_every_pixel_through_jpeg(face):
    pixels = face.clone().requires_grad_()
    publish(Publication(compressed=1), pixels).square().sum().backward()
    assert pixels.grad.isfinite().all()
    assert (pixels.grad.abs() > 0).float().mean() > 0.95


def test_noise_learnt_through_publication_depends_on_it_and_on_the_seed_alone():
    published = replace(QUICK, publication=Publication(scale=(2, 2)), stop_error=0.6)
    first = learn(tiny_faces(), published)
    assert torch.equal(learn(tiny_faces(), published), first)
    assert not torch.equal(learn(tiny_faces(), replace(published, publication=None)), first)
