"""The secret behind the rows: drawn once, kept from others, and never overwritten."""

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
