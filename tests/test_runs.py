"""Run folders: what is saved is what is loaded, whole or not at all."""

import json
from types import SimpleNamespace

import pytest
import torch
from commands import write_faces

from faceguard.checkpoint import reserved
from faceguard.device import make_fabric
from faceguard.errors import DataError, RunError
from faceguard.readers.synthetic import synthetic_faces
from faceguard.recognizer import build
from faceguard.runs import Training, _refuse_different, load_model, load_run, photo_id, save_run, train_run
from faceguard.train import Epoch, TrainSettings

CURVE = [Epoch(number=1, loss=1.5, accuracy=0.5, measured={"all": 0.25})]


@pytest.fixture
def saved(tmp_path):
    model = build("resnet-18", identities=3, size=32, width=8, seed=7).eval()
    save_run(tmp_path / ".", model, synthetic_faces(3, 2, size=32, seed=0), TrainSettings(epochs=1), CURVE)
    return tmp_path, model


def test_a_loaded_run_is_the_saved_one(saved):
    folder, model = saved
    run = load_run(folder)
    pixels = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(run.model(pixels), model(pixels))
        assert torch.equal(load_model(str(folder)).embed(pixels), model.embed(pixels))
    assert not run.model.training
    assert run.identities == ("synthetic-000", "synthetic-001", "synthetic-002")
    assert run.trained_on == {f"synthetic-{i:03d}/{j:02d}" for i in range(3) for j in range(2)}


def test_a_full_disk_is_a_sentence_and_leaves_no_half_run(tmp_path, full_disk):
    model, faces = build("resnet-18", identities=3, size=32, width=8, seed=7), synthetic_faces(3, 2, size=32, seed=0)
    with full_disk(), pytest.raises(RunError, match=r"model\.safetensors cannot be written \(.*check the folder"):
        save_run(tmp_path, model, faces, TrainSettings(epochs=1), CURVE)
    assert not list(tmp_path.iterdir())


def test_run_json_says_what_was_done(saved):
    about = json.loads((saved[0] / "run.json").read_text())
    assert about["curve"] == [{"number": 1, "loss": 1.5, "accuracy": 0.5, "measured": {"all": 0.25}}]
    assert about["settings"]["learning_rate"] == 0.05
    assert sorted(path.name for path in saved[0].iterdir()) == ["model.safetensors", "run.json"]


@pytest.mark.parametrize(
    ("key", "value"),
    [("model", {"name": "resnet-18", "size": 32, "width": 16}), ("identities", ["anna"]), ("model", 3), ("trained_on", 3)],
)  # fmt: skip
def test_a_run_whose_parts_disagree_is_damaged(saved, key, value):
    about = json.loads((saved[0] / "run.json").read_text())
    (saved[0] / "run.json").write_text(json.dumps(about | {key: value}))
    with pytest.raises(RunError, match="is damaged"):
        load_run(saved[0])


def test_weights_that_are_absent_are_damage(saved):
    (saved[0] / "model.safetensors").unlink()
    with pytest.raises(RunError, match="is damaged"):
        load_run(saved[0])


def test_the_same_seed_trains_the_same_weights_and_another_does_not(tmp_path):
    faces = write_faces(tmp_path / "faces", photos=5, size=32)

    def weights(name, seed):
        (tmp_path / name).mkdir()
        settings = TrainSettings(epochs=1, batch_size=4)
        training = Training(faces=faces, out=tmp_path / name, model="resnet-18", size=32, settings=settings, seed=seed)
        train_run(make_fabric(device="cpu"), training)
        return (tmp_path / name / "model.safetensors").read_bytes()

    first = weights("a", 1)
    assert first == weights("b", 1)
    assert first != weights("c", 2)


def test_a_second_training_into_the_same_folder_is_refused_and_leaves_the_first_alone(tmp_path):
    faces = write_faces(tmp_path / "faces", photos=5, size=32)
    (tmp_path / "out").mkdir()
    training = Training(
        faces=faces, out=tmp_path / "out", model="resnet-18", size=32, settings=TrainSettings(epochs=1, batch_size=4)
    )
    with reserved(tmp_path / "out" / "checkpoint.pt"), pytest.raises(RunError, match="Another process works on"):
        train_run(make_fabric(device="cpu"), training)
    assert not list((tmp_path / "out").iterdir())
    train_run(make_fabric(device="cpu"), training)
    assert load_run(tmp_path / "out").identities == ("synthetic-000", "synthetic-001", "synthetic-002")


def test_processes_that_read_other_photos_do_not_train_together():
    """As where one of them met a disk that failed for a moment; alone, or with the same photos, all is well."""
    faces = synthetic_faces(2, 2, size=32, seed=0)
    for gathered in (lambda mine: mine, lambda mine: torch.stack([mine, mine])):
        _refuse_different(SimpleNamespace(all_gather=gathered), faces)
    with pytest.raises(DataError, match="The processes could not read the same photos"):
        _refuse_different(SimpleNamespace(all_gather=lambda mine: torch.stack([mine, mine + 1])), faces)


def test_a_run_says_how_it_was_trained(tmp_path):
    faces, settings = write_faces(tmp_path / "faces", identities=2, photos=4), TrainSettings(epochs=1, batch_size=4)
    training = Training(faces=faces, out=tmp_path / "run", model="resnet-18", size=32, settings=settings, seed=7)
    train_run(make_fabric(device="cpu", precision="fp32"), training)
    known = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
    assert (known["seed"], known["hold_out"], known["precision"], known["epochs"]) == (7, 0.2, "32-true", 1)


def test_a_run_of_an_earlier_version_knows_the_photos_of_celeba_wherever_they_lie_now(saved):
    about = json.loads((saved[0] / "run.json").read_text()) | {
        "trained_on": ["7210/img_align_celeba/000565", "7210/a/1"]
    }
    (saved[0] / "run.json").write_text(json.dumps(about))
    assert load_run(saved[0]).trained_on == {photo_id("7210", "7210/000565.png"), photo_id("7210", "7210/a/1.jpg")}
