"""The benchmarks measure what they say they do, at a tiny scale; no test here depends on how fast anything is."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from benchmarks import __main__ as command
from benchmarks import embedding, generation, memory, training
from benchmarks.measure import Comparison, Times, compare, hardware, take_turns

KEYS = {
    "name",
    "unit",
    "measured",
    "reference",
    "ratio",
    "cpu_ratio",
    "limit",
    "within_limit",
    "ratios",
    "settings",
    "notes",
}
TINY = generation.Network(width=8, train_steps=3, photos=16, size=32, batch_size=8)


@pytest.fixture
def counted_passes(monkeypatch):
    """Counts the forward passes of every ResNet-18 in training mode, in eval mode with gradients, and without."""
    counts = {"train": 0, "pgd": 0, "error": 0}
    forward = generation.Recognizer.forward

    def counting(model, pixels):
        counts["train" if model.training else "error" if torch.is_inference_mode_enabled() else "pgd"] += len(pixels)
        return forward(model, pixels)

    monkeypatch.setattr(generation.Recognizer, "forward", counting)
    return counts


def content(comparison):
    """The comparison's JSON, after a check that holds for all of them."""
    found = json.loads(json.dumps(comparison.to_json()))
    assert set(found) == KEYS
    assert found["measured"] > 0 and found["reference"] > 0
    assert found["ratio"] == pytest.approx(found["measured"] / found["reference"])
    return found


def test_sides_take_turns_in_alternating_order_after_one_unmeasured_run():
    calls = []
    times = take_turns((lambda: calls.append("a"), lambda: calls.append("b")), 3)
    assert "".join(calls) == "ab" + "ab" + "ba" + "ab"
    assert [(len(side.wall), len(side.cpu)) for side in times] == [(3, 3), (3, 3)]


def test_a_ratio_is_one_of_medians_and_every_single_one_is_kept():
    ours, bare = Times(wall=(3.0, 100.0, 2.0), cpu=(6.0, 6.0, 6.0)), Times(wall=(1.0, 4.0, 2.0), cpu=(2.0, 3.0, 4.0))
    found = content(compare("name", ours, bare, limit=1.1))
    assert (found["measured"], found["reference"], found["ratio"], found["cpu_ratio"]) == (3, 2, 1.5, 2)
    assert found["ratios"] == [3, 25, 1]
    assert found["within_limit"] is False


def test_a_ratio_at_its_limit_is_within_it_and_one_without_a_limit_always_is():
    for limit in (1.5, None):
        found = Comparison(name="name", unit="s", measured=[3.0], reference=[2.0], limit=limit)
        assert found.within_limit


def test_the_hardware_is_named_by_its_kind():
    assert set(hardware()) == {"cpu", "capability", "gpu", "threads", "torch", "python"}


def test_both_sides_of_the_generation_make_the_same_passes(counted_passes):
    generation.one_round(TINY, "fp32")()
    ours = dict(counted_passes)
    generation.bare_round(TINY)()
    assert ours == {"train": 24, "pgd": 16, "error": 16}
    assert counted_passes == {name: 2 * count for name, count in ours.items()}


@pytest.mark.parametrize("kind", ["recognizer", "classifier"])
def test_both_sides_of_the_training_make_the_same_passes(counted_passes, kind):
    tiny = training.Training(model="resnet-18", photos=8, batch_size=4, width=8, size=16, kind=kind)
    training.one_epoch(tiny)()
    training.bare_epoch(tiny)()
    assert counted_passes == {"train": 16, "pgd": 0, "error": 0}


def test_training_measures_recognizers_and_a_classifier_each_with_its_limit():
    tiny = [
        replace(training.TRAININGS[device][which], photos=4, batch_size=2, width=8)
        for device, which in (("cpu", 0), ("cpu", 2), ("cuda", 2))
    ]
    assert [(one.name, one.limit) for one in training.run(tiny, repetitions=1)] == [
        ("training, resnet-18", 1.1),
        ("training, resnet-18, 32 px", 1 / 0.9),
        ("training, resnet-18, 32 px", 1 / 0.9),
    ]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_each_device_is_measured_at_sizes_of_its_own(monkeypatch, device):
    fabric = SimpleNamespace(device=SimpleNamespace(type=device))
    measured = []
    for module, sides in ((generation, ("one_round", "bare_round")), (training, ("one_epoch", "bare_epoch"))):
        monkeypatch.setattr(module, "make_fabric", lambda **_: fabric)
        for side in sides:
            monkeypatch.setattr(module, side, lambda size, *_: measured.append(size) or (lambda: None))
    monkeypatch.setattr(generation, "effect", lambda *_: {})
    monkeypatch.setattr(generation, "fastest_precision", lambda: "fp32")
    generation.run(repetitions=1)
    training.run(repetitions=1)
    expected = [*generation.NETWORKS[device], *training.TRAININGS[device]]
    assert list(dict.fromkeys(measured)) == expected
    assert all(one.photos % one.batch_size == 0 for one in expected)


def test_a_gpu_is_given_more_to_do():
    for sizes in (generation.NETWORKS, training.TRAININGS):
        for here, there in zip(sizes["cpu"], sizes["cuda"], strict=True):
            assert there.photos >= 10 * here.photos
            assert there.batch_size >= here.batch_size


def test_generation_compares_with_the_bare_passes(monkeypatch):
    monkeypatch.setattr("benchmarks.generation.fastest_precision", lambda: "fp32")
    (bare,) = (content(found) for found in generation.run([TINY], repetitions=1, seeds=(0,)))
    assert (bare["limit"], len(bare["ratios"])) == (1.1, 1)


def test_generation_compares_the_two_precisions_with_their_effect(monkeypatch):
    monkeypatch.setattr("benchmarks.generation.fastest_precision", lambda: "bf16")
    _, precision = (content(found) for found in generation.run([TINY], repetitions=1, seeds=(0,)))
    assert set(precision["notes"]) == {"fp32", "bf16"}
    assert all(effect["error"] <= 0.1 for effects in precision["notes"].values() for effect in effects)


def test_bf16_has_a_limit_on_wide_networks_alone():
    limits = {width: generation.bf16_limit(width) for width in (16, 64)}
    assert limits == {16: None, 64: pytest.approx(1 / 1.6)}


def test_embedding_runs_on_random_faces():
    (found,) = map(content, embedding.run(photos=3, width=8, repetitions=1))
    assert found["settings"] == {"photos": 3, "size": 112, "batch_size": 64, "faces": "random"}


def test_both_sides_of_the_embedding_give_the_same_directions(real_data):
    faces = embedding.lfw_faces(real_data, 2)
    model = embedding.OnnxRecognizer(real_data / embedding.SFACE)
    ours, bare = embedding.onnx_sides(real_data / embedding.SFACE, faces)
    raw = torch.nn.functional.normalize(bare(), dim=1)
    torch.testing.assert_close(ours(), raw)
    assert model.size == embedding.SIZE


def test_a_sample_wise_bank_takes_one_byte_per_noise_value_in_memory_and_little_more_on_disk():
    tensor, resident, file = map(content, memory.run(rows=64, size=16, repetitions=1)) if memory.PAGES.exists() else []
    assert (tensor["ratio"], tensor["unit"]) == (1, "bytes per noise value")
    assert 1 < file["ratio"] < 1.2
    assert resident["limit"] == 1.1


def test_the_command_writes_the_named_benchmarks_and_exits_with_1_above_a_limit(tmp_path, monkeypatch, capsys):
    def fake(measured):
        return lambda **_: [Comparison(name="fake", unit="s", measured=[measured], reference=[1.0], limit=1.1)]

    monkeypatch.setattr(command, "training", SimpleNamespace(run=fake(1.0)))
    monkeypatch.setattr(command, "memory", SimpleNamespace(run=fake(1.2)))
    assert command.main(["training", "--out", str(tmp_path / "results.json")]) == 0
    report = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert set(report) == {"hardware", "results"}
    assert [set(result) for result in report["results"]] == [KEYS]
    assert "| fake | 1.000 | 1.000 | s | 1.000 |" in capsys.readouterr().out
    assert command.main(["memory"]) == 1


def test_an_unknown_benchmark_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as stop:
        command.main(["speed"])
    assert stop.value.code == 2
    assert "speed" in capsys.readouterr().err
