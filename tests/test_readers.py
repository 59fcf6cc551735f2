"""Recognising data sets, folders per identity and CelebA: faceguard.readers."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceguard import readers
from faceguard.errors import DataError, PhotoError
from faceguard.listing import list_photos


def photo(path: Path, level: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 3), (level, level, level)).save(path, "PNG")
    return path


def listed(path: Path) -> list[tuple[str, str]]:
    return [(record.key, record.identity) for record in readers.find(path)]


def celeba(root: Path, lines: str, folder: str = "img_align_celeba", names: tuple[str, ...] = ()) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "identity_CelebA.txt").write_text(lines)
    for name in names:
        photo(root / folder / name)
    return root


def test_a_folder_per_identity_is_listed_sorted_with_photos_at_any_depth(tmp_path: Path) -> None:
    for name in ("Bo/b.JPG", "Bo/2020/may/a.png", "Ann/2.jpeg", "Ann/10.webp", "A b/x.bmp"):
        photo(tmp_path / name)
    assert listed(tmp_path) == [
        ("A b/x.bmp", "A b"),
        ("Ann/10.webp", "Ann"),
        ("Ann/2.jpeg", "Ann"),
        ("Bo/2020/may/a.png", "Bo"),
        ("Bo/b.JPG", "Bo"),
    ]


def test_every_ending_that_is_protected_is_read_as_well(tmp_path: Path) -> None:
    endings = ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "gif", "tif", "tiff", "heic", "heif", "avif"]
    for ending in endings:
        photo(tmp_path / f"Ann/{ending}.{ending}")
    assert {key for key, _ in listed(tmp_path)} == {f"Ann/{ending}.{ending}" for ending in endings}
    assert {job.relative.as_posix() for job in list_photos(tmp_path)} == {key for key, _ in listed(tmp_path)}


def test_hidden_files_other_files_and_empty_identities_are_skipped(tmp_path: Path) -> None:
    photo(tmp_path / "Ann/1.png")
    for name in ("Ann/.1.png", "Ann/.thumbs/1.png", ".git/1.png", "Ann/notes.txt", "loose.png"):
        photo(tmp_path / name)
    (tmp_path / "Nobody").mkdir()
    assert listed(tmp_path) == [("Ann/1.png", "Ann")]


def test_listing_decodes_nothing_and_reading_gives_the_photo(tmp_path: Path) -> None:
    photo(tmp_path / "Ann/1.png", level=9)
    (tmp_path / "Ann/2.png").write_bytes(b"no picture")
    good, bad = readers.find(tmp_path)
    assert (pickle.loads(pickle.dumps(good)).read() == np.full((3, 4, 3), 9)).all()
    assert good.source == tmp_path / "Ann/1.png"
    with pytest.raises(PhotoError, match=r"Ann/2\.png is not a picture"):
        bad.read()


def test_an_identity_folder_may_be_a_link(tmp_path: Path) -> None:
    photo(tmp_path / "elsewhere/1.png")
    (tmp_path / "set").mkdir()
    (tmp_path / "set/Ann").symlink_to(tmp_path / "elsewhere")
    assert listed(tmp_path / "set") == [("Ann/1.png", "Ann")]


def test_a_missing_path_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist; check the path"):
        readers.find(tmp_path / "absent")
    with pytest.raises(DataError, match=r"cannot be read \(.*File name too long"):
        readers.find(tmp_path / ("a" * 300))


def test_an_unknown_format_is_a_data_error_that_says_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    for path in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(DataError, match=r"one folder of photos per person.*identity_CelebA.*train\.rec.*parquet"):
            readers.find(path)


def test_folders_without_photos_are_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "Ann").mkdir()
    with pytest.raises(DataError, match=r"hold no photos \(.*\.jpg.*give one folder per person"):
        readers.find(tmp_path)


def test_loose_photos_are_a_data_error_that_asks_for_folders(tmp_path: Path) -> None:
    photo(tmp_path / "1.png")
    with pytest.raises(DataError, match="photos but no folders"):
        readers.find(tmp_path)


def test_an_unreadable_folder_is_a_data_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo(tmp_path / "Ann/1.png")

    def refuse(self: Path) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DataError, match=r"cannot be read .*check the path and its permissions"):
        readers.find(tmp_path)


def test_an_unreadable_identity_is_a_data_error_and_not_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo(tmp_path / "Ann/1.png")

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(DataError, match=r"Ann cannot be read \(Permission denied\)"):
        readers.folder.records(tmp_path)


@pytest.mark.parametrize("folder", ["img_align_celeba", "img_celeba"])
def test_celeba_is_listed_by_identity_number_from_its_root_or_its_photo_folder(tmp_path: Path, folder: str) -> None:
    lines = "000003.jpg 10\n000001.jpg 9\n\n000002.jpg 10\n"
    celeba(tmp_path, lines, folder, ("000001.jpg", "000002.jpg", "000003.jpg", "unlisted.jpg"))
    expected = [(f"{folder}/00000{i}.jpg", name) for i, name in ((1, "9"), (2, "10"), (3, "10"))]
    assert listed(tmp_path) == expected
    assert listed(tmp_path / folder) == expected
    assert readers.find(tmp_path)[0].read().shape == (3, 4, 3)


def test_celeba_is_found_in_the_folders_it_is_distributed_in_and_aligned_photos_win(tmp_path: Path) -> None:
    (tmp_path / "Anno").mkdir()
    (tmp_path / "Anno/identity_CelebA.txt").write_text("1.jpg 5\n")
    photo(tmp_path / "Img/img_celeba/1.jpg")
    assert listed(tmp_path) == [("img_celeba/1.jpg", "5")]
    photo(tmp_path / "Img/img_align_celeba/1.jpg")
    assert listed(tmp_path) == [("img_align_celeba/1.jpg", "5")]


@pytest.mark.parametrize("named", ["", "img_align_celeba", "img_align_celeba/img_align_celeba"])
def test_kaggles_celeba_has_its_photo_folder_inside_one_of_the_same_name(tmp_path: Path, named: str) -> None:
    celeba(tmp_path, "1.jpg 5\n2.jpg 6\n", "img_align_celeba/img_align_celeba", ("1.jpg", "2.jpg"))
    assert listed(tmp_path / named) == [("img_align_celeba/1.jpg", "5"), ("img_align_celeba/2.jpg", "6")]


def test_a_subset_of_celeba_may_keep_the_full_list(tmp_path: Path) -> None:
    celeba(tmp_path, "1.jpg 5\n2.jpg 5\n3.jpg 6\n", names=("2.jpg",))
    assert listed(tmp_path) == [("img_align_celeba/2.jpg", "5")]


def test_celeba_without_any_listed_photo_is_a_data_error(tmp_path: Path) -> None:
    celeba(tmp_path, "1.jpg 5\n2.jpg 5\n", names=("3.jpg",))
    with pytest.raises(DataError, match=r"None of the 2 photos in .*identity_CelebA\.txt"):
        readers.find(tmp_path)


@pytest.mark.parametrize("line", ["2.jpg", "2.jpg five", "2.jpg -5", "2.jpg ²", "2.jpg 5 6"])
def test_a_damaged_line_of_celebas_list_is_named(tmp_path: Path, line: str) -> None:
    celeba(tmp_path, f"1.jpg 5\n{line}\n", names=("1.jpg", "2.jpg"))
    with pytest.raises(DataError, match=r"Line 2 of .*identity_CelebA\.txt is "):
        readers.find(tmp_path)


def test_half_of_celeba_is_a_data_error_that_names_the_other_half(tmp_path: Path) -> None:
    celeba(tmp_path / "list", "1.jpg 5\n")
    with pytest.raises(DataError, match=r"identity_CelebA\.txt without img_align_celeba or img_celeba"):
        readers.find(tmp_path / "list")
    photo(tmp_path / "photos/img_celeba/1.jpg")
    for path in (tmp_path / "photos", tmp_path / "photos/img_celeba"):
        with pytest.raises(DataError, match=r"without identity_CelebA\.txt; put that file beside"):
            readers.find(path)


def test_a_list_that_is_no_text_is_a_data_error(tmp_path: Path) -> None:
    celeba(tmp_path, "", names=("1.jpg",))
    (tmp_path / "identity_CelebA.txt").write_bytes(b"\xff\xfe1.jpg 5")
    with pytest.raises(DataError, match=r"identity_CelebA\.txt cannot be read"):
        readers.find(tmp_path)


def test_the_real_sets_are_recognised_and_counted(real_data: Path) -> None:
    for name, photos, identities in (
        ("celeba-100", 2640, 100),
        ("pins-105", 3150, 105),
        ("lfw/lfw-aligned-112", 7701, None),
    ):
        records = readers.find(real_data / name)
        assert len(records) == len({record.key for record in records}) == photos
        if identities is not None:
            assert len({record.identity for record in records}) == identities


def test_a_sets_parts_are_no_people(tmp_path: Path) -> None:
    """VGGFace2 as it is unpacked: train/n000001/0001.jpg."""
    for place in ("train/n000001", "test/n000009"):
        (tmp_path / place).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(tmp_path / place / "1.png")
    with pytest.raises(DataError, match=r"holds test and train with people's folders inside; name one of them"):
        readers.find(tmp_path)
    assert [record.identity for record in readers.find(tmp_path / "train")] == ["n000001"]
    (tmp_path / "others").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "others" / "1.png")
    assert {record.identity for record in readers.find(tmp_path)} == {"train", "test", "others"}
