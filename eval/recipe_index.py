"""recipes/README.md: which recipe shows what, what it expects, and what was measured last, from the files and the ledger."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eval.banks import BankRecipe
from eval.experiment import load_recipe
from eval.image_study import ImageStudy
from faceguard.claims import tally

HEADER = """# Recipes

One experiment a file: its docstring states the claim, the command, the data and what to expect. Made by `python -m eval.ledger`;
the numbers are in [docs/results.md](../docs/results.md), and [docs/data.md](../docs/data.md) says what the data folder holds.
A claim is what a recipe asks, the paper's or ours; "measured" says how much of it was met, docs/findings.md what was found.
From the root of a clone, after `pip install uv`, every recipe runs at three scales:

    FACEGUARD_DATA=/path/to/data uv run python -m eval recipes/single_class.py --scale smoke   # seconds: shows that it runs
    FACEGUARD_DATA=/path/to/data uv run python -m eval recipes/single_class.py --jobs 2        # small: the direction
    FACEGUARD_DATA=/path/to/data uv run python -m eval recipes/single_class.py --scale full    # the paper's settings; needs a GPU

A set that is absent is named with the command that gets it; `--data NAME` takes another one that is at hand in its place (of
several absent ones `imagenette-128` replaces `imagenet-100` alone, `tiny-imagenet-32` `cifar100`).

Scale small takes half an hour to two hours on two cores. Expected times are for two cores, most of them in bf16; in fp32, which
is taken where the processor is not faster in bf16, training takes up to 2.8 times as long. Measured times are of one core, with
the noise that a recipe shares with others; those of face studies lack it when they are older than 2026-11-29.
"""
FACES = {  # recipes on faces, and what of the paper they show
    "face_partial": "Figures 4 b and 7: recognition and verification, a part of the people protected",
    "face_full": "Figure 7: recognition and verification, everybody protected",
}


def index(recipes: Path, results: Path) -> str:
    """The page, from the recipes in one folder and the ledger's entries in another."""
    rows = [_row(path, results) for path in sorted(recipes.glob("*.py")) if path.name != "__init__.py"]
    return "\n".join(
        [HEADER, "| recipe | shows | claim that is tried | expected | measured |", "|---" * 5 + "|", *rows, ""]
    )


def _row(path: Path, results: Path) -> str:
    study = load_recipe(path)
    said = dict(_statements(ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""))
    shows = study.source if isinstance(study, ImageStudy) else FACES.get(path.stem, "beyond the paper")
    measured = "its bank ships with faceguard" if isinstance(study, BankRecipe) else _measured(path.stem, results)
    cells = [f"[{path.stem}]({path.name})", shows, said["Claim"], said["Expect"], measured]
    return "| " + " | ".join(cells) + " |"


def _statements(docstring: str) -> Iterator[tuple[str, str]]:
    """Claim, Command, Data, Expect, each with its text, which may go on over indented lines."""
    for part in docstring.replace("\n ", " ").splitlines():
        word, _, text = part.partition(" ")
        if word in ("Claim", "Command", "Data", "Expect"):
            yield word, " ".join(text.split())


def _measured(name: str, results: Path) -> str:
    """What came of the recipe; entries of other adversaries come after its own, with its title and longer names."""
    own = name.replace("_", "-")
    entries = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in results.glob("*.json")}
    found = [entries[stem] for stem in sorted(entries) if stem == own or entries[stem].get("title") == name]
    return "; ".join(_said(entry) for entry in found) or "not yet"


def _said(entry: dict[str, Any]) -> str:
    """What came of an entry; claims about what was not run are counted apart from those that were tried."""
    settings = entry.get("settings", {})
    became = tally(entry["expectations"], entry.get("found", {}))
    untried = became["not tried"]
    whom = f" against {settings['against']}" if settings.get("against") else ""
    where = f" on {settings['stand_in']}" if settings.get("stand_in") else ""
    how = f" in {settings['precision']}" if settings.get("precision") else ""
    more = f", {untried} not tried" if untried else ""
    absent = f", {len(entry['not_run'])} runs left out" if entry.get("not_run") else ""
    found = f"{became['met']} of {became.total() - untried} expectations met{more}{absent}"
    spent = f"{round(entry['run']['seconds'] / 60)} minutes of computing{how}"
    return f"{entry['run']['date']}, {settings.get('scale', 'small')}{whom}{where}: {found}; {spent}"
