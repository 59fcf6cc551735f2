"""``python -m eval RECIPE``: run a recipe's cells, judge them, and say whether its expectations are met (exit code 0)."""

import fnmatch
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.table import Table

from eval import banks
from eval.banks import BankRecipe
from eval.cells import Cell, run_cell
from eval.experiment import FaceStudy, StudyData, load_data, load_recipe
from eval.report import judge_contender
from faceguard import __version__, terminal
from faceguard.decode import load_records
from faceguard.device import Precision, make_fabric
from faceguard.errors import DataError, FaceguardError
from faceguard.identities import Faces
from faceguard.noise import Round
from faceguard.outputs import write_json
from faceguard.readers.lfw import LfwPairs, read_pairs
from faceguard.study import ARMS, Arm
from faceguard.train import Epoch

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def run(
    recipe: Annotated[Path, typer.Argument(help="A file of recipes/.")],
    out: Annotated[Path, typer.Option(help="Folder for result.json and the figures.")] = Path("runs"),
    data: Annotated[Path | None, typer.Option(help="The data folder; by default $FACEGUARD_DATA.")] = None,
    only: Annotated[str, typer.Option(help="Pattern over CONTENDER/SEED/ARM: compute these cells and stop.")] = "*",
    precision: Annotated[Precision, typer.Option(help="Arithmetic of the networks.")] = "bf16",
) -> None:
    """Run every cell of the recipe that is not in OUT/cells yet, then write OUT/RECIPE/result.json and the figures."""
    study = load_recipe(recipe)
    folder = data or Path(os.environ.get("FACEGUARD_DATA", "."))
    if isinstance(study, BankRecipe):
        banks.make(study, folder, out / f"{recipe.stem}.safetensors", precision=precision, progress=_say_round)
        return
    faces = load_data(study, folder)
    lfw = None if study.lfw is None else _lfw(folder / study.lfw, faces.bank.size)
    fabric = make_fabric(precision=precision)
    cells: dict[str, dict[Arm, list[Cell]]] = {}
    for name, contender in study.contenders.items():
        cells[name] = {arm: [] for arm in ARMS}
        for seed in contender.seeds:
            for arm in ARMS:
                label = f"{name}/{seed}/{arm}"
                if not fnmatch.fnmatch(label, only):
                    continue
                cell = run_cell(
                    fabric,
                    faces.training[arm],
                    faces.test,
                    contender.adversary.located(folder),
                    seed=seed,
                    lfw=lfw,
                    folder=out / "cells",
                    progress=lambda epoch, label=label: _say(label, epoch),  # type: ignore[misc]
                )
                cells[name][arm].append(cell)
    if not any(found for of_name in cells.values() for found in of_name.values()):
        raise DataError(f"--only {only!r} fits no cell; their names are such as {label!r}.")
    if only == "*":
        _conclude(study, faces, cells, None if lfw is None else lfw[1], out / recipe.stem)


def _conclude(
    study: FaceStudy, faces: StudyData, cells: dict[str, dict[Arm, list[Cell]]], pairs: LfwPairs | None, out: Path
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    results = {
        name: judge_contender(
            name, study.contenders[name], of_name, study, faces.test, faces.protected, pairs=pairs, out=out
        )
        for name, of_name in cells.items()
    }
    hardware = f"{os.cpu_count()} cores {platform.machine()}, {torch.get_num_threads()} threads a run"
    about = {"claim": study.claim, "paper": dict(study.paper), "hardware": hardware, "version": __version__}
    write_json(out / "result.json", about | {"protected": faces.protected, "contenders": results})
    for name, result in results.items():
        terminal.console.print(_table(name, result))
        terminal.say(f"{name}: {result['verdict']}. {' '.join(result['reasons'])}")
    missed = [f"{name}: {words}" for name, r in results.items() for words, met in r["expectations"].items() if not met]
    for words in missed:
        terminal.complain("not met", words)
    if missed:
        raise typer.Exit(1)


def _table(name: str, result: dict[str, Any]) -> Table:
    groups = list(result["arms"]["clean"]["recognition"])
    lfw = "lfw" in result["arms"]["clean"]
    table = Table(
        name, *(f"rank-1 {g}, last (best)" for g in groups), *(f"AUC {g}" for g in groups), *(["LFW AUC"] * lfw)
    )
    for arm, numbers in result["arms"].items():
        ranks = [f"{numbers['recognition'][g]['last']:.3f} ({numbers['recognition'][g]['best']:.3f})" for g in groups]
        aucs = [f"{numbers['verification'][g]['auc']:.3f}" for g in groups]
        table.add_row(arm, *ranks, *aucs, *([f"{numbers['lfw']['auc']:.4f}"] if lfw else []))
    return table


def _lfw(folder: Path, size: int) -> tuple[Faces, LfwPairs]:
    pairs = read_pairs(folder)
    faces = load_records(pairs.records, size=size)
    return faces, pairs.keep(faces.keys)


def _say(label: str, epoch: Epoch) -> None:
    terminal.say(f"{label} epoch {epoch.number}: {terminal.epoch_line(epoch)}")


def _say_round(done: Round) -> None:
    terminal.say(f"round {done.number}: error {done.error:.3f}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a recipe; an expected failure, or an expectation that is not met, gives exit code 1."""
    try:
        app(args=None if arguments is None else list(arguments), prog_name="python -m eval")
    except FaceguardError as error:
        terminal.complain("Error", str(error))
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
