"""How a claim is said to be met, missed or undecided; the same words in the terminal and on the ledger's page."""

from collections.abc import Mapping
from typing import Literal

Outcome = Literal["met", "missed", "undecided"]


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
