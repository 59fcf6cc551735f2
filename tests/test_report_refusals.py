"""A report is refused when its result says more than its numbers, and inert whatever its names are."""

import copy
import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faceguard.errors import DataError
from faceguard.outputs import write_json
from faceguard.report import write_report
from tests.fabricated import RUN, as_png, measured_condition, picture, result_of, simple_condition
from tests.test_report import Report, write

RESULT = result_of(simple_condition(noise=(0.5,), name="bad"), simple_condition(name="good"), pictures=[picture()])
VERIFIED = {"auc": {}, "eer": {"seeds": []}, "tar_at_far": {}}
CURVE = {"far": [0.1, 1], "tar": [0.5, 1], "low": [], "high": []}
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&lt;{{ 7 * 7 }}</style>\u202e"


def changed(*path, value):
    """RESULT with another value at the place that ``path`` leads to."""
    result = copy.deepcopy(RESULT)
    inner = result
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return result


def at(arm, when, key):
    return ("conditions", 0, "arms", arm, "recognition", "protected", when, key)


FRIENDLIER = [
    changed("verdict", "outcome", value="protected"),
    changed("verdict", "outcome", value="inconclusive"),
    changed("verdict", "headline", value="Protected in all 2 conditions that were run."),
    changed("verdict", "worst", value="good"),
    changed("verdict", "reasons", value=[]),
    changed("verdict", value=result_of(simple_condition())["verdict"]),
    changed("conditions", 0, "verdict", value="protected"),
    changed("conditions", 0, "reasons", value=["All is well."]),
    changed(*at("error-minimizing", "best", "seeds"), value=[0.01]),
    changed(*at("error-minimizing", "best", "mean"), value=0.01),
    changed(*at("error-minimizing", "best", "mean"), value=None),
    changed("conditions", value=[RESULT["conditions"][1]]),
    changed("conditions", value=[]),
]


@pytest.mark.parametrize("result", FRIENDLIER, ids=range(len(FRIENDLIER)))
def test_what_its_own_numbers_do_not_say_is_refused_and_not_shown(result, tmp_path):
    with pytest.raises(DataError, match="run the measurement again"):
        write(tmp_path, result)
    assert not (tmp_path / "report.html").exists() and not list(tmp_path.glob("*.tmp"))


def test_a_refusal_says_both_headlines(tmp_path):
    with pytest.raises(DataError) as caught:
        write(tmp_path, changed("verdict", value=result_of(simple_condition())["verdict"]))
    assert "'Protected in the only condition that was run; fine-tuning and 1 other were not.'" in str(caught.value)
    assert "'Not protected in 1 of 2 conditions; worst in bad: rank-1 0.50 of a clean 0.80.'" in str(caught.value)


@given(noise=st.floats(0.41, 0.8), outcome=st.sampled_from(["protected", "inconclusive"]), everywhere=st.booleans())
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_friendlier_outcome_passes_in_the_headline_or_in_a_condition(tmp_path, noise, outcome, everywhere):
    result = result_of(simple_condition(noise=(noise,), name="bad"))
    result["verdict"]["outcome"] = outcome
    result["verdict"]["headline"] = f"{outcome.capitalize()} in the only condition that was run."
    if everywhere:
        result["conditions"][0]["verdict"] = outcome
    with pytest.raises(DataError, match=r"run the measurement again\.$"):
        write(tmp_path, result)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({key: value for key, value in RESULT.items() if key != "noise"}, "lacks 'noise'"),
        (changed("conditions", 0, value="bad"), "holds 'bad' where an object should be"),
        (changed("conditions", 0, "arms", value=[]), "lacks 'arms', or it is no dict"),
        (changed("conditions", 0, "arms", "clean", "roc", value={"lfw": {"far": [], "tar": []}}), "lacks 'low'"),
        (changed("conditions", 1, "name", value="bad"), "Two conditions of .* have one name"),
        (changed(*at("clean", "last", "seeds"), value=["0.8"]), "no number"),
        (changed(*at("clean", "last", "identities"), value=0.8), "an interval of 0.8, not of two ends"),
        (changed(*at("clean", "last", "identities"), value=[0.8, "x"]), "no number"),
        (changed("conditions", 0, "arms", "clean", "recognition", "protected", "last", value={}), "lacks 'seeds'"),
        (changed("conditions", 0, "arms", "clean", "recognition", "protected", "within", value=0.8), "holds '0.8'"),
        (changed("conditions", 0, "arms", "clean", "verification", value={"others": VERIFIED}), "lacks 'seeds'"),
        (changed("conditions", 0, "arms", "clean", "curves", "loss", value=["x"]), "no number"),
        (changed("conditions", 0, "arms", "clean", "curves", "rank1", value={"others": 1}), "lacks 'others'"),
        (changed("conditions", 0, "arms", "clean", "roc", value={"lfw": CURVE | {"tar": [1]}}), "differ in length"),
        (changed("conditions", 0, "arms", "clean", "roc", value={"lfw": CURVE | {"far": [0.1, "1"]}}), "no number"),
        (RESULT | {"expectations": {"protected at most 0.1 of clean": "no"}}, "it is no bool"),
        (RESULT | {"found": {"protected at most 0.1 of clean": "0.04"}}, "no number"),
        (changed("pictures", 0, "before", value="javascript:alert(1)"), "no PNG in base64"),
        (changed("pictures", 0, "before", value=picture()["after"][:40]), "cannot be decoded"),
        (
            changed("pictures", 0, "after", value=as_png(np.zeros((3, 3, 3), np.uint8))),
            "changes its size",
        ),
    ],
)
def test_what_is_damaged_is_refused_in_a_sentence(result, words, tmp_path):
    with pytest.raises(DataError, match=words):
        write(tmp_path, result)


@pytest.mark.parametrize(("name", "text"), [("result.json", "{"), ("result.json", "[]"), ("run.json", "\u00e9{")])
def test_a_file_that_is_no_json_object_is_refused(name, text, tmp_path):
    write(tmp_path, RESULT)
    (tmp_path / name).write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=name):
        write_report(tmp_path)


def test_a_folder_without_a_result_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"result\.json cannot be read"):
        write_report(tmp_path)


def test_a_number_that_json_cannot_hold_is_unknown_or_refused(tmp_path):
    write_json(tmp_path / "result.json", RESULT)
    text = (tmp_path / "result.json").read_text()
    (tmp_path / "result.json").write_text(text.replace('"mean": 0.5', '"mean": 1e999'))
    with pytest.raises(DataError, match="no number"):
        write_report(tmp_path)
    (tmp_path / "result.json").write_text(text.replace('"mean": 0.5', '"mean": NaN'))
    with pytest.raises(DataError, match="has the mean None"):
        write_report(tmp_path)


def named(name):
    """A result in which everything that can be named is called ``name``."""
    condition = measured_condition(seeds=(0,), name=name, adversary=name, countermeasure=name, doubts=[name], epochs=3)
    for arm in condition["arms"].values():
        for part in (arm["recognition"], arm["verification"], arm["roc"], arm["curves"]["rank1"]):
            part[name] = part["others"]
    condition["arms"][name] = condition["arms"]["random"]
    about = {"title": name, "claim": name, "paper": {name: name}, "expectations": {name: True}}
    more = {"noise": {name: 1}, "settings": {name: [name]}, "pictures": [picture(name)]}
    return result_of(condition, not_run=[name], **about, **more)


def test_names_that_are_markup_are_text_wherever_they_stand(tmp_path):
    harmless = write(tmp_path, named("harmless"), RUN | {"harmless": "harmless"})
    hostile = write(tmp_path, named(HOSTILE), RUN | {HOSTILE: HOSTILE})
    assert hostile.open == hostile.wrong == []
    assert Counter(tag for tag, _ in hostile.tags) == Counter(tag for tag, _ in harmless.tags)
    assert [sorted(a) for _, a in hostile.tags] == [sorted(a) for _, a in harmless.tags]
    assert hostile.source.count("<script") == hostile.source.count("<img src=x") == 0
    assert hostile.text.count(HOSTILE) == harmless.text.count("harmless") > 20
    assert hostile.heading() == f"Inconclusive: 1 of 1 condition cannot be judged, among them {HOSTILE}."


def test_a_name_that_is_no_valid_text_is_shown_with_its_bytes(tmp_path):
    (tmp_path / "result.json").write_text(json.dumps(result_of(simple_condition(name="a\udcff"))))
    assert "a\\udcff" in Report(write_report(tmp_path)).text
