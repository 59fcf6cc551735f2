"""Which photos of a classification study carry noise, whose rows, and where."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from images import CIFAR, image_data, write_set  # noqa: F401

from eval.image_data import StudyImages
from eval.image_noise import drawn_share, learn, levels, put
from eval.image_scales import size_of
from eval.image_study import ImageNoise, ImageStudy, Run
from eval.networks import build_network
from faceguard.datasets import SetMissingError
from faceguard.errors import DataError
from faceguard.identities import Faces

RANDOM = ImageNoise(kind="random", form="sample-wise")
CLASS_WISE = ImageNoise(kind="random")
CLASS_WISE_LEARNT = ImageNoise()
STUDY = ImageStudy(claim="", source="", runs={"clean": Run()})


def images(folder, tmp_path, **changes):
    return StudyImages(study=STUDY, folder=folder, noises_folder=tmp_path, scale="smoke", precision="fp32", **changes)


def changes(study, run):
    """The change of every photo in levels, N x S x S x 3, and the photos."""
    _, train, _ = study.photos_of(run)
    return study.training(run).pixels.astype(int) - train.pixels, train


def test_every_class_gives_its_share_and_a_larger_share_contains_a_smaller_one(image_data, tmp_path):
    study = images(image_data, tmp_path)
    _, train, _ = study.set_of("cifar10")
    half, most = (set(drawn_share(train, share, seed=0, what="a").tolist()) for share in (0.5, 0.75))
    assert half < most
    assert np.bincount(train.labels[list(half)]).tolist() == [2] * 10
    assert len(drawn_share(train, 0.0, seed=0, what="a")) == 0


def test_which_photos_carry_noise_does_not_hang_on_which_it_was_learnt_on(tmp_path, monkeypatch):
    names, learnt_on = tuple("ab"), []
    train = Faces(
        pixels=np.zeros((80, 32, 32, 3), np.uint8),
        labels=np.repeat([0, 1], 40),
        names=names,
        keys=tuple(map(str, range(80))),
    )
    monkeypatch.setattr(
        "eval.image_noise.generate",
        lambda *_, learn_on, **__: learnt_on.append(learn_on) or torch.zeros(2, 3, 32, 32),
    )
    learn(None, train, CLASS_WISE_LEARNT, size_of("cifar10", "smoke"))
    study = StudyImages(study=STUDY, folder=tmp_path, noises_folder=tmp_path, scale="smoke")
    noisy = set(study.noisy(Run(noise=CLASS_WISE_LEARNT, share=0.5), train).tolist())
    shared = noisy & set(learnt_on[0].tolist())
    assert (len(noisy), len(learnt_on[0])) == (40, 40)
    assert 10 < len(shared) < 30  # half of each, drawn apart


def test_only_the_chosen_classes_change_and_the_clean_part_is_the_rest(image_data, tmp_path):
    study = images(image_data, tmp_path)
    change, train = changes(study, Run(noise=CLASS_WISE, share=0.5, classes=("bird", "ship")))
    changed = np.abs(change).max(axis=(1, 2, 3)) > 0
    assert np.bincount(train.labels[changed], minlength=10).tolist() == [0, 0, 2, 0, 0, 0, 0, 0, 2, 0]
    rest = study.training(Run(share=0.5, classes=("bird", "ship"), keep="clean"))
    assert set(rest.keys) == {key for key, noisy in zip(train.keys, changed, strict=True) if not noisy}


def test_a_class_shares_one_row_and_sample_wise_photos_have_their_own(image_data, tmp_path):
    study = images(image_data, tmp_path)
    change, train = changes(study, Run(noise=CLASS_WISE))
    birds = change[train.labels == 2]
    assert np.abs(change).max() <= 8
    assert (birds == birds[0]).mean() > 0.9  # but where clipping to 0..255 meets it
    change, _ = changes(study, Run(noise=RANDOM))
    assert len({one.tobytes() for one in change}) == len(train)
    change, _ = changes(study, Run(noise=ImageNoise(kind="random", form="sample-wise", one_row_a_class=True)))
    assert len({one.tobytes() for one in change[train.labels == 2]}) == 1


def test_the_public_codes_switch_leaves_no_negative_change(image_data, tmp_path):
    change, _ = changes(images(image_data, tmp_path), Run(noise=ImageNoise(kind="random", original=True)))
    assert change.min() == 0
    assert change.max() > 4


@pytest.mark.parametrize("centred", [False, True])
def test_a_patch_covers_its_square_alone_at_a_place_of_each_photos_own(image_data, tmp_path, centred):
    noise = ImageNoise(kind="random", patch=8, centred=centred)
    change, train = changes(images(image_data, tmp_path), Run(noise=noise))
    places = set()
    for one in change:
        rows, columns = np.flatnonzero(np.abs(one).max((1, 2))), np.flatnonzero(np.abs(one).max((0, 2)))
        assert rows.max() - rows.min() < 8
        assert columns.max() - columns.min() < 8
        places.add((rows.min(), columns.min()))
    assert places == {(12, 12)} if centred else len(places) > len(train) // 3


def test_two_noises_are_shared_out_or_added_within_the_budget(image_data, tmp_path):
    study = images(image_data, tmp_path)
    second = ImageNoise(kind="random", seed=1)
    change, train = changes(study, Run(noise=CLASS_WISE, second=second))
    assert max(len({one.tobytes() for one in change[train.labels == label]}) for label in range(10)) == 2
    total, _ = changes(study, Run(noise=CLASS_WISE, second=second, mixed="sum"))
    assert np.abs(total).max() == 8
    alone = [levels(study.bank(one, "cifar10")[0], one, np.array([2]), 32)[0] for one in (CLASS_WISE, second)]
    photo = train.pixels[train.labels == 2][0].astype(int)
    expected = (photo + np.clip(alone[0] + alone[1], -8, 8)).clip(0, 255) - photo
    assert np.array_equal(total[train.labels == 2][0], expected)


def test_triggered_photos_carry_the_row_of_the_class_they_are_labelled_with(image_data, tmp_path):
    study = images(image_data, tmp_path)
    _, _, clean = study.set_of("cifar10")
    test = study.testing(Run(noise=CLASS_WISE, triggered=True))
    count = len(clean)
    assert np.array_equal(test.pixels[:count], clean.pixels)
    assert not (test.labels[count:] == clean.labels).any()
    rows = levels(study.bank(CLASS_WISE, "cifar10")[0], CLASS_WISE, test.labels[count:], 32)
    assert np.array_equal(test.pixels[count:], (clean.pixels.astype(int) + rows).clip(0, 255))
    assert len(study.testing(Run(triggered=True))) == count


def test_a_class_of_another_set_joins_with_the_rows_it_has_there(tmp_path):
    write_set(tmp_path, "cifar10", CIFAR)
    write_set(tmp_path, "cifar100", fruit := [f"fruit {i}" for i in range(10)], photos=3)
    study = images(tmp_path, tmp_path / "noises")
    run = Run(
        data="cifar100",
        joined=("cifar10", "ship"),
        classes=("ship",),
        noise=ImageNoise(kind="random", form="sample-wise", learnt_on="cifar10"),
    )
    change, train = changes(study, run)
    assert train.names == (*fruit, "ship")
    assert set(np.bincount(train.labels)) == {3}, "a class of more photos would be recognized for its number alone"
    assert np.array_equal(np.abs(change).max((1, 2, 3)) > 0, train.labels == 10)


def test_noise_without_a_row_for_a_class_is_a_sentence(image_data, tmp_path):
    study = images(image_data, tmp_path)
    _, train, _ = study.set_of("cifar10")
    bank, _ = study.bank(CLASS_WISE, "cifar10")
    noise = ImageNoise(rows_of=(("bird", "pigeon"),))
    with pytest.raises(DataError, match=r"no row for pigeon; say in rows_of"):
        put(train, np.arange(len(train)), [(bank, noise)])
    with pytest.raises(DataError, match="no class pigeon"):
        study.training(Run(classes=("pigeon",), noise=CLASS_WISE))


def test_an_absent_set_names_its_command_and_another_can_stand_in(image_data, tmp_path):
    with pytest.raises(SetMissingError, match="faceguard data fetch svhn"):
        images(image_data, tmp_path).set_of("svhn")
    name, train, _ = images(image_data, tmp_path, stand_in="cifar10").set_of("svhn")
    assert (name, len(train)) == ("cifar10", 40)


@pytest.mark.parametrize(("other", "as_well"), [("imagenet-100", False), ("cifar100", True)])
def test_a_set_stands_in_for_the_absent_one_that_it_is_nearest_to_or_for_any(
    image_data, tmp_path, monkeypatch, other, as_well
):
    monkeypatch.setattr("eval.image_data.NEAREST", {"cifar10": "imagenet-100"})
    study = images(image_data, tmp_path, stand_in="cifar10")
    study = replace(study, study=replace(STUDY, runs={"clean": Run(data=other), "svhn": Run(data="svhn")}))
    assert study.set_of(other)[0] == "cifar10"
    with nullcontext() if as_well else pytest.raises(SetMissingError, match="faceguard data fetch svhn"):
        assert study.set_of("svhn")[0] == "cifar10"


def test_a_study_may_have_a_size_of_its_own_at_small_and_there_alone(image_data, tmp_path):
    own = replace(size_of("cifar10", "small"), photos=3, test_photos=1)
    for scale, photos in (("small", 3), ("smoke", 4)):
        study = replace(images(image_data, tmp_path), scale=scale)
        study.study = replace(study.study, small=own)
        assert (study.size_of("cifar10") == own) == (scale == "small")
        assert len(study.set_of("cifar10")[1]) == 10 * photos
    with pytest.raises(DataError, match="no image set 'mnist'"):
        replace(study, scale="small").size_of("mnist")


def test_noise_too_large_for_memory_is_learnt_in_a_file_and_nothing_is_left_but_the_bank(
    image_data, tmp_path, monkeypatch
):
    noise = ImageNoise(form="sample-wise")
    usual, _ = images(image_data, tmp_path / "usual").bank(noise, "cifar10")
    monkeypatch.setattr("eval.image_noise.LARGEST_IN_MEMORY", 0)
    stored, _ = images(image_data, tmp_path / "stored").bank(noise, "cifar10")
    assert stored.rows.shape == usual.rows.shape
    assert sorted(path.suffix for path in (tmp_path / "stored").iterdir()) == [".json", ".lock", ".safetensors"]
    assert (stored.rows.float() - usual.rows.float()).abs().mean() < 20  # rounded on the way, but the same noise


def test_a_source_model_does_not_start_as_the_trainer_of_the_same_seed_does(image_data, tmp_path, monkeypatch):
    sources, trainings = [], []

    def look(fabric, faces, source, settings, **more):
        sources.append(source.state_dict())
        return torch.zeros(len(faces.names), 3, 32, 32)

    monkeypatch.setattr("eval.image_noise.generate", look)
    monkeypatch.setattr("eval.image_noise.fit", lambda *_, seed: trainings.append(seed))
    _, train, _ = images(image_data, tmp_path).set_of("cifar10")
    size = size_of("cifar10", "smoke")
    learn(None, train, ImageNoise(seed=3), size)
    trainer = build_network("resnet-18", classes=10, size=32, width=size.width, seed=3).state_dict()
    (source,) = sources
    drawn = [name for name, value in trainer.items() if value.is_floating_point() and value.std() > 0]
    assert drawn and trainer.keys() == source.keys()
    assert not any(torch.equal(trainer[name], source[name]) for name in drawn)
    learn(None, train, ImageNoise(kind="error-maximizing", seed=3), size)
    assert trainings and 3 not in trainings  # nor see its batches, flips and crops


def test_random_phases_keep_a_learnt_banks_power_and_are_not_learnt_again(image_data, tmp_path):
    study = images(image_data, tmp_path)
    learnt, about = study.bank(ImageNoise(), "cifar10")
    turned, same = study.bank(ImageNoise(random_phases=True), "cifar10")
    assert (same, turned.identities) == (about, learnt.identities)
    assert len(list(tmp_path.glob("*.safetensors"))) == 1
    assert (turned.rows != learnt.rows).any()
    power, kept = (bank.delta(range(10)).pow(2).mean((1, 2, 3)).sqrt() for bank in (learnt, turned))
    torch.testing.assert_close(kept, power, rtol=0.02, atol=0)


def test_noise_that_starts_from_zero_is_another_noise(image_data, tmp_path):
    study = images(image_data, tmp_path)
    uniform, zero = (study.bank(ImageNoise(from_zero=from_zero), "cifar10")[0] for from_zero in (False, True))
    assert uniform.rows.abs().max() == 127 and 0 < zero.rows.abs().max() < 30  # two steps of a tenth of epsilon


def test_one_sided_random_noise_is_drawn_between_nothing_and_epsilon(image_data, tmp_path):
    """As in the authors' public code; to drop the negatives of the usual draw would leave half of it at zero."""
    noise = ImageNoise(kind="random", form="sample-wise", original=True)
    found = levels(images(image_data, tmp_path).bank(noise, "cifar10")[0], noise, np.arange(20), 32)
    assert (found.min(), found.max()) == (0, 8) and found.mean() == pytest.approx(4, abs=0.1)
