"""What an experiment is: a typed value that a recipe file states, and the data and runs it stands for.

FaceStudy -> adversaries x seeds x arms -> cells; one cell is one training, cached by all that determines it
"""

import runpy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from eval.banks import BankRecipe
from faceguard.adversary import Adversary
from faceguard.assign import Assign, assign_rows
from faceguard.bank import NoiseBank, plain_bank
from faceguard.decode import load_faces
from faceguard.errors import DataError
from faceguard.identities import Faces, split
from faceguard.study import Arm, arm_faces, draw_protected, protect_faces, random_bank


@dataclass(frozen=True, kw_only=True)
class Contender:
    """An adversary and the seeds it is trained with."""

    adversary: Adversary
    seeds: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class FaceStudy:
    """The face case study: who is protected, who trains, and what is claimed about clean held-out faces.

    With ``noisy_others`` the others' photos carry random rows of the same budget in both noisy arms: then nobody can tell
    the protected by the mere presence of noise.

    ``faces`` and ``lfw`` are folders below the data folder; ``protected`` counts identities, None protects all. The two
    expectations are shares of the clean arm's rank-1 after the last epoch, on average over seeds.
    """

    claim: str
    paper: Mapping[str, str]
    faces: str
    protected: int | None
    contenders: Mapping[str, Contender]
    lfw: str | None = None
    assign: Assign = "round-robin"
    noisy_others: bool = False
    original: bool = False  # apply the noise as the authors' public code does
    data_seed: int = 0
    protected_at_most: float = 0.1
    others_at_least: float = 0.9


@dataclass(frozen=True, kw_only=True)
class StudyData:
    """The study's faces: per arm for training, clean for testing, and who is protected with which row."""

    training: Mapping[Arm, Faces]
    test: Faces
    protected: list[str]
    bank: NoiseBank


def load_recipe(path: Path) -> FaceStudy | BankRecipe:
    """The ``experiment`` that a recipe file states. Raises DataError when the file states none."""
    if not path.is_file() or path.suffix != ".py":
        raise DataError(f"{path} is no recipe; name a Python file of recipes/.")
    # Not imported: Python keeps bytecode by size and whole seconds, so a recipe changed at once would run as it was.
    experiment = runpy.run_path(str(path)).get("experiment")
    if not isinstance(experiment, FaceStudy | BankRecipe):
        raise DataError(f"{path} states no experiment; it should hold experiment = FaceStudy(...) or BankRecipe(...).")
    return experiment


def load_data(study: FaceStudy, folder: Path) -> StudyData:
    """Read the study's faces at the bank's size, split every identity's photos 80 to 20, and protect the training part."""
    bank = plain_bank()
    faces = load_faces(folder / study.faces, size=bank.size)
    train, test = split(faces, seed=study.data_seed)
    count = len(faces.names) if study.protected is None else study.protected
    protected = draw_protected(faces.names, count, seed=study.data_seed)
    rows = assign_rows(bank, protected, study.assign, seed=study.data_seed, faces=train)
    training = arm_faces(train, bank, rows, seed=study.data_seed, original=study.original)
    if study.noisy_others:
        others = random_bank(bank, seed=study.data_seed + 1)
        their_rows = assign_rows(others, [n for n in faces.names if n not in rows], "round-robin", seed=study.data_seed)
        for arm in ("random", "error-minimizing"):
            training[arm] = protect_faces(training[arm], others, their_rows)
    return StudyData(training=training, test=test, protected=protected, bank=bank)
