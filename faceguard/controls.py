"""Noise that nobody learnt, like a bank's in all but what was learnt: the controls of every experiment.

R rows, S x S pixels.
"""

from dataclasses import replace

import torch
from torch import Tensor

from faceguard.bank import NoiseBank
from faceguard.device import generator
from faceguard.noise_store import STEPS, to_levels
from faceguard.smooth import smooth

CUTS = (30, 1000)  # times that rows are scaled and cut to the budget, at least and at most; many where amplified
SETTLED = 1e-3  # of its RMS is what a row may lack after the last
PART = 256  # rows at once


def random_bank(bank: NoiseBank, *, seed: int) -> NoiseBank:
    """Uniform random rows of the same number, size, epsilon and cells, over the whole budget.

    They have less power than learnt rows, which keep to the edges of the budget: `phase_randomized` has as much.
    """
    side = bank.cells or bank.size
    draw = torch.randint(-STEPS, STEPS + 1, (len(bank), 3, side, side), generator=generator(seed, "random arm"))
    rows = smooth(draw.float(), bank.size).round().to(torch.int8)
    return replace(bank, rows=rows, seed=seed, source_model={}, centroids=None, source_weights={})


def phase_randomized(bank: NoiseBank, *, seed: int) -> NoiseBank:
    """The bank's rows with random phases: each keeps its power at every frequency, and loses all that its phases say.

    One phase serves the three channels, so a row keeps its mix of colours too; what leaves the budget is cut off, and made
    up for. These are surrogate data (Theiler et al., Physica D 58, 1992) in two dimensions.
    """
    draw = generator(seed, "phases")
    parts = []
    for start in range(0, len(bank), PART):
        rows = bank.delta(range(start, min(start + PART, len(bank))))
        spectra = torch.fft.rfft2(torch.rand(len(rows), 1, bank.size, bank.size, generator=draw) - 0.5)
        phases = torch.polar(torch.ones_like(spectra.real), spectra.angle())
        turned = torch.fft.irfft2(torch.fft.rfft2(rows) * phases, s=(bank.size, bank.size))
        parts.append(to_levels(_as_strong(turned, rows, bank.epsilon), bank.epsilon))
    return replace(bank, rows=torch.cat(parts), seed=seed, source_model={}, centroids=None, source_weights={})


def _as_strong(noise: Tensor, rows: Tensor, epsilon: float) -> Tensor:
    """``noise``, R x 3 x S x S, cut to [-epsilon, epsilon] and scaled so that each row then has the RMS of ``rows``."""
    scale, wanted, (least, most) = torch.ones(len(rows), 1, 1, 1), _rms(rows), CUTS
    for cut in range(most):
        found = _rms((noise * scale).clamp(-epsilon, epsilon))
        if cut >= least and bool((found >= (1 - SETTLED) * wanted).all()):
            break
        scale *= wanted / found.clamp(min=1e-9)
    return (noise * scale).clamp(-epsilon, epsilon)


def _rms(rows: Tensor) -> Tensor:
    return rows.pow(2).mean(dim=(1, 2, 3), keepdim=True).sqrt()
