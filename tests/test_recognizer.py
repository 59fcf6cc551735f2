"""Recognizers: pixels in [0, 1] in, unit embeddings out, and a sentence for every file that is none."""

import numpy as np
import pytest
import torch
from PIL import Image

from faceguard.device import generator
from faceguard.errors import RunError
from faceguard.identities import to_pixels
from faceguard.recognizer import MODELS, OnnxRecognizer, build


def pixels(count=2, size=32, *, seed=0):
    return torch.rand(count, 3, size, size, generator=generator(seed, "pixels"))


@pytest.mark.parametrize(("name", "size", "dimension"), [("resnet-18", 32, 64), ("inception-resnet-v1", 80, 512)])
def test_logits_and_unit_embeddings_have_their_shapes(name, size, dimension):
    model = build(name, identities=5, size=size, width=8, seed=0).eval()
    with torch.no_grad():
        logits, embeddings = model(pixels(size=size)), model.embed(pixels(size=size))
    assert logits.shape == (2, 5)
    assert embeddings.shape == (2, dimension)
    assert embeddings.dtype == torch.float32
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(2))
    assert not torch.allclose(embeddings[0], embeddings[1])
    assert (model.name, model.size, model.identities) == (name, size, 5)


@pytest.mark.parametrize("size", [8, 16, 64, 112])
def test_resnet_18_takes_faces_of_any_size(size):
    with torch.no_grad():
        assert build("resnet-18", identities=3, size=size, width=8, seed=0).eval()(pixels(size=size)).shape == (2, 3)


def test_resnet_18_sees_a_112_px_face_at_4_px_in_its_last_stage_and_has_the_published_size_at_width_64():
    model = build("resnet-18", identities=10, size=112, seed=0)
    stages = model.features.stages(model.features.stem(torch.zeros(1, 3, 112, 112)))
    assert stages.shape == (1, 512, 4, 4)
    weights = sum(p.numel() for p in model.parameters())
    assert weights == 11_689_512 - 512_000 - 1000 + 512 * 10 + 10 - 64 * 3 * (49 - 9)  # 3 x 3 stem, 10 identities


def test_inception_resnet_standardizes_inside_as_its_publisher_does():
    """facenet-pytorch's fixed_image_standardization: (level - 127.5) / 128."""
    model = build("inception-resnet-v1", identities=2, size=80, seed=0).eval()
    network = model.features.network
    seen = []
    network.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    with torch.no_grad():
        model(torch.tensor([0.0, 0.5, 1.0]).view(1, 3, 1, 1).expand(1, 3, 80, 80))
    assert seen[0][0, :, 0, 0].tolist() == pytest.approx([-127.5 / 128, 0, 127.5 / 128])


@pytest.mark.parametrize("name", MODELS)
def test_the_same_seed_gives_the_same_initial_weights_and_another_does_not(name):
    first, again, other = (build(name, identities=3, size=80, width=8, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(value, again[key]) for key, value in first.items())
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])


def test_a_network_that_would_crash_some_processors_is_refused():
    with pytest.raises(RunError, match="width 7 is too narrow; use 8 or more"):
        build("resnet-18", identities=3, size=32, width=7, seed=0)


def test_building_leaves_the_callers_draws_alone():
    before = torch.get_rng_state()
    build("resnet-18", identities=3, size=16, width=8, seed=0)
    assert torch.equal(torch.get_rng_state(), before)


def test_channels_last_memory_changes_nothing_but_rounding():
    model = build("resnet-18", identities=3, size=32, width=8, seed=0).eval()
    with torch.no_grad():
        plain = model(pixels())
        turned = model.to(memory_format=torch.channels_last)(pixels().to(memory_format=torch.channels_last))
    torch.testing.assert_close(plain, turned, rtol=1e-4, atol=1e-4)


def test_an_unknown_model_and_a_face_too_small_are_sentences():
    with pytest.raises(RunError, match="Model 'vgg' is unknown; use one of inception-resnet-v1, resnet-18"):
        build("vgg", identities=2, size=112, seed=0)
    with pytest.raises(RunError, match="at least 80 px, not 64; raise --size"):
        build("inception-resnet-v1", identities=2, size=64, seed=0)


# ---- ONNX


def write_onnx(path, *, shape=("n", 3, 112, 112), outputs=1, normalises=False, quantized=False):
    """A 'recognizer' whose embedding is the mean of each channel, after its own (x - 127.5) / 127.5 if it normalises."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    picture = helper.make_tensor_value_info("data", TensorProto.FLOAT, shape)
    weights = [
        numpy_helper.from_array(np.array(v, dtype=np.float32), n) for n, v in (("half", 127.5), ("scale", 1 / 127.5))
    ]
    nodes = []
    if quantized:  # as in SFace: so many unpacked weights come first that a look at the first nodes finds no Sub
        weights.append(numpy_helper.from_array(np.array([1], dtype=np.int8), "packed"))
        weights.append(numpy_helper.from_array(np.array(1, dtype=np.float32), "unit"))
        nodes += [helper.make_node("DequantizeLinear", ["packed", "unit"], [f"w{i}"], name=f"w{i}") for i in range(9)]
    source = "data"
    if normalises:
        nodes.append(helper.make_node("Sub", ["data", "half"], ["shifted"], name="_minusscalar0"))
        nodes.append(helper.make_node("Mul", ["shifted", "scale"], ["scaled"], name="_mulscalar0"))
        source = "scaled"
    axes = list(range(2, len(shape)))
    for i in range(outputs):
        nodes.append(helper.make_node("ReduceMean", [source], [f"out{i}"], name=f"mean{i}", axes=axes, keepdims=0))
    found = [helper.make_tensor_value_info(f"out{i}", TensorProto.FLOAT, [None, 3]) for i in range(outputs)]
    graph = helper.make_graph(nodes, "recognizer", [picture], found, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


@pytest.mark.parametrize("form", ["arcface", "normalises", "quantized"])
@pytest.mark.parametrize("batch", ["n", 1, 2, 3, 4, 6])
def test_an_onnx_recognizer_gives_unit_embeddings_of_pixels_centred_once(tmp_path, form, batch):
    """Whether the network or the loader centres the levels, and for any number of photos, even if the file fixes it."""
    path = write_onnx(
        tmp_path / "r.onnx",
        shape=(batch, 3, 112, 112),
        normalises=form != "arcface",
        quantized=form == "quantized",
    )
    recognizer = OnnxRecognizer(path)
    colours = torch.tensor([[1.0, 0.5, 0.25], [0.1, 0.9, 0.4], [0.0, 0.7, 0.6], [0.3, 0.2, 0.1]])
    embeddings = recognizer.embed(colours.view(4, 3, 1, 1).expand(4, 3, 112, 112))
    expected = torch.nn.functional.normalize(2 * colours - 1, dim=1)
    torch.testing.assert_close(embeddings, expected, rtol=0, atol=1e-4)
    assert embeddings.dtype == torch.float32
    assert recognizer.size == 112


def test_an_onnx_recognizer_accepts_memory_in_any_order(tmp_path):
    recognizer = OnnxRecognizer(write_onnx(tmp_path / "r.onnx"))
    photos = pixels(size=112)
    turned = photos.to(memory_format=torch.channels_last)
    assert torch.equal(recognizer.embed(photos), recognizer.embed(turned))


@pytest.mark.parametrize(
    "other",
    [
        {"shape": ("n", 3, 96, 96)},
        {"shape": ("n", 3, 192, 192)},
        {"shape": ("n", 1, 112, 112)},
        {"shape": ("n", 3, 112, 128)},
        {"shape": ("n", 3, "h", "w")},
        {"shape": ("n", 3, 112)},
        {"outputs": 2},
        {"outputs": 5},
    ],
)
def test_an_onnx_file_of_something_else_is_a_sentence(tmp_path, other):
    path = write_onnx(tmp_path / "detector.onnx", **other)
    with pytest.raises(RunError, match=r"detector\.onnx is an ONNX file but no face recognizer"):
        OnnxRecognizer(path)


@pytest.mark.parametrize("content", [b"this is no model at all", bytes(range(256)) * 8])
def test_a_file_that_is_no_onnx_is_a_sentence(tmp_path, content):
    path = tmp_path / "r.onnx"
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"r\.onnx cannot be loaded as an ONNX recognizer.*check the file"):
        OnnxRecognizer(path)


def test_a_truncated_or_empty_onnx_file_is_a_sentence(tmp_path):
    path = write_onnx(tmp_path / "r.onnx")
    whole = path.read_bytes()
    for kept in (0, 10, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:kept])
        with pytest.raises(RunError, match=r"r\.onnx"):
            OnnxRecognizer(path)


def test_an_onnx_file_without_the_whole_of_its_weights_beside_it_is_a_sentence(tmp_path):
    import onnx

    path, weights = tmp_path / "r.onnx", tmp_path / "r.onnx.data"
    model = onnx.load(write_onnx(path, normalises=True))
    onnx.save(model, path, save_as_external_data=True, location=weights.name, size_threshold=0)
    OnnxRecognizer(path)
    weights.write_bytes(weights.read_bytes()[:3])
    with pytest.raises(RunError, match=r"r\.onnx cannot be loaded .*and any \.data beside it"):
        OnnxRecognizer(path)
    weights.unlink()
    with pytest.raises(RunError, match=r"r\.onnx cannot be loaded .*and any \.data beside it"):
        OnnxRecognizer(path)


def test_a_missing_onnx_file_is_a_sentence(tmp_path):
    with pytest.raises(RunError, match=r"There is no file .*r\.onnx; give an \.onnx recognizer"):
        OnnxRecognizer(tmp_path / "r.onnx")


def test_sface_scores_every_genuine_pair_higher_than_every_impostor_pair(real_data):
    """Ten people of LFW with two images each; the file fixes its batch to one and centres the levels itself."""
    folders = [f for f in sorted((real_data / "lfw/lfw-aligned-112").iterdir()) if len(list(f.iterdir())) > 1][:10]
    photos = [np.asarray(Image.open(file).convert("RGB")) for f in folders for file in sorted(f.iterdir())[:2]]
    recognizer = OnnxRecognizer(real_data / "weights/sface_2021dec_int8.onnx")
    embeddings = recognizer.embed(to_pixels(np.stack(photos)))
    assert embeddings.shape == (20, 128)
    scores = embeddings[0::2] @ embeddings[1::2].T
    genuine, impostor = scores.diag(), scores[~torch.eye(10, dtype=torch.bool)]
    assert genuine.min() > impostor.max()
    assert impostor.mean() < 0.2
