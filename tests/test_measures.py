"""An arm's numbers are those of identification and verification, averaged over its seeds, with intervals around them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from faceguard.errors import DataError
from faceguard.identification import REPLICATES, rank1, rank1_within, verify_groups
from faceguard.measures import POINTS, measure_arm
from faceguard.outputs import write_json
from faceguard.readers.lfw import LfwPairs
from faceguard.readers.record import Record
from faceguard.study import make_groups
from faceguard.verification import tar_at_far, verify
from tests.fabricated import held_out, made_cell

TEST = held_out(8, photos=5)
GROUPS = make_groups(TEST, TEST.names[:3])
CELLS = [made_cell(TEST, 3, (0.5, 0.8), seed=seed, epochs=4) for seed in range(3)]


@pytest.fixture(scope="module")
def arm():
    return measure_arm(CELLS, TEST, GROUPS)


def test_recognition_is_the_mean_of_every_seeds_own(arm):
    for group in GROUPS:
        curves = [[rank1(row, TEST, GROUPS)[group] for row in cell["predictions"]] for cell in CELLS]
        within = [rank1_within(cell["logits"], TEST, GROUPS)[group] for cell in CELLS]
        wanted = {"last": [c[-1] for c in curves], "best": [max(c) for c in curves], "within": within}
        assert arm["recognition"][group].keys() == wanted.keys()
        for when, values in wanted.items():
            found = arm["recognition"][group][when]
            assert found["seeds"] == pytest.approx(values)
            assert found["mean"] == pytest.approx(np.mean(values))
            assert found["low"] <= found["mean"] <= found["high"] and found["over"] == "seeds"
            assert found["identities"][0] <= found["mean"] <= found["identities"][1]
        assert arm["curves"]["rank1"][group] == pytest.approx(np.mean(curves, axis=0), abs=1e-4)
    assert arm["curves"]["loss"] == pytest.approx(CELLS[0]["losses"], abs=1e-4)


def test_verification_is_that_of_every_seed_with_the_mean_of_their_ends(arm):
    found = [verify_groups(torch.from_numpy(cell["embeddings"]), TEST, GROUPS, seed=0) for cell in CELLS]
    for group, numbers in arm["verification"].items():
        own = [one[group] for one in found]
        assert numbers["auc"]["seeds"] == [one.auc for one in own]
        assert numbers["eer"]["seeds"] == [one.eer for one in own]
        assert numbers["tar_at_far"]["0.001"]["seeds"] == [one.tar_at_far["0.001"] for one in own]
        ends = [one.ci95["auc"] for one in own]
        assert numbers["auc"]["identities"] == pytest.approx(np.mean(ends, axis=0))
        assert sum(numbers["pairs"].values()) == own[0].pairs
    assert arm["verification"].keys() == GROUPS.keys()


def test_the_roc_is_the_mean_over_seeds_with_a_band_over_them(arm):
    found = [verify_groups(torch.from_numpy(cell["embeddings"]), TEST, GROUPS, seed=0)["others"] for cell in CELLS]
    curve = arm["roc"]["others"]
    assert {len(values) for values in curve.values()} == {POINTS}
    for i, far in enumerate(curve["far"]):
        heights = [tar_at_far(one.far, one.tar, far) for one in found]
        assert curve["tar"][i] == pytest.approx(np.mean(heights), abs=1e-4)
        assert curve["low"][i] <= curve["tar"][i] <= curve["high"][i]
    assert (curve["far"][-1], curve["tar"][-1]) == (1, 1)
    assert curve["tar"] == sorted(curve["tar"])


def named(*right, photos=(2, 2), names=("ann", "bea")):
    """Held-out faces of two people, and a cell for each seed that names as many of each one's photos rightly."""
    labels = np.repeat(np.arange(len(photos)), photos)
    test = replace(held_out(1, photos=len(labels)), labels=labels, names=names)
    place = np.concatenate([np.arange(count) for count in photos])
    return test, [{"predictions": np.where(place < np.array(each)[labels], labels, labels + 1)[None]} for each in right]


def recognized(test, cells, people=2, **more):
    return measure_arm(cells, test, {"all": np.arange(people)}, **more)["recognition"]["all"]["last"]


def test_every_photo_counts_alike_whoever_has_many_of_them():
    test, cells = named((1, 0), photos=(1, 9))
    assert recognized(test, cells)["mean"] == 0.1


def test_an_identity_without_held_out_photos_is_nobody_and_widens_no_interval():
    test, cells = named((2, 0))
    _, more = named((2, 0), names=("ann", "bea", "cat"))
    assert recognized(replace(test, names=("ann", "bea", "cat")), more, people=3) == recognized(test, cells)


def test_the_interval_over_identities_is_of_the_mean_of_all_seeds():
    """One seed is always right and the other never, so that whoever is drawn the mean is one half."""
    photos = (1,) * 8
    test, cells = named((1,) * 8, (0,) * 8, photos=photos, names=tuple("abcdefgh"))
    assert recognized(test, cells, people=8)["identities"] == [0.5, 0.5]


def test_the_intervals_over_identities_follow_the_bootstraps_seed():
    test = held_out(20)
    cell, everyone = made_cell(test, 10, (0.4, 0.7)), {"all": np.arange(20)}
    one, again, other = (measure_arm([cell], test, everyone, seed=seed) for seed in (0, 0, 1))
    assert one == again
    for read in (lambda arm: arm["recognition"]["all"]["last"], lambda arm: arm["verification"]["all"]["auc"]):
        assert read(one)["seeds"] == read(other)["seeds"]
        assert read(one)["identities"] != read(other)["identities"]


def test_the_band_over_seeds_stays_between_0_and_1():
    pairs = lfw_pairs()
    perfect, inverted = ({**CELLS[0], "lfw_scores": sign * pairs.genuine} for sign in (1.0, -1.0))
    curve = measure_arm([perfect, inverted], TEST, GROUPS, pairs=pairs)["roc"]["lfw"]
    assert (min(curve["low"]), max(curve["high"])) == (0, 1)


def lfw_pairs(impostors=1000, genuine=200, *, named=True, folds=1):
    """Pairs among forty people with two photos each."""
    random = np.random.default_rng(3)
    one = random.integers(0, 40, genuine)
    left = random.integers(0, 40, impostors)
    right = (left + random.integers(1, 40, impostors)) % 40
    first, second = np.append(2 * one, 2 * left), np.append(2 * one + 1, 2 * right)
    names = [f"person {i // 2}" if named else str(i) for i in range(80)]
    return LfwPairs(
        records=[Record(f"{i}", name, lambda: None, None) for i, name in enumerate(names)],
        first=first,
        second=second,
        genuine=np.repeat([True, False], [genuine, impostors]),
        fold=np.arange(len(first)) % folds,
        missing_pairs=4,
    )


def scored(pairs, seed=0):
    random = np.random.default_rng(seed)
    return {**CELLS[0], "lfw_scores": random.normal(pairs.genuine * 1.5, 1)}


def test_lfw_is_verified_as_its_protocol_says():
    pairs = lfw_pairs(folds=10)
    cells = [scored(pairs, seed) for seed in range(2)]
    numbers = measure_arm(cells, TEST, GROUPS, pairs=pairs)["lfw"]
    own = [verify(cell["lfw_scores"], pairs.genuine, fold=pairs.fold) for cell in cells]
    assert numbers["accuracy"]["seeds"] == [one.accuracy.mean for one in own]
    assert numbers["auc"]["seeds"] == [one.auc for one in own]
    assert numbers["pairs"] == {"genuine": 200, "impostor": 1000, "missing": 4}


def test_the_band_of_a_single_seed_is_the_bootstrap_over_identities():
    """Of 1,000 impostor pairs the curve begins at a FAR of 0.001, where verification has an interval of its own."""
    pairs = lfw_pairs()
    cell = scored(pairs)
    arm = measure_arm([cell], TEST, GROUPS, pairs=pairs)
    names = np.array([record.identity for record in pairs.records])
    identities = names[pairs.first], names[pairs.second]
    own = verify(cell["lfw_scores"], pairs.genuine, identities=identities, replicates=REPLICATES, seed=0)
    low, high = own.ci95["tar_at_far.0.001"]
    curve = arm["roc"]["lfw"]
    assert curve["far"][0] == 0.001
    assert (curve["low"][0], curve["high"][0]) == pytest.approx((low, high), abs=1e-4)
    assert arm["lfw"]["tar_at_far"]["0.001"]["over"] == "identities" and low < high


def test_the_band_of_seeds_that_agree_is_that_of_a_single_one():
    """As the intervals of the numbers beside it: three alike are no proof that a fourth is."""
    pairs = lfw_pairs()
    cell = scored(pairs)
    one, three = (measure_arm([cell] * seeds, TEST, GROUPS, pairs=pairs)["roc"]["lfw"] for seeds in (1, 3))
    assert (three["low"], three["high"]) == (one["low"], one["high"])
    assert three["low"][0] < three["tar"][0] < three["high"][0]


def test_of_few_impostor_pairs_a_roc_still_begins_at_a_tenth():
    pairs = lfw_pairs(impostors=5, genuine=20)
    far = measure_arm([scored(pairs)], TEST, GROUPS, pairs=pairs)["roc"]["lfw"]["far"]
    assert (far[0], far[-1], len(set(far))) == (0.1, 1, POINTS)


def test_pairs_that_name_nobody_have_no_interval():
    pairs = lfw_pairs(named=False)
    arm = measure_arm([scored(pairs)], TEST, GROUPS, pairs=pairs)
    assert arm["lfw"]["auc"]["over"] is None and arm["lfw"]["auc"]["low"] is None
    assert arm["roc"]["lfw"]["low"] == arm["roc"]["lfw"]["high"] == []
    assert "accuracy" not in arm["lfw"]


def test_one_protected_person_is_recognized_or_not_but_makes_no_pairs_and_no_interval():
    arm = measure_arm(CELLS[:1], TEST, make_groups(TEST, TEST.names[:1]))
    assert arm["verification"].keys() == arm["roc"].keys() == {"others"}
    last = arm["recognition"]["protected"]["last"]
    assert (last["over"], last["low"], last["identities"]) == (None, None, None) and 0 <= last["mean"] <= 1


def test_an_adversary_without_epochs_or_embeddings_is_measured_by_what_it_names():
    cells = [{"predictions": cell["predictions"][-1:]} for cell in CELLS]
    arm = measure_arm(cells, TEST, GROUPS)
    assert arm["recognition"]["others"].keys() == {"last", "best"} and arm["verification"] == arm["roc"] == {}
    assert len(arm["curves"]["rank1"]["others"]) == 1 and arm["curves"]["loss"] == []


def test_a_seed_that_stopped_early_counts_as_far_as_it_came():
    short = {**CELLS[1], "predictions": CELLS[1]["predictions"][:2], "losses": CELLS[1]["losses"][:2] + 2}
    arm = measure_arm([CELLS[0], short], TEST, GROUPS)
    assert arm["curves"]["loss"] == pytest.approx(CELLS[0]["losses"] + [1, 1, 0, 0], abs=1e-4)
    assert len(arm["curves"]["rank1"]["others"]) == 4


def test_the_same_cells_give_the_same_numbers_which_json_keeps(arm, tmp_path):
    assert measure_arm(CELLS, TEST, GROUPS) == arm
    write_json(tmp_path / "arm.json", arm)
    assert json.loads((tmp_path / "arm.json").read_text()) == arm


@pytest.mark.parametrize(
    ("cells", "groups", "words"),
    [
        ([], GROUPS, "give the cells of these faces"),
        ([made_cell(held_out(8, photos=4), 3, (0.5, 0.8))], GROUPS, r"40 held-out faces .* \[\(8, 32\)\]"),
        (CELLS, {"nobody": np.array([], dtype=np.int64)}, "no held-out face"),
    ],
)
def test_what_does_not_fit_is_refused(cells, groups, words):
    with pytest.raises(DataError, match=words):
        measure_arm(cells, TEST, groups)
