"""What README and docs/findings.md quote stands in results/: a row is one condition, a paragraph's numbers are its entries'."""

import json
import re
from pathlib import Path

import pytest

from eval.ledger import RESULTS

ROOT = Path(__file__).parents[1]
NUMBER = re.compile(r"(?<![\d.])\d\.\d{2,4}(?!\.?\d)")
SHARE = re.compile(r"(\d\.\d{2,4})\s+of\s+(?:a\s+clean\s+)?(\d\.\d{2,4})")  # of the noisy arm, of the clean one
SEEDS = {"one seed": 1, "three seeds": 3}
ENTRIES = {  # how a paragraph with numbers begins: the entries that they are from
    "On CIFAR-10 at scale small": ("cifar10-noise-types", "cifar10-all-photos"),
    "**It needs company.**": ("face-few", "face-strength"),
    "**Other rows hide few better": ("face-strength", "targeted-photos"),
    "**It is the power of": ("face-strength",),
    "**Of fine noise other rows": ("face-noise-types", "face-source-models"),
    "**What of our settings hides": ("face-noise-settings",),
    "Asked only among the protected": ("photo-space",),
    "How much of the noise survives": ("noise-survival",),
    "On aligned crops, against noise": ("face-adversaries", "face-countermeasures"),
    "A narrower ResNet-18, three": (
        "face-countermeasures-resnet-18-narrow",
        "face-noise-seeds",
        "face-shares-resnet-18-narrow",
    ),
    "Noise may protect only because": ("face-presence", "face-shares"),
    "**Noise of single photos stops": ("cifar10-noise-types",),
    "**Noise must be learnt through": ("cifar10-all-photos",),
    "**A few classes can carry it.**": ("several-classes",),
    "**A single class is not always": ("single-class",),
    "**Patches of half the side": ("patches-and-mixtures",),
    "**The protected part adds": ("percentages",),
    "**Adversarial training undoes": ("adversarial-training",),
    "**Networks follow the rows": ("backdoor",),
    "**Class-wise rows transfer.**": ("transfer-classwise",),
    "**Noise of single photos does not transfer": (
        "transfer-samplewise-imagenette-128",
        "transfer-samplewise-tiny-imagenet-32",
    ),
    "**Class-wise noise is cheap": ("cost",),
    "`eval-lfw` with SFace": ("face-adversaries",),
}


@pytest.fixture(scope="module")
def entries():
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in RESULTS.glob("*.json")}


def parts():
    """The tables' rows and the paragraphs that hold numbers, in README's results and docs/findings.md, each as one line.

    A table right below a paragraph of ENTRIES belongs to it and to its entries; the other tables' rows are conditions or runs.
    """
    text = (ROOT / "README.md").read_text(encoding="utf-8").split("## Results")[1]
    text += "\n\n" + (ROOT / "docs" / "findings.md").read_text(encoding="utf-8")
    tables, others = [], []
    for part in text.split("\n\n"):
        if not part.startswith("|"):
            others.append(part)
        elif others[-1].startswith(tuple(ENTRIES)):
            others[-1] += f"\n{part}"
        else:
            tables.append(part)
    rows = [line for part in tables for line in part.splitlines() if NUMBER.search(line)]
    return rows, [" ".join(part.split()) for part in others if NUMBER.search(part)]


def says(text, value):
    """Whether ``text`` is ``value`` rounded to as many digits; a half may go either way."""
    places = len(text.split(".")[1])
    return abs(float(text) - value) <= 0.5 * 10**-places + 1e-9


def quoted(condition):
    """A condition's numbers by the columns of the tables: protected, others, LFW."""
    arms = [condition["arms"][arm] for arm in ("clean", "random", "error-minimizing")]
    found = [arm["recognition"]["protected"]["last"] for arm in arms] + [arms[2]["recognition"]["protected"]["best"]]
    others = [arm["recognition"]["others"]["last"] for arm in arms[::2] if "others" in arm["recognition"]]
    lfw = [arm["lfw"]["auc"] for arm in arms[::2] if "lfw" in arm]
    return [[one["mean"] for one in column] for column in (found, others, lfw)]


def is_row_of(row, condition):
    """Whether all that the row says is the condition's: every number in its place, the verdict, and how many seeds."""
    cells = [cell.strip() for cell in row.strip().strip("|").split("|")]
    seeds = [count for words, count in SEEDS.items() if words in cells[1]]
    if cells[3].replace("**", "").split(":")[0] != condition["verdict"] or len(condition["seeds"]) not in (
        seeds or [1]
    ):
        return False
    for cell, values in zip((cells[2], *cells[4:]), quoted(condition), strict=True):
        texts = NUMBER.findall(cell)  # a column may be left blank, but for the protected
        if (texts or cell == cells[2]) and not (len(texts) == len(values) and all(map(says, texts, values))):
            return False
    return True


def conditions_of(row, entries):
    return [one["name"] for entry in entries.values() for one in entry.get("conditions", ()) if is_row_of(row, one)]


def columns_of(runs):
    """The numbers of runs by the columns of the table of classes: clean, random noise, and both forms of learnt noise."""
    found = {column: [] for column in ("clean", "random", "sample-wise", "class-wise")}
    for run in runs:
        kinds = {noise["kind"] for noise in run["noise"]}
        column = "random" if kinds == {"random"} else run["noise"][0]["form"] if kinds else "clean"
        found[column] += [run["accuracy"][epoch]["mean"] for epoch in ("last", "best")]
    return list(found.values())


def is_row_of_runs(row, entries):
    """Whether all numbers of a row of the table of classes are of one set, network and countermeasure of the entry it names."""
    _, *cells, name = [cell.strip() for cell in row.strip().strip("|").split("|")]
    together = {}
    for run in entries[name]["runs"].values():
        together.setdefault((run["data"], run["network"], run["countermeasure"]), []).append(run)
    return any(
        all(any(says(text, value) for value in column) for cell, column in found for text in NUMBER.findall(cell))
        for found in ([*zip(cells, columns_of(runs), strict=True)] for runs in together.values())
    )


def values(entry):
    """What prose quotes of an entry: means, medians, shares and chance; neither intervals nor single seeds."""
    for condition in entry.get("conditions", ()):
        for arm in condition["arms"].values():
            yield from (one["mean"] for group in arm["recognition"].values() for one in group.values())
            yield from (arm["lfw"][what]["mean"] for what in ("auc", "accuracy") if "lfw" in arm)
    for run in entry.get("runs", {}).values():
        yield from (run["accuracy"][epoch]["mean"] for epoch in ("last", "best"))
        yield from (run["chance"], *run["recognized"].values())
        if "attack_success" in run:
            yield run["attack_success"]["mean"]
        if "passes" in run:
            yield run["passes"]["learning"] / run["passes"]["training"]
    for noises in entry.get("folders", {}).values():
        yield from (one["median"] for curves in noises.values() for curve in curves.values() for one in curve.values())


def shares(entry):
    """What noise leaves, and the clean arm: rank-1 of every condition and group, last or best, and accuracy of every network."""
    for condition in entry.get("conditions", ()):
        clean, noisy = (condition["arms"][arm]["recognition"] for arm in ("clean", "error-minimizing"))
        for group, found in noisy.items():
            yield from ((found[epoch]["mean"], clean[group]["last"]["mean"]) for epoch in ("last", "best"))
    runs = entry.get("runs", {}).values()
    for clean in (run for run in runs if not run["noise"]):
        same = (run for run in runs if run["network"] == clean["network"])
        yield from ((run["accuracy"]["last"]["mean"], clean["accuracy"]["last"]["mean"]) for run in same)


def strange(paragraph, entries):
    """The numbers of a paragraph, and its shares of the clean arm, that its entries do not hold."""
    (theirs,) = [[entries[name] for name in names] for start, names in ENTRIES.items() if paragraph.startswith(start)]
    known = [value for entry in theirs for value in values(entry)]
    pairs = [pair for entry in theirs for pair in shares(entry)]
    alone = [text for text in NUMBER.findall(paragraph) if not any(says(text, value) for value in known)]
    together = [pair for pair in SHARE.findall(paragraph) if not any(all(map(says, pair, one)) for one in pairs)]
    return alone + [f"{noisy} of {clean}" for noisy, clean in together]


def test_every_row_of_the_tables_is_one_condition_of_the_ledger(entries):
    rows, _ = parts()
    assert len(rows) > 10
    of_classes = [row for row in rows if row.rsplit("|", 2)[1].strip() in entries]
    assert len(of_classes) > 10
    unknown = [row for row in rows if row not in of_classes and not conditions_of(row, entries)]
    unknown += [row for row in of_classes if not is_row_of_runs(row, entries)]
    assert not unknown, "no condition in results/ has these numbers, verdict and seeds:\n" + "\n".join(unknown)


def test_a_row_with_a_number_a_verdict_or_a_seed_changed_is_no_longer_a_condition(entries):
    whole = [row for row in parts()[0] if "three seeds" in row and "| protected |" in row]
    row = next(row for row in whole if conditions_of(row, entries))
    changes = [(text, f"{float(text) + 0.02:.{len(text) - 2}f}") for text in NUMBER.findall(row)]
    changes += [("three seeds", "one seed"), ("| protected |", "| inconclusive |")]
    assert [old for old, new in changes if conditions_of(row.replace(old, new, 1), entries)] == []


def test_a_row_of_classes_with_a_number_changed_or_in_another_column_is_noticed(entries):
    row = "| CIFAR-10, VGG-11 | 0.566 | 0.562 / 0.569 | 0.174 (0.237) | 0.195 (0.217) | classification |"
    assert is_row_of_runs(row, entries)
    for old, new in (("0.566", "0.576"), ("0.569", "0.522"), ("0.174 (0.237)", "0.195 (0.217)"), ("0.174", "0.566")):
        assert not is_row_of_runs(row.replace(old, new), entries)


def test_every_paragraph_with_numbers_says_where_they_are_from():
    _, paragraphs = parts()
    lost = [text[:60] for text in paragraphs if not any(text.startswith(start) for start in ENTRIES)]
    assert not lost, f"name in ENTRIES the entries of results/ that these quote: {lost}"
    idle = [start for start in ENTRIES if not any(text.startswith(start) for text in paragraphs)]
    assert not idle, f"no paragraph begins so any more; remove from ENTRIES: {idle}"


@pytest.mark.parametrize("start", ENTRIES)
def test_a_paragraphs_numbers_are_those_of_its_entries(entries, start):
    (paragraph,) = [text for text in parts()[1] if text.startswith(start)]
    found = strange(paragraph, entries)
    assert not found, f"these numbers are not in {', '.join(ENTRIES[start])}: {found}"


def test_a_share_whose_parts_are_from_two_conditions_is_noticed(entries):
    """Both numbers stand somewhere: alone, either would pass."""
    sentence = "A narrower ResNet-18, three: | gray photos | {} of 0.29 |"
    assert strange(sentence.format("0.27"), entries) == []
    assert strange(sentence.format("0.20"), entries) == ["0.20 of 0.29"]


def test_a_table_right_below_a_paragraph_is_held_to_the_paragraphs_entries(entries):
    (paragraph,) = [text for text in parts()[1] if text.startswith("**Class-wise rows transfer.**")]
    assert "| VGG-11 | 0.13 of 0.57 | 0.28 |" in paragraph
    assert strange(paragraph.replace("0.13", "0.87"), entries) == ["0.87", "0.87 of 0.57"]


def test_a_number_that_ends_a_sentence_is_a_quotation_and_a_version_is_none():
    assert NUMBER.findall("It leaves 0.30. Not 1.20.3, and 0.123.") == ["0.30", "0.123"]
