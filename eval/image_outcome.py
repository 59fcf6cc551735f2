"""From a classification study's cells to its result.json and run.json: accuracies, curves, confusions, expectations.

K classes, E epochs.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval import banks
from eval.cells import CellMissingError, commit_of
from eval.figures import draw
from eval.image_claims import Json, accuracy_expectations, cost_expectations, expectations, recognized
from eval.image_data import StudyImages
from eval.image_engine import ImageJob, cell_of, loaded, missing_sets, seeds_of
from eval.image_noise import passes
from eval.image_study import ImageNoise, Run
from eval.plan import Plan, command_of, folder_of
from faceguard.about import about_run
from faceguard.claims import said
from faceguard.errors import DataError
from faceguard.identities import Faces
from faceguard.intervals import estimate
from faceguard.outputs import write_json

DIGITS = 4  # of a curve's and a confusion's values
SHOWN = 256  # classes, up to which confusions are kept


def conclude_images(plan: Plan, *, read_only: bool = False) -> Json:
    """Measure every run, compare it as expected, and write result.json, run.json and the figure; gives what result.json holds.

    A run whose set is absent is listed as not run; with ``read_only``, which computes nothing, so is one that lacks a cell.
    """
    study, missing = loaded(plan).study, missing_sets(plan)
    runs: dict[str, Json] = {}
    not_run, times = [], {}
    spent: dict[Any, tuple[float, str]] = {}
    for name, run in study.runs.items():
        if lacking := missing.keys() & run.sets:
            not_run.append(f"{name} ({min(lacking)} is not at hand)")
            continue
        try:
            runs[name], times[name] = _measure(plan, name, run, spent, read_only=read_only)
        except CellMissingError:
            not_run.append(name)
    absent = [name for name, run in study.runs.items() if missing.keys() & run.sets]
    if len(absent) == len(study.runs):
        raise DataError(" ".join(missing.values()))
    if not runs:
        raise DataError(
            f"Not one run of {plan.recipe.stem} has all its cells; run it without --judge, which says what fails."
        )
    claims = expectations(study, runs, absent) | cost_expectations(study, runs, absent)
    if plan.scale == "full":
        claims |= accuracy_expectations(study, runs, absent)
    result = {
        "title": plan.recipe.stem,
        "claim": study.claim,
        "source": study.source,
        "figure": study.figure,
        "runs": runs,
        "not_run": not_run,
        **said({} if plan.scale == "smoke" else claims),
        "settings": _settings(plan, runs),
    }
    out = folder_of(plan)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "result.json", result)
    draw(result, out)
    about = about_run(sum(seconds for seconds, _ in spent.values()), command_of(plan))
    computed_at = sorted({commit for _, commit in spent.values()})
    write_json(out / "run.json", about | {"times": times, "computed_at": computed_at})
    return result


def _measure(
    plan: Plan, name: str, run: Run, spent: dict[Any, tuple[float, str]], *, read_only: bool
) -> tuple[Json, dict[str, float]]:
    """One run of result.json, and the seconds of its training and of learning its noises, means over seeds.

    ``spent`` gets the seconds of every training and noise, and the commit that computed it; those that runs share stand in
    it once.
    """
    images = loaded(plan)
    data, train, test = images.photos_of(run)
    seeds = seeds_of(plan)
    noises = [noise for seed in seeds for noise in run.repeated(seed).noises]
    if read_only and not all(images.has_bank(noise, data) for noise in noises):
        raise CellMissingError(f"The noise of {name} has not been learnt; run the recipe without --judge.")
    cells = [cell_of(plan, ImageJob(run=name, seed=seed), read_only=read_only) for seed in seeds]
    predictions = [cell["predictions"][:, : len(test)] for cell in cells]
    curves = np.array([(found == test.labels).mean(axis=1) for found in predictions])
    chosen = len(images.noisy(run, train)) if noises or run.keep == "clean" else 0
    measured: Json = {
        "data": data,
        "network": run.network,
        "countermeasure": repr(run.countermeasure),
        "noise": [_noise(plan, noise, data) for noise in noises],
        "photos": _photos(len(train), chosen, keep=run.keep),
        "share": run.share if noises or run.keep == "clean" else 0.0,
        "chance": 1 / len(test.names),
        "paper": run.paper,
        "seeds": list(seeds),
        "accuracy": {"last": estimate(curves[:, -1].tolist()), "best": estimate(curves.max(axis=1).tolist())},
        "curves": {
            "accuracy": _rounded(curves.mean(axis=0)),
            "loss": _rounded(np.mean([c["losses"] for c in cells], 0)),
        },
    }
    if len(test.names) <= SHOWN:
        measured |= {"classes": list(test.names), "confusion": confusion([found[-1] for found in predictions], test)}
    if any(noise.kind != "random" for noise in noises):
        trained = run.longer * images.size_of(data).train.epochs * measured["photos"]["training"]
        measured["passes"] = {"learning": _passes(images, noises, data) / len(seeds), "training": trained}
    shown = dict.fromkeys(label for other in images.study.runs.values() for label in other.classes or ())
    measured["recognized"] = {label: recognized(measured, label) for label in shown}
    if run.triggered:
        labels = images.testing(run).labels[len(test) :]
        measured["attack_success"] = estimate(
            [float((c["predictions"][-1, len(test) :] == labels).mean()) for c in cells]
        )
    trainings = [float(cell["seconds"]) for cell in cells]
    learning = {images.file_of(noise, data): images.bank(noise, data)[1].seconds for noise in noises}
    spent |= {path: (seconds, str(banks.learning(path)["commit"])) for path, seconds in learning.items()}
    # a shared cell's seconds are equal to the last digit
    spent |= {float(cell["seconds"]): (float(cell["seconds"]), commit_of(cell)) for cell in cells}
    return measured, {"training": float(np.mean(trainings)), "learning": sum(learning.values()) / len(seeds)}


def _photos(count: int, chosen: int, *, keep: str) -> dict[str, int]:
    """How many are trained on and carry noise; the ``chosen`` ones of a run that keeps the clean part are removed instead."""
    if keep == "clean":
        return {"training": count - chosen, "noisy": 0, "removed": chosen}
    return {"training": count, "noisy": chosen}


def confusion(predicted: Sequence[NDArray[np.int32]], test: Faces) -> list[list[float]]:
    """K x K: which share of a class's clean test photos (a row) is taken for each class, the mean over N labels each."""
    count = len(test.names)
    found = [
        np.bincount(test.labels * count + labels, minlength=count**2).reshape(count, count) for labels in predicted
    ]
    total = np.sum(found, axis=0)
    return [_rounded(row) for row in total / total.sum(axis=1, keepdims=True)]


def _noise(plan: Plan, noise: ImageNoise, data: str) -> Json:
    """How it was made; times stand in run.json, for they differ from run to run."""
    bank, learnt = loaded(plan).bank(noise, data)
    return asdict(noise) | {
        "epsilon": round(255 * bank.epsilon, 2),
        "rounds": learnt.rounds,
        "error": round(learnt.error, DIGITS),
    }


def _passes(images: StudyImages, noises: Sequence[ImageNoise], data: str) -> int:
    """Photos that went through a source model and back while the noises were learnt."""
    total = 0
    for noise in noises:
        name, photos, _ = images.set_of(noise.learnt_on or data)
        total += passes(noise, images.size_of(name), len(photos), images.bank(noise, data)[1].rounds)
    return total


def _settings(plan: Plan, runs: dict[str, Json]) -> Json:
    sets = dict.fromkeys(run["data"] for run in runs.values())
    return {
        "scale": plan.scale,
        "precision": plan.precision,
        "stand_in": plan.stand_in,
        "sets": {name: repr(loaded(plan).size_of(name)) for name in sets},
    }


def _rounded(values: Any) -> list[float]:
    return [round(float(value), DIGITS) for value in values]
