"""The adversaries that recipes share: who trains on the photos, and how.

Flips (the authors' only transform for WebFace) and crops of up to three pixels; epochs that two cores can bear.
"""

from eval.experiment import Contender
from faceguard.study import Adversary
from faceguard.train import TrainSettings

FACES_SMALL_SCALE = {
    "resnet-18": Contender(
        adversary=Adversary(model="resnet-18", width=16, size=112, train=TrainSettings(epochs=24, batch_size=16)),
        seeds=(0, 1, 2),
    ),
    "inception-resnet-v1": Contender(
        adversary=Adversary(model="inception-resnet-v1", size=112, train=TrainSettings(epochs=12, batch_size=16)),
        seeds=(0,),
    ),
}
