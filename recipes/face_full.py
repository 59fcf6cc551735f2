"""Figure 7, full: every identity protected; what a recognizer learns from protected faces alone, measured on LFW.

Claim     trained on protected faces alone, a recognizer verifies strangers' faces little better than chance
Command   FACEGUARD_DATA=... python -m eval recipes/face_full.py --jobs 2
Data      noise from celeba-100 (the plain bank that ships), faces pins-105 (or WebFace: --data casia-webface), 80 / 20 split, LFW
Expect    protected at most a tenth of the clean arm's rank-1; LFW AUC well below the clean arm's (paper 0.5321 / 0.9975)
"""

from eval.banks import PLAIN
from eval.experiment import HIDDEN, Condition, FaceStudy

experiment = FaceStudy(
    claim="All 105 identities carry class-wise noise learnt on 100 other people; nothing about faces is learnt.",
    paper={"LFW AUC clean": "0.9975", "LFW AUC protected": "0.5321"},
    faces="pins-105",
    lfw="lfw/lfw-aligned-112",
    conditions=tuple(
        Condition(adversary=name, noise=PLAIN, protected=None) for name in ("resnet-18", "inception-resnet-v1")
    ),
    expectations=(HIDDEN,),
)
