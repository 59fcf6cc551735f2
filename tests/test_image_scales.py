"""The sizes of the image sets: at small noise is learnt through the augmentation it will meet, and takes steps of its own."""

from dataclasses import replace

import pytest

from eval.image_noise import passes, settings_of
from eval.image_scales import FULL, size_of
from eval.image_study import ImageNoise
from faceguard.errors import DataError


@pytest.mark.parametrize("name", FULL)
@pytest.mark.parametrize("form", ["class-wise", "sample-wise"])
def test_small_learns_noise_through_the_trainers_flips_and_crops_and_full_as_the_paper(name, form):
    small = size_of(name, "small")
    noise = small.noise[form]
    assert (noise.flip, noise.crop_share) == (small.train.flip, small.train.crop_share)
    paper = size_of(name, "full").noise[form]
    assert (paper.flip, paper.crop_share) == (False, 0)
    levels = 16 if "imagenet" in name else 8
    few = 8 if name == "tiny-imagenet-32" else levels
    assert (255 * paper.epsilon, 255 * noise.epsilon) == (pytest.approx(levels), pytest.approx(few))
    assert (
        paper.weight_decay
        == size_of(name, "full").train.weight_decay
        == (5e-4 if name in ("svhn", "cifar10") else 5e-5)
    )


@pytest.mark.parametrize("scale", ["full", "small", "smoke"])
def test_digits_are_mirrored_at_no_scale(scale):
    digits, birds = size_of("svhn", scale), size_of("cifar10", scale)
    assert not digits.train.flip and not any(noise.flip for noise in digits.noise.values())
    assert birds.train.flip
    unmirrored = {form: replace(noise, flip=False) for form, noise in birds.noise.items()}
    alike = replace(birds, train=replace(birds.train, flip=False), noise=unmirrored)
    assert scale == "full" or digits == alike  # and nothing else is of their own


def test_full_imagenet_fits_the_memory_that_its_sample_wise_noise_takes():
    size = size_of("imagenet-100", "full")
    rows = 100 * size.photos
    assert rows == pytest.approx(25_879, rel=0.01) and size.learn_on == 1  # a fifth of the set already
    assert 4 * rows * 3 * size.pixels**2 < 16e9  # bytes as floats


def test_an_unknown_set_is_a_sentence_that_lists_those_there_are():
    with pytest.raises(DataError, match=r"no image set 'mnist'.*cifar10"):
        size_of("mnist", "small")


def test_steps_of_equation_3_are_those_of_the_noise_or_of_its_set():
    size = size_of("cifar10", "full")
    usual, fewer = (
        settings_of(ImageNoise(form="sample-wise", **changes), size)
        for changes in ({}, {"pgd_steps": 2, "step_size": 2, "epsilon": 16, "stop_error": 0.3})
    )
    assert (usual.pgd_steps, 255 * usual.step_size) == (20, pytest.approx(0.8))
    assert (usual.stop_error, fewer.stop_error) == (0.01, 0.3)
    assert (fewer.pgd_steps, 255 * fewer.step_size, 255 * fewer.epsilon) == (2, pytest.approx(2), pytest.approx(16))


def test_small_takes_few_long_steps_whatever_the_epsilon_and_an_attack_the_papers():
    size, sample_wise = size_of("cifar10", "small"), ImageNoise(form="sample-wise")
    usual, strong, attack, one = (
        settings_of(replace(sample_wise, **changes), size)
        for changes in ({}, {"epsilon": 16}, {"kind": "error-maximizing"}, {"form": "class-wise", "epsilon": 16})
    )
    assert (usual.pgd_steps, 255 * usual.step_size) == (2, pytest.approx(2))
    assert (strong.pgd_steps, 255 * strong.step_size) == (2, pytest.approx(4))
    assert (attack.pgd_steps, 255 * attack.step_size) == (20, pytest.approx(0.8))
    assert (one.pgd_steps, 255 * one.step_size) == (1, pytest.approx(1.6))


@pytest.mark.parametrize(
    ("form", "scale", "least"),
    [("class-wise", "full", 0.8), ("sample-wise", "full", 0.9), ("class-wise", "small", 0.6)],
)
def test_error_maximizing_noise_ends_where_the_network_is_wrong(form, scale, least):
    """At full where the scripts of the authors' public code do (universal_stop_error)."""
    found = settings_of(ImageNoise(kind="error-maximizing", form=form), size_of("cifar10", scale))
    assert not found.reached(least - 0.01) and found.reached(least + 0.01)


def test_whatever_a_noise_says_of_the_source_and_of_patches_reaches_algorithm_1():
    found = settings_of(ImageNoise(learning_rate=0.1, weight_decay=5e-5, patch=16), size_of("cifar10", "small"))
    assert (found.learning_rate, found.weight_decay, found.patch) == (0.1, 5e-5, 16)


def test_augmented_noise_is_learnt_through_the_flips_and_crops_of_the_sets_trainer():
    sizes = [size_of(name, "full") for name in ("cifar10", "svhn")]
    found = [settings_of(ImageNoise(augmented=augmented), size) for size in sizes for augmented in (False, True)]
    assert [(one.flip, one.crop_share) for one in found] == [(False, 0), (True, 0.125), (False, 0), (False, 0)]


def test_equation_5_is_refused_for_error_maximizing_noise():
    noise = ImageNoise(kind="error-maximizing", solver="penalty")
    with pytest.raises(
        DataError, match="Equation 5 minimizes the error; learn error-maximizing noise with solver='pgd'"
    ):
        settings_of(noise, size_of("cifar10", "small"))


def test_equation_5_takes_steps_of_its_own_unless_the_noise_says_how_many():
    def steps(solver, scale, **more):
        settings = settings_of(ImageNoise(form="sample-wise", solver=solver, **more), size_of("cifar10", scale))
        return settings.pgd_steps, settings.train_steps

    assert (steps("penalty", "full"), steps("pgd", "full")) == ((200, 100), (20, 10))
    assert (steps("penalty", "small"), steps("pgd", "small")) == ((10, 20), (2, 20))
    assert steps("penalty", "small", pgd_steps=7) == (7, 20)


@pytest.mark.parametrize(
    ("noise", "each_round", "before"),
    [
        (ImageNoise(), 10 * 512 + 10_000, 0),  # a fifth of the photos, once
        (ImageNoise(form="sample-wise"), 10 * 512 + 20 * 50_000, 0),
        (ImageNoise(form="sample-wise", pgd_steps=2), 10 * 512 + 2 * 50_000, 0),
        (ImageNoise(kind="error-maximizing"), 10_000, 60 * 50_000),  # the source model is trained first
    ],
)
def test_passes_are_counted_as_the_paper_sets_them(noise, each_round, before):
    assert passes(noise, size_of("cifar10", "full"), 50_000, 3) == before + 3 * each_round
