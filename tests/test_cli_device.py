"""The commands that judge a model do so on the device that is chosen, by the user or by itself."""

from types import SimpleNamespace

import pytest
import torch
from commands import fail, write_faces

from faceguard.audit import _command as repeating
from faceguard.bank import SHIPPED
from faceguard.errors import DataError
from faceguard.lfw import verify_lfw
from faceguard.readers.lfw import read_pairs
from faceguard.readers.synthetic import synthetic_faces
from faceguard.recognizer import build
from faceguard.runs import save_run
from faceguard.train import TrainSettings
from tests.test_cli_eval_lfw import write_lfw
from tests.waiting import DEVICE, Remote, Waits


@pytest.mark.parametrize("choice", ["auto", "cpu", "cuda"])
@pytest.mark.parametrize(
    ("command", "judge"), [("eval-lfw", "lfw.evaluate_lfw"), ("eval-identities", "evaluate.evaluate_identities")]
)
def test_a_command_that_judges_takes_the_device_that_is_chosen_or_the_one_that_auto_means(
    capsys, tmp_path, monkeypatch, command, judge, choice
):
    (tmp_path / "run").mkdir()
    save_run(
        tmp_path / "run",
        build("resnet-18", identities=2, size=32, width=8, seed=0),
        synthetic_faces(2, 1, size=32, seed=0),
        TrainSettings(),
        [],
    )
    asked, told = [], []

    def stop(*_, device, **__):
        told.append(device)
        raise DataError("This is enough.")

    monkeypatch.setattr(
        "faceguard.device.make_fabric", lambda **words: asked.append(words) or SimpleNamespace(device="there")
    )
    monkeypatch.setattr(f"faceguard.{judge}", stop)
    monkeypatch.setattr(
        "faceguard.decode.load_faces", lambda *_, **__: pytest.fail("read first") if not asked else None
    )
    if command == "eval-lfw":
        words = ("--lfw", write_lfw(tmp_path / "lfw"))
    else:
        words = (write_faces(tmp_path / "faces", identities=2, photos=2, size=32),)
    words += () if choice == "auto" else ("--device", choice)
    assert "This is enough." in fail(capsys, command, tmp_path / "run", *words, "--out", tmp_path / "out")
    assert (asked, told) == ([{"device": choice, "precision": "fp32", "devices": 1}], ["there"])


@pytest.mark.parametrize("choice", ["auto", "cpu", "cuda"])
def test_an_audit_takes_the_device_that_is_chosen_or_the_one_that_auto_means(capsys, tmp_path, monkeypatch, choice):
    taken = []

    def stop(fabric, *_, **__):
        taken.append(fabric)
        raise DataError("This is enough.")

    monkeypatch.setattr("faceguard.device.make_fabric", lambda **words: words)
    monkeypatch.setattr("faceguard.audit.run_audit", stop)
    words = () if choice == "auto" else ("--device", choice, "--precision", "bf16")
    assert "This is enough." in fail(capsys, "audit", tmp_path, *words, "--out", tmp_path / "out")
    assert taken == [{"device": choice, "precision": "bf16" if words else "auto"}]


@pytest.mark.parametrize(("gpu", "device", "said"), [(True, "cpu", True), (True, "cuda", False), (False, "cpu", False)])
def test_the_command_that_repeats_an_audit_names_the_processor_where_a_gpu_was_left_out(monkeypatch, gpu, device, said):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    fabric = SimpleNamespace(device=torch.device(device), _precision=SimpleNamespace(precision="bf16-mixed"))
    words = repeating(SHIPPED, None, None, 3, fabric)
    always = ["faceguard", "audit", "PHOTOS", "--seed", "3", "--precision", "bf16"]
    assert words == [*always, *(["--device", "cpu"] if said else [])]


class Still:
    """An embedder that is no network of PyTorch's, and so stays on the CPU."""

    size = 32

    def embed(self, pixels):
        assert not isinstance(pixels, Remote)
        return torch.nn.functional.normalize(pixels.mean((2, 3)), dim=1)


def test_lfws_faces_go_to_the_device_with_a_network_and_stay_here_with_an_onnx_file(tmp_path):
    pairs = read_pairs(write_lfw(tmp_path / "lfw"), None)
    network = build("resnet-18", identities=2, size=32, width=8, seed=0).eval()
    expected, *_ = verify_lfw(network, pairs, seed=0)
    with Waits():
        found, *_ = verify_lfw(network, pairs, seed=0, device=DEVICE)
        verify_lfw(Still(), pairs, seed=0, device=DEVICE)
        assert all(isinstance(weight.data, Remote) for weight in network.parameters())
    assert found.to_json() == expected.to_json()
