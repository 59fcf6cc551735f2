"""Small image sets in parquet under the names of the real ones, and a way to run a classification study on them."""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import eval.__main__ as harness
import eval.image_engine

CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def write_split(path, names, photos, seed):
    """One parquet file: every class has a colour of its own, with a little noise."""
    random = np.random.default_rng(seed)
    colours = np.random.default_rng(0).integers(40, 215, (len(names), 3))
    images, labels = [], []
    for label in range(len(names)):
        for _ in range(photos):
            photo = (colours[label] + random.integers(-30, 31, (32, 32, 3))).clip(0, 255).astype(np.uint8)
            file = io.BytesIO()
            Image.fromarray(photo).save(file, "PNG")
            images.append({"bytes": file.getvalue(), "path": None})
            labels.append(label)
    table = pa.table({"image": images, "label": labels})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table.replace_schema_metadata({"class_names": "\n".join(names)}), path)


def write_set(folder, name, names, *, photos=6, test_photos=3):
    """A set with both splits."""
    write_split(folder / name / "train.parquet", names, photos, seed=1)
    write_split(folder / name / "test.parquet", names, test_photos, seed=2)


@pytest.fixture(scope="session")
def image_data(tmp_path_factory):
    """A data folder with a cifar10 of sixty photos."""
    folder = tmp_path_factory.mktemp("images")
    write_set(folder, "cifar10", CIFAR)
    return folder


@pytest.fixture
def image_study(tmp_path, image_data, capsys):
    """Run the study that a recipe's text, or a recipe file, states, at smoke; gives exit code, output and errors."""

    def run(recipe, *words, folder=image_data):
        path = recipe if isinstance(recipe, Path) else tmp_path / "tiny.py"
        if path is not recipe:
            path.write_text(recipe)
        eval.image_engine.loaded.cache_clear()
        usual = ("--out", tmp_path / "runs", "--folder", folder, "--precision", "fp32", "--scale", "smoke")
        with pytest.raises(SystemExit) as left:
            harness.main([str(word) for word in (path, *usual, *words)])
        return (left.value.code or 0, *capsys.readouterr())

    yield run
    eval.image_engine.loaded.cache_clear()
