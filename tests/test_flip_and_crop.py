"""What a trainer sees: flips and crops are drawn for every photo on its own, as kornia would draw and apply them."""

import kornia.augmentation as augment
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from faceguard.device import generator, seeded
from faceguard.flip_and_crop import flip_and_crop
from tests.small import SIZE
from tests.waiting import DEVICE, Waits


@pytest.mark.parametrize(("flip", "padding"), [(True, 0), (False, 2), (True, 1), (True, 4)])
def test_pixels_and_gradients_are_those_of_kornias_own_flips_and_crops(flip, padding):
    theirs = nn.Sequential(augment.RandomHorizontalFlip()) if flip else nn.Sequential()
    if padding:
        theirs.append(augment.RandomCrop((SIZE, SIZE), padding=padding))
    pixels, weight = torch.rand(2, 33, 3, SIZE, SIZE, generator=generator(0, "pixels"))
    found = []
    for change in (theirs, flip_and_crop(SIZE, flip=flip, crop_share=padding / SIZE)):
        given = pixels.contiguous(memory_format=torch.channels_last).requires_grad_()
        with seeded(0, "augment"):
            seen, after = change(given), torch.rand(1)
        (seen * weight).sum().backward()
        found.append((seen, given.grad, after))
    assert all(torch.equal(*both) for both in zip(*found, strict=True))
    assert found[1][0].is_contiguous(memory_format=torch.channels_last)


def test_a_device_is_not_waited_for_and_sees_what_the_cpu_sees():
    pixels, change = torch.rand(6, 3, SIZE, SIZE), flip_and_crop(SIZE, flip=True, crop_share=0.2)
    with Waits() as counted:
        remote = pixels.to(DEVICE)
        counted.waits.clear()
        with seeded(0, "augment"):
            seen = change(remote)
        assert counted.waits == []
    with seeded(0, "augment"):
        assert torch.equal(seen.inner, change(pixels))


def test_flips_and_crops_are_drawn_for_every_photo_on_its_own():
    ramp = torch.arange(SIZE, dtype=torch.float32).expand(64, 3, SIZE, SIZE) / SIZE
    with seeded(0, "augment"):
        flipped = flip_and_crop(SIZE, flip=True, crop_share=0)(ramp)
    mirrored = [bool(torch.equal(photo, ramp[0].flip(-1))) for photo in flipped]
    assert all(m or torch.equal(photo, ramp[0]) for m, photo in zip(mirrored, flipped, strict=True))
    assert 16 < sum(mirrored) < 48
    with seeded(0, "augment"):
        far = flip_and_crop(SIZE, flip=False, crop_share=0.38)(ramp + 1)
    assert (far == 0).flatten(1, 2).all(1).sum(1).max() == 3  # columns of the padding of three pixels
    with seeded(0, "augment"):
        cropped = flip_and_crop(SIZE, flip=False, crop_share=0.13)(ramp + 1)
    padded = F.pad(ramp[0] + 1, (1, 1, 1, 1))
    windows = [padded[:, i : i + SIZE, j : j + SIZE] for i in range(3) for j in range(3)]
    places = [[torch.equal(photo, window) for window in windows] for photo in cropped]
    assert all(any(place) for place in places)
    assert len({tuple(place) for place in places}) == 9
    assert cropped.is_contiguous(memory_format=torch.channels_last)


def test_the_gradient_passes_through_flips_and_crops():
    pixels = torch.rand(16, 3, SIZE, SIZE, requires_grad=True)
    with seeded(0, "augment"):
        flip_and_crop(SIZE, flip=True, crop_share=0.13)(pixels).sum().backward()
    assert set(pixels.grad.unique().tolist()) == {0.0, 1.0}  # a pixel is kept as it is or cropped away


def test_without_flip_and_crop_pixels_pass_untouched():
    pixels = torch.rand(4, 3, SIZE, SIZE)
    assert flip_and_crop(SIZE, flip=False, crop_share=0)(pixels) is pixels
    assert flip_and_crop(SIZE, flip=False, crop_share=0.01)(pixels) is pixels  # less than half a pixel
