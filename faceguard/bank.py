"""The noise bank: noise rows in one portable file.

A bank is a safetensors file: ``rows`` int8, R x 3 x S x S, scaled by epsilon / 127 (an error of at most epsilon / 254:
0.063 levels at epsilon 16), ``centroids`` R x D and ``source.*`` (the source model in half precision, so that new
identities can be matched to the nearest source identity), and one JSON metadata entry with everything else.

R rows, S x S pixels, D features of the source model.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from faceguard.errors import BankError
from faceguard.faces import level_budget
from faceguard.noise import Form
from faceguard.noise_store import STEPS, from_levels, to_levels
from faceguard.outputs import replacing
from faceguard.recognizer import Recognizer, build

VERSION = 1
TEMPLATE = "arcface-112"
SHIPPED = "shipped"  # what results call the noise that `faceguard protect` uses


@dataclass(frozen=True, kw_only=True)
class NoiseBank:
    """Rows of noise with their provenance; ``identities`` names the source identity (or photo) behind each row."""

    rows: Tensor
    identities: tuple[str, ...]
    epsilon: float
    form: Form
    seed: int
    cells: int | None = None  # a side, of rows that were learnt coarse and interpolated; None: every pixel is its own
    source_model: dict[str, Any] = field(default_factory=dict)  # name, size, width, identities
    centroids: Tensor | None = None
    source_weights: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = []
        if self.rows.dtype != torch.int8 or self.rows.ndim != 4 or self.rows.shape[1] != 3:
            problems.append(f"rows are {self.rows.dtype} {tuple(self.rows.shape)}, not int8 R x 3 x S x S")
        elif self.rows.shape[2] != self.rows.shape[3]:
            problems.append(f"rows are {self.rows.shape[2]} x {self.rows.shape[3]}, not square")
        elif self.rows.numel() == 0:
            problems.append("there are no rows")
        elif bool((self.rows == -128).any()):
            problems.append("a row leaves the range -127..127")
        elif self.cells is not None and self.cells not in range(1, self.size + 1):
            problems.append(f"{self.cells!r} cells a side cannot make a row of {self.size} pixels")
        if len(self.identities) != len(self.rows):
            problems.append(f"{len(self.identities)} identities name {len(self.rows)} rows")
        if not 0 < self.epsilon <= 1:
            problems.append(f"epsilon {self.epsilon} lies outside (0, 1]")
        if self.form not in ("class-wise", "sample-wise"):
            problems.append(f"form {self.form!r} is neither class-wise nor sample-wise")
        tensors = list(self.source_weights.values()) + ([] if self.centroids is None else [self.centroids])
        if any(t.is_floating_point() and not bool(t.isfinite().all()) for t in tensors):
            problems.append("the source model holds numbers that are not finite")
        if self.source_weights and not {"name", "identities", "size", "width"} <= self.source_model.keys():
            problems.append("the source model's name, identities, size or width is missing")
        if problems:
            raise BankError(
                "This noise bank is not usable: " + "; ".join(problems) + ". Make it anew with faceguard generate."
            )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def size(self) -> int:
        """Height (= width) of a row in pixels."""
        return int(self.rows.shape[2])

    def delta(self, rows: int | Sequence[int] | NDArray[np.int64] | Tensor) -> Tensor:
        """The noise of ``rows``, float32 in [-epsilon, epsilon], 3 x S x S or B x 3 x S x S."""
        return from_levels(self.rows[rows], self.epsilon)

    def levels(
        self, rows: int | Sequence[int] | NDArray[np.int64] | Tensor, *, original: bool = False
    ) -> NDArray[np.int16]:
        """The noise of ``rows`` in whole levels of 255, pixels last: S x S x 3 or B x S x S x 3.

        ``original`` does as the authors' public code, to explain its numbers: negative noise is dropped, the rest cut off
        after the point instead of rounded.
        """
        limit = level_budget(self.epsilon)
        exact = self.delta(rows).mul_(255)
        whole = exact.clamp_(min=0).floor_() if original else exact.round_()
        return whole.clamp_(-limit, limit).to(torch.int16).movedim(-3, -1).contiguous().numpy()

    def amplified(self, gain: float) -> "NoiseBank":
        """The same rows ``gain`` times as strong, cut to the same epsilon: more of the budget is used, and more is seen.

        Raises BankError unless ``gain`` is at least 1.
        """
        if not 1 <= gain < math.inf:
            raise BankError(f"A gain of {gain:g} does not make noise stronger; use one of at least 1.")
        return replace(self, rows=self.rows.float().mul_(gain).round_().clamp_(-STEPS, STEPS).to(torch.int8))

    def source(self) -> Recognizer:
        """The source model, for matching identities. Raises BankError when the bank was saved without it."""
        if not self.source_weights:
            raise BankError("This bank carries no source model, so 'nearest' cannot be computed; use --assign random.")
        shape = self.source_model
        model = build(shape["name"], identities=shape["identities"], size=shape["size"], width=shape["width"], seed=0)
        model.load_state_dict({name: value.float() for name, value in self.source_weights.items()})
        return model.eval()

    def save(self, path: Path) -> None:
        """Write the bank; the same bank gives the same bytes. A temporary file is renamed, so no half bank is left.

        Raises DataError when the disk is full or the folder cannot be written to.
        """
        tensors = {"rows": self.rows.contiguous()}
        if self.centroids is not None:
            tensors["centroids"] = self.centroids.half().contiguous()
        tensors |= {f"source.{name}": _half(value) for name, value in self.source_weights.items()}
        about: dict[str, Any] = {
            "version": VERSION,
            "template": TEMPLATE,
            "epsilon": self.epsilon,
            "form": self.form,
            "seed": self.seed,
            "source_model": self.source_model,
            "identities": self.identities,
        }
        if self.cells is not None:
            about["cells"] = self.cells
        about["sha256"] = _checksum(about, tensors)
        # one entry: safetensors writes several metadata entries in no fixed order
        content = save(tensors, metadata={"faceguard": json.dumps(about, sort_keys=True)})
        with replacing(path) as temporary:
            temporary.write_bytes(content)


def make_bank(noise: Tensor, *, epsilon: float, **about: Any) -> NoiseBank:
    """A bank from float noise in [-epsilon, epsilon], R x 3 x S x S, or from int8 rows as ``generate`` leaves in a store.

    Raises BankError on NaN or a broken budget.
    """
    if noise.dtype == torch.int8:
        return NoiseBank(rows=noise, epsilon=epsilon, **about)
    if not bool(noise.isfinite().all()):
        raise BankError(
            "The noise holds NaN or infinite values; lower the source model's learning rate and generate again."
        )
    if float(noise.abs().max()) > epsilon * (1 + 1e-6):
        raise BankError(
            f"The noise reaches {float(noise.abs().max()) * 255:.3f} levels and epsilon allows {epsilon * 255:.3f}."
        )
    return NoiseBank(rows=to_levels(noise, epsilon).cpu(), epsilon=epsilon, **about)


def load_bank(path: Path) -> NoiseBank:
    """Read and check a bank; nothing in the file is executed.

    Raises BankError when it is missing, truncated, altered, of another version, or out of range.
    """
    try:
        if not path.is_file():
            raise BankError(f"There is no noise bank {path}; make one with faceguard generate, or leave --noise out.")
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get("faceguard", "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no iteration without keys()
    except (SafetensorError, OSError, ValueError) as error:
        raise BankError(f"{path} is no readable noise bank ({error}); copy or generate it again.") from error
    if not isinstance(about, dict):
        raise BankError(f"{path} is a safetensors file but no noise bank; make one with faceguard generate.")
    if about.get("version") != VERSION:
        raise BankError(f"{path} has bank version {about.get('version')}, and this faceguard reads version {VERSION}.")
    if about.pop("sha256", None) != _checksum(about, tensors):
        raise BankError(
            f"{path} does not match its own checksum: it was altered or damaged; copy or generate it again."
        )
    if about.get("template") != TEMPLATE:
        raise BankError(f"{path} was made for the alignment {about.get('template')!r}, and faces here are {TEMPLATE}.")
    missing = {"identities", "epsilon", "form", "seed", "source_model"} - about.keys() | {"rows"} - tensors.keys()
    if missing:
        raise BankError(f"{path} lacks {', '.join(sorted(missing))}; generate the bank again.")
    return NoiseBank(
        rows=tensors["rows"],
        identities=tuple(about["identities"]),
        epsilon=about["epsilon"],
        form=about["form"],
        seed=about["seed"],
        cells=about.get("cells"),
        source_model=about["source_model"],
        centroids=tensors["centroids"].float() if "centroids" in tensors else None,
        source_weights={name.removeprefix("source."): t for name, t in tensors.items() if name.startswith("source.")},
    )


def default_bank() -> NoiseBank:
    """The bank that `protect` uses, learnt from 100 CelebA identities to survive publication (recipes/default_bank.py)."""
    return load_bank(Path(str(files("faceguard") / "default.safetensors")))


def plain_bank() -> NoiseBank:
    """The paper's noise for aligned faces, learnt from the same identities (recipes/plain_bank.py)."""
    return load_bank(Path(str(files("faceguard") / "plain.safetensors")))


def _half(tensor: Tensor) -> Tensor:
    return tensor.half().contiguous() if tensor.is_floating_point() else tensor.contiguous()


def _checksum(about: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        digest.update(tensors[name].contiguous().numpy().tobytes())
    return digest.hexdigest()
