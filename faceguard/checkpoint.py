"""What an interrupted training or generation left: written whole or not at all, read without executing anything."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from faceguard.errors import RunError
from faceguard.outputs import not_written


def outline(model: nn.Module) -> str:
    """The names and shapes of a network's weights: what a checkpoint must fit."""
    return repr([(name, tuple(weight.shape)) for name, weight in model.state_dict().items()])


def save_checkpoint(path: Path, state: Mapping[str, Any]) -> None:
    """Write ``state`` so that an interruption leaves either the old file or the new one, never half of one.

    Raises RunError when the disk is full or the folder cannot be written to; the old file then stays.
    """
    temporary = path.with_name(path.name + ".tmp")  # always the same, so that what a killed run left is replaced
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
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise RunError(f"{path} is no readable checkpoint ({error}); delete it to start anew.") from error
    if not isinstance(state, dict):
        raise RunError(f"{path} is no faceguard checkpoint; delete it to start anew.")
    return state
