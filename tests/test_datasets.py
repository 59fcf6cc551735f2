"""The classification sets: faceguard.datasets."""

import io
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from faceguard import datasets
from faceguard.datasets import SetMissingError, load_set
from faceguard.errors import DataError
from faceguard.readers.record import Record


def write_parquet(file: Path, labels: list[int], names: list[str], *, size: int = 32, photos: Any = None) -> None:
    """Row i's photo is filled with level i, as a lossless PNG, unless its bytes are given."""
    rows = []
    for i in range(len(labels)):
        buffer = io.BytesIO()
        Image.new("RGB", (size, size), (i, i, i)).save(buffer, "PNG")
        rows.append({"bytes": (photos or {}).get(i, buffer.getvalue()), "path": f"{i}.png"})
    file.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({"image": rows, "label": labels}).replace_schema_metadata({"class_names": "\n".join(names)})
    pq.write_table(table, file, row_group_size=3)


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
    wanted = f'^CIFAR-100 is not in {tmp_path}; get it with "faceguard data fetch cifar100 --into {tmp_path}"\\.$'
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
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(
    ("name", "classes", "size"), [("cifar10", 10, 32), ("imagenette-128", 10, 128), ("tiny-imagenet-32", 200, 32)]
)
def test_real_sets_have_their_classes_in_order(real_data: Path, name: str, classes: int, size: int) -> None:
    train, test = load_set(name, real_data, photos=2, test_photos=1)
    assert train.pixels.shape == (2 * classes, size, size, 3) and test.pixels.shape == (classes, size, size, 3)
    assert list(train.names) == sorted(train.names), "all three are sorted by their authors"
    assert np.bincount(train.labels).tolist() == [2] * classes
    assert not train.failures and not test.failures
