"""The cells of a classification study: which there are, and how one is computed."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from lightning_fabric import Fabric

from eval.cells import Cell, run_cell
from eval.experiment import load_recipe
from eval.image_data import StudyImages
from eval.image_study import ImageStudy
from eval.networks import build_network
from eval.plan import Plan
from eval.watching import Advance, epochs_bar
from faceguard.adversary import Attack, Progress, train_and_try
from faceguard.checkpoint import Checkpoint
from faceguard.datasets import SetMissingError
from faceguard.device import make_fabric
from faceguard.errors import DataError
from faceguard.identities import Faces
from faceguard.train import ChangeBatch, TrainSettings

SEEDS = {"smoke": 1, "small": 1, "full": 3}
UNREAD = ("embeddings",)  # no picture is compared with another, and they are most of a cell's file


@dataclass(frozen=True, kw_only=True)
class ImageJob:
    """One cell: a run by its name, and a seed."""

    run: str
    seed: int

    @property
    def label(self) -> str:
        """RUN/SEED, which ``--only`` patterns fit."""
        return f"{self.run}/{self.seed}"


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """An image classifier trained from scratch: an adversary of ``eval.networks``' networks."""

    network: str
    width: int
    train: TrainSettings = field(default_factory=TrainSettings)

    def attack(
        self,
        fabric: Fabric,
        train: Faces,
        test: Faces,
        *,
        seed: int,
        change_batch: ChangeBatch | None = None,
        progress: Progress | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> Attack:
        """Train on ``train`` and try the clean ``test`` after every epoch."""
        model = build_network(self.network, classes=len(train.names), size=train.size, width=self.width, seed=seed)
        return train_and_try(
            fabric,
            model,
            train,
            test,
            self.train,
            seed=seed,
            change_batch=change_batch,
            progress=progress,
            checkpoint=checkpoint,
        )

    def located(self, folder: Path) -> "Classifier":  # noqa: ARG002 - it reads no file
        """Itself: it needs no file."""
        return self

    def fingerprint(self) -> str:
        """Its kind and fields."""
        return repr(self)


def seeds_of(plan: Plan) -> Sequence[int]:
    """The seeds of every run."""
    return range(SEEDS[plan.scale] if plan.seeds is None else plan.seeds)


def jobs_of(plan: Plan, only: str = "*") -> list[ImageJob]:
    """The cells whose label fits ``only`` and whose set is at hand; raises DataError, with what to do, when none is."""
    images = loaded(plan)
    jobs = [ImageJob(run=run, seed=seed) for seed in seeds_of(plan) for run in images.study.runs]
    fitting = [job for job in jobs if fnmatchcase(job.label, only)]
    if not fitting:
        raise DataError(f"--only {only!r} fits no cell; their names are such as {jobs[-1].label!r}.")
    missing = missing_sets(plan)
    found = [job for job in fitting if not missing.keys() & images.study.runs[job.run].sets]
    if not found:
        raise DataError(f"{' '.join(missing.values())} Or take another one that is at hand with --data NAME.")
    return found


def noises_of(plan: Plan, job: ImageJob) -> set[Path]:
    """The files of the noises that the job's cell needs and that are still to be learnt."""
    images, run = loaded(plan), loaded(plan).study.runs[job.run].repeated(job.seed)
    data = images.set_of(run.data)[0]
    learnt = (noise for noise in run.noises if noise.kind != "random" and not images.has_bank(noise, data))
    return {images.file_of(noise, data) for noise in learnt}


def missing_sets(plan: Plan) -> dict[str, str]:
    """The study's sets that are absent, with nothing to stand in for them: name and what to do, a sentence."""
    images, missing = loaded(plan), {}
    for name in images.study.sets:
        try:
            images.set_of(name)
        except SetMissingError as error:
            missing[name] = str(error)
    return missing


def compute(plan: Plan, job: ImageJob, *, wait: bool = True, advance: Advance | None = None) -> float:
    """Have the job's cell computed, here or by whoever has begun; returns the seconds that its training took."""
    return float(cell_of(plan, job, wait=wait, advance=advance)["seconds"])


def cell_of(
    plan: Plan, job: ImageJob, *, wait: bool = True, read_only: bool = False, advance: Advance | None = None
) -> Cell:
    """The job's cell, computed here if nobody has yet; ``wait`` and ``read_only`` as for `cells.run_cell`.

    ``advance`` shows the epochs as they pass.
    """
    images = loaded(plan)
    run = images.study.runs[job.run].repeated(job.seed)
    size = images.size_of(images.set_of(run.data)[0])
    training = replace(size.train, epochs=run.longer * size.train.epochs)
    adversary = Classifier(network=run.network, width=size.width, train=training)
    return run_cell(
        make_fabric(precision=plan.precision),
        images.training(run),
        images.testing(run),
        adversary,
        run.countermeasure,
        seed=job.seed,
        lfw=None,
        folder=plan.out / "cells",
        without=UNREAD,
        wait=wait,
        read_only=read_only,
        progress=epochs_bar(advance, job.label, adversary),
    )


@cache
def loaded(plan: Plan) -> StudyImages:
    """The plan's study and its photos, read once per process; raises DataError for a stand-in that cannot be one."""
    study = load_recipe(plan.recipe)
    if not isinstance(study, ImageStudy):
        raise DataError(f"{plan.recipe} states no classification study, so it has no such cells.")
    images = StudyImages(
        study=study,
        folder=plan.data,
        noises_folder=plan.out / "image-noises",
        scale=plan.scale,
        precision=plan.precision,
        stand_in=plan.stand_in,
    )
    if images.stand_in is not None:
        _check_stand_in(images, images.stand_in)
    return images


def _check_stand_in(images: StudyImages, name: str) -> None:
    """Raise DataError for a ``--data`` that is unknown, absent or replaces nothing: the report would be named after it."""
    needed = images.study.sets
    if not images.at_hand(name):
        raise DataError(
            f"{name} cannot stand in for another set: it is not in {images.folder}; name one that is there."
        )
    if all(images.at_hand(one) for one in needed):
        raise DataError(
            f"--data {name} replaces nothing: the study needs {', '.join(needed)}, all at hand; leave it out."
        )
