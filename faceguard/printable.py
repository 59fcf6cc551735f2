"""Names of people and files as they may be shown: a data set's names are its author's, and may hold anything; and counts."""

import unicodedata

_HARMFUL = frozenset({"Cc", "Cs", "Zl", "Zp"})  # control characters, halves of characters, ends of lines and paragraphs
_TURNING = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)  # what turns text around


def printable(text: str) -> str:
    """``text`` on one line, with every character escaped that could command a terminal, reorder text or not be encoded."""
    return "".join(_escaped(one) if one in _TURNING or unicodedata.category(one) in _HARMFUL else one for one in text)


def counted(number: int, thing: str) -> str:
    """The number and the thing, in the plural unless it is one."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")
