"""How the noise of an image set is named, drawn, placed and added, whatever else is at hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from images import CIFAR, image_data, write_split  # noqa: F401

from eval.image_data import StudyImages
from eval.image_noise import drawn_share, learn, levels, passes, put, rows_for
from eval.image_scales import size_of
from eval.image_study import ImageNoise, ImageStudy, Run
from faceguard.bank import make_bank
from faceguard.controls import phase_randomized
from faceguard.noise import random_noise
from tests.small import tiny_bank, tiny_faces

SIZE = size_of("cifar10", "smoke")
STUDY = ImageStudy(claim="", source="", runs={"clean": Run()})


def images(folder, tmp_path, size=SIZE):
    return StudyImages(
        study=replace(STUDY, small=size), folder=folder, noises_folder=tmp_path / "noises", precision="fp32"
    )


def other_settings(**changes):
    return replace(SIZE, noise={form: replace(one, **changes) for form, one in SIZE.noise.items()})


@pytest.mark.parametrize(
    ("noise", "size"),
    [
        (ImageNoise(kind="random"), SIZE),
        (ImageNoise(form="sample-wise"), SIZE),
        (ImageNoise(source="vgg-11"), SIZE),
        (ImageNoise(solver="penalty"), replace(SIZE, penalty=None)),
        (ImageNoise(seed=1), SIZE),
        (ImageNoise(epsilon=4), SIZE),
        (ImageNoise(patch=8), SIZE),
        (ImageNoise(), replace(SIZE, width=16)),
        (ImageNoise(), replace(SIZE, learn_on=0.25)),
        (ImageNoise(), replace(SIZE, train=replace(SIZE.train, epochs=2))),
        (ImageNoise(), other_settings(train_steps=2)),
    ],
)
def test_whatever_else_a_noise_is_learnt_with_gives_it_another_file(image_data, tmp_path, noise, size):
    usual = images(image_data, tmp_path).file_of(ImageNoise(), "cifar10")
    assert images(image_data, tmp_path, size).file_of(noise, "cifar10") != usual


@pytest.mark.parametrize("how", [{"original": True}, {"centred": True}, {"random_phases": True}])
def test_how_rows_are_put_on_photos_and_how_many_rounds_are_allowed_leaves_their_file(image_data, tmp_path, how):
    usual = images(image_data, tmp_path).file_of(ImageNoise(), "cifar10")
    assert images(image_data, tmp_path).file_of(ImageNoise(**how), "cifar10") == usual
    assert images(image_data, tmp_path, other_settings(max_rounds=7)).file_of(ImageNoise(), "cifar10") == usual


@pytest.mark.parametrize("form", ["class-wise", "sample-wise"])
def test_random_noise_fills_the_budget_from_the_seed_of_its_noise(form):
    faces = tiny_faces()
    bank, _ = learn(None, faces, ImageNoise(kind="random", form=form, seed=3, patch=4, epsilon=4), SIZE)
    drawn = random_noise(faces, form, 4 / 255, seed=3, cells=4)
    expected = make_bank(drawn, epsilon=4 / 255, identities=bank.identities, form=form, seed=3)
    assert torch.equal(bank.rows, expected.rows)


def test_what_a_run_left_that_was_killed_when_its_noise_was_learnt_goes_with_the_next(image_data, tmp_path):
    noise = ImageNoise(kind="random")
    learnt = images(image_data, tmp_path).bank(noise, "cifar10")[0]
    path = images(image_data, tmp_path).file_of(noise, "cifar10")
    for ending in (".partial", ".rows"):
        path.with_suffix(ending).write_bytes(b"rows")
    assert torch.equal(images(image_data, tmp_path).bank(noise, "cifar10")[0].rows, learnt.rows)
    assert {found.suffix for found in path.parent.iterdir()} <= {".json", ".lock", ".safetensors"}


def test_random_phases_are_drawn_with_the_seed_of_their_noise(image_data, tmp_path):
    study, noise = images(image_data, tmp_path), ImageNoise(kind="random", seed=3)
    turned, _ = study.bank(replace(noise, random_phases=True), "cifar10")
    assert torch.equal(turned.rows, phase_randomized(study.bank(noise, "cifar10")[0], seed=3).rows)


def test_two_noises_of_different_seeds_lie_at_places_of_their_own():
    bank, rows = tiny_bank(3, 4), np.arange(3).repeat(9)
    one, again, other = (levels(bank, ImageNoise(patch=4, seed=seed), rows, 16) for seed in (0, 0, 1))
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    assert np.array_equal(np.abs(one).sum((1, 2, 3)), np.abs(other).sum((1, 2, 3)))


def test_every_part_of_the_photos_has_places_of_its_own():
    bank, noise = tiny_bank(2, 4), ImageNoise(patch=4)
    one, other = (levels(bank, noise, np.array(rows), 16) for rows in ([0, 0, 1, 1, 0, 1], [0, 0, 1, 1, 1, 1]))
    assert not np.array_equal(one[:4], other[:4])


def test_a_share_is_of_each_class_and_every_class_has_draws_of_its_own():
    faces = tiny_faces(3, 40).take([*range(80), *range(80, 90)])
    drawn = drawn_share(faces, 0.5, seed=0, what="a").numpy()
    assert np.bincount(faces.labels[drawn]).tolist() == [20, 20, 5]
    assert set(drawn[drawn < 40]) != set(drawn[(drawn >= 40) & (drawn < 80)] - 40)


def test_a_source_model_of_error_maximizing_noise_is_trained_as_the_set_says(monkeypatch):
    told, size = [], replace(SIZE, train=replace(SIZE.train, epochs=3))
    monkeypatch.setattr("eval.image_noise.fit", lambda *a, **_: told.append(a[3]))
    monkeypatch.setattr("eval.image_noise.generate", lambda *_, **__: torch.zeros(3, 3, 8, 8))
    for kind in ("error-maximizing", "error-minimizing"):
        learn(None, tiny_faces(), ImageNoise(kind=kind), size)
    assert told == [size.train]


def test_a_batch_of_few_photos_is_no_more_passes_than_photos():
    assert passes(ImageNoise(), replace(SIZE, learn_on=1), 5, 2) == 2 * (5 + 5)


def test_a_class_that_shares_one_sample_wise_row_takes_its_first_photos():
    faces = tiny_faces(3, 2)
    bank = tiny_bank(6, identities=faces.keys, form="sample-wise")
    one_row = ImageNoise(form="sample-wise", one_row_a_class=True)
    assert rows_for(faces, bank, one_row).tolist() == [0, 0, 2, 2, 4, 4]
    assert rows_for(faces.take([5, 1, 4, 0, 1]), bank, one_row).tolist() == [
        5,
        1,
        5,
        1,
        1,
    ]  # nobody of the class between


@pytest.mark.parametrize("part", [1, 4])
def test_photos_that_get_their_noise_in_parts_get_the_same(monkeypatch, part):
    faces = tiny_faces()
    bank, noise = tiny_bank(18, identities=faces.keys, form="sample-wise"), ImageNoise(form="sample-wise")
    chosen = np.array([17, 2, 3, 9, 11, 12, 0])
    whole = put(faces, chosen, [(bank, noise)]).pixels
    monkeypatch.setattr("eval.image_noise.PART", part)
    assert np.array_equal(put(faces, chosen, [(bank, noise)]).pixels, whole)
    assert np.array_equal(whole[chosen], np.clip(faces.pixels[chosen] + bank.levels(chosen), 0, 255))


@pytest.mark.parametrize(("first", "second"), [(4, 8), (8, 4)])
def test_of_two_noises_the_firsts_budget_holds_for_their_sum(first, second):
    faces = tiny_faces()
    banks = [(tiny_bank(epsilon=levels / 255, identities=faces.names), ImageNoise()) for levels in (first, second)]
    change = put(faces, np.arange(len(faces)), banks).pixels.astype(int) - faces.pixels
    assert np.abs(change).max() == first


def test_a_class_that_joins_is_as_large_as_the_largest_and_brings_its_own_test_photos_alone(tmp_path):
    for name, names in (("cifar10", CIFAR), ("cifar100", ("few", "many", "some"))):
        write_split(tmp_path / name / "train.parquet", names, 4, seed=1)
        write_split(tmp_path / name / "test.parquet", names, 2, seed=2)
    study = images(tmp_path, tmp_path, replace(SIZE, classes=None))
    name, train, test = study.set_of("cifar100")
    study._sets[name] = train.take([0, 4, 5, 6, 8, 9]), test
    _, joined, tried = study.photos_of(Run(data="cifar100", joined=("cifar10", "ship")))
    assert np.bincount(joined.labels).tolist() == [1, 3, 2, 3]
    assert (tried.names[-1], np.bincount(tried.labels).tolist()) == ("ship", [2, 2, 2, 2])
