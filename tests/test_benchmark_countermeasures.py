"""The benchmark of the countermeasures, at a tiny scale: it compares what it says, and both sides make the same passes."""

import pytest

from benchmarks import countermeasures
from eval.countermeasures import COUNTERMEASURES
from faceguard.countermeasure import Countermeasure
from faceguard.recognizer import Recognizer

TINY = countermeasures.Loop(photos=8, batch_size=4, width=8, size=16)


def test_everything_that_changes_a_batch_is_measured():
    changing = {name for name, each in COUNTERMEASURES.items() if type(each).batch is not Countermeasure.batch}
    assert changing == {*countermeasures.CHEAP, *countermeasures.ASKING}
    found = countermeasures.run(TINY, repetitions=1)
    limits = {one.name.removeprefix("training with "): one.limit for one in found}
    assert limits == {
        **dict.fromkeys(countermeasures.CHEAP, 1.25),
        "ueraser, over its bare passes": 1.25,
        "ueraser, over the network's passes": None,
        "adversarial-training, over its bare passes": 1.25,
    }


@pytest.mark.parametrize(
    ("name", "passes", "asked"),
    [
        ("ueraser", countermeasures.forwards, 5),
        ("ueraser", countermeasures.augmented_forwards, 5),
        ("adversarial-training", countermeasures.gradients, 10),
    ],
)
def test_the_bare_side_makes_the_countermeasures_passes(name, passes, asked, monkeypatch):
    counts = {True: 0, False: 0}
    forward = Recognizer.forward

    def counting(model, pixels):
        counts[model.training] += len(pixels)
        return forward(model, pixels)

    monkeypatch.setattr(Recognizer, "forward", counting)
    countermeasures.epoch(TINY, name)()
    assert counts == {True: 8, False: 8 * asked}
    countermeasures.bare_epoch(TINY, passes)()
    assert counts == {True: 16, False: 16 * asked}
