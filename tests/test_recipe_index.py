"""recipes/README.md lists every recipe with what it expects, and is what the ledger makes of it."""

import json
from pathlib import Path

from eval.recipe_index import index

ROOT = Path(__file__).parents[1]


def test_the_index_is_made_of_the_files_and_the_ledger():
    text = index(ROOT / "recipes", ROOT / "results")
    assert (ROOT / "recipes" / "README.md").read_text(encoding="utf-8") == text
    assert all(f"]({path.name})" in text for path in (ROOT / "recipes").glob("[!_]*.py"))


def test_a_row_says_what_was_measured(tmp_path):
    run = {"date": "2026-01-02", "seconds": 600}
    entry = {"run": run, "settings": {"scale": "full"}, "expectations": {"a": True, "b": False}}
    (tmp_path / "single-class.json").write_text(json.dumps(entry))
    swept = entry | {
        "title": "single_class",
        "not_run": ["a run", "another"],
        "settings": {"scale": "small", "against": "a-network", "precision": "fp32", "stand_in": "a-set"},
        "expectations": {"a": True, "b": False, "c (not run)": False},
    }
    (tmp_path / "single-class-a-network.json").write_text(json.dumps(swept))
    text = index(ROOT / "recipes", tmp_path)
    (row,) = (line for line in text.splitlines() if line.startswith("| [single_class]"))
    assert "Figure 2 c-d" in row
    assert (
        "half an hour on two cores in fp32 | 2026-01-02, full: 1 of 2 expectations met; 10 minutes of computing; "
        in row
    )
    swept_row = "1 of 2 expectations met, 1 not tried, 2 runs left out; 10 minutes of computing in fp32 |"
    assert f"; 2026-01-02, small against a-network on a-set: {swept_row}" in row
    banks = text.count("its bank ships with faceguard")
    assert banks == 2
    assert text.count("not yet") == text.count("](") - banks - 3  # all but this one and the links above the table


def test_a_recipe_has_at_most_forty_lines():
    lengths = {path.name: len(path.read_text("utf-8").splitlines()) for path in (ROOT / "recipes").glob("*.py")}
    assert {name: count for name, count in lengths.items() if count > 40} == {}
