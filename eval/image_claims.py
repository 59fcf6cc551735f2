"""Which claims of a classification study are met by what its runs learnt, and the numbers that say so."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from eval.image_study import ImageExpectation, ImageNoise, ImageStudy, learns
from faceguard.claims import NOT_RUN, Found

Json = dict[str, Any]


def expectations(study: ImageStudy, runs: Mapping[str, Json], absent: Collection[str] = ()) -> dict[str, Found]:
    """Each claim in words, for every run it is about, unless its set, or that of the run it compares with, is ``absent``.

    Nothing is met by what was not run, and no noise hides what random noise hides as well, or was not tried on: every control
    must meet its own claim and, at the epoch of the claim that it stands beside, miss that one.
    """
    found = {}
    for expected in study.expectations:
        for name in filter(expected.fits, study.runs):
            words = f"{name} {expected}"
            if name in absent or expected.than in absent:
                continue
            if name not in runs or expected.than not in runs:
                found[f"{words} {NOT_RUN}"] = Found(False, None)
                continue
            share = _share(expected, name, runs)
            held = [
                control.met(_share(control, other, runs)) and expected.clears(_share(expected, other, runs))
                for control, other in controls(study, expected, name)
            ]
            if hides(study, expected, name) and not (held and all(held)):
                share = None
            found[words] = Found(expected.met(share), share)
    return found


def _share(expected: ImageExpectation, name: str, runs: Mapping[str, Json]) -> float | None:
    """What the run of this name learnt over what its reference did; None where either was not run, or it cannot be told."""
    if name not in runs or expected.than not in runs:
        return None
    run, control = runs[name], runs[expected.than]
    if expected.attack:
        found, reference = (part["attack_success"]["mean"] for part in (run, control))
    elif expected.label is not None:
        found, reference = (recognized(part, expected.label) for part in (run, control))
    else:
        found, reference = run["accuracy"][expected.epoch]["mean"], control["accuracy"]["last"]["mean"]
    return expected.share(found, reference, control["chance"])


def hides(study: ImageStudy, claim: ImageExpectation, run: str) -> bool:
    """Whether the claim is that noise which was learnt hides something from this run."""
    learnt = learns(study.runs[run])
    return learnt and claim.fits(run) and not claim.attack and claim.at_most is not None and claim.at_most < 1


def controls(study: ImageStudy, claim: ImageExpectation, run: str) -> list[tuple[ImageExpectation, str]]:
    """What must hold for such a claim: that random noise of the run's form leaves enough of the same.

    It covers at least as much of the photo as the run's learnt noise does, and of several the ones that cover least count.
    """
    learnt = [noise for noise in study.runs[run].noises if noise.kind != "random"]
    forms, least = {noise.form for noise in learnt}, _side(learnt)
    found = [
        (floor, name)
        for floor in study.expectations
        if floor.at_least is not None and (floor.than, floor.label) == (claim.than, claim.label)
        for name, other in study.runs.items()
        if floor.fits(name) and {noise.kind for noise in other.noises} == {"random"}
        if forms & {noise.form for noise in other.noises} and _side(other.noises) >= least
    ]
    nearest = min((_side(study.runs[name].noises) for _, name in found), default=least)
    return [(floor, name) for floor, name in found if _side(study.runs[name].noises) == nearest]


def _side(noises: Sequence[ImageNoise]) -> float:  # of the largest patch, in pixels; infinite for noise on whole photos
    return max((math.inf if noise.patch is None else noise.patch for noise in noises), default=0)


def cost_expectations(study: ImageStudy, runs: Mapping[str, Json], absent: Collection[str] = ()) -> dict[str, Found]:
    """Each claim about cost in words, and the passes of learning as a share of the training's; none about ``absent`` runs.

    Seconds are no measure: the same training takes twice as long when the machine is busy.
    """
    found = {}
    for name, share in study.costs.items():
        words = f"{name} costs at most {share:g} of its training's passes"
        if name in runs:
            spent = runs[name]["passes"]["learning"] / runs[name]["passes"]["training"]
            found[words] = Found(spent <= share, spent)
        elif name not in absent:
            found[f"{words} {NOT_RUN}"] = Found(False, None)
    return found


def accuracy_expectations(
    study: ImageStudy, runs: Mapping[str, Json], absent: Collection[str] = ()
) -> dict[str, Found]:
    """Each claim about accuracy itself, which another scale, or a set that stands in, says nothing about; the mean over seeds.

    That noise hides something is met only where one of the study's own claims says so of the run, and its controls hold.
    """
    found: dict[str, Found] = {}
    shares = expectations(study, runs, absent)
    for name, percent in study.at_full.items():
        if name in runs and runs[name]["data"] != study.runs[name].data:
            continue
        hidden = learns(study.runs[name])
        words = f"{name} recognizes {'at most' if hidden else 'at least'} {percent:g} %, last epoch"
        if name in runs:
            accuracy = 100 * runs[name]["accuracy"]["last"]["mean"]
            met = accuracy <= percent if hidden else accuracy >= percent
            found[words] = (
                Found(False, None) if hidden and not _controlled(study, name, shares) else Found(met, accuracy)
            )
        elif name not in absent:
            found[f"{words} {NOT_RUN}"] = Found(False, None)
    return found


def _controlled(study: ImageStudy, run: str, shares: Mapping[str, Found]) -> bool:
    """Whether, by what `expectations` found, the controls hold of a claim that noise hides all classes from the run."""
    claims = [claim for claim in study.expectations if hides(study, claim, run) and claim.label is None]
    return any(shares.get(f"{run} {claim}", Found(False, None)).value is not None for claim in claims)


def recognized(run: Json, label: str) -> float:
    """The share of a class's clean test photos that are recognized, in [0, 1]; not a number when it is not known."""
    if label not in run.get("classes", ()):
        return math.nan
    place = run["classes"].index(label)
    return float(run["confusion"][place][place])
