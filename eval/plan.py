"""One run of a recipe: everything that determines its cells, and the words that repeat it."""

from dataclasses import dataclass
from pathlib import Path

from eval.scales import Scale
from faceguard.device import ChosenPrecision


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that determines the cells of one run of a recipe: also what another process needs to compute one.

    ``data`` is the data folder, ``stand_in`` the name of a set in it: it replaces every image set that is absent, or a face
    study's faces. ``adversary`` takes the place of all that a face study names. ``seeds`` counts seeds from 0; None leaves
    the study's own. ``precision`` is settled, never ``auto``: the cells of one run are alike, whichever machines compute them.
    """

    recipe: Path
    data: Path
    out: Path
    scale: Scale = "small"
    seeds: int | None = None
    precision: ChosenPrecision = "bf16"
    stand_in: str | None = None
    adversary: str | None = None


def folder_of(plan: Plan) -> Path:
    """Where the plan's report goes; every scale, and everything that replaces the study's own, has a folder of its own."""
    scale = None if plan.scale == "small" else plan.scale
    return plan.out / "-".join(part for part in (plan.recipe.stem, plan.stand_in, plan.adversary, scale) if part)


def command_of(plan: Plan) -> list[str]:
    """The words that repeat the plan's run, on any machine: what determines its numbers, not where they are written.

    The precision is always among them: left out, it is whatever is faster on the machine that repeats the run.
    """
    words = ["python", "-m", "eval", f"{plan.recipe.parent.name}/{plan.recipe.name}"]
    usual = Plan(recipe=plan.recipe, data=plan.data, out=plan.out)
    options = {name: name for name in ("scale", "seeds", "precision", "adversary")} | {"data": "stand_in"}
    for option, name in options.items():
        if name == "precision" or getattr(plan, name) != getattr(usual, name):
            words += [f"--{option}", str(getattr(plan, name))]
    return words
