"""The commands for people with photos: protect them, and check what was done to them."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from faceguard import terminal
from faceguard.printable import counted

if TYPE_CHECKING:  # torch must not be loaded for --help
    from faceguard.batch import ProtectReport, Rerun
    from faceguard.manifest import PhotoResult

Assign = Literal["nearest", "random", "round-robin"]
FORESEEN = "For experiments: others can then foresee your row."
Rule = Annotated[
    Assign,
    typer.Option(
        help=f"How an identity gets a row. random: its own if NOISE has one, else drawn. The others: {FORESEEN.lower()}"
    ),
]
Noise = Annotated[Path | None, typer.Option(help="Noise bank; by default the one that ships.")]
BEST = "1 is best: all of it survived"
LIMIT = "The noise helps when many people's photos carry it, and less when photos of the same people without it are out there."
NAMED = 5  # people, of many
PHOTOS_A_WORKER = 8  # fewer are done sooner than another process has started


def protect(
    photos: Annotated[Path, typer.Argument(help="A photo, a folder of one person's photos, or a folder per identity.")],
    out: Annotated[Path, typer.Argument(help="Folder for the protected photos.")],
    noise: Noise = None,
    identity: Annotated[str | None, typer.Option(help="Whose photos these are; else the folders say it.")] = None,
    faces: Annotated[
        Literal["largest", "all"], typer.Option(help="Who takes the noise; all: bystanders carry your pattern as well.")
    ] = "largest",
    form: Annotated[
        Literal["keep", "png", "webp"],
        typer.Option("--format", help="keep: lossless formats as they are, others as PNG."),
    ] = "keep",
    quality: Annotated[
        int | None, typer.Option(min=50, max=100, help="Allow JPEG and lossy WebP, at this quality; loses some noise.")
    ] = None,
    metadata: Annotated[
        Literal["strip", "keep"], typer.Option(help="Place, time and camera: left out, or copied.")
    ] = "strip",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; by default as the photos and cores allow.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an earlier run stopped.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace what an earlier run wrote and nobody edited.")
    ] = False,
    assign: Rule = "random",
    seed: Annotated[int | None, typer.Option(help=f"Draws rows in place of your own secret. {FORESEEN}")] = None,
) -> None:
    """Write protected copies of photos.

    The noise works against whoever trains on them, when many of the people carry it; not against whoever knows the face.
    """
    from faceguard.assign import assign_to_photos, strangers
    from faceguard.bank import default_bank, load_bank
    from faceguard.batch import protect_photos
    from faceguard.listing import list_photos, refuse_output
    from faceguard.pool import cores
    from faceguard.protect import Protection
    from faceguard.secret import own_seed

    if resume and overwrite:
        raise typer.BadParameter("--resume keeps what --overwrite replaces; give one of them.")
    _refuse_values(form, quality, identity)
    refuse_output(out)
    rerun: Rerun = "resume" if resume else "overwrite" if overwrite else "refuse"
    bank = default_bank() if noise is None else load_bank(noise)
    others: list[Path] = []
    jobs = list_photos(photos, identity, out=out, passed_over=_pass_over, not_looked_at=others.append)
    drawn = own_seed(_config_folder(), _show_secret) if seed is None else seed
    rows = assign_to_photos(bank, jobs, assign, seed=drawn, named=noise is not None)
    if noise is not None and assign == "random" and (unknown := strangers(bank, jobs)):
        _say_drawn(noise, unknown, bank.identities)
    how = Protection(bank=bank, faces=faces, quality=quality, keep_metadata=metadata == "keep")
    processes = workers or max(1, min(cores(), len(jobs) // PHOTOS_A_WORKER))
    with terminal.bars() as advance:
        say = partial(_advance, advance, len(jobs))
        report = protect_photos(jobs, out, how, rows=rows, form=form, rerun=rerun, workers=processes, progress=say)
    _conclude(report, out, quality, others, lasting=assign == "random" and seed is None)


def _refuse_values(form: str, quality: int | None, identity: str | None) -> None:
    if form == "png" and quality is not None:
        raise typer.BadParameter("--format png loses nothing, whatever the --quality; leave one of them out.")
    if identity is not None and not identity.strip():
        raise typer.BadParameter("--identity is empty; give a name, or leave it out.")


def _config_folder() -> Path:
    """``FACEGUARD_CONFIG`` when it is set, else the system's folder for a user's settings."""
    return Path(os.environ.get("FACEGUARD_CONFIG") or typer.get_app_dir("faceguard"))


def _show_secret(path: Path) -> None:
    terminal.say(f"{path} is new: your secret, which says what rows your photos get. Keep it, and show it to nobody.")


def _advance(advance: Callable[..., None], photos: int, done: "PhotoResult") -> None:
    advance("photos", photos, done.source)


def _pass_over(folder: Path) -> None:
    terminal.say(f"The protected copies in {folder} are passed over.")


def _say_drawn(noise: Path, unknown: Sequence[str], known: Sequence[str]) -> None:
    terminal.say(
        f"{noise} has no row of its own for {_names(unknown)}, so one of its rows was drawn; it has rows for"
        f" {_names(known[::-1])}, and --identity NAME takes that person's."  # the user's own were learnt last
    )


def _conclude(
    report: "ProtectReport", out: Path, quality: int | None, others: Sequence[Path], *, lasting: bool
) -> None:
    """Say what was done, for whom, what changed its format, how much noise survives, what failed and what is no photo.

    ``others`` are the files that were not looked at. ``lasting``: whether the same person gets the same row another time.
    """
    done = f"{len(report.protected)} of {len(report.results)} photos protected in {out}"
    earlier = f", {report.resumed} of them before" if report.resumed else ""
    terminal.say(f"{done}{earlier}; manifest.jsonl lists them all.")
    people = sorted({result.identity for result in report.results})
    if len(people) > 1:
        terminal.say(
            f"{len(report.results)} photos of {len(people)} people ({_names(people)}); --identity NAME makes them one."
        )
    elif report.protected:
        later = ": give every later one the same --identity, and it gets the same row." if lasting else "."
        terminal.say(f"Taken for photos of {people[0]}{later}")
    _say_formats(report, quality)
    kept = [result.noise_kept for result in report.protected if result.noise_kept is not None]
    if kept:
        terminal.say(f"Noise kept: {median(kept):.2f} ({BEST}; median over photos).")
    for result in report.protected:
        if result.reason:
            terminal.complain("note", f"{result.source}: {result.reason}")
    if report.protected:
        terminal.say(LIMIT)
    for result in report.failed:
        terminal.complain("not protected", f"{result.source}: {result.reason}")
    if others:
        terminal.say(_of_others(others))
    if not report.complete:
        raise typer.Exit(1)


def _of_others(files: Sequence[Path]) -> str:
    """How many files were not looked at, and their endings, the most frequent first."""
    endings = Counter(sorted(path.suffix.lower() or "no ending" for path in files))
    kinds = _names([ending for ending, _ in endings.most_common()])
    return f"{len(files)} other file{'s' * (len(files) > 1)} ({kinds}) {'were' if len(files) > 1 else 'was'} not looked at."


def _names(people: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    return ", ".join(people[:NAMED]) + (f" and {len(people) - NAMED} more" if len(people) > NAMED else "")


def _say_formats(report: "ProtectReport", quality: int | None) -> None:
    """Say how many photos changed their format, and how many were written with a loss."""
    from faceguard.photo import lossless

    written = [(Path(result.source), Path(result.output)) for result in report.protected if result.output]
    lossy = sum(not lossless(path, quality) for _, path in written)
    renamed = [path for source, path in written if source.suffix != path.suffix]
    if renamed:
        nothing = ", which lose nothing" if all(lossless(path, quality) for path in renamed) else ""
        terminal.say(f"Written as PNG or WebP{nothing}: {counted(len(renamed), 'photo')} of another format.")
    if quality is not None and any(path.suffix == ".png" for path in renamed):
        terminal.say("--quality makes JPEG of .jpg and .jpeg alone; convert the others first if they should be small.")
    if lossy:
        terminal.say(
            f"Quality {quality} loses part of the noise in {lossy} of {len(written)}, and changes pixels outside the faces;"
            " leave it out to lose nothing."
        )


def check(
    originals: Annotated[Path, typer.Argument(help="The photos as they were.")],
    protected: Annotated[Path, typer.Argument(help="Their protected copies: OUT of protect.")],
    out: Annotated[Path, typer.Option(help="Folder for check.html and check.json.")] = Path("check-report"),
    noise: Noise = None,
) -> None:
    """Compare photos with their protected copies: what changed, and how much of the noise survived."""
    from faceguard.bank import default_bank, load_bank
    from faceguard.check import check_photos
    from faceguard.copies import refuse_among
    from faceguard.outputs import replacing
    from faceguard.page import face_pictures, write_page

    refuse_among(out, originals, protected)
    terminal.claim(out, "check.html", "check.json")
    bank = default_bank() if noise is None else load_bank(noise)
    with terminal.bars() as advance:
        report = check_photos(
            originals,
            protected,
            bank=bank,
            progress=lambda found, count: advance("photos", count, found.source),
        )
        with replacing(
            out / "check.json"
        ) as temporary:  # there once the page is, so that an interrupted check goes again
            report.write(temporary)
            write_page(
                report,
                out / "check.html",
                pictures=face_pictures(originals, protected),
                progress=lambda found, count: advance("pictures", count, found.source),
            )
    counts = ", ".join(f"{count} {status}" for status, count in report.counts.items() if count)
    kept = "" if report.median_noise_kept is None else f"; noise kept {report.median_noise_kept:.2f} ({BEST})"
    terminal.say(f"{counted(len(report.photos), 'photo')}: {counts}{kept}. {out / 'check.html'} shows them.")
    for found in report.photos:
        if found.status != "protected":
            terminal.complain(found.status, f"{found.source}: {found.reason}")
        elif found.reason:
            terminal.complain("note", f"{found.source}: {found.reason}")
    for name in report.unmatched:
        terminal.complain("no original", name)
    if not report.complete:
        raise typer.Exit(1)
