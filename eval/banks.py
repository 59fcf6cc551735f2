"""Noise banks that recipes state: which identities they are learnt on, and with what settings."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from eval.scales import LIMITS, Limits, Scale
from faceguard import __version__, readers
from faceguard.about import UNKNOWN, commit
from faceguard.bank import SHIPPED, NoiseBank, default_bank, plain_bank
from faceguard.checkpoint import reserved
from faceguard.decode import load_records
from faceguard.device import ChosenPrecision, apart, make_fabric
from faceguard.errors import DataError
from faceguard.generate import SourceModel, face_noise, learn_bank
from faceguard.identities import Faces
from faceguard.noise import NoiseSettings, Round
from faceguard.outputs import refuse_existing, write_json
from faceguard.readers.record import Record

PLAIN = "plain"  # the paper's, for aligned faces
LEARNT = 2  # raise it with what learning noise does: older banks are then learnt again
WITH_THE_PACKAGE: Mapping[str, Callable[[], NoiseBank]] = {SHIPPED: default_bank, PLAIN: plain_bank}


@dataclass(frozen=True, kw_only=True)
class BankRecipe:
    """A bank to be made: ``faces`` is a folder below the data folder, or None for the training faces of the study itself.

    Sample-wise noise belongs to the photos that it was learnt on, so a study that carries it learns it on its own.
    """

    faces: str | None
    settings: NoiseSettings = field(default_factory=face_noise)
    source_model: SourceModel = field(default_factory=SourceModel)
    seed: int = 0
    gain: float = 1.0  # the learnt rows as many times as strong, cut to epsilon
    limits: Limits = field(default_factory=Limits)

    def at(self, scale: Scale) -> "BankRecipe":
        """The bank as it is learnt at ``scale``: for smoke, one round of two steps on few faces."""
        if scale != "smoke":
            return self
        hasty = replace(self.settings, train_steps=2, stop_error=0.999, batch_size=8)
        return replace(self, settings=hasty, source_model=replace(self.source_model, width=8), limits=LIMITS[scale])


CELEBA_16 = BankRecipe(
    faces="celeba-100", settings=face_noise(publication=True)
)  # as the one that ships, at epsilon 16


class RoundClock:
    """A progress callback that keeps the ``last`` round and the time: rounds before an interruption count as those after."""

    def __init__(self, progress: Callable[[Round], None]) -> None:
        self.progress, self.begun, self.here = progress, time.monotonic(), 0
        self.last = Round(number=0, error=1.0)

    def __call__(self, done: Round) -> None:
        self.last, self.here = done, self.here + 1
        self.progress(done)

    @property
    def seconds(self) -> float:
        """What all rounds take, the present one's end included."""
        return round((time.monotonic() - self.begun) * max(1, self.last.number) / max(1, self.here), 1)


def targeted_noise(settings: NoiseSettings) -> NoiseSettings:
    """The same noise as targeted rows: larger steps, and at most 30 rounds (docs/adr/0009)."""
    return replace(settings, targeted=True, step_size=settings.epsilon / 5, max_rounds=30, stop_error=0.05)


def file_name(learning: object, photos: str, precision: ChosenPrecision) -> str:
    """A file named by all that determines a bank's rows: how they are learnt, the photos' digest, arithmetic, our own code."""
    everything = repr((LEARNT, __version__, learning, photos, precision, *apart(make_fabric(precision=precision))))
    return f"{hashlib.sha256(everything.encode()).hexdigest()[:16]}.safetensors"


def find_source(recipe: BankRecipe, data: Path) -> list[Record]:
    """The photos that the bank is learnt on, none decoded; raises DataError when those are a study's own."""
    if recipe.faces is None:
        raise DataError("This bank is learnt on a study's own faces; name it among the noises of a FaceStudy.")
    return recipe.limits.apply(find_set(data, recipe.faces))


def load_source(recipe: BankRecipe, data: Path) -> Faces:
    """The faces that the bank is learnt on; raises as `find_source`."""
    return load_records(find_source(recipe, data))


def find_set(data: Path, name: str, *, replaceable: bool = False) -> list[Record]:
    """The photos of the face set ``name`` in the data folder, none decoded; raises DataError when it is absent or damaged.

    ``replaceable``: another set may be named with --data, which the message then says.
    """
    if not (data / name).exists():
        other = ", or another face set in it with --data NAME" if replaceable else ""
        raise DataError(
            f"{data / name} does not exist; name the data folder with FACEGUARD_DATA or --folder{other}."
            " docs/data.md says what the folder holds."
        )
    return readers.find(data / name)


def make(
    recipe: BankRecipe, faces: Faces, out: Path, *, precision: ChosenPrecision, progress: Callable[[Round], None]
) -> None:
    """Learn the bank on ``faces`` and write it to ``out``, and `learning` beside it; resumes from ``out``.partial.

    Raises DataError when ``out`` exists, and RunError while another process learns it.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    checkpoint = out.with_name(out.name + ".partial")
    with reserved(checkpoint):
        refuse_existing(out)
        clock, by = RoundClock(progress), commit() or UNKNOWN  # asked first: the clone may have moved on by the end
        bank = learn_bank(
            make_fabric(precision=precision),
            faces,
            recipe.settings,
            source_model=recipe.source_model,
            seed=recipe.seed,
            checkpoint=checkpoint,
            progress=clock,
        )
        write_json(out.with_suffix(".json"), {"seconds": clock.seconds, "commit": by})
        bank.amplified(recipe.gain).save(out)
        checkpoint.unlink(missing_ok=True)


def learning(bank: Path) -> Mapping[str, Any]:
    """What stands beside a learnt bank's file: ``seconds`` that it took and the ``commit`` of the code; of an older one less."""
    about = bank.with_suffix(".json")
    found = json.loads(about.read_text(encoding="utf-8")) if about.is_file() else {}
    return {"seconds": 0.0, "commit": UNKNOWN} | found
