"""``python -m eval RECIPE``: run a recipe's cells, judge them, and say whether its expectations are met (exit code 0)."""

import os
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import typer
from rich.table import Table

from eval import banks, engine, image_engine
from eval.banks import BankRecipe
from eval.experiment import Experiment, FaceStudy, load_recipe
from eval.image_outcome import conclude_images
from eval.image_study import ImageStudy
from eval.jobs import Cluster, noises_first, run_jobs
from eval.outcome import conclude_study
from eval.plan import Plan, command_of, folder_of
from eval.scales import Scale
from eval.surviving import SurvivalStudy, survive
from eval.watching import rounds_bar
from faceguard import terminal
from faceguard.about import about_run
from faceguard.claims import outcome
from faceguard.device import Precision, fastest_precision
from faceguard.errors import FaceguardError
from faceguard.noise import Round
from faceguard.outputs import write_json

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
ABOUT_CELLS = {"seeds": None, "only": "*", "judge": False, "cluster": None, "data": None}  # option -> as when left out


@app.command()
def run(
    context: typer.Context,
    recipe: Annotated[Path, typer.Argument(help="A file of recipes/.")],
    scale: Annotated[
        Scale, typer.Option(help="smoke: seconds; small: two cores; full: the paper's settings.")
    ] = "small",
    seeds: Annotated[
        int | None,
        typer.Option(min=1, help="How many, from 0; by default the adversary's, or the scale's for image sets."),
    ] = None,
    only: Annotated[
        str, typer.Option(help="Pattern over CONDITION/SEED/ARM, of image sets RUN/SEED: compute these cells and stop.")
    ] = "*",
    judge: Annotated[
        bool, typer.Option("--judge", help="Compute nothing; judge the conditions that are done.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder for the cells, the banks and the report.")] = Path("runs"),
    jobs: Annotated[int, typer.Option(min=1, help="Processes that compute cells side by side.")] = 1,
    cluster: Annotated[Cluster | None, typer.Option(help="Compute the cells as tasks of a queue instead.")] = None,
    folder: Annotated[Path | None, typer.Option(help="The data folder; by default $FACEGUARD_DATA.")] = None,
    data: Annotated[
        str | None, typer.Option(help="The set that replaces an absent image set, or a face study's faces.")
    ] = None,
    adversary: Annotated[
        str | None, typer.Option(help="Run a face study's conditions against this one of eval.contenders instead.")
    ] = None,
    precision: Annotated[
        Precision, typer.Option(help="Arithmetic of the networks; auto: what is faster here.")
    ] = "auto",
) -> None:
    """Run every cell that is not in OUT/cells yet, then write OUT/RECIPE: result.json, run.json, and report.html or a figure.

    A recipe of a bank is learnt as OUT/RECIPE.safetensors. At scales other than small, their names end in the scale.
    Interrupted, the same command goes on where it stopped; several at once share the work.
    """
    study = load_recipe(recipe)
    _refuse_ignored(study, context.params)
    plan = Plan(
        recipe=recipe.absolute(),
        data=(folder or Path(os.environ.get("FACEGUARD_DATA", "."))).absolute(),
        out=out,
        scale=scale,
        seeds=seeds,
        precision=fastest_precision() if precision == "auto" else precision,
        stand_in=data,
        adversary=adversary,
    )
    if isinstance(study, BankRecipe):
        _learn(study.at(scale), plan)
        return
    if isinstance(study, SurvivalStudy):
        _survive(study.at(scale), plan, jobs)
        return
    images = isinstance(study, ImageStudy)
    whole = judge or _run_cells(image_engine if images else engine, plan, only, jobs, cluster)
    if judge or only == "*":
        (_conclude_images if images else _conclude)(plan, read_only=judge or not whole)
    if not whole:
        raise typer.Exit(1)


def _refuse_ignored(study: Experiment, given: Mapping[str, Any]) -> None:
    """Raise BadParameter for options that say nothing about such a recipe: obeyed in silence, they would mislead."""
    if given["adversary"] is not None and not isinstance(study, FaceStudy):
        raise typer.BadParameter("only face studies have adversaries; leave --adversary out.")
    ignored = [f"--{name}" for name, usual in ABOUT_CELLS.items() if given[name] != usual]
    if ignored and isinstance(study, BankRecipe | SurvivalStudy):
        kind = "learns a noise bank" if isinstance(study, BankRecipe) else "measures photos"
        raise typer.BadParameter(f"this recipe {kind} and has no cells; leave {' and '.join(ignored)} out.")


def _learn(recipe: BankRecipe, plan: Plan) -> None:
    """Learn the bank of a recipe; like a report, it has a name of its own at every scale."""
    folder = folder_of(plan)
    path = folder.with_name(f"{folder.name}.safetensors")
    banks.make(recipe, banks.load_source(recipe, plan.data), path, precision=plan.precision, progress=_say_round)


def _run_cells(kind: ModuleType, plan: Plan, only: str, workers: int, cluster: Cluster | None) -> bool:
    """Compute the cells of a study, and say whether all could be; ``kind`` is the engine that knows which there are."""
    wanted, whole = kind.jobs_of(plan, only), True
    with terminal.bars() as advance:
        advance("cells", len(wanted), "", 0)
        compute = partial(kind.compute, plan)
        if workers == 1 and cluster is None:
            compute = partial(compute, advance=advance)
            kind.loaded(plan).progress = rounds_bar(advance)
        else:
            wanted = noises_first(wanted, partial(kind.noises_of, plan))
        for job, became in run_jobs(compute, wanted, workers=workers, cluster=cluster, logs=plan.out / "cluster"):
            advance("cells", len(wanted), job.label)
            if isinstance(became, FaceguardError):
                terminal.complain(f"{job.label} was not computed", str(became))
                whole = False
    return whole


def _survive(study: SurvivalStudy, plan: Plan, jobs: int) -> None:
    begun, out = time.monotonic(), folder_of(plan)
    with terminal.bars() as advance:
        found = survive(study, plan.data, workers=jobs, progress=lambda done, count: advance("photos", count, "", done))
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "result.json", found)
    write_json(out / "run.json", about_run(time.monotonic() - begun, command_of(plan)))
    terminal.say(f"result.json is in {out}.")
    _say_expectations(found)


def _conclude(plan: Plan, *, read_only: bool) -> None:
    found = conclude_study(plan, read_only=read_only)
    for condition in found["conditions"]:
        terminal.console.print(_table(condition))
    terminal.say(found["verdict"]["headline"])
    terminal.say(f"report.html is in {folder_of(plan)}.")
    _say_expectations(found)


def _conclude_images(plan: Plan, *, read_only: bool) -> None:
    found = conclude_images(plan, read_only=read_only)
    table = Table("run", "data", "network", "accuracy, last", "best", "paper, %", title=found["claim"])
    for name, run in found["runs"].items():
        last, best = (f"{run['accuracy'][epoch]['mean']:.3f}" for epoch in ("last", "best"))
        table.add_row(
            name, run["data"], run["network"], last, best, "" if run["paper"] is None else f"{run['paper']:g}"
        )
    terminal.console.print(table)
    for words in image_engine.missing_sets(plan).values():
        terminal.complain("absent", words)
    for words in found["not_run"]:
        terminal.complain("not run", words)
    terminal.say(f"result.json, figure.png and figure.svg are in {folder_of(plan)}.")
    _say_expectations(found)


def _say_expectations(found: Mapping[str, Any]) -> None:
    missed = [words for words, met in found["expectations"].items() if not met]
    for words in missed:
        terminal.complain(*outcome(words, False, found.get("found", {})))
    if missed:
        raise typer.Exit(1)


def _table(condition: Mapping[str, Any]) -> Table:
    groups = list(condition["arms"]["clean"]["recognition"])
    lfw = "lfw" in condition["arms"]["clean"]
    ranks = [f"rank-1 {group}, last (best)" for group in groups]
    table = Table(condition["name"], *ranks, *(f"AUC {group}" for group in groups), *(["LFW AUC"] * lfw))
    for arm, numbers in condition["arms"].items():
        found = [numbers["recognition"][group] for group in groups]
        ranks = [f"{one['last']['mean']:.3f} ({one['best']['mean']:.3f})" for one in found]
        verified = [numbers["verification"].get(group) for group in groups]
        aucs = ["" if one is None else f"{one['auc']['mean']:.3f}" for one in verified]
        table.add_row(arm, *ranks, *aucs, *([f"{numbers['lfw']['auc']['mean']:.4f}"] if lfw else []))
    table.caption = f"{condition['verdict']}. {' '.join(condition['reasons'])}"
    return table


def _say_round(done: Round) -> None:
    terminal.say(f"round {done.number}: error {done.error:.3f}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a recipe; an expected failure, or an expectation that is not met, gives exit code 1."""
    with terminal.sentences():
        app(args=None if arguments is None else list(arguments), prog_name="python -m eval")


if __name__ == "__main__":
    main()
