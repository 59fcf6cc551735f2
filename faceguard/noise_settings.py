"""The settings of Algorithm 1; the algorithm itself is ``faceguard.noise``."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from faceguard.errors import FaceguardError
from faceguard.publication import Publication
from faceguard.smooth import place, smooth

Form = Literal["class-wise", "sample-wise"]
Objective = Literal["error-minimizing", "error-maximizing"]


@dataclass(frozen=True, kw_only=True)
class NoiseSettings:
    """Algorithm 1's settings; the defaults are the paper's for faces. epsilon and step_size on the pixel range [0, 1]."""

    form: Form = "class-wise"
    objective: Objective = "error-minimizing"
    epsilon: float = 16 / 255
    step_size: float = 1.6 / 255  # alpha
    pgd_steps: int = 1  # T
    train_steps: int = 30  # M
    stop_error: float = 0.1  # lambda
    batch_size: int = 32
    max_rounds: int = 50
    learning_rate: float = 0.025
    momentum: float = 0.9
    weight_decay: float = 5e-4
    gradient_clip: float = 5.0
    flip: bool = False  # the adversary's flips and crops inside both steps, on the image and its noise together:
    crop_share: float = 0.0  # an expectation over transformations, for few photos each (docs/adr/0002)
    publication: Publication | None = None  # the same for what publishing does to a photo, see there
    cells: int | None = None  # noise of so many cells a side, interpolated smoothly; None: every pixel is its own
    patch: int | None = None  # noise of so many pixels a side, at a random place of every photo, anew in every step
    targeted: bool = False  # rows learnt on anybody's photos, against a source that knows faces and no longer learns

    def __post_init__(self) -> None:
        rates = ("epsilon", "step_size", "learning_rate", "gradient_clip")
        sides = [name for name in ("cells", "patch") if getattr(self, name) is not None]
        positive = (*rates, "pgd_steps", "train_steps", "batch_size", "max_rounds", *sides)
        wrong = [f"{n} must be positive, not {getattr(self, n)}" for n in positive if not getattr(self, n) > 0]
        if self.batch_size == 1 and self.learns_source:
            wrong.append("batch_size 1 gives batch normalisation nothing to average over; use 2 or more")
        if not 0 < self.stop_error < 1:
            wrong.append(f"stop_error must lie between 0 and 1, not {self.stop_error}")
        if self.epsilon > 1:
            wrong.append(f"epsilon {self.epsilon} exceeds the pixel range [0, 1]; divide levels by 255")
        if self.targeted and (self.form, self.objective) != ("class-wise", "error-minimizing"):
            wrong.append("targeted noise is class-wise and error-minimizing")
        if self.cells is not None and self.patch is not None:
            wrong.append("noise is of few cells or a patch, not both")
        if wrong:
            raise FaceguardError("These noise settings cannot work: " + "; ".join(wrong) + ".")

    @property
    def learns_source(self) -> bool:
        """Whether the source model learns with the noise; error-maximizing and targeted noise need one that has learnt."""
        return self.objective == "error-minimizing" and not self.targeted

    def check_size(self, size: int) -> None:
        """Raise FaceguardError when faces of ``size`` pixels have no room for so many cells, or for the patch."""
        for name, side in (("cells", self.cells), ("patch", self.patch)):
            if side is not None and side > size:
                raise FaceguardError(
                    f"{name}={side} does not fit faces of {size} pixels; choose {size} or fewer, or larger faces."
                )

    def spread(self, delta: Tensor, size: int) -> Tensor:
        """Noise as it is stored, B x 3 x C x C, on photos of ``size`` pixels: placed, or interpolated, or as it is."""
        return smooth(delta, size) if self.patch is None else place(delta, size)

    def reached(self, error: float) -> bool:
        """Whether a round's error ends the algorithm: at most lambda, or at least 1 - lambda when maximizing."""
        return error <= self.stop_error if self.objective == "error-minimizing" else error >= 1 - self.stop_error
