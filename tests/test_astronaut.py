"""The before/after picture: drawn from the free example photo, within the budget, and only the face changes."""

import pytest
from PIL import Image

from eval.astronaut import draw, main
from faceguard.bank import default_bank


def test_the_picture_shows_a_protected_face_and_the_photo_stays_close(tmp_path):
    found = draw(tmp_path / "astronaut.png")
    assert 0 < found.max_change <= round(255 * default_bank().epsilon)
    assert found.psnr > 38
    assert found.ssim > 0.97
    with Image.open(tmp_path / "astronaut.png") as picture:
        assert min(picture.size) > 200


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [("mine.png", 1, "already exists and is not overwritten"), ("a.jpg", 2, "ends in .png"), (None, 2, "OUT.png")],
)
def test_what_cannot_be_drawn_is_refused_in_a_sentence(tmp_path, capsys, name, code, words):
    (tmp_path / "mine.png").write_text("mine")
    with pytest.raises(SystemExit) as ended:
        main([] if name is None else [str(tmp_path / name)])
    assert ended.value.code == code and words in capsys.readouterr().err.replace("\n", " ")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.png"] and (tmp_path / "mine.png").read_text() == "mine"
