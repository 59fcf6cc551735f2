"""CIFAR's pickles, SVHN's MATLAB files, ImageNet's folders: faceguard.readers.cifar, .svhn, .imagenet and .pickled."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat
from small_sets import (
    batch_in_python_2,
    drawn,
    names_in_protocol_0,
    write_cifar10,
    write_cifar100,
    write_imagenet,
    write_svhn,
)

from faceguard import readers
from faceguard.errors import DataError
from faceguard.readers.pickled import read_table
from faceguard.readers.record import Splits


def found(path: Path) -> Splits:
    splits = readers.find_splits(path)
    assert splits is not None
    return splits


# ---- CIFAR


@pytest.mark.parametrize("python_2", [True, False])
def test_cifar10_is_read_pixel_by_pixel_in_its_authors_order(tmp_path: Path, python_2: bool) -> None:
    photos, labels = write_cifar10(tmp_path / "cifar-10-batches-py", python_2=python_2)
    for path in (tmp_path, tmp_path / "cifar-10-batches-py"):
        splits = found(path)
        assert splits.layout == "CIFAR-10 as its author's pickles"
        assert splits.classes == ("airplane", "automobile", "bird")
        records = splits.train + splits.test
        np.testing.assert_array_equal([record.read() for record in records], photos)
        assert [splits.classes.index(record.identity) for record in records] == labels
        assert [record.key for record in records][:3] == ["data_batch_1/0", "data_batch_1/1", "data_batch_2/0"]
        assert len(splits.test) == 3


def test_cifar100_is_read_by_its_fine_labels(tmp_path: Path) -> None:
    photos, labels = write_cifar100(tmp_path / "cifar-100-python")
    splits = found(tmp_path)
    records = splits.train + splits.test
    np.testing.assert_array_equal([record.read() for record in records], photos)
    assert splits.classes == ("apple", "aquarium_fish")
    assert [splits.classes.index(record.identity) for record in records] == labels
    assert (len(splits.train), len(splits.test)) == (4, 2)


def test_a_photo_of_a_batch_is_pickled_without_the_batch(tmp_path: Path) -> None:
    photos, _ = write_cifar10(tmp_path / "cifar-10-batches-py")
    data = pickle.dumps(found(tmp_path).test[1])
    assert len(data) < 5000
    np.testing.assert_array_equal(pickle.loads(data).read(), photos[11])


@pytest.mark.parametrize("protocol", range(6))
def test_tables_of_every_protocol_are_read_as_pickle_reads_them(protocol: int) -> None:
    table = {"labels": [3, 700, 70000], "names": ["a", "b"], b"bytes": b"\x00\xff", "flag": True, "none": None}
    read = read_table(pickle.dumps({**table, "data": drawn(2)}, protocol=protocol), "file")
    assert read.pop("data") == drawn(2).tobytes()
    assert read == {str(k, "ascii") if isinstance(k, bytes) else k: v for k, v in table.items()}


def test_python_2_tables_are_what_pickle_makes_of_them() -> None:
    for data in (batch_in_python_2(drawn(3), [0, 1, 2]), batch_in_python_2(drawn(3), [0, 1, 2], protocol_1=True)):
        expected = pickle.loads(data, encoding="latin1")
        read = read_table(data, "file")
        assert read["labels"] == expected["labels"] == [0, 1, 2]
        assert read["data"] == expected["data"].tobytes()
    names = names_in_protocol_0(["a", "b"])
    assert [str(name, "ascii") for name in read_table(names, "file")["label_names"]] == ["a", "b"]
    assert pickle.loads(names, encoding="latin1")["label_names"] == ["a", "b"]


class Attack:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("file", ["batches.meta", "data_batch_3", "test_batch"])
def test_code_in_a_batch_is_refused_and_does_not_run(tmp_path: Path, protocol: int, file: str) -> None:
    write_cifar10(tmp_path / "cifar-10-batches-py")
    data = pickle.dumps({"labels": [0], "label_names": ["a"], "data": Attack(tmp_path / "pwned")}, protocol=protocol)
    (tmp_path / "cifar-10-batches-py" / file).write_bytes(data)
    with pytest.raises(DataError, match=rf"{file} is a pickle that asks for .*Nothing of it was run"):
        readers.find_splits(tmp_path)
    assert not (tmp_path / "pwned").exists()
    pickle.loads(data)
    assert (tmp_path / "pwned").exists(), "the attack itself must work, or this test shows nothing"


def columns_first(count: int) -> Any:
    return np.asfortranarray(np.zeros((count, 3072), np.uint8))


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("test_batch", {"data": drawn(2), "labels": [0]}, "no photos of 32 x 32 pixels with labels"),
        ("test_batch", {"data": drawn(1)}, "no photos of 32 x 32 pixels with labels"),
        ("test_batch", {"data": drawn(2), "labels": [0, 3]}, "labels outside 0 to 2"),
        ("test_batch", {"data": drawn(1), "labels": [-1]}, "labels outside 0 to 2"),
        ("test_batch", [1, 2], "damaged pickle .it is not a dictionary"),
        ("test_batch", {"data": columns_first(2), "labels": [0, 1]}, "asks for"),
        ("batches.meta", {"label_names": []}, "no list label_names"),
        ("batches.meta", {"label_names": [1, 2]}, "no list label_names"),
    ],
)
def test_a_batch_with_other_content_is_a_data_error(tmp_path: Path, file: str, content: Any, words: str) -> None:
    write_cifar10(tmp_path / "cifar-10-batches-py")
    for protocol in (2, 5):
        (tmp_path / "cifar-10-batches-py" / file).write_bytes(pickle.dumps(content, protocol=protocol))
        with pytest.raises(DataError, match=f"{file}.*{words}"):
            readers.find_splits(tmp_path)


@pytest.mark.parametrize("file", ["data_batch_2", "test_batch"])
def test_a_missing_or_cut_batch_is_a_data_error(tmp_path: Path, file: str) -> None:
    write_cifar10(tmp_path / "cifar-10-batches-py")
    batch = tmp_path / "cifar-10-batches-py" / file
    batch.write_bytes(batch.read_bytes()[:-20])
    with pytest.raises(DataError, match=f"{file} is a damaged pickle"):
        readers.find_splits(tmp_path)
    batch.unlink()
    with pytest.raises(DataError, match=rf"{file} cannot be read .*copy the whole folder again"):
        readers.find_splits(tmp_path)


@settings(max_examples=200, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6), cut=st.integers(1, 400))
def test_a_damaged_table_is_read_or_a_data_error_and_nothing_else(changes: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(batch_in_python_2(drawn(1)[:, :1, :1], [0]))
    for place, value in changes:
        data[place % len(data)] = value
    try:
        read_table(bytes(data[:cut]), "the file")
    except DataError as error:
        assert "the file" in str(error)


# ---- SVHN


def test_svhns_label_10_is_the_digit_0_and_photos_are_read_exactly(tmp_path: Path) -> None:
    photos = write_svhn(tmp_path / "svhn")
    splits = found(tmp_path / "svhn")
    assert splits.classes == tuple("0123456789")
    assert [record.identity for record in splits.train] == ["1", "0", "9"]
    assert [record.identity for record in splits.test] == ["0", "2"]
    np.testing.assert_array_equal([record.read() for record in splits.train], photos)
    assert len(pickle.dumps(splits.train[0])) < 5000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"X": drawn(2).transpose(1, 2, 3, 0), "y": np.array([1, 11])}, "labels 1 to 10"),
        ({"X": drawn(2).transpose(1, 2, 3, 0), "y": np.array([1])}, "labels 1 to 10"),
        ({"X": drawn(2), "y": np.array([1, 2])}, "no photos of 32 x 32"),
        ({"X": drawn(2).transpose(1, 2, 3, 0).astype(float), "y": np.array([1, 2])}, "no photos of 32 x 32"),
        ({"X": drawn(2).transpose(1, 2, 3, 0)}, "cannot be read as a MATLAB file"),
    ],
)
def test_a_matlab_file_with_other_content_is_a_data_error(tmp_path: Path, content: Any, words: str) -> None:
    write_svhn(tmp_path / "svhn")
    savemat(tmp_path / "svhn/test_32x32.mat", content)
    with pytest.raises(DataError, match=rf"test_32x32\.mat.*{words}"):
        readers.find_splits(tmp_path / "svhn")


def test_a_cut_or_missing_matlab_file_is_a_data_error(tmp_path: Path) -> None:
    write_svhn(tmp_path / "svhn")
    file = tmp_path / "svhn/train_32x32.mat"
    whole = file.read_bytes()
    for length in (0, 3, 60, 130, len(whole) // 2, len(whole) - 9):
        file.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"train_32x32\.mat cannot be read as a MATLAB file"):
            readers.find_splits(tmp_path / "svhn")
    file.write_bytes(b"no matlab at all " * 30)
    with pytest.raises(DataError, match="cannot be read as a MATLAB file"):
        readers.find_splits(tmp_path / "svhn")
    file.unlink()
    with pytest.raises(DataError, match=r"train_32x32\.mat is missing; SVHN needs"):
        readers.find_splits(tmp_path / "svhn")


# ---- ImageNet


def test_imagenets_classes_are_sorted_and_only_the_first_are_listed(tmp_path: Path) -> None:
    write_imagenet(tmp_path)
    (tmp_path / "train/notes").mkdir()
    splits = readers.find_splits(tmp_path, classes=2)
    assert splits is not None
    assert splits.classes == ("n01000001", "n02000001")
    assert [record.key for record in splits.train][2:4] == [
        "train/n01000001/n01000001_2.JPEG",
        "train/n02000001/n02000001_0.JPEG",
    ]
    assert [record.identity for record in splits.test] == ["n01000001", "n02000001"]
    assert splits.train[0].read().shape == (32, 40, 3)
    assert len(found(tmp_path).train) == 9


def test_photos_that_nobody_sorted_into_classes_are_a_data_error(tmp_path: Path) -> None:
    write_imagenet(tmp_path, test=0)
    assert found(tmp_path).test == []
    (tmp_path / "val").mkdir()
    (tmp_path / "val/ILSVRC2012_val_00000001.JPEG").touch()
    with pytest.raises(DataError, match="val are in no folders; sort them into one folder per class"):
        readers.find_splits(tmp_path)


def test_other_folders_are_no_classification_set(tmp_path: Path) -> None:
    assert readers.find_splits(tmp_path / "absent") is None
    assert readers.find_splits(tmp_path) is None
    (tmp_path / "Ann").mkdir()
    (tmp_path / "Ann/meta").mkdir()
    assert readers.find_splits(tmp_path) is None
