"""Writing photo files: the same pixels again, whole files or none, and a sentence for what cannot be written."""

import errno
import io
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, JpegImagePlugin
from test_colour_profile import profile
from test_photo import picture

from faceguard.colour_profile import colours_only
from faceguard.errors import PhotoError
from faceguard.photo import LOSSLESS_SUFFIXES, PART_PATTERN, Photo, lossless, read, refuse_existing, write

PROFILE = colours_only(profile(2))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("round")


def as_alpha(kind: str, shape: tuple[int, int], random: np.random.Generator) -> np.ndarray | None:
    """Pixels of a photo's alpha channel: none at all, some hidden, all hidden, or all opaque."""
    if kind == "none":
        return None
    return random.integers(0, 256, shape, dtype=np.uint8) if kind == "mixed" else np.full(shape, int(kind), np.uint8)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from([*sorted(LOSSLESS_SUFFIXES), ".PNG", ".Tif"]),
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    seed=st.integers(0, 99),
    alpha=st.sampled_from(["none", "mixed", "0", "255"]),
    icc=st.sampled_from([None, PROFILE]),
)
def test_every_lossless_format_gives_back_pixels_alpha_and_profile(
    scratch: Path, suffix: str, shape: tuple[int, int], seed: int, alpha: str, icc: bytes | None
) -> None:
    random = np.random.default_rng(seed)
    pixels, hidden = random.integers(0, 256, (*shape, 3), dtype=np.uint8), as_alpha(alpha, shape, random)
    path = scratch / f"photo{suffix}"
    write(Photo(pixels=pixels, alpha=hidden, icc=icc), path, overwrite=True)
    back = read(path)
    assert lossless(path) and back.pixels.dtype == np.uint8
    assert np.array_equal(back.pixels, pixels)  # also where alpha is 0
    assert back.icc == icc and back.exif is None and back.notes == ()
    if hidden is None or (hidden == 255).all():
        assert back.alpha is None
    else:
        assert back.alpha is not None and np.array_equal(back.alpha, hidden)


@pytest.mark.parametrize(
    ("suffix", "form"), [(".png", "PNG"), (".webp", "WEBP"), (".tif", "TIFF"), (".tiff", "TIFF"), (".TIFF", "TIFF")]
)
def test_the_ending_decides_the_format(tmp_path: Path, suffix: str, form: str) -> None:
    path = tmp_path / "new" / "folder" / f"a{suffix}"
    write(Photo(pixels=picture()), path)
    with Image.open(path) as image:
        assert image.format == form
        assert form != "TIFF" or image.info["compression"] == "tiff_adobe_deflate"


@pytest.mark.parametrize(("quality", "worst"), [(95, 4), (30, 40)])
@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG", ".webp"])
def test_a_quality_allows_jpeg_and_makes_webp_lossy(tmp_path: Path, suffix: str, quality: int, worst: int) -> None:
    path, rough = tmp_path / f"a{suffix}", np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    smooth = picture(40, 40)
    write(Photo(pixels=smooth, icc=PROFILE), path, quality=quality)
    back = read(path)
    assert 0 < np.abs(back.pixels.astype(int) - smooth).mean() < worst and back.icc == PROFILE
    write(Photo(pixels=rough), tmp_path / f"low{suffix}", quality=10)
    write(Photo(pixels=rough), tmp_path / f"high{suffix}", quality=quality)
    assert (tmp_path / f"low{suffix}").stat().st_size < (tmp_path / f"high{suffix}").stat().st_size


def test_a_jpeg_has_its_colours_at_full_resolution(tmp_path: Path) -> None:
    write(Photo(pixels=picture()), tmp_path / "a.jpg", quality=90)
    with Image.open(tmp_path / "a.jpg") as image:
        assert JpegImagePlugin.get_sampling(image) == 0  # 4:4:4


def test_a_quality_changes_nothing_in_png_and_tiff(tmp_path: Path) -> None:
    for suffix in (".png", ".tif"):
        write(Photo(pixels=picture()), tmp_path / f"a{suffix}", quality=1)
        assert np.array_equal(read(tmp_path / f"a{suffix}").pixels, picture())


def test_a_lossy_webp_keeps_its_alpha(tmp_path: Path) -> None:
    alpha = picture()[..., 0]
    write(Photo(pixels=picture(), alpha=alpha), tmp_path / "a.webp", quality=80)
    back = read(tmp_path / "a.webp")
    assert back.alpha is not None and np.array_equal(back.alpha, alpha) and not np.array_equal(back.pixels, picture())


@pytest.mark.parametrize("name", ["a.png", "a.PNG", "a.webp", "a.tif", "a.tiff", "a.jpg", "a.jpeg", "a.gif", "a"])
def test_lossless_says_what_writing_does(tmp_path: Path, name: str) -> None:
    exact = Path(name).suffix.lower() in LOSSLESS_SUFFIXES
    assert lossless(Path(name)) == exact
    assert lossless(Path(name), 90) == (exact and name != "a.webp")
    if exact or "jp" in name:
        write(Photo(pixels=picture()), tmp_path / name, quality=90)
        assert np.array_equal(read(tmp_path / name).pixels, picture()) == lossless(Path(name), 90)


@pytest.mark.parametrize(
    ("name", "alpha", "options", "words"),
    [
        ("a.jpg", False, {}, "loses part of the noise; write .png, or accept the loss with --quality"),
        ("a.JPEG", False, {}, "loses part of the noise"),
        ("a.jpg", True, {"quality": 90}, "transparent parts .* write PNG"),
        ("a.heic", False, {}, r"does not end in \.png, \.webp, \.tif, \.tiff, \.jpg, \.jpeg"),
        ("a.gif", False, {"quality": 90}, r"does not end in \.png"),
        ("a", False, {}, r"does not end in \.png"),
        (".png", False, {}, r"does not end in \.png"),
        ("a.jpg", False, {"quality": 0}, "choose one from 1 to 100"),
        ("a.webp", False, {"quality": 101}, "choose one from 1 to 100"),
    ],
)
def test_what_cannot_be_written_is_said_and_leaves_nothing(
    tmp_path: Path, name: str, alpha: bool, options: dict[str, Any], words: str
) -> None:
    photo = Photo(pixels=picture(), alpha=picture()[..., 0] if alpha else None)
    with pytest.raises(PhotoError, match=words) as caught:
        write(photo, tmp_path / "new" / name, **options)
    assert str(caught.value).startswith(str(tmp_path / "new" / name)) and str(caught.value).endswith(".")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp", "a.jpg"])
@pytest.mark.parametrize("shape", [(1, 1), (50, 16_383), (16_383, 3)])
def test_tiny_and_very_long_photos_are_written(tmp_path: Path, name: str, shape: tuple[int, int]) -> None:
    pixels = np.zeros((*shape, 3), np.uint8)
    pixels[-1, -1] = 255, 0, 70
    write(Photo(pixels=pixels), tmp_path / name, quality=90)
    back = read(tmp_path / name).pixels
    assert back.shape == pixels.shape and (not lossless(Path(name), 90) or np.array_equal(back, pixels))


def test_a_photo_too_long_for_a_format_is_a_sentence_that_names_png(tmp_path: Path) -> None:
    for shape, name in (((50, 20_000), "a.webp"), ((2, 70_000), "a.jpg")):
        photo = Photo(pixels=np.zeros((*shape, 3), np.uint8))
        with pytest.raises(PhotoError, match=r"cannot be written as .*write \.png instead"):
            write(photo, tmp_path / name, quality=None if name == "a.webp" else 90)
        assert list(tmp_path.iterdir()) == []
        write(photo, tmp_path / "a.png")
        assert read(tmp_path / "a.png").pixels.shape == (*shape, 3)
        (tmp_path / "a.png").unlink()


@pytest.mark.parametrize("name", ["a" * 251 + ".png", "é" * 125 + "b.png", "a" * 250 + ".webp"])
def test_the_longest_names_are_written(tmp_path: Path, name: str) -> None:
    assert len(name.encode()) == 255
    write(Photo(pixels=picture()), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_is_written_beside_its_place_under_a_name_that_a_clean_up_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []
    monkeypatch.setattr(Image.Image, "save", lambda self, file, **options: seen.append(Path(file.name)))
    write(Photo(pixels=picture()), tmp_path / "a.png")
    write(Photo(pixels=picture()), tmp_path / "b.png")
    assert {path.parent for path in seen} == {tmp_path} and len(set(seen)) == 2
    assert all(fnmatch(path.name, PART_PATTERN) and path.suffix == ".part" for path in seen)
    seen[0].touch()
    (tmp_path / ".faceguard-notes.txt").touch()
    assert list(tmp_path.rglob(PART_PATTERN)) == seen[:1]


def test_an_existing_file_stays_unless_overwriting_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"precious")
    with pytest.raises(PhotoError, match="already exists"):
        write(Photo(pixels=picture()), path)
    with pytest.raises(PhotoError, match="already exists"):
        refuse_existing(path)
    assert path.read_bytes() == b"precious"
    write(Photo(pixels=picture()), path, overwrite=True)
    assert np.array_equal(read(path).pixels, picture())


def test_a_broken_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to(tmp_path / "elsewhere.png")
    with pytest.raises(PhotoError, match="already exists"):
        write(Photo(pixels=picture()), tmp_path / "a.png")
    write(Photo(pixels=picture()), tmp_path / "a.png", overwrite=True)
    assert not (tmp_path / "a.png").is_symlink() and not (tmp_path / "elsewhere.png").exists()


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif", "a.jpg"])
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def full(self: Image.Image, file: io.BufferedRandom, **settings: Any) -> None:
        file.write(b"half a photo")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(PhotoError, match="No space left"):
        write(Photo(pixels=picture()), tmp_path / name, quality=90)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Image.Image, file: io.BufferedRandom, **settings: Any) -> None:
        raise KeyboardInterrupt

    (tmp_path / "a.png").write_bytes(b"the old file")
    monkeypatch.setattr(Image.Image, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(Photo(pixels=picture()), tmp_path / "a.png", overwrite=True)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"the old file"]


def test_a_file_in_place_of_the_folder_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "folder").write_bytes(b"a file")
    with pytest.raises(PhotoError, match="cannot be written"):
        write(Photo(pixels=picture()), tmp_path / "folder" / "a.png")


def test_written_photos_have_the_permissions_of_ordinary_files(tmp_path: Path) -> None:
    (tmp_path / "ordinary").touch()
    write(Photo(pixels=picture()), tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "ordinary").stat().st_mode
