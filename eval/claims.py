"""How a claim's bounds are said, and that it is met, missed or undecided: the same words wherever a claim is shown."""

from collections.abc import Mapping
from typing import Literal

Outcome = Literal["met", "missed", "undecided"]


def bounds(at_most: float | None, at_least: float | None) -> str:
    """The bounds that are given, in words."""
    given = {"at most": at_most, "at least": at_least}
    return " and ".join(f"{word} {bound:g}" for word, bound in given.items() if bound is not None)


def outcome(words: str, met: bool, found: Mapping[str, float | None]) -> tuple[Outcome, str]:
    """What became of the claim in ``words``, and the claim with the number that ``found`` has for it.

    A claim with None for a number is undecided; one without an entry, as in older results and those about faces, has no number.
    """
    if words not in found:
        return "met" if met else "missed", words
    value = found[words]
    if value is None:
        return "undecided", f"{words}: the control learnt too little"
    return "met" if met else "missed", f"{words}: {value:.2f}"
