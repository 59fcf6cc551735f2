"""The faces of a study's conditions: who carries what in which arm, on crops and on uploaded photos."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import skimage.data
from commands import coarse_bank, quick_noise
from PIL import Image
from studies import data, trainings  # noqa: F401

import eval.data
from eval.banks import BankRecipe, load_source
from eval.data import StudyData
from eval.experiment import Condition, FaceStudy
from faceguard import readers
from faceguard.errors import DataError
from faceguard.study import protect_photos
from faceguard.survival import published
from faceguard.uploads import Upload, upload_faces

TWO = Condition(adversary="small", protected=2)


def loaded(folder, tmp_path, *conditions, **more):
    study = FaceStudy(claim="", **{"faces": "people", "conditions": conditions or (TWO,), **more})
    return StudyData(study=study, folder=folder, banks_folder=tmp_path / "banks", precision="fp32")


def carrying(found, condition, arm):
    """Which training photos differ from the clean ones."""
    return (found.training(condition, arm).pixels != found.train.pixels).any(axis=(1, 2, 3))


def of_protected(found, condition):
    return np.isin(np.array(found.train.names), found.protected(condition))[found.train.labels]


# ---- aligned crops


def test_the_protected_alone_carry_noise_and_only_in_the_noisy_arms(data, trainings, tmp_path):
    found = loaded(data, tmp_path)
    assert found.training(TWO, "clean") is found.train
    for arm in ("random", "error-minimizing"):
        assert np.array_equal(carrying(found, TWO, arm), of_protected(found, TWO))
    assert (len(found.train), len(found.test)) == (32, 8)
    assert not set(found.train.keys) & set(found.test.keys)
    everybody = replace(TWO, protected=None)
    assert found.protected(everybody) == list(found.train.names)
    assert carrying(found, everybody, "random").all()


def test_the_error_maximizing_arm_carries_noise_of_its_own_and_nobody_else_does(data, trainings, monkeypatch, tmp_path):
    other = replace(coarse_bank(), rows=-coarse_bank().rows)
    monkeypatch.setitem(eval.data.WITH_THE_PACKAGE, "plain", lambda: other)
    found, four = loaded(data, tmp_path), replace(TWO, maximizing="plain")
    assert (TWO.arms, four.arms[3:], four.name) == (four.arms[:3], ("error-maximizing",), TWO.name)
    assert np.array_equal(carrying(found, four, "error-maximizing"), of_protected(found, TWO))
    clean, *noisy = (found.training(four, arm).pixels.astype(int) for arm in ("clean", *four.arms[2:]))
    minimized, maximized = (one - clean for one in noisy)
    middle = (clean >= 16) & (clean <= 239)  # elsewhere the pixel range cuts the noise
    assert np.array_equal(minimized[middle], -maximized[middle])
    for arm in TWO.arms:
        assert np.array_equal(found.training(four, arm).pixels, found.training(TWO, arm).pixels)


def test_a_larger_share_contains_a_smaller_one(data, trainings, tmp_path):
    found = loaded(data, tmp_path)
    drawn = [set(found.protected(replace(TWO, protected=count))) for count in (1, 2, 3)]
    assert drawn[0] < drawn[1] < drawn[2]


@pytest.mark.parametrize("count", [0, 4, 50])
def test_a_count_that_leaves_nobody_on_one_side_is_refused_before_anything_is_trained(data, trainings, tmp_path, count):
    """Else everybody is protected, without a word, under the name of a part."""
    sentence = rf"protects {count} of the identities of people, which has 4; state fewer than 4 .* or protected=None"
    with pytest.raises(DataError, match=sentence):
        loaded(data, tmp_path, replace(TWO, protected=3), replace(TWO, protected=count))
    assert len(loaded(data, tmp_path, replace(TWO, protected=3)).protected(replace(TWO, protected=3))) == 3


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_a_share_of_each_ones_photos_carries_noise(data, trainings, tmp_path, share):
    found = loaded(data, tmp_path)
    noisy = carrying(found, replace(TWO, photos=share), "error-minimizing")
    whole = of_protected(found, TWO)
    assert noisy.sum() == share * whole.sum()
    assert not noisy[~whole].any()
    for label in set(found.train.labels[whole]):
        assert noisy[found.train.labels == label].mean() == share


def test_noisy_others_carry_rows_of_their_own_in_both_noisy_arms(data, trainings, tmp_path):
    found, loud = loaded(data, tmp_path), replace(TWO, noisy_others=True)
    whole = of_protected(found, TWO)
    for arm in ("random", "error-minimizing"):
        assert carrying(found, loud, arm).all()
        same = found.training(loud, arm).pixels[whole] == found.training(TWO, arm).pixels[whole]
        assert same.all()
    change = found.training(loud, "random").pixels[~whole].astype(int) - found.train.pixels[~whole]
    assert (np.abs(change).max(axis=(1, 2, 3)) <= 16).all()


def test_the_studys_own_noise_is_learnt_once_and_read_from_then_on(data, trainings, tmp_path):
    own = replace(TWO, noise="own")
    noises = {"own": BankRecipe(faces="people", settings=quick_noise())}
    first = loaded(data, tmp_path, own, noises=noises).bank("own")
    (path,) = (tmp_path / "banks").glob("*.safetensors")  # beside its lock
    before = path.stat().st_mtime_ns
    again = loaded(data, tmp_path, own, noises=noises).bank("own")
    assert (first.rows == again.rows).all()
    assert path.stat().st_mtime_ns == before
    noises = {"own": BankRecipe(faces="people", settings=quick_noise(), seed=1)}
    assert (loaded(data, tmp_path, own, noises=noises).bank("own").rows != first.rows).any()


def test_sample_wise_noise_is_learnt_on_the_studys_own_photos_and_each_photo_carries_its_row(data, trainings, tmp_path):
    own = replace(TWO, noise="own", noisy_others=True)
    noises = {"own": BankRecipe(faces=None, settings=quick_noise(form="sample-wise"))}
    found = loaded(data, tmp_path, own, noises=noises)
    bank = found.bank("own")
    assert (bank.identities, len(bank)) == (found.train.keys, len(found.train))
    whole = of_protected(found, own)
    noisy = found.training(replace(own, noisy_others=False), "error-minimizing").pixels.astype(int)
    clean = found.train.pixels
    expected = np.clip(clean + bank.levels(range(len(bank))), 0, 255)
    assert np.array_equal(noisy[whole], expected[whole]) and np.array_equal(noisy[~whole], clean[~whole])
    halved = found.training(replace(own, noisy_others=False, original=True), "error-minimizing").pixels
    assert np.array_equal(halved[whole], np.clip(clean + bank.levels(range(len(bank)), original=True), 0, 255)[whole])
    assert carrying(found, own, "random").all() and carrying(found, own, "error-minimizing").all()
    with pytest.raises(DataError, match="learnt on a study's own faces; name it among the noises"):
        load_source(noises["own"], data)


def test_a_sample_wise_bank_of_other_photos_is_a_sentence(data, trainings, tmp_path):
    found = loaded(data, tmp_path)
    bank = replace(coarse_bank(), form="sample-wise")
    with pytest.raises(DataError, match=f"no row for {found.train.keys[0]}; learn it on these photos"):
        protect_photos(found.train, bank, found.train.names[:1])
    with pytest.raises(DataError, match="read the faces at the bank's size"):
        protect_photos(found.train, coarse_bank(size=56, form="sample-wise"), [])


def test_sample_wise_noise_and_uploads_do_not_go_together():
    noises = {"own": BankRecipe(faces=None, settings=quick_noise(form="sample-wise"))}
    with pytest.raises(DataError, match="'own' is sample-wise and needs aligned crops, not uploads"):
        FaceStudy(claim="", faces="people", conditions=(TWO,), noises=noises, upload=Upload(quality=75))


def test_a_study_that_cannot_be_run_is_refused_with_all_reasons():
    with pytest.raises(DataError, match="small, none, x, 2 protected is stated twice; the noise 'x' is not among"):
        FaceStudy(claim="", faces="people", conditions=(replace(TWO, noise="x"),) * 2)
    with pytest.raises(DataError, match="it has no conditions"):
        FaceStudy(claim="", faces="people", conditions=(), expectations=())


# ---- doubts: faults that make numbers worthless


def test_a_bank_of_zeros_and_leaked_test_photos_are_doubts(data, trainings, tmp_path, monkeypatch):
    found = loaded(data, tmp_path)
    assert found.doubts(TWO) == []
    zeros = replace(coarse_bank(), rows=coarse_bank().rows * 0)
    monkeypatch.setattr("eval.data.WITH_THE_PACKAGE", {"shipped": lambda: zeros})
    assert loaded(data, tmp_path).doubts(TWO) == ["The noise shipped is all zeros."]
    found.test = replace(found.test, pixels=np.concatenate([found.train.pixels[:1], found.test.pixels[1:]]))
    assert found.doubts(TWO) == ["1 of 8 held-out faces are among the training faces as well."]


# ---- photos


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two people in three photos each, one without a face."""
    folder = tmp_path_factory.mktemp("photos")
    astronaut = skimage.data.astronaut()[:300, 60:400]
    for name, level in (("ann", 0), ("bea", 20)):
        (folder / "faces" / name).mkdir(parents=True)
        for i in range(3):
            shown = np.clip(astronaut.astype(int) + level - 5 * i, 0, 255).astype(np.uint8)
            Image.fromarray(shown).save(folder / "faces" / name / f"{i}.png")
    Image.new("RGB", (300, 300), "gray").save(folder / "faces" / "ann" / "wall.png")
    return folder


def test_an_uploaded_photo_carries_its_row_as_the_trainer_finds_it(photos, monkeypatch, tmp_path):
    monkeypatch.setenv("FACEGUARD_CACHE", str(tmp_path))
    records, bank = readers.find(photos / "faces"), replace(coarse_bank(), cells=7)
    upload = Upload(quality=75)
    clean = upload_faces(records, upload, size=112, rows={})
    noisy = upload_faces(records, upload, size=112, bank=bank, rows={"ann": 2})
    assert [failure.key for failure in clean.failures] == ["ann/wall.png"]
    assert clean.keys == noisy.keys
    for after, before in zip(noisy.pixels[:3], clean.pixels[:3], strict=True):
        change = (after.astype(int) - before).ravel()  # of two alignments, so edges of the face differ as well
        kept = [np.corrcoef(change, bank.levels(row).ravel())[0, 1] for row in range(3)]
        assert np.argmax(kept) == 2
        assert kept[2] > 0.3
    assert np.array_equal(noisy.pixels[3:], clean.pixels[3:])


def test_the_upload_is_the_published_file(photos, monkeypatch, tmp_path):
    monkeypatch.setenv("FACEGUARD_CACHE", str(tmp_path))
    from faceguard.faces import align_photo

    record = readers.find(photos / "faces")[0]
    found = upload_faces([record], Upload(quality=40, scale=0.8), size=112, rows={})
    wanted = align_photo(published(record.read(), quality=40, subsampling="4:2:0", scale=0.8), 112)
    assert np.array_equal(found.pixels[0], wanted)


def test_a_study_of_photos_compares_uploaded_faces_and_drops_who_has_no_protected_copy(photos, monkeypatch, tmp_path):
    monkeypatch.setenv("FACEGUARD_CACHE", str(tmp_path / "cache"))
    one = Condition(adversary="small", protected=1)
    monkeypatch.setattr("eval.data.WITH_THE_PACKAGE", {"shipped": coarse_bank})
    found = loaded(photos, tmp_path, one, faces="faces", upload=Upload())
    noisy = found.training(one, "error-minimizing")
    assert noisy.keys == found.train.keys
    changed = (noisy.pixels != found.train.pixels).any(axis=(1, 2, 3))
    assert np.array_equal(changed, of_protected(found, one))
    monkeypatch.setattr("faceguard.uploads.usable_faces", lambda *_: ([], 0, ["No face was found."]))
    monkeypatch.setenv("FACEGUARD_CACHE", str(tmp_path / "other"))
    with pytest.raises(DataError, match=r"No face was found\. Use a photo that shows the face"):
        found.training(one, "error-minimizing")


def test_a_bank_belongs_to_its_photos_and_its_precision(data, trainings, tmp_path):
    """Else a sweep would take, unasked, the rows that another precision or another folder's photos gave."""
    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    found = loaded(folder, tmp_path, noises={"own": BankRecipe(faces="people", settings=quick_noise())})
    before = found._bank_path("own")
    assert replace(found, precision="bf16")._bank_path("own") != before
    assert replace(found, folder=data)._bank_path("own") == before
    first, second, *_ = sorted((folder / "people" / found.train.names[0]).iterdir())
    first.write_bytes(second.read_bytes())  # as many photos, of the same names
    assert replace(found)._bank_path("own") != before
