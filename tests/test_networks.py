"""The paper's classifiers: their well-known sizes, any width, and gradients down to every weight."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision import models

from eval.networks import NETWORKS, build_network
from faceguard.errors import RunError
from faceguard.noise import NoiseSettings, pgd

WEIGHTS = {"vgg-11": 9_231_114, "resnet-18": 11_173_962, "resnet-50": 23_520_842, "densenet-121": 6_956_426}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_for_cifar_has_as_many_weights_as_everybody_counts(name):
    network = build_network(name, classes=10, size=32, seed=0)
    assert sum(weight.numel() for weight in network.parameters()) == WEIGHTS[name]


@pytest.mark.parametrize(
    ("name", "original"),
    [("resnet-18", models.resnet18), ("resnet-50", models.resnet50), ("densenet-121", models.densenet121)],
)
def test_a_network_for_large_pictures_is_torchvisions_with_its_stem(name, original):
    large, small = (build_network(name, classes=1000, size=size, seed=0).eval() for size in (224, 32))
    expected = original(weights=None).eval()
    weights = dict(zip(expected.state_dict(), large.state_dict().values(), strict=True))
    expected.load_state_dict(weights)
    photo = torch.rand(1, 3, 224, 224)
    assert torch.equal(large(photo), expected(photo))
    assert not torch.allclose(small(photo), expected(photo))


@pytest.mark.parametrize(
    ("size", "name"), [*((32, name) for name in NETWORKS), (64, "resnet-18"), *((224, name) for name in NETWORKS)]
)
def test_pixels_become_logits_and_the_gradient_reaches_every_weight(size, name):
    network = build_network(name, classes=7, size=size, width=8, seed=0)
    logits = network(torch.rand(3, 3, size, size))
    assert logits.shape == (3, 7)
    logits.square().sum().backward()
    assert all(weight.grad is not None and bool(weight.grad.abs().sum() > 0) for weight in network.parameters())


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_that_would_crash_some_processors_is_refused(name):
    with pytest.raises(RunError, match="width 4 is too narrow; use 8 or more"):
        build_network(name, classes=3, size=32, width=4, seed=0)


def test_weights_follow_the_seed():
    first, again, other = (build_network("resnet-18", classes=3, size=32, width=8, seed=seed) for seed in (1, 1, 2))
    photo = torch.rand(2, 3, 32, 32)
    assert torch.equal(first.eval()(photo), again.eval()(photo))
    assert not torch.equal(first(photo), other.eval()(photo))


def test_a_width_scales_every_layer():
    for name, weights in WEIGHTS.items():
        narrow = build_network(name, classes=10, size=32, width=16, seed=0)
        wide = build_network(name, classes=10, size=32, width=64, seed=0)
        assert narrow.classifier.in_features * 4 == wide.classifier.in_features
        assert weights / 16 < sum(weight.numel() for weight in narrow.parameters()) < weights / 15


@pytest.mark.parametrize("name", NETWORKS)
def test_pgd_lowers_the_loss_of_a_frozen_network_and_leaves_its_statistics_alone(name):
    network = build_network(name, classes=3, size=32, width=8, seed=0).eval().requires_grad_(False)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    x, y = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 0])
    settings = NoiseSettings(epsilon=8 / 255, step_size=0.8 / 255, pgd_steps=10)
    delta = pgd(network, x, y, torch.zeros_like(x), settings)
    noisy = (x + delta).clamp(0, 1)
    assert delta.abs().max() <= settings.epsilon
    assert F.cross_entropy(network(noisy), y) < F.cross_entropy(network(x), y)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_pictures_too_small_for_vgg_are_a_sentence():
    with pytest.raises(RunError, match="at least 32 px"):
        build_network("vgg-11", classes=3, size=16, seed=0)


def test_an_unknown_network_is_a_sentence():
    with pytest.raises(RunError, match="vgg-11, resnet-18, resnet-50, densenet-121"):
        build_network("alexnet", classes=3, size=32, seed=0)


@pytest.mark.parametrize(("name", "side"), [("resnet-18", 4), ("resnet-50", 4), ("densenet-121", 4), ("vgg-11", 2)])
def test_32_pixels_keep_the_places_that_they_have_on_cifar(name, side):
    """Neither stride nor pooling in the stem, which no count of weights would show; VGG-11 pools after every stage."""
    network, sides = build_network(name, classes=10, size=32, width=8, seed=0).eval(), []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _module, _given, made: sides.append(made.shape[-1]))
    network(torch.rand(1, 3, 32, 32))
    assert (sides[0], sides[1], sides[-1]) == (32, 16 if name == "vgg-11" else 32, side)
