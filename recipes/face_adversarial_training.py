"""Does adversarial training undo the noise on faces? (Figure 6, on faces)

Claim     a network trained adversarially, PGD-10 at 8/255, knows people again who carry noise of 16/255
Command   FACEGUARD_DATA=... python -m eval recipes/face_adversarial_training.py --jobs 2
Data      noise from celeba-100 (as the bank that ships, at epsilon 16), faces pins-105, 50 of 105 people protected
Expect    without it the protected at most a tenth of the clean arm's rank-1, with it at least half; an hour on two cores, most of
          it for three adversarial trainings of eleven passes a step
"""

from eval.banks import CELEBA_16
from eval.experiment import Condition, Expectation, FaceStudy

experiment = FaceStudy(
    claim="What adversarial training brings back of the protected.",
    faces="pins-105",
    noises={"celeba-16": CELEBA_16},
    conditions=tuple(
        Condition(noise="celeba-16", adversary="resnet-18-narrow", countermeasure=name, seeds=(0,))
        for name in ("none", "adversarial-training")
    ),
    expectations=(
        Expectation(at_most=0.1, where="*, none, *"),
        Expectation(at_least=0.5, where="*, adversarial-training, *"),
    ),
)
