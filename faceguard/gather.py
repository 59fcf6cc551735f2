"""Batches by number: photos, labels and rows of noise, gathered on the network's device without waiting for it.

Of a memory-mapped table the entries are read from its file. To touch a page that is not in memory makes the system read much
that lies around it, as it is set up to: megabytes for each face of a shuffled half million.

A GPU works on after the calls have returned. A plain copy to it, and whatever asks for a number that it computes, waits
until all that is done. So numbers are drawn on the CPU, sent as a whole, and kept in both places.

N entries of a table, B batch.
"""

import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from faceguard.device import fits
from faceguard.errors import DataError


class Placed(Protocol):
    """Whatever lies on a device, such as a tensor."""

    @property
    def device(self) -> torch.device: ...


class Numbers(NamedTuple):
    """The numbers of a batch, B, on the CPU (``here``) and on the network's device (``there``): one tensor if that is the CPU."""

    here: Tensor
    there: Tensor

    def beside(self, table: Placed) -> Tensor:
        """The numbers where the table lies, which they select from."""
        return self.there if table.device == self.there.device else self.here

    def of(self, table: "Table") -> Tensor:
        """A copy of the table's entries on the network's device, wherever the table lies."""
        if isinstance(table, Tensor) and table.device == self.there.device:
            return table.index_select(0, self.there)
        return fetch(table, self.here, self.there.device)

    def means(self, values: Tensor) -> tuple["Numbers", Tensor]:
        """The numbers that there are, and each one's mean of B values that lie on the device; which there are, the CPU knows."""
        different, place, count = self.here.unique(return_inverse=True, return_counts=True)
        if len(different) == len(self.here):
            return self, values.clone()
        device, shape = values.device, values.shape[1:]
        total = values.new_zeros(len(different), *shape).index_add_(0, send(place, device), values)
        mean = total.div_(send(count, device).view(-1, *[1] * len(shape)))
        return Numbers(different, send(different, device)), mean


class Filed:
    """A contiguous part of a memory-mapped array, read from its file, without what a private mapping may have changed."""

    def __init__(self, part: NDArray[Any], whole: "np.memmap[Any, Any]") -> None:
        self.file = Path(str(whole.filename)).open("rb", buffering=0)  # noqa: SIM115 - open for as long as it is read
        weakref.finalize(self, self.file.close)
        self.start = whole.offset + part.ctypes.data - whole.ctypes.data
        self.shape, self.dtype = part.shape, torch.from_numpy(part[:0]).dtype

    def read(self, numbers: Tensor, entries: Tensor) -> None:
        """Fill ``entries`` on the CPU, B x ..., with those of ``numbers``, B; raises DataError if the file does not hold one."""
        for number, entry in zip(numbers.tolist(), entries.numpy(), strict=True):
            self.file.seek(self.start + number * entry.nbytes)
            if self.file.readinto(entry) != entry.nbytes:
                raise DataError(
                    f"{self.file.name} has been cut short; remove its folder, and its photos are read anew."
                )


Table = Tensor | Filed


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on ``device``, itself if it lies there; from the CPU without waiting, for what is to be sent is set aside."""
    return tensor.to(device, non_blocking=tensor.device.type == "cpu")


def as_table(array: NDArray[Any]) -> Table:
    """The array as a table on the CPU: its file if it is a contiguous part of a mapped array, else its own memory."""
    whole: Any = array
    while isinstance(whole, np.memmap) and isinstance(whole.base, np.memmap):
        whole = whole.base
    if isinstance(whole, np.memmap) and whole.filename is not None and array.flags.c_contiguous:
        with suppress(OSError):  # a file whose name is gone
            return Filed(array, whole)
    return torch.from_numpy(array)


def settle(array: NDArray[Any], device: torch.device) -> Table:
    """The array on ``device`` when it fits there, so that no batch of it has to be copied; else where it is."""
    here = device.type == "cpu" or not fits(device, array.nbytes)
    return as_table(array) if here else send(torch.from_numpy(array), device)


def batches(numbers: Tensor, size: int, device: torch.device) -> list[Numbers]:
    """Numbers on the CPU, in batches of ``size``; the last may be smaller."""
    return [Numbers(*both) for both in zip(numbers.split(size), send(numbers, device).split(size), strict=True)]


def fetch(table: Table, numbers: Tensor, device: torch.device) -> Tensor:
    """A copy of entries of a table on the CPU, on ``device``; to a GPU it goes from page-locked memory, which is faster."""
    shape = (len(numbers), *table.shape[1:])
    entries = torch.empty(shape, dtype=table.dtype, pin_memory=device.type == "cuda")
    if isinstance(table, Filed):
        table.read(numbers, entries)
    else:
        torch.index_select(table, 0, numbers, out=entries)
    return send(entries, device)
