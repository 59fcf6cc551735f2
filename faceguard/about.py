"""What differs from run to run, for a result's run.json: command, commit, versions, hardware, time."""

import os
import platform
import shlex
import subprocess
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from faceguard import __version__

UNKNOWN = "unknown"  # a commit that nobody wrote down
PACKAGES = ("torch", "torchvision", "kornia", "numpy", "scikit-learn")


def about_run(seconds: float, command: Sequence[str]) -> dict[str, Any]:
    """The words of the ``command`` that repeats the run, commit, versions, hardware, the ``seconds`` that it took, the day."""
    return {
        "command": shlex.join(command),
        "commit": commit(),
        "version": __version__,
        "versions": {name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "hardware": f"{os.cpu_count()} cores {platform.machine()}, {_accelerator()}",
        "seconds": round(seconds),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def commit() -> str | None:
    """The clone's commit, with a + when something is not committed; None for an installed package.

    An installed package may lie inside somebody else's repository, so this file must be a part of it.
    """
    here = Path(__file__)
    git = ["git", "-C", str(here.parent)]
    try:
        for words in (["ls-files", "--error-unmatch", here.name], ["describe", "--always", "--abbrev=12", "--dirty=+"]):
            said = subprocess.run([*git, *words], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return said


def _accelerator() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
