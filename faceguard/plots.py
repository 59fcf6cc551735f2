"""Pictures of results as PNG files: ROC, learning curves, photo / protected / difference.

Every figure is drawn through matplotlib's object-oriented interface on the Agg canvas, so pyplot's global state is never
touched, and holds neither date nor version: the same input gives the same bytes. Colours are those of Okabe and Ito
2008, which colour-blind readers can tell apart; line styles repeat the distinction. A file appears whole or not at all.

N examples, H x W pixels, E epochs. Faces are uint8 H x W x 3 RGB.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from faceguard.errors import DataError
from faceguard.outputs import replacing
from faceguard.printable import printable

if TYPE_CHECKING:  # matplotlib costs start-up time, so it is imported where a figure is made
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#A87400", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#000000")
STYLES = ("-", "--", "-.", ":")
DPI = 150
INK = "#333333"

Image = NDArray[np.uint8]
Curve = tuple[NDArray[np.float64], NDArray[np.float64]]


def roc_figure(curves: Mapping[str, Curve], path: Path, *, title: str = "Verification") -> None:
    """TAR over a logarithmic FAR axis, one named curve (far, tar) each as ``verification.roc`` gives it; AUC in the legend.

    The height at a FAR is the TAR that this FAR allows, as ``verification.tar_at_far`` reads it.
    Raises DataError when there is no curve.
    """
    if not curves:
        raise DataError(f"There is no curve to draw into {path}; give at least one arm's FAR and TAR.")
    figure = new_figure(7.0, 6.0)
    figure.set_layout_engine("constrained")
    axes = figure.add_subplot()
    smallest = min(float(far[far > 0].min()) for far, _ in curves.values())
    grid = np.geomspace(min(max(smallest / 2, 1e-6), 0.1), 1, 1500)  # finer than pixels, whatever the number of pairs
    for i, (name, (far, tar)) in enumerate(curves.items()):
        axes.plot(
            grid,
            tar[np.searchsorted(far, grid, side="right") - 1],
            color=COLOURS[i % len(COLOURS)],
            linestyle=STYLES[i % len(STYLES)],
            linewidth=2,
            label=f"{name} (AUC {np.trapezoid(tar, far):.4f})",
        )
    axes.plot(grid, grid, color="#999999", linewidth=1, label="chance (AUC 0.5)")
    axes.set_xscale("log")
    axes.set_xlim(grid[0], 1)
    axes.set_ylim(0, 1.01)
    _label(axes, title=title, x="False accept rate (FAR)", y="True accept rate (TAR)")
    _legend(axes, columns=2)
    save_figure(figure, path)


def learning_curves(
    rank1: Mapping[str, Mapping[str, Sequence[float]]],
    train_loss: Mapping[str, Sequence[float]],
    path: Path,
    *,
    title: str = "Learning curves",
) -> None:
    """Left, each arm's rank-1 in [0, 1] by group; right, each arm's training loss; E values each, from epoch 1.

    ``rank1[arm][group]`` and ``train_loss[arm]``: colour tells the arm, line style the group.
    Raises DataError when there is no arm, or the arms of both differ.
    """
    if not rank1 or list(rank1) != list(train_loss):
        raise DataError(
            f"Rank-1 of {list(rank1)} and loss of {list(train_loss)} cannot share {path}; give the same arms to both."
        )
    figure = new_figure(11.0, 5.4)
    figure.set_layout_engine("constrained")
    left, right = figure.subplots(1, 2)
    colour = {arm: COLOURS[i % len(COLOURS)] for i, arm in enumerate(rank1)}
    groups = list(dict.fromkeys(group for by_group in rank1.values() for group in by_group))
    for i, group in enumerate(groups):
        for arm in (arm for arm, by_group in rank1.items() if group in by_group):
            style = STYLES[i % len(STYLES)]
            _epochs(left, rank1[arm][group], label=f"{arm}: {group}", colour=colour[arm], style=style)
    for arm, loss in train_loss.items():
        _epochs(right, loss, label=arm, colour=colour[arm], style="-")
    left.set_ylim(-0.02, 1.02)
    right.set_ylim(bottom=0)
    _label(left, title="Rank-1 on clean held-out faces", x="Epoch", y="Rank-1")
    _label(right, title="Loss on the training faces", x="Epoch", y="Cross entropy")
    _legend(left, columns=len(groups))
    _legend(right, columns=1)
    figure.suptitle(title, fontsize=13, color=INK)
    save_figure(figure, path)


def difference(photo: Image, protected: Image, *, gain: int = 10) -> Image:
    """128 + ``gain`` times (protected - photo), clipped to uint8: grey where nothing changed."""
    change = protected.astype(np.int32) - photo.astype(np.int32)
    return np.clip(128 + gain * change, 0, 255).astype(np.uint8)


def before_after(
    photos: Sequence[Image], protected: Sequence[Image], path: Path, *, names: Sequence[str] = (), gain: int = 10
) -> None:
    """Three rows of N examples: the photos, the protected ones, and :func:`difference`, pixel for pixel or enlarged.

    Raises DataError when there is no example, the numbers differ, or not all have one size.
    """
    if not photos or len(photos) != len(protected) or len({image.shape for image in (*photos, *protected)}) > 1:
        raise DataError(
            f"{len(photos)} photos and {len(protected)} protected ones cannot be shown together in {path};"
            " give as many of both, all of one size."
        )
    changes = [difference(photo, after, gain=gain) for photo, after in zip(photos, protected, strict=True)]
    labels = ("photo", "protected", f"difference\n\N{MULTIPLICATION SIGN} {gain}, grey: none")
    _mosaic([list(photos), list(protected), changes], path, side=160, row_labels=labels, captions=[list(names)])


def _mosaic(
    rows: Sequence[Sequence[Image]],
    path: Path,
    *,
    side: int,
    row_labels: Sequence[str],
    captions: Sequence[Sequence[str]] = (),
) -> None:
    """Images of one size in rows, whole-number enlarged to at least ``side``; captions stand above their row's images."""
    height, width = rows[0][0].shape[:2]
    scale = max(1, math.ceil(side / max(height, width)))
    height, width, gap, margin = height * scale, width * scale, 8, 220
    heads = [26 if i < len(captions) and captions[i] else 0 for i in range(len(rows))]
    figure = new_figure(
        (margin + len(rows[0]) * (width + gap)) / DPI, (gap + sum(heads) + len(rows) * (height + gap)) / DPI
    )
    top = gap  # pixels from the upper edge
    for i, row in enumerate(rows):
        top += heads[i]
        _write(figure, margin - 14, top + height / 2, row_labels[i], align="right")
        for j, image in enumerate(row):
            x = margin + j * (width + gap)
            enlarged = image.repeat(scale, axis=0).repeat(scale, axis=1)
            figure.figimage(enlarged, x, round(figure.bbox.height) - top - height, origin="upper")
            if heads[i] and j < len(captions[i]):
                _write(
                    figure, x + width / 2, top - 13, _shortened(printable(captions[i][j]), width // 9), align="center"
                )
        top += height + gap
    save_figure(figure, path)


def _shortened(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: max(characters - 1, 1)] + "\N{HORIZONTAL ELLIPSIS}"


def new_figure(width: float, height: float) -> Figure:
    """A white figure of ``width`` x ``height`` inches that no window and no pyplot state knows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _write(figure: Figure, x: float, y: float, text: str, *, align: str) -> None:
    """Text around the pixel x from the left, y from the upper edge; dollars are dollars, not formulas."""
    across, down = x / figure.bbox.width, 1 - y / figure.bbox.height
    figure.text(across, down, text, fontsize=8, color=INK, ha=align, va="center", parse_math=False)


def _label(axes: Axes, *, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=12, color=INK)
    axes.set_xlabel(x, fontsize=11, color=INK)
    axes.set_ylabel(y, fontsize=11, color=INK)
    axes.tick_params(labelsize=10, colors=INK)
    axes.grid(visible=True, color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _legend(axes: Axes, *, columns: int) -> None:
    """Below the axes, where it hides no curve."""
    axes.legend(
        fontsize=10, labelcolor=INK, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=columns, frameon=False
    )


def _epochs(axes: Axes, values: Sequence[float], *, label: str, colour: str, style: str) -> None:
    """A line over epochs 1 to E, with a marker per epoch while those stay apart."""
    from matplotlib.ticker import MaxNLocator

    marker = "o" if len(values) <= 30 else None
    epochs = range(1, len(values) + 1)
    axes.plot(epochs, values, label=label, color=colour, linestyle=style, linewidth=2, marker=marker, markersize=4)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(left=0.5)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a .png or .svg under a temporary name beside ``path``, then rename, so that a broken run leaves no half picture."""
    from matplotlib import rc_context

    kind = path.suffix.removeprefix(".")
    nothing = {"Software": None} if kind == "png" else {"Date": None, "Creator": None}
    with (
        replacing(path) as temporary,
        rc_context({"svg.hashsalt": "faceguard"}),
    ):  # names of its parts, random otherwise
        figure.savefig(temporary, format=kind, dpi=DPI, metadata=nothing)
