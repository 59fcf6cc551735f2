"""In which order several processes take the cells: a noise that many of them need must not keep all of them waiting."""

from functools import partial

import pytest
from images import image_data  # noqa: F401
from studies import data  # noqa: F401

from eval import engine, image_engine
from eval.jobs import noises_first
from eval.plan import Plan

FACES = """
from eval.banks import BankRecipe
from eval.experiment import Condition, FaceStudy
experiment = FaceStudy(
    claim="", faces="people", noises={"own": BankRecipe(faces="people")}, expectations=(),
    conditions=tuple(
        Condition(adversary=who, noise=noise, protected=2)
        for who, noise in (("resnet-18", "own"), ("projecting", "own"), ("resnet-18", "plain"))
    ),
)
"""
IMAGES = """
from eval.image_study import ImageNoise, ImageStudy, Run
experiment = ImageStudy(claim="", source="", runs={
    "clean": Run(),
    "class-wise": Run(noise=ImageNoise()),
    "half": Run(noise=ImageNoise(), share=0.5),
    "random": Run(noise=ImageNoise(kind="random")),
    "in the centre": Run(noise=ImageNoise(centred=True)),
    "sample-wise": Run(noise=ImageNoise(form="sample-wise")),
    "both": Run(noise=ImageNoise(), second=ImageNoise(form="sample-wise")),
})
"""


@pytest.fixture
def plan(tmp_path):
    """The plan of a recipe's text; afterwards its study is forgotten."""
    recipe = tmp_path / "tiny.py"

    def make(text, folder):
        recipe.write_text(text)
        return Plan(recipe=recipe, data=folder, out=tmp_path, scale="smoke", precision="fp32")

    yield make
    engine.loaded.cache_clear()
    image_engine.loaded.cache_clear()


def test_one_job_for_every_noise_then_those_without_then_those_that_wait():
    needs = {"a": "", "b": "x", "c": "xy", "d": "", "e": "y", "f": "z", "g": "zx"}
    assert "".join(noises_first(list(needs), needs.__getitem__)) == "bcf" + "ad" + "eg"


def test_images_of_one_file_of_rows_wait_for_whoever_learns_it(plan, image_data):
    images = plan(IMAGES, image_data)
    jobs = image_engine.jobs_of(images)
    order = [job.run for job in noises_first(jobs, partial(image_engine.noises_of, images))]
    assert order == ["class-wise", "sample-wise", "clean", "random", "half", "in the centre", "both"]
    image_engine.compute(images, jobs[1])
    order = [job.run for job in noises_first(jobs, partial(image_engine.noises_of, images))]
    assert order == ["sample-wise", "clean", "class-wise", "half", "random", "in the centre", "both"]


def test_faces_wait_for_a_noise_of_the_studys_own_and_so_does_a_clean_arm_whose_adversary_knows_it(plan, data):
    faces = plan(FACES, data)
    order = [
        job.label.split(", ")[0] + "/" + job.arm
        for job in noises_first(engine.jobs_of(faces), partial(engine.noises_of, faces))
    ]
    shipped = [f"resnet-18/{arm}" for arm in ("clean", "random", "error-minimizing")]
    assert order[:5] == ["resnet-18/random", "resnet-18/clean", *shipped]
    assert order[5:] == [
        "resnet-18/error-minimizing",
        *(f"projecting/{arm}" for arm in ("clean", "random", "error-minimizing")),
    ]
