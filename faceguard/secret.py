"""A secret of the user's own, from which photos get their rows unless a seed is given.

Who knows a row can look for it, and whoever shares a row can be taken for the same person. A row drawn from the name alone
could be computed by anybody who has the bank; drawn from the name and a secret it cannot.
"""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from faceguard.errors import DataError

BYTES = 32


def own_seed(folder: Path, drawn: Callable[[Path], None] = lambda _: None) -> int:
    """The secret kept in ``folder`` as a seed; drawn when there is none yet, and readable by its owner alone.

    ``drawn`` is told of a new one where it lies.
    Raises DataError when it cannot be kept or read, or when the file holds something else.
    """
    path = folder / "secret"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _draw(path)
            drawn(path)
    except FileExistsError:  # another process was faster, so its secret is the one
        pass
    except OSError as error:
        raise DataError(
            f"{path} cannot be written ({error.strerror}); set FACEGUARD_CONFIG to a folder of yours, or give --seed."
        ) from error
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}); set FACEGUARD_CONFIG to a folder of yours, or give --seed."
        ) from error
    if len(content) != BYTES:
        raise DataError(
            f"{path} holds {len(content)} bytes instead of {BYTES}; restore it, or delete it for a new secret."
        )
    return int.from_bytes(content, "big")


def _draw(path: Path) -> None:
    """A new secret that appears at ``path`` whole. Raises FileExistsError when there is one already, and keeps that."""
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        _write(temporary)
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except (OSError, AttributeError):  # a disk or system without hard links: still never two secrets
            _write(path)
    finally:
        temporary.unlink(missing_ok=True)


def _write(path: Path) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_bytes(BYTES))
