"""Parquet with a column ``image`` of {bytes, path} and a column ``label``, as the Hugging Face hub stores image sets.

A label is a number, named by the file's metadata when it can be: Hugging Face's JSON under the key ``huggingface``
(features -> label -> names), or one name per line under ``class_names``; or the label is the name itself, a string.
A folder may hold one split in several files (``train-00000-of-00002.parquet``), but not several splits.
"""

import json
import re
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from faceguard.errors import DataError, PhotoError
from faceguard.readers.record import Record, Splits, decode_image

if TYPE_CHECKING:
    import pyarrow.parquet as pq

TEST_SPLITS = ("test", "val", "validation")  # of several the first: what others call validation is ImageNet's test
_SHARD = re.compile(r"-\d+-of-\d+$")


def fits(path: Path) -> bool:
    """Whether ``path`` is a parquet file or a folder with parquet files directly in it."""
    return bool(_files(path))


def records(path: Path) -> list[Record]:
    """One record per row, in the order of the files; the key is file name and row number, the identity the label's name.

    Raises DataError when a folder mixes splits, a file is damaged or lacks a column, or a label is empty or has no name.
    """
    files = _files(path)
    splits = sorted({_SHARD.sub("", file.stem) for file in files})
    if len(splits) > 1:
        raise DataError(
            f"{path} holds several splits ({', '.join(splits)}); name one of the files instead of the folder."
        )
    found = [record for file in files for record in _file_records(file)]
    if not found:
        raise DataError(f"{path} holds no rows; use a parquet file with photos.")
    return found


def splits(path: Path) -> Splits | None:
    """The set in a folder with train.parquet, test.parquet or val.parquet beside it or not, each in one or more parts.

    The classes are named by the metadata, else they are the training photos' labels, sorted. None for other folders; raises
    DataError when a file is damaged, lacks a column, or has labels without a name.
    """
    files: dict[str, list[Path]] = {}
    for file in _files(path):
        files.setdefault(_SHARD.sub("", file.stem), []).append(file)
    if "train" not in files:
        return None
    test = next((files[split] for split in TEST_SPLITS if split in files), [])
    train = [record for file in files["train"] for record in _file_records(file)]
    contents = [_contents(file) for file in files["train"]]
    names = contents[0][0] or [str(label) for label in sorted({label for _, labels, _ in contents for label in labels})]
    return Splits(
        layout="parquet",
        classes=tuple(names),
        train=train,
        test=[record for file in test for record in _file_records(file)],
    )


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix == ".parquet" else []
    return sorted(path.glob("[!.]*.parquet")) if path.is_dir() else []


def _contents(file: Path) -> tuple[list[str] | None, list[Any], list[int]]:
    """The labels' names when the metadata has them, the label of every row, and the rows of every group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as table:
            _require_columns(table, file)
            names = _class_names(table.schema_arrow.metadata or {}, file)
            labels = table.read(columns=["label"]).column("label").to_pylist()
            return names, labels, [table.metadata.row_group(i).num_rows for i in range(table.num_row_groups)]
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file} cannot be read as parquet ({error}); copy it again.") from error


def _file_records(file: Path) -> list[Record]:
    names, labels, group_sizes = _contents(file)
    photos = _Photos(file)
    places = ((group, row) for group, size in enumerate(group_sizes) for row in range(size))
    return [
        Record(
            key := f"{file.name}/{number}",
            _identity(label, names, f"Row {number} of {file}"),
            partial(_read_photo, photos, group, row, key),
            file,
        )
        for number, (label, (group, row)) in enumerate(zip(labels, places, strict=True))
    ]


def _require_columns(table: "pq.ParquetFile", file: Path) -> None:
    import pyarrow as pa

    schema = table.schema_arrow
    image = schema.field("image").type if "image" in schema.names else None
    has_bytes = image is not None and pa.types.is_struct(image) and image.get_field_index("bytes") >= 0
    if not has_bytes or "label" not in schema.names:
        raise DataError(
            f"{file} has the columns {', '.join(schema.names)}, not image{{bytes, path}} and label; rename its columns."
        )


def _class_names(metadata: dict[bytes, bytes], file: Path) -> list[str] | None:
    """The names of the labels 0, 1, ... in the schema's metadata, or None when it has none."""
    try:
        if b"class_names" in metadata:
            return metadata[b"class_names"].decode().split("\n")
        label = json.loads(metadata.get(b"huggingface", b"{}")).get("info", {}).get("features", {}).get("label", {})
        names = label.get("names")
    except (ValueError, AttributeError) as error:
        raise DataError(f"The metadata of {file} is damaged ({error}); copy the file again.") from error
    return None if names is None else [str(name) for name in names]


def _identity(label: Any, names: list[str] | None, where: str) -> str:
    if label is None or isinstance(label, float):
        raise DataError(f"{where} has the label {label}; give every row a whole number or a name.")
    if names is None or isinstance(label, str):
        return str(label)
    if not 0 <= label < len(names):
        raise DataError(f"{where} has the label {label}, and the file names only {len(names)}; copy it again.")
    return names[int(label)]


class _Photos:
    """The encoded photos of one parquet file, by row group; holds the row group used last, so reading in order is cheap."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._lock = threading.Lock()
        self._group = -1
        self._column: Any = None

    def __reduce__(self) -> tuple[type["_Photos"], tuple[Path]]:
        return _Photos, (self.file,)

    def encoded(self, group: int, row: int) -> bytes | None:
        """The photo's file as bytes; None where the table holds none."""
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        with self._lock:
            if self._group != group:
                with pq.ParquetFile(self.file) as table:
                    image = table.read_row_group(group, columns=["image.bytes"]).column("image")
                self._column, self._group = pc.struct_field(image, "bytes"), group
            value: bytes | None = self._column[row].as_py()
        return value


def _read_photo(photos: _Photos, group: int, row: int, name: str) -> NDArray[np.uint8]:
    import pyarrow as pa

    try:
        data = photos.encoded(group, row)
    except (pa.ArrowException, OSError) as error:
        raise PhotoError(f"{name} cannot be read ({error}); copy {photos.file} again.") from error
    if data is None:
        raise PhotoError(f"{name} holds no bytes; store the photo itself in the column image.bytes.")
    return decode_image(data, name)
