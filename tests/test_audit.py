"""The audit of one's own photos: the harness's verdict over fast adversaries, and no better than the photos allow."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from commands import coarse_bank, write_faces

from faceguard.adversary import Scratch
from faceguard.audit import FROZEN, AuditSettings, run_audit
from faceguard.audit_faces import gather
from faceguard.audit_others import AuditSize
from faceguard.conclusion import conclude, judge
from faceguard.device import make_fabric
from faceguard.errors import BankError, DataError, RunError
from faceguard.readers.synthetic import synthetic_faces
from faceguard.recognizer import build
from faceguard.result import read_result
from faceguard.runs import save_run
from faceguard.study import ARMS
from faceguard.train import TrainSettings
from faceguard.uploads import Upload

SMALL = AuditSize(others=3, photos=6)
TINY = AuditSettings(
    size=SMALL, scratch=Scratch(width=8, size=32, train=TrainSettings(epochs=2, batch_size=16)), seeds=2
)


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return write_faces(tmp_path_factory.mktemp("people"), identities=2, photos=6)


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    folder = write_faces(tmp_path_factory.mktemp("strangers"), identities=3, photos=5, seed=9)
    for i, person in enumerate(sorted(folder.iterdir())):
        person.rename(folder / f"stranger-{i}")
    return folder


@pytest.fixture(scope="module")
def extractor(tmp_path_factory):
    """A run folder with a network that was never trained: it compares colours and shapes all the same."""
    folder = tmp_path_factory.mktemp("extractor")
    model = build("resnet-18", identities=2, size=32, width=8, seed=0)
    save_run(folder, model.eval(), synthetic_faces(2, 1, size=32, seed=0), TrainSettings(epochs=1), [])
    return folder


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch, tmp_path):
    """No published weights are at hand."""
    monkeypatch.setenv("FACEGUARD_CACHE", str(tmp_path / "cache"))


def audit(photos, out, *, bank=None, seed=0, **more):
    out.mkdir(parents=True, exist_ok=True)
    about = {"bank": bank or coarse_bank(), "noise": "coarse", "settings": TINY} | more
    return run_audit(make_fabric(device="cpu"), photos, out, seed=seed, **about)


def gathered(photos, bank=None, *, others=None, seed=0):
    return gather(photos, bank or coarse_bank(), "coarse", others=others, upload=Upload(), size=SMALL, seed=seed)


@pytest.fixture(scope="module")
def finished(people, strangers, extractor, tmp_path_factory):
    out = tmp_path_factory.mktemp("audit")
    steps = []
    found = audit(
        people, out, others=strangers, extractor=str(extractor), on_epoch=lambda *step: steps.append(step[1:3])
    )
    return out, found, steps


# ---- end to end


def test_the_three_files_are_there_and_the_headline_is_that_of_the_worst_condition(finished):
    out, found, _ = finished
    assert sorted(path.name for path in out.iterdir()) == ["report.html", "result.json", "run.json"]
    result = read_result(out / "result.json")  # refuses a verdict that the conditions do not give
    assert result["verdict"] == conclude(result["conditions"], result["verdict"]["not_run"])
    worst = max((judge(condition) for condition in result["conditions"]), key=lambda one: one.badness)
    assert (result["verdict"]["worst"], result["verdict"]["outcome"]) == (worst.name, worst.outcome)
    assert found.failures == ()
    command = "faceguard audit PHOTOS --noise NOISE --others OTHERS --extractor EXTRACTOR --seed 0 --precision fp32"
    command += " --device cpu" if torch.cuda.is_available() else ""
    assert json.loads((out / "run.json").read_text())["command"] == command
    assert result["settings"]["precision"] == "fp32"
    page = (out / "report.html").read_text()
    assert result["verdict"]["headline"] in page
    assert all(note.split(",")[0] in page for note in result["notes"])


def test_all_three_adversaries_meet_all_arms_with_their_seeds(finished):
    conditions = {condition["adversary"]: condition for condition in finished[1].result["conditions"]}
    assert [name.split()[0] for name in conditions] == ["frozen", "resnet-18", "averaging,"]
    for name, condition in conditions.items():
        assert set(condition["arms"]) == set(ARMS)
        assert condition["seeds"] == ([0] if name.startswith("frozen") else [0, 1])
        assert (condition["protected"], condition["identities"]) == (2, 5)
        assert condition["doubts"] == []


def test_progress_ends_where_it_said_it_would(finished):
    steps = finished[2]
    assert steps == sorted(steps)
    assert steps[-1] == (27, 27)  # three embeddings, and two adversaries x three arms x two seeds x two epochs


def test_the_pictures_are_of_the_users_photos_and_within_the_budget(finished):
    result = finished[1].result
    assert [picture["name"].split("/")[0] for picture in result["pictures"]] == 2 * ["synthetic-000", "synthetic-001"]
    assert result["noise"]["max_change"] == 16
    assert 0.5 < result["noise"]["noise_kept"] <= 1


def test_the_result_names_no_folder_of_this_machine(finished, people, strangers, extractor):
    text = (finished[0] / "result.json").read_text()
    assert not any(str(folder.parent) in text for folder in (people, strangers, extractor))


def test_the_same_seed_gives_the_same_result_and_another_seed_another(tmp_path, people):
    first, again, other = (
        audit(people, tmp_path / name, settings=replace(TINY, seeds=1), seed=seed) and tmp_path / name / "result.json"
        for name, seed in (("first", 0), ("again", 0), ("other", 1))
    )
    assert first.read_bytes() == again.read_bytes()
    assert json.loads(first.read_text())["conditions"] != json.loads(other.read_text())["conditions"]


def test_without_an_extractor_it_is_listed_as_not_run_and_the_user_is_told(tmp_path, people):
    result = audit(people, tmp_path, settings=replace(TINY, seeds=1)).result
    assert result["verdict"]["not_run"][0] == FROZEN
    assert not any(condition["adversary"].startswith("frozen") for condition in result["conditions"])
    assert any("is expected to recognize everybody" in note for note in result["notes"])


def test_published_weights_are_used_where_they_are_and_never_fetched(tmp_path, people, monkeypatch):
    weights = tmp_path / "cache" / "weights" / "20180402-114759-vggface2.pt"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"not the published ones")
    monkeypatch.setattr("torch.hub.download_url_to_file", lambda *_, **__: pytest.fail("it went online"))
    with pytest.raises(RunError, match="does not have the expected SHA-256"):
        audit(people, tmp_path / "out")
    with pytest.raises(RunError, match="an audit never fetches any"):
        audit(people, tmp_path / "out", extractor="buffalo_l")


# ---- faults are caught


def test_a_bank_of_zeros_never_protects(tmp_path, people, strangers):
    zeros = replace(coarse_bank(), rows=coarse_bank().rows * 0)
    result = audit(people, tmp_path, bank=zeros, others=strangers, settings=replace(TINY, seeds=1)).result
    assert result["verdict"]["outcome"] == "inconclusive"
    assert all("The noise coarse is all zeros." in condition["reasons"] for condition in result["conditions"])


def test_the_same_photo_in_training_and_test_is_a_doubt(tmp_path, people):
    copied = shutil.copytree(people, tmp_path / "copied")
    for i in range(1, 6):
        shutil.copy(copied / "synthetic-000" / "00.png", copied / "synthetic-000" / f"0{i}.png")
    assert gathered(copied).doubts == ["1 of 5 held-out faces are among the training faces as well."]
    assert gathered(people).doubts == []


def test_people_of_one_name_in_both_folders_are_a_doubt_and_stay_two(people):
    found = gathered(people, others=people)
    assert found.test.names == ("synthetic-000", "synthetic-001", "synthetic-000 (other)", "synthetic-001 (other)")
    assert any("named as yours are (synthetic-000, synthetic-001)" in doubt for doubt in found.doubts)


def test_the_others_are_clean_in_every_arm_and_the_users_photos_are_not(people, strangers):
    found = gathered(people, others=strangers)
    changed = (found.train["error-minimizing"].pixels != found.train["clean"].pixels).any(axis=(1, 2, 3))
    assert (changed == (found.train["clean"].labels < 2)).all()
    assert found.protected == found.test.names[:2]


def test_a_bank_of_ones_own_puts_on_people_the_rows_that_protect_would(people, strangers):
    bank, names = coarse_bank(), sorted(path.name for path in people.iterdir())
    own = replace(bank, identities=("row 0", "row 1", names[1]))  # learnt for the second person last
    moved = replace(bank, rows=bank.rows[[0, 2, 1]])
    found = [gathered(people, one, others=strangers).train["error-minimizing"].pixels for one in (own, moved, bank)]
    assert (found[0] == found[1]).all() and (found[0] != found[2]).any()


@pytest.mark.parametrize(("photos", "words"), [(4, "5 usable photos of each person"), (1, "(synthetic-000 1,")])
def test_too_few_photos_are_a_sentence(tmp_path, photos, words):
    few = write_faces(tmp_path / "few", identities=2, photos=photos)
    with pytest.raises(DataError) as caught:
        gathered(few)
    assert words in str(caught.value)


def test_what_the_folders_alone_show_is_said_before_a_photo_is_read(tmp_path, people, strangers, monkeypatch):
    monkeypatch.setattr("faceguard.audit_faces.upload_faces", lambda *_, **__: pytest.fail("photos were read"))
    few = write_faces(tmp_path / "few", identities=2, photos=4)
    for photos, others, words in (
        (few, strangers, "An audit needs 5 usable photos of each person"),
        (people, few, "few holds 0 people with 5 usable photos or more"),
        (people, tmp_path / "absent", "absent does not exist"),
    ):
        with pytest.raises(DataError, match=words):
            gathered(photos, others=others)


def test_too_few_others_too_many_people_and_protected_copies_are_sentences(tmp_path, people):
    few = write_faces(tmp_path / "few", identities=3, photos=2)
    with pytest.raises(DataError, match="holds 0 people with 5 usable photos or more"):
        gathered(people, others=few)
    with pytest.raises(DataError, match="photos of 3 people, and an audit takes 2 at most"):
        gather(few, coarse_bank(), "x", others=None, upload=Upload(), size=AuditSize(people=2), seed=0)
    for folder in few.iterdir():
        line = {"source": "x.jpg", "status": "protected", "reason": None, "identity": "x", "row": 0}
        lines = [json.dumps(line | {"output": f"0{i}.png"}) + "\n" for i in range(2)]
        (folder / "manifest.jsonl").write_text("".join(lines))
    with pytest.raises(DataError, match="holds only protected copies"):
        gathered(few)
    (few / "manifest.jsonl").write_text("")
    with pytest.raises(DataError, match="name the folder of the originals"):
        gathered(few)


def test_others_whose_photos_carry_noise_already_are_refused(tmp_path, people):
    others = write_faces(tmp_path / "others", identities=3, photos=6)
    gathered(people, others=others)
    line = {"source": "x.jpg", "output": "03.png", "status": "protected", "reason": None, "identity": "x", "row": 0}
    (others / "synthetic-001" / "manifest.jsonl").write_text(json.dumps(line))
    with pytest.raises(DataError, match=r"synthetic-001 of the others holds protected copies .*; give their originals"):
        gathered(people, others=others)


def test_of_many_photos_a_few_are_taken_spread_evenly(people):
    few = replace(SMALL, fewest=2, own_photos=6)
    found = gather(people, coarse_bank(), "x", others=None, upload=Upload(), size=few, seed=0)
    keys = sorted(key for half in (found.train["clean"], found.test) for key in half.keys if key.startswith("synth"))
    assert keys == [f"synthetic-{who:03d}/{photo:02d}.png" for who in (0, 1) for photo in (0, 2, 5)]


def test_noise_for_single_photos_is_refused(people):
    with pytest.raises(BankError, match="use a class-wise bank"):
        gathered(people, coarse_bank(12, form="sample-wise"))
