"""The house rules that a reader relies on: imports point down, one module prints, files stay small."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import faceguard

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {  # package -> the packages of this house it may use
    "faceguard": {"faceguard"},
    "eval": {"faceguard", "eval"},
    "recipes": {"faceguard", "eval", "recipes"},
    "benchmarks": {"faceguard", "eval", "benchmarks"},
}
SPEAKING = {  # commands, and how they are shown
    *("faceguard/cli.py", "faceguard/cli_audit.py", "faceguard/cli_data.py", "faceguard/cli_photos.py"),
    "faceguard/terminal.py",
}
HOUSE = {*MAY_IMPORT, "tests"}
MODULES = {package: sorted((ROOT / package).rglob("*.py")) for package in MAY_IMPORT}
INSTALLED = MODULES["faceguard"]
SHIPPED = [path for package in ("faceguard", "eval", "recipes") for path in MODULES[package]]
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def name(path):
    return path.relative_to(ROOT).as_posix()


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(code):
    """The top-level packages that code imports anywhere, also inside functions; a relative import stays in its package."""
    for node in ast.walk(code):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.split(".")[0]


def called(path):
    """Every call in a file as its dotted words, such as ``torch.load``, with the call itself."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            yield ast.unparse(node.func), node


def test_there_is_something_to_look_at():
    assert len(INSTALLED) > 20


def upward(package, code):
    return set(imported(code)) & HOUSE - MAY_IMPORT[package]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_point_down(package):
    found = {name(path): upward(package, tree(path)) for path in MODULES[package]}
    assert not {path: packages for path, packages in found.items() if packages}


def test_the_import_table_notices_an_upward_import_even_inside_a_function():
    assert upward("faceguard", ast.parse("def late():\n    from eval.report import table")) == {"eval"}
    assert upward("eval", ast.parse("import faceguard.noise, recipes.full as full")) == {"recipes"}
    assert upward("recipes", ast.parse("from tests import test_noise\nfrom . import partial")) == {"tests"}


def test_only_the_command_line_prints():
    printing = {"print", "typer.echo", "rich.print", "sys.stdout.write", "sys.stderr.write", "Console", "pprint"}
    found = {name(path): {words for words, _ in called(path)} & printing for path in INSTALLED}
    assert not {path: calls for path, calls in found.items() if calls and path not in SPEAKING}
    talking = {name(path) for path in INSTALLED if {"rich", "typer"} & set(imported(tree(path)))}
    assert talking <= SPEAKING


def test_the_help_text_needs_no_torch():
    """`faceguard --help` answers at once because the command line imports the heavy packages inside its commands."""
    heavy = ("torch", "torchvision", "cv2", "sklearn", "matplotlib", "insightface", "kornia", "lightning_fabric")
    code = f"import sys, faceguard.cli; sys.exit(','.join(m for m in {heavy} if m in sys.modules) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", [*SHIPPED, *TESTS], ids=name)
def test_a_module_has_a_docstring_at_most_250_lines_and_functions_of_at_most_60(path):
    assert ast.get_docstring(tree(path))
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 250
    functions = [n for n in ast.walk(tree(path)) if isinstance(n, ast.FunctionDef)]
    assert not {f.name: f.end_lineno - f.lineno + 1 for f in functions if f.end_lineno - f.lineno >= 60}


@pytest.mark.parametrize("path", INSTALLED, ids=name)
def test_public_functions_and_classes_say_what_they_are(path):
    public = [
        n for n in tree(path).body if isinstance(n, ast.FunctionDef | ast.ClassDef) and not n.name.startswith("_")
    ]
    assert not [node.name for node in public if not ast.get_docstring(node)]


def test_nothing_asserts_moves_by_cuda_catches_everything_or_loads_a_pickle():
    for path in SHIPPED:
        nodes = list(ast.walk(tree(path)))
        assert not any(isinstance(node, ast.Assert) for node in nodes), name(path)
        catching = [n for n in nodes if isinstance(n, ast.ExceptHandler)]
        assert all(n.type is not None and ast.unparse(n.type) not in ("Exception", "BaseException") for n in catching)
        for words, call in called(path):
            assert not words.endswith(".cuda"), name(path)
            assert (
                words not in ("pickle.load", "pickle.loads", "torch.manual_seed") or name(path) == "faceguard/device.py"
            )
            if words == "torch.load":
                assert any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in call.keywords), name(
                    path
                )


def test_the_packages_map_names_every_module():
    told = set(re.findall(r"\w+", faceguard.__doc__))
    modules = {path.stem for path in (ROOT / "faceguard").glob("*.py") if not path.stem.startswith("__")}
    families = ("audit_", "cli_")
    assert {module for module in modules if not module.startswith(families)} - told == set()
