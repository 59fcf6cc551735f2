"""Which noise hides faces: error-minimizing or error-maximizing, one row a person or one a photo? (Figure 1, on faces)

Claim     class-wise error-minimizing noise hides its people, and random noise does not
Command   FACEGUARD_DATA=... python -m eval recipes/face_noise_types.py --jobs 2
Data      class-wise rows from celeba-100, sample-wise noise from the training photos themselves; pins-105, 50 of 105 protected
Expect    protected at most a tenth of the clean arm's rank-1 with class-wise noise; what sample-wise noise
          and error-maximizing noise leave is found out; 40 minutes on two cores in fp32
"""

from dataclasses import replace

from eval.banks import BankRecipe
from eval.experiment import Condition, Expectation, FaceStudy
from faceguard.generate import face_noise

class_wise = face_noise()

experiment = FaceStudy(
    claim="Error-minimizing noise hides faces, random noise does not.",
    faces="pins-105",
    noises={
        "class-wise": BankRecipe(faces="celeba-100", settings=class_wise),
        "maximizing": BankRecipe(faces="celeba-100", settings=replace(class_wise, objective="error-maximizing")),
        "sample-wise": BankRecipe(faces=None, settings=face_noise(form="sample-wise")),
    },
    conditions=(
        Condition(noise="class-wise", maximizing="maximizing", seeds=(0,)),
        Condition(noise="sample-wise", seeds=(0,)),
    ),
    expectations=(Expectation(at_most=0.1, where="*class-wise*"),),
)
