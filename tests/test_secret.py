"""The secret behind the rows: drawn once, kept from others, and never overwritten."""

import os
import secrets
from pathlib import Path

import pytest

from faceguard.errors import DataError
from faceguard.secret import BYTES, own_seed


def test_it_is_drawn_once_and_readable_by_its_owner_alone(tmp_path):
    folder = tmp_path / "not" / "yet"
    told = []
    first = own_seed(folder, told.append)
    assert own_seed(folder, told.append) == first
    assert told == [folder / "secret"]
    assert (folder / "secret").stat().st_mode & 0o777 == 0o600
    assert len((folder / "secret").read_bytes()) == BYTES
    assert own_seed(tmp_path / "of another user") != first


def test_a_damaged_secret_is_a_sentence_and_stays(tmp_path):
    (tmp_path / "secret").write_bytes(b"short")
    with pytest.raises(DataError, match="holds 5 bytes instead of 32"):
        own_seed(tmp_path)
    assert (tmp_path / "secret").read_bytes() == b"short"


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="set FACEGUARD_CONFIG to a folder of yours, or give --seed"):
        own_seed(tmp_path / "file" / "config")


def test_a_secret_that_cannot_be_read_is_a_sentence(tmp_path):
    (tmp_path / "secret").mkdir()
    with pytest.raises(DataError, match=r"secret cannot be read \(Is a directory\); set FACEGUARD_CONFIG"):
        own_seed(tmp_path)


def test_it_appears_whole_and_nothing_else_is_left(tmp_path, monkeypatch):
    there, draw = [], secrets.token_bytes
    monkeypatch.setattr(
        secrets, "token_bytes", lambda count: there.append((tmp_path / "secret").exists()) or draw(count)
    )
    own_seed(tmp_path)
    assert there and not any(there)
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_of_two_processes_that_draw_at_once_both_get_the_secret_of_the_faster(tmp_path, monkeypatch):
    link = os.link

    def late(temporary, path):
        Path(path).write_bytes(b"f" * BYTES)
        link(temporary, path)

    monkeypatch.setattr(os, "link", late)
    assert own_seed(tmp_path) == int.from_bytes(b"f" * BYTES, "big")
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_it_is_kept_where_there_are_no_hard_links(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    assert own_seed(tmp_path) == own_seed(tmp_path)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
