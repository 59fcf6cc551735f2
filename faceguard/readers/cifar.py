"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009) as their author publishes them for Python: pickles, which are never unpickled.

    cifar-10-batches-py/     batches.meta, data_batch_1 ... data_batch_5, test_batch
    cifar-100-python/        meta, train, test

A batch is a dictionary with ``data``, uint8 N x 3072 (red, green and blue planes of 32 x 32), and ``labels``, for CIFAR-100
``fine_labels``; the other file holds the classes' names, ``label_names`` or ``fine_label_names``.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from faceguard.errors import DataError
from faceguard.readers.pickled import read_table
from faceguard.readers.record import Record, Splits

SHAPE = (3, 32, 32)


@dataclass(frozen=True, kw_only=True)
class _Edition:
    title: str
    folder: str
    names: tuple[str, str]  # file and key
    train: tuple[str, ...]
    test: str
    labels: str


_EDITIONS = (
    _Edition(
        title="CIFAR-10",
        folder="cifar-10-batches-py",
        names=("batches.meta", "label_names"),
        train=tuple(f"data_batch_{i}" for i in range(1, 6)),
        test="test_batch",
        labels="labels",
    ),
    _Edition(
        title="CIFAR-100",
        folder="cifar-100-python",
        names=("meta", "fine_label_names"),
        train=("train",),
        test="test",
        labels="fine_labels",
    ),
)


def splits(path: Path) -> Splits | None:
    """The set whose files lie in ``path``, or None when there are none.

    Raises DataError when one is missing or damaged, or asks for anything but plain data.
    """
    edition = next((edition for edition in _EDITIONS if _fits(path, edition)), None)
    if edition is None:
        return None
    file, key = edition.names
    classes = tuple(_text(name) for name in _list(path / file, key))
    return Splits(
        layout=f"{edition.title} as its author's pickles",
        classes=classes,
        train=[record for name in edition.train for record in _batch(path / name, edition.labels, classes)],
        test=_batch(path / edition.test, edition.labels, classes),
    )


def _fits(path: Path, edition: _Edition) -> bool:
    return (path / edition.names[0]).is_file() and any(
        (path / name).is_file() for name in (*edition.train, edition.test)
    )


def _batch(file: Path, labels_key: str, classes: tuple[str, ...]) -> list[Record]:
    table = _table(file)
    data, labels = table.get("data"), table.get(labels_key)
    if not (isinstance(data, bytes) and isinstance(labels, list) and len(data) == len(labels) * np.prod(SHAPE)):
        raise DataError(f"{file} holds no photos of 32 x 32 pixels with {labels_key}, one each; copy it again.")
    if not all(isinstance(label, int) and 0 <= label < len(classes) for label in labels):
        raise DataError(f"{file} has labels outside 0 to {len(classes) - 1}; copy all files again.")
    planes = np.frombuffer(data, dtype=np.uint8).reshape(-1, *SHAPE)
    return [
        Record(f"{file.name}/{i}", classes[label], partial(_photo, planes[i]), file) for i, label in enumerate(labels)
    ]


def _photo(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(planes.transpose(1, 2, 0))


def _list(file: Path, key: str) -> list[Any]:
    names = _table(file).get(key)
    if not (isinstance(names, list) and names and all(isinstance(name, bytes | str) for name in names)):
        raise DataError(f"{file} holds no list {key}; copy it again.")
    return names


def _table(file: Path) -> dict[str, Any]:
    try:
        return read_table(file.read_bytes(), str(file))
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}); copy the whole folder again.") from error


def _text(name: bytes | str) -> str:
    return name.decode("latin-1") if isinstance(name, bytes) else name
