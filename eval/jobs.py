"""Compute many cells: one after another, in several processes, or as tasks of a cluster's queue.

Each cell is written once, whole, under the hash of all that determines it; whoever finds it there, or being written, takes
it from there. So the three ways are one function on a list. All of them run PyTorch on one thread, for trainings on one and
on two threads end differently. A noise that misses its stop error, or a training that diverges, costs its own cells alone.
"""

from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from filelock import Timeout

from faceguard.errors import FaceguardError, NoiseDidNotConverge, TrainingDiverged
from faceguard.pool import in_order, one_thread

Cluster = Literal["slurm", "local"]
HOURS = 4  # that a cluster may take for one cell


class Labelled(Protocol):
    """What a job must have: a name that ``--only`` patterns fit."""

    @property
    def label(self) -> str:
        """Its parts, with slashes between them."""
        ...


Job = TypeVar("Job", bound=Labelled)
Compute = Callable[..., float]  # a job, and wait=False to raise filelock.Timeout when another process is computing it
Outcome = float | FaceguardError  # the seconds that a cell's training took, or why there is no cell


def run_jobs(
    compute: Compute, jobs: Sequence[Job], *, workers: int = 1, cluster: Cluster | None = None, logs: Path
) -> Iterator[tuple[Job, Outcome]]:
    """Compute what is not there yet; gives every job, when it is done or has failed, with what became of it.

    ``compute`` can be pickled. Jobs may share a cell; each is computed by whoever is first. A cell that somebody else is
    computing is left for the end. A cluster's queue leaves its logs in ``logs``.
    """
    if cluster is not None:
        yield from zip(jobs, _submit(compute, jobs, cluster, logs), strict=True)
        return
    task = partial(_unless_busy, compute)
    later = []
    for job, became in zip(jobs, in_order(task, jobs, workers=workers), strict=True):
        if became is None:
            later.append(job)
        else:
            yield job, became
    yield from zip(later, in_order(partial(_outcome, compute), later, workers=1), strict=True)


def noises_first(jobs: Sequence[Job], noises_of: Callable[[Job], Collection[Hashable]]) -> list[Job]:
    """The jobs in an order in which processes side by side wait least for one another's noise.

    First one job for every noise that is still to be learnt, then those that need none, then those whose noise is under way.
    """
    begun: set[Hashable] = set()
    learning: list[Job] = []
    free: list[Job] = []
    waiting: list[Job] = []
    for job in jobs:
        needed = set(noises_of(job))
        (learning if needed - begun else waiting if needed else free).append(job)
        begun |= needed
    return learning + free + waiting


def _outcome(compute: Compute, job: Labelled, *, wait: bool = True) -> Outcome:
    try:
        return compute(job, wait=wait)
    except (NoiseDidNotConverge, TrainingDiverged) as error:
        return error


def _unless_busy(compute: Compute, job: Labelled) -> Outcome | None:
    """What becomes of the cell, but None at once when another process is computing it."""
    try:
        return _outcome(compute, job, wait=False)
    except Timeout:
        return None


def _alone(compute: Compute, job: Labelled) -> Outcome:
    """What becomes of the cell, on one thread as everywhere: the order of sums on more would change a network's weights."""
    with one_thread():
        return _outcome(compute, job)


def _submit(compute: Compute, jobs: Sequence[Labelled], cluster: Cluster, logs: Path) -> Iterator[Outcome]:
    """Every job as a task of the cluster's queue. Raises FaceguardError without that queue, or for a task that failed there."""
    try:
        import submitit
        from submitit.core.utils import UncompletedJobError
    except ImportError as error:
        raise FaceguardError("A cluster needs submitit; install it with pip install submitit.") from error
    try:
        executor: Any = submitit.AutoExecutor(folder=logs, cluster=cluster)
    except RuntimeError as error:
        raise FaceguardError(f"There is no {cluster} here ({error}); start this where its commands are.") from error
    executor.update_parameters(timeout_min=60 * HOURS, cpus_per_task=1, name="faceguard")
    for submitted in executor.map_array(partial(_alone, compute), jobs):
        try:
            became = submitted.result()
        except UncompletedJobError as error:
            raise FaceguardError(f"A task failed there; its log in {logs} ends with: {_last_line(error)}") from error
        yield became


def _last_line(error: Exception) -> str:
    """What the task itself said at the end, below the trace of its calls: submitit puts that between two lines of dashes."""
    _, *trace = str(error).split("\n" + 22 * "-")
    return (trace[0] if trace else str(error)).strip().splitlines()[-1]
