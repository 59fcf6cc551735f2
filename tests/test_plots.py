"""Pictures are files with the right pixels, the same bytes each time, and nothing left behind when they fail."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from faceguard import plots
from faceguard.errors import DataError

CURVE = (np.array([0.0, 0.0, 0.01, 0.5, 1.0]), np.array([0.0, 0.6, 0.8, 0.9, 1.0]))
RANK1 = {arm: {"protected": [0.1, 0.4, 0.8], "others": [0.2, 0.5, 0.9]} for arm in ("clean", "error-minimizing")}
LOSS = {"clean": [3.0, 2.0, 1.0], "error-minimizing": [1.0, 0.5, 0.2]}
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def flat(colour, side=10):
    return np.full((side, side, 3), colour, dtype=np.uint8)


def draw_roc(path):
    plots.roc_figure({"clean": CURVE, "random": CURVE}, path, title="LFW")


def draw_learning(path):
    plots.learning_curves(RANK1, LOSS, path)


def draw_before_after(path):
    plots.before_after(
        [flat(RED), flat(GREEN)], [flat(RED), flat(BLUE)], path, names=["ann", "a very long name indeed"]
    )


EVERY_PICTURE = pytest.mark.parametrize("draw", [draw_roc, draw_learning, draw_before_after])


def read(path):
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def count(picture, colour):
    return int((picture == np.array(colour)).all(axis=2).sum())


@EVERY_PICTURE
def test_drawing_twice_gives_the_same_bytes_and_no_other_file(draw, tmp_path):
    draw(tmp_path / "one.png")
    draw(tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["one.png", "two.png"]


@EVERY_PICTURE
def test_a_picture_is_a_png_without_date_and_version(draw, tmp_path):
    draw(tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as image:
        assert image.format == "PNG"
        assert not {key for key in image.info if key != "dpi"}
        assert min(image.size) > 80


@EVERY_PICTURE
def test_a_failed_write_keeps_the_old_picture_and_leaves_no_partial_one(draw, tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    def break_off(self, path, **settings):
        path.write_bytes(b"half a picture")
        raise OSError("No space left on device")

    (tmp_path / "picture.png").write_bytes(b"old")
    monkeypatch.setattr(Figure, "savefig", break_off)
    with pytest.raises(DataError, match=r"cannot be written \(No space left"):
        draw(tmp_path / "picture.png")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("picture.png", b"old")]


def test_drawing_touches_neither_pyplot_nor_the_start_of_the_program():
    """In a fresh interpreter: importing faceguard.plots loads no matplotlib, drawing loads no pyplot."""
    script = (
        "import sys, tempfile, pathlib, numpy as np\n"
        "from faceguard import plots\n"
        "assert not any(name.startswith('matplotlib') for name in sys.modules)\n"
        "curve = (np.array([0.0, 1.0]), np.array([0.0, 1.0]))\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    plots.roc_figure({'clean': curve}, pathlib.Path(folder) / 'roc.png')\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)


def test_the_difference_is_ten_times_the_change_around_grey():
    photo = np.array([[[100, 100, 100], [0, 255, 50]]], dtype=np.uint8)
    protected = np.array([[[101, 98, 100], [16, 239, 52]]], dtype=np.uint8)
    assert plots.difference(photo, protected).tolist() == [[[138, 108, 128], [255, 0, 148]]]
    assert plots.difference(photo, protected, gain=1).tolist() == [[[129, 126, 128], [144, 112, 130]]]


def test_before_after_shows_photos_above_protected_above_their_difference(tmp_path):
    plots.before_after(
        [flat(RED), flat(GREEN)], [flat(RED), flat(BLUE)], tmp_path / "picture.png", names=["ann", "bob"]
    )
    picture = read(tmp_path / "picture.png")
    cell = 160 * 160  # ten pixels a side, enlarged sixteenfold
    assert (count(picture, RED), count(picture, GREEN), count(picture, BLUE)) == (2 * cell, cell, cell)
    assert count(picture, (128, 128, 128)) >= cell  # ann did not change
    assert count(picture, (128, 0, 255)) == cell  # bob lost his green and gained blue
    rows = [int(np.argwhere((picture == colour).all(axis=2))[:, 0].min()) for colour in (GREEN, BLUE, (128, 0, 255))]
    assert rows[0] < rows[1] < rows[2]


@pytest.mark.parametrize("side", [1, 7, 33, 112, 161, 250])
def test_faces_of_any_size_are_drawn_pixel_for_pixel(side, tmp_path):
    face = np.random.default_rng(side).integers(0, 256, (side, side, 3), dtype=np.uint8)
    plots.before_after([face], [face], tmp_path / "picture.png")
    picture = read(tmp_path / "picture.png")
    scale = max(1, -(-160 // side))
    shown = face.repeat(scale, axis=0).repeat(scale, axis=1)
    corner = 220, 8  # the margin of the row labels, the gap above
    part = picture[corner[1] : corner[1] + len(shown), corner[0] : corner[0] + len(shown)]
    np.testing.assert_array_equal(part, shown)


def test_every_arm_of_the_curves_is_drawn_in_its_own_colour(tmp_path):
    draw_learning(tmp_path / "curves.png")
    picture = read(tmp_path / "curves.png")
    for colour in plots.COLOURS[:2]:
        rgb = tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
        assert count(picture, rgb) > 500


def test_the_roc_starts_left_of_the_smallest_far_and_survives_a_million_pairs(tmp_path):
    far = np.linspace(0, 1, 1_000_001)
    plots.roc_figure({"clean": (far, np.sqrt(far))}, tmp_path / "roc.png")
    assert read(tmp_path / "roc.png").shape == (900, 1050, 3)


@pytest.mark.parametrize(
    ("draw", "sentence"),
    [
        (lambda path: plots.roc_figure({}, path), "There is no curve to draw"),
        (lambda path: plots.learning_curves({}, {}, path), "give the same arms to both"),
        (lambda path: plots.learning_curves(RANK1, {"clean": [1.0]}, path), "give the same arms to both"),
        (lambda path: plots.before_after([], [], path), "0 photos and 0 protected ones cannot be shown"),
        (lambda path: plots.before_after([flat(RED)], [], path), "1 photos and 0 protected ones"),
        (lambda path: plots.before_after([flat(RED)], [flat(RED, 11)], path), "all of one size"),
    ],
)
def test_what_cannot_be_drawn_is_named_in_a_sentence(draw, sentence, tmp_path):
    with pytest.raises(DataError, match=sentence):
        draw(tmp_path / "picture.png")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [r"$\frac$", "a$b$c", "\udcff", "a\nb", "\x1b[31m"])
def test_a_caption_may_be_any_name(tmp_path, name):
    """Neither a formula that does not parse, nor half a character, nor a second line."""
    plots.before_after([flat(RED)], [flat(BLUE)], tmp_path / "named.png", names=[name])
    assert count(read(tmp_path / "named.png"), RED) > 10_000


def test_dollars_in_a_caption_are_drawn_as_dollars(tmp_path):
    drawn = []
    for name in ("$xx$", "xx"):
        plots.before_after([flat(RED)], [flat(BLUE)], tmp_path / "named.png", names=[name])
        drawn.append(int((read(tmp_path / "named.png")[:30].sum(axis=2) < 600).sum()))
    assert drawn[0] > 1.5 * drawn[1] > 0  # more ink, where a formula would have less: two letters in italics
