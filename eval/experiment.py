"""What an experiment on faces is, and all that a recipe file may state.

    FaceStudy -> conditions (adversary x countermeasure x noise x share ...) -> arms x seeds -> cells

One cell is one training by one adversary with one seed, cached by all that determines it.
"""

import runpy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

from eval.banks import PLAIN, BankRecipe
from eval.image_study import ImageStudy
from eval.scales import Scale
from eval.surviving import SurvivalStudy
from faceguard.adversary import Adversary
from faceguard.assign import Assign
from faceguard.bank import SHIPPED
from faceguard.claims import bounds
from faceguard.errors import DataError
from faceguard.study import Arm
from faceguard.uploads import Upload


@dataclass(frozen=True, kw_only=True)
class Contender:
    """An adversary and the seeds it is run with."""

    adversary: Adversary
    seeds: tuple[int, ...] = (0,)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One situation that is judged with all its arms: who trains, with which countermeasure, and what carries noise.

    ``adversary`` and ``countermeasure`` are names of `eval.contenders` and `eval.countermeasures`; ``noise`` is SHIPPED,
    PLAIN or a name of the study's own. ``protected`` counts identities (None: all of them), ``photos`` is the share of
    each one's photos that carry noise. With ``noisy_others`` the others' photos carry random rows of the same kind in
    both noisy arms: then nobody can tell the protected by the mere presence of noise. ``original`` applies the noise as
    the authors' public code does. ``maximizing`` names error-maximizing noise of the study's own, and ``spectral`` adds the
    noise's rows with random phases: further arms, which decide nothing. ``seeds`` replaces the adversary's own.
    """

    adversary: str = "resnet-18"
    countermeasure: str = "none"
    noise: str = SHIPPED
    protected: int | None = 50
    photos: float = 1.0
    assign: Assign = "round-robin"
    noisy_others: bool = False
    original: bool = False
    maximizing: str | None = None
    spectral: bool = False
    seeds: tuple[int, ...] | None = None

    @property
    def name(self) -> str:
        """Adversary, countermeasure and noise, and whatever differs from a usual condition; also a file name."""
        parts = [self.adversary, self.countermeasure, self.noise, f"{self.protected or 'all'} protected"]
        if self.photos != 1:
            parts.append(f"{self.photos:.0%} of photos")
        if self.assign != "round-robin":
            parts.append(self.assign)
        parts += [word for word, said in (("noisy others", self.noisy_others), ("original", self.original)) if said]
        return ", ".join(parts)

    @property
    def noises(self) -> dict[Arm, str]:
        """The noise of every arm that carries any; the random arm's is like ``noise``."""
        wanted: dict[Arm, str | None] = {
            "random": self.noise,
            "error-minimizing": self.noise,
            "error-maximizing": self.maximizing,
            "phase-randomized": self.noise if self.spectral else None,
        }
        return {arm: noise for arm, noise in wanted.items() if noise is not None}

    @property
    def arms(self) -> tuple[Arm, ...]:
        """What it is judged with: clean, and whatever carries noise."""
        return ("clean", *self.noises)


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """A claim about the rank-1 of one group, as a share of the clean arm's after the last epoch, on average over seeds.

    It is about every condition whose name fits ``where`` (shell patterns) and that has the group.
    """

    group: str = "protected"
    epoch: str = "last"  # or "best"
    at_most: float | None = None
    at_least: float | None = None
    where: str = "*"

    def __post_init__(self) -> None:
        bounds(self.at_most, self.at_least)

    def fits(self, condition: Condition) -> bool:
        """Whether the claim is about this condition; with everybody protected there are no others."""
        has_group = self.group == "protected" or condition.protected is not None
        return has_group and fnmatchcase(condition.name, self.where)

    @property
    def hides(self) -> bool:
        """Whether the claim is that the protected are hidden."""
        return self.group == "protected" and self.at_most is not None and self.at_most < 1

    def clears(self, rank1: float, clean: float) -> bool:
        """Whether the random arm's ``rank1`` shows that random noise does not do what the claim says; never for no number."""
        return self.at_most is None or rank1 > self.at_most * clean

    def met(self, rank1: float, clean: float) -> bool:
        """Whether it holds for the error-minimizing arm's ``rank1`` beside the clean arm's; never for no number."""
        upper = self.at_most is None or rank1 <= self.at_most * clean
        lower = self.at_least is None or rank1 >= self.at_least * clean
        return upper and lower

    def __str__(self) -> str:
        return f"{self.group} {bounds(self.at_most, self.at_least)} of clean, {self.epoch} epoch"


HIDDEN = Expectation(at_most=0.1)
PAPER = (HIDDEN, Expectation(group="others", at_least=0.9))


@dataclass(frozen=True, kw_only=True)
class FaceStudy:
    """The face case study: who is protected, who trains, and what is claimed about clean held-out faces.

    ``faces`` and ``lfw`` are folders below the data folder. With ``upload`` the faces are photos that reach the trainer by
    that way, in every arm; without it they are aligned crops and the noise is added to the crop. ``noises`` are banks that
    the study learns itself.
    """

    claim: str
    paper: Mapping[str, str] = field(default_factory=dict)
    faces: str
    conditions: tuple[Condition, ...]
    noises: Mapping[str, BankRecipe] = field(default_factory=dict)
    upload: Upload | None = None
    lfw: str | None = None
    data_seed: int = 0
    expectations: tuple[Expectation, ...] = PAPER

    def __post_init__(self) -> None:
        names = [condition.name for condition in self.conditions]
        problems = [f"{name} is stated twice" for name in sorted(set(names)) if names.count(name) > 1]
        named = {noise for condition in self.conditions for noise in condition.noises.values()}
        unknown = named - {SHIPPED, PLAIN, *self.noises}
        problems += [f"the noise {name!r} is not among the study's noises" for name in sorted(unknown)]
        if self.upload is not None:
            own = [name for name, recipe in self.noises.items() if recipe.settings.form == "sample-wise"]
            problems += [f"the noise {name!r} is sample-wise and needs aligned crops, not uploads" for name in own]
        problems += [
            f"no condition fits the claim '{claim}' about {claim.where!r}" for claim in self._idle(self.conditions)
        ]
        if problems or not names:
            raise DataError("This study cannot be run: " + ("; ".join(problems) or "it has no conditions") + ".")

    def against(self, adversary: str) -> "FaceStudy":
        """The same conditions with another adversary, and as many seeds as that one usually has."""
        others = tuple(dict.fromkeys(replace(c, adversary=adversary, seeds=None) for c in self.conditions))
        idle = self._idle(others)  # claims about one adversary alone
        return replace(self, conditions=others, expectations=tuple(e for e in self.expectations if e not in idle))

    def _idle(self, conditions: Sequence[Condition]) -> list[Expectation]:
        """The claims that none of these conditions can meet or miss."""
        return [claim for claim in self.expectations if not any(map(claim.fits, conditions))]

    def at(self, scale: Scale) -> "FaceStudy":
        """The study as it is run at ``scale``: for smoke, at most three people are protected and nothing is expected."""
        if scale != "smoke":
            return self
        conditions = (replace(c, protected=c.protected and min(c.protected, 3)) for c in self.conditions)
        noises = {name: recipe.at(scale) for name, recipe in self.noises.items()}
        return replace(self, conditions=tuple(dict.fromkeys(conditions)), noises=noises, expectations=())


Experiment = FaceStudy | ImageStudy | BankRecipe | SurvivalStudy


def load_recipe(path: Path) -> Experiment:
    """The ``experiment`` that a recipe file states. Raises DataError when the file states none."""
    if not path.is_file() or path.suffix != ".py":
        raise DataError(f"{path} is no recipe; name a Python file of recipes/.")
    # Not imported: Python keeps bytecode by size and whole seconds, so a recipe changed at once would run as it was.
    experiment = runpy.run_path(str(path)).get("experiment")
    if not isinstance(experiment, Experiment):
        kinds = "FaceStudy(...), ImageStudy(...), BankRecipe(...) or SurvivalStudy(...)"
        raise DataError(f"{path} states no experiment; it should hold experiment = {kinds}.")
    return experiment
