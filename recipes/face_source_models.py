"""Does noise that was learnt with one network protect against another? Source models against adversaries, on faces.

Claim     the noise hides its people from networks that it was not learnt with
Command   FACEGUARD_DATA=... python -m eval recipes/face_source_models.py --jobs 2
Data      rows from celeba-100, learnt with each network at 112 pixels; pins-105, 50 of 105 people protected; seen at 64 pixels
Expect    protected at most a tenth of the clean arm's rank-1 for every pair of networks; two hours on two cores in fp32,
          most of them to learn with Inception-ResNet-v1
"""

from eval.banks import BankRecipe
from eval.experiment import Condition, Expectation, FaceStudy
from faceguard.generate import SourceModel

SOURCES = ("resnet-18", "inception-resnet-v1")
ADVERSARIES = ("resnet-18-narrow", "resnet-18")

experiment = FaceStudy(
    claim="Noise learnt with one network protects against others.",
    faces="pins-105",
    noises={f"by {name}": BankRecipe(faces="celeba-100", source_model=SourceModel(name=name)) for name in SOURCES},
    conditions=tuple(
        Condition(noise=f"by {source}", adversary=name, seeds=(0,) if name == "resnet-18" else None)
        for source in SOURCES
        for name in ADVERSARIES
    ),
    expectations=(Expectation(at_most=0.1),),
)
