"""The classification sets: faceguard.datasets."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from small_sets import write_cifar10, write_imagenet, write_parquet, write_svhn

from faceguard import datasets
from faceguard.datasets import SetMissingError, load_set
from faceguard.errors import DataError
from faceguard.readers.record import Record

NAMES = ["truck", "automobile", "airplane"]


@pytest.fixture
def cifar(tmp_path: Path) -> Path:
    write_parquet(tmp_path / "cifar10/train.parquet", [2, 1, 0, 0, 2, 1, 0, 2, 1], NAMES)
    write_parquet(tmp_path / "cifar10/test.parquet", [2, 0, 1, 0], NAMES)
    return tmp_path


def levels(faces: datasets.Faces) -> list[int]:
    return [int(photo[0, 0, 0]) for photo in faces.pixels]


def test_classes_keep_the_order_of_their_labels_in_both_sets(cifar: Path) -> None:
    train, test = load_set("cifar10", cifar)
    assert train.names == test.names == tuple(NAMES)
    assert train.labels.tolist() == [2, 1, 0, 0, 2, 1, 0, 2, 1]
    assert test.labels.tolist() == [2, 0, 1, 0]
    assert (levels(train), levels(test)) == (list(range(9)), list(range(4)))


def test_only_the_first_photos_of_the_first_classes_are_decoded(cifar: Path) -> None:
    write_parquet(
        cifar / "cifar10/train.parquet", [2, 1, 0, 0, 2, 1, 0, 2, 1], NAMES, photos={0: b"", 6: b"", 8: b"", 4: b""}
    )
    train, test = load_set("cifar10", cifar, classes=2, photos=2, test_photos=1)
    assert (train.names, levels(train), levels(test)) == (("truck", "automobile"), [1, 2, 3, 5], [1, 2])
    assert not train.failures


def test_unreadable_photos_are_listed_and_labels_stay(cifar: Path) -> None:
    write_parquet(cifar / "cifar10/train.parquet", [0, 1, 1, 2], NAMES, photos={0: b"damaged"})
    train, _ = load_set("cifar10", cifar)
    assert [failure.key for failure in train.failures] == ["train.parquet/0"]
    assert (train.names, train.labels.tolist()) == (tuple(NAMES), [1, 1, 2])


def test_parts_of_a_split_are_one_split(cifar: Path) -> None:
    (cifar / "cifar10/test.parquet").unlink()
    write_parquet(cifar / "cifar10/validation-00000-of-00002.parquet", [0], NAMES)
    write_parquet(cifar / "cifar10/validation-00001-of-00002.parquet", [1], NAMES)
    assert load_set("cifar10", cifar)[1].labels.tolist() == [0, 1]


def test_a_set_without_test_photos_gives_a_fixed_fifth_of_each_class(tmp_path: Path) -> None:
    write_parquet(tmp_path / "tiny-imagenet-32/train.parquet", [0, 1, 2] * 10, NAMES)
    train, test = load_set("tiny-imagenet-32", tmp_path)
    assert np.bincount(train.labels).tolist() == [8, 8, 8]
    assert np.bincount(test.labels).tolist() == [2, 2, 2]
    assert not set(train.keys) & set(test.keys)
    fewer, same = load_set("tiny-imagenet-32", tmp_path, classes=2, photos=3, test_photos=1)
    assert set(fewer.keys) < set(train.keys) and set(same.keys) < set(test.keys)
    assert (fewer.labels.tolist(), same.labels.tolist()) == ([0, 0, 0, 1, 1, 1], [0, 1])


def test_an_absent_set_names_the_command_that_gets_it(tmp_path: Path) -> None:
    wanted = f"^CIFAR-100 is not in {tmp_path}; get it with: faceguard data fetch cifar100 --into {tmp_path}$"
    with pytest.raises(SetMissingError, match=wanted):
        load_set("cifar100", tmp_path)
    assert issubclass(SetMissingError, DataError)


def test_unknown_names_and_more_classes_than_there_are_are_refused(cifar: Path) -> None:
    with pytest.raises(DataError, match="There is no set 'mnist'; the known ones are cifar10, cifar100"):
        load_set("mnist", cifar)
    with pytest.raises(DataError, match="has 3 classes, and 4 are asked for"):
        load_set("cifar10", cifar, classes=4)


def test_square_photos_are_resized_whole_and_of_others_the_centre_is_cut() -> None:
    ramp = np.repeat(np.arange(128, dtype=np.uint8)[None, :, None], 64, axis=0).repeat(3, axis=2)
    square = ramp[:, :64]
    assert datasets.whole(square, 32)[0, :, 0].tolist() == pytest.approx([2 * i + 0.5 for i in range(32)], abs=0.51)
    cut = datasets.whole(ramp, 56)  # 64 is 256/224 of 56, so nothing is resized and 4 and 36 pixels are cut off
    assert cut.shape == (56, 56, 3)
    assert cut[0, :, 0].tolist() == list(range(36, 92))
    np.testing.assert_array_equal(datasets.centre(ramp[:, :64], 56), ramp[4:60, 4:60])
    np.testing.assert_array_equal(datasets.centre(ramp.swapaxes(0, 1), 56), cut.swapaxes(0, 1))


def test_a_cached_set_is_not_taken_for_the_same_photos_as_faces(tmp_path: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    record = Record("a", "Ann", partial(np.copy, photo))
    read = partial(datasets.load_records, [record], size=32, cache=tmp_path)
    whole, cut = (read(to_picture=how).pixels for how in (datasets.whole, datasets.centre))
    assert not np.array_equal(whole, cut)
    np.testing.assert_array_equal(read().pixels, whole)
    assert sum(path.is_dir() for path in tmp_path.iterdir()) == 3


@pytest.mark.parametrize(
    ("name", "classes", "size"), [("cifar10", 10, 32), ("imagenette-128", 10, 128), ("tiny-imagenet-32", 200, 32)]
)
def test_real_sets_have_their_classes_in_order(real_data: Path, name: str, classes: int, size: int) -> None:
    train, test = load_set(name, real_data, photos=2, test_photos=1)
    assert train.pixels.shape == (2 * classes, size, size, 3) and test.pixels.shape == (classes, size, size, 3)
    assert list(train.names) == sorted(train.names), "all three are sorted by their authors"
    assert np.bincount(train.labels).tolist() == [2] * classes
    assert not train.failures and not test.failures


def test_the_authors_own_files_are_read_from_the_sets_folder_and_from_torchvisions(tmp_path: Path) -> None:
    photos, labels = write_cifar10(tmp_path / "mine/cifar10/cifar-10-batches-py")
    write_cifar10(tmp_path / "torchvision/cifar-10-batches-py")
    for root in ("mine", "torchvision"):
        train, test = load_set("cifar10", tmp_path / root)
        assert train.names == test.names == ("airplane", "automobile", "bird")
        np.testing.assert_array_equal(train.pixels, photos[:10])
        np.testing.assert_array_equal(test.pixels, photos[10:])
        assert train.labels.tolist() + test.labels.tolist() == labels


def test_a_digit_that_only_the_training_set_shows_is_a_class_of_both(tmp_path: Path) -> None:
    write_svhn(tmp_path / "svhn", train=(1, 10, 9), test=(10, 1))
    train, test = load_set("svhn", tmp_path)
    assert train.names == test.names == tuple("0123456789")
    assert (train.labels.tolist(), test.labels.tolist()) == ([1, 0, 9], [0, 1])


def test_parquet_wins_over_other_files_in_the_same_folder(cifar: Path) -> None:
    write_cifar10(cifar / "cifar10/cifar-10-batches-py")
    assert load_set("cifar10", cifar)[0].names == tuple(NAMES)


def test_of_imagenet_the_first_hundred_classes_are_read(tmp_path: Path) -> None:
    wordnet = [f"n{i:08d}" for i in range(103)]
    write_imagenet(tmp_path / "imagenet", wordnet[::-1], photos=1)
    train, test = load_set("imagenet-100", tmp_path, size=28)
    assert train.names == test.names == tuple(wordnet[:100])
    assert train.pixels.shape == test.pixels.shape == (100, 28, 28, 3)
    for split in ("train", "val"):
        write_parquet(tmp_path / f"imagenet-100/{split}.parquet", list(range(103)), wordnet)
    assert load_set("imagenet-100", tmp_path, size=28, photos=1)[0].names == tuple(wordnet[:100])


def test_a_folder_without_sorted_test_photos_gives_a_fifth_of_its_training_photos(tmp_path: Path) -> None:
    write_imagenet(tmp_path / "tiny-imagenet-32/tiny-imagenet-200", photos=5, test=0)
    (tmp_path / "tiny-imagenet-32/tiny-imagenet-200/val/images").mkdir(parents=True)
    train, test = load_set("tiny-imagenet-32", tmp_path, classes=2)
    assert (len(train), len(test), train.names) == (8, 2, ("n01000001", "n02000001"))
    assert train.pixels.shape[1:] == (32, 32, 3)
