"""Which photos a run may be judged on, and groups files."""

import json

import numpy as np
import pytest
import torch

from faceguard import evaluate
from faceguard.errors import DataError
from faceguard.evaluate import evaluate_identities, read_groups
from faceguard.identities import Faces
from faceguard.recognizer import build
from faceguard.runs import Run, photo_id

NAMES = ("anna", "ben")


class Colours:
    """Knows two identities by their colour, and counts the faces that it is shown."""

    size = 4

    def __init__(self):
        self.shown = 0

    def __call__(self, pixels):
        self.shown += len(pixels)
        return pixels.mean(dim=(2, 3))[:, :2]

    def embed(self, pixels):
        colours = pixels.mean(dim=(2, 3))
        return colours / colours.norm(dim=1, keepdim=True)


def faces(keys, names=NAMES):
    """anna is red and ben is green, each a little different."""
    labels = np.array([names.index(key.split("/")[0]) for key in keys])
    pixels = np.zeros((len(keys), 4, 4, 3), dtype=np.uint8)
    for i, label in enumerate(labels):
        pixels[i, ..., label] = 200
        pixels[i, ..., 2] = i
    return Faces(pixels=pixels, labels=labels, names=names, keys=tuple(keys))


def a_run(trained_on=(), identities=NAMES):
    return Run(model=Colours(), identities=identities, trained_on=frozenset(trained_on))


KEYS = [f"{name}/{i}.jpg" for name in NAMES for i in range(4)]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("anna/1.jpg", "anna/1"),
        ("anna/deep/1.JPEG", "anna/deep/1"),
        ("anna/1.png", "anna/1"),
        ("anna/1.jpg.png", "anna/1"),
        ("anna/holiday.2020.jpg", "anna/holiday.2020"),
        ("train.rec/17", "anna/train.rec/17"),
        ("img_align_celeba/000565.jpg", "anna/000565"),
        ("anna/img_celeba/000565.png", "anna/000565"),
        ("anna/img_celeba", "anna/img_celeba"),
    ],
)
def test_a_photo_keeps_its_id_when_it_is_protected(key, expected):
    assert photo_id("anna", key) == expected


def test_only_photos_that_were_not_trained_on_are_shown_to_the_recognizer(tmp_path):
    run = a_run({"anna/0", "anna/1", "ben/2"})
    found = evaluate_identities(run, faces(KEYS), tmp_path, seed=0)
    assert run.model.shown == 5
    assert (found["groups"]["all"]["photos"], found["photos_trained_on"]) == (5, 3)
    assert found["groups"]["all"]["rank1"] == found["groups"]["all"]["auc"] == 1
    assert json.loads((tmp_path / "identities.json").read_text()) == found


def test_the_runs_own_order_of_identities_decides_what_a_prediction_means(tmp_path):
    swapped = faces(KEYS, names=("ben", "anna"))  # anna is green now
    found = evaluate_identities(a_run(identities=("ben", "anna")), swapped, tmp_path, seed=0)
    assert found["groups"]["all"]["rank1"] == 1
    (tmp_path / "other").mkdir()
    found = evaluate_identities(a_run(identities=("anna", "ben")), swapped, tmp_path / "other", seed=0)
    assert found["groups"]["all"]["rank1"] == 0


def test_photos_that_were_all_trained_on_prove_nothing(tmp_path):
    with pytest.raises(DataError, match="prove nothing"):
        evaluate_identities(a_run({photo_id(k.split("/")[0], k) for k in KEYS}), faces(KEYS), tmp_path, seed=0)


def test_a_stranger_is_named(tmp_path):
    with pytest.raises(DataError, match="does not know zoe"):
        evaluate_identities(a_run(), faces(["anna/1", "zoe/1"], names=("anna", "zoe")), tmp_path, seed=0)


@pytest.mark.parametrize("keys", [KEYS[:4], KEYS[:5]], ids=["absent", "trained on"])
def test_an_identity_without_held_out_photos_is_named(tmp_path, keys):
    with pytest.raises(DataError, match="No held-out photo shows ben"):
        evaluate_identities(a_run({"ben/0"}), faces(keys), tmp_path, seed=0)
    assert not list(tmp_path.iterdir())


def test_a_group_that_makes_no_pairs_is_recognized_and_says_why_it_is_not_verified(tmp_path):
    alone = evaluate_identities(a_run(), faces(["anna/0.jpg", "ben/0.jpg"]), tmp_path, seed=0)["groups"]["all"]
    assert alone == {
        "not_verified": "it has one held-out photo of each identity, and verification needs two of somebody",
        "rank1": 1,
        "photos": 2,
        "identities": 2,
    }
    assert [path.name for path in tmp_path.iterdir()] == ["identities.json"]
    evaluate_identities(a_run(), faces(["anna/0.jpg", "anna/1.jpg", "ben/0.jpg"]), tmp_path, seed=0)
    assert (tmp_path / "roc.png").exists()


def test_a_groups_file_is_a_list_of_names_or_a_demos_report(tmp_path):
    for content in ({"protected": ["ben"]}, {"identities": {"protected": ["ben"], "others": ["anna"]}}):
        (tmp_path / "groups.json").write_text(json.dumps(content))
        assert read_groups(tmp_path / "groups.json", NAMES) == ["ben"]


@pytest.mark.parametrize("content", ["{", "[]", "{}", '"ben"', '{"protected": 3}', '{"protected": "ben"}', "\0"])
def test_another_file_is_no_groups_file(tmp_path, content):
    (tmp_path / "groups.json").write_text(content)
    with pytest.raises(DataError, match="is no groups file") as said:
        read_groups(tmp_path / "groups.json", NAMES)
    assert "object" not in str(said.value) and str(said.value).endswith('should read {"protected": ["name", ...]}.')


def test_a_missing_groups_file_and_unknown_names_are_said(tmp_path):
    with pytest.raises(DataError, match="is no groups file"):
        read_groups(tmp_path / "absent", NAMES)
    (tmp_path / "groups.json").write_text('{"protected": ["zoe", "anna"]}')
    with pytest.raises(DataError, match="names zoe, whom the run does not know"):
        read_groups(tmp_path / "groups.json", NAMES)


def test_every_group_counts_its_own_photos_and_people_and_is_verified_by_the_seed(tmp_path, monkeypatch):
    seeds, real = [], evaluate.verify_groups
    monkeypatch.setattr(evaluate, "verify_groups", lambda *a, seed: seeds.append(seed) or real(*a, seed=seed))
    shown = faces([*KEYS, "ben/9.jpg"])
    found = evaluate_identities(a_run(), shown, tmp_path, protected=["ben"], seed=4)["groups"]
    counts = {group: (told["photos"], told["identities"]) for group, told in found.items()}
    assert counts == {"protected": (5, 1), "others": (4, 1)}
    evaluate_identities(a_run(), shown, tmp_path, seed=4)
    assert seeds == [4]


MANY = tuple(f"person {i:03d}" for i in range(120))


def many_faces(most):
    """Up to ``most`` photos of each of 120 people; every second has but one."""
    keys = [f"{name}/{i}" for number, name in enumerate(MANY) for i in range(most if number % 2 else 1)]
    return people(keys)


def people(keys):
    labels = np.array([MANY.index(key.split("/")[0]) for key in keys])
    pixels = np.random.default_rng(0).integers(1, 256, (len(keys), 4, 4, 3), dtype=np.uint8)
    return Faces(pixels=pixels, labels=labels, names=MANY, keys=tuple(keys))


class Unsure(Colours):
    def __call__(self, pixels):
        return torch.zeros(len(pixels), len(MANY))


@pytest.mark.parametrize(("most", "seed"), [(6, 0), (6, 1), (40, 0)])
def test_of_a_group_that_is_too_large_drawn_photos_are_verified_and_the_result_says_how_many(
    tmp_path, monkeypatch, most, seed
):
    monkeypatch.setattr("faceguard.evaluate.MOST_VERIFIED", 150)
    seen = []
    real = evaluate.verify_groups
    monkeypatch.setattr(evaluate, "verify_groups", lambda e, some, g, **k: seen.append(some) or real(e, some, g, **k))
    run, everybody = Run(model=Unsure(), identities=MANY, trained_on=frozenset()), many_faces(most)
    found = evaluate_identities(run, everybody, tmp_path, seed=seed)["groups"]["all"]
    drawn = seen[0]
    assert found["photos"] == len(everybody)
    assert 100 <= found["photos_verified"] == len(drawn) <= 150
    assert found["pairs"] == len(drawn) * (len(drawn) - 1) // 2
    assert len(set(drawn.keys)) == len(drawn) and len(set(drawn.labels)) >= 40
    assert evaluate_identities(run, everybody, tmp_path, seed=seed)["groups"]["all"] == found
    assert seen[1].keys == drawn.keys
    evaluate_identities(run, everybody, tmp_path, seed=seed + 9)
    assert seen[2].keys != drawn.keys


def test_whoever_has_two_photos_is_among_those_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr("faceguard.evaluate.MOST_VERIFIED", 60)
    keys = [f"{name}/0" for name in MANY] + [f"{MANY[77]}/1"]
    run = Run(model=Unsure(), identities=MANY, trained_on=frozenset())
    for seed in range(5):
        found = evaluate_identities(run, people(keys), tmp_path, seed=seed)["groups"]["all"]
        assert found["photos_verified"] == 60


def test_a_real_recognizer_goes_through(tmp_path):
    run = Run(
        model=build("resnet-18", identities=2, size=32, width=8, seed=0).eval(), identities=NAMES, trained_on=set()
    )
    large = faces(KEYS)
    large = Faces(
        pixels=np.kron(large.pixels, np.ones((1, 8, 8, 1), np.uint8)), labels=large.labels, names=NAMES, keys=large.keys
    )
    assert evaluate_identities(run, large, tmp_path, seed=0)["groups"]["all"]["pairs"] == 28


def test_photos_of_one_name_in_two_folders_of_a_person_are_two_photos(tmp_path):
    keys = [f"{name}/video {i}/{frame}.jpg" for name in NAMES for i in range(2) for frame in range(2)]
    run = a_run({photo_id(key.split("/")[0], key) for key in keys if "video 0" in key})
    assert evaluate_identities(run, faces(keys), tmp_path, seed=0)["groups"]["all"]["photos"] == 4
    other = faces([key for key in keys if "video 1" in key])
    assert evaluate_identities(run, other, tmp_path, seed=0)["groups"]["all"]["photos"] == 4


@pytest.mark.parametrize("deeper", [True, False])
def test_photos_trained_on_that_lie_in_other_folders_now_are_not_taken_for_held_out(tmp_path, deeper):
    moved = [key.replace("/", "/studio/") for key in KEYS]
    before, now = (KEYS, moved) if deeper else (moved, KEYS)
    run = a_run({photo_id(key.split("/")[0], key) for key in before if "0.jpg" in key})
    with pytest.raises(
        DataError, match=r"^2 of these 8 photos have the names of photos that were trained on, in other"
    ):
        evaluate_identities(run, faces(now), tmp_path, seed=0)
    assert not list(tmp_path.iterdir())


def test_other_photos_of_the_same_people_are_all_held_out(tmp_path):
    found = evaluate_identities(a_run({"anna/a", "ben/9", "ben/x/anna"}), faces(KEYS), tmp_path, seed=0)
    assert (found["groups"]["all"]["photos"], found["photos_trained_on"]) == (8, 0)
