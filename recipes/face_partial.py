"""Figures 4 b and 7, partial: 50 of 105 identities protected, recognizers trained from scratch on everybody.

Claim     the protected are no longer recognized, the others are, and random noise of the same budget does nothing
Command   FACEGUARD_DATA=... python -m eval recipes/face_partial.py --jobs 2
Data      noise from celeba-100 (the plain bank that ships), faces pins-105 (or WebFace: --data casia-webface), 80 / 20 split, LFW
Expect    protected at most a tenth of the clean arm's rank-1 after the last epoch, others at least nine tenths
"""

from eval.banks import PLAIN
from eval.experiment import Condition, FaceStudy

experiment = FaceStudy(
    claim="50 of 105 identities carry class-wise noise learnt on 100 other people; a recognizer no longer knows them.",
    paper={"rank-1 protected": "0.16", "rank-1 others": "0.86"},
    faces="pins-105",
    lfw="lfw/lfw-aligned-112",
    conditions=tuple(
        Condition(adversary=name, noise=PLAIN, protected=50)
        for name in ("resnet-18", "resnet-18-at-112", "inception-resnet-v1")
    ),
)
