"""Result files: the same content gives the same bytes, and an interruption leaves the old file."""

import json
import math
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faceguard.errors import DataError
from faceguard.outputs import refuse_existing, replacing, write_json

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(content=plain)
def test_any_plain_content_comes_back_with_null_for_what_is_not_finite(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("out") / "r.json"
    write_json(path, content)
    text = path.read_text(encoding="utf-8")

    def same(one, two):
        if isinstance(one, float) and not math.isfinite(one):
            return two is None
        if isinstance(one, dict):
            return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
        if isinstance(one, list):
            return len(one) == len(two) and all(map(same, one, two))
        return one == two

    assert same(content, json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON")))


def test_keys_keep_their_order(tmp_path):
    write_json(tmp_path / "a", {"y": {"b": 1, "a": 2}, "x": (2, 3)})
    write_json(tmp_path / "b", {"y": {"b": 1, "a": 2}, "x": [2, 3]})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    found = json.loads((tmp_path / "a").read_text())
    assert list(found) == ["y", "x"] and list(found["y"]) == ["b", "a"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_content_that_cannot_be_written_leaves_the_old_file(tmp_path):
    write_json(tmp_path / "r.json", {"old": 1})
    with pytest.raises(TypeError):
        write_json(tmp_path / "r.json", {"new": object()})
    assert json.loads((tmp_path / "r.json").read_text()) == {"old": 1}


def test_of_several_writers_at_once_none_fails_and_the_last_one_wins(tmp_path):
    path = tmp_path / "r.json"
    with replacing(path) as first, replacing(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(partial(write_json, path), range(200)))
    assert json.loads(path.read_text()) in range(200)
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_a_sentence_and_the_old_file_stays_alone(tmp_path, full_disk):
    path = tmp_path / "r.json"
    write_json(path, "old")
    with full_disk(), pytest.raises(DataError, match=r"r\.json cannot be written \(File too large\); check the folder"):
        write_json(path, "new" * 1000)
    assert json.loads(path.read_text()) == "old"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(DataError, match=r"r\.json cannot be written \(No such file or directory\)"):
        write_json(tmp_path / "absent" / "r.json", "new")


def test_a_new_path_gets_its_folder_and_an_existing_one_is_refused(tmp_path):
    refuse_existing(tmp_path / "deep" / "er" / "r.json")
    assert (tmp_path / "deep" / "er").is_dir()
    (tmp_path / "r.json").write_text("mine")
    with pytest.raises(DataError, match=r"r\.json already exists"):
        refuse_existing(tmp_path / "r.json")
    with pytest.raises(DataError, match="cannot be written to"):
        refuse_existing(tmp_path / "r.json" / "below")
    with pytest.raises(DataError, match="cannot be written to"):
        refuse_existing(tmp_path / ("r" * 300))
    assert (tmp_path / "r.json").read_text() == "mine"
