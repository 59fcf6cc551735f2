"""Checkpoints: whole or not at all, and a disk that is full is said in a sentence."""

import pytest
import torch

from faceguard.checkpoint import load_checkpoint, save_checkpoint
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
