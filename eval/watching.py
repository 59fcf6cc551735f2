"""What ``python -m eval`` shows while this process computes a cell: rounds of a noise that is learnt first, and epochs."""

from collections.abc import Callable

from faceguard.adversary import Adversary, Progress
from faceguard.noise import Round
from faceguard.terminal import epoch_line
from faceguard.train import TrainSettings

Advance = Callable[..., None]  # as `terminal.bars` gives it


def epochs_bar(advance: Advance | None, label: str, adversary: Adversary) -> Progress | None:
    """A callback for the epochs of the cell ``label``; None without a bar to advance."""
    if advance is None:
        return None
    total = epochs_of(adversary)
    return lambda done: advance("epochs", total, f"{epoch_line(done)}; {label}", done.number)


def rounds_bar(advance: Advance) -> Callable[[Round], None]:
    """A callback for the rounds of a noise; how many it takes shows when its error is small enough."""
    return lambda done: advance("rounds of noise", None, f"error {done.error:.3f}", done.number)


def epochs_of(adversary: object) -> int | None:
    """How long the adversary, or the one that it goes on as, trains; None for one that does not train in epochs."""
    train = getattr(getattr(adversary, "then", adversary), "train", None)
    return train.epochs if isinstance(train, TrainSettings) else None
