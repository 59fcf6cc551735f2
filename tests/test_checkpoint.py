"""Checkpoints: whole or not at all, and a disk that is full is said in a sentence."""

import subprocess
import sys

import pytest
import torch

from faceguard.checkpoint import load_checkpoint, reserved, save_checkpoint
from faceguard.errors import RunError


def test_a_full_disk_is_a_sentence_and_the_last_checkpoint_stays_alone(tmp_path, full_disk):
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"epoch": 1})
    with (
        full_disk(),
        pytest.raises(RunError, match=r"checkpoint\.pt cannot be written \(.*check the folder and its space"),
    ):
        save_checkpoint(path, {"epoch": 2, "weights": torch.zeros(100_000)})
    assert load_checkpoint(path) == {"epoch": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_take_a_checkpoint_is_a_sentence(tmp_path):
    for path in (tmp_path / "absent" / "checkpoint.pt", tmp_path):
        with pytest.raises(RunError, match=r"cannot be written \(.*give the command again"):
            save_checkpoint(path, {"epoch": 1})


HOLDER = """
import sys, time
from pathlib import Path
from faceguard.checkpoint import reserved
with reserved(Path(sys.argv[1])):
    print("reserved", flush=True)
    time.sleep(60)
"""


def test_a_checkpoint_that_another_process_works_on_is_refused_until_that_process_is_gone(tmp_path):
    path = tmp_path / "checkpoint.pt"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "reserved\n"
        with (
            pytest.raises(RunError, match=r"Another process works on .*checkpoint\.pt .*choose another place"),
            reserved(path),
        ):
            pytest.fail("two processes work on one checkpoint")
        other.kill()
    with reserved(path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_folder_in_which_nothing_can_be_reserved_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"), reserved(tmp_path / "file" / "checkpoint.pt"):
        pytest.fail("a file is no folder")


def test_a_checkpoint_of_which_a_byte_has_changed_is_refused_or_says_the_same(tmp_path):
    """A disk or a crash can change what no length tells; PyTorch reads numbers that do not fit their checksum."""
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, {"noise": torch.arange(64.0), "rounds": 3})
    whole, refused = path.read_bytes(), 0
    for place in range(0, len(whole), 11):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        try:
            state = load_checkpoint(path)
        except RunError as error:
            assert "no readable checkpoint" in str(error) and "delete it" in str(error)
            refused += 1
        else:
            assert torch.equal(state["noise"], torch.arange(64.0)) and state["rounds"] == 3
    assert refused > 64 * 4 / 11
