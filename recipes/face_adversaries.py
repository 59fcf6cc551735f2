"""Against whom does noise that survives publication protect? From scratch, frozen, fine-tuned, and those who know the tool.

Claim     whoever trains from scratch no longer knows the protected; frozen extractors and who takes the rows out still do
Command   FACEGUARD_DATA=... python -m eval recipes/face_adversaries.py --jobs 2
Data      noise from celeba-100 (as the bank that ships, at epsilon 16), faces pins-105, 50 of 105 people protected, LFW; weights/
Expect    networks from scratch: protected at most a tenth of the clean arm's rank-1, others at least nine tenths; frozen
          extractors at least nine tenths of it, whoever knows the rows and projects them out at least half; what fine-tuning,
          averaging and training with the rows bring back is found out; two hours on two cores
"""

from dataclasses import replace

from eval.banks import CELEBA_16
from eval.experiment import PAPER, Condition, Expectation, FaceStudy

FROM_SCRATCH = ("resnet-18-narrow", "resnet-18-narrow-arcface")
FROZEN = ("sface-nearest", "sface-linear", "mobilefacenet-nearest")
OTHERS = ("fine-tuned", "averaging", "projecting", "noise-augmented")

experiment = FaceStudy(
    claim="The noise works on whoever trains from scratch, not on frozen extractors, nor on who projects its rows out.",
    faces="pins-105",
    noises={"celeba-16": CELEBA_16},
    lfw="lfw/lfw-aligned-112",
    conditions=tuple(Condition(noise="celeba-16", adversary=name) for name in (*FROM_SCRATCH, *FROZEN, *OTHERS)),
    expectations=(
        *(replace(claim, where=f"{name}, *") for name in FROM_SCRATCH for claim in PAPER),
        *(Expectation(at_least=0.9, where=f"{name}, *") for name in FROZEN),
        Expectation(at_least=0.5, where="projecting, *"),
    ),
)
