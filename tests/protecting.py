"""What the tests of ``faceguard protect`` share: a bank, people, and what a run left."""

import json

import pytest
import skimage.data
from commands import coarse_bank, write_faces
from PIL import Image


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    path = tmp_path_factory.mktemp("bank") / "b.safetensors"
    coarse_bank().save(path)
    return path


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return write_faces(tmp_path_factory.mktemp("people"), identities=3, photos=2)


def manifest(out):
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]


def rows(out):
    return {line["identity"]: line["row"] for line in manifest(out)}


def portrait(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(skimage.data.astronaut()).save(path, quality=95)
    return path
