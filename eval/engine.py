"""The cells of a face study: which there are, and how one is computed.

A process needs only a `Plan` and a `Job` to compute a cell; ``eval.jobs`` runs many of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache

from eval.adaptive import knows_rows
from eval.cells import Cell, run_cell
from eval.contenders import contenders
from eval.countermeasures import COUNTERMEASURES
from eval.data import StudyData
from eval.experiment import Condition, Contender, FaceStudy, load_recipe
from eval.plan import Plan
from eval.scales import LIMITS
from eval.watching import Advance, epochs_bar
from faceguard.adversary import Adversary
from faceguard.decode import load_records
from faceguard.device import make_fabric
from faceguard.errors import DataError
from faceguard.identities import Faces
from faceguard.readers.lfw import LfwPairs, read_pairs
from faceguard.study import Arm


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
        for arm in condition.arms
    ]
    found = [job for job in jobs if fnmatchcase(job.label, only)]
    if not found:
        raise DataError(f"--only {only!r} fits no cell; their names are such as {jobs[-1].label!r}.")
    return found


def noises_of(plan: Plan, job: Job) -> set[str]:
    """The study's own noises that the job's cell needs and that are still to be learnt."""
    condition, data = job.condition, loaded(plan)
    needed = {condition.noises[job.arm]} if job.arm in condition.noises else set()
    if knows_rows(contender_of(plan, condition).adversary):
        needed.add(condition.noise)
    return {noise for noise in needed if not data.has_bank(noise)}


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


def adversary_of(plan: Plan, condition: Condition) -> Adversary:
    """The condition's adversary with its files; one who knows rows gets those that the condition uses."""
    adversary = contender_of(plan, condition).adversary.located(plan.data)
    if knows_rows(adversary):
        return replace(adversary, banks=(loaded(plan).bank_source(condition.noise),))
    return adversary


def compute(plan: Plan, job: Job, *, wait: bool = True, advance: Advance | None = None) -> float:
    """Have the job's cell computed, here or by whoever has begun; returns the seconds that its training took."""
    return float(cell_of(plan, job, wait=wait, advance=advance)["seconds"])


def cell_of(
    plan: Plan, job: Job, *, wait: bool = True, read_only: bool = False, advance: Advance | None = None
) -> Cell:
    """The job's cell, computed here if nobody has yet; ``wait`` and ``read_only`` as for `cells.run_cell`.

    ``advance`` shows the epochs as they pass.
    """
    data = loaded(plan)
    adversary = adversary_of(plan, job.condition)
    if job.condition.countermeasure not in COUNTERMEASURES:
        known = ", ".join(COUNTERMEASURES)
        raise DataError(f"The countermeasure {job.condition.countermeasure!r} is unknown; there are {known}.")
    return run_cell(
        make_fabric(precision=plan.precision),
        data.training(job.condition, job.arm),
        data.test,
        adversary,
        COUNTERMEASURES[job.condition.countermeasure],
        seed=job.seed,
        lfw=lfw_of(plan),
        folder=plan.out / "cells",
        wait=wait,
        read_only=read_only,
        progress=epochs_bar(advance, job.label, adversary),
    )


@cache
def loaded(plan: Plan) -> StudyData:
    """The plan's study and its faces, read once per process; raises DataError for a study that cannot be run so."""
    study = load_recipe(plan.recipe)
    if not isinstance(study, FaceStudy):
        raise DataError(f"{plan.recipe} states a noise bank and no study, so it has no cells.")
    if plan.stand_in is not None:
        study = replace(study, faces=plan.stand_in)
    if plan.adversary is not None:
        study = study.against(plan.adversary)
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
