"""What the command line shows: progress bars with the time left, sentences, and results as tables."""

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column, Table
from rich.text import Text

from faceguard.errors import FaceguardError
from faceguard.outputs import refuse_existing
from faceguard.printable import counted, printable

if TYPE_CHECKING:  # torch must not be loaded for --help
    from faceguard.identities import Faces, Failure
    from faceguard.train import Epoch


class _Console(Console):
    """A console that shows escaped what its stream cannot hold: a letter of another alphabet, a name that is no text."""

    @property
    def file(self) -> IO[str]:
        stream = super().file
        if isinstance(stream, TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")
        return stream

    @file.setter
    def file(self, stream: IO[str]) -> None:
        self._file = stream


console, errors = _Console(), _Console(stderr=True)
HELD_OUT = "held out"  # what a training's line calls the photos that it measures
# What a system says of names, permissions and disks: no bug, wherever it is met first.
_REFUSALS = {"EACCES", "EPERM", "ENAMETOOLONG", "ELOOP", "ENOTDIR", "EROFS", "ENOSPC", "EFBIG"}
_FULL = "No usable temporary directory"  # how Python says that the disk is full, with another number
_made: ContextVar[list[Path]] = ContextVar("folders that the command under way makes, the innermost first")


def say(sentence: str) -> None:
    """One line on what was done, never wrapped; brackets in a path are a path's, not markup, and codes in it are escaped."""
    console.print(Text(printable(sentence)), soft_wrap=True)


def complain(what: str, sentence: str) -> None:
    """One line on standard error: ``what`` in red, then the sentence."""
    errors.print(Text.assemble((printable(what), "red"), f": {printable(sentence)}"), soft_wrap=True)


@contextmanager
def sentences() -> Iterator[None]:
    """End with exit code 1 and one sentence on an expected failure, or on what the system refuses; see also `claim`."""
    before = _made.set([])
    try:
        yield
    except FaceguardError as error:
        complain("Error", str(error))
        raise SystemExit(1) from error
    except OSError as error:
        full = str(error.strerror).startswith(_FULL)
        if errno.errorcode.get(error.errno or 0) not in _REFUSALS and not full:
            raise
        what = f"{error.filename or 'A file'} cannot be read or written ({error.strerror})"
        complain("Error", f"{what}; check its path, its permissions and the space on the disk.")
        raise SystemExit(1) from error
    finally:
        for folder in _made.get():
            with suppress(OSError):  # one that holds something stays
                folder.rmdir()
        _made.reset(before)


@contextmanager
def bars() -> Iterator[Callable[..., None]]:
    """Progress bars with the time left; ``advance(name, total, note, done)`` makes a bar when it first names it.

    Without ``done`` a call counts one more. A bar begins anew when ``done`` falls; ``total`` is None while nobody knows it.
    """
    note = Column(ratio=1, no_wrap=True, overflow="ellipsis")  # what is left of the line: a long one hides no number
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn(), TimeRemainingColumn())
    last = TextColumn("{task.fields[note]}", markup=False, table_column=note)
    with Progress(*columns, last, console=console, expand=True) as progress:
        tasks: dict[str, TaskID] = {}
        counts: dict[str, int] = {}

        def advance(name: str, total: int | None, note: str, done: int | None = None) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(escape(printable(name)), total=total, note="")
            task = tasks[name]
            if done is not None and done < counts.get(name, 0):
                progress.reset(task, total=total)
            counts[name] = counts.get(name, 0) + 1 if done is None else done
            progress.update(task, total=total, completed=counts[name], note=printable(note))

        yield advance


def read_faces(folder: Path, size: int) -> "Faces":
    """The faces in ``folder``, with a bar while they are being read."""
    from faceguard.decode import load_faces

    with bars() as advance:
        return load_faces(folder, size=size, progress=partial(advance_read, advance))


def advance_read(advance: Callable[..., None], done: int, count: int) -> None:
    """One more photo of ``count`` was read: ``advance`` is of `bars`."""
    advance("photos read", count, "", done)


def claim(out: Path, *names: str) -> None:
    """Make sure that a command's results, files of these ``names`` in the folder ``out``, are new.

    Folders that it makes go again if the command writes nothing there. Raises DataError.
    """
    missing: list[Path] = []
    with suppress(OSError):
        missing = [folder for folder in (out, *out.parents) if not folder.exists()]
    _made.get([]).extend(missing)
    for name in names:
        refuse_existing(out / name)


def list_left_out(failures: Sequence["Failure"]) -> None:
    """List the photos that were left out; the work is done, yet the exit code is 1."""
    for failure in failures:
        complain("left out", f"{failure.key}: {failure.reason}")
    if failures:
        raise typer.Exit(1)


def say_epoch(epoch: "Epoch") -> None:
    """An epoch on a line of its own, where there is no bar."""
    say(f"epoch {epoch.number}: {epoch_line(epoch, HELD_OUT)}")


def epoch_line(epoch: "Epoch", of_all: str = "all") -> str:
    """One line on an epoch; ``of_all`` is what it calls the group of all photos that were measured."""
    named = ((of_all if name == "all" else name, value) for name, value in epoch.measured.items())
    measured = "".join(f", {name} {value:.2f}" for name, value in named)
    return f"loss {epoch.loss:.3f}, training accuracy {epoch.accuracy:.2f}{measured}"


def groups_table(result: Any) -> Table:
    """Recognition and verification, one row a group; a group that was not verified has no AUC and no EER."""
    table = Table("group", "photos", "rank-1", "AUC", "EER")
    for group, numbers in result["groups"].items():
        found = (f"{numbers[key]:.3f}" if key in numbers else "" for key in ("rank1", "auc", "eer"))
        table.add_row(group, str(numbers["photos"]), *found)
    return table


def say_trained(out: Path, curve: Sequence["Epoch"]) -> None:
    """How a run ended, and what its accuracy does not say."""
    last = epoch_line(curve[-1], of_all="held out of this folder")
    say(f"{out}: {last} after {counted(len(curve), 'epoch')}.")
    if curve[-1].measured:
        say(
            "Held-out photos carry noise where the folder's do; faceguard eval-identities on clean photos says what it did."
        )


def say_held_out(result: Any) -> None:
    """What the table of groups leaves open: how many photos were trained on, and which group was verified in part or not."""
    for group, numbers in result["groups"].items():
        if "photos_verified" in numbers:
            say(f"AUC and EER of '{group}' are of {numbers['photos_verified']} of its photos, drawn with --seed.")
        if "not_verified" in numbers:
            say(f"'{group}' has no AUC and no EER: {numbers['not_verified']}.")
    seen, unseen = result["photos_trained_on"], sum(numbers["photos"] for numbers in result["groups"].values())
    if seen:
        say(f"{seen} of the {seen + unseen} photos were trained on and are left out.")
    else:
        complain(
            "nothing left out",
            f"not one of the {unseen} photos has the name of one that the run was trained on; if they were trained on under"
            " other names, these numbers prove nothing.",
        )


def arms_table(report: Any) -> Table:
    """Rank-1 by group and verification, one row an arm."""
    groups = list(report["arms"]["clean"]["recognition"])
    table = Table("arm", *(f"rank-1 {group}, last (best)" for group in groups), "AUC", "EER")
    for arm, numbers in report["arms"].items():
        ranks = [f"{numbers['recognition'][g]['last']:.2f} ({numbers['recognition'][g]['best']:.2f})" for g in groups]
        table.add_row(arm, *ranks, *(f"{numbers['verification'][key]:.3f}" for key in ("auc", "eer")))
    return table


def lfw_table(result: Any) -> Table:
    """One row a number, with its interval when there is one."""
    numbers = {"auc": result["auc"], "eer": result["eer"]}
    if "accuracy" in result:
        numbers["accuracy"] = result["accuracy"]["mean"]
    intervals = result.get("ci95", {})
    table = Table("LFW", f"{result['pairs']} pairs", "95 % interval")
    for key, value in numbers.items():
        table.add_row(key.upper() if len(key) == 3 else key, f"{value:.4f}", _interval(intervals.get(key)))
    for far, value in result["tar_at_far"].items():
        finer = far in _unmeasured(result)
        ends = "not measured: see below" if finer else _interval(intervals.get("tar_at_far", {}).get(far))
        table.add_row(f"TAR at FAR {far}", f"{value:.4f}", ends)
    return table


def _unmeasured(result: Any) -> list[str]:
    return [far for far in result["tar_at_far"] if float(far) * result["impostors"] < 1]


def say_unmeasured(result: Any) -> None:
    """Which FAR is finer than the impostor pairs can show, where there is one."""
    if finer := _unmeasured(result):
        say(
            f"{result['impostors']} impostor pairs cannot show a FAR of {' or '.join(finer)}: the TAR there is that without"
            " any false accept."
        )


def list_missing(result: Any) -> None:
    """Pairs that were left out for want of an image; the work is done, yet the exit code is 1."""
    if result["missing"]:
        absent = result["missing_images"]
        listed = ", ".join(absent[:5]) + (", ... (lfw.json lists them all)" if len(absent) > 5 else "")
        images = f"{counted(len(absent), 'image')} absent or unreadable: {listed}."
        complain(f"{counted(result['missing'], 'pair')} left out", images)
        raise typer.Exit(1)


def _interval(ends: Sequence[float] | None) -> str:
    return "" if ends is None else f"{ends[0]:.4f} to {ends[1]:.4f}"
