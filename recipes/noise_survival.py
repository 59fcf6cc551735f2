"""How much of the noise a trainer finds after publication, for the bank that ships and for the paper's plain noise.

Claim     the median of noise_kept is at least 0.8 in a lossless file and 0.6 after JPEG 75 with 4:2:0 chroma
Command   FACEGUARD_DATA=... python -m eval recipes/noise_survival.py --jobs 2
Data      every third of about 100 photos as people take them, and every eighth of LFW's 807 photos of fold 1
Expect    both met; ten minutes on two cores
"""

from eval.surviving import SurvivalStudy

experiment = SurvivalStudy(
    claim="The noise that ships reaches the trainer.",
    photos={"photos": 3, "lfw/lfw-deepfunneled": 8},
)
