"""How much of a noise survives publication: the curves, their points, and what is claimed about them."""

from dataclasses import replace

import numpy as np
import pytest
import skimage.data
from commands import coarse_bank
from PIL import Image

import eval.__main__ as harness
from eval.surviving import (
    COMPRESSED_FACE,
    FACE,
    LOSSLESS,
    QUALITY,
    SCALE,
    SurvivalStudy,
    _bounded,
    _expectations,
    _still_a_photo,
    _summary,
    survive,
)
from faceguard.errors import DataError
from faceguard.survival import published

FEW = {"qualities": (30, 95), "scales": (0.5,), "face_sizes": (40, 5000)}


@pytest.fixture
def photos(tmp_path, monkeypatch):
    (tmp_path / "photos" / "ann").mkdir(parents=True)
    astronaut = skimage.data.astronaut()[:300, 60:400]
    for i in range(2):
        Image.fromarray(np.clip(astronaut.astype(int) + 9 * i, 0, 255).astype(np.uint8)).save(
            tmp_path / "photos" / "ann" / f"{i}.png"
        )
    Image.new("RGB", (200, 200)).save(tmp_path / "photos" / "ann" / "wall.png")
    (tmp_path / "photos" / "ann" / "broken.jpg").write_text("no photo")
    fine = coarse_bank()
    rows = np.random.default_rng(0).integers(-127, 128, fine.rows.shape).astype(np.int8)
    banks = {"shipped": lambda: coarse_bank(), "plain": lambda: replace(fine, rows=fine.rows.new_tensor(rows))}
    monkeypatch.setattr("eval.surviving.WITH_THE_PACKAGE", banks)
    from eval.surviving import _bank

    _bank.cache_clear()
    yield tmp_path
    _bank.cache_clear()


def test_the_curves_hold_every_point_for_photos_with_a_face_and_coarse_noise_survives_better(photos):
    seen = []
    study = SurvivalStudy(claim="", photos={"photos": 1}, **FEW)
    found = survive(study, photos, workers=1, progress=lambda done, count: seen.append((done, count)))
    assert seen == [(i, 4) for i in range(1, 5)]
    coarse, fine = (found["folders"]["photos"][noise] for noise in ("shipped", "plain"))
    assert coarse.keys() == {LOSSLESS, QUALITY, SCALE, FACE, COMPRESSED_FACE}
    assert coarse[QUALITY].keys() == {"30", "95"}
    assert coarse[FACE].keys() == {"40"}  # the photo's own face is smaller than 5000 pixels
    assert coarse[LOSSLESS]["1"]["photos"] == 2
    assert coarse[LOSSLESS]["1"]["median"] > 0.8
    assert coarse[QUALITY]["95"]["median"] > coarse[QUALITY]["30"]["median"]
    assert coarse[COMPRESSED_FACE]["40"]["median"] < coarse[FACE]["40"]["median"]
    assert max(_bounded(np.zeros((3200, 800, 3), np.uint8)).shape) == 1600
    for curve, point in ((QUALITY, "30"), (SCALE, "0.5"), (FACE, "40")):
        assert coarse[curve][point]["median"] > fine[curve][point]["median"] + 0.1


def test_claims_are_about_the_shipped_noise(photos):
    study = SurvivalStudy(
        claim="", photos={"photos": 1}, qualities=(75,), scales=(), face_sizes=(), lossless_at_least=2
    )
    found = survive(study, photos, workers=1, progress=lambda *_: None)
    assert found["expectations"] == {"photos: lossless at least 2": False, "photos: JPEG 75 at least 0.6": True}


def test_a_curve_is_of_medians_and_quartiles_and_counts_noise_that_is_wholly_lost():
    found = _summary({("shipped", LOSSLESS, 1.0): [0.0, 0.9, 1.0, 0.8, 0.1], ("plain", QUALITY, 75): [0.0]})
    assert found["shipped"][LOSSLESS] == {"1": {"median": 0.8, "quartiles": [0.1, 0.9], "photos": 5}}
    assert found["plain"][QUALITY] == {"75": {"median": 0.0, "quartiles": [0.0, 0.0], "photos": 1}}


@pytest.mark.parametrize(
    ("lossless", "jpeg", "met"), [(0.8, 0.6, [True, True]), (0.79, 0.6, [False, True]), (1.0, 0.59, [True, False])]
)
def test_claims_are_met_from_their_bound_on_and_each_is_about_its_own_curve(lossless, jpeg, met):
    study = SurvivalStudy(claim="", photos={"photos": 1})
    shipped = {LOSSLESS: {"1": {"median": lossless}}, QUALITY: {"75": {"median": jpeg}}}
    assert list(_expectations(study, {"photos": {"shipped": shipped}}).values()) == met


def test_photos_are_published_as_the_names_of_the_curves_say(photos, monkeypatch):
    told = []
    monkeypatch.setattr(
        "eval.surviving.published", lambda written, **how: told.append(how) or published(written, **how)
    )
    study = SurvivalStudy(claim="", photos={"photos": 1}, noises=("shipped",), most=1, **FEW)
    survive(study, photos, workers=1, progress=lambda *_: None)
    assert told == [{"quality": 30}, {"quality": 95}, {"quality": 90, "scale": 0.5}, {"quality": 75}]


def test_photos_take_rows_in_turn_and_each_counts_against_its_own(photos, monkeypatch):
    told = []
    monkeypatch.setattr("eval.surviving.noise_kept", lambda _, written, delta, *, size: told.append(delta) or 0.0)
    study = SurvivalStudy(claim="", photos={"photos": 1}, qualities=(), scales=(), face_sizes=(), noises=("shipped",))
    found = survive(study, photos, workers=1, progress=lambda *_: None)
    rows = [[np.array_equal(delta, coarse_bank().delta(row).numpy()) for row in range(3)].index(True) for delta in told]
    assert rows == [0, 1] and found["folders"]["photos"]["shipped"][LOSSLESS]["1"]["photos"] == 2


def test_a_folder_without_a_face_is_a_sentence(tmp_path):
    (tmp_path / "walls" / "ann").mkdir(parents=True)
    Image.new("RGB", (200, 200)).save(tmp_path / "walls" / "ann" / "wall.png")
    study = SurvivalStudy(claim="", photos={"walls": 1}, **FEW)
    with pytest.raises(DataError, match="shows a usable face"):
        survive(study, tmp_path, workers=1, progress=lambda *_: None)


def test_the_recipe_runs_from_the_command_line_and_writes_its_result(photos, capsys):
    recipe = photos / "survival.py"
    recipe.write_text(
        "from eval.surviving import SurvivalStudy\nexperiment = SurvivalStudy(claim='', photos={'photos': 1})\n"
    )
    with pytest.raises(SystemExit) as left:
        harness.main([str(recipe), "--scale", "smoke", "--folder", str(photos), "--out", str(photos / "runs")])
    assert not left.value.code
    assert {path.name for path in (photos / "runs" / "survival-smoke").iterdir()} == {"result.json", "run.json"}


def test_a_square_photo_made_small_does_not_become_an_aligned_crop():
    large, small, crop = (np.zeros((side, side, 3), np.uint8) for side in (250, 120, 112))
    assert _still_a_photo(large, small).shape == (120, 119, 3)
    for same in (large, small[:100]):
        assert _still_a_photo(large, same) is same
    assert _still_a_photo(crop, small) is small
