"""A result as one HTML page that needs nothing else: ``report.html`` from a folder's result.json and run.json.

The page holds no script, no font and no address, forbids the browser to fetch any, and is light or dark, for screens of any
size and for paper. The same two files give the same bytes. Everything in them is escaped, whatever it says. Its headline is
that of ``conclusion.conclude``, computed again: see ``faceguard.result``.

This file gathers what ``templates/report.html`` shows; the template decides how it looks.
"""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from faceguard.claims import outcome
from faceguard.conclusion import judge
from faceguard.errors import DataError
from faceguard.outputs import replacing
from faceguard.plots import difference
from faceguard.result import read_object, read_result
from faceguard.templating import template
from faceguard.tiles import COLUMNS, KINDS, Tile, make_tile, place

SHOWN = 6  # conditions whose curves are open from the start, the worst ones; the others' unfold
# what became of a claim -> its colour and sign
CLAIM_KINDS = {"met": "good", "undecided": "open", "not tried": "open", "missed": "bad"}
GAIN = 10  # of the difference between a picture before and after
NOISE = {
    "epsilon_levels": "Budget, in levels of 255",
    "psnr": "PSNR, in dB: more is closer",
    "ssim": "SSIM: 1 is the same",
    "lpips": "LPIPS: 0 is the same",
    "max_change": "Largest change of a pixel, in levels of 255",
    "noise_kept": "Noise a trainer finds, as a correlation: 1 is all of it, 0 none",
    "detectability_auc": "AUC of a classifier that tells protected from clean photos: 0.5 is guessing",
}


@dataclass(frozen=True, kw_only=True)
class Example:
    """A picture before and after protection, and what changed; PNG in base64."""

    name: str
    before: str
    after: str
    change: str


def write_report(folder: Path) -> Path:
    """Write ``folder/report.html`` from its result.json and, where there is one, run.json; returns the path.

    Raises DataError when either cannot be read, or the verdict is not the one that the conditions give.
    """
    result = read_result(folder / "result.json")
    run = read_object(folder / "run.json") if (folder / "run.json").exists() else {}
    path, page = folder / "report.html", render(result, run)
    with replacing(path) as temporary:
        # a name that is no valid text is shown with its bytes escaped
        temporary.write_text(page, encoding="utf-8", errors="backslashreplace", newline="\n")
    return path


def render(result: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    """The page of a ``result`` that ``result.read_result`` has accepted, conditions from the worst to the best."""
    conditions = result["conditions"]
    judged = [(judge(condition), condition) for condition in conditions]
    tiles = [make_tile(*pair) for pair in sorted(judged, key=lambda pair: pair[0].badness, reverse=True)]
    verdict = result["verdict"]
    return template("report.html").render(
        result=result,
        verdict=verdict,
        kind=KINDS[verdict["outcome"]],
        worst=next((tile for tile in tiles if tile.name == verdict["worst"]), None),
        tiles=tiles,
        heat=_heat(tiles, conditions),
        countermeasures=list(dict.fromkeys(place(condition)[1] for condition in conditions)),
        columns=COLUMNS,
        shown=SHOWN,
        claims=list(_claims(result)),
        noise=[(NOISE.get(name, name), value) for name, value in flatten(result["noise"])],
        settings=list(flatten(result["settings"])),
        run=list(flatten(run)),
        examples=[_example(picture) for picture in result["pictures"]],
        gain=GAIN,
    )


def _claims(result: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Of every claim its kind, what became of it, and its words with the number that says so."""
    for words, met in result["expectations"].items():
        became, claim = outcome(words, met, result.get("found", {}))
        yield CLAIM_KINDS[became], became, claim


def flatten(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as (dotted name, text) by name; a list of plain values is one text, null is "not measured"."""
    if isinstance(value, Mapping):
        for key, part in sorted(value.items()):
            yield from flatten(part, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list) and any(isinstance(part, Mapping | list) for part in value):
        for number, part in enumerate(value, start=1):
            yield from flatten(part, f"{name}.{number}")
    elif isinstance(value, list):
        yield name, ", ".join(_plain(part) for part in value) or "none"
    else:
        yield name, _plain(value)


def _plain(value: Any) -> str:
    words = {None: "not measured", True: "yes", False: "no"}
    if value is None or isinstance(value, bool):
        return words[value]
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _heat(tiles: Sequence[Tile], conditions: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[list[Tile]]]]:
    """Rows of the heat map: their name and, for each countermeasure, every condition there, the worst first."""
    rows, columns = (
        (list(dict.fromkeys(names)) for names in zip(*map(place, conditions), strict=True)) if conditions else ([], [])
    )
    return [(row, [[tile for tile in tiles if tile.place == (row, column)] for column in columns]) for row in rows]


def _example(picture: Mapping[str, str]) -> Example:
    """Raises DataError when a picture cannot be decoded, or the two are not of one size."""
    try:
        before, after = (
            np.asarray(Image.open(io.BytesIO(base64.b64decode(picture[when]))).convert("RGB"))
            for when in ("before", "after")
        )
    except (OSError, SyntaxError) as error:
        raise DataError(
            f"The picture {picture['name']!r} cannot be decoded ({error}); run the measurement again."
        ) from error
    if before.shape != after.shape:
        raise DataError(f"The picture {picture['name']!r} changes its size; run the measurement again.")
    buffer = io.BytesIO()
    Image.fromarray(difference(before, after, gain=GAIN)).save(buffer, format="PNG")
    change = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Example(name=picture["name"], before=picture["before"], after=picture["after"], change=change)
