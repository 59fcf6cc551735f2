"""What is seen of a long cell while it is computed."""

import pytest
from images import image_data, image_study  # noqa: F401

from eval.adaptive import Projecting
from eval.watching import epochs_bar, epochs_of
from faceguard import terminal
from faceguard.adversary import Scratch
from faceguard.averaging import Averaging
from faceguard.frozen import Frozen
from faceguard.train import Epoch, TrainSettings

NOISY = """
from eval.image_study import ImageNoise, ImageStudy, Run
experiment = ImageStudy(claim="", source="", runs={"noisy": Run(noise=ImageNoise())})
"""
SEVEN = Scratch(train=TrainSettings(epochs=7))


@pytest.mark.parametrize(
    ("adversary", "epochs"),
    [(SEVEN, 7), (Averaging(then=SEVEN), 7), (Projecting(then=SEVEN), 7), (Frozen(weights="run"), None)],
)
def test_a_cell_takes_as_many_epochs_as_whoever_trains_in_the_end(adversary, epochs):
    assert epochs_of(adversary) == epochs
    told = []
    epochs_bar(lambda *said: told.append(said), "a/0/clean", adversary)(Epoch(number=2, loss=1.5, accuracy=0.25))
    assert told == [("epochs", epochs, "loss 1.500, training accuracy 0.25; a/0/clean", 2)]


def test_nothing_is_shown_where_there_is_no_bar():
    assert epochs_bar(None, "a/0/clean", SEVEN) is None


@pytest.mark.parametrize("workers", ["1", "2"])
def test_cells_rounds_and_epochs_have_bars_where_this_process_computes_them(image_study, monkeypatch, workers):
    seen = []
    bars = terminal.bars

    class Watched:
        def __enter__(self):
            self.inner = bars()
            advance = self.inner.__enter__()
            return lambda *said: seen.append(said) or advance(*said)

        def __exit__(self, *error):
            return self.inner.__exit__(*error)

    monkeypatch.setattr(terminal, "bars", Watched)
    image_study(NOISY, "--only", "*/0", "--jobs", workers)
    assert seen[0] == ("cells", 1, "", 0) and seen[-1][:2] == ("cells", 1)
    between = [(name, total, done) for name, total, _, done in seen[1:-1]]
    assert between == ([("rounds of noise", None, 1), ("epochs", 1, 1)] if workers == "1" else [])
