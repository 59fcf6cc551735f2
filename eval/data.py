"""The faces of a study: per condition and arm for training, clean for testing, and who is protected with which row."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock

from eval import banks
from eval.banks import WITH_THE_PACKAGE, BankRecipe
from eval.experiment import Condition, FaceStudy
from eval.scales import LIMITS, Scale
from faceguard import face_cache
from faceguard.assign import Assign, assign_rows
from faceguard.bank import NoiseBank, load_bank
from faceguard.controls import phase_randomized, random_bank
from faceguard.decode import load_records
from faceguard.device import ChosenPrecision, generator
from faceguard.doubts import doubts_about
from faceguard.errors import DataError
from faceguard.identities import Faces, split
from faceguard.noise import Round
from faceguard.readers.record import Record
from faceguard.study import Arm, draw_protected, protect_faces, protect_photos
from faceguard.uploads import Upload, carry, upload_faces

SIZE = 112


@dataclass(kw_only=True)
class StudyData:
    """Everything that the conditions of one study share; read once, the banks when first needed.

    Raises DataError when a condition protects as many identities as there are, or more, or none.
    """

    study: FaceStudy
    folder: Path
    banks_folder: Path
    scale: Scale = "small"
    precision: ChosenPrecision = "bf16"
    progress: Callable[[Round], None] = lambda _: None
    train: Faces = field(init=False)
    test: Faces = field(init=False)
    _records: Mapping[str, Record] = field(init=False)
    _banks: dict[str, NoiseBank] = field(init=False, default_factory=dict)
    _sources: dict[BankRecipe, Faces] = field(init=False, default_factory=dict)
    _digests: dict[BankRecipe, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        records = LIMITS[self.scale].apply(banks.find_set(self.folder, self.study.faces, replaceable=True))
        self._records = {record.key: record for record in records}
        upload = self.study.upload
        faces = load_records(records, size=SIZE) if upload is None else _uploaded(records, upload, rows={})
        self.train, self.test = split(faces, seed=self.study.data_seed)
        for condition in self.study.conditions:  # before anything is trained
            self.protected(condition)

    def protected(self, condition: Condition) -> list[str]:
        """The identities that are protected: drawn by the study's seed, so that a larger share contains a smaller one.

        Raises DataError for a count that leaves nobody unprotected, or nobody protected.
        """
        names, count = self.train.names, condition.protected
        if count is None:
            return list(names)
        if not 0 < count < len(names):
            raise DataError(
                f"The condition {condition.name!r} protects {count} of the identities of {self.study.faces}, which has"
                f" {len(names)}; state fewer than {len(names)} and at least 1, or protected=None, which protects everybody."
            )
        return draw_protected(names, count, seed=self.study.data_seed)

    def bank(self, noise: str) -> NoiseBank:
        """The bank of this name; the study's own are learnt once and kept."""
        if noise not in self._banks:
            self._banks[noise] = self._load_bank(noise)
        return self._banks[noise]

    def bank_source(self, noise: str) -> str:
        """Where an adversary finds the bank of this name, learnt now if need be: a file, or the name of one that ships."""
        self.bank(noise)
        return str(self._bank_path(noise)) if noise in self.study.noises else noise

    def learning(self, noise: str) -> Mapping[str, Any]:
        """How long the bank of this name was learnt, and by which commit (`banks.learning`); nothing for one that ships."""
        return banks.learning(self._bank_path(noise)) if noise in self.study.noises else {}

    def training(self, condition: Condition, arm: Arm) -> Faces:
        """The training faces as the adversary finds them in one arm."""
        if arm == "clean":
            return self.train
        seed = self.study.data_seed
        bank = self.bank(condition.noises[arm])
        protected = self.protected(condition)
        noise = bank
        if arm == "random":
            noise = random_bank(bank, seed=seed)
        elif arm == "phase-randomized":
            noise = phase_randomized(bank, seed=seed)
        faces = self._carrying(self.train, noise, self._rows(bank, protected, condition.assign), condition)
        if condition.noisy_others:
            others = [name for name in self.train.names if name not in protected]
            theirs = random_bank(bank, seed=seed + 1)
            faces = self._carrying(faces, theirs, self._rows(theirs, others, "round-robin"), condition)
        return faces

    def _rows(self, bank: NoiseBank, names: Sequence[str], how: Assign) -> dict[str, int]:
        """Who carries noise, and which row; of sample-wise noise every photo has its own, so the numbers say nothing."""
        if bank.form == "sample-wise":
            return dict.fromkeys(names, 0)
        return assign_rows(bank, names, how, seed=self.study.data_seed, faces=self.train)

    def photos(self, faces: Faces) -> list[Record]:
        """The photos in which ``faces`` were found, in their order."""
        return [self._records[key] for key in faces.keys]

    def doubts(self, condition: Condition) -> list[str]:
        """What would make this condition's numbers worthless, in sentences; nothing when all is well."""
        return doubts_about(self.bank(condition.noise), condition.noise, self.train, self.test)

    def _carrying(self, faces: Faces, bank: NoiseBank, rows: Mapping[str, int], condition: Condition) -> Faces:
        """The faces with noise on the chosen photos of the identities in ``rows``; those that get lost are left out."""
        if bank.form == "sample-wise":
            noisy = protect_photos(faces, bank, list(rows), original=condition.original)
        elif self.study.upload is None:
            noisy = protect_faces(faces, bank, rows, original=condition.original)
        else:
            wanted = [record for record in self.photos(faces) if record.identity in rows]
            noisy = carry(faces, _uploaded(wanted, self.study.upload, bank=bank, rows=rows), rows)
        return noisy if condition.photos == 1 else _partly(faces, noisy, rows, condition.photos, self.study.data_seed)

    def has_bank(self, noise: str) -> bool:
        """Whether the bank of this name need not be learnt first."""
        return noise not in self.study.noises or self._bank_path(noise).exists()

    def _bank_path(self, noise: str) -> Path:
        recipe = self.study.noises[noise]
        return self.banks_folder / banks.file_name(asdict(recipe), self._digest(recipe), self.precision)

    def _digest(self, recipe: BankRecipe) -> str:
        if recipe not in self._digests:
            self._digests[recipe] = self._source(recipe).digest()
        return self._digests[recipe]

    def _source(self, recipe: BankRecipe) -> Faces:
        """The faces that a bank is learnt on."""
        if recipe.faces is None:
            return self.train
        if recipe not in self._sources:
            self._sources[recipe] = banks.load_source(recipe, self.folder)
        return self._sources[recipe]

    def _load_bank(self, noise: str) -> NoiseBank:
        if noise not in self.study.noises:
            return WITH_THE_PACKAGE[noise]()
        recipe, path = self.study.noises[noise], self._bank_path(noise)
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):  # of several processes, one learns it
            if not path.exists():
                banks.make(recipe, self._source(recipe), path, precision=self.precision, progress=self.progress)
        return load_bank(path)


def _uploaded(
    records: Sequence[Record], upload: Upload, *, bank: NoiseBank | None = None, rows: Mapping[str, int]
) -> Faces:
    """The trainer's faces of uploaded photos, kept in the cache folder."""
    return upload_faces(records, upload, size=SIZE, bank=bank, rows=rows, cache=face_cache.default_folder())


def _partly(clean: Faces, noisy: Faces, rows: Mapping[str, int], share: float, seed: int) -> Faces:
    """A drawn ``share`` of each protected identity's photos from ``noisy``, the others from ``clean``."""
    place = {key: i for i, key in enumerate(clean.keys)}
    pixels = noisy.pixels.copy()
    for name in rows:
        photos = np.flatnonzero(noisy.labels == noisy.names.index(name))
        order = torch.randperm(len(photos), generator=generator(seed, "photos", name)).numpy()
        for i in photos[order[round(share * len(photos)) :]]:
            pixels[i] = clean.pixels[place[noisy.keys[i]]]
    return replace(noisy, pixels=pixels)
