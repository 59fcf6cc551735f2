"""SVHN, street view house numbers (Netzer et al. 2011): train_32x32.mat and test_32x32.mat, cropped digits.

MATLAB files with ``X``, uint8 32 x 32 x 3 x N, and ``y``, N labels 1 to 10 of which 10 is the digit 0. The classes are
the digits 0 to 9, so a label here is the digit that is seen. The extra training photos are not used: the paper does not.
"""

import zlib
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from faceguard.errors import DataError
from faceguard.readers.record import Record, Splits

TRAIN, TEST = "train_32x32.mat", "test_32x32.mat"
DIGITS = tuple("0123456789")


def splits(path: Path) -> Splits | None:
    """The set whose two files lie in ``path``, or None when neither does. Raises DataError when one is missing or damaged."""
    if not any((path / name).is_file() for name in (TRAIN, TEST)):
        return None
    return Splits(
        layout="SVHN as its authors' MATLAB files",
        classes=DIGITS,
        train=_records(path / TRAIN),
        test=_records(path / TEST),
    )


def _records(file: Path) -> list[Record]:
    photos, labels = _arrays(file)
    sound = photos.ndim == 4 and photos.shape[:3] == (32, 32, 3) and photos.dtype == np.uint8
    if not (sound and labels.size == photos.shape[3] > 0 and np.isin(labels, np.arange(1, 11)).all()):
        raise DataError(f"{file} holds no photos of 32 x 32 pixels in X with labels 1 to 10 in y; copy it again.")
    digits = [int(label) % 10 for label in labels.reshape(-1)]
    return [
        Record(f"{file.name}/{i}", DIGITS[digit], partial(np.ascontiguousarray, photos[..., i]), file)
        for i, digit in enumerate(digits)
    ]


def _arrays(file: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    if not file.is_file():
        raise DataError(f"{file} is missing; SVHN needs {TRAIN} and {TEST} in one folder.")
    try:
        content = loadmat(file, variable_names=["X", "y"])
        return np.asarray(content["X"]), np.asarray(content["y"])
    except (OSError, ValueError, TypeError, LookupError, NotImplementedError, MatReadError, zlib.error) as error:
        raise DataError(f"{file} cannot be read as a MATLAB file ({error}); copy it again.") from error
