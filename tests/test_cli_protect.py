"""``faceguard protect``: noise within the budget on the face alone; a photo that fails stops no other."""

import re

import numpy as np
import pytest
import skimage.data
from commands import coarse_bank, fail, mistype, pixels_of, run, succeed, write_corrupt, write_faces
from PIL import Image
from protecting import bank, manifest, people, portrait, rows  # noqa: F401

from faceguard.bank import default_bank, load_bank, plain_bank


def test_aligned_faces_carry_exactly_their_row(capsys, tmp_path, people, bank):
    out = succeed(capsys, "protect", people, tmp_path, "--noise", bank, "--assign", "round-robin")
    assert f"6 of 6 photos protected in {tmp_path}; manifest.jsonl lists them all." in out
    for row in range(3):
        name = f"synthetic-{row:03d}/01.png"
        expected = np.clip(pixels_of(people / name) + load_bank(bank).levels(row), 0, 255)
        assert np.array_equal(pixels_of(tmp_path / name), expected)
    assert rows(tmp_path) == {"synthetic-000": 0, "synthetic-001": 1, "synthetic-002": 2}
    assert "Noise kept: 1.00 (1 is best: all of it survived; median over photos)." in out
    assert out.rstrip().endswith("less when photos of the same people without it are out there.")


@pytest.mark.parametrize(("bank", "levels", "cells"), [(default_bank(), 12, 28), (plain_bank(), 16, None)])
def test_the_banks_that_ship_hold_a_hundred_rows_and_their_source_model(bank, levels, cells):
    assert bank.rows.shape == (100, 3, 112, 112)
    assert (bank.epsilon, bank.cells) == (levels / 255, cells)
    assert bank.form == "class-wise"
    assert bank.source().size == 112
    assert len(set(bank.identities)) == 100
    assert bank.centroids.shape[0] == 100


def test_without_a_bank_an_ordinary_photo_is_protected_by_the_one_that_ships(capsys, tmp_path):
    photo = portrait(tmp_path / "eileen" / "me.jpg")
    succeed(capsys, "protect", photo, tmp_path / "out")
    change = np.abs(pixels_of(tmp_path / "out" / "me.png") - pixels_of(photo))
    assert change.max() == 12
    assert 0.005 < (change.max(axis=2) > 0).mean() < 0.2
    (line,) = manifest(tmp_path / "out")
    assert (line["identity"], line["faces"], line["max_change"]) == ("eileen", 1, int(change.max()))


def test_a_smaller_bank_serves_ordinary_photos_through_alignment(capsys, tmp_path):
    portrait(tmp_path / "eileen" / "me.jpg")
    coarse_bank(size=64).save(tmp_path / "b")
    succeed(capsys, "protect", tmp_path / "eileen", tmp_path / "out", "--noise", tmp_path / "b")
    change = np.abs(pixels_of(tmp_path / "out" / "me.png") - pixels_of(tmp_path / "eileen" / "me.jpg"))
    assert 12 <= change.max() <= 16


def test_a_corrupt_photo_is_listed_and_the_others_are_protected(capsys, tmp_path, bank):
    faces = write_faces(tmp_path / "faces", identities=2, photos=2)
    write_corrupt(faces / "synthetic-000" / "bad.jpg")
    code, out, err = run(capsys, "protect", faces, tmp_path / "out", "--noise", bank)
    assert code == 1
    assert "4 of 5 photos protected" in out
    assert err.startswith("not protected: synthetic-000/bad.jpg: ")
    assert err.count("\n") == 1
    assert len(manifest(tmp_path / "out")) == 5
    assert not (tmp_path / "out" / "synthetic-000" / "bad.png").exists()


def test_what_lies_among_the_photos_and_was_not_looked_at_is_said_last_and_is_no_failure(capsys, tmp_path, bank):
    faces = write_faces(tmp_path / "faces", identities=2, photos=1)
    (faces / "synthetic-000" / "00.MOV").touch()
    out = succeed(capsys, "protect", faces, tmp_path / "out", "--noise", bank)
    assert out.endswith("\n1 other file (.mov) was not looked at.\n")
    for name in ("b.mov", "notes", "a.txt", "b.txt", "c.txt", "1.aae", "1.pdf", "1.xmp", "Thumbs.db"):
        (faces / name).touch()
    out = succeed(capsys, "protect", faces, tmp_path / "out", "--noise", bank, "--resume")
    assert out.endswith("\n9 other files (.txt, .mov, .aae, .pdf, .xmp and 1 more) were not looked at.\n")
    assert "not looked at" not in succeed(capsys, "protect", faces / "synthetic-001", tmp_path / "2", "--noise", bank)


def test_a_photo_without_a_face_is_listed_and_not_written(capsys, tmp_path, bank):
    (tmp_path / "anna").mkdir()
    Image.new("RGB", (200, 150), (80, 120, 160)).save(tmp_path / "anna" / "sky.png")
    code, _, err = run(capsys, "protect", tmp_path / "anna", tmp_path / "out", "--noise", bank)
    assert (code, "No face was found. Nothing was written for sky.png" in err) == (1, True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["manifest.jsonl"]


def test_protected_photos_are_not_overwritten(capsys, tmp_path, people, bank):
    succeed(capsys, "protect", people, tmp_path, "--noise", bank)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.png")}
    said = fail(capsys, "protect", people, tmp_path, "--noise", bank, "--assign", "round-robin")
    assert "go on with --resume, replace them with --overwrite" in said
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.png")} == before


def test_a_missing_a_truncated_and_a_foreign_bank_are_refused_before_anything_is_written(
    capsys, tmp_path, people, bank
):
    words = ("protect", people, tmp_path / "out", "--noise")
    assert f"There is no noise bank {tmp_path / 'absent'}" in fail(capsys, *words, tmp_path / "absent")
    for name, content in (("cut", bank.read_bytes()[:-100]), ("foreign", b"PK\x03\x04 a zip file")):
        (tmp_path / name).write_bytes(content)
        assert f"{tmp_path / name} is no readable noise bank" in fail(capsys, *words, tmp_path / name)
    assert not (tmp_path / "out").exists()


def test_a_sample_wise_bank_fits_no_other_photos(capsys, tmp_path, people):
    coarse_bank(form="sample-wise").save(tmp_path / "b")
    assert "use a class-wise bank" in fail(capsys, "protect", people, tmp_path / "out", "--noise", tmp_path / "b")


def test_missing_and_empty_input_is_refused(capsys, tmp_path, bank):
    (tmp_path / "empty").mkdir()
    for photos, words in (("absent", "does not exist"), ("empty", "holds no photos")):
        assert words in fail(capsys, "protect", tmp_path / photos, tmp_path / "out", "--noise", bank)


def test_an_output_below_a_file_is_refused(capsys, tmp_path, people, bank):
    (tmp_path / "file").write_text("mine")
    assert "cannot be written to" in fail(capsys, "protect", people, tmp_path / "file" / "out", "--noise", bank)
    assert (tmp_path / "file").read_text() == "mine"


def test_an_output_that_is_a_file_or_is_named_like_a_photo_is_refused_by_name(capsys, tmp_path, people, bank):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "old.png").mkdir()
    photo = people / "synthetic-000" / "00.png"
    for name, words in (
        ("mine", "is a file, and OUT is a folder"),
        ("a-out.PNG", "is named like a photo, and OUT is a folder"),
    ):
        assert f"{tmp_path / name} {words}" in fail(capsys, "protect", photo, tmp_path / name)
    assert (tmp_path / "mine").read_text() == "mine" and not (tmp_path / "a-out.PNG").exists()
    succeed(capsys, "protect", photo, tmp_path / "old.png", "--noise", bank)


def test_jpeg_on_request_stays_jpeg_and_what_it_costs_is_said(capsys, tmp_path, bank):
    photo = portrait(tmp_path / "eileen" / "me.jpg")
    out = succeed(capsys, "protect", photo, tmp_path / "out", "--noise", bank, "--quality", "75")
    assert "Quality 75 loses part of the noise in 1 of 1" in out
    (line,) = manifest(tmp_path / "out")
    assert line["output"] == "me.jpg"
    assert 0.3 < line["noise_kept"] < 0.99


def test_copies_of_an_earlier_run_inside_the_folder_are_passed_over_and_that_is_said(capsys, tmp_path, bank):
    people = write_faces(tmp_path / "people", identities=2, photos=1)
    succeed(capsys, "protect", people, people / "out1", "--noise", bank)
    out = succeed(capsys, "protect", people, people / "out2", "--noise", bank)
    assert f"The protected copies in {people / 'out1'} are passed over." in out
    assert "2 of 2 photos protected" in out


def test_a_copy_is_never_protected_a_second_time(capsys, tmp_path, bank):
    photos = write_faces(tmp_path / "photos", identities=1, photos=1, suffix=".jpg") / "synthetic-000"
    succeed(capsys, "protect", photos / "00.jpg", photos, "--noise", bank)
    out = succeed(capsys, "protect", photos, tmp_path / "out", "--noise", bank)
    assert f"The protected copies in {photos} are passed over." in out
    assert [line["source"] for line in manifest(tmp_path / "out")] == ["00.jpg"]
    for again in (tmp_path / "out", tmp_path / "out" / "00.png"):
        assert "name the" in fail(capsys, "protect", again, tmp_path / "twice", "--noise", bank)
    assert not (tmp_path / "twice").exists()


def test_photos_beside_a_copy_in_a_persons_folder_are_protected_as_well(capsys, tmp_path, bank):
    people = write_faces(tmp_path / "people", identities=2, photos=2, suffix=".jpg")
    anna = people / "synthetic-000"
    succeed(capsys, "protect", anna / "00.jpg", anna, "--noise", bank)
    out = succeed(capsys, "protect", people, tmp_path / "out", "--noise", bank)
    assert f"The protected copies in {anna} are passed over." in out
    assert "4 of 4 photos protected" in out
    assert {line["source"] for line in manifest(tmp_path / "out")} == {
        f"synthetic-00{i}/0{j}.jpg" for i in (0, 1) for j in (0, 1)
    }


def test_a_note_says_that_a_small_face_loses_much_of_its_noise_to_jpeg(capsys, tmp_path, bank):
    large = Image.open(portrait(tmp_path / "eileen" / "large.png"))
    large.resize((161, 160)).save(tmp_path / "eileen" / "small.png")  # no square: those are taken for crops
    code, _, err = run(capsys, "protect", tmp_path / "eileen", tmp_path / "out", "--noise", bank)
    assert (code, err.count("note: ")) == (0, 1)
    assert re.search(
        r"note: small\.png: A face in it is only 39 pixels wide when cut out; below 45, JPEG of quality 75", err
    )


@pytest.mark.parametrize(
    ("suffix", "form", "lossy"), [(".png", "keep", False), (".tif", "keep", False), (".jpg", "webp", True)]
)
def test_a_loss_is_said_where_there_is_one(capsys, tmp_path, bank, suffix, form, lossy):
    faces = write_faces(tmp_path / "faces", identities=1, photos=1, suffix=suffix)
    out = succeed(capsys, "protect", faces, tmp_path / "out", "--noise", bank, "--quality", 60, "--format", form)
    assert ("Quality 60 loses part of the noise" in out) == lossy
    assert ("Written as PNG or WebP: " in out) == lossy
    assert "which lose nothing" not in out


def test_the_help_says_which_options_give_a_row_away_and_who_else_carries_it(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    said = succeed(capsys, "protect", "--help")
    assert said.lower().count("for experiments: others can then foresee your row.") == 2
    assert "all: bystanders carry your pattern as well" in said


def test_png_with_a_quality_is_refused(capsys, tmp_path, people):
    said = mistype(capsys, "protect", people, tmp_path / "out", "--quality", 60, "--format", "png")
    assert "--format png loses nothing" in said
    assert not (tmp_path / "out").exists()


def test_an_empty_name_as_of_a_variable_that_is_not_set_is_refused(capsys, tmp_path, people):
    assert "give a name, or leave it out" in mistype(capsys, "protect", people, tmp_path / "out", "--identity", " ")
    assert not (tmp_path / "out").exists()


def test_resume_and_overwrite_exclude_each_other(capsys, tmp_path, people):
    assert "give one of them" in mistype(capsys, "protect", people, tmp_path, "--resume", "--overwrite")


def test_a_quality_makes_no_jpeg_of_other_formats_and_that_is_said(capsys, tmp_path, bank):
    face = Image.fromarray(skimage.data.astronaut()[:260, 95:355])
    for name in ("1.jpg", "2.bmp"):
        (tmp_path / "anna").mkdir(exist_ok=True)
        face.save(tmp_path / "anna" / name)
    said = succeed(capsys, "protect", tmp_path / "anna", tmp_path / "out", "--noise", bank, "--quality", 95)
    assert {path.name for path in (tmp_path / "out").glob("[12]*")} == {"1.jpg", "2.png"}
    assert "--quality makes JPEG of .jpg and .jpeg alone" in said


def test_damaged_exif_is_a_note_only_where_it_was_to_be_kept(capsys, tmp_path, bank):
    face = Image.fromarray(skimage.data.astronaut()[:260, 95:355])
    face.save(tmp_path / "anna.jpg", exif=b"Exif\0\0MM\0\x2a\xff\xff\xff\xff")
    for out, options, notes in (("strip", (), 0), ("keep", ("--metadata", "keep"), 1)):
        code, _, err = run(capsys, "protect", tmp_path / "anna.jpg", tmp_path / out, "--noise", bank, *options)
        assert (code, err.count("Its EXIF data is damaged and cannot be kept.")) == (0, notes)
