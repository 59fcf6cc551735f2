"""The report, read back with html.parser: nothing from elsewhere, nothing unescaped, and the worst condition first."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from faceguard import report
from faceguard.conclusion import OUTCOMES, conclude, judge
from faceguard.outputs import write_json
from faceguard.report import SHOWN, flatten, write_report
from tests.fabricated import RATES, RUN, condition_of, measured_condition, picture, result_of, simple_condition
from tests.test_conclusion import any_conditions
from tests.test_page import Page

SECTIONS = (
    "Not run",
    "How much recognition the noise leaves",
    "All numbers",
    "Learning curves",
    "Verification",
    "Before and after",
    "How visible the noise is",
    "What was expected",
    "Settings",
    "Versions, hardware, time",
    "What this does not show",
)


class Report(Page):
    """The page with the texts of its elements by tag and by class."""

    def __init__(self, path):
        self.by_tag, self.by_class = {}, {}
        super().__init__(path)

    def handle_data(self, data):
        super().handle_data(data)
        if self.open:
            self.by_tag.setdefault(self.open[-1], []).append(data)

    def heading(self):
        (text,) = self.by_tag["h1"]
        return text

    def kind(self):
        return next(a["class"] for tag, a in self.tags if tag == "header").split()[-1]

    def tiles(self):
        return [a["title"] for tag, a in self.tags if "tile" in (a.get("class") or "").split() and "title" in a]


def write(folder, result, run=RUN):
    write_json(folder / "result.json", result)
    if run is not None:
        write_json(folder / "run.json", run)
    return Report(write_report(folder))


@pytest.fixture(scope="module")
def conditions():
    grey = RATES | {"error-minimizing": (0.6, 0.8)}
    blind = RATES | {"clean": (0.1, 0.8)}
    return [
        measured_condition(),
        measured_condition(grey, countermeasure="grayscale"),
        measured_condition(blind, adversary="mobilefacenet", seeds=(0,)),
        measured_condition(adversary="frozen", protected=12, epochs=1),
    ]


@pytest.fixture(scope="module")
def page(conditions, tmp_path_factory):
    return write(tmp_path_factory.mktemp("report"), result_of(*conditions, pictures=[picture()]))


def test_it_is_one_page_that_needs_nothing_else(page):
    assert page.open == page.wrong == [] and "<!DOCTYPE html>" in page.source[:40]
    assert not re.search(r"https?:|//|@import|url\(|javascript:", re.sub(r"base64,[^\"]*", "", page.source))
    tags = Counter(tag for tag, _ in page.tags)
    assert not {"script", "link", "iframe", "object", "form", "a"} & tags.keys()
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on") or name == "href"]
    metas = {a.get("name") or a.get("http-equiv") or "charset": a for tag, a in page.tags if tag == "meta"}
    assert (
        metas["charset"]["charset"] == "utf-8" and "default-src 'none'" in metas["Content-Security-Policy"]["content"]
    )
    assert "@media (prefers-color-scheme: dark)" in page.source and "@media print" in page.source


def test_the_sections_stand_in_their_order_below_the_headline(page):
    assert page.by_tag["h2"] == list(SECTIONS)
    assert page.source.index("<h1") < page.source.index("<h2")
    assert [a["src"][:22] for a in page.images()] == ["data:image/png;base64,"] * 3 and all(
        a["alt"] for a in page.images()
    )


def test_the_headline_is_that_of_the_conditions_and_wears_the_colour_of_their_outcome(page, conditions):
    found = conclude(conditions, ["fine-tuning", "blur"])
    assert page.heading() == found["headline"] and page.heading().startswith("Not protected in 1 of 4 conditions")
    assert page.kind() == "bad"
    assert f"The worst condition for the person: {found['worst']} (not protected)" in page.text
    assert all(name in page.by_tag["li"] for name in found["not_run"])


def test_every_condition_is_a_tile_and_what_was_not_run_says_so(page, conditions):
    """Three adversaries and shares times two countermeasures are six places, of which four were run."""
    assert sorted(title.split("\n")[0] for title in page.tiles()) == sorted(
        f"{c['name']}: {c['verdict']}" for c in conditions
    )
    assert page.by_tag["td"].count("not run") == 2
    noisy = conditions[1]["arms"]["error-minimizing"]["recognition"]["protected"]["best"]
    clean = conditions[1]["arms"]["clean"]["recognition"]["protected"]["last"]
    assert f"{noisy['mean'] / clean['mean']:.2f} {noisy['mean']:.2f} / {clean['mean']:.2f}" in page.text


def test_a_tile_tells_random_noise_at_both_epochs_that_the_verdict_asks_about(page):
    for title in page.tiles():
        assert [line.split(":")[0] for line in title.split("\n")[1:]] == [
            "error-minimizing, best epoch",
            "clean, last epoch",
            "random, last epoch",
            "random, best epoch",
        ]


def test_every_number_stands_with_its_interval(page, conditions):
    for condition in conditions:
        for arm in condition["arms"].values():
            for group in arm["recognition"]:
                verified = arm["verification"][group]
                for estimate in (*arm["recognition"][group].values(), verified["auc"], verified["eer"]):
                    mark = " \N{LOZENGE}" if estimate["over"] == "identities" else ""
                    ends = f" {estimate['low']:.3f} to {estimate['high']:.3f}{mark}" if estimate["over"] else ""
                    assert f"{estimate['mean']:.3f}{ends}" in page.text
                tar = verified["tar_at_far"]["0.001"]["mean"]  # too few impostors for an interval
                assert f"{tar:.3f}" in page.text


def test_every_arm_and_group_has_its_curves_inside_the_picture(page, conditions):
    with_epochs = [c for c in conditions if c["name"].split(",")[0] != "frozen"]
    lines = [a["points"] for tag, a in page.tags if tag == "polyline"]
    assert len(lines) == len(with_epochs) * 3 * (2 + 1) + sum(3 * len(c["arms"]["clean"]["roc"]) for c in conditions)
    bands = [a["points"] for tag, a in page.tags if tag == "polygon"]
    assert len(bands) == sum(3 * len(c["arms"]["clean"]["roc"]) for c in conditions)
    points = [tuple(map(float, point.split(","))) for line in lines + bands for point in line.split()]
    assert all(46 <= x <= 350 and 10 <= y <= 196 for x, y in points) and len(set(points)) > 100


def test_many_conditions_show_the_curves_of_the_worst_and_unfold_the_others(tmp_path):
    many = [measured_condition(seeds=(0,), countermeasure=f"blur {i}") for i in range(SHOWN + 3)]
    found = write(tmp_path, result_of(*many))
    assert found.by_tag["summary"] == ["The other 3"] * 2


def test_the_same_files_give_the_same_bytes_in_whatever_order_they_hold_all_but_claims(conditions, tmp_path):
    result = result_of(*conditions, pictures=[picture()])
    first = write(tmp_path, result).source
    backwards = json.loads(json.dumps(result), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    backwards["expectations"] = result["expectations"]
    (tmp_path / "result.json").write_text(json.dumps(backwards))
    assert write_report(tmp_path).read_text(encoding="utf-8") == first
    assert not list(tmp_path.glob("*.tmp")) and str(tmp_path) not in first


def test_settings_expectations_noise_and_the_run_are_all_there(page):
    for words in (
        "bank.epsilon 16",
        "noisy_others no",
        "seeds 0, 1, 2",
        "versions.torch 2.11.0",
        "seconds 12.5",
        "PSNR, in dB",
    ):
        assert words in page.text
    assert "LPIPS: 0 is the same not measured" in page.text
    assert "missed : others at least 0.9 of clean" in page.text and "met : protected at most 0.1 of clean" in page.text


def test_claims_are_shown_with_their_numbers_and_one_whose_control_failed_is_neither_met_nor_missed(tmp_path):
    claims = {"hidden": True, "others": False, "blind": False, "absent (not run)": False}
    numbers = {"hidden": 0.037, "others": 0.8, "blind": None, "absent (not run)": None}
    text = write(tmp_path, result_of(expectations=claims, found=numbers)).text
    assert "met : hidden: 0.04" in text and "missed : others: 0.80" in text
    assert "undecided : blind: its control failed" in text and "not tried : absent (not run)" in text


def test_a_result_of_which_little_is_known_has_a_report_too(tmp_path):
    empty = result_of(not_run=(), expectations={}, paper={}, noise={}, settings={})
    found = write(tmp_path, empty, run=None)
    assert found.heading() == "Inconclusive: nothing was run." and found.kind() == "open"
    assert "there is no run.json" in found.text and "Nothing is listed as left out." in found.text
    found = write(tmp_path, result_of(simple_condition(clean=(None,)), condition_of({}, name="no arm")))
    assert found.kind() == "open" and found.open == found.wrong == []


def test_two_conditions_of_one_place_are_both_shown_so_that_none_hides_the_other(tmp_path):
    found = write(
        tmp_path, result_of(simple_condition(name="8 levels"), simple_condition(noise=(0.6,), name="4 levels"))
    )
    assert len(found.tiles()) == 2 and found.kind() == "bad"


def test_nested_settings_become_dotted_names():
    nested = {"b": [{"x": 1.0}, {"x": None}], "a": {"c": [1, 2], "d": True}, "e": []}
    assert dict(flatten(nested)) == {"a.c": "1, 2", "a.d": "yes", "b.1.x": "1", "b.2.x": "not measured", "e": "none"}


@given(any_conditions())
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_conditions_give_a_page_that_is_friendlier_than_the_worst_of_them(tmp_path, conditions):
    more = {"adversary": "resnet-18", "countermeasure": "none", "protected": 5}
    for condition in conditions:
        for arm in condition["arms"].values():
            means = [m for measures in arm["recognition"].values() for m in measures.values()]
            for estimate in means:
                known = [v for v in estimate["seeds"] if v is not None and v == v]
                whole = len(known) == len(estimate["seeds"])
                estimate["mean"] = sum(known) / len(known) if whole else None
            arm |= {"verification": {}, "curves": {"rank1": {}, "loss": []}, "roc": {}}
        judged = judge(condition | more)
        condition |= more | {"verdict": judged.outcome, "reasons": judged.reasons}
    page = write(tmp_path, result_of(*conditions))
    worst = max((c["verdict"] for c in conditions), key=OUTCOMES.index, default="inconclusive")
    assert page.heading().lower().startswith(worst)
    assert page.kind() == {"protected": "good", "inconclusive": "open", "not protected": "bad"}[worst]
    assert len(page.tiles()) == len(conditions)


def luminance(colour):
    """WCAG 2.1's relative luminance of #rrggbb."""
    levels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return sum(
        weight * (level / 12.92 if level <= 0.03928 else ((level + 0.055) / 1.055) ** 2.4)
        for weight, level in zip((0.2126, 0.7152, 0.0722), levels, strict=True)
    )


def test_every_arms_line_stands_out_from_the_card_in_light_and_dark():
    """WCAG 1.4.11: graphics need a contrast of three to one."""
    style = (Path(report.__file__).parent / "templates" / "report.css").read_text(encoding="utf-8")
    for theme in (style.split("@media")[0], style.split("@media")[1]):
        card = luminance(re.search(r"--card: (#[0-9a-f]{6})", theme)[1])
        for arm, colour in re.findall(r"(--arm\d): (#[0-9a-f]{6})", theme):
            low, high = sorted((luminance(colour), card))
            assert (high + 0.05) / (low + 0.05) >= 3, arm
