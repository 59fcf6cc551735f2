"""Many photos -> protected photos and a manifest: in several processes, interruptible, resumable, in flat memory.

Each result is in ``OUT/manifest.jsonl`` as soon as it and all before it are done. A run that was killed leaves whole
photos, whole lines and perhaps one torn line. ``resume`` keeps every photo whose line and file are intact, does the rest
again, and ends with the tree of an undisturbed run, byte for byte.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

from faceguard.errors import DataError
from faceguard.listing import Form, PhotoJob, output_names, real_path
from faceguard.manifest import MANIFEST, PhotoResult, append_result, read_results, rewrite
from faceguard.photo import PART_PATTERN
from faceguard.pool import in_order
from faceguard.protect import Existing, Protection, file_hash, protect_photo

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
    """One photo with all that concerns it alone."""

    job: PhotoJob
    name: Path
    row: int
    existing: Existing = "refuse"

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
    is not an earlier run's own is ever replaced, and no input. Raises DataError when there are no photos, an identity has
    no row, or ``out`` cannot be written to or already holds a run; one photo's failure is in the report.
    """
    _check(jobs, rows)
    names = output_names(jobs, form, quality=how.quality)
    tasks = [_Task(job=job, name=name, row=rows[job.identity]) for job, name in zip(jobs, names, strict=True)]
    try:
        earlier = _earlier_run(out, rerun)
        kept = _intact(tasks, earlier, out, how) if rerun == "resume" else {}
        todo = _plan([task for task in tasks if task.source not in kept], tasks, out, earlier, rerun)
        if progress is not None:
            for result in kept.values():
                progress(result)
        done = _run(todo, out, how, workers, progress)
        results = kept | done
        rewrite(out / MANIFEST, earlier | results, [task.source for task in tasks])
    except OSError as error:
        raise DataError(
            f"{out} cannot be written to ({error}); check the folder and its space, then go on with --resume."
        ) from error
    return ProtectReport(results=tuple(results[task.source] for task in tasks), resumed=len(kept))


def _check(jobs: Sequence[PhotoJob], rows: Mapping[str, int]) -> None:
    if not jobs:
        raise DataError("There are no photos to protect; name a folder that holds some.")
    unknown = sorted({job.identity for job in jobs} - set(rows))
    if unknown:
        raise DataError(
            f"No row of the noise bank is assigned to {', '.join(unknown[:5])}; assign one to each identity."
        )


def _earlier_run(out: Path, rerun: Rerun) -> dict[str, PhotoResult]:
    """Make ``out`` ready, and give the results that an earlier run left there."""
    out.mkdir(parents=True, exist_ok=True)
    manifest = out / MANIFEST
    if manifest.exists() and rerun == "refuse":
        raise DataError(
            f"{out} already holds protected photos, which are left as they are; go on with --resume, replace them with"
            " --overwrite, or choose another folder."
        )
    _remove_parts(out)
    earlier = read_results(manifest)
    rewrite(manifest, earlier, [])  # without the torn line that a killed run may have left
    return earlier


def _remove_parts(out: Path) -> None:
    """Remove what processes that were killed, or ended by Ctrl-C, left unfinished."""
    for part in out.rglob(PART_PATTERN):
        part.unlink()


def _intact(
    tasks: Sequence[_Task], earlier: Mapping[str, PhotoResult], out: Path, how: Protection
) -> dict[str, PhotoResult]:
    """Source -> line of the photos that need not be done again: same photo, row and settings, and the file as it was."""
    settings = how.digest
    kept = {}
    for task in tasks:
        line = earlier.get(task.source)
        if line is None or line.status != "protected":
            continue
        wished = (task.name.as_posix(), task.job.identity, task.row, settings)
        if (line.output, line.identity, line.row, line.settings) != wished:
            continue
        if _hash(task.job.source) == line.sha256_in and _hash(out / task.name) == line.sha256_out:
            kept[task.source] = line
    return kept


def _hash(path: Path) -> str | None:
    try:
        return file_hash(path)
    except OSError:
        return None


def _plan(
    todo: Sequence[_Task], tasks: Sequence[_Task], out: Path, earlier: Mapping[str, PhotoResult], rerun: Rerun
) -> list[_Task]:
    """What each task may do with a file that already has its name.

    The earlier run's own files are replaced. A killed run may also have left a photo without its line: while resuming,
    such a file is accepted when it holds the very bytes that would be written.
    """
    inputs = {real_path(task.job.source) for task in tasks}
    own = {line.output for line in earlier.values()}
    otherwise: Existing = "match" if rerun == "resume" else "refuse"
    planned = []
    for task in todo:
        if real_path(out / task.name) in inputs:
            problem = f"{task.name.as_posix()} would replace a photo that is to be protected; choose another folder."
            task = replace(task, job=replace(task.job, problem=problem))
        planned.append(replace(task, existing="replace" if task.name.as_posix() in own else otherwise))
    return planned


def _run(
    todo: Sequence[_Task], out: Path, how: Protection, workers: int, progress: Callable[[PhotoResult], None] | None
) -> dict[str, PhotoResult]:
    done = {}
    protect_task = partial(_protect_task, out=out, how=how)
    try:
        with (out / MANIFEST).open("a", encoding="utf-8") as file:
            for result in in_order(protect_task, todo, workers=min(workers, len(todo)) or 1):
                append_result(file, result)
                done[result.source] = result
                if progress is not None:
                    progress(result)
    finally:
        _remove_parts(out)  # Ctrl-C ends processes in the middle of their photos
    return done


def _protect_task(task: _Task, *, out: Path, how: Protection) -> PhotoResult:
    return protect_photo(task.job, out, task.name, how, row=task.row, existing=task.existing)
