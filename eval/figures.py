"""The figure of a classification study, drawn from its result.json: figure.png and figure.svg, the paper's numbers beside ours.

    bars       every run's accuracy on clean test photos after its last epoch, with its best epoch
    curves     the accuracy after every epoch; beside it, where claims are about classes, how much of each is recognized
    confusion  which class every run takes clean test photos for; classes that claims are about are bold
    shares     the accuracy over the share of photos with noise, for runs named "SERIES, 80%" or "SERIES at 80%"; beside it the
               attack success likewise, or the curves at the largest share below 100 %

Drawn as ``faceguard.plots`` draws: the same result gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from faceguard.plots import COLOURS, STYLES, new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

Json = Mapping[str, Any]
COLUMNS = 4  # confusions side by side, at most
WIDE = 7  # percent: a bar that holds its number


def draw(result: Json, out: Path) -> None:
    """Write the figure that ``result`` asks for into the folder ``out``, as PNG and SVG."""
    figure = _KINDS[result["figure"]](result["runs"])
    figure.set_layout_engine("constrained")
    figure.suptitle(f"{result['source']}: {result['title']}", fontsize=11)
    for suffix in (".png", ".svg"):
        save_figure(figure, out / f"figure{suffix}")


def _bars(runs: Json) -> Figure:
    names = list(runs)
    figure = new_figure(8.0, 1.6 + 0.32 * len(names))
    axes = figure.add_subplot()
    places = np.arange(len(names))[::-1]
    last, best = ([100 * runs[name]["accuracy"][when]["mean"] for name in names] for when in ("last", "best"))
    axes.barh(places, last, color=COLOURS[0], height=0.6, label="last epoch")
    axes.plot(best, places, "|", color=COLOURS[2], markersize=11, markeredgewidth=2, label="best epoch")
    told = [(runs[name]["paper"], place) for name, place in zip(names, places, strict=True) if runs[name]["paper"]]
    if told:
        axes.plot(*zip(*told, strict=True), "D", color=COLOURS[1], label="paper, full scale")
    for place, value in zip(places, last, strict=True):  # at the bar's foot, clear of the marks at its end
        axes.text(1, place, f"{value:.1f}", va="center", fontsize=8, color="white" if value > WIDE else "black")
    _draw_chance(axes, [100 * runs[name]["chance"] for name in names], places)
    axes.set_yticks(places, names, fontsize=8)
    axes.set_xlim(0, 105)
    axes.set_xlabel("Accuracy on clean test photos, %")
    axes.legend(fontsize=8, loc="lower right")
    return figure


def _draw_chance(axes: Axes, chances: Sequence[float], places: NDArray[np.int64]) -> None:
    """A line through all bars where chance is the same for all runs; else a piece of it beside each bar."""
    look: dict[str, Any] = {"color": "#999999", "linewidth": 1, "label": "chance"}
    if len(set(chances)) == 1:
        axes.axvline(chances[0], **look)
    else:
        axes.vlines(chances, places - 0.45, places + 0.45, **look)


def _curves(runs: Json) -> Figure:
    labels = list(dict.fromkeys(label for run in runs.values() for label in run["recognized"]))
    figure = new_figure(11.0 if labels else 8.0, 5.0)
    axes = figure.subplots(1, 2 if labels else 1, squeeze=False)[0]
    _draw_curves(axes[0], runs)
    if labels:
        _draw_recognized(axes[1], runs, labels)
    figure.legend(*axes[0].get_legend_handles_labels(), fontsize=8, loc="outside right center")
    return figure


def _draw_recognized(axes: Axes, runs: Json, labels: Sequence[str]) -> None:
    """Bars side by side: how much of every class's clean test photos each run recognizes, in the colours of the curves."""
    width = 0.8 / len(runs)
    for i, run in enumerate(runs.values()):
        heights = [100 * run["recognized"].get(label, np.nan) for label in labels]
        places = np.arange(len(labels)) + width * (i - (len(runs) - 1) / 2)
        axes.bar_label(axes.bar(places, heights, width, color=_look(i)["color"]), fmt="%.0f", fontsize=8)
    axes.set_xticks(range(len(labels)), labels)
    axes.set_ylim(0, 105)
    axes.set_ylabel("Clean test photos of the class that are recognized, %")


def _draw_curves(axes: Axes, runs: Json) -> None:
    for i, (name, run) in enumerate(runs.items()):
        curve = run["curves"]["accuracy"]
        said = name if run["paper"] is None else f"{name} (paper, last: {run['paper']:g})"
        axes.plot(range(1, len(curve) + 1), [100 * value for value in curve], label=said, **_look(i))
    _fit_percents(axes)
    axes.set_xlabel("Epoch")
    axes.set_ylabel("Accuracy on clean test photos, %")


def _shares(runs: Json) -> Figure:
    figure = new_figure(11.0, 4.6)
    left, right = figure.subplots(1, 2)
    _draw_shares(left, runs, "Accuracy on clean test photos, %", lambda run: run["accuracy"]["last"]["mean"])
    if all("attack_success" in run for run in runs.values()):
        _draw_shares(right, runs, "Attack success, %", lambda run: run["attack_success"]["mean"])
    else:
        most = max((run["share"] for run in runs.values() if run["share"] < 1), default=0)
        _draw_curves(right, {name: run for name, run in runs.items() if run["share"] == most})
    for axes in (left, right):
        axes.legend(fontsize=8)
    return figure


def _draw_shares(axes: Axes, runs: Json, what: str, value: Callable[[Json], float]) -> None:
    series: dict[str, list[tuple[float, float]]] = {}
    for name, run in runs.items():
        share = f"{run['share']:.0%}"
        plain = name.removesuffix(f", {share}").removesuffix(f" at {share}")
        series.setdefault(plain, []).append((100 * run["share"], 100 * value(run)))
    for i, (name, points) in enumerate(series.items()):
        axes.plot(*zip(*sorted(points), strict=True), label=name, marker="o", **_look(i))
    _fit_percents(axes)
    axes.set_xlabel("Share of the photos with noise, %")
    axes.set_ylabel(what)


def _fit_percents(axes: Axes) -> None:
    """From zero to the next ten above what is drawn."""
    most = max((float(np.max(line.get_ydata())) for line in axes.lines), default=0)
    axes.set_ylim(0, min(100, 10 * (most // 10 + 1)))


def _look(i: int) -> dict[str, Any]:
    return {"linewidth": 1.8, "color": COLOURS[i % len(COLOURS)], "linestyle": STYLES[i // len(COLOURS) % len(STYLES)]}


def _confusions(runs: Json) -> Figure:
    rows = -(-len(runs) // COLUMNS)
    columns = -(-len(runs) // rows)
    figure = new_figure(3.2 * columns, 3.4 * rows)
    for i, (name, run) in enumerate(runs.items()):
        axes = figure.add_subplot(rows, columns, i + 1)
        axes.imshow(run.get("confusion", [[]]), vmin=0, vmax=1, cmap="Blues")
        axes.set_title(f"{name}: {100 * run['accuracy']['last']['mean']:.1f} %", fontsize=9)
        classes = run.get("classes", [])
        axes.set_xticks(range(len(classes)), classes, rotation=90, fontsize=7)
        axes.set_yticks(range(len(classes)), classes if i % columns == 0 else [], fontsize=7)
        for tick in (*axes.get_xticklabels(), *axes.get_yticklabels()):
            tick.set_fontweight("bold" if tick.get_text() in run["recognized"] else "normal")
    return figure


_KINDS: Mapping[str, Callable[[Json], Figure]] = {
    "bars": _bars,
    "curves": _curves,
    "confusion": _confusions,
    "shares": _shares,
}
