"""A noise that cannot be learnt costs its own runs of a study, and no other's."""

import json

from images import image_data, image_study  # noqa: F401

import eval.image_data
from faceguard.errors import NoiseDidNotConverge

STUDY = """
from eval.image_study import ImageExpectation, ImageNoise, ImageStudy, Run

experiment = ImageStudy(
    claim="a claim",
    source="a paper",
    runs={
        "clean": Run(),
        "error-maximizing": Run(noise=ImageNoise(kind="error-maximizing")),
        "error-minimizing": Run(noise=ImageNoise()),
        "random": Run(noise=ImageNoise(kind="random")),
    },
    expectations=(ImageExpectation(run="error-*", than="clean", at_most=0.5),),
)
"""


def test_the_others_are_computed_and_judged_and_the_noise_is_named(image_study, tmp_path, monkeypatch):
    learn, asked = eval.image_data.learn, []

    def limited(fabric, train, noise, size, **more):
        asked.append(noise.kind)
        if noise.kind == "error-maximizing":
            raise NoiseDidNotConverge("After 200 rounds the stop error 0.2 has not been reached.")
        return learn(fabric, train, noise, size, **more)

    monkeypatch.setattr(eval.image_data, "learn", limited)
    code, _, err = image_study(STUDY)
    assert code == 1
    assert "error-maximizing/0 was not computed: The error-maximizing class-wise noise of seed 0 for cifar10" in err
    assert "was not learnt. After 200 rounds the stop error 0.2 has not been reached." in err
    found = json.loads((tmp_path / "runs" / "tiny-smoke" / "result.json").read_text())
    assert list(found["runs"]) == ["clean", "error-minimizing", "random"]
    assert found["not_run"] == ["error-maximizing"]
    assert asked.count("error-maximizing") == 1  # judging does not learn it again
    assert image_study(STUDY, "--judge")[0] == 0
