"""The time that a bank's rounds take, also when some of them were learnt before an interruption."""

import pytest

from eval.banks import RoundClock
from faceguard.noise import Round


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
