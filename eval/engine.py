"""Run a study's cells: one after another, in several processes, or on a cluster.

A process needs only a `Plan` and a `Job` to compute a cell, so the three ways are one function on a list. Each cell is
written once, whole, under the hash of all that determines it; whoever finds it there, or being written, takes it from there.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

from filelock import Timeout

from eval.cells import Cell, run_cell
from eval.contenders import contenders
from eval.countermeasures import COUNTERMEASURES
from eval.data import StudyData
from eval.experiment import Condition, Contender, FaceStudy, load_recipe
from eval.scales import LIMITS, Scale
from faceguard.decode import load_records
from faceguard.device import Precision, make_fabric
from faceguard.errors import DataError, FaceguardError
from faceguard.identities import Faces
from faceguard.pool import in_order
from faceguard.readers.lfw import LfwPairs, read_pairs
from faceguard.study import ARMS, Arm

Cluster = Literal["slurm", "local"]
HOURS = 4  # that a cluster may take for one cell


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that determines the cells of one run of a recipe: also what another process needs to compute one.

    ``seeds`` counts them from 0 for every adversary; None leaves each adversary its own.
    """

    recipe: Path
    data: Path
    out: Path
    scale: Scale = "small"
    seeds: int | None = None
    precision: Precision = "bf16"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One cell: a condition, an arm and a seed."""

    condition: Condition
    arm: Arm
    seed: int

    @property
    def label(self) -> str:
        """CONDITION/SEED/ARM, which ``--only`` patterns fit."""
        return f"{self.condition.name}/{self.seed}/{self.arm}"


def jobs_of(plan: Plan, only: str = "*") -> list[Job]:
    """The cells of the plan's study whose label fits ``only``; raises DataError when none does."""
    study = loaded(plan).study
    jobs = [
        Job(condition=condition, arm=arm, seed=seed)
        for condition in study.conditions
        for seed in seeds_of(plan, condition)
        for arm in ARMS
    ]
    found = [job for job in jobs if fnmatchcase(job.label, only)]
    if not found:
        raise DataError(f"--only {only!r} fits no cell; their names are such as {jobs[-1].label!r}.")
    return found


def seeds_of(plan: Plan, condition: Condition) -> Sequence[int]:
    """The seeds of a condition's cells."""
    if plan.seeds is not None:
        return range(plan.seeds)
    usual = contender_of(plan, condition).seeds
    return usual if condition.seeds is None or plan.scale == "smoke" else condition.seeds


def contender_of(plan: Plan, condition: Condition) -> Contender:
    """The condition's adversary at the plan's scale; raises DataError for a name that is unknown."""
    known = contenders(plan.scale)
    if condition.adversary not in known:
        raise DataError(f"The adversary {condition.adversary!r} is unknown; there are {', '.join(known)}.")
    return known[condition.adversary]


def run_jobs(
    plan: Plan, jobs: Sequence[Job], *, workers: int = 1, cluster: Cluster | None = None
) -> Iterator[tuple[Job, float]]:
    """Compute what is not there yet; gives every job, when it is done, with the seconds its training took.

    Conditions share their clean arm, so the jobs' cells are fewer than the jobs; each is computed by whoever is first. A cell
    that somebody else is computing is left for the end.
    """
    if cluster is not None:
        yield from zip(jobs, _submit(plan, partial(compute, plan), jobs, cluster), strict=True)
        return
    task = partial(compute_unless_busy, plan)
    later = []
    for job, seconds in zip(
        jobs, map(task, jobs) if workers == 1 else in_order(task, jobs, workers=workers), strict=True
    ):
        if seconds is None:
            later.append(job)
        else:
            yield job, seconds
    for job in later:
        yield job, compute(plan, job)


def compute(plan: Plan, job: Job) -> float:
    """Have the job's cell computed, here or by whoever has begun; returns the seconds that its training took."""
    return float(cell_of(plan, job)["seconds"])


def compute_unless_busy(plan: Plan, job: Job) -> float | None:
    """As `compute`, but None at once when another process is computing the cell."""
    try:
        return float(cell_of(plan, job, wait=False)["seconds"])
    except Timeout:
        return None


def cell_of(plan: Plan, job: Job, *, wait: bool = True, read_only: bool = False) -> Cell:
    """The job's cell, computed here if nobody has yet; ``wait`` and ``read_only`` as for `cells.run_cell`."""
    data = loaded(plan)
    if job.condition.countermeasure not in COUNTERMEASURES:
        known = ", ".join(COUNTERMEASURES)
        raise DataError(f"The countermeasure {job.condition.countermeasure!r} is unknown; there are {known}.")
    return run_cell(
        make_fabric(precision=plan.precision),
        data.training(job.condition, job.arm),
        data.test,
        contender_of(plan, job.condition).adversary.located(plan.data),
        COUNTERMEASURES[job.condition.countermeasure],
        seed=job.seed,
        lfw=lfw_of(plan),
        folder=plan.out / "cells",
        wait=wait,
        read_only=read_only,
    )


@cache
def loaded(plan: Plan) -> StudyData:
    """The plan's study and its faces, read once per process."""
    study = load_recipe(plan.recipe)
    if not isinstance(study, FaceStudy):
        raise DataError(f"{plan.recipe} states a noise bank and no study, so it has no cells.")
    return StudyData(
        study=study.at(plan.scale),
        folder=plan.data,
        banks_folder=plan.out / "banks",
        scale=plan.scale,
        precision=plan.precision,
    )


@cache
def lfw_of(plan: Plan) -> tuple[Faces, LfwPairs] | None:
    """LFW's faces and pairs, when the study asks for them."""
    folder = loaded(plan).study.lfw
    if folder is None:
        return None
    pairs = read_pairs(plan.data / folder)
    faces = load_records(pairs.records[: LIMITS[plan.scale].lfw_photos], size=loaded(plan).test.size)
    return faces, pairs.keep(faces.keys)


def _submit(plan: Plan, task: Callable[[Job], float], jobs: Sequence[Job], cluster: Cluster) -> Iterator[float]:
    """Every job as a task of the cluster's queue; a task that fails there raises here."""
    try:
        import submitit
    except ImportError as error:
        raise FaceguardError("A cluster needs submitit; install it with pip install submitit.") from error
    executor: Any = submitit.AutoExecutor(folder=plan.out / "cluster", cluster=cluster)
    executor.update_parameters(timeout_min=60 * HOURS, cpus_per_task=2, name="faceguard")
    for submitted in executor.map_array(task, jobs):
        yield submitted.result()
