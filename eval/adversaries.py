"""The adversaries that recipes share: who trains on the photos, and how.

Flips (the authors' only transform for WebFace) and crops of up to 3 %; epochs that two cores can bear. Weights lie below
the data folder. Training from scratch is what error-minimizing noise is made against; frozen extractors, fine-tuning and
the adaptive adversaries are there to show where it ends.
"""

from dataclasses import replace

from eval.adaptive import NoiseAugmented, Projecting
from eval.experiment import Contender
from eval.fine_tuning import FineTuned
from faceguard.adversary import Scratch
from faceguard.averaging import Averaging
from faceguard.frozen import Frozen
from faceguard.train import TrainSettings

SFACE = "weights/sface_2021dec_int8.onnx"
MOBILEFACENET_CASIA = "weights/mobilefacenet_casia_068.ckpt"

SMALL = Scratch(model="resnet-18", width=32, size=64, train=TrainSettings(epochs=25, batch_size=32))
RESNET = Contender(adversary=SMALL, seeds=(0, 1, 2))
SMALLER = replace(SMALL, width=16)  # a third of the time: for sweeps of many cells
NARROW = Contender(adversary=SMALLER, seeds=(0, 1, 2))
NARROW_LONG = Contender(adversary=replace(SMALLER, train=replace(SMALLER.train, epochs=75)), seeds=(0, 1, 2))
RESNET_112 = Contender(
    adversary=Scratch(model="resnet-18", width=16, size=112, train=TrainSettings(epochs=24, batch_size=16)),
    seeds=(0,),
)
INCEPTION = Contender(
    adversary=Scratch(model="inception-resnet-v1", size=112, train=TrainSettings(epochs=12, batch_size=16)),
    seeds=(0,),
)
MOBILEFACENET = Contender(adversary=replace(SMALL, model="mobilefacenet"), seeds=(0,))
NARROW_ARCFACE = Contender(adversary=replace(SMALLER, head="arcface"), seeds=(0,))

SFACE_NEAREST = Contender(adversary=Frozen(weights=SFACE), seeds=(0,))
SFACE_LINEAR = Contender(adversary=Frozen(weights=SFACE, classifier="linear"), seeds=(0,))
MOBILEFACENET_FROZEN = Contender(adversary=Frozen(weights=MOBILEFACENET_CASIA), seeds=(0,))
FINE_TUNED = Contender(adversary=FineTuned(weights=MOBILEFACENET_CASIA), seeds=(0,))

AVERAGING = Contender(adversary=Averaging(then=SMALLER), seeds=(0, 1, 2))
PROJECTING = Contender(adversary=Projecting(then=SMALLER), seeds=(0, 1, 2))
NOISE_AUGMENTED = Contender(adversary=NoiseAugmented(then=SMALLER), seeds=(0, 1, 2))
