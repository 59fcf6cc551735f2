"""From many conditions to one headline: never friendlier than the worst of them.

    condition   one adversary, one countermeasure, one share of protected identities; its arms, each over S seeds
    outcome     not protected < inconclusive < protected, from the least to the most friendly
    condition's = the least friendly of study.verdict on the mean over seeds and on every single seed
    headline's  = not protected if any condition is, else inconclusive if any condition is or none was run, else protected

One training in which the noise fails is one in which the person is recognized, so every seed counts, not their mean alone.
Numbers are read from ``seeds``, never from a stored mean. With something missing, or no share, it is inconclusive at best.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from faceguard.printable import counted
from faceguard.study import ARMS, Arm, verdict

OUTCOMES = ("protected", "inconclusive", "not protected")  # the friendliest first

Condition = Mapping[str, Any]
Rates = dict[Arm, dict[str, dict[str, float]]]  # arm -> group -> last, best rank-1


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """One condition's outcome with its reasons, and its ratio: how much of the clean arm's rank-1 the noise leaves.

    ``recognized`` is the protected group's rank-1 in the error-minimizing arm at its best epoch, ``clean`` that of the clean
    arm after the last epoch, both means over seeds; ``worst_seed`` are those of the seed with the largest ratio.
    """

    name: str
    outcome: str
    reasons: list[str]
    recognized: float
    clean: float
    worst_seed: tuple[float, float]

    @property
    def ratio(self) -> float:
        """``recognized / clean``; infinite when unknown, because the unknown must not look like a small number."""
        return _ratio(self.recognized, self.clean)

    @property
    def badness(self) -> tuple[int, float]:
        """What to sort by, the worst for the person last."""
        return OUTCOMES.index(self.outcome), self.ratio


def conclude(conditions: Sequence[Condition], not_run: Sequence[str]) -> dict[str, Any]:
    """The ``verdict`` of result.json: outcome, headline, reasons, worst (a condition's name, or None) and not_run.

    ``not_run`` names the known adversaries and countermeasures that no condition tried; they are listed, whatever the outcome.
    """
    judged = [judge(condition) for condition in conditions]
    told = {"not_run": list(not_run)}
    if not judged:
        headline = "Inconclusive: nothing was run."
        return {
            "outcome": "inconclusive",
            "headline": headline,
            "reasons": ["There is no condition to judge."],
            "worst": None,
        } | told
    worst = max(judged, key=lambda one: one.badness)
    return {
        "outcome": worst.outcome,
        "headline": _headline(worst, judged, not_run),
        "reasons": _reasons(worst, judged, not_run),
        "worst": worst.name,
    } | told


def judge(condition: Condition) -> Judgement:
    """The least friendly of ``study.verdict`` on the condition's mean and on each of its seeds.

    A condition may carry ``doubts``, sentences on what makes its numbers worthless (test photos in training, noise of zeros);
    with any, it is inconclusive. So it is when the three arms do not have the same groups and seeds, unless a seed that
    all of them have says worse.
    """
    name, seeds, arms = str(condition["name"]), list(condition["seeds"]), condition["arms"]
    doubts = [str(doubt) for doubt in condition.get("doubts", ())]
    problems = doubts or _problems(condition)
    mean = _mean(arms)
    by_seed = [] if doubts else [_of_seed(arms, place) for place in range(_complete(condition))]
    outcome, reasons = ("inconclusive", problems) if problems else verdict(mean, condition["identities"])
    for seed, rates in zip(seeds, by_seed, strict=False):
        word, why = verdict(rates, condition["identities"])
        if OUTCOMES.index(word) > OUTCOMES.index(outcome):
            outcome, reasons = word, [f"Seed {seed}: {sentence}" for sentence in why]
    recognized, clean = _compared(mean)
    return Judgement(
        name=name,
        outcome=outcome,
        reasons=reasons,
        recognized=recognized,
        clean=clean,
        worst_seed=max(
            (_compared(rates) for rates in by_seed), key=lambda pair: _ratio(*pair), default=(math.nan, math.nan)
        ),
    )


def _headline(worst: Judgement, judged: Sequence[Judgement], not_run: Sequence[str]) -> str:
    alike = sum(one.outcome == worst.outcome for one in judged)
    share = f"{alike} of {counted(len(judged), 'condition')}"
    if worst.outcome == "not protected":
        numbers, in_worst_seed = _pair(worst.recognized, worst.clean), _pair(*worst.worst_seed)
        if in_worst_seed != numbers:
            numbers += f" ({in_worst_seed} in its worst seed)"
        return f"Not protected in {share}; worst in {worst.name}: rank-1 {numbers}."
    if worst.outcome == "inconclusive":
        return f"Inconclusive: {share} cannot be judged, among them {worst.name}."
    scope = "the only condition that was run" if len(judged) == 1 else f"all {len(judged)} conditions that were run"
    return f"Protected in {scope}{_untried(not_run)}."


def _untried(not_run: Sequence[str]) -> str:
    """The tail of a good headline, for whoever reads nothing else."""
    if not not_run:
        return ""
    rest = len(not_run) - 1
    return f"; {not_run[0]} was not" if rest == 0 else f"; {not_run[0]} and {rest} other{'s' * (rest > 1)} were not"


def _pair(recognized: float, clean: float) -> str:
    known = math.isfinite(recognized) and math.isfinite(clean)
    return f"{recognized:.2f} of a clean {clean:.2f}" if known else "not measured"


def _reasons(worst: Judgement, judged: Sequence[Judgement], not_run: Sequence[str]) -> list[str]:
    """The worst condition's own, how the others came out, and, where all is well, what was not run."""
    counts = {word: sum(one.outcome == word for one in judged) for word in reversed(OUTCOMES)}
    said = [f"{worst.name}: {reason}" for reason in worst.reasons]
    said.append(
        f"Of {counted(len(judged), 'condition')}: "
        + ", ".join(f"{count} {word}" for word, count in counts.items())
        + "."
    )
    return [*said, f"Not run: {', '.join(not_run)}."] if not_run and worst.outcome == "protected" else said


def _problems(condition: Condition) -> list[str]:
    """Why the numbers cannot be compared, in sentences; nothing when they can. An absent arm is left to study.verdict."""
    seeds, arms, identities = condition["seeds"], condition["arms"], condition["identities"]
    if not seeds:
        return ["No seed was run."]
    if not (isinstance(identities, int) and identities >= 1):
        return [f"The number of identities is {identities!r}."]
    present = [arm for arm in ARMS if arm in arms]
    groups = {arm: set(arms[arm]["recognition"]) for arm in present}
    if any(found != groups[present[0]] or "protected" not in found for found in groups.values()):
        return ["The arms do not have the same groups, with the protected among them."]
    if condition.get("protected", identities) < identities and any("others" not in found for found in groups.values()):
        return ["The others were not measured."]
    said: list[str] = []
    for arm in present:
        for group, measures in _by_group(arms[arm]):
            for when in ("last", "best"):
                values = [_number(value) for value in measures[when]["seeds"]]
                if len(values) != len(seeds):
                    said.append(f"The arm {arm} has {len(values)} of {len(seeds)} seeds for {group}.")
                elif any(math.isnan(value) for value in values):
                    said.append(f"The arm {arm} lacks a rank-1 for {group}.")
                elif any(value < 0 or value > 1 for value in values):
                    said.append(f"The arm {arm} has a rank-1 outside 0 to 1 for {group}.")
    return list(dict.fromkeys(said))


def _complete(condition: Condition) -> int:
    """How many seeds, from the first, can be judged by themselves: those that all arms have for the same groups."""
    arms, identities = condition["arms"], condition["identities"]
    if set(ARMS) - set(arms) or not (isinstance(identities, int) and identities >= 1):
        return 0
    parts = [dict(_by_group(arms[arm])) for arm in ARMS]
    if any(part.keys() != parts[0].keys() or "protected" not in part for part in parts):
        return 0
    lengths = [
        len(measures[when]["seeds"]) for part in parts for measures in part.values() for when in ("last", "best")
    ]
    return min(len(condition["seeds"]), *lengths)


def _of_seed(arms: Mapping[str, Any], place: int) -> Rates:
    """The rank-1 of one seed, in the form that study.verdict takes."""
    return _rates(arms, lambda seeds: _number(seeds[place]))


def _mean(arms: Mapping[str, Any]) -> Rates:
    return _rates(arms, lambda seeds: math.fsum(map(_number, seeds)) / len(seeds) if seeds else math.nan)


def _rates(arms: Mapping[str, Any], read: Callable[[Sequence[float | None]], float]) -> Rates:
    return {
        arm: {
            group: {when: read(measures[when]["seeds"]) for when in ("last", "best")}
            for group, measures in _by_group(arms[arm])
        }
        for arm in ARMS
        if arm in arms
    }


def _by_group(arm: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """In an order of their own, since reasons name groups in it and a file keeps them in the alphabet's."""
    return sorted(arm["recognition"].items(), key=lambda item: (item[0] != "protected", item[0]))


def _compared(mean: Rates) -> tuple[float, float]:
    nothing = {"last": math.nan, "best": math.nan}
    noisy = mean.get("error-minimizing", {}).get("protected", nothing)
    return noisy["best"], mean.get("clean", {}).get("protected", nothing)["last"]


def _ratio(recognized: float, clean: float) -> float:
    return recognized / clean if math.isfinite(recognized) and clean > 0 else math.inf


def _number(value: float | None) -> float:
    """JSON has no "not a number": it is null there."""
    return math.nan if value is None else float(value)
