"""The benchmark of a cell, at a tiny scale: both sides make the same passes."""

from benchmarks import cells
from faceguard.recognizer import Recognizer

TINY = cells.Sweep(photos=8, held_out=4, epochs=2, batch_size=4, width=8, size=16)


def test_both_sides_train_and_try_as_often_and_the_cell_alone_goes_on_to_embed(monkeypatch):
    counts = {}
    forward = Recognizer.forward

    def counting(model, pixels):
        counts[side, model.training] = counts.get((side, model.training), 0) + len(pixels)
        return forward(model, pixels)

    monkeypatch.setattr(Recognizer, "forward", counting)
    for side, make in (("ours", cells.one_cell), ("bare", cells.bare_loop)):  # noqa: B007 - counting reads it
        make(TINY)()
    assert counts["ours", True] == counts["bare", True] == 16
    assert counts["bare", False] == 8
    assert counts["ours", False] == 12  # the logits of the last epoch are asked for once more


def test_the_comparison_has_its_limit_and_settings():
    (found,) = cells.run(TINY, repetitions=1)
    assert (found.name, found.limit, found.settings["photos"]) == ("cell, resnet-18", 1.1, 8)
