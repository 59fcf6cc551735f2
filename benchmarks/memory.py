"""What a sample-wise noise bank takes per noise value: in its tensor, in the process that loads it, and on disk.

The reference is one byte per value, the int8 that a value is stored in. Linux only: the resident set is /proc's.
"""

import gc
import os
import tempfile
from pathlib import Path

import torch

from benchmarks.measure import REPETITIONS, Comparison
from faceguard.bank import load_bank, make_bank
from faceguard.device import generator

LIMIT = 1.1
EPSILON = 8 / 255
PAGES = Path("/proc/self/statm")


def run(*, rows: int = 20_000, size: int = 32, repetitions: int = REPETITIONS) -> list[Comparison]:
    """Bytes per noise value of a bank of ``rows`` x 3 x ``size`` x ``size``, one row for every photo."""
    values = rows * 3 * size * size
    settings = {"rows": rows, "size": size, "form": "sample-wise"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bank.safetensors"
        tensor = _save_bank(path, rows, size)
        _resident_growth(path)  # the first load also imports and opens what later loads share
        found = {
            "tensor": [tensor],
            "resident set after loading": [_resident_growth(path) for _ in range(repetitions)],
            "file": [path.stat().st_size],
        }
    return [
        Comparison(
            name=f"sample-wise bank, {name}",
            unit="bytes per noise value",
            measured=[count / values for count in counts],
            reference=[1.0] * len(counts),
            limit=LIMIT,
            settings=settings,
        )
        for name, counts in found.items()
    ]


def _save_bank(path: Path, rows: int, size: int) -> int:
    """Save a bank of random noise; returns the bytes of its rows in memory."""
    noise = (2 * torch.rand(rows, 3, size, size, generator=generator(0, "memory")) - 1) * EPSILON
    identities = tuple(f"photos/{i:08}.png" for i in range(rows))
    bank = make_bank(noise, epsilon=EPSILON, identities=identities, form="sample-wise", seed=0)
    bank.save(path)
    return bank.rows.nbytes


def _resident_growth(path: Path) -> int:
    gc.collect()
    before = _resident()
    bank = load_bank(path)
    gc.collect()
    grown = _resident() - before
    del bank
    return grown


def _resident() -> int:
    """Bytes of this process that lie in physical memory."""
    return int(PAGES.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
