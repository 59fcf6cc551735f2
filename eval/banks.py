"""Noise banks that recipes state: which identities they are learnt on, and with what settings."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from faceguard.decode import load_faces
from faceguard.device import Precision, make_fabric
from faceguard.errors import DataError
from faceguard.generate import SourceModel, face_noise, learn_bank
from faceguard.noise import NoiseSettings, Round


@dataclass(frozen=True, kw_only=True)
class BankRecipe:
    """A bank to be made: ``faces`` is a folder below the data folder."""

    faces: str
    settings: NoiseSettings = field(default_factory=face_noise)
    source_model: SourceModel = field(default_factory=SourceModel)
    seed: int = 0


def make(recipe: BankRecipe, data: Path, out: Path, *, precision: Precision, progress: Callable[[Round], None]) -> None:
    """Learn the bank and write it to ``out``; resumes from ``out``.partial. Raises DataError when ``out`` exists."""
    if out.exists():
        raise DataError(f"{out} already exists and is not overwritten; choose another --out.")
    out.parent.mkdir(parents=True, exist_ok=True)
    checkpoint = out.with_name(out.name + ".partial")
    bank = learn_bank(
        make_fabric(precision=precision),
        load_faces(data / recipe.faces),
        recipe.settings,
        source_model=recipe.source_model,
        seed=recipe.seed,
        checkpoint=checkpoint,
        progress=progress,
    )
    bank.save(out)
    checkpoint.unlink(missing_ok=True)
