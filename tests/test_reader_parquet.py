"""Parquet sets: faceguard.readers.parquet."""

import io
import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from faceguard import decode, readers
from faceguard.errors import DataError, PhotoError


def png(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (level, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def write(
    file: Path, labels: Sequence[Any], *, metadata: dict[str, str] | None = None, images: list[Any] | None = None
) -> Path:
    """A parquet file with three rows to a row group; row i's photo has the red level i."""
    if images is None:
        images = [{"bytes": png(i), "path": f"{i}.png"} for i in range(len(labels))]
    table = pa.table({"image": images, "label": list(labels)})
    pq.write_table(table.replace_schema_metadata(metadata), file, row_group_size=3)
    return file


def huggingface(names: list[str]) -> dict[str, str]:
    label = {"names": names, "_type": "ClassLabel"}
    return {"huggingface": json.dumps({"info": {"features": {"image": {"_type": "Image"}, "label": label}}})}


def test_rows_are_listed_in_order_and_read_from_any_row_group(tmp_path: Path) -> None:
    file = write(tmp_path / "train.parquet", [1, 0, 1, 1, 0, 1, 0])
    for path in (file, tmp_path):
        records = readers.find(path)
        assert [record.key for record in records] == [f"train.parquet/{i}" for i in range(7)]
        assert [record.identity for record in records] == ["1", "0", "1", "1", "0", "1", "0"]
        assert [int(record.read()[0, 0, 0]) for record in reversed(records)] == [6, 5, 4, 3, 2, 1, 0]


def test_pickled_records_stay_small_after_reading_and_read_the_same(tmp_path: Path) -> None:
    record = readers.find(write(tmp_path / "a.parquet", range(7)))[5]
    record.read()
    data = pickle.dumps(record)
    assert len(data) < 1000
    assert (pickle.loads(data).read()[..., 0] == 5).all()


@pytest.mark.parametrize("metadata", [{"class_names": "Ann\nBo"}, huggingface(["Ann", "Bo"])])
def test_labels_take_their_names_from_the_metadata(tmp_path: Path, metadata: dict[str, str]) -> None:
    records = readers.find(write(tmp_path / "a.parquet", [1, 0], metadata=metadata))
    assert [record.identity for record in records] == ["Bo", "Ann"]


def test_text_labels_are_names(tmp_path: Path) -> None:
    records = readers.find(write(tmp_path / "a.parquet", ["Bo", "Ann"], metadata={"class_names": "x"}))
    assert [record.identity for record in records] == ["Bo", "Ann"]


def test_one_split_may_come_in_several_files(tmp_path: Path) -> None:
    for i in range(2):
        write(tmp_path / f"train-0000{i}-of-00002.parquet", [i])
    assert [record.identity for record in readers.find(tmp_path)] == ["0", "1"]


def test_two_splits_in_one_folder_are_a_data_error(tmp_path: Path) -> None:
    for name in ("train", "test"):
        write(tmp_path / f"{name}.parquet", [0])
    with pytest.raises(DataError, match=r"several splits \(test, train\); name one of the files"):
        readers.find(tmp_path)


@pytest.mark.parametrize(
    ("labels", "metadata", "words"),
    [
        ([0, None], {}, "Row 1 of .* has the label None"),
        ([0.5, 1.0], {}, r"Row 0 of .* has the label 0\.5"),
        ([0, 2], {"class_names": "Ann\nBo"}, "Row 1 of .* has the label 2, and the file names only 2"),
        ([0, -1], {"class_names": "Ann\nBo"}, "Row 1 of .* has the label -1"),
        ([0], {"huggingface": "{"}, "metadata of .* is damaged"),
        ([0], {"huggingface": "[]"}, "metadata of .* is damaged"),
        ([], {}, "holds no rows"),
    ],
)
def test_a_wrong_label_is_a_data_error_that_names_the_row(
    tmp_path: Path, labels: list[Any], metadata: dict[str, str], words: str
) -> None:
    file = (
        write(tmp_path / "a.parquet", labels, metadata=metadata, images=[{"bytes": png(0), "path": ""}] * len(labels))
        if labels
        else empty(tmp_path / "a.parquet")
    )
    with pytest.raises(DataError, match=words):
        readers.find(file)


def empty(file: Path) -> Path:
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    pq.write_table(pa.schema([("image", image), ("label", pa.int64())]).empty_table(), file)
    return file


@pytest.mark.parametrize(
    "columns", [{"photo": [b""], "label": [0]}, {"image": [b""], "label": [0]}, {"image": [{"bytes": b""}]}]
)
def test_other_columns_are_a_data_error_that_names_them(tmp_path: Path, columns: dict[str, list[Any]]) -> None:
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=f"has the columns {', '.join(columns)}, not image{{bytes, path}} and label"):
        readers.find(tmp_path / "a.parquet")


def test_a_truncated_file_is_a_data_error(tmp_path: Path) -> None:
    file = write(tmp_path / "a.parquet", range(7))
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"a\.parquet cannot be read as parquet"):
        readers.find(file)


def test_bad_photos_among_good_ones_are_left_out_and_named(tmp_path: Path) -> None:
    images: list[dict[str, bytes | str | None]] = [{"bytes": png(i), "path": None} for i in range(4)]
    images[1]["bytes"] = b"not a picture"
    images[3] = {"bytes": None, "path": "elsewhere.png"}
    faces = decode.load_faces(write(tmp_path / "a.parquet", [0, 0, 1, 2], images=images), size=4)
    assert faces.names == ("0", "1")
    assert faces.keys == ("a.parquet/0", "a.parquet/2")
    assert [failure.key for failure in faces.failures] == ["a.parquet/1", "a.parquet/3"]
    assert "is not a picture" in faces.failures[0].reason
    assert "holds no bytes" in faces.failures[1].reason


def test_a_file_that_vanishes_is_a_photo_error(tmp_path: Path) -> None:
    file = write(tmp_path / "a.parquet", [0])
    (record,) = readers.find(file)
    file.unlink()
    with pytest.raises(PhotoError, match=r"a\.parquet/0 cannot be read"):
        record.read()


def test_the_real_sets_carry_their_class_names(real_data: Path) -> None:
    records = readers.find(real_data / "cifar10/test.parquet")
    assert len(records) == 10_000
    assert {record.identity for record in records} >= {"airplane", "truck"}
    faces = decode.load_records(records[:50], size=32)
    assert faces.pixels.shape == (50, 32, 32, 3) and not faces.failures
    with pytest.raises(DataError, match="several splits"):
        readers.find(real_data / "cifar10")
    assert len({record.identity for record in readers.find(real_data / "tiny-imagenet-32")}) == 200
    assert np.ptp(faces.pixels) > 200
