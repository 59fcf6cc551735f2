"""Does the presence of noise protect, or its content? The partial study with random noise on everybody else, too.

Claim     protected people stay hidden when nobody can tell them by the mere presence of noise; random noise then hides nobody
Command   FACEGUARD_DATA=... python -m eval recipes/face_presence.py
Data      as face_partial, but the other 55 identities carry random rows of the same budget in both noisy arms
Expect    protected at most a tenth of the clean arm's rank-1 after the last epoch, others at least nine tenths
"""

from eval.adversaries import PRESENCE
from eval.experiment import FaceStudy

experiment = FaceStudy(
    claim="50 of 105 identities carry class-wise noise learnt on 100 other people, the other 55 random noise.",
    paper={},
    faces="pins-105",
    protected=50,
    noisy_others=True,
    contenders=PRESENCE,
)
