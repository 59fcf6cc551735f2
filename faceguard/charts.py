"""Learning curves and ROC as points of an inline SVG, which ``templates/charts.html`` draws.

Drawn here and not by matplotlib, because a chart inside a page then takes the page's colours, light or dark, scales with the
screen, keeps its text as text, and is a twentieth of the size: a report has a hundred of them. Colour tells the arm, the
line's style the group; both as in ``faceguard.plots``.

G points of a ROC, E epochs. Coordinates are in the units of the SVG's view box, from its upper left corner.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# The view box is 360 x 230: see the template.
LEFT, RIGHT, TOP, BOTTOM = 46, 350, 10, 196
STYLES = 4  # colours are as many as arms, styles as groups; both begin again when there are more
COLOURS = 6
DRAWN = 70  # points of a curve, at most: finer is not seen

Numbers = Sequence[float | None]
Scale = Callable[[float], float]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One curve: its ``points`` and the outline of its ``band`` as SVG writes them."""

    label: str
    colour: int
    style: int
    points: str
    band: str = ""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Axes from 0 to ``y_ticks``' largest with their curves; a tick is (coordinate, text)."""

    title: str
    x_label: str
    y_label: str
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    lines: list[Line]


def rank1_chart(arms: Mapping[str, Mapping[str, Any]]) -> Chart:
    """Rank-1 after every epoch: a curve for each arm and group that was trained for more than one."""
    curves = {(arm, group): values for arm, found in arms.items() for group, values in found["curves"]["rank1"].items()}
    return _over_epochs("Rank-1 on clean held-out faces", "rank-1", curves, top=1.0)


def loss_chart(arms: Mapping[str, Mapping[str, Any]]) -> Chart:
    """The training loss of every arm that has one; no line when none has."""
    curves = {(arm, ""): found["curves"]["loss"] for arm, found in arms.items()}
    largest = max((value for values in curves.values() for value in _known(values)), default=1.0)
    return _over_epochs("Loss on the training faces", "loss", curves, top=_round_up(largest))


def roc_chart(arms: Mapping[str, Mapping[str, Any]], title: str, *, lfw: bool) -> Chart:
    """TAR over a logarithmic FAR with its band: the groups of every arm, or LFW alone."""
    curves = {
        (arm, group): curve
        for arm, found in arms.items()
        for group, curve in found["roc"].items()
        if (group == "lfw") == lfw
    }
    smallest = min((far for curve in curves.values() for far in _known(curve["far"]) if far > 0), default=0.1)
    decades = max(math.ceil(-math.log10(smallest) - 1e-9), 1)

    def x(far: float) -> float:
        return LEFT + (RIGHT - LEFT) * (1 + math.log10(max(far, 10**-decades)) / decades)

    every = math.ceil(decades / 5)
    return Chart(
        title=title,
        x_label="false accept rate (FAR)",
        y_label="true accept rate (TAR)",
        x_ticks=[(_short(x(10.0**-i)), f"{10.0**-i:g}") for i in range(0, decades + 1, every)],
        y_ticks=_ticks(1.0),
        lines=[
            Line(
                label=_label(arm, group),
                colour=colour,
                style=style,
                points=_points(curve["far"], curve["tar"], x, _height(1.0)),
                band=_outline(curve, x),
            )
            for (arm, group), curve, colour, style in _styled(curves)
        ],
    )


def _over_epochs(title: str, y_label: str, curves: Mapping[tuple[str, str], Numbers], *, top: float) -> Chart:
    epochs = max(2, *map(len, curves.values()), 2)

    def x(epoch: float) -> float:
        return LEFT + (RIGHT - LEFT) * (epoch - 1) / (epochs - 1)

    every = math.ceil(epochs / 6)
    lines = [
        Line(
            label=_label(arm, group),
            colour=colour,
            style=style,
            points=_points(range(1, len(values) + 1), values, x, _height(top)),
        )
        for (arm, group), values, colour, style in _styled(curves)
        if len(_known(values)) > 1
    ]
    return Chart(
        title=title,
        x_label="epoch",
        y_label=y_label,
        x_ticks=[(_short(x(i)), str(i)) for i in range(1, epochs + 1, every)],
        y_ticks=_ticks(top),
        lines=lines,
    )


def _styled(curves: Mapping[tuple[str, str], Any]) -> list[tuple[tuple[str, str], Any, int, int]]:
    """Every (arm, group) with its curve, the arm's colour and the group's style; that of the protected is a solid line."""
    arms = list(dict.fromkeys(arm for arm, _ in curves))
    groups = sorted({group for _, group in curves}, key=lambda group: (group != "protected", group))
    return [
        ((arm, group), curves[arm, group], i % COLOURS, j % STYLES)
        for i, arm in enumerate(arms)
        for j, group in enumerate(groups)
        if (arm, group) in curves
    ]


def _points(xs: Sequence[float | None], ys: Numbers, x: Scale, y: Scale) -> str:
    """Both as "x,y x,y", thinned; a value that is not known leaves its point out."""
    known = [(a, b) for a, b in zip(xs, ys, strict=True) if a is not None and b is not None]
    return " ".join(f"{_short(x(a)):g},{_short(y(b)):g}" for a, b in _thinned(known))


def _outline(curve: Mapping[str, Numbers], x: Scale) -> str:
    if not curve["low"]:
        return ""
    upper = _points(curve["far"], curve["high"], x, _height(1.0))
    lower = _points(curve["far"], curve["low"], x, _height(1.0))
    return f"{upper} {' '.join(reversed(lower.split()))}"


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most DRAWN of them, evenly, the last one always."""
    every = math.ceil(len(points) / DRAWN) if points else 1
    kept = list(points[::every])
    return kept if not points or kept[-1] == points[-1] else [*kept, points[-1]]


def _height(top: float) -> Scale:
    return lambda value: BOTTOM - (BOTTOM - TOP) * min(max(value / top, 0.0), 1.0)


def _ticks(top: float) -> list[tuple[float, str]]:
    return [(_short(_height(top)(top * i / 4)), f"{top * i / 4:g}") for i in range(5)]


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 6, 8 times a power of ten."""
    if not value > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if value <= step * power * (1 + 1e-9))


def _known(values: Numbers) -> list[float]:
    return [value for value in values if value is not None]


def _label(arm: str, group: str) -> str:
    return f"{arm}: {group}" if group else arm


def _short(value: float) -> float:
    return round(value, 1)
