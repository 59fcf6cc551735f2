"""All countermeasures alike: their names and fields, what they refuse, determinism, and a training with each of them."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from eval.adversarial import AdversarialTraining, UEraser
from eval.augmentations import AutoAugment, CutMix, Cutout, MixUp
from eval.countermeasures import COUNTERMEASURES
from eval.preprocessing import BitDepth, Blur, Jpeg, Resize
from eval.projecting import OrthogonalProjection
from faceguard.countermeasure import Countermeasure
from faceguard.errors import FaceguardError
from faceguard.train import TrainSettings
from tests.small import tiny_faces, tiny_net, train

ONE_EPOCH = TrainSettings(epochs=1, batch_size=6, learning_rate=0.01, crop_share=0.125)
DRAWING = ("cutout", "mixup", "cutmix", "autoaugment", "ueraser", "adversarial-training")


def countable_net():
    """A network that tells its number of identities, as every Recognizer does."""
    model = tiny_net()
    model.identities = 3
    return model


def batch_of(name, *, seed=0, photos=12):
    """What a countermeasure makes of the same batch and network under ``seed``."""
    faces = tiny_faces(3, photos // 3)
    x = torch.from_numpy(faces.pixels).movedim(-1, 1) / 255
    torch.manual_seed(seed)
    return COUNTERMEASURES[name].batch(countable_net(), x, torch.from_numpy(faces.labels))


def test_every_countermeasure_of_the_harness_has_its_name():
    assert set(COUNTERMEASURES) == {*DRAWING, "none", "grayscale", "jpeg", "bit-depth", "blur", "resize"} | {
        "orthogonal-projection"
    }
    assert all(each.name == name for name, each in COUNTERMEASURES.items())


def test_the_fields_tell_every_countermeasure_from_every_other():
    """Cells are kept under the hash of these words; MixUp and CutMix with the same alpha must not share theirs."""
    assert len({repr(asdict(each)) for each in COUNTERMEASURES.values()}) == len(COUNTERMEASURES)
    assert asdict(MixUp(alpha=0.5)) != asdict(MixUp())


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Cutout(share=0), ["cutout", "share", "not 0"]),
        (lambda: Cutout(share=1.5), ["share", "1.5"]),
        (lambda: MixUp(alpha=0), ["mixup", "alpha"]),
        (lambda: CutMix(alpha=float("nan")), ["cutmix", "alpha", "nan"]),
        (lambda: AutoAugment(policy="mnist"), ["cifar10, svhn", "mnist"]),
        (lambda: Jpeg(quality=0), ["jpeg", "quality", "1 and 100"]),
        (lambda: BitDepth(bits=9), ["bit-depth", "bits", "9"]),
        (lambda: Blur(sigma=-1), ["blur", "sigma", "-1"]),
        (lambda: Resize(factor=1), ["resize", "factor"]),
        (lambda: UEraser(candidates=0, search=-1), ["ueraser", "candidates", "search"]),
        (lambda: AdversarialTraining(epsilon=8, step_size=0, steps=0), ["epsilon 8", "step_size", "steps"]),
        (lambda: OrthogonalProjection(steps=0, learning_rate=-1, batch_size=0), ["steps", "learning_rate", "batch"]),
    ],
)
def test_fields_that_cannot_work_are_all_named_at_once(make, words):
    with pytest.raises(FaceguardError) as caught:
        make()
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize("name", COUNTERMEASURES)
def test_a_training_with_it_sees_changed_photos_and_is_the_same_for_the_same_seed(name):
    """A whole call of ``fit``, soft labels included; every epoch's draws come from the seed, not from the caller's."""
    countermeasure, faces = COUNTERMEASURES[name], tiny_faces(photos=8)
    before = faces.pixels.copy()

    def weights(seed):
        torch.rand(seed + 1)  # whatever the caller drew
        prepared = countermeasure.prepare(faces, seed=seed)
        model, curve = train(prepared, ONE_EPOCH, seed=seed, model=countable_net(), change_batch=countermeasure.batch)
        assert 0 < curve[0].loss < 10
        return torch.cat([weight.flatten() for weight in model.state_dict().values()])

    one = weights(1)
    assert torch.equal(one, weights(1))
    assert not torch.equal(one, weights(2))
    plain, _ = train(faces, ONE_EPOCH, seed=1, model=countable_net())
    unchanged = torch.equal(one, torch.cat([weight.flatten() for weight in plain.state_dict().values()]))
    assert unchanged == (name == "none")
    np.testing.assert_array_equal(faces.pixels, before)


@pytest.mark.parametrize("name", COUNTERMEASURES)
def test_photos_keep_their_size_labels_and_names(name):
    faces = tiny_faces()
    for seen in (COUNTERMEASURES[name].prepare(faces, seed=0), COUNTERMEASURES[name].view(faces)):
        assert (seen.pixels.shape, seen.pixels.dtype) == (faces.pixels.shape, np.uint8)
        assert (seen.names, seen.keys) == (faces.names, faces.keys)
        np.testing.assert_array_equal(seen.labels, faces.labels)


@pytest.mark.parametrize("name", DRAWING)
def test_draws_follow_the_global_generator_and_stay_in_the_pixel_range(name):
    (one, label), (again, _), (other, _) = (batch_of(name, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)
    assert one.shape == (12, 3, 8, 8) and one.dtype == torch.float32
    assert one.min() >= 0 and one.max() <= 1
    assert label.shape == ((12, 3) if "mix" in name else (12,))


@pytest.mark.parametrize("name", DRAWING)
def test_every_photo_of_a_batch_has_draws_of_its_own(name):
    """Twice the same photo, many times: were the draws one for all, the copies of one batch would be equal."""
    x, y = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1])
    torch.manual_seed(0)
    changed, _ = COUNTERMEASURES[name].batch(countable_net(), x.repeat(20, 1, 1, 1), y.repeat(20))
    assert len({photo.numpy().tobytes() for photo in changed[::2]}) > 5


@pytest.mark.parametrize("name", DRAWING)
def test_a_batch_of_shared_labels_is_fine_too(name):
    x, y = torch.rand(4, 3, 8, 8), torch.tensor([[0.5, 0.5, 0.0]] * 4)
    changed, labels = COUNTERMEASURES[name].batch(countable_net(), x, y)
    assert changed.shape == x.shape
    torch.testing.assert_close(labels, y)


@pytest.mark.parametrize("name", ["mixup", "ueraser", "adversarial-training"])
def test_a_training_in_bf16_works_with_it(name):
    faces, countermeasure = tiny_faces(), COUNTERMEASURES[name]
    _, curve = train(faces, ONE_EPOCH, model=countable_net(), precision="bf16", change_batch=countermeasure.batch)
    assert 0 < curve[0].loss < 10


def test_the_base_is_the_absence_of_a_countermeasure():
    faces, x, y = tiny_faces(), torch.rand(2, 3, 8, 8), torch.tensor([0, 1])
    nothing = Countermeasure()
    assert nothing.prepare(faces, seed=0) is faces and nothing.view(faces) is faces
    assert nothing.batch(tiny_net(), x, y) == (x, y)
