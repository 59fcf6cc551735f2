"""The commands `faceguard data fetch` and `faceguard data check`, and what they say: faceguard.cli_data, .inventory."""

import hashlib
import pickle
from typing import get_args

import pytest
import torchvision
from commands import fail, run, succeed, write_corrupt, write_faces
from PIL import Image
from small_sets import png, write_cifar10, write_imagenet, write_parquet, write_svhn
from test_fetch import publish, serve

from faceguard import fetch, inventory
from faceguard.cli_data import SetName
from faceguard.inventory import lfw_names, shared_names

OVERLAPS = (  # between Pins and all 5,749 people of LFW, as LFW spells them; the two in front have no pair
    *("Adriana_Lima", "Christian_Bale"),
    *("Avril_Lavigne", "Ben_Affleck", "Bill_Gates", "Dwayne_Johnson", "Emma_Watson", "Gwyneth_Paltrow", "Johnny_Depp"),
    *("Keanu_Reeves", "Leonardo_DiCaprio", "Morgan_Freeman", "Robert_De_Niro", "Robert_Downey_Jr", "Tom_Cruise"),
)


def lines(text):
    """What a command says, without its progress bar."""
    return [line for line in text.splitlines() if "━" not in line and line.strip()]


def check(capsys, path, *more):
    """Check a sound folder; returns what is said about it."""
    return lines(succeed(capsys, "data", "check", path, *more))


# ---- fetch


def test_fetch_says_what_it_gets_from_where_and_what_arrived(capsys, tmp_path, monkeypatch):
    publish(monkeypatch, tmp_path, "cifar10")
    code, out, _ = run(capsys, "data", "fetch", "cifar10", "--into", tmp_path / "data")
    assert code == 0
    said = lines(out)
    assert (
        said[0]
        == f"Fetching {(tmp_path / 'cifar-10-python.tar.gz').as_uri()}, from the project page {fetch.PAGES['cifar10']}."
    )
    counts = "CIFAR-10 as its author's pickles, 3 classes, 10 photos to train on, 3 to test on."
    assert said[1] == f"{tmp_path / 'data/cifar10'}: {counts}"
    assert "already exists" in fail(capsys, "data", "fetch", "cifar10", "--into", tmp_path / "data")


def test_fetch_of_a_damaged_file_exits_with_1_and_a_sentence(capsys, tmp_path, monkeypatch):
    publish(monkeypatch, tmp_path, "svhn")
    serve(monkeypatch, tmp_path / "svhn/train_32x32.mat", md5="f" * 32)
    code, _, err = run(capsys, "data", "fetch", "svhn", "--into", tmp_path / "data")
    assert code == 1
    assert "Error: " in err and "arrived with another MD5" in err.splitlines()[-1]
    assert not (tmp_path / "data/svhn").exists()


@pytest.mark.parametrize("name", fetch.ON_REQUEST)
def test_fetch_of_a_set_on_request_exits_with_1_and_says_where_to_ask(capsys, tmp_path, name):
    assert str(tmp_path) in fail(capsys, "data", "fetch", name, "--into", tmp_path)


def test_fetch_knows_the_sets_that_can_be_fetched_or_asked_for():
    assert set(get_args(SetName)) == fetch.PAGES.keys() | fetch.ON_REQUEST.keys()


# ---- check: what it is


def test_check_counts_a_folder_per_identity(capsys, tmp_path):
    write_faces(tmp_path, photos=4)
    (tmp_path / "synthetic-002/03.png").unlink()
    assert check(capsys, tmp_path) == [
        f"{tmp_path}: a folder per identity, 3 identities.",
        "11 photos; per identity 3 to 4, median 4.",
        "Sizes in pixels: 112 x 112 (11).",
        "Names were not compared with LFW's; --lfw does it.",
        "11 of 11 photos were decoded, and none is damaged.",
    ]


def test_check_counts_both_parts_of_a_parquet_set_and_the_class_without_photos(capsys, tmp_path):
    write_parquet(tmp_path / "train.parquet", [0, 2, 0, 0], ["a", "b", "c"])
    write_parquet(tmp_path / "test.parquet", [0, 1], ["a", "b", "c"], photos={1: png(9, size=40)})
    assert check(capsys, tmp_path)[:-1] == [
        f"{tmp_path}: parquet, 3 classes.",
        "4 training photos; per class 0 to 3, median 1.",
        "2 test photos; per class 0 to 1, median 1.",
        "Sizes in pixels: 32 x 32 (5), 40 x 40 (1).",
    ]


def test_check_knows_svhn_imagenet_celeba_and_insightfaces_bin(capsys, tmp_path, monkeypatch):
    write_svhn(tmp_path / "svhn")
    monkeypatch.setattr(inventory, "unlike_published", lambda files: [])
    assert check(capsys, tmp_path / "svhn")[0].endswith("SVHN as its authors' MATLAB files, 10 classes.")
    write_imagenet(tmp_path / "imagenet")
    assert check(capsys, tmp_path / "imagenet")[0].endswith("ImageNet's folders, 3 classes.")
    (tmp_path / "celeba/img_align_celeba").mkdir(parents=True)
    Image.new("RGB", (178, 218)).save(tmp_path / "celeba/img_align_celeba/1.jpg")
    (tmp_path / "celeba/identity_CelebA.txt").write_text("1.jpg 7\n")
    (tmp_path / "pairs.txt").write_text("1\nAnn 1 2\nAnn 1 Bo 1\n")
    said = check(capsys, tmp_path / "celeba", "--lfw", tmp_path / "pairs.txt")
    assert said[0].endswith("CelebA, 1 identities.")
    assert "numbers" in said[-2]
    write_faces(tmp_path / "others", identities=1, photos=1, size=16)
    assert not [line for line in check(capsys, tmp_path / "others") if "pairs" in line], "pairs.txt names nobody here"
    (tmp_path / "lfw.bin").write_bytes(pickle.dumps(([png(1), png(2)] * 2, [True, False])))
    said = check(capsys, tmp_path / "lfw.bin")
    assert said[:3] == [
        f"{tmp_path / 'lfw.bin'}: LFW's pairs in insightface's .bin.",
        "2 photos.",
        "LFW's pairs: 2, 0 of them without both photos.",
    ]


def test_check_gives_the_range_of_many_sizes(capsys, tmp_path):
    (tmp_path / "Ann").mkdir()
    for i in range(6):
        Image.new("RGB", (100 + i, 300 - i)).save(tmp_path / f"Ann/{i}.png")
    assert "Sizes in pixels: 6 different, widths 100 to 105, heights 295 to 300." in check(capsys, tmp_path)


def test_quick_decodes_photos_spread_over_the_whole_set(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(inventory, "SAMPLE", 3)
    write_faces(tmp_path, identities=2, photos=5, size=16)
    for name in ("synthetic-000/01.png", "synthetic-001/03.png"):
        write_corrupt(tmp_path / name)
    said = check(capsys, tmp_path, "--quick")
    assert said[1] == "10 photos; per identity 5 to 5, median 5."
    assert said[-1] == "3 of 10 photos were decoded, and none is damaged."
    write_corrupt(tmp_path / "synthetic-001/04.png")
    assert run(capsys, "data", "check", tmp_path, "--quick")[0] == 1, "the last photo belongs to the sample"


# ---- check: what is damaged


def test_check_names_the_photos_that_lie_beside_the_folders_and_exits_with_1(capsys, tmp_path):
    write_faces(tmp_path, size=16)
    write_corrupt(tmp_path / "loose.jpg")
    code, out, err = run(capsys, "data", "check", tmp_path)
    assert (code, "none is damaged" in out) == (1, False)
    assert err.startswith("left out: loose.jpg: It lies beside the folders of identities")


def test_check_names_every_unreadable_photo_and_exits_with_1(capsys, tmp_path):
    write_faces(tmp_path, size=16)
    for name in ("synthetic-000/01.png", "synthetic-002/03.png"):
        write_corrupt(tmp_path / name)
    code, out, err = run(capsys, "data", "check", tmp_path)
    assert code == 1
    assert [line.split(": ")[:2] for line in err.splitlines()] == [
        ["damaged", "synthetic-000/01.png"],
        ["damaged", "synthetic-002/03.png"],
    ]
    assert "12 photos; per identity 4 to 4, median 4." in out
    assert "none is damaged" not in out


def test_check_compares_cifars_files_with_their_published_md5(capsys, tmp_path, monkeypatch):
    write_cifar10(tmp_path / "cifar-10-batches-py")
    names = {
        "data_batch_1",
        "data_batch_2",
        "data_batch_3",
        "data_batch_4",
        "data_batch_5",
        "test_batch",
        "batches.meta",
    }
    code, _, err = run(capsys, "data", "check", tmp_path)
    assert code == 1
    assert {line.split(": ")[1] for line in err.splitlines()} == names
    assert err.count("another MD5 than the published file; fetch the set again.") == len(names)
    md5 = [[name, hashlib.md5((tmp_path / "cifar-10-batches-py" / name).read_bytes()).hexdigest()] for name in names]
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "train_list", md5)
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "test_list", [])
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "meta", {"filename": md5[0][0], "md5": md5[0][1]})
    assert check(capsys, tmp_path)[-1] == "13 of 13 photos were decoded, and none is damaged."


def test_what_is_no_data_set_is_one_sentence(capsys, tmp_path):
    assert "does not exist" in fail(capsys, "data", "check", tmp_path / "absent")
    assert "none of the known face sets" in fail(capsys, "data", "check", tmp_path)


# ---- check: who is in LFW as well


def test_names_are_compared_without_case_and_with_spaces_for_underscores():
    names = ["Ann_Lee", "Bo li ", "CLEO  da Vinci", "Dan", "Ann_Leeson"]
    assert shared_names(names, ["ann lee", "Bo_Li", "Cleo_Da_Vinci", "dan_o"]) == names[:3]
    spelt = {"Pen\u00e9lope Cruz": "Penelope_Cruz", "Zoe\u0308 Ball": "Zo\u00eb_Ball", "pins_Al B.": "Al_B"}
    assert all(shared_names([name], [other]) == [name] for name, other in spelt.items())


def test_lfws_people_are_those_with_photos_and_those_on_its_lists(tmp_path):
    drawn = sorted(path.name for path in write_faces(tmp_path / "images", identities=2, photos=1, size=16).iterdir())
    (tmp_path / "images/Nobody").mkdir()
    assert lfw_names(tmp_path / "images") == drawn
    (tmp_path / "pairs.txt").write_text(f"1\n{drawn[0]} 1 2\n{drawn[0]} 1 Bo 1\n")
    assert lfw_names(tmp_path / "images") == ["Bo", *drawn]
    assert lfw_names(tmp_path / "pairs.txt") == lfw_names(tmp_path) == ["Bo", drawn[0]], "images is a folder, nobody"
    (tmp_path / "lfw-names.txt").write_text("Cleo 3\nDan\t1\n")
    assert lfw_names(tmp_path / "lfw-names.txt") == ["Cleo", "Dan"]
    assert lfw_names(tmp_path / "images") == ["Bo", "Cleo", "Dan", *drawn]


def test_an_lfw_that_is_none_is_one_sentence(capsys, tmp_path):
    write_faces(tmp_path / "faces", identities=1, photos=1, size=16)
    (tmp_path / "notes.txt").write_text("hello\n")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    for lfw, words in (("absent", "does not exist"), ("notes.txt", "Line 1 of"), ("photo.jpg", "cannot be read")):
        assert words in fail(capsys, "data", "check", tmp_path / "faces", "--lfw", tmp_path / lfw)


def test_who_occurs_in_lfw_is_named(capsys, tmp_path):
    write_faces(tmp_path / "faces", photos=1, size=16)
    (tmp_path / "lfw-names.txt").write_text("Synthetic-001 1\nAnn 2\n")
    said = check(capsys, tmp_path / "faces", "--lfw", tmp_path / "lfw-names.txt")
    assert said[-2] == (
        f"1 of 3 names also occur among the 2 of LFW's 5749 people whom {tmp_path / 'lfw-names.txt'} names: synthetic-001."
    )


def test_real_overlaps_of_pins_and_lfw_are_found_exactly(capsys, real_data, tmp_path):
    """Two of the fifteen have a photo in LFW but no pair, so only LFW's own list of names can tell."""
    people = sorted({record.identity for record in inventory.recognise(real_data / "pins-105")[1]})
    plain = {name.casefold() for name in OVERLAPS}
    in_pairs = lfw_names(real_data / "lfw/lfw-aligned-112")
    assert len(in_pairs) == 4281
    assert {name.casefold() for name in shared_names(people, in_pairs)} == plain - {"adriana_lima", "christian_bale"}
    (tmp_path / "lfw-names.txt").write_text("".join(f"{name}\t1\n" for name in {*in_pairs, *OVERLAPS}))
    said = check(capsys, real_data / "pins-105", "--quick", "--lfw", tmp_path / "lfw-names.txt")
    assert said[-2].startswith("15 of 105 names")
    assert {name.casefold() for name in said[-2].rstrip(".").split(": ")[-1].replace(" ", "_").split(",_")} == plain


def test_real_lfw_has_all_its_pairs_and_a_part_of_it_has_not(capsys, real_data):
    said = check(capsys, real_data / "lfw/lfw-aligned-112", "--quick")
    assert said[2] == "LFW's pairs: 6000, 0 of them without both photos."
    said = check(capsys, real_data / "lfw/lfw-deepfunneled", "--quick")
    assert said[2] == "LFW's pairs: 6000, 5400 of them without both photos."
