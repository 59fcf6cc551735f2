"""From a classification study's cells to its result.json and run.json: accuracies, curves, confusions, expectations.

K classes, E epochs.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from eval.cells import Cell, CellMissingError
from eval.image_engine import ImageJob, cell_of, loaded, missing_sets, seeds_of
from eval.image_scales import size_of
from eval.image_study import ImageExpectation, ImageStudy, Run
from eval.plan import Plan, command_of, folder_of
from faceguard.about import about_run
from faceguard.errors import DataError
from faceguard.identities import Faces
from faceguard.intervals import estimate
from faceguard.outputs import write_json

Json = dict[str, Any]
DIGITS = 4  # of a curve's and a confusion's values


def conclude_images(plan: Plan, *, read_only: bool = False) -> Json:
    """Measure every run, compare it as expected, and write result.json and run.json; gives what result.json holds.

    A run whose set is absent is listed as not run; with ``read_only``, which computes nothing, so is one that lacks a cell.
    """
    study, missing = loaded(plan).study, missing_sets(plan)
    runs: dict[str, Json] = {}
    not_run, seconds = [], 0.0
    for name, run in study.runs.items():
        try:
            if run.data in missing:
                raise CellMissingError(missing[run.data])
            runs[name], took = _measure(plan, name, run, read_only=read_only)
        except CellMissingError as error:
            not_run.append(f"{name} ({error})" if run.data in missing else name)
            continue
        seconds += took
    if not runs:
        raise DataError(f"Not one run of {plan.recipe.stem} has all its cells; run the recipe without --judge.")
    result = {
        "title": plan.recipe.stem,
        "claim": study.claim,
        "source": study.source,
        "figure": study.figure,
        "runs": runs,
        "not_run": not_run,
        "expectations": {} if plan.scale == "smoke" else expectations(study, runs),
        "settings": _settings(plan, runs),
    }
    out = folder_of(plan)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "result.json", result)
    write_json(out / "run.json", about_run(seconds, command_of(plan)))
    return result


def _measure(plan: Plan, name: str, run: Run, *, read_only: bool) -> tuple[Json, float]:
    """One run of result.json, and the seconds that its cells took."""
    images = loaded(plan)
    data, train, test = images.set_of(run.data)
    if read_only and run.noise is not None and not images.has_bank(run.noise, data):
        raise CellMissingError(f"The noise of {name} has not been learnt; run the recipe without --judge.")
    cells = [cell_of(plan, ImageJob(run=name, seed=seed), read_only=read_only) for seed in seeds_of(plan)]
    curves = np.array([(cell["predictions"] == test.labels).mean(axis=1) for cell in cells])
    noisy = len(images.noisy(run, train)) if run.noise is not None or run.keep == "clean" else 0
    measured: Json = {
        "data": data,
        "network": run.network,
        "countermeasure": repr(run.countermeasure),
        "noise": None if run.noise is None else _noise(plan, run, data),
        "photos": {"training": len(train) - (noisy if run.keep == "clean" else 0), "noisy": noisy},
        "chance": 1 / len(test.names),
        "classes": list(test.names) if len(test.names) <= 20 else len(test.names),
        "paper": run.paper,
        "seeds": list(seeds_of(plan)),
        "accuracy": {"last": estimate(curves[:, -1].tolist()), "best": estimate(curves.max(axis=1).tolist())},
        "curves": {
            "accuracy": _rounded(curves.mean(axis=0)),
            "loss": _rounded(np.mean([c["losses"] for c in cells], 0)),
        },
    }
    if len(test.names) <= 20:
        measured["confusion"] = confusion(cells, test)
    return measured, sum(float(cell["seconds"]) for cell in cells)


def confusion(cells: Sequence[Cell], test: Faces) -> list[list[float]]:
    """K x K: which share of a class's clean test photos (a row) is taken for each class, the mean over the cells."""
    count = len(test.names)
    total = sum(
        np.bincount(test.labels * count + cell["predictions"][-1], minlength=count**2).reshape(count, count)
        for cell in cells
    )
    shares = np.asarray(total) / np.asarray(total).sum(axis=1, keepdims=True)
    return [_rounded(row) for row in shares]


def expectations(study: ImageStudy, runs: dict[str, Json]) -> dict[str, bool]:
    """Each claim in words, for every run it is about and that was run together with its control, and whether it is met."""
    met = {}
    for expected in study.expectations:
        for name in filter(expected.fits, runs):
            if expected.than in runs:
                met[f"{name} {expected}"] = _met(expected, runs[name], runs[expected.than])
    return met


def _met(expected: ImageExpectation, run: Json, control: Json) -> bool:
    accuracy, reference = run["accuracy"][expected.epoch]["mean"], control["accuracy"]["last"]["mean"]
    return expected.met(accuracy, reference, control["chance"])


def _noise(plan: Plan, run: Run, data: str) -> Json | None:
    if run.noise is None:
        return None
    bank, learnt = loaded(plan).bank(run.noise, data)
    return asdict(run.noise) | {"epsilon": round(255 * bank.epsilon, 2), "learning": asdict(learnt)}


def _settings(plan: Plan, runs: dict[str, Json]) -> Json:
    sets = dict.fromkeys(run["data"] for run in runs.values())
    return {
        "scale": plan.scale,
        "precision": plan.precision,
        "stand_in": plan.stand_in,
        "sets": {name: repr(size_of(name, plan.scale)) for name in sets},
    }


def _rounded(values: Any) -> list[float]:
    return [round(float(value), DIGITS) for value in values]
