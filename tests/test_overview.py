"""README's picture is the ledger's, and every mark stands where its number puts it."""

import xml.etree.ElementTree as ET

import pytest

from eval import ledger
from eval.overview import LEFT, LINES, RIGHT, overview
from faceguard.errors import DataError

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def entries():
    return ledger.entries_in(ledger.RESULTS)


def test_the_picture_in_the_repository_is_made_of_the_ledger(entries):
    assert ledger.PICTURE.read_text(encoding="utf-8") == overview(entries), "run python -m eval.ledger"


def test_every_line_shows_its_condition(entries):
    drawn = [
        group for group in ET.fromstring(overview(entries)).iter(f"{SVG}g") if group.find(f"{SVG}circle") is not None
    ]
    about = [line for lines in LINES.values() for line in lines]
    for group, (label, entry, name) in zip(drawn, about, strict=True):
        (condition,) = [one for one in entries[entry]["conditions"] if one["name"] == name]
        arms = [condition["arms"][arm]["recognition"]["protected"] for arm in ("clean", "error-minimizing")]
        places = [(float(circle.get("cx")) - LEFT) / (RIGHT - LEFT) for circle in group.iter(f"{SVG}circle")]
        assert places == pytest.approx([arm["last"]["mean"] for arm in arms], abs=1e-3)
        words = {1: "one", 3: "three"}[len(condition["seeds"])]
        assert [text.text for text in group.iter(f"{SVG}text")] == [label, condition["verdict"], words]


def test_a_condition_that_is_gone_is_named(entries):
    with pytest.raises(DataError, match=r"photo-space\.json holds no 'resnet-18, none, coarse-12, 50 protected'"):
        overview({name: entry for name, entry in entries.items() if name != "photo-space"})
