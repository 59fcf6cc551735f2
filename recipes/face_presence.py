"""Does the presence of noise protect, or its content? The partial study with random noise on everybody else, too.

Claim     protected people stay hidden when nobody can tell them by the mere presence of noise; random noise then hides nobody
Command   FACEGUARD_DATA=... python -m eval recipes/face_presence.py --jobs 2
Data      as face_partial, but the other 55 identities carry random rows of the same budget in both noisy arms
Expect    protected at most a tenth of the clean arm's rank-1 after the last epoch, others at least nine tenths
"""

from eval.banks import PLAIN
from eval.experiment import Condition, FaceStudy

experiment = FaceStudy(
    claim="50 of 105 identities carry class-wise noise learnt on 100 other people, the other 55 random noise.",
    faces="pins-105",
    conditions=tuple(
        Condition(adversary=name, noise=PLAIN, protected=50, noisy_others=True)
        for name in ("resnet-18", "resnet-18-at-112")
    ),
)
