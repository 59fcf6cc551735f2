"""One condition as a report shows it: its tile of the heat map, its rows of the table, its charts.

A number stands with the 95 % interval that it has, and says over what: see ``faceguard.intervals``.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from faceguard.charts import Chart, loss_chart, rank1_chart, roc_chart
from faceguard.conclusion import Judgement
from faceguard.study import ARMS

KINDS = {"protected": "good", "inconclusive": "open", "not protected": "bad"}  # outcome -> its colour and sign
COLUMNS = ("rank-1, last", "rank-1, best", "rank-1, within", "AUC", "EER", "TAR at FAR 0.001")
UNKNOWN = "\N{EN DASH}"

Estimate = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Number:
    """A measured value as text, its interval, whether that is over identities, and in ``title`` all that is known of it."""

    text: str
    interval: str
    over_identities: bool
    title: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table: an arm, whom it is measured on, and a number (or None) for each of ``COLUMNS``."""

    arm: str
    group: str
    numbers: list[Number | None]


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One condition; ``depth`` in [0, 1] is how much of the clean rank-1 is left, as a strength of colour."""

    name: str
    place: tuple[str, str]
    outcome: str
    kind: str
    ratio: str
    pair: str
    depth: str
    title: str
    reasons: list[str]
    rows: list[Row]
    curves: list[Chart]
    rocs: list[Chart]


def make_tile(judged: Judgement, condition: Mapping[str, Any]) -> Tile:
    """Everything about one condition; it has charts only for what was measured."""
    arms = {arm: condition["arms"][arm] for arm in sorted(condition["arms"], key=_order)}
    charts = rank1_chart(arms), loss_chart(arms)
    rocs = roc_chart(arms, "Verification by group", lfw=False), roc_chart(arms, "Verification on LFW", lfw=True)
    known = math.isfinite(judged.ratio)
    return Tile(
        name=judged.name,
        place=place(condition),
        outcome=judged.outcome,
        kind=KINDS[judged.outcome],
        ratio=f"{judged.ratio:.2f}" if known else UNKNOWN,
        pair=f"{_text(judged.recognized, 2)} / {_text(judged.clean, 2)}",
        depth=f"{min(judged.ratio, 1):.2f}",
        title=_title(judged, arms),
        reasons=judged.reasons,
        rows=list(_rows(arms)),
        curves=[chart for chart in charts if chart.lines],
        rocs=[chart for chart in rocs if chart.lines],
    )


def place(condition: Mapping[str, Any]) -> tuple[str, str]:
    """The row (adversary and share) and the column (countermeasure) of the heat map that a condition belongs to."""
    share = f"{condition['adversary']}, {condition['protected']} of {condition['identities']}"
    return share, str(condition["countermeasure"])


def _order(arm: str) -> tuple[int, str]:
    """Controls first: a file's own order is that of the alphabet."""
    return (ARMS.index(arm) if arm in ARMS else len(ARMS)), arm


def _rows(arms: Mapping[str, Any]) -> Iterator[Row]:
    for arm, found in arms.items():
        for group in sorted(found["recognition"], key=lambda group: (group != "protected", group)):
            recognition = found["recognition"][group]
            rates = [number(recognition[when]) if when in recognition else None for when in ("last", "best", "within")]
            yield Row(arm=arm, group=group, numbers=[*rates, *_verified(found["verification"].get(group))])
        if "lfw" in found:
            yield Row(arm=arm, group="LFW", numbers=[None, None, None, *_verified(found["lfw"])])


def _verified(found: Mapping[str, Any] | None) -> list[Number | None]:
    if found is None:
        return [None, None, None]
    tar = found["tar_at_far"].get("0.001")
    return [number(found["auc"]), number(found["eer"]), None if tar is None else number(tar)]


def number(estimate: Estimate) -> Number:
    """An estimate as three decimals, with its interval."""
    low, high = estimate.get("low"), estimate.get("high")
    seeds = ", ".join(_text(value) for value in estimate["seeds"])
    said = [f"mean {_text(estimate.get('mean'))}", f"seeds {seeds}"]
    if low is not None and high is not None:
        said.append(f"95 % over {estimate.get('over', 'seeds')} {_text(low)} to {_text(high)}")
    if estimate.get("identities") and estimate.get("over") == "seeds":
        said.append(f"95 % over identities {' to '.join(_text(end) for end in estimate['identities'])}")
    return Number(
        text=_text(estimate.get("mean")),
        interval="" if low is None or high is None else f"{_text(low)} to {_text(high)}",
        over_identities=estimate.get("over") == "identities",
        title="; ".join(said),
    )


def _title(judged: Judgement, arms: Mapping[str, Any]) -> str:
    """What pointing at a tile tells: the two numbers that are compared, the control at both epochs, and their intervals."""
    said = [f"{judged.name}: {judged.outcome}"]
    for arm, when in (("error-minimizing", "best"), ("clean", "last"), ("random", "last"), ("random", "best")):
        estimate = arms.get(arm, {}).get("recognition", {}).get("protected", {}).get(when)
        if estimate is not None:
            said.append(f"{arm}, {when} epoch: {number(estimate).title}")
    return "\n".join(said)


def _text(value: float | None, digits: int = 3) -> str:
    return UNKNOWN if value is None or not math.isfinite(value) else f"{value:.{digits}f}"
