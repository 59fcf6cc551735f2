"""The command that audits noise on the user's own photos."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from faceguard import terminal
from faceguard.cli_photos import Noise

if TYPE_CHECKING:  # torch must not be loaded for --help
    from faceguard.train import Epoch

Precision = Literal["auto", "fp32", "bf16"]
Arithmetic = Annotated[Precision, typer.Option(help="auto takes bf16 where it is faster.")]
Hardware = Literal["auto", "cpu", "cuda"]
Device = Annotated[Hardware, typer.Option(help="Where the networks run; auto takes a GPU when there is one.")]


def audit(
    photos: Annotated[Path, typer.Argument(help="Your photos, unprotected: one person's, or a folder per identity.")],
    noise: Noise = None,
    others: Annotated[
        Path | None, typer.Option(help="Folder per identity, other people's photos; by default faces are drawn.")
    ] = None,
    extractor: Annotated[
        str | None,
        typer.Option(
            help="A recognizer that only compares: .onnx, .ckpt, run folder or published name; by default published"
            " weights that were fetched before."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for report.html, result.json and run.json.")] = Path("audit"),
    seed: Annotated[
        int, typer.Option(help="The same seed on the same device, in the same precision, gives the same result.json.")
    ] = 0,
    device: Device = "auto",
    precision: Arithmetic = "auto",
) -> None:
    """Would this noise protect the people in your photos, and against whom?

    Made to take at most ten minutes on two idle cores; longer on busy ones, or if the photos are very large.
    """
    from faceguard.audit import AuditSettings, run_audit
    from faceguard.bank import SHIPPED, default_bank, load_bank
    from faceguard.copies import refuse_among
    from faceguard.device import make_fabric

    refuse_among(out)
    terminal.claim(out, "result.json", "run.json", "report.html")
    bank = default_bank() if noise is None else load_bank(noise)
    with terminal.bars() as advance:

        def on_epoch(what: str, done: int, count: int, epoch: "Epoch | None") -> None:
            advance("adversaries", count, what if epoch is None else f"{what}: loss {epoch.loss:.2f}", done)

        found = run_audit(
            make_fabric(device=device, precision=precision),
            photos,
            out,
            bank=bank,
            noise=SHIPPED if noise is None else noise.name,
            settings=AuditSettings(),
            others=others,
            extractor=extractor,
            seed=seed,
            on_photo=lambda what, done, count: advance(what, count, "", done),
            on_epoch=on_epoch,
        )
    verdict = found.result["verdict"]
    terminal.say(verdict["headline"])
    for sentence in (*verdict["reasons"], *found.result["notes"]):
        terminal.say(f"* {sentence}")
    terminal.say(f"Not run: {', '.join(verdict['not_run'])}.")
    terminal.say(f"{out / 'report.html'} shows everything.")
    terminal.list_left_out(found.failures)
