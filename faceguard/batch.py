"""Many photos -> protected photos and a manifest: in several processes, interruptible, resumable, in flat memory.

Each result is in ``OUT/manifest.jsonl`` as soon as it and all before it are done. A run that was killed leaves whole
photos, whole lines and perhaps one torn line. ``resume`` keeps every photo whose line and file are intact, does the rest
again, and ends with the tree of an undisturbed run, byte for byte. It replaces a file only when the photo's own line says
that it was written for it, and it is still as it was written. A copy that a photo's new line does not name is removed. A
photo whose content is new counts as another one, and gets a name of its own beside the earlier copy.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from faceguard.checkpoint import reserved
from faceguard.earlier import State, earlier_lines, own_lines, remove_parts, standing, state
from faceguard.errors import DataError
from faceguard.listing import Form, PhotoJob, folded, output_names, real_path
from faceguard.manifest import MANIFEST, PhotoResult, append_result, current, rewrite
from faceguard.pool import in_order
from faceguard.protect import Existing, Protection, protect_photo

Rerun = Literal["refuse", "resume", "overwrite"]


@dataclass(frozen=True, kw_only=True)
class ProtectReport:
    """What became of every photo, in order; ``resumed`` counts those that an earlier run had done."""

    results: tuple[PhotoResult, ...]
    resumed: int = 0

    @property
    def protected(self) -> tuple[PhotoResult, ...]:
        """The photos that were written."""
        return tuple(result for result in self.results if result.status == "protected")

    @property
    def failed(self) -> tuple[PhotoResult, ...]:
        """The photos that were not, each with its reason."""
        return tuple(result for result in self.results if result.status == "failed")

    @property
    def complete(self) -> bool:
        """Whether every photo is protected; a command exits with 1 otherwise."""
        return not self.failed


@dataclass(frozen=True, kw_only=True)
class _Task:
    """One photo with all that concerns it alone.

    ``line`` is what an earlier run said of it, ``state`` its copy's, which is ``disposable`` when nobody else needs the place.
    """

    job: PhotoJob
    name: Path
    row: int
    line: PhotoResult | None
    state: State = "absent"
    existing: Existing = "refuse"
    disposable: bool = False

    @property
    def source(self) -> str:
        return self.job.relative.as_posix()


def protect_photos(
    jobs: Sequence[PhotoJob],
    out: Path,
    how: Protection,
    *,
    rows: Mapping[str, int],
    form: Form = "keep",
    rerun: Rerun = "refuse",
    workers: int = 1,
    progress: Callable[[PhotoResult], None] | None = None,
) -> ProtectReport:
    """Write a protected copy of every photo under ``out``, with one manifest line each; ``rows`` gives identity -> row.

    ``rerun`` says what to do where an earlier run left its manifest: refuse, go on, or replace its photos. Nothing that
    is not an earlier run's own, as it was written, is ever replaced, and no input; going on leaves other photos' copies as
    they are. Raises DataError when there are no photos, an identity has no row, or ``out`` cannot be written to or already holds
    a run, and RunError while another process writes there; one photo's failure is in the report.
    """
    _check(jobs, rows)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with reserved(out / MANIFEST):
            return _protect(jobs, out, how, rows, form, rerun, workers, progress)
    except OSError as error:
        raise DataError(
            f"{out} cannot be written to ({error}); check the folder and its space, then go on with --resume."
        ) from error


def _protect(
    jobs: Sequence[PhotoJob],
    out: Path,
    how: Protection,
    rows: Mapping[str, int],
    form: Form,
    rerun: Rerun,
    workers: int,
    progress: Callable[[PhotoResult], None] | None,
) -> ProtectReport:
    lines = earlier_lines(out, refuse=rerun == "refuse")
    tasks = _tasks(jobs, lines, rows, form, how.quality, rerun)
    if rerun != "refuse":
        tasks = [replace(task, state=_state(task, out, how, rerun)) for task in tasks]
    left = {task.source: task.line for task in tasks if task.line is not None and task.state == "intact"}
    todo = _plan([task for task in tasks if task.source not in left], tasks, out, lines, rerun)
    if progress is not None:
        for result in left.values():
            progress(result)
    results, recorded = _run(todo, out, how, workers, progress)
    results |= left
    own = {id(task.line) for task in tasks}
    others = [line for line in lines if id(line) not in own]
    known = [line for task in tasks if (line := recorded.get(task.source, task.line)) is not None]
    rewrite(out / MANIFEST, current([*others, *known]))
    return ProtectReport(
        results=tuple(results[task.source] for task in tasks), resumed=sum(task.state == "intact" for task in tasks)
    )


def _check(jobs: Sequence[PhotoJob], rows: Mapping[str, int]) -> None:
    if not jobs:
        raise DataError("There are no photos to protect; name a folder that holds some.")
    unknown = sorted({job.identity for job in jobs} - set(rows))
    if unknown:
        raise DataError(
            f"No row of the noise bank is assigned to {', '.join(unknown[:5])}; assign one to each identity."
        )


def _tasks(
    jobs: Sequence[PhotoJob],
    lines: Sequence[PhotoResult],
    rows: Mapping[str, int],
    form: Form,
    quality: int | None,
    rerun: Rerun,
) -> list[_Task]:
    """Every photo with its place; while resuming, those of an earlier run stay where they are, and what it has is taken."""
    own = own_lines(jobs, lines, newer=rerun == "overwrite")
    had, taken = {}, []
    if rerun == "resume":
        mine = {id(line) for line in own}
        had = {job.relative: Path(line.output) for job, line in zip(jobs, own, strict=True) if line and line.output}
        taken = [Path(line.output) for line in lines if line.output and id(line) not in mine]
    names = output_names(jobs, form, quality=quality, earlier=had, taken=taken)
    return [
        _Task(job=job, name=name, row=rows[job.identity], line=line)
        for job, name, line in zip(jobs, names, own, strict=True)
    ]


def _state(task: _Task, out: Path, how: Protection, rerun: Rerun) -> State:
    found = state(task.job, task.line, out / task.name, name=task.name.as_posix(), how=how, row=task.row)
    return "outdated" if found == "intact" and rerun == "overwrite" else found


def _plan(
    todo: Sequence[_Task], tasks: Sequence[_Task], out: Path, lines: Sequence[PhotoResult], rerun: Rerun
) -> list[_Task]:
    """What each task may do with a file that already has its name.

    Overwriting replaces the earlier run's own files, resuming only the photo's own, and both only as they were written. A
    killed run may also have left a photo without its line: such a file is accepted when it holds the very bytes that would
    be written.
    """
    inputs = {real_path(task.job.source) for task in tasks}
    places = {folded(task.name) for task in tasks}
    claimed = {line.output for line in lines if standing(line, out)} if rerun == "overwrite" else set()
    otherwise: Existing = "refuse" if rerun == "refuse" else "match"
    planned = []
    for task in todo:
        if real_path(out / task.name) in inputs:
            problem = f"{task.name.as_posix()} would replace a photo that is to be protected; choose another folder."
            task = replace(task, job=replace(task.job, problem=problem))
        own = task.state == "outdated" or task.name.as_posix() in claimed
        before = None if task.line is None or task.line.output is None else Path(task.line.output)
        unwanted = before is not None and (before == task.name or folded(before) not in places)
        disposable = before is not None and unwanted and real_path(out / before) not in inputs
        existing: Existing = "replace" if own else "altered" if task.state == "altered" else otherwise
        planned.append(replace(task, existing=existing, disposable=disposable))
    return planned


def _run(
    todo: Sequence[_Task], out: Path, how: Protection, workers: int, progress: Callable[[PhotoResult], None] | None
) -> tuple[dict[str, PhotoResult], dict[str, PhotoResult]]:
    """Source -> what came of it, and source -> the line that holds now."""
    done, recorded = {}, {}
    protect_task = partial(_protect_task, out=out, how=how)
    try:
        with (out / MANIFEST).open("a", encoding="utf-8") as file:
            processes = min(workers, len(todo)) or 1
            for task, result in zip(todo, in_order(protect_task, todo, workers=processes), strict=True):
                done[task.source] = result
                recorded[task.source] = _settle(task, result, out)
                if recorded[task.source] is result:
                    append_result(file, result)
                if progress is not None:
                    progress(result)
    finally:
        remove_parts(out)  # Ctrl-C ends processes in the middle of their photos
    return done, recorded


def _settle(task: _Task, result: PhotoResult, out: Path) -> PhotoResult:
    """The line that holds now; the copy that it no longer names is removed, before a crash could forget whose it was.

    Of a photo that could not be looked at, or not be written, the earlier copy and its line stay; so does an altered copy's.
    """
    if result.status == "failed" and task.state == "altered" and task.line is not None:
        return task.line
    copy = None if task.line is None or task.line.output == result.output else standing(task.line, out)
    if copy is None or task.line is None:
        return result
    if result.status == "failed" and result.sha256_in is None:
        return task.line
    if task.disposable:
        copy.unlink()
    return result


def _protect_task(task: _Task, *, out: Path, how: Protection) -> PhotoResult:
    return protect_photo(task.job, out, task.name, how, row=task.row, existing=task.existing)
