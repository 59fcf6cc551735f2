"""From a study's cells to its result.json, run.json and report.html: everything measured, judged and checked for faults."""

from dataclasses import asdict
from typing import Any

import numpy as np

from eval.cells import CellMissingError, commit_of
from eval.contenders import contenders
from eval.countermeasures import COUNTERMEASURES
from eval.data import StudyData
from eval.engine import Job, cell_of, contender_of, lfw_of, loaded, seeds_of
from eval.experiment import Condition, Expectation, FaceStudy
from eval.plan import Plan, command_of, folder_of
from eval.visibility import visibility
from faceguard.about import about_run
from faceguard.claims import NOT_RUN, Found, said
from faceguard.conclusion import conclude, judge
from faceguard.doubts import few_named
from faceguard.errors import DataError
from faceguard.measures import measure_arm
from faceguard.outputs import write_json
from faceguard.pool import one_thread
from faceguard.report import write_report
from faceguard.study import ARMS, make_groups

Json = dict[str, Any]


@one_thread()  # as the cells: the detector of `visibility` is trained here
def conclude_study(plan: Plan, *, read_only: bool = False) -> Json:
    """Measure every condition, judge it, and write the three files; gives what result.json holds.

    With ``read_only`` nothing is computed, and a condition that lacks a cell is listed as not run; DataError when all do.
    The same cells give the same result.json: what differs from run to run (time, hardware, commit) stands in run.json.
    """
    data = loaded(plan)
    study = data.study
    # seconds and commit of each cell; a cell that two conditions share has the same to the last digit
    spent: set[tuple[float, str]] = set()
    conditions, run, not_run = [], [], []
    for condition in study.conditions:
        try:
            measured, took = _measure(plan, data, condition, read_only=read_only)
        except CellMissingError:
            not_run.append(condition.name)
            continue
        conditions.append(measured)
        run.append(condition)
        spent |= took
    if not run:
        raise DataError(
            f"Not one condition of {plan.recipe.stem} has all its cells; run it without --judge, which says what fails."
        )
    adversaries, countermeasures = {c.adversary for c in run}, {c.countermeasure for c in run}
    not_run += [name for name in contenders(plan.scale) if name not in adversaries]
    not_run += [name for name in COUNTERMEASURES if name not in countermeasures]
    result = {
        "title": plan.recipe.stem,
        "claim": study.claim,
        "paper": dict(study.paper),
        "verdict": conclude(conditions, not_run),
        "conditions": conditions,
        **said(expectations(study, conditions)),
        "noise": {noise: visibility(data, noise) for noise in _noises(run)},
        "settings": _settings(plan, data),
        "pictures": [],
    }
    spent |= {(float(found["seconds"]), found["commit"]) for found in map(data.learning, _noises(run)) if found}
    out = folder_of(plan)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "result.json", result)
    computed_at = sorted({commit for _, commit in spent})
    seconds = sum(seconds for seconds, _ in spent)
    write_json(out / "run.json", about_run(seconds, command_of(plan)) | {"computed_at": computed_at})
    write_report(out)
    return result


def _measure(
    plan: Plan, data: StudyData, condition: Condition, *, read_only: bool
) -> tuple[Json, set[tuple[float, str]]]:
    """One condition of result.json, and the seconds that each of its cells took, with the commit that computed it."""
    for noise in condition.noises.values():
        if read_only and not data.has_bank(noise):
            raise CellMissingError(f"The noise {noise} has not been learnt; run the recipe without --judge.")
    protected, seeds = data.protected(condition), list(seeds_of(plan, condition))
    groups = make_groups(data.test, protected)
    arms, took = {}, set()
    for arm in condition.arms:
        jobs = [Job(condition=condition, arm=arm, seed=seed) for seed in seeds]
        cells = [cell_of(plan, job, read_only=read_only) for job in jobs]
        took |= {(float(cell["seconds"]), commit_of(cell)) for cell in cells}
        lfw = lfw_of(plan)
        arms[arm] = measure_arm(cells, data.test, groups, pairs=None if lfw is None else lfw[1])
    measured: Json = {
        "name": condition.name,
        "adversary": condition.adversary,
        "countermeasure": condition.countermeasure,
        "noise": condition.noise,
        "protected": len(protected),
        "identities": len(data.test.names),
        "seeds": seeds,
        "doubts": data.doubts(condition),
        "arms": arms,
    }
    if judge(measured).outcome == "protected":
        tested = int(np.isin(data.test.labels, groups["protected"]).sum())
        measured["doubts"] += few_named(arms["clean"]["recognition"]["protected"]["last"]["seeds"], tested)
    found = judge(measured)
    return measured | {"verdict": found.outcome, "reasons": found.reasons}, took


def _noises(conditions: list[Condition]) -> list[str]:
    return list(dict.fromkeys(noise for condition in conditions for noise in condition.noises.values()))


def expectations(study: FaceStudy, measured: list[Json]) -> dict[str, Found]:
    """Each claim in words, for every condition it is about, whether the mean over seeds meets it, and by which share of clean.

    Nothing is met by a condition that was not run, or that is inconclusive: then a control failed, and a number says nothing. Nor
    does the noise hide anybody whom random noise hides as well, in a condition that another epoch or seed makes "not protected".
    """
    by_name = {condition["name"]: condition for condition in measured}
    claims = {}
    for expectation in study.expectations:
        for condition in filter(expectation.fits, study.conditions):
            words, found = f"{condition.name}: {expectation}", by_name.get(condition.name)
            if found is None:
                claims[f"{words} {NOT_RUN}"] = Found(False, None)
            elif found["verdict"] == "inconclusive":
                claims[words] = Found(False, None)
            elif expectation.group in found["arms"]["clean"]["recognition"]:
                claims[words] = _found(expectation, found["arms"])
    return claims


def _found(expectation: Expectation, arms: Json) -> Found:
    clean, random, noisy = (arms[arm]["recognition"][expectation.group] for arm in ARMS)
    rank1, control = noisy[expectation.epoch]["mean"], clean["last"]["mean"]
    met = expectation.met(rank1, control)
    if met and expectation.hides and not expectation.clears(random[expectation.epoch]["mean"], control):
        return Found(False, None)
    return Found(met, rank1 / control if control > 0 else None)


def _settings(plan: Plan, data: StudyData) -> Json:
    study = data.study
    adversaries = {
        name: contender_of(plan, condition) for condition in study.conditions for name in [condition.adversary]
    }
    return {
        "scale": plan.scale,
        "precision": plan.precision,
        "against": plan.adversary,
        "data_seed": study.data_seed,
        "faces": {"folder": study.faces, "training": len(data.train), "testing": len(data.test)},
        "upload": None if study.upload is None else asdict(study.upload),
        "adversaries": {name: repr(one.adversary) for name, one in adversaries.items()},
        "countermeasures": {c.countermeasure: repr(COUNTERMEASURES[c.countermeasure]) for c in study.conditions},
        "noises": {name: asdict(recipe) for name, recipe in study.noises.items()},
    }
