"""A cell is computed once for all that determines it; its LFW scores serve only the pictures and pairs they came from."""

import hashlib
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from eval import banks, cells
from eval.adaptive import NoiseAugmented, Projecting
from eval.augmentations import MixUp
from eval.cells import cell_hash, run_cell
from eval.image_engine import Classifier
from eval.preprocessing import Grayscale
from faceguard import __version__
from faceguard.adversary import Scratch
from faceguard.averaging import Averaging
from faceguard.countermeasure import Countermeasure
from faceguard.device import make_fabric
from faceguard.identities import split
from faceguard.readers.lfw import LfwPairs
from faceguard.readers.record import Record
from faceguard.readers.synthetic import synthetic_faces
from faceguard.train import TrainSettings
from tests.small import interrupt_after

ADVERSARY = Scratch(width=8, size=32, train=TrainSettings(epochs=1, batch_size=4))
THRICE = replace(ADVERSARY, train=TrainSettings(epochs=3, batch_size=4))
PICTURES = synthetic_faces(3, 2, size=32, seed=1)
PAIRS = LfwPairs(
    records=[Record(key, "someone", lambda: None, None) for key in PICTURES.keys],
    first=np.array([0, 2, 0, 3]),
    second=np.array([1, 3, 2, 4]),
    genuine=np.array([True, True, False, False]),
    fold=np.array([0, 1, 0, 1]),
)


@pytest.fixture
def trainings(monkeypatch):
    """One entry for every training."""
    trained, attack = [], Scratch.attack
    monkeypatch.setattr(Scratch, "attack", lambda *a, **k: trained.append(a) or attack(*a, **k))
    return trained


@pytest.fixture
def cell(tmp_path, trainings):
    """Run the cell of one small training, with the LFW data that a test gives."""
    train, test = split(synthetic_faces(2, 4, size=32, seed=0), seed=0)

    def run(lfw=None):
        more = {"seed": 0, "lfw": lfw, "folder": tmp_path, "progress": lambda _: None}
        return run_cell(make_fabric(device="cpu"), train, test, ADVERSARY, **more)

    return run


def other_picture(place):
    pixels = PICTURES.pixels.copy()
    pixels[place] = 255 - pixels[place]
    return replace(PICTURES, pixels=pixels)


def test_the_same_pictures_and_pairs_are_not_computed_again(cell, trainings):
    computed, read = cell((PICTURES, PAIRS)), cell((replace(PICTURES), replace(PAIRS)))
    assert len(trainings) == 1
    assert computed.keys() == read.keys()
    assert all(np.array_equal(computed[name], read[name]) for name in computed)
    assert read["lfw_scores"].shape == (4,)


@pytest.mark.parametrize(
    "changed",
    [
        (other_picture(4), PAIRS),
        (synthetic_faces(3, 2, size=32, seed=2), PAIRS),
        (PICTURES, replace(PAIRS, second=np.array([1, 3, 2, 5]))),
        (PICTURES, replace(PAIRS, first=np.array([0, 2, 1, 3]))),
        (PICTURES, replace(PAIRS, genuine=np.array([True, False, True, False]))),
    ],
    ids=["one picture", "all pictures", "another second photo", "another first photo", "truths"],
)
def test_other_pictures_or_pairs_are_computed_again_and_then_kept(cell, trainings, changed):
    before = cell((PICTURES, PAIRS))
    found = cell(changed)
    assert len(trainings) == 2
    assert str(found["lfw_of"]) != str(before["lfw_of"])
    assert np.array_equal(found["predictions"], before["predictions"])
    cell(changed)
    assert len(trainings) == 2


def test_scores_of_another_picture_are_other_scores(cell):
    before, found = cell((PICTURES, PAIRS))["lfw_scores"], cell((other_picture(4), PAIRS))["lfw_scores"]
    assert np.flatnonzero(before != found).tolist() == [3]  # only the last pair compares picture 4


def test_a_cell_with_lfw_scores_serves_a_study_without_them(cell, trainings):
    cell((PICTURES, PAIRS))
    assert "lfw_scores" in cell()
    assert len(trainings) == 1


def test_a_cell_without_scores_is_computed_again_when_they_are_wanted(cell, trainings):
    assert "lfw_scores" not in cell()
    assert "lfw_scores" in cell((PICTURES, PAIRS))
    assert len(trainings) == 2


def test_scores_that_do_not_say_what_they_belong_to_fit_nothing(cell, trainings, tmp_path):
    """As cells were kept before ``lfw_of``."""
    content = dict(cell((PICTURES, PAIRS)))
    (path,) = tmp_path.glob("*.npz")
    np.savez_compressed(path, **{name: array for name, array in content.items() if name != "lfw_of"})
    cell()
    assert len(trainings) == 1
    cell((PICTURES, PAIRS))
    assert len(trainings) == 2


def test_a_cells_commit_is_that_of_the_code_that_began_it(cell, trainings, monkeypatch):
    monkeypatch.setattr(cells, "commit", lambda: f"after {len(trainings)} trainings")
    assert str(cell()["commit"]) == "after 0 trainings"


@pytest.mark.parametrize("whole", [0, 0.5, 0.99])
def test_a_torn_cell_is_computed_again(cell, trainings, tmp_path, whole):
    before = cell()
    (path,) = tmp_path.glob("*.npz")
    path.write_bytes(path.read_bytes()[: int(whole * path.stat().st_size)])
    assert np.array_equal(cell()["predictions"], before["predictions"])
    assert len(trainings) == 2


def on(kind):
    """What names ask of a fabric whose device is of this kind."""
    return SimpleNamespace(device=SimpleNamespace(type=kind), _precision=SimpleNamespace(precision="32-true"))


def test_what_a_gpu_computes_is_not_taken_for_what_a_processor_does(monkeypatch):
    train, test = split(synthetic_faces(2, 4, size=32, seed=0), seed=0)

    def names(fabric):
        monkeypatch.setattr(banks, "make_fabric", lambda **_: fabric)
        cell = cell_hash(train, test, Scratch(), Countermeasure(), 0, fabric)
        return cell, banks.file_name(("noise", 1), "digest", "fp32")

    here = names(make_fabric(device="cpu"))
    assert names(on("cpu")) == here
    before = hashlib.sha256(repr((banks.LEARNT, __version__, ("noise", 1), "digest", "fp32")).encode())
    assert here[1] == f"{before.hexdigest()[:16]}.safetensors"  # as banks were named before devices were
    assert all(one != other for one, other in zip(names(on("cuda")), here, strict=True))


def test_whatever_determines_a_cell_gives_it_another_name():
    train, test = split(synthetic_faces(2, 4, size=32, seed=0), seed=0)
    usual = train, test, ADVERSARY, Countermeasure(), 0, make_fabric(device="cpu")
    changes = [
        (0, replace(train, pixels=255 - train.pixels)),
        (0, replace(train, labels=1 - train.labels)),
        (1, replace(test, pixels=255 - test.pixels)),
        (1, replace(test, labels=1 - test.labels)),
        (2, replace(ADVERSARY, width=16)),
        (2, replace(ADVERSARY, train=TrainSettings(epochs=2, batch_size=4))),
        (3, MixUp()),
        (3, MixUp(alpha=0.5)),
        (4, 1),
        (5, make_fabric(device="cpu", precision="bf16")),
    ]
    names = {cell_hash(*(new if i == place else one for i, one in enumerate(usual))) for place, new in changes}
    assert len(names | {cell_hash(*usual)}) == len(changes) + 1


def test_a_cells_seed_is_that_of_its_attack_and_of_its_countermeasure(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(Grayscale, "prepare", lambda self, train, *, seed: told.append(seed) or train)
    attack = Scratch.attack
    monkeypatch.setattr(Scratch, "attack", lambda *a, **k: told.append(k["seed"]) or attack(*a, **k))
    train, test = split(synthetic_faces(2, 4, size=32, seed=0), seed=0)
    run_cell(make_fabric(device="cpu"), train, test, ADVERSARY, Grayscale(), seed=3, lfw=None, folder=tmp_path)
    assert told == [3, 3]


@pytest.mark.parametrize("against", [Grayscale(), MixUp()])
def test_a_cell_prepares_views_and_changes_as_its_countermeasure_says(against, tmp_path, monkeypatch):
    seen, attack = {}, Scratch.attack

    def look(self, fabric, train, test, **more):
        seen.update(train=train.pixels, test=test.pixels, change=more["change_batch"])
        return attack(self, fabric, train, test, **more)

    monkeypatch.setattr(Scratch, "attack", look)
    train, test = split(synthetic_faces(2, 4, size=32, seed=0), seed=0)
    run_cell(make_fabric(device="cpu"), train, test, ADVERSARY, against, seed=0, lfw=None, folder=tmp_path)
    assert np.array_equal(seen["train"], against.prepare(train, seed=0).pixels)
    assert np.array_equal(seen["test"], against.view(test).pixels)
    assert seen["change"] == (against.batch if against.name == "mixup" else None)


@pytest.mark.parametrize(
    "adversary",
    [
        THRICE,
        Averaging(then=THRICE),
        Projecting(then=THRICE),
        NoiseAugmented(then=THRICE),
        Classifier(network="resnet-18", width=8, train=THRICE.train),
    ],
    ids=lambda adversary: type(adversary).__name__,
)
def test_a_killed_cell_goes_on_with_the_next_epoch_to_the_same_bits(adversary, tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "SAVED_EVERY", 0)
    train, test = split(synthetic_faces(2, 4, size=32, seed=0), seed=0)

    def run(folder, progress):
        more = {"seed": 0, "lfw": None, "folder": tmp_path / folder, "progress": progress}
        return run_cell(make_fabric(device="cpu"), train, test, adversary, MixUp(), **more)

    undisturbed, epochs = run("alone", lambda _: None), []
    with pytest.raises(KeyboardInterrupt):
        run("killed", interrupt_after(2))
    again = run("killed", epochs.append)
    assert [epoch.number for epoch in epochs] == [3]
    measured = undisturbed.keys() - {"seconds", "commit"}
    assert all(np.array_equal(again[name], undisturbed[name]) for name in measured)
    assert {path.suffix for path in (tmp_path / "killed").iterdir()} <= {".npz", ".lock"}


def test_a_cells_seconds_are_those_of_every_process_that_worked_on_it(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    train, test = split(synthetic_faces(2, 4, size=32, seed=0), seed=0)

    def run(progress):
        return run_cell(
            make_fabric(device="cpu"), train, test, THRICE, seed=0, lfw=None, folder=tmp_path, progress=progress
        )

    def an_hour_each(epoch):
        clock[0] += 3600
        if epoch.number == 3:
            raise KeyboardInterrupt  # before the third epoch's hour is kept

    with pytest.raises(KeyboardInterrupt):
        run(an_hour_each)
    clock[0] += 86400  # nobody works on it
    assert run(lambda _: None)["seconds"] == 2 * 3600
