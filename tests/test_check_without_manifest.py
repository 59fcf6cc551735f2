"""A copy that no manifest vouches for: a change that merely resembles some row is not taken for noise."""

from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image, ImageEnhance

from faceguard.bank import default_bank
from faceguard.check import check_photos


@pytest.mark.parametrize("factor", [0.95, 1.1])
def test_another_contrast_is_no_noise(tmp_path: Path, factor: float) -> None:
    picture = Image.fromarray(np.asarray(skimage.data.astronaut())[:300, 80:380])
    picture.save(tmp_path / "original.png")
    ImageEnhance.Contrast(picture).enhance(factor).save(tmp_path / "copy.png")
    (check,) = check_photos(tmp_path / "original.png", tmp_path / "copy.png", bank=default_bank()).photos
    assert (check.row_from, check.status in ("without noise", "over budget")) == ("correlation", True)
    assert check.noise_kept is not None and check.noise_kept > 0.1  # with one of the bank's hundred rows
    assert check.reason is not None and "altered since" not in check.reason  # as if it had been protected once
