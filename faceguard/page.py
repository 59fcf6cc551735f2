"""A check as one HTML page that needs nothing else: no script, no font, no address, light or dark, on any screen.

Photos with a problem come first. Each card holds the face before, after, and ten times the difference; pictures are read
and embedded one card at a time, so memory stays flat, and the same report and photos give the same bytes.

This file gathers what ``templates/check.html`` shows; the template decides how it looks. H x W pixels.
"""

import base64
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from faceguard import photo
from faceguard.check import STATUSES, CheckReport, PhotoCheck
from faceguard.errors import PhotoError
from faceguard.outputs import replacing
from faceguard.plots import difference
from faceguard.templating import template

Pixels = NDArray[np.uint8]
Pictures = Callable[[PhotoCheck], tuple[Pixels, Pixels] | None]

SIDE = 240  # pixels of an embedded picture, at most
EMBEDDED = 200  # photos with pictures, at most: some 40 kB each
MARGIN = 0.15  # of the face's footprint, shown around it
GAIN = 10
LIMITS = (
    "The noise works on whoever trains on the photos, when many of the people carry it. It does nothing against a recognizer"
    " that already knows the face."
)


@dataclass(frozen=True, kw_only=True)
class Card:
    """One photo on the page: its check, its numbers as terms and values, and the three pictures' data URIs, if any."""

    check: PhotoCheck
    numbers: list[tuple[str, str]]
    before: str = ""
    after: str = ""
    change: str = ""


def write_page(
    report: CheckReport,
    path: Path,
    *,
    pictures: Pictures,
    progress: Callable[[PhotoCheck, int], None] = lambda _check, _count: None,
) -> None:
    """Write ``report`` to ``path`` under a temporary name, then rename.

    ``pictures`` gives the face of a photo before and after, H x W x 3 of one size and any scale, or None when there is
    nothing to show; it is asked for the first 200 photos only, those with a problem first. ``progress`` gets each of them before,
    and how many there are.
    """
    shown = min(EMBEDDED, len(report.photos))

    def told(check: PhotoCheck) -> tuple[Pixels, Pixels] | None:
        progress(check, shown)
        return pictures(check)

    # a file name that is no valid text is shown with its bytes escaped
    with (
        replacing(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file,
    ):
        page = template("check.html").generate(
            report=report,
            summary=_summary(report),
            limits=LIMITS,
            cards=_cards(report, told),
            embedded=EMBEDDED,
            gain=GAIN,
        )
        file.writelines(page)


def face_pictures(originals: Path, protected: Path) -> Pictures:
    """The pictures for `write_page`, read again from what `check_photos` compared."""

    def read(check: PhotoCheck) -> tuple[Pixels, Pixels] | None:
        if check.output is None or check.status in ("missing", "unreadable"):
            return None
        try:
            before = photo.read(originals if originals.is_file() else originals / check.source).pixels
            after = photo.read(protected if protected.is_file() else protected / check.output).pixels
        except (PhotoError, OSError):  # it was there a moment ago; the numbers still stand
            return None
        return _face(before, after, check.face)

    return read


def _face(before: Pixels, after: Pixels, box: tuple[int, int, int, int] | None) -> tuple[Pixels, Pixels]:
    """The part of both photos around ``box`` (in pixels of ``before``), or all of it; ``before`` scaled to ``after``."""
    height, width = before.shape[:2]
    if before.shape != after.shape:
        x, y = after.shape[1] / width, after.shape[0] / height
        before = np.asarray(Image.fromarray(before).resize(after.shape[1::-1], Image.Resampling.LANCZOS))
        box = None if box is None else (round(box[0] * x), round(box[1] * y), round(box[2] * x), round(box[3] * y))
    if box is None:
        return before, after
    left, top, right, bottom = box
    margin = round(MARGIN * max(right - left, bottom - top))
    rows, columns = slice(max(top - margin, 0), bottom + margin), slice(max(left - margin, 0), right + margin)
    part = before[rows, columns]
    return (part, after[rows, columns]) if part.size else (before, after)


def _cards(report: CheckReport, pictures: Pictures) -> Iterator[Card]:
    """One by one, so that the page is written while the next photo is read."""
    for index, check in enumerate(sorted(report.photos, key=_urgency)):
        yield _card(check, pictures(check) if index < EMBEDDED else None)


def _card(check: PhotoCheck, pair: tuple[Pixels, Pixels] | None) -> Card:
    numbers = list(_numbers(check))
    if pair is None:
        return Card(check=check, numbers=numbers)
    before, after, change = map(_data, (*pair, difference(*pair, gain=GAIN)))
    return Card(check=check, numbers=numbers, before=before, after=after, change=change)


def _urgency(check: PhotoCheck) -> tuple[int, bool]:
    """Problems in the order of STATUSES, then notes, then the rest; sorting keeps the report's order within each."""
    return STATUSES.index(check.status), check.reason is None


def _summary(report: CheckReport) -> list[tuple[str, str]]:
    problems = {status: count for status, count in report.counts.items() if count and status != "protected"}
    return [
        ("Median noise kept", _number(report.median_noise_kept, ".2f")),
        ("Budget", f"{report.budget} levels"),
        ("Largest change", _number(report.max_change, "d", " levels")),
        *((status.capitalize(), str(count)) for status, count in problems.items()),
    ]


def _numbers(check: PhotoCheck) -> Iterator[tuple[str, str]]:
    if check.noise_kept is not None:
        guessed = " (best fit)" if check.row_from == "correlation" else ""
        yield "Noise kept", f"{check.noise_kept:.2f}"
        yield "Noise row", f"{check.row}{guessed}"
    if check.max_change is not None:
        yield "Largest change", _number(check.max_change, "d", " levels")
        yield "PSNR", "unchanged" if check.max_change == 0 else _number(check.psnr, ".1f", " dB")
        yield "SSIM", _number(check.ssim, ".4f")
        yield "Changed outside", _number(check.changed_outside, ",d", " pixels")


def _data(pixels: Pixels) -> str:
    """A picture of at most SIDE pixels as a data URI. JPEG with full chroma: a third of PNG, and no difference to see."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=90, subsampling="4:4:4")
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "not measured" if value is None else f"{value:{form}}{unit}"
