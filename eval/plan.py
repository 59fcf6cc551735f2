"""One run of a recipe: everything that determines its cells, and the words that repeat it."""

from dataclasses import dataclass
from pathlib import Path

from eval.scales import Scale
from faceguard.device import ChosenPrecision


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that determines the cells of one run of a recipe: also what another process needs to compute one.

    ``data`` is the data folder, ``stand_in`` the name of a set in it: it replaces every image set that is absent, or a face
    study's faces. ``seeds`` counts seeds from 0; None leaves the study's own. ``precision`` is settled, never ``auto``: the
    cells of one run are alike, whichever machines compute them.
    """

    recipe: Path
    data: Path
    out: Path
    scale: Scale = "small"
    seeds: int | None = None
    precision: ChosenPrecision = "bf16"
    stand_in: str | None = None


def folder_of(plan: Plan) -> Path:
    """Where the plan's report goes; every scale has a folder of its own."""
    return plan.out / (plan.recipe.stem if plan.scale == "small" else f"{plan.recipe.stem}-{plan.scale}")


def command_of(plan: Plan) -> list[str]:
    """The words that repeat the plan's run: what determines its numbers, not where they are written."""
    words = ["python", "-m", "eval", f"{plan.recipe.parent.name}/{plan.recipe.name}"]
    usual = Plan(recipe=plan.recipe, data=plan.data, out=plan.out)
    for option, name in (("scale", "scale"), ("seeds", "seeds"), ("precision", "precision"), ("data", "stand_in")):
        if getattr(plan, name) != getattr(usual, name):
            words += [f"--{option}", str(getattr(plan, name))]
    return words
