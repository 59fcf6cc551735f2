"""Little noise in a copy is said, with what to do: where it is written, and where it is checked."""

from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from commands import coarse_bank, run
from PIL import Image

from faceguard import decode
from faceguard.batch import protect_photos
from faceguard.check import check_photos
from faceguard.listing import list_photos
from faceguard.protect import Protection
from faceguard.survival import LITTLE, published, weakness
from tests.test_protect import face, make_bank, save

SCENE = np.asarray(skimage.data.astronaut())[:300, 80:380]
WORDS = "is found in the face"


def test_half_of_the_noise_is_enough() -> None:
    assert weakness(None) is None and weakness(LITTLE) is None
    assert str(weakness(0.224)).startswith("Only 0.22 of the noise is found in the face (1 is all of it); use ")


@pytest.mark.parametrize("little", [False, True])
def test_protect_notes_it(tmp_path: Path, little: bool) -> None:
    Image.fromarray(SCENE).save(tmp_path / "me.jpg", quality=100)
    fine = torch.randint(-127, 128, (2, 3, 112, 112), generator=torch.Generator().manual_seed(0)).to(torch.int8)
    how = Protection(bank=make_bank(rows=fine), quality=60) if little else Protection(bank=make_bank())
    (result,) = protect_photos(
        list_photos(tmp_path / "me.jpg", "anna"), tmp_path / "out", how, rows={"anna": 1}
    ).results
    assert result.status == "protected" and result.noise_kept is not None
    assert (result.noise_kept < LITTLE, WORDS in str(result.reason)) == (little, little)


@pytest.mark.parametrize(("side", "noted"), [(150, True), (128, True), (161, False)])
def test_protect_notes_a_small_square_that_is_no_face_cut_out(tmp_path: Path, side: int, noted: bool) -> None:
    Image.fromarray(decode.resize(SCENE, side)).save(tmp_path / "me.png")
    Image.fromarray(decode.resize(face(), side)).save(tmp_path / "face.png")
    for name, expected in (("me", noted), ("face", False)):
        job = list_photos(tmp_path / f"{name}.png", "anna")
        (result,) = protect_photos(
            job, tmp_path / f"{name}-out", Protection(bank=make_bank()), rows={"anna": 1}
        ).results
        assert ("counts as a face that is cut out already" in str(result.reason)) == expected


def weaken(path: Path, before: np.ndarray) -> None:
    """A quarter of the noise, and other changes within the budget."""
    with Image.open(path) as picture:
        change = np.asarray(picture).astype(int) - before
    other = np.random.default_rng(0).integers(-10, 11, before.shape)
    save(np.clip(before + change // 4 + other, 0, 255).astype(np.uint8), path)


def test_check_notes_it_of_a_copy_that_passes_and_of_a_shrunk_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bank, flat = coarse_bank(), np.full((112, 112, 3), 120, dtype=np.uint8)
    bank.save(tmp_path / "bank")
    for name in ("good", "large", "weak"):
        save(flat, tmp_path / "in" / f"{name}.png")
    jobs, out = list_photos(tmp_path / "in", "anna"), tmp_path / "out"
    assert protect_photos(jobs, out, Protection(bank=bank), rows={"anna": 1}).complete
    for name in ("weak", "large"):
        weaken(out / f"{name}.png", flat)
    with Image.open(out / "large.png") as picture:
        picture.resize((224, 224), Image.Resampling.NEAREST).save(out / "large.png")
    good, large, weak = check_photos(tmp_path / "in", out, bank=bank).photos
    assert (good.status, good.reason) == ("protected", None)
    assert (weak.status, large.status) == ("protected", "another size")
    for check in (weak, large):
        assert check.noise_kept is not None and check.noise_kept < LITTLE
        assert check.reason is not None and check.reason.endswith(str(weakness(check.noise_kept)))
    _, _, err = run(capsys, "check", tmp_path / "in", out, "--noise", tmp_path / "bank", "--out", tmp_path / "report")
    assert f"note: weak.png: {weak.reason}" in " ".join(err.split()) and "good.png" not in err


def test_check_says_of_a_copy_with_loss_that_little_is_left(tmp_path: Path) -> None:
    picture = Image.fromarray(SCENE).resize((112, 112), Image.Resampling.LANCZOS)
    save(np.asarray(picture), tmp_path / "in" / "me.png")
    jobs = list_photos(tmp_path / "in", "anna")
    protect_photos(jobs, tmp_path / "out", Protection(bank=make_bank()), rows={"anna": 1})
    with Image.open(tmp_path / "out" / "me.png") as copy:
        save(published(np.asarray(copy), quality=30), tmp_path / "out" / "me.png")
    (check,) = check_photos(tmp_path / "in", tmp_path / "out", bank=make_bank()).photos
    assert check.status == "over budget" and check.noise_kept is not None and check.noise_kept < LITTLE
    assert str(check.reason).endswith(f"altered since. {weakness(check.noise_kept)}")
