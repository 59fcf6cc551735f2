"""How a claim's bounds are said, and what became of it: the same words wherever a claim is shown."""

from collections import Counter
from collections.abc import Mapping
from typing import Literal, NamedTuple

from faceguard.errors import DataError

DIGITS = 4  # of a number
NOT_RUN = "(not run)"  # ends the words of a claim about what was not run
Outcome = Literal["met", "missed", "undecided", "not tried"]


class Found(NamedTuple):
    """What became of a claim: whether it is met, and the number that says so; None where a control failed or nothing was run."""

    met: bool
    value: float | None


def bounds(at_most: float | None, at_least: float | None) -> str:
    """The bounds that are given, in words. Raises DataError for none: such a claim would be met whatever happens."""
    given = {"at most": at_most, "at least": at_least}
    said = [f"{word} {bound:g}" for word, bound in given.items() if bound is not None]
    if not said:
        raise DataError("A claim says nothing without a bound; give it at_most or at_least.")
    return " and ".join(said)


def said(claims: Mapping[str, Found]) -> dict[str, dict[str, bool] | dict[str, float | None]]:
    """The claims, by their words, as result.json has them: which are met, and their numbers."""
    return {
        "expectations": {words: found.met for words, found in claims.items()},
        "found": {words: found.value and round(found.value, DIGITS) for words, found in claims.items()},
    }


def outcome(words: str, met: bool, found: Mapping[str, float | None]) -> tuple[Outcome, str]:
    """What became of the claim in ``words``, and the claim with the number that ``found`` has for it.

    A claim about what was not run is not tried; another with None for a number is undecided; one without an entry, as in
    older results, has no number.
    """
    if words.endswith(NOT_RUN):
        return "not tried", words
    if words not in found:
        return "met" if met else "missed", words
    value = found[words]
    if value is None:
        return "undecided", f"{words}: its control failed"
    return "met" if met else "missed", f"{words}: {value:.2f}"


def tally(expectations: Mapping[str, bool], found: Mapping[str, float | None]) -> Counter[Outcome]:
    """How many claims of a result.json became what."""
    return Counter(outcome(words, met, found)[0] for words, met in expectations.items())
