"""What the arms beside the three carry, and the rows of a bank that a study makes stronger."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from commands import quick_noise
from studies import data, trainings  # noqa: F401
from test_study_data import TWO, loaded

from eval.banks import BankRecipe
from faceguard.controls import phase_randomized
from faceguard.study import protect_faces


def test_the_phase_randomized_arm_carries_the_rows_with_random_phases(data, trainings, tmp_path):
    found = loaded(data, tmp_path)
    turned = phase_randomized(found.bank("shipped"), seed=0)
    rows = {name: row for row, name in enumerate(found.protected(TWO))}
    carried = found.training(replace(TWO, spectral=True), "phase-randomized")
    assert np.array_equal(carried.pixels, protect_faces(found.train, turned, rows).pixels)


@pytest.mark.parametrize("gain", [2.0, 3.0])
def test_a_bank_with_a_gain_is_the_learnt_one_amplified(data, trainings, tmp_path, gain):
    plain, strong = (
        loaded(
            data,
            tmp_path,
            replace(TWO, noise="own"),
            noises={"own": BankRecipe(faces="people", settings=quick_noise(), gain=one)},
        ).bank("own")
        for one in (1.0, gain)
    )
    assert torch.equal(strong.rows, plain.amplified(gain).rows) and not torch.equal(strong.rows, plain.rows)
