"""Against whom does noise that survives publication protect? From scratch, frozen, fine-tuned, and those who know the tool.

Claim     whoever trains from scratch no longer knows the protected; frozen extractors and who projects the rows out still do
Command   FACEGUARD_DATA=... python -m eval recipes/face_adversaries.py --jobs 2
Data      noise from celeba-100 (as the bank that ships, at epsilon 16), faces pins-105, 50 of 105 people protected, LFW; weights/
Expect    networks from scratch: protected at most a tenth of the clean arm's rank-1, others at least nine tenths; not so for
          frozen extractors, fine-tuning and projecting, whose worst is the headline; averaging and training with rows do not help
"""

from eval.banks import CELEBA_16
from eval.experiment import Condition, Expectation, FaceStudy

FROM_SCRATCH = ("resnet-18", "resnet-18-arcface")
PRE_TRAINED = ("sface-nearest", "sface-linear", "mobilefacenet-nearest", "fine-tuned")
ADAPTIVE = ("averaging", "projecting", "noise-augmented")

experiment = FaceStudy(
    claim="The noise works on whoever trains from scratch, not on frozen extractors, nor on who projects its rows out.",
    faces="pins-105",
    noises={"celeba-16": CELEBA_16},
    lfw="lfw/lfw-aligned-112",
    conditions=tuple(Condition(noise="celeba-16", adversary=name) for name in (*FROM_SCRATCH, *PRE_TRAINED, *ADAPTIVE)),
    expectations=tuple(
        expectation
        for name in FROM_SCRATCH
        for expectation in (
            Expectation(at_most=0.1, where=f"{name}, *"),
            Expectation(group="others", at_least=0.9, where=f"{name}, *"),
        )
    ),
)
