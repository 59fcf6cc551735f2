"""The paper's classifiers: their well-known sizes, any width, and gradients down to every weight."""

import pytest
import torch

from eval.networks import NETWORKS, build_network
from faceguard.errors import RunError

WEIGHTS = {"vgg-11": 9_231_114, "resnet-18": 11_173_962, "resnet-50": 23_520_842, "densenet-121": 6_956_426}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_for_cifar_has_as_many_weights_as_everybody_counts(name):
    network = build_network(name, classes=10, size=32, seed=0)
    assert sum(weight.numel() for weight in network.parameters()) == WEIGHTS[name]


@pytest.mark.parametrize(("size", "name"), [*((32, name) for name in NETWORKS), (64, "resnet-18"), (128, "resnet-50")])
def test_pixels_become_logits_and_the_gradient_reaches_every_weight(size, name):
    network = build_network(name, classes=7, size=size, width=8, seed=0)
    logits = network(torch.rand(3, 3, size, size))
    assert logits.shape == (3, 7)
    logits.square().sum().backward()
    assert all(weight.grad is not None and bool(weight.grad.abs().sum() > 0) for weight in network.parameters())


def test_weights_follow_the_seed():
    first, again, other = (build_network("resnet-18", classes=3, size=32, width=4, seed=seed) for seed in (1, 1, 2))
    photo = torch.rand(2, 3, 32, 32)
    assert torch.equal(first.eval()(photo), again.eval()(photo))
    assert not torch.equal(first(photo), other.eval()(photo))


def test_a_width_scales_every_layer():
    widths = [build_network(name, classes=3, size=32, width=16, seed=0).classifier.in_features for name in NETWORKS[:3]]
    assert widths == [128, 128, 512]


def test_an_unknown_network_is_a_sentence():
    with pytest.raises(RunError, match="vgg-11, resnet-18, resnet-50, densenet-121"):
        build_network("alexnet", classes=3, size=32, seed=0)
