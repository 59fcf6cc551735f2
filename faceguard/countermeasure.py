"""What an adversary does against noise, as three moments of a training: each does nothing unless a countermeasure says so.

    prepare   once, on the stored training photos            JPEG, grayscale, blur, orthogonal projection
    view      on clean photos, wherever the network is tried  grayscale, whose networks know no colours
    batch     on every training batch, after flips and crops   MixUp, UEraser, adversarial training

Flips and crops are settings of every training (``TrainSettings``), and early stopping is reported for every training
(the best epoch beside the last), so neither is found here.
"""

from dataclasses import dataclass, field

from torch import Tensor, nn

from faceguard.errors import FaceguardError
from faceguard.identities import Faces


@dataclass(frozen=True, kw_only=True)
class Countermeasure:
    """No countermeasure, and the base of all others.

    Every subclass has a ``name`` of its own among its fields: ``asdict`` of two countermeasures differs whenever their
    effect does. Raises FaceguardError, with all problems at once, when the fields cannot work.
    """

    name: str = field(default="none", init=False)

    def __post_init__(self) -> None:
        if wrong := self.problems():
            raise FaceguardError(f"The countermeasure {self.name} cannot work: " + "; ".join(wrong) + ".")

    def problems(self) -> list[str]:
        """What is wrong with the fields, one clause each."""
        return []

    def prepare(self, train: Faces, *, seed: int) -> Faces:  # noqa: ARG002 - for those that draw
        """The stored training photos as the adversary changes them, once; the same size, labels and names."""
        return train

    def view(self, faces: Faces) -> Faces:
        """Clean photos as the trained network is shown them."""
        return faces

    def batch(self, model: nn.Module, x: Tensor, y: Tensor, done: float = 0.0) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Change a training batch: pixels x (B x 3 x S x S in [0, 1]) and labels y (B, or shares B x K on return).

        ``model`` is the network being trained, under the training's autocast; its weights, statistics, modes and
        gradients stay as they are. Draws come from the global generators, which ``fit`` seeds for every epoch, and are
        every photo's own. ``done`` is the share of the training that lies behind, from 0 to below 1.
        """
        return x, y
