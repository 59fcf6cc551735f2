"""The adversaries that recipes share: who trains on the photos, and how.

Flips (the authors' only transform for WebFace) and crops of up to 3 %; epochs that two cores can bear.
"""

from collections.abc import Mapping

from eval.experiment import Contender
from faceguard.adversary import Scratch
from faceguard.train import TrainSettings

RESNET = Contender(
    adversary=Scratch(model="resnet-18", width=32, size=64, train=TrainSettings(epochs=25, batch_size=32)),
    seeds=(0, 1, 2),
)
RESNET_112 = Contender(
    adversary=Scratch(model="resnet-18", width=16, size=112, train=TrainSettings(epochs=24, batch_size=16)),
    seeds=(0,),
)
INCEPTION = Contender(
    adversary=Scratch(model="inception-resnet-v1", size=112, train=TrainSettings(epochs=12, batch_size=16)),
    seeds=(0,),
)

FACES_SMALL_SCALE: Mapping[str, Contender] = {"resnet-18": RESNET, "inception-resnet-v1": INCEPTION}
PRESENCE: Mapping[str, Contender] = {"resnet-18": RESNET, "resnet-18-at-112": RESNET_112}
