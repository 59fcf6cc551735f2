"""What an interrupted training or generation left: written whole or not at all, read without executing anything."""

import pickle
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn

from faceguard.errors import RunError
from faceguard.outputs import not_written

SAVED_EVERY = 30.0  # seconds, for steps that may take less time than writing what there is after them


def outline(model: nn.Module) -> str:
    """The names and shapes of a network's weights: what a checkpoint must fit."""
    return repr([(name, tuple(weight.shape)) for name, weight in model.state_dict().items()])


@dataclass(kw_only=True)
class Checkpoint:
    """Where a training is kept while it goes on, so that another process can go on with it.

    ``every`` is how many seconds lie between two writings at least; 0 writes whenever there is something new. What the caller
    puts into ``beside`` is kept and found again. ``seconds`` counts from the beginning of the first process.
    """

    path: Path
    every: float = 0.0
    beside: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._begun = self._saved = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long all processes have worked on it; what one did after its last writing is lost, and not counted."""
        return time.monotonic() - self._begun

    @property
    def due(self) -> bool:
        """Whether the last writing lies ``every`` seconds back."""
        return time.monotonic() - self._saved >= self.every

    def save(self, state: Mapping[str, Any]) -> None:
        """Write ``state`` whole or not at all; raises RunError when it cannot be written."""
        save_checkpoint(self.path, {**state, "beside": self.beside, "seconds": self.seconds})
        self._saved = time.monotonic()

    def load(self, fingerprint: int) -> dict[str, Any]:
        """What was saved; raises RunError when it is damaged or another run's."""
        state = resume_checkpoint(self.path, fingerprint, otherwise="choose another --out or delete it")
        self.beside[:] = state["beside"]
        self._begun -= state["seconds"]
        return state


@contextmanager
def reserved(path: Path) -> Iterator[None]:
    """Keep the checkpoint ``path`` to this process meanwhile; a process that ends, however it does, keeps nothing.

    Raises RunError when another process keeps it, or the folder cannot be written to.
    """
    file = path.with_name(path.name + ".lock")
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RunError(
            f"Another process works on {path} just now; wait until it has ended, or choose another place."
        ) from error
    except OSError as error:
        raise RunError(not_written(file, error)) from error
    try:
        yield
    finally:
        with suppress(OSError):  # Windows removes no open file, and does so itself at the end
            file.unlink()
        lock.release()


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write ``state`` so that an interruption leaves either the old file or the new one, never half of one.

    Raises RunError when the disk is full or the folder cannot be written to; the old file then stays.
    """
    temporary = path.with_name(path.name + ".tmp")  # the same each time, so that what a killed run left is replaced
    try:
        try:
            torch.save(dict(state), temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, RuntimeError) as error:  # the latter is how PyTorch says that the disk is full
        raise RunError(not_written(path, error)) from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint without executing anything in it. Raises RunError when it is damaged."""
    try:
        with ZipFile(path) as parts:
            damaged = parts.testzip()  # PyTorch writes checksums and reads over them
        if damaged is not None:
            raise BadZipFile(f"the checksum of {damaged} is wrong")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, BadZipFile, pickle.UnpicklingError) as error:
        raise RunError(f"{path} is no readable checkpoint ({error}); delete it to start anew.") from error
    if not isinstance(state, dict):
        raise RunError(f"{path} is no faceguard checkpoint; delete it to start anew.")
    return state


def resume_checkpoint(path: Path, fingerprint: int, *, otherwise: str) -> dict[str, Any]:
    """As `load_checkpoint`. Raises RunError, with what to do ``otherwise``, for a run of another fingerprint as well."""
    state = load_checkpoint(path)
    if state.get("fingerprint") != fingerprint:
        raise RunError(
            f"{path} was left by a run with other settings, faces, model or seed, or in another precision; {otherwise}."
        )
    return state
