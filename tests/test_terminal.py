"""What the terminal shows: sentences unbroken, paths untouched, and tables with the numbers of the result."""

import os
import subprocess
import sys

import pytest
import typer
from rich.console import Console

from faceguard import terminal
from faceguard.errors import DataError
from faceguard.identities import Failure
from faceguard.train import Epoch


def text(table):
    console = Console(width=200)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def arm(last, best):
    rates = {"protected": {"last": last, "best": best}, "others": {"last": 0.9, "best": 0.95}}
    return {"recognition": rates, "verification": {"auc": 0.875, "eer": 0.125}}


def test_a_long_sentence_with_brackets_stays_one_line_as_it_was_written(capsys):
    sentence = "Photos of [/red] " + "and [bold] others " * 20
    terminal.say(sentence)
    terminal.complain("left out", sentence)
    assert capsys.readouterr() == (sentence + "\n", f"left out: {sentence}\n")


def test_folders_that_a_command_made_for_its_results_go_again_when_they_stay_empty(tmp_path):
    (tmp_path / "old").mkdir()
    for name, written in (("new/deep", False), ("new/full", True), ("old", False)):
        with pytest.raises(SystemExit), terminal.sentences():
            terminal.claim(tmp_path / name, "r.json")
            assert (tmp_path / name).is_dir()
            if written:
                (tmp_path / name / "r.partial").touch()
            raise DataError("It failed.")
        assert (tmp_path / name).exists() == (name != "new/deep")
        assert (tmp_path / "new").exists() == (name != "new/deep")


def test_an_epoch_line_has_loss_accuracy_and_what_was_measured(capsys):
    terminal.say_epoch(Epoch(number=3, loss=1.25, accuracy=0.5, measured={"rank-1": 0.75}))
    assert capsys.readouterr().out == "epoch 3: loss 1.250, training accuracy 0.50, rank-1 0.75\n"


def test_left_out_photos_are_listed_and_decide_the_exit_code(capsys):
    terminal.list_left_out([])
    with pytest.raises(BaseException) as left:
        terminal.list_left_out([Failure(key="a/[b].jpg", reason="It is damaged.")])
    assert left.value.exit_code == 1
    assert capsys.readouterr().err == "left out: a/[b].jpg: It is damaged.\n"


def test_the_table_of_arms_has_a_row_for_each_with_last_and_best():
    shown = text(terminal.arms_table({"arms": {"clean": arm(0.8, 0.85), "error-minimizing": arm(0.1, 0.2)}}))
    clean, noisy = (line for line in shown.splitlines() if "clean" in line or "minimizing" in line)
    assert "0.80 (0.85)" in clean
    assert "0.10 (0.20)" in noisy
    assert "0.90 (0.95)" in noisy
    assert "0.875" in noisy
    assert "0.125" in noisy


def test_the_lfw_table_shows_each_number_beside_its_own_interval():
    result = {
        "pairs": 8, "impostors": 1000, "auc": 0.91, "eer": 0.12, "accuracy": {"mean": 0.93, "std": 0.1},
        "tar_at_far": {"0.01": 0.84, "0.001": 0.75},
        "ci95": {
            "auc": [0.901, 0.92], "eer": [0.11, 0.13], "accuracy": [0.92, 0.94],
            "tar_at_far": {"0.01": [0.8, 0.9], "0.001": [0.7, 0.8]},
        },
    }  # fmt: skip
    lines = text(terminal.lfw_table(result)).splitlines()
    expected = [
        ("8 pairs", ""), ("AUC", "0.9100", "0.9010 to 0.9200"), ("EER", "0.1200", "0.1100 to 0.1300"),
        ("accuracy", "0.9300", "0.9200 to 0.9400"), ("FAR 0.01 ", "0.8400", "0.8000 to 0.9000"),
        ("FAR 0.001 ", "0.7500", "0.7000 to 0.8000"),
    ]  # fmt: skip
    for words in expected:
        assert any(all(word in line for word in words) for line in lines), words
    assert " to " not in text(terminal.lfw_table({key: value for key, value in result.items() if key != "ci95"}))


def test_a_far_finer_than_the_impostor_pairs_is_said_to_be_unmeasured(capsys):
    result = {"pairs": 8, "impostors": 999, "auc": 1, "eer": 0, "tar_at_far": {"0.01": 1, "0.001": 1}}
    coarse, fine = (line for line in text(terminal.lfw_table(result)).splitlines() if "FAR" in line)
    assert "not measured" in fine and "not measured" not in coarse
    terminal.say_unmeasured(result)
    terminal.say_unmeasured(result | {"impostors": 1000})
    assert capsys.readouterr().out.count("999 impostor pairs cannot show a FAR of 0.001: ") == 1


@pytest.mark.parametrize(("numbers", "left"), [((1, 2), "2/2 0:00:00"), ((1, 2, 1), "1/2 -:--:--")])
def test_a_bar_that_falls_begins_anew(capsys, numbers, left):
    with terminal.bars() as advance:
        for number in numbers:
            advance("epochs", 2, "", number)
        advance("rounds", None, "", 3)
    said = capsys.readouterr().out
    assert left in said and "3/?" in said


def test_a_file_name_that_is_no_text_is_shown_with_its_bytes_escaped(capsys):
    terminal.say("\udcff.png is done.")
    terminal.complain("not protected", "\udcff.png: No face was found.")
    with terminal.bars() as advance:
        advance("photos", 1, "\udcff.png")
    said = capsys.readouterr()
    assert "\\udcff.png is done." in said.out
    assert said.err == "not protected: \\udcff.png: No face was found.\n"


def test_a_name_from_a_data_set_commands_no_terminal_and_forges_no_line(capsys):
    name = "\x1b]0;owned\x07\x9b2J\r\nError: forged"
    terminal.say(f"{name} is done.")
    with pytest.raises(typer.Exit):
        terminal.list_left_out([Failure(key=name, reason=f"{name} is damaged.")])
    with terminal.bars() as advance:
        advance(name, 1, name)
    said = capsys.readouterr()
    escaped = r"\x1b]0;owned\x07\x9b2J\r\nError: forged"
    assert said.out.splitlines()[0] == f"{escaped} is done."
    assert said.err == f"left out: {escaped}: {escaped} is damaged.\n"
    assert not any(code in said.out + said.err for code in "\x1b\x07\x9b\r")


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_what_the_encoding_cannot_hold_is_shown_escaped_in_sentences_bars_and_tables(encoding):
    script = r"""
from faceguard import terminal
name = "\u0444\u043e\u0442\u043e.jpg"
terminal.say(f"{name} is done.")
terminal.complain("not protected", f"{name}: No face was found.")
with terminal.bars() as advance:
    advance(name, 1, name)
numbers = {"photos": 1, "rank1": 1.0, "auc": 1.0, "eer": 0.0}
terminal.console.print(terminal.groups_table({"groups": {name * 20: numbers}}))
terminal.say("The end.")
"""
    surroundings = os.environ | {"PYTHONIOENCODING": encoding, "COLUMNS": "80"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, env=surroundings, check=False)
    shown, complaints = (said.decode(encoding).splitlines() for said in (done.stdout, done.stderr))
    name = "\u0444\u043e\u0442\u043e.jpg".encode(encoding, "backslashreplace").decode(encoding)
    assert complaints == [f"not protected: {name}: No face was found."] and done.returncode == 0
    assert (shown[0], shown[-1]) == (f"{name} is done.", "The end.")
    assert sum(name in line for line in shown) > 1


def test_a_long_note_hides_no_number(capsys):
    with terminal.bars() as advance:
        advance("epochs", 25, "a note " * 30, 3)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("epochs ") and " 3/25 " in line and "a note" in line and len(line) <= 80


def test_a_disk_too_full_for_pytorch_to_be_loaded_is_a_sentence():
    """PyTorch asks for a temporary folder while it is loaded; files of no byte stand for the full disk."""
    pytest.importorskip("resource")
    code = (
        "import resource, tempfile; from faceguard.terminal import sentences\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "with sentences(): tempfile.gettempdir()"
    )
    done = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "No usable temporary directory found in [" in done.stderr
    assert done.stderr.endswith("the space on the disk.\n")
