"""Every entry of the ledger says what today's judge says of its numbers: verdicts, reasons, claims, and ends of intervals.

An entry lacks curves and confusions, so a class's share is taken from ``recognized``, and claims about classes that are not among
those cannot be judged again. Recipes get other runs and claims as time
goes by. Compared are today's claims about what the entry has, or lists as not run, and stored claims about what the recipe
still has, by name; a control that the entry lacks was not run.
"""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eval import image_claims as judging
from eval import outcome
from eval.experiment import load_recipe
from eval.ledger import RESULTS
from faceguard.conclusion import conclude, judge
from faceguard.intervals import over_identities

RECIPES = Path(__file__).parents[1] / "recipes"
ENTRIES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))}
FACES = [name for name, entry in ENTRIES.items() if "conditions" in entry]
IMAGES = [name for name, entry in ENTRIES.items() if "runs" in entry]
ABSENT = " is not at hand)"


def about(words):
    """The run, or condition, that a claim is about."""
    return re.split(" learns | follows | costs | recognizes |: ", words, maxsplit=1)[0]


def face_claims(entry):
    """Today's claims about the conditions of a face entry, and the names that the entry and the recipe share."""
    study = load_recipe(RECIPES / f"{entry['title']}.py")
    if entry["settings"].get("against"):
        study = study.against(entry["settings"]["against"])
    known = {condition["name"] for condition in entry["conditions"]} | set(entry["verdict"]["not_run"])
    shared = known & {condition.name for condition in study.conditions}
    return outcome.expectations(study, entry["conditions"]), shared


def recognized(entry):
    """The classes of which an image entry says how many photos were recognized."""
    return {label for run in entry["runs"].values() for label in run["recognized"]}


def can_be_judged(words, entry):
    """Whether the entry has the numbers that a stored claim is about."""
    label = re.search(" learns about (.+?) at ", words)
    return label is None or label[1] in recognized(entry)


def image_claims(entry):
    """Today's claims about the runs of an image entry, and the names that the entry and the recipe share."""
    study, runs = load_recipe(RECIPES / f"{entry['title']}.py"), {}
    known = [claim for claim in study.expectations if claim.label is None or claim.label in recognized(entry)]
    study = replace(study, expectations=tuple(known))
    for name, run in entry["runs"].items():
        labels = list(run["recognized"])
        runs[name] = run | {"classes": labels, "confusion": np.diag([run["recognized"][label] for label in labels])}
    absent = [name.rsplit(" (", 1)[0] for name in entry["not_run"] if name.endswith(ABSENT)]
    claims = judging.expectations(study, runs, absent) | judging.cost_expectations(study, runs, absent)
    return claims, (entry["runs"].keys() | set(entry["not_run"])) & study.runs.keys()


def compared(entry):
    """What is to be equal: words -> met and number, as today's judge has it and as the entry does."""
    claims, shared = face_claims(entry) if "conditions" in entry else image_claims(entry)
    today = {words: one for words, one in claims.items() if about(words) in shared}
    stored = {
        words: (met, entry.get("found", {}).get(words, "no number"))
        for words, met in entry["expectations"].items()
        if about(words) in shared and can_be_judged(words, entry)
    }
    return today, stored


@pytest.mark.parametrize("name", [*FACES, *IMAGES])
def test_the_claims_of_an_entry_are_those_that_todays_recipe_makes_of_its_numbers(name):
    today, stored = compared(ENTRIES[name])
    assert {words: met for words, (met, _) in stored.items()} == {words: one.met for words, one in today.items()}
    for words, one in today.items():
        number = stored[words][1]
        assert number == (one.value if one.value is None else pytest.approx(one.value, abs=2e-4)), words


@pytest.mark.parametrize("name", FACES)
def test_the_verdicts_and_reasons_of_an_entry_are_todays(name):
    entry = ENTRIES[name]
    for condition in entry["conditions"]:
        found = judge(condition)
        assert (condition["verdict"], condition["reasons"]) == (found.outcome, found.reasons), condition["name"]
    assert entry["verdict"] == conclude(entry["conditions"], entry["verdict"]["not_run"])


def never_right(entry):
    """The rank-1 of every group of whom nobody was recognized in any training, and how many identities that are."""
    for condition in entry["conditions"]:
        count = {"protected": condition["protected"]}
        count["others"] = condition["identities"] - count["protected"]
        for arm in condition["arms"].values():
            for group, found in arm["recognition"].items():
                yield from ((one, count[group]) for one in found.values() if not any(one["seeds"]))


@pytest.mark.parametrize("name", FACES)
def test_a_rate_of_nothing_has_the_interval_that_as_many_identities_allow(name):
    for one, identities in never_right(ENTRIES[name]):
        ends = [round(end, 5) for end in over_identities(np.zeros(1), identities)]
        assert ([one["low"], one["high"]], one["over"], one["identities"]) == (ends, "identities", ends)


def test_an_entry_whose_control_fails_is_inconclusive_and_none_of_its_claims_is_met():
    """Nothing above would notice an entry that is never judged anew: here random noise does what the learnt noise does."""
    entry = ENTRIES["face-partial"]
    failing = [without_control(condition) for condition in entry["conditions"]]
    assert {condition["verdict"] for condition in failing} == {"inconclusive"}
    today, stored = compared(entry | {"conditions": failing})
    assert len(today) == len(stored) > 3
    assert not any(one.met for one in today.values()) and any(met for met, _ in stored.values())


def without_control(condition):
    """The condition with the error-minimizing arm in the place of the random one, judged."""
    changed = condition | {"arms": condition["arms"] | {"random": condition["arms"]["error-minimizing"]}}
    return changed | {"verdict": judge(changed).outcome}
