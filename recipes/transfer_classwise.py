"""Class-wise noise learnt on ImageNet's classes protects CIFAR-10's (Figure 3 b-c, Table 4).

Claim     rows that were learnt on other classes of another set stop learning as well, for three networks
Command   FACEGUARD_DATA=... python -m eval recipes/transfer_classwise.py --jobs 2
Data      noise from tiny-imagenet-32 (200 ImageNet classes at 32 pixels), on cifar10 by a map of classes, or four alone
Expect    at most a third of what clean photos teach; the paper's map is not public, ours takes the nearest class; 30 minutes
"""

from dataclasses import replace

from eval.class_maps import TINY_IMAGENET_FOR_CIFAR_10
from eval.image_study import ImageExpectation, ImageNoise, ImageStudy, Run

NETWORKS = ("resnet-18", "vgg-11", "resnet-50")
CLEAN = "resnet-18, clean"
FOUR = ("automobile", "cat", "dog", "horse")
NOISE = ImageNoise(learnt_on="tiny-imagenet-32", rows_of=TINY_IMAGENET_FOR_CIFAR_10)
RANDOM = replace(NOISE, kind="random")  # of that set's epsilon

experiment = ImageStudy(
    claim="Rows learnt on ImageNet's classes protect CIFAR-10's.",
    source="Huang et al. 2021, Figure 3 b-c and Table 4",
    runs={
        **{f"{network}, clean": Run(network=network) for network in NETWORKS},
        **{f"{network}, class-wise": Run(network=network, noise=NOISE) for network in NETWORKS},
        **{f"{network}, random": Run(network=network, noise=RANDOM) for network in NETWORKS},
        "resnet-18, four classes": Run(noise=NOISE, classes=FOUR),
        "resnet-18, random four": Run(noise=RANDOM, classes=FOUR),
    },
    expectations=(
        *(ImageExpectation(run=f"{name}, class-wise", than=f"{name}, clean", at_most=0.34) for name in NETWORKS),
        *(
            ImageExpectation(run=f"{name}, random", than=f"{name}, clean", at_least=0.5, epoch="best")
            for name in NETWORKS
        ),
        *(ImageExpectation(run="resnet-18, four classes", than=CLEAN, at_most=0.34, label=name) for name in FOUR),
        *(ImageExpectation(run="resnet-18, random four", than=CLEAN, at_least=0.5, label=name) for name in FOUR),
        ImageExpectation(run="resnet-18, four classes", than=CLEAN, at_least=0.5),
    ),
)
