"""Names as they may be shown: nothing that commands a terminal is left, and everything else is as it was."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceguard.printable import printable


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\x1b]0;owned\x07", r"\x1b]0;owned\x07"),
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        ("\x9b2J", r"\x9b2J"),
        ("\udcff.png", r"\udcff.png"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\u2028", r"\u2028"),
    ],
)
def test_what_could_do_harm_is_escaped(name, shown):
    assert printable(name) == shown


@pytest.mark.parametrize(
    "name", ["", "Jos\u00e9 [Jr.] $5", "\u0444\u043e\u0442\u043e", "\u5c71\u3000\u7530", "C:\\photos"]
)
def test_names_of_people_and_files_stay_as_they_are(name):
    assert printable(name) == name


@given(st.text())
def test_what_is_shown_holds_no_control_character_and_can_be_encoded(text):
    shown = printable(text)
    shown.encode()
    assert not any(unicodedata.category(character) == "Cc" for character in shown)
