"""Batches by number: photos, labels and rows of noise, gathered on the network's device without waiting for it.

A GPU works on after the calls have returned. A plain copy to it, and whatever asks for a number that it computes, waits
until all that is done. So numbers are drawn on the CPU, sent as a whole, and kept in both places.

N entries of a table, B batch.
"""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from faceguard.device import fits


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

    def of(self, table: Tensor) -> Tensor:
        """A copy of the table's entries on the network's device, wherever the table lies."""
        if table.device == self.there.device:
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


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on ``device``, itself if it lies there; from the CPU without waiting, for what is to be sent is set aside."""
    return tensor.to(device, non_blocking=tensor.device.type == "cpu")


def settle(table: Tensor, device: torch.device) -> Tensor:
    """The table on ``device`` when it fits there, so that no batch of it has to be copied; else where it is."""
    return send(table, device) if fits(device, table.nbytes) else table


def batches(numbers: Tensor, size: int, device: torch.device) -> list[Numbers]:
    """Numbers on the CPU, in batches of ``size``; the last may be smaller."""
    return [Numbers(*both) for both in zip(numbers.split(size), send(numbers, device).split(size), strict=True)]


def fetch(table: Tensor, numbers: Tensor, device: torch.device) -> Tensor:
    """A copy of entries of a table on the CPU, on ``device``; to a GPU it goes from page-locked memory, which is faster."""
    shape = (len(numbers), *table.shape[1:])
    entries = torch.empty(shape, dtype=table.dtype, pin_memory=device.type == "cuda")
    return send(torch.index_select(table, 0, numbers, out=entries), device)
