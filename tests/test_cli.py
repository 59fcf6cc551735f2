"""What holds for every command: help, exit codes, and that a bug stays visible."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import typer
from commands import ON_CPU, fail, mistype, run, succeed, write_corrupt, write_faces

import faceguard.decode
import faceguard.runs
from faceguard import cli, terminal
from faceguard.errors import FaceguardError

GROUPS = typer.main.get_command(cli.app).commands
COMMANDS = {name: command for name, command in GROUPS.items() if name != "data"}
COMMANDS |= {f"data {name}": command for name, command in GROUPS["data"].commands.items()}
OPTIONS = {  # what the documentation promises
    "demo": {"--out", "--faces", "--source", "--seed", "--device", "--precision"},
    "generate": {
        "--out",
        "--epsilon",
        "--form",
        "--with",
        "--publication",
        "--no-publication",
        "--gray",
        "--model",
        "--seed",
        "--device",
        "--precision",
    },
    "protect": {
        *("--noise", "--identity", "--assign", "--seed", "--faces", "--format", "--quality", "--metadata"),
        *("--workers", "--resume", "--overwrite"),
    },
    "check": {"--noise", "--out"},
    "audit": {"--noise", "--others", "--extractor", "--out", "--seed", "--device", "--precision"},
    "train": {"--out", "--model", "--epochs", "--size", "--seed", "--device", "--devices", "--precision"},
    "eval-lfw": {"--lfw", "--pairs", "--out", "--download", "--seed", "--device"},
    "eval-identities": {"--groups", "--out", "--seed", "--device"},
    "data fetch": {"--into"},
    "data check": {"--lfw", "--quick"},
}
READING = {  # a command that reads labelled faces, up to the folder it reads, and what it would write
    "demo": ("demo", "--out", "OUT", "--faces"),
    "generate": ("generate", "--out", "OUT/new.safetensors"),
    "train": ("train", "--out", "OUT"),
}


def on_reading(monkeypatch, act):
    """Let ``act`` take the place of reading labelled faces, in every command."""
    for module in (faceguard.decode, faceguard.runs):
        monkeypatch.setattr(module, "load_faces", act)


@pytest.fixture(params=READING)
def reading(request, tmp_path):
    return [word.replace("OUT", str(tmp_path / "out")) for word in READING[request.param]]


# ---- help


def test_every_promised_command_is_there_and_no_other():
    assert set(COMMANDS) == set(OPTIONS)


@pytest.mark.parametrize("command", OPTIONS)
def test_the_help_of_a_command_explains_each_of_its_options(capsys, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "200")
    text = succeed(capsys, *command.split(), "--help")
    assert OPTIONS[command] <= set(re.findall(r"--[a-z-]+", text))
    assert all(parameter.help for parameter in COMMANDS[command].params)


def test_brackets_in_the_help_are_shown(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert '{"protected": [identities]}' in succeed(capsys, "eval-identities", "--help")


def test_the_help_names_every_command_and_its_purpose(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    text = succeed(capsys, "--help")
    assert all(re.search(rf"{command} +[A-Z]\w+", text) for command in GROUPS)
    text = succeed(capsys, "data", "--help")
    assert all(re.search(rf"{command} +[A-Z]\w+", text) for command in GROUPS["data"].commands)


def test_the_installed_command_answers_help_without_loading_torch():
    code = (
        "import sys; from faceguard.cli import main\ntry: main(['--help'])\nfinally: assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "protect" in done.stdout


# ---- exit codes


@pytest.mark.parametrize(
    "words",
    [
        ["portect"],
        ["train"],
        ["train", "faces", "--out", "run", "--epochs", "many"],
        ["train", "faces", "--out", "run", "--epochs", "0"],
        ["train", "faces", "--out", "run", "--hold-out", "1.5"],
        ["train", "faces", "--out", "run", "--devices", "0"],
        ["train", "faces", "--out", "run", "--model", "resnet-50"],
        ["train", "faces", "--out", "run", "--device", "tpu"],
        ["train", "faces", "--out", "run", "--precision", "fp8"],
        ["train", "faces", "--out", "run", "--colour"],
        ["generate", "faces", "--out", "b.safetensors", "--form", "patch-wise"],
        ["protect", "photos", "out", "--assign", "best"],
        ["eval-lfw", "model", "--out", "out"],
        ["data", "fetch", "cifar10"],
        ["data", "fetch", "mnist", "--into", "data"],
        ["data", "remove", "cifar10"],
    ],
    ids=" ".join,
)
def test_a_mistyped_command_exits_with_2_and_shows_the_usage(capsys, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    assert "Usage: faceguard" in mistype(capsys, *words)
    assert not list(tmp_path.iterdir())


def test_a_bug_keeps_its_traceback(tmp_path, monkeypatch):
    on_reading(monkeypatch, lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main(["train", str(tmp_path), "--out", str(tmp_path / "run")])


def test_an_expected_failure_is_one_sentence_on_standard_error_and_exit_code_1(capsys, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise FaceguardError("The path /photos/[red]/x[/bold] is long " + "and longer " * 30 + "than a line.")

    on_reading(monkeypatch, refuse)
    assert "/photos/[red]/x[/bold] is long" in fail(capsys, "train", tmp_path, "--out", tmp_path / "run")


@pytest.mark.parametrize("words", [("data", "check"), ("eval-lfw", "--lfw", ".", "--out", ".")])
def test_a_name_that_the_system_refuses_is_a_sentence(capsys, words):
    assert "a cannot be read or written (File name too long); check its path" in fail(capsys, *words, "a" * 300)


def test_an_interruption_is_no_bug(capsys, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    on_reading(monkeypatch, interrupt)
    code, _, err = run(capsys, "train", tmp_path, "--out", tmp_path / "run")
    assert code not in (0, 2)
    assert "Traceback" not in err


# ---- what every command that reads faces says about bad folders


def test_a_missing_folder_is_named(capsys, tmp_path, reading):
    assert fail(capsys, *reading, tmp_path / "absent") == f"{tmp_path / 'absent'} does not exist; check the path."
    assert not list(tmp_path.iterdir())


def test_an_empty_folder_is_refused_with_what_it_should_hold(capsys, tmp_path, reading):
    (tmp_path / "empty").mkdir()
    assert "one folder of photos per person" in fail(capsys, *reading, tmp_path / "empty")


def test_a_folder_of_unsorted_photos_is_refused_with_what_to_do(capsys, tmp_path, reading):
    write_faces(tmp_path / "faces", identities=1)
    assert "photos in a folder named after the person" in fail(capsys, *reading, tmp_path / "faces" / "synthetic-000")


def test_a_folder_without_one_readable_photo_is_refused(capsys, tmp_path, reading):
    (tmp_path / "faces" / "anna").mkdir(parents=True)
    (tmp_path / "faces" / "anna" / "1.png").write_bytes(b"no photo")
    assert "Not one of 1 photos could be read" in fail(capsys, *reading, tmp_path / "faces")


def test_an_output_below_a_file_is_refused_before_any_work(capsys, tmp_path, monkeypatch):
    on_reading(monkeypatch, lambda *_, **__: pytest.fail("work was begun"))
    (tmp_path / "file").write_text("mine")
    for words in (["demo"], ["train", tmp_path], ["generate", tmp_path]):
        sentence = fail(capsys, *words, "--out", tmp_path / "file" / "deep" / "x.safetensors")
        assert sentence.endswith("choose another --out.")
    assert (tmp_path / "file").read_text() == "mine"


def test_an_output_folder_without_write_permission_is_refused_before_any_work(capsys, tmp_path, monkeypatch):
    on_reading(monkeypatch, lambda *_, **__: pytest.fail("work was begun"))
    locked = tmp_path / "locked"
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != locked)
    sentence = fail(capsys, "generate", tmp_path, "--out", locked / "b.safetensors")
    assert sentence == f"{locked} cannot be written to (Permission denied); choose another --out."


@pytest.mark.parametrize(
    ("words", "result"),
    [
        (["demo", "--faces", "F"], "report.json"),
        (["train", "F"], "run.json"),
        *((["eval-identities", "R", "F"], name) for name in ("identities.json", "roc.png")),
        *((["eval-lfw", "R", "--lfw", "F"], name) for name in ("lfw.json", "roc.png")),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_an_existing_result_is_refused_and_untouched(capsys, tmp_path, words, result):
    (tmp_path / result).write_text("mine")
    sentence = fail(capsys, *words, "--out", tmp_path)
    assert sentence == f"{tmp_path / result} already exists and is not overwritten; choose another --out."
    assert [path.name for path in tmp_path.iterdir()] == [result]
    assert (tmp_path / result).read_text() == "mine"


@pytest.mark.parametrize("command", ["demo", "generate", "train"])
def test_a_gpu_that_is_not_there_is_named_with_the_way_out(capsys, tmp_path, monkeypatch, command):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    on_reading(monkeypatch, lambda *_, **__: pytest.fail("photos were read"))
    words = {"demo": ("--faces", tmp_path), "generate": (tmp_path,), "train": (tmp_path,)}[command]
    sentence = fail(capsys, command, *words, "--out", tmp_path / "out" / "x.safetensors", "--device", "cuda")
    assert "this machine has 0; use --device cpu" in sentence


def test_a_photo_with_brackets_in_its_name_is_listed_as_it_is_called(capsys, tmp_path):
    faces = write_faces(tmp_path / "faces", size=32)
    write_corrupt(faces / "synthetic-000" / "[old] [" / "me].jpg")
    words = ("--out", tmp_path / "run", "--model", "resnet-18", "--size", 32, "--epochs", 1, *ON_CPU)
    code, _, err = run(capsys, "train", faces, *words)
    assert code == 1
    assert "left out: synthetic-000/[old] [/me].jpg: " in err


def test_bars_show_a_name_with_brackets_and_where_a_resumed_run_stands(capsys):
    with terminal.bars() as advance:
        advance("epochs", 5, "[/x]", 4)
        advance("photos", 3, "IMG [old].jpg")
    out = capsys.readouterr().out
    assert "4/5" in out
    assert "1/3" in out
    assert "IMG [old].jpg" in out
