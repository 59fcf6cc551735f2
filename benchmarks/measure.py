"""The one place that measures time: the sides of a comparison take turns, and a ratio compares their medians.

Taking turns (A B, B A, A B, ...) lets a change of the machine's load meet all sides alike. Wall time is what a user
waits for; CPU time leaves out what other programs take, and is the fairer one on a busy machine with one thread.
"""

import gc
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch

REPETITIONS = 5


@dataclass(frozen=True, kw_only=True)
class Times:
    """Seconds of every repetition of one side."""

    wall: tuple[float, ...]
    cpu: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """``measured`` beside ``reference``, repetition by repetition.

    The ratio of their medians should be at most ``limit``, where there is one.
    """

    name: str
    unit: str
    measured: Sequence[float]
    reference: Sequence[float]
    limit: float | None
    cpu_ratio: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float:
        """Median of the measured side over median of the reference."""
        return median(self.measured) / median(self.reference)

    @property
    def within_limit(self) -> bool:
        """Whether the ratio is at most the limit; without one it always is."""
        return self.limit is None or self.ratio <= self.limit

    def to_json(self) -> dict[str, Any]:
        """Everything a reader needs to judge the ratio, the single repetitions included."""
        return {
            "name": self.name,
            "unit": self.unit,
            "measured": median(self.measured),
            "reference": median(self.reference),
            "ratio": self.ratio,
            "cpu_ratio": self.cpu_ratio,
            "limit": self.limit,
            "within_limit": self.within_limit,
            "ratios": [ours / theirs for ours, theirs in zip(self.measured, self.reference, strict=True)],
            "settings": dict(self.settings),
            "notes": dict(self.notes),
        }


def take_turns(sides: Sequence[Callable[[], object]], repetitions: int) -> list[Times]:
    """Run every side once unmeasured, then ``repetitions`` times in turns, the order reversed each time."""
    for side in sides:
        side()
    found: list[list[tuple[float, float]]] = [[] for _ in sides]
    for repetition in range(repetitions):
        order = range(len(sides)) if repetition % 2 == 0 else reversed(range(len(sides)))
        for i in order:
            found[i].append(_seconds(sides[i]))
    return [Times(wall=tuple(w for w, _ in pairs), cpu=tuple(c for _, c in pairs)) for pairs in found]


def _seconds(side: Callable[[], object]) -> tuple[float, float]:
    gc.collect()  # so that no side pays for another's garbage
    _wait_for_gpu()
    wall, cpu = time.perf_counter(), time.process_time()
    side()
    _wait_for_gpu()
    return time.perf_counter() - wall, time.process_time() - cpu


def _wait_for_gpu() -> None:
    """A GPU works on after the calls have returned."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def compare(name: str, measured: Times, reference: Times, *, limit: float | None, **about: Any) -> Comparison:
    """The comparison of two sides that took turns."""
    cpu_ratio = median(measured.cpu) / median(reference.cpu)
    return Comparison(
        name=name,
        unit="s",
        measured=measured.wall,
        reference=reference.wall,
        limit=limit,
        cpu_ratio=cpu_ratio,
        **about,
    )


def hardware() -> dict[str, Any]:
    """The machine by its kind, never by its name."""
    return {
        "cpu": _cpu_kind(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _cpu_kind() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{models[0]}, {len(models)} cores" if models else platform.machine()
