"""LFW's pairs.txt and its photos: faceguard.readers.lfw."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceguard.errors import DataError
from faceguard.readers.lfw import LfwPairs, Pair, parse, read_pairs

PAIRS = "2\t1\nAnn\t1\t2\nAnn\t1\tBo\t1\nBo\t1\t3\nBo\t3\tAnn\t2\n"


def png(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4), (level, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def lfw(folder: Path, *stems: str, suffix: str = ".jpg") -> Path:
    for stem in stems:
        place = folder / stem.rpartition("_")[0]
        place.mkdir(parents=True, exist_ok=True)
        (place / (stem + suffix)).write_bytes(png(len(stem)))
    return folder


def text_file(folder: Path, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "pairs.txt").write_text(text)
    return folder / "pairs.txt"


def described(pairs: LfwPairs) -> list[tuple[str, str, bool, int]]:
    keys = [record.key for record in pairs.records]
    rows = zip(pairs.first, pairs.second, pairs.genuine, pairs.fold, strict=True)
    return [(keys[a], keys[b], bool(genuine), int(fold)) for a, b, genuine, fold in rows]


def test_lines_of_three_and_four_fields_are_genuine_and_impostor_pairs_in_folds(tmp_path: Path) -> None:
    expected = [
        Pair(("Ann", 1), ("Ann", 2), 0),
        Pair(("Ann", 1), ("Bo", 1), 0),
        Pair(("Bo", 1), ("Bo", 3), 1),
        Pair(("Bo", 3), ("Ann", 2), 1),
    ]
    assert parse(text_file(tmp_path, PAIRS)) == expected
    assert parse(text_file(tmp_path, PAIRS.replace("\t", "  ").replace("\n", "\r\n") + "\n\n")) == expected
    assert [pair.genuine for pair in expected] == [True, False, True, False]


def test_a_header_of_one_number_is_one_fold(tmp_path: Path) -> None:
    pairs = parse(text_file(tmp_path, "2\nAnn 1 2\nBo 1 3\nAnn 1 Bo 1\nBo 3 Ann 2\n"))
    assert [(pair.genuine, pair.fold) for pair in pairs] == [(True, 0), (True, 0), (False, 0), (False, 0)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"pairs\.txt is empty"),
        ("Ann\t1\t2\n", "Line 1 of .* must be"),
        ("2 1 1\n", "Line 1 of .* must be"),
        ("0 300\n", "Line 1 of .* must be"),
        (PAIRS.rsplit("\n", 2)[0], "announces 4 pairs .* and has 3"),
        (PAIRS + "Ann 1 2\n", "announces 4 pairs .* and has 5"),
        (PAIRS.replace("Bo\t1\t3", "Bo\t1\tx"), r"Line 4 of .* is 'Bo 1 x', not .* \(a genuine pair"),
        (PAIRS.replace("Bo\t1\t3", "Bo\t-1\t3"), "Line 4 of .* is 'Bo -1 3'"),
        (PAIRS.replace("Ann\t1\tBo\t1", "Ann\t1\tBo"), r"Line 3 of .* is 'Ann 1 Bo', not .* \(an impostor pair"),
        (PAIRS.replace("Ann\t1\tBo\t1", "Ann\t1\tAnn\t1"), "Line 3 of .* is 'Ann 1 Ann 1'"),
        (PAIRS.replace("Ann\t1\tBo\t1", "Ann\t1\t2"), "Line 3 of .* is 'Ann 1 2'"),
    ],
)
def test_a_wrong_line_is_a_data_error_that_names_it(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        parse(text_file(tmp_path, text))


def test_pairs_that_cannot_be_read_are_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read .*check the path"):
        parse(tmp_path / "absent.txt")
    (tmp_path / "pairs.txt").write_bytes(b"\xff\xfe1\0")
    with pytest.raises(DataError, match="cannot be read"):
        parse(tmp_path / "pairs.txt")


@pytest.mark.parametrize("suffix", [".jpg", ".PNG"])
def test_every_photo_is_listed_once_and_pairs_point_at_it(tmp_path: Path, suffix: str) -> None:
    folder = lfw(tmp_path / "photos", "Ann_0001", "Ann_0002", "Ann_0009", "Bo_0001", "Bo_0003", suffix=suffix)
    text_file(tmp_path, PAIRS)
    for pairs in (read_pairs(folder), read_pairs(folder, tmp_path / "pairs.txt")):
        assert [record.identity for record in pairs.records] == ["Ann", "Ann", "Bo", "Bo"]
        a1, a2, b1, b3 = (f"{name[:-5]}/{name}{suffix}" for name in ("Ann_0001", "Ann_0002", "Bo_0001", "Bo_0003"))
        assert described(pairs) == [(a1, a2, True, 0), (a1, b1, False, 0), (b1, b3, True, 1), (b3, a2, False, 1)]
        assert (pairs.missing, pairs.missing_pairs, len(pairs)) == ((), 0, 4)
        assert pairs.first.dtype == pairs.second.dtype == pairs.fold.dtype == np.int64
        assert pairs.records[0].read().shape == (4, 4, 3)


def test_absent_photos_take_their_pairs_out_and_are_named(tmp_path: Path) -> None:
    folder = lfw(tmp_path / "photos", "Ann_0001", "Bo_0001", "Bo_0003")
    pairs = read_pairs(folder, text_file(folder, PAIRS))
    assert described(pairs) == [
        ("Ann/Ann_0001.jpg", "Bo/Bo_0001.jpg", False, 0),
        ("Bo/Bo_0001.jpg", "Bo/Bo_0003.jpg", True, 1),
    ]
    assert pairs.missing == ("Ann_0002",)
    assert pairs.missing_pairs == 2


def test_a_photo_in_another_persons_folder_does_not_count(tmp_path: Path) -> None:
    folder = lfw(tmp_path / "photos", "Ann_0001", "Ann_0002", "Bo_0001")
    (folder / "Ann/Bo_0003.jpg").write_bytes(png(1))
    assert read_pairs(folder, text_file(folder, PAIRS)).missing == ("Bo_0003",)


def test_names_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    folder = lfw(tmp_path / "photos", "Ann_0001", "Ann_0002")
    (tmp_path / ".._0001.jpg").write_bytes(png(1))
    pairs = read_pairs(folder, text_file(folder, "1\nAnn 1 2\n.. 1 Ann 1\n"))
    assert pairs.missing == (".._0001",)


def test_no_photo_at_all_is_a_data_error_that_shows_what_is_expected(tmp_path: Path) -> None:
    folder = lfw(tmp_path / "photos", "Cleo_0001")
    with pytest.raises(DataError, match=r"no pair of photos that .*pairs\.txt names.*Ann/Ann_0001\.jpg"):
        read_pairs(folder, text_file(folder, PAIRS))


def test_missing_folder_and_missing_pairs_file_are_data_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist; check the path"):
        read_pairs(tmp_path / "absent")
    with pytest.raises(DataError, match=r"no pairs\.txt in .*--pairs"):
        read_pairs(lfw(tmp_path / "deep/photos", "Ann_0001"))


def test_pairs_follow_the_photos_that_could_be_read(tmp_path: Path) -> None:
    folder = lfw(tmp_path / "photos", "Ann_0001", "Ann_0002", "Bo_0001", "Bo_0003")
    pairs = read_pairs(folder, text_file(folder, PAIRS))
    keys = [pairs.records[i].key for i in (3, 0, 2)]
    kept = pairs.keep(keys)
    assert [record.key for record in kept.records] == keys
    assert described(kept) == [described(pairs)[1], described(pairs)[2]]
    assert kept.missing == ("Ann/Ann_0002.jpg",)
    assert kept.missing_pairs == 2
    with pytest.raises(DataError, match="None of the 4 pairs has two readable photos"):
        pairs.keep(keys[:1])


def test_the_real_pairs_find_all_their_photos(real_data: Path) -> None:
    pairs = read_pairs(real_data / "lfw/lfw-aligned-112")
    assert (len(pairs), len(pairs.records), pairs.missing_pairs) == (6000, 7701, 0)
    assert pairs.missing == ()
    assert all(int(pairs.genuine[pairs.fold == fold].sum()) == 300 for fold in range(10))
    assert np.bincount(pairs.fold).tolist() == [600] * 10
    names = np.array([record.identity for record in pairs.records])
    np.testing.assert_array_equal(names[pairs.first] == names[pairs.second], pairs.genuine)


def test_the_real_first_fold_is_enough_for_its_six_hundred_pairs(real_data: Path) -> None:
    pairs = read_pairs(real_data / "lfw/lfw-deepfunneled")
    assert (len(pairs), len(pairs.records), pairs.missing_pairs) == (600, 807, 5400)
    assert set(pairs.fold.tolist()) == {0}
    assert len(pairs.missing) == 7701 - 807


def test_an_archive_is_no_damaged_pickle_and_a_bin_has_pairs_of_its_own(tmp_path: Path) -> None:
    for name in ("lfw.tgz", "lfw.bin"):
        (tmp_path / name).write_bytes(b"\x1f\x8b")
    with pytest.raises(DataError, match=r"neither a folder nor insightface's \.bin; unpack it"):
        read_pairs(tmp_path / "lfw.tgz")
    with pytest.raises(DataError, match="leave --pairs out"):
        read_pairs(tmp_path / "lfw.bin", text_file(tmp_path / "list", PAIRS))
