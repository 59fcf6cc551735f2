"""The before/after picture: drawn from the free example photo, within the budget, and only the face changes."""

from PIL import Image

from eval.astronaut import draw
from faceguard.bank import default_bank


def test_the_picture_shows_a_protected_face_and_the_photo_stays_close(tmp_path):
    found = draw(tmp_path / "astronaut.png")
    assert 0 < found.max_change <= round(255 * default_bank().epsilon)
    assert found.psnr > 38
    assert found.ssim > 0.97
    with Image.open(tmp_path / "astronaut.png") as picture:
        assert min(picture.size) > 200
