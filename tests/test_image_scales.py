"""The sizes of the image sets: at scale small noise is learnt through the very augmentation it will meet."""

import pytest

from eval.image_scales import FULL, size_of
from faceguard.errors import DataError


@pytest.mark.parametrize("name", FULL)
@pytest.mark.parametrize("form", ["class-wise", "sample-wise"])
def test_small_learns_noise_through_the_trainers_flips_and_crops_and_full_as_the_paper(name, form):
    small = size_of(name, "small")
    noise = small.noise[form]
    assert (noise.flip, noise.crop_share) == (small.train.flip, small.train.crop_share)
    paper = size_of(name, "full").noise[form]
    assert (paper.flip, paper.crop_share, noise.epsilon) == (False, 0, paper.epsilon)


def test_an_unknown_set_is_a_sentence_that_lists_those_there_are():
    with pytest.raises(DataError, match=r"no image set 'mnist'.*cifar10"):
        size_of("mnist", "small")
