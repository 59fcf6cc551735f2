"""What a classification experiment is: runs by name, each one training on photos that carry some noise, or none.

    ImageStudy -> runs (network x countermeasure x noise x share ...) x seeds -> cells -> accuracy on CLEAN test photos

Which runs are controls stands in the expectations: every claim names the run that it is compared with.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Literal

from eval.image_scales import Size
from faceguard.claims import bounds
from faceguard.countermeasure import Countermeasure
from faceguard.errors import DataError
from faceguard.noise import Form

Kind = Literal["error-minimizing", "error-maximizing", "random"]
NOISES_OF_A_SEED = 100  # a recipe's own seeds of noise lie below it


@dataclass(frozen=True, kw_only=True)
class ImageNoise:
    """How the noise of a run is made; where a value is None, the set's own (``eval.image_scales``) is taken.

    ``epsilon`` is in levels of 255. With ``patch`` the noise has so many pixels a side and lies at a random place of every
    photo. ``pgd_steps`` is equation 3's T and ``step_size`` its alpha, in levels of 255, ``stop_error`` Algorithm 1's lambda;
    ``solver="penalty"`` takes equation 5 instead. ``learnt_on`` names another set, whose classes' rows are put on this set's
    classes by ``rows_of``: pairs of this set's class and that set's. ``augmented`` noise is learnt through the trainer's flips
    and crops, as all noise is at scale small (docs/adr/0007). With ``random_phases`` the rows keep their power at every
    frequency and nothing else of what was learnt (``controls.phase_randomized``).

    What the authors' public code does otherwise than the paper: ``original`` drops negative noise, and draws random noise in
    [0, epsilon], ``centred`` puts patches into the middle, ``one_row_a_class`` takes a class's first row for all its photos
    although the noise is sample-wise, noise starts ``from_zero``, ``learning_rate`` and ``weight_decay`` are the source model's.
    The trainer's seed moves ``seed``: `Run.repeated`.
    """

    kind: Kind = "error-minimizing"
    form: Form = "class-wise"
    epsilon: float | None = None
    source: str = "resnet-18"
    patch: int | None = None
    pgd_steps: int | None = None
    step_size: float | None = None
    stop_error: float | None = None
    solver: Literal["pgd", "penalty"] = "pgd"
    learnt_on: str | None = None
    rows_of: tuple[tuple[str, str], ...] = ()
    augmented: bool = False
    random_phases: bool = False
    original: bool = False
    centred: bool = False
    one_row_a_class: bool = False
    from_zero: bool = False
    learning_rate: float | None = None
    weight_decay: float | None = None
    seed: int = 0


ARMS: Mapping[str, ImageNoise | None] = {
    "clean": None,
    "random": ImageNoise(kind="random", form="sample-wise"),
    "random by class": ImageNoise(kind="random"),
    "sample-wise": ImageNoise(form="sample-wise"),
    "class-wise": ImageNoise(form="class-wise"),
}


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training: by which network, with which countermeasure, on which photos.

    ``share`` of every class's photos carry the ``noise``, of all classes or of ``classes`` alone; ``second`` is another one:
    each photo carries ``either``, drawn, or their ``sum``, clipped to the first one's epsilon. ``keep="clean"`` trains on the
    photos without noise only. ``joined`` is a set and a class of it that is added to the photos. With ``triggered`` clean test
    photos that carry another class's row are tried as well: how many are taken for that class. ``paper`` is the paper's
    accuracy on clean test photos, in percent. ``longer`` trains so many times the set's epochs.
    """

    data: str = "cifar10"
    joined: tuple[str, str] | None = None
    network: str = "resnet-18"
    noise: ImageNoise | None = None
    second: ImageNoise | None = None
    mixed: Literal["either", "sum"] = "either"
    share: float = 1.0
    classes: tuple[str, ...] | None = None
    keep: Literal["all", "clean"] = "all"
    countermeasure: Countermeasure = field(default_factory=Countermeasure)
    triggered: bool = False
    longer: int = 1
    paper: float | None = None

    @property
    def noises(self) -> list[ImageNoise]:
        """The noises that it needs: none, one or two."""
        return [noise for noise in (self.noise, self.second) if noise is not None]

    @property
    def sets(self) -> set[str]:
        """The names of all sets that it needs."""
        others = {noise.learnt_on for noise in self.noises} | {self.joined and self.joined[0]}
        return {self.data} | {name for name in others if name is not None}

    def repeated(self, seed: int) -> "Run":
        """The run with the trainer's ``seed``: each learns, or draws, noise of its own, for one noise may not be like another.

        A noise's own seed is moved by `NOISES_OF_A_SEED` for each, so that no two of them share a noise.
        """
        drawn, moved = {name: getattr(self, name) for name in ("noise", "second")}, NOISES_OF_A_SEED * seed
        return replace(
            self, **{name: noise and replace(noise, seed=noise.seed + moved) for name, noise in drawn.items()}
        )


@dataclass(frozen=True, kw_only=True)
class ImageExpectation:
    """A claim about runs whose names fit ``run``: how much of what ``than`` learnt they learn, on average over seeds.

    What a run learnt is its accuracy above chance after its last (or ``best``) epoch; with ``label``, the share of that
    class's test photos that are recognized after the last, above zero; with ``attack``, the share of triggered ones that are
    taken for the row's class then, over that of ``than`` or, where that is rarer, over chance. Where ``than`` did not learn, no
    claim is met, and none that learnt noise hides something where random noise hides it as well: a control
    (`image_claims.controls`) meets its own claim, whatever epoch that is about, and not this one at this one's epoch.
    """

    run: str
    than: str
    at_most: float | None = None
    at_least: float | None = None
    epoch: Literal["last", "best"] = "last"
    label: str | None = None
    attack: bool = False

    def __post_init__(self) -> None:
        bounds(self.at_most, self.at_least)

    def fits(self, run: str) -> bool:
        """Whether the claim is about the run of this name."""
        return run != self.than and fnmatchcase(run, self.run)

    def share(self, found: float, reference: float, chance: float) -> float | None:
        """What a run learnt over what ``than`` did; None for a reference below twice chance, unless it is an attack's."""
        if math.isnan(found) or not (self.attack or reference >= 2 * chance):
            return None
        if self.attack:
            return found / max(reference, chance)
        floor = 0.0 if self.label is not None else chance
        return (found - floor) / (reference - floor)

    def met(self, share: float | None) -> bool:
        """Whether the claim holds for this share; never for None."""
        if share is None:
            return False
        return (self.at_most is None or share <= self.at_most) and (self.at_least is None or share >= self.at_least)

    def clears(self, share: float | None) -> bool:
        """Whether a control with this share shows that random noise does not do what the claim says; never for None."""
        return share is not None and (self.at_most is None or share > self.at_most)

    def __str__(self) -> str:
        said = bounds(self.at_most, self.at_least)
        if self.attack:
            return f"follows rows {said} times as often as {self.than}"
        what = "" if self.label is None else f"about {self.label} "
        return f"learns {what}{said} of what {self.than} learns, {self.epoch} epoch"


def claims_of_arms(prefix: str, *, at_most: float) -> tuple[ImageExpectation, ...]:
    """The claims about runs that are called ``prefix`` and an arm of `ARMS`: learnt noise leaves little, random noise enough."""
    clean = f"{prefix}clean"
    return (
        ImageExpectation(run=f"{prefix}*-wise", than=clean, at_most=at_most),
        ImageExpectation(run=f"{prefix}random", than=clean, at_least=0.8),
        ImageExpectation(run=f"{prefix}random by class", than=clean, at_least=0.5, epoch="best"),
    )


@dataclass(frozen=True, kw_only=True)
class ImageStudy:
    """A table or figure of the paper: runs by name. ``figure`` is how it is drawn, see ``eval.figures``.

    ``costs`` are claims about passes: those that learning a run's noise takes at most, as a share of its training's. ``at_full``
    are claims about accuracy at the paper's scale, in percent: at most with noise that was learnt, at least without. ``small``
    replaces what ``eval.image_scales`` says of every set at that scale.
    """

    claim: str
    source: str  # such as "Huang et al. 2021, Figure 1"
    runs: Mapping[str, Run]
    expectations: tuple[ImageExpectation, ...] = ()
    figure: Literal["bars", "curves", "confusion", "shares"] = "bars"
    costs: Mapping[str, float] = field(default_factory=dict)
    at_full: Mapping[str, float] = field(default_factory=dict)
    small: Size | None = None

    @property
    def sets(self) -> list[str]:
        """The names of all sets that its runs need, each once."""
        return list(dict.fromkeys(name for run in self.runs.values() for name in sorted(run.sets)))

    def __post_init__(self) -> None:
        problems = [f"a slash in the name {name!r}" for name in self.runs if "/" in name]
        absent = {expected.than for expected in self.expectations} - set(self.runs)
        problems += [f"an expectation compares with {name!r}, which is no run" for name in sorted(absent)]
        problems += [
            f"{expected.run!r} of an expectation fits no run"
            for expected in self.expectations
            if not any(map(expected.fits, self.runs))
        ]
        problems += [
            f"an attack on {name!r}, which is not triggered"
            for expected in self.expectations
            for name, run in self.runs.items()
            if expected.attack and (expected.fits(name) or name == expected.than) and not run.triggered
        ]
        problems += [
            f"a cost of {name!r}, which learns no noise" for name in self.costs if not learns(self.runs.get(name))
        ]
        problems += [f"an accuracy of {name!r}, which is no run" for name in sorted(set(self.at_full) - set(self.runs))]
        problems += [
            f"{name} has a share of {run.share:g}" for name, run in self.runs.items() if not 0 <= run.share <= 1
        ]
        if problems or not self.runs:
            raise DataError("This study cannot be run: " + ("; ".join(problems) or "it has no runs") + ".")


def learns(run: Run | None) -> bool:
    """Whether the run carries noise that was learnt."""
    return run is not None and any(noise.kind != "random" for noise in run.noises)
