"""How does it depend on who protects how much: the share of people, the share of one person's photos, rows, and the noise?

Claim     the protected are hidden at every share of people, half-protected people are not; how rows are chosen is found out
Command   FACEGUARD_DATA=... python -m eval recipes/face_shares.py --jobs 2
Data      noise from celeba-100 (as the bank that ships, at epsilon 16), faces pins-105; 0 % is the clean arm of every condition
Expect    protected at most a tenth of the clean arm's rank-1 at 20 to 80 % when all their photos are; an hour on two cores
"""

from eval.banks import CELEBA_16, PLAIN
from eval.experiment import Condition, Expectation, FaceStudy

SHARES = (21, 42, 63, 84, None)  # of 105 people: 20, 40, 60, 80 and 100 %
ONE = (0,)

experiment = FaceStudy(
    claim="The noise hides its people at every share; half-protected people stay visible.",
    faces="pins-105",
    noises={"celeba-16": CELEBA_16},
    conditions=(
        *(Condition(noise="celeba-16", protected=count, seeds=ONE) for count in SHARES),
        *(Condition(noise="celeba-16", photos=share, seeds=ONE) for share in (0.5, 0.8)),
        *(Condition(noise="celeba-16", assign=how, seeds=ONE) for how in ("random", "nearest")),
        Condition(noise=PLAIN),
        Condition(noise="celeba-16", noisy_others=True, seeds=ONE),
    ),
    expectations=(
        *(Expectation(at_most=0.1, where=f"*, none, celeba-16, {count or 'all'} protected") for count in SHARES),
        Expectation(at_least=0.5, where="*50% of photos"),
    ),
)
