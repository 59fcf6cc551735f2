"""What the documents promise exists: set-up lines, commands and their options, links; and nothing private is named."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import typer

import eval.__main__
from faceguard import cli, listing
from faceguard.endings import PHOTO_SUFFIXES

ROOT = Path(__file__).parents[1]
SET_UP = ("pip install uv && uv run faceguard demo", "pip install uv && uv run pytest")
TREE = typer.main.get_command(cli.app)
HARNESS = typer.main.get_command(eval.__main__.app)


def tracked(root=ROOT):
    """The files that git keeps or would keep: the working tree without what .gitignore names."""
    words = ("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    done = subprocess.run(words, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this is no git checkout, so nothing says which files belong to it")
    paths = [root / name for name in done.stdout.split("\0") if name]
    return [path for path in paths if path.is_file()]


DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("recipes/*.md")])


def indented_or_quoted(text):
    """The lines of code in a document: indented blocks, fenced blocks, and single words between backquotes."""
    for line in text.splitlines():
        if line.startswith("    "):
            yield line.strip()
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from block.splitlines()
    yield from re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)


def commands(text, program):
    """The words after ``program`` in every command that ``text`` quotes."""
    for code in indented_or_quoted(text):
        for part in re.split(r"&&|\|\||[;|]", code.split(" #")[0]):
            words = part.replace("...", "").split()
            for start in range(len(words)):
                if words[start : start + len(program)] == list(program):
                    yield words[start + len(program) :]
                    break


def check(command, words):
    """Let the command read its words without running; a mistyped one raises. Words that stand for a number become one."""
    command.make_context("quoted", ["1" if word == "N" else word.strip("[]") for word in words])


def quoted():
    found = []
    for path in DOCUMENTS:
        name, text = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        found += [(name, "faceguard", words) for words in commands(text, ["faceguard"])]
        found += [(name, "eval", words) for words in commands(text, ["python", "-m", "eval"])]
    return found


# ---- set-up


def test_the_readme_holds_the_two_lines_that_do_everything():
    lines = [line.strip() for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()]
    for line in SET_UP:
        assert lines.count(line) == 1


def test_continuous_integration_runs_the_readmes_test_line_word_for_word():
    assert SET_UP[1] in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("script", [".ci/run", "check"])
def test_the_scripts_are_executable_and_stop_at_the_first_error(script):
    assert os.access(ROOT / script, os.X_OK)
    assert "set -euo pipefail" in (ROOT / script).read_text(encoding="utf-8").splitlines()


def test_continuous_integration_fails_without_the_real_data(tmp_path):
    environment = {**os.environ, "FACEGUARD_DATA": str(tmp_path)}
    done = subprocess.run([ROOT / ".ci" / "run"], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"{tmp_path}/celeba-100 is absent" in done.stderr


# ---- commands


def test_the_documents_quote_commands():
    programs = [program for _, program, _ in quoted()]
    assert programs.count("faceguard") >= 8
    assert programs.count("eval") >= 1


@pytest.mark.parametrize("document", ["README.md", "docs/for-people-with-photos.md", "recipes/README.md"])
def test_a_newcomer_can_paste_every_line_into_a_terminal(document):
    lines = [line for line in (ROOT / document).read_text(encoding="utf-8").splitlines() if line.startswith("    ")]
    assert len(lines) >= 3
    bare = re.compile(r"(?<!uv run )(faceguard|python -m eval)\b(?! &&)")
    assert not [line for line in lines if bare.search(line)]


@pytest.mark.parametrize(("document", "program", "words"), quoted(), ids=lambda value: str(value)[:60])
def test_every_quoted_command_exists_with_its_options(document, program, words):
    assert all((ROOT / word).is_file() for word in words if word.endswith(".py"))
    if program == "eval" and words:
        check(HARNESS, words)
    if program == "faceguard" and words and words[0] != "--help":
        command, words = TREE.commands[words[0]], words[1:]
        if words and hasattr(command, "commands"):
            command, words = command.commands[words[0]], words[1:]
        if words:
            check(command, words)


@pytest.mark.parametrize(
    ("code", "word"),
    [("train a --epoch 3 --out x", "--epoch"), ("train a b --out x", "extra"), ("train a --model vgg --out x", "vgg")],
)
def test_the_check_of_quoted_commands_notices_what_is_wrong(code, word):
    (words,) = commands(f"Run this:\n\n    pip install uv && uv run faceguard {code}  # now\n", ["faceguard"])
    assert words == code.split()
    with pytest.raises(Exception, match=word):
        check(TREE.commands["train"], words[1:])


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_to_files_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (path.parent / target).exists(), target


# ---- nothing private


def test_no_file_names_a_registry_host_or_a_folder_of_one_machine():
    # in two parts, so that this file does not name them itself
    private = [a + b for a, b in (("/work", "/"), ("/ho", "me/"), ("/ro", "ot/"), ("C:", "\\Users"), ("/Us", "ers/"))]
    private += [a + b for a, b in (("pypi", ".org"), ("pythonhosted", ".org"), ("index", "-url"), ("arti", "factory"))]
    files = [path for path in tracked() if path.suffix != ".safetensors" and not holds_photos(path)]
    assert len(files) > 60
    for path in files:
        text = path.read_text(encoding="utf-8")
        found = [word for word in private if word in text]
        assert not found, f"{path.relative_to(ROOT)} names {found}"


def holds_photos(path):
    """Whether a file's ending says that it is a photo or a set of them, or weights that somebody else published."""
    others = {".rec", ".parquet", ".bin", ".npy", ".npz", ".onnx", ".pt", ".ckpt"}
    return path.suffix.lower() in listing.PHOTO_SUFFIXES | PHOTO_SUFFIXES | others


def test_no_photo_is_kept_beside_the_code():
    assert all(holds_photos(Path(name)) for name in ("me.jpg", "me.PNG", "me.heic", "train.rec"))
    assert not [path.name for path in tracked() if holds_photos(path)]


def test_a_photo_in_a_clone_is_noticed_unless_it_lies_where_the_documents_put_them(tmp_path):
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / ".gitignore").write_bytes((ROOT / ".gitignore").read_bytes())
    folders = ("", "photos", "protected", "audit", "check-report", "mine", "mine-report", "faces")
    for folder in folders:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "me.png").touch()
    assert [path for path in tracked(tmp_path) if holds_photos(path)] == [tmp_path / "me.png"]
