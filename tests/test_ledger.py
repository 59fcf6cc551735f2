"""The ledger holds every number that is quoted, and its page is made of it."""

import json
import re
from collections import Counter

import pytest

from eval import ledger
from faceguard.errors import DataError


def rate(mean, *, low=None, high=None):
    return {"mean": mean, "low": low, "high": high, "over": None, "seeds": [mean], "identities": None}


def arm(protected, others):
    def group(value):
        return {
            "last": rate(value, low=value - 0.1, high=value + 0.1),
            "best": rate(value),
            "within": rate(value),
        }

    return {
        "recognition": {"protected": group(protected), "others": group(others)},
        "verification": {"protected": {"auc": rate(0.9)}},
        "curves": {"loss": [1, 2]},
        "roc": {"protected": {"far": [0.1], "tar": [0.5]}},
    }


@pytest.fixture
def run(tmp_path):
    """A finished run's folder."""
    folder = tmp_path / "runs" / "my_study"
    folder.mkdir(parents=True)
    condition = {
        "name": "resnet-18, none, shipped, 5 protected",
        "seeds": [0],
        "verdict": "protected",
        "arms": {"clean": arm(0.5, 0.6), "random": arm(0.4, 0.6), "error-minimizing": arm(0.03, 0.61)},
    }
    result = {
        "claim": "It protects.",
        "verdict": {"headline": "Protected in the only condition that was run.", "not_run": ["sface", "jpeg"]},
        "conditions": [condition],
        "expectations": {"resnet-18: protected at most 0.1 of clean": True, "others at least 0.9": False},
        "noise": {"shipped": {"epsilon_levels": 8.0, "lpips": None}},
        "pictures": ["x"],
    }
    about = {
        "command": "python -m eval my_study.py",
        "commit": "abc",
        "hardware": "2 cores",
        "seconds": 7200,
        "date": "2026-01-01",
    }
    for name, content in (("result.json", result), ("run.json", about)):
        (folder / name).write_text(json.dumps(content))
    return folder


def shown(results):
    """The lines of the only entry's part of the page, without the contents above it."""
    return ledger.page(results).split("\n## my-study\n")[1].splitlines()


def contents(page):
    """The lines of the list of contents: the entry's name, where its link leads, claim, tally and headline."""
    link = re.compile(r"\| \[(.+?)\]\(#(.+?)\) \| (.*) \| (.*) \| (.*) \|")
    return [found.groups() for line in page.split("\n## ")[0].splitlines() if (found := link.fullmatch(line))]


def anchors(page):
    """The anchors that GitHub gives headings: small letters, no punctuation, hyphens for spaces, a number where one recurs."""
    found = []
    for heading in re.findall(r"^#+ (.*)$", page, re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.append(f"{slug}-{found.count(slug)}" if slug in found else slug)
    return found


def test_an_entry_is_the_result_without_curves_and_says_how_it_was_made(run, tmp_path):
    path = ledger.record(run, tmp_path / "results")
    entry = json.loads(path.read_text())
    assert path.name == "my-study.json"
    assert entry["run"]["command"] == "python -m eval my_study.py"
    assert entry["conditions"][0]["arms"]["clean"].keys() == {"recognition", "verification"}
    assert "pictures" not in entry


def test_the_page_shows_command_hardware_controls_and_what_was_missed(run, tmp_path):
    ledger.record(run, tmp_path / "results")
    page = ledger.page(tmp_path / "results")
    assert "    python -m eval my_study.py" in page
    assert "commit abc, 2 cores, 2.0 hours of computing" in page
    assert "| resnet-18, none, shipped, 5 protected | 1 | 0.500 (0.400 to 0.600) | 0.400" in page
    assert "* missed: others at least 0.9" not in page
    assert "* **missed**: others at least 0.9" in page
    assert "Not run: sface; jpeg." in page
    assert "* met: resnet-18: protected at most 0.1 of clean" in page
    assert "**Protected in the only condition that was run.**" in page


def test_a_claim_has_its_number_and_is_undecided_where_the_control_failed(run, tmp_path):
    content = json.loads((run / "result.json").read_text())
    content["expectations"] = {"a": True, "b": False, "c": False, "d": True}
    content["found"] = {"a": 0.125, "b": 0.375, "c": None}
    (run / "result.json").write_text(json.dumps(content))
    ledger.record(run, tmp_path / "results")
    claims = [line for line in ledger.page(tmp_path / "results").splitlines() if line.startswith("* ")]
    undecided = "* **undecided**: c: its control failed"
    assert claims == ["* met: a: 0.12", "* **missed**: b: 0.38", undecided, "* met: d"]


def test_an_error_maximizing_arm_has_a_column_that_is_blank_where_it_was_not_run(run, tmp_path):
    content = json.loads((run / "result.json").read_text())
    (condition,) = content["conditions"]
    more = {**condition["arms"], "error-maximizing": arm(0.21, 0.6)}
    content["conditions"].append({**condition, "name": "four arms", "arms": more})
    (run / "result.json").write_text(json.dumps(content))
    ledger.record(run, tmp_path / "results")
    header, line, three, four = [row for row in shown(tmp_path / "results") if row[:1] == "|"][:4]
    assert header.endswith("| protected: error-maximizing (best) | verdict |")
    assert len({row.count("|") for row in (header, line, three, four)}) == 1
    assert three.endswith("|  | protected |")
    assert four.endswith("| 0.210 (0.110 to 0.310), best 0.210 | protected |")


def test_numbers_that_one_noise_lacks_are_blank_and_those_that_another_adds_are_shown(run, tmp_path):
    content = json.loads((run / "result.json").read_text())
    content["noise"]["coarse"] = {"lpips": 0.25, "photo_psnr": 38.5}
    (run / "result.json").write_text(json.dumps(content))
    ledger.record(run, tmp_path / "results")
    rows = [line for line in ledger.page(tmp_path / "results").splitlines() if line.startswith("| ")][-3:]
    assert rows == [
        "| noise | epsilon_levels | lpips | photo_psnr |",
        "| shipped | 8.0 |  |  |",
        "| coarse |  | 0.25 | 38.5 |",
    ]


@pytest.mark.parametrize("over", ["seeds", "identities"])
def test_an_interval_says_what_it_is_over(run, tmp_path, over):
    content = json.loads((run / "result.json").read_text())
    content["conditions"][0]["arms"]["clean"]["recognition"]["protected"]["last"]["over"] = over
    (run / "result.json").write_text(json.dumps(content))
    ledger.record(run, tmp_path / "results")
    assert f"| 0.500 (0.400 to 0.600 over {over}) |" in ledger.page(tmp_path / "results")


def test_commits_that_computed_what_was_judged_stand_beside_the_judges_own(run, tmp_path):
    about = json.loads((run / "run.json").read_text())
    for commits, words in (
        (["abc"], "commit abc, 2"),
        (["0ld", "unknown"], "commit abc (computed at 0ld, unknown), 2"),
    ):
        (run / "run.json").write_text(json.dumps(about | {"computed_at": commits}))
        ledger.record(run, tmp_path / "results")
        assert words in ledger.page(tmp_path / "results")


def test_a_folder_without_a_finished_run_is_a_sentence(tmp_path):
    with pytest.raises(DataError, match="holds no finished run"):
        ledger.record(tmp_path, tmp_path / "results")


def test_the_command_says_so_in_a_sentence_and_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ledger, "RESULTS", tmp_path / "results")
    with pytest.raises(SystemExit):
        ledger.main([str(tmp_path)])
    assert "holds no finished run" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_command_of_an_entry_repeats_its_arithmetic():
    """Left out, the precision is whatever is faster on the machine that repeats the run."""
    for path in ledger.RESULTS.glob("*.json"):
        entry = json.loads(path.read_text(encoding="utf-8"))
        if "settings" in entry:
            assert f" --precision {entry['settings']['precision']}" in entry["run"]["command"], path.name


def test_the_page_in_docs_is_made_of_the_ledger():
    assert ledger.PAGE.read_text(encoding="utf-8") == ledger.page(ledger.RESULTS)


def test_a_line_of_the_contents_links_to_the_entry_and_counts_what_was_tried(run, tmp_path):
    content = json.loads((run / "result.json").read_text())
    content["expectations"] = {"a": True, "b": False, "c": False, "d": False, "e (not run)": False}
    content["found"] = {"a": 0.125, "b": 0.375, "c": None, "e (not run)": None}
    for headline, begins in (
        ("Protected in all 2 conditions that were run; jpeg was not.", "Protected in all 2 conditions that were run"),
        (
            "Inconclusive: 1 of 3 conditions cannot be judged, among them x, y.",
            "Inconclusive: 1 of 3 conditions cannot be judged",
        ),
        ("Protected in the only condition that was run.", "Protected in the only condition that was run"),
    ):
        content["verdict"]["headline"] = headline
        (run / "result.json").write_text(json.dumps(content))
        ledger.record(run, tmp_path / "results")
        (line,) = contents(ledger.page(tmp_path / "results"))
        assert line == ("my-study", "my-study", "It protects.", "1 of 4, 1 undecided, 1 not tried", begins)


def test_an_entry_without_a_verdict_has_no_headline_in_the_contents(run, tmp_path):
    content = json.loads((run / "result.json").read_text())
    del content["verdict"]
    (run / "result.json").write_text(json.dumps(content))
    ledger.record(run, tmp_path / "results")
    assert contents(ledger.page(tmp_path / "results")) == [("my-study", "my-study", "It protects.", "1 of 2", "")]


def test_every_link_of_the_contents_in_docs_leads_to_the_heading_of_its_entry():
    page = ledger.PAGE.read_text(encoding="utf-8")
    lines, headings = contents(page), re.findall(r"^## (.*)$", page, re.MULTILINE)
    assert len(headings) > 30
    assert [name for name, *_ in lines] == headings
    assert [target for _, target, *_ in lines] == anchors(page)[1:]  # the first is the page's own


def test_the_contents_in_docs_count_what_the_entries_hold_and_what_is_listed_below_them():
    page = ledger.PAGE.read_text(encoding="utf-8")
    parts = dict(part.split("\n", 1) for part in page.split("\n## ")[1:])
    assert {path.stem for path in ledger.RESULTS.glob("*.json")} == {name for name, *_ in contents(page)}
    for name, _, claim, tally, headline in contents(page):
        entry = json.loads((ledger.RESULTS / f"{name}.json").read_text(encoding="utf-8"))
        tried = {words: met for words, met in entry["expectations"].items() if "(not run)" not in words}
        listed = Counter(re.findall(r"^\* \W*(\w+)\W*: (?!.*\(not run\)$)", parts[name], re.MULTILINE))
        assert (listed["met"], listed.total()) == (sum(tried.values()), len(tried)), name
        untried = len(entry["expectations"]) - len(tried)
        also = [f", {listed['undecided']} undecided"] * (listed["undecided"] > 0) + [f", {untried} not tried"] * (
            untried > 0
        )
        assert tally == f"{sum(tried.values())} of {len(tried)}" + "".join(also), name
        assert claim == entry["claim"]
        assert bool(headline) == ("verdict" in entry)
        assert entry.get("verdict", {"headline": ""})["headline"].startswith(headline)
