"""Banks that recipes state: one process learns each, and the time that its rounds take."""

from dataclasses import replace

import pytest

from eval.banks import BankRecipe, RoundClock, make
from faceguard.errors import DataError, RunError
from faceguard.generate import SourceModel
from faceguard.noise import Round
from tests.small import QUICK, tiny_faces


@pytest.mark.parametrize(
    ("numbers", "seconds"),
    [
        ([1, 2], 8.0),  # both here, in eight seconds
        ([5, 6], 24.0),  # four before: six such rounds
        ([], 8.0),  # nothing was left to do
    ],
)
def test_rounds_before_an_interruption_count_as_those_after_it(monkeypatch, numbers, seconds):
    now, told = [100.0], []
    monkeypatch.setattr("eval.banks.time.monotonic", lambda: now[0])
    clock = RoundClock(told.append)
    rounds = [Round(number=number, error=1 / number) for number in numbers]
    for done in rounds:
        clock(done)
    now[0] = 108.0
    assert clock.seconds == seconds
    assert told == rounds and clock.last == (rounds[-1] if rounds else Round(number=0, error=1.0))


def test_a_bank_that_another_process_learns_is_left_to_it_and_overwritten_by_nobody(tmp_path):
    recipe = BankRecipe(faces=None, settings=replace(QUICK, stop_error=0.9), source_model=SourceModel(width=8))
    out, told = tmp_path / "banks" / "bank.safetensors", []

    def learn(progress):
        make(recipe, tiny_faces(), out, precision="fp32", progress=progress)

    def meanwhile(done):
        told.append(done)
        with pytest.raises(RunError, match=r"Another process works on .*bank\.safetensors\.partial"):
            learn(lambda done: pytest.fail(f"{done} was learnt"))

    learn(meanwhile)
    kept = out.read_bytes()
    assert told and sorted(path.name for path in out.parent.iterdir()) == ["bank.json", out.name]
    with pytest.raises(DataError, match="already exists and is not overwritten"):
        learn(lambda done: pytest.fail(f"{done} was learnt"))
    assert out.read_bytes() == kept
