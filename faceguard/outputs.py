"""Result files: written whole or not at all, the same content giving the same bytes."""

import errno
import json
import math
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from faceguard.errors import DataError


def refuse_existing(path: Path) -> None:
    """Make sure, before any work is done, that ``path`` is new and can be written; makes its folder.

    Raises DataError.
    """
    try:
        if path.exists():
            raise DataError(f"{path} already exists and is not overwritten; choose another --out.")
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise DataError(f"{path.parent} cannot be written to ({error.strerror}); choose another --out.") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path``, no other writer's, for a file that becomes ``path`` once it is whole, or is removed.

    Raises DataError when the disk is full or the folder cannot be written to.
    """
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        try:
            yield temporary
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(not_written(path, error)) from error


def not_written(path: Path, error: Exception) -> str:
    """The sentence for a result file that could not be written."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error).strip().partition("\n")[0]
    return f"{path} cannot be written ({reason}); check the folder and its space, then give the command again."


def write_json(path: Path, content: Any) -> None:
    """Write ``content``, keys in their order, under a temporary name, then rename; an infinite number becomes null."""
    text = json.dumps(_finite(content), indent=1, allow_nan=False)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
