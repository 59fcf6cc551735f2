"""A check as one HTML page that needs nothing else: no script, no font, no address, light or dark, on any screen.

Photos with a problem come first. Each card holds the face before, after, and ten times the difference; pictures are read
and embedded one card at a time, so memory stays flat, and the same report and photos give the same bytes.

H x W pixels.
"""

import base64
import io
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from faceguard import photo
from faceguard.check import STATUSES, CheckReport, PhotoCheck
from faceguard.errors import PhotoError
from faceguard.outputs import replacing
from faceguard.plots import difference

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
WORDS = (
    "Noise kept is the correlation of what changed in the face, as a trainer will cut it out, with the noise that was"
    " meant for it: 1 is all of it, 0 none. The budget limits how far a colour of a pixel may change, in levels of 255. PSNR"
    f" and SSIM say how alike the photos are: more is closer. The third picture shows the change {GAIN} times enlarged; grey"
    " means none."
)


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
        file.writelines(f"{part}\n" for part in _parts(report, told))


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


def _parts(report: CheckReport, pictures: Pictures) -> Iterator[str]:
    """The page from top to bottom, in pieces that fit into memory."""
    yield f"{_HEAD}\n<h1>{_headline(report)}</h1>\n{_summary(report)}"
    yield f'<p class="limits"><strong>{LIMITS}</strong></p>\n<p class="words">{WORDS}</p>'
    if len(report.photos) > EMBEDDED:
        yield f'<p class="words">Pictures are shown for the first {EMBEDDED} of {len(report.photos)} photos, problems first.</p>'
    yield "<main>"
    for index, check in enumerate(sorted(report.photos, key=_urgency)):
        yield _card(check, pictures(check) if index < EMBEDDED else None)
    yield "</main>"
    if report.unmatched:
        names = "".join(f"<li>{_name(name)}</li>" for name in report.unmatched)
        yield f"<section><h2>Copies without an original</h2><ul>{names}</ul></section>"
    yield "</body>\n</html>"


def _urgency(check: PhotoCheck) -> tuple[int, bool]:
    """Problems in the order of STATUSES, then notes, then the rest; sorting keeps the report's order within each."""
    return STATUSES.index(check.status), check.reason is None


def _headline(report: CheckReport) -> str:
    return f"{report.counts['protected']} of {len(report.photos)} photos protected"


def _summary(report: CheckReport) -> str:
    numbers = [
        ("Median noise kept", _number(report.median_noise_kept, ".2f")),
        ("Budget", f"{report.budget} levels"),
        ("Largest change", _number(report.max_change, "d", " levels")),
    ]
    numbers += [
        (status.capitalize(), str(count)) for status, count in report.counts.items() if count and status != "protected"
    ]
    return f'<dl class="summary">{_terms(numbers)}</dl>'


def _card(check: PhotoCheck, pair: tuple[Pixels, Pixels] | None) -> str:
    kind = "good" if check.status == "protected" else "bad"
    copied = "" if check.output in (None, check.source) else f" <span>as {_name(check.output or '')}</span>"
    reason = f"<p>{escape(check.reason)}</p>" if check.reason else ""
    numbers = _terms(_numbers(check))
    return (
        f'<article class="{kind}"><h2>{_name(check.source)}{copied}</h2><p class="status">{check.status}</p>{reason}'
        f"{'' if pair is None else _figures(check.source, *pair)}{f'<dl>{numbers}</dl>' if numbers else ''}</article>"
    )


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


def _figures(source: str, before: Pixels, after: Pixels) -> str:
    shown = (
        ("before", f"The face in {source} before protection", before),
        ("after", f"The face in {source} after protection", after),
        (
            f"change\N{NO-BREAK SPACE}\N{MULTIPLICATION SIGN}\N{NO-BREAK SPACE}{GAIN}",
            f"What changed in {source}, {GAIN} times enlarged",
            difference(before, after, gain=GAIN),
        ),
    )
    figures = (
        f'<figure><img src="{_data(pixels)}" alt="{escape(alt)}" loading="lazy"><figcaption>{caption}</figcaption></figure>'
        for caption, alt, pixels in shown
    )
    return f'<div class="figures">{"".join(figures)}</div>'


def _data(pixels: Pixels) -> str:
    """A picture of at most SIDE pixels as a data URI. JPEG with full chroma: a third of PNG, and no difference to see."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=90, subsampling="4:4:4")
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _terms(pairs: Iterator[tuple[str, str]] | list[tuple[str, str]]) -> str:
    return "".join(f"<div><dt>{escape(term)}</dt><dd>{escape(value)}</dd></div>" for term, value in pairs)


def _name(name: str) -> str:
    """A file name as text; ``bdi`` keeps one with right-to-left letters from turning what stands beside it."""
    return f"<bdi>{escape(name)}</bdi>"


def _number(value: float | None, form: str, unit: str = "") -> str:
    return "not measured" if value is None else f"{value:{form}}{unit}"


_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>faceguard check</title>
<style>
:root { --ink: #1c1c1c; --soft: #5a5a5a; --page: #f6f6f4; --card: #ffffff; --line: #dddddd; --good: #00694b; --bad: #a8440a }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececec; --soft: #a8a8a8; --page: #161616; --card: #212121; --line: #3a3a3a; --good: #4cc9a0; --bad: #ff9d5c }
}
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 72rem; padding: 1rem; background: var(--page); color: var(--ink);
  font: 1rem/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif }
h1 { margin: .5rem 0; font-size: 1.7rem } h2 { margin: 0; font-size: 1rem; overflow-wrap: anywhere }
h2 span { color: var(--soft); font-weight: normal } p { margin: .4rem 0; overflow-wrap: anywhere }
.limits, .words { max-width: 46rem } .words, figcaption, dt { color: var(--soft); font-size: .85rem }
main { display: grid; gap: 1rem; align-items: start; margin: 1rem 0;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 27rem), 1fr)) }
article { padding: .9rem; background: var(--card); border: 1px solid var(--line); border-radius: .5rem }
article.bad { border-left: .3rem solid var(--bad) } .status { font-weight: 600 }
.good .status { color: var(--good) } .bad .status { color: var(--bad) }
.figures { display: grid; gap: .4rem; grid-template-columns: repeat(3, 1fr); margin: .6rem 0 }
figure { margin: 0 } img { display: block; width: 100%; height: auto; border-radius: .25rem }
dl { display: grid; gap: .3rem .9rem; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); margin: .6rem 0 0 }
dd { margin: 0; font-variant-numeric: tabular-nums } .summary dd { font-size: 1.25rem }
</style>
</head>
<body>"""
