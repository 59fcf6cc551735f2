"""Every recipe that states a face study runs at smoke: drawn people, tiny networks, an untrained extractor for known ones."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from commands import write_faces
from PIL import Image
from studies import clear

import eval.__main__ as harness
import eval.contenders
from eval.experiment import FaceStudy, load_recipe
from faceguard.readers.synthetic import synthetic_faces
from faceguard.recognizer import build
from faceguard.runs import save_run
from faceguard.train import Epoch, TrainSettings

EPOCH = Epoch(number=1, loss=1.0, accuracy=0.5)
ROOT = Path(__file__).parents[1]
RECIPES = [
    path for path in sorted((ROOT / "recipes").glob("[a-z]*.py")) if isinstance(load_recipe(path), FaceStudy)
]  # fmt: skip


@pytest.fixture(scope="session")
def people(tmp_path_factory):
    """A data folder with everything that the recipes name; celeba-100 holds photos with a face to be found."""
    folder = tmp_path_factory.mktemp("people")
    write_faces(folder / "pins-105", identities=6, photos=4, size=112)
    for person in range(4):
        (folder / "celeba-100" / str(person)).mkdir(parents=True)
        for photo in range(4):
            shown = skimage.data.astronaut()[:300, 60:400].astype(int) + 8 * person - 5 * photo
            path = folder / "celeba-100" / str(person) / f"{photo}.png"
            Image.fromarray(shown.clip(0, 255).astype(np.uint8)).save(path)
    lfw = folder / "lfw" / "lfw-aligned-112"
    write_faces(lfw, identities=2, photos=2, size=112, seed=1)
    for name, path in (("P_0", lfw / "synthetic-000"), ("P_1", lfw / "synthetic-001")):
        path.rename(lfw / name)
        for photo in (1, 2):
            (lfw / name / f"{photo - 1:02d}.png").rename(lfw / name / f"{name}_{photo:04d}.png")
    (lfw / "pairs.txt").write_text("2\t1\nP_0\t1\t2\nP_0\t1\tP_1\t1\nP_1\t1\t2\nP_0\t2\tP_1\t2\n")
    model = build("resnet-18", identities=2, size=32, width=8, seed=0).eval()
    (folder / "extractor").mkdir()
    save_run(folder / "extractor", model, synthetic_faces(2, 2, size=32, seed=0), TrainSettings(), [EPOCH])
    return folder


@pytest.fixture
def untrained(monkeypatch):
    """Whoever starts from weights gets the untrained extractor's; what a noise looks like is not measured."""
    known = {
        name: replace(one, adversary=replace(one.adversary, weights="extractor"))
        if hasattr(one.adversary, "weights")
        else one
        for name, one in eval.contenders.SMALL.items()
    }
    monkeypatch.setattr("eval.contenders.SMALL", known)
    monkeypatch.setattr("eval.outcome.visibility", lambda *_: {"epsilon_levels": 16})
    clear()
    yield
    clear()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_runs_at_smoke(recipe, people, untrained, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("FACEGUARD_CACHE", str(tmp_path / "cache"))
    words = (recipe, "--scale", "smoke", "--folder", people, "--out", tmp_path / "runs", "--precision", "fp32")
    with pytest.raises(SystemExit) as left:
        harness.main([str(word) for word in words])
    assert (left.value.code or 0) == 0, capsys.readouterr().err
    found = json.loads((tmp_path / "runs" / f"{recipe.stem}-smoke" / "result.json").read_text())
    stated = load_recipe(recipe).at("smoke").conditions
    assert [condition["name"] for condition in found["conditions"]] == [condition.name for condition in stated]
    assert {tuple(sorted(one["arms"])) for one in found["conditions"]} == {tuple(sorted(one.arms)) for one in stated}
    assert (tmp_path / "runs" / f"{recipe.stem}-smoke" / "report.html").is_file()
