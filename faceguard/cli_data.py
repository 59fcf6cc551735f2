"""The commands for data sets: fetch one that is published freely, and say what a folder is and whether it is sound."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from faceguard import terminal

if TYPE_CHECKING:  # torch must not be loaded for --help
    from faceguard.inventory import Inventory

SetName = Literal[
    "cifar10",
    "cifar100",
    "svhn",
    "imagenette-128",
    "tiny-imagenet-32",
    "imagenet-100",
    "celeba",
    "casia-webface",
    "lfw",
]
SHOWN = 5  # sizes that are listed one by one

app = typer.Typer(help="Data sets: fetch one, or say what a folder holds.", no_args_is_help=True)


@app.command()
def fetch(
    name: Annotated[SetName, typer.Argument(help="The set; of those given on request only, it says where to ask.")],
    into: Annotated[Path, typer.Option(help="Folder for data sets; the set gets a folder of its own name there.")],
) -> None:
    """Fetch a classification set from its authors' page, checked by the published MD5. No other command does."""
    from faceguard.datasets import list_set
    from faceguard.fetch import fetch_set

    path = fetch_set(name, into, announce=lambda what: terminal.say(f"Fetching {what}."))
    found = list_set(name, into)
    counts = f"{len(found.train)} photos to train on, {len(found.test)} to test on"
    terminal.say(f"{path}: {found.layout}, {len(found.classes)} classes, {counts}.")


@app.command()
def check(
    path: Annotated[
        Path, typer.Argument(help="A data set: folder per identity, CelebA, RecordIO, parquet, CIFAR, ...")
    ],
    lfw: Annotated[
        Path | None, typer.Option(help="LFW's images, pairs.txt or lfw-names.txt: name who is in both.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Decode a thousand photos instead of all.")] = False,
) -> None:
    """Say what a folder is, count and decode its photos, and name who also occurs in LFW; exits with 1 when one is not sound."""
    from faceguard.inventory import lfw_names, take_inventory
    from faceguard.readers import FOLDER
    from faceguard.readers.folder import is_nested

    people = None if lfw is None else lfw_names(lfw)
    with terminal.bars() as advance:
        found = take_inventory(
            path, quick=quick, progress=lambda done, count: advance("photos decoded", count, "", done)
        )
    _say_what(found, path)
    if found.layout == FOLDER and is_nested(path):
        terminal.say(
            "None of them holds a photo itself; where the folders inside are people's, name one of them instead."
        )
    _say_sizes(found)
    if people is not None and lfw is not None:
        _say_shared(found, people, lfw)
    elif found.faces and found.pairs is None:
        terminal.say("Names were not compared with LFW's; --lfw does it.")
    for failure in found.damaged:
        terminal.complain("damaged", f"{failure.key}: {failure.reason}")
    for failure in found.strays:
        terminal.complain("left out", f"{failure.key}: {failure.reason}")
    if found.damaged or found.strays:
        raise typer.Exit(1)
    photos = sum(part.photos for part in found.parts)
    terminal.say(f"{found.decoded} of {photos} photos were decoded, and none is damaged.")


def _say_what(found: "Inventory", path: Path) -> None:
    each = "identity" if found.faces else "class"
    number = f", {len(found.classes)} {'identities' if found.faces else 'classes'}" if found.classes else ""
    terminal.say(f"{path}: {found.layout}{number}.")
    for part in found.parts:
        fewest, median, most = part.per_class
        spread = f"; per {each} {fewest} to {most}, median {median:g}" if found.classes else ""
        terminal.say(f"{part.photos} {part.name}{spread}.")
    if found.pairs is not None:
        terminal.say(f"LFW's pairs: {found.pairs[0]}, {found.pairs[1]} of them without both photos.")


def _say_sizes(found: "Inventory") -> None:
    """Each size when they are few, else the range of widths and heights."""
    if not found.sizes:
        return
    if len(found.sizes) <= SHOWN:
        sizes = ", ".join(f"{width} x {height} ({count})" for (width, height), count in found.sizes.most_common())
    else:
        widths, heights = (sorted(side) for side in zip(*found.sizes, strict=True))
        ranges = f"widths {widths[0]} to {widths[-1]}, heights {heights[0]} to {heights[-1]}"
        sizes = f"{len(found.sizes)} different, {ranges}"
    terminal.say(f"Sizes in pixels: {sizes}.")


def _say_shared(found: "Inventory", people: list[str], lfw: Path) -> None:
    from faceguard.inventory import LFW_PEOPLE, shared_names

    if not any(re.search(r"[^\W\d_]{2}", name) for name in found.classes):
        terminal.say("The photos' identities are numbers or codes, so nobody can be compared with LFW's names.")
        return
    shared = shared_names(found.classes, people)
    listed = f": {', '.join(name.replace('_', ' ') for name in shared)}" if shared else ""
    terminal.say(
        f"{len(shared)} of {len(found.classes)} names also occur among the {len(people)} of LFW's {LFW_PEOPLE} people whom"
        f" {lfw} names{listed}."
    )
