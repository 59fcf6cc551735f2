"""MobileFaceNet: the published shape and names, and checkpoints that load or say in a sentence why not."""

import numpy as np
import pytest
import torch
from PIL import Image

from faceguard.device import generator, seeded
from faceguard.errors import RunError
from faceguard.identities import to_pixels
from faceguard.mobilefacenet import MobileFaceNet
from faceguard.published import load_mobilefacenet
from faceguard.recognizer import build
from faceguard.runs import load_model

NAMES = {  # of the checkpoints that circulate, with their shapes
    "conv1.conv.weight": (64, 3, 3, 3),
    "conv1.prelu.weight": (64,),
    "dw_conv1.conv.weight": (64, 1, 3, 3),
    "blocks.0.conv.0.weight": (128, 64, 1, 1),
    "blocks.5.conv.3.weight": (256, 1, 3, 3),
    "blocks.12.conv.5.weight": (512,),
    "blocks.14.conv.7.running_var": (128,),
    "conv2.bn.running_mean": (512,),
    "linear7.conv.weight": (512, 1, 7, 6),
    "linear1.conv.weight": (128, 512, 1, 1),
    "linear1.bn.num_batches_tracked": (),
}


@pytest.fixture(scope="module")
def network():
    with seeded(0, "weights"):
        return MobileFaceNet(112, 96).eval()


def faces(count=2, *, seed=0):
    return torch.rand(count, 3, 112, 112, generator=generator(seed, "pixels"))


def test_it_has_the_names_shapes_and_million_weights_of_the_paper(network):
    state = {name: tuple(weight.shape) for name, weight in network.state_dict().items()}
    assert {name: state.get(name) for name in NAMES} == NAMES
    assert not any(name.startswith(("linear7.prelu", "linear1.prelu", "blocks.15")) for name in state)
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(1.0e6, rel=0.02)


def test_the_last_map_is_7_by_6_and_the_global_convolution_covers_it(network):
    seen = []
    handle = network.linear7.conv.register_forward_hook(lambda _, given, found: seen.append((given[0], found)))
    with torch.no_grad():
        network(torch.zeros(1, 3, 112, 96))
    handle.remove()
    assert seen[0][0].shape == (1, 512, 7, 6)
    assert seen[0][1].shape == (1, 512, 1, 1)


@pytest.mark.parametrize("size", [32, 50, 64, 112])
def test_from_scratch_it_takes_faces_of_any_size(size):
    model = build("mobilefacenet", identities=3, size=size, seed=0).eval()
    with torch.no_grad():
        assert model(torch.zeros(2, 3, size, size)).shape == (2, 3)
        assert model.embed(torch.rand(2, 3, size, size)).shape == (2, 128)


def test_a_face_too_small_is_a_sentence():
    with pytest.raises(RunError, match="at least 32 px, not 16; raise --size"):
        build("mobilefacenet", identities=3, size=16, seed=0)


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_checkpoint_gives_the_networks_embeddings_of_the_central_96_columns(tmp_path, network, wrapped):
    state = network.state_dict()
    torch.save({"epoch": 68, "net_state_dict": state} if wrapped else state, tmp_path / "m.ckpt")
    model = load_model(str(tmp_path / "m.ckpt"))
    with torch.no_grad():
        found = model.embed(faces())
        plain = network((faces()[:, :, :, 8:104] * 255 - 127.5) / 128)
    assert (model.size, model.training) == (112, False)
    torch.testing.assert_close(found, plain / plain.norm(dim=1, keepdim=True))


class Harmful:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was executed",))


@pytest.mark.parametrize(
    "content",
    [b"no checkpoint", b"", {"net_state_dict": {}}, {"net_state_dict": 3}, [1, 2], {"epoch": 68}, Harmful()],
    ids=["text", "empty", "no weights", "a number", "a list", "another dict", "a pickle"],
)
def test_a_file_that_is_no_mobilefacenet_is_a_sentence(tmp_path, content):
    path = tmp_path / "m.ckpt"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(RunError, match=r"m\.ckpt holds no MobileFaceNet of 112 x 96 px .*check the file\.$"):
        load_mobilefacenet(path)


def test_a_truncated_checkpoint_one_of_another_size_and_a_missing_one_are_sentences(tmp_path, network):
    path = tmp_path / "m.ckpt"
    torch.save(network.state_dict(), path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(RunError, match="holds no MobileFaceNet"):
        load_mobilefacenet(path)
    torch.save(MobileFaceNet(112, 112).state_dict(), path)
    with pytest.raises(RunError, match="holds no MobileFaceNet"):
        load_mobilefacenet(path)
    with pytest.raises(RunError, match=r"There is no file .*absent\.ckpt; give a \.ckpt"):
        load_model(str(tmp_path / "absent.ckpt"))


def test_the_real_checkpoint_scores_every_genuine_pair_higher_than_every_impostor_pair(real_data):
    """Ten people of LFW with two images each."""
    folders = [f for f in sorted((real_data / "lfw/lfw-aligned-112").iterdir()) if len(list(f.iterdir())) > 1][:10]
    photos = [np.asarray(Image.open(file).convert("RGB")) for f in folders for file in sorted(f.iterdir())[:2]]
    with torch.inference_mode():
        embeddings = load_mobilefacenet(real_data / "weights/mobilefacenet_casia_068.ckpt").embed(
            to_pixels(np.stack(photos))
        )
    scores = embeddings[0::2] @ embeddings[1::2].T
    genuine, impostor = scores.diag(), scores[~torch.eye(10, dtype=torch.bool)]
    assert genuine.min() > impostor.max()
    assert impostor.mean() < 0.2
