"""A folder of sets, named in place of one of them, reads as a folder of people: ``faceguard data check`` says so."""

import pytest
from commands import run, write_faces

from faceguard.readers.folder import is_nested


@pytest.mark.parametrize(
    ("photos", "nested"),
    [
        (("a/x/1.jpg", "b/y/1.jpg"), True),
        (("a/x/1.jpg", "b/1.jpg"), False),
        (("a/x/1.jpg", "a/1.jpg"), False),
        (("a/1.jpg", "b/1.jpg"), False),
        (("a/x/1.jpg", "a/.1.jpg"), True),  # hidden ones count for nothing
        (("a/1.jpg", "a/.x/1.jpg"), False),
    ],
)
def test_folders_are_nested_when_none_of_them_holds_a_photo_itself(tmp_path, photos, nested):
    for photo in photos:
        (tmp_path / photo).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / photo).touch()
    assert is_nested(tmp_path) == nested


@pytest.mark.parametrize("above", [True, False])
def test_check_says_when_a_folder_is_perhaps_one_level_too_high(capsys, tmp_path, above):
    write_faces(tmp_path / "set", size=16)
    code, out, _ = run(capsys, "data", "check", tmp_path if above else tmp_path / "set")
    assert (code, "name one of them instead." in out) == (0, above)
