"""Is one bank of noise as good as another? The same noise learnt three times, from three seeds.

Claim     whether the noise hides its people does not hang on the seed that it was learnt from
Command   FACEGUARD_DATA=... python -m eval recipes/face_noise_seeds.py --jobs 2
Data      noise from celeba-100 (as the bank that ships, at epsilon 16), faces pins-105, 50 of 105 people protected
Expect    protected at most a tenth of the clean arm's rank-1 with each bank, others at least nine tenths; 40 minutes on two cores
"""

from dataclasses import replace

from eval.banks import CELEBA_16
from eval.experiment import PAPER, Condition, FaceStudy

SEEDS = (0, 1, 2)

experiment = FaceStudy(
    claim="One bank of noise hides its people like another.",
    faces="pins-105",
    noises={f"learnt from seed {seed}": replace(CELEBA_16, seed=seed) for seed in SEEDS},
    conditions=tuple(Condition(noise=f"learnt from seed {seed}", adversary="resnet-18-narrow") for seed in SEEDS),
    expectations=PAPER,
)
