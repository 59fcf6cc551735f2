"""Error-minimizing noise on four image sets and against four networks, in both forms (Table 1).

Claim     after the last epoch, photos that all carry the noise have taught no network more than a quarter of what clean ones do
Command   FACEGUARD_DATA=... python -m eval recipes/classification.py --jobs 2
Data      svhn, cifar10, cifar100, imagenet-100; what is absent is named, and --data imagenette-128 takes that instead
Expect    at most a quarter of what clean photos teach; an hour on two cores for each set
"""

from eval.image_study import ARMS, ImageStudy, Run, claims_of_arms
from eval.networks import NETWORKS

DATA = ("cifar10", "svhn", "cifar100", "imagenet-100")
PAPER = {
    ("cifar10", "resnet-18", photos): accuracy
    for photos, accuracy in (("clean", 94.95), ("sample-wise", 19.93), ("class-wise", 16.42))
}

experiment = ImageStudy(
    claim="No network learns from photos that carry error-minimizing noise learnt with a ResNet-18.",
    source="Huang et al. 2021, Table 1",
    runs={
        f"{data}, {network}, {photos}": Run(
            data=data, network=network, noise=noise, paper=PAPER.get((data, network, photos))
        )
        for data in DATA
        for network in NETWORKS
        for photos, noise in ARMS.items()
    },
    expectations=tuple(
        claim for data in DATA for network in NETWORKS for claim in claims_of_arms(f"{data}, {network}, ", at_most=0.25)
    ),
)
