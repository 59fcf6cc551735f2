"""The user's question about her own photos: would this noise protect these people, and against whom?

    photos -> arms {clean, random, error-minimizing} -> fast adversaries -> the verdict and report of the harness

Adversaries: a recognizer from scratch at 64 px, the averaging attack that goes on as the same recognizer, and a frozen
extractor where one is at hand. What cannot be told from so few photos, or among drawn people, is said and not guessed.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from faceguard.about import about_run
from faceguard.adversary import Adversary, Scratch
from faceguard.audit_doubts import easy, too_good
from faceguard.audit_faces import AuditFaces, gather
from faceguard.audit_others import AuditSize
from faceguard.audit_words import FROZEN, claim, notes
from faceguard.averaging import Averaging
from faceguard.bank import SHIPPED, NoiseBank
from faceguard.conclusion import conclude, judge
from faceguard.device import apart, precision_of
from faceguard.errors import RunError
from faceguard.frozen import Frozen
from faceguard.identities import Failure
from faceguard.measures import measure_arm
from faceguard.outputs import write_json
from faceguard.published import PUBLISHED, published_file
from faceguard.report import write_report
from faceguard.runs import load_model
from faceguard.study import ARMS, Arm, make_groups
from faceguard.train import Epoch, TrainSettings
from faceguard.uploads import Upload

Json = dict[str, Any]
STRONGEST = ("buffalo_l", "vggface2", "casia-webface")  # published weights, looked for in this order
NEVER_RUN = (
    "fine-tuning of a pre-trained network",
    "an adversary who knows faceguard's own noise",
    "other networks and larger faces",
    "countermeasures such as grayscale, blur or adversarial training",
)
OnEpoch = Callable[
    [str, int, int, Epoch | None], None
]  # what is trained, steps done, steps in all, the epoch if it is one


@dataclass(frozen=True, kw_only=True)
class AuditSettings:
    """Sizes of an audit; ``seeds`` trainings of each adversary that trains. See the README for what the defaults take."""

    size: AuditSize = field(default_factory=AuditSize)
    upload: Upload = field(default_factory=Upload)
    scratch: Scratch = field(
        default_factory=lambda: Scratch(width=16, size=64, train=TrainSettings(epochs=30, batch_size=32))
    )
    seeds: int = 3


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What result.json holds, and the photos that were left out."""

    result: Json
    failures: tuple[Failure, ...]


def run_audit(
    fabric: Fabric,
    photos: Path,
    out: Path,
    *,
    bank: NoiseBank,
    noise: str,
    settings: AuditSettings,
    others: Path | None = None,
    extractor: str | None = None,
    seed: int,
    on_photo: Callable[[str, int, int], None] = lambda *_: None,
    on_epoch: OnEpoch = lambda *_: None,
) -> Audit:
    """Audit the ``bank`` (called ``noise``) on ``photos`` and write result.json, run.json and report.html to ``out``.

    ``others`` is a folder per identity, ``extractor`` a model as for ``runs.load_model``; without it published weights are
    taken where they are in the cache folder. The same seed and precision on the same machine give the same result.json.
    Raises DataError for photos that cannot be compared, BankError for sample-wise noise, RunError for a bad ``extractor``.
    """
    begun = time.monotonic()
    extractor = extractor or next((name for name in STRONGEST if published_file(name).is_file()), None)
    if extractor is not None:
        _try(extractor)  # before anything is read
    faces = gather(
        photos,
        bank,
        noise,
        others=others,
        upload=settings.upload,
        size=settings.size,
        seed=seed,
        progress=on_photo,
    )
    adversaries = _adversaries(settings, bank, extractor)
    conditions = _conditions(fabric, faces, adversaries, noise, settings, seed, on_epoch)
    result = {
        "title": f"audit of {photos.resolve().name}",
        "claim": claim(faces, noise, settings.upload),
        "paper": {},
        "verdict": conclude(conditions, [*_frozen_not_run(extractor), *NEVER_RUN]),
        "notes": notes(faces, conditions, frozen=extractor is not None),
        "conditions": conditions,
        "expectations": {},
        "noise": faces.noise,
        "settings": _settings(faces, adversaries, bank, settings, seed) | {"precision": precision_of(fabric)},
        "pictures": faces.pictures,
    }
    write_json(out / "result.json", result)
    write_json(out / "run.json", about_run(time.monotonic() - begun, _command(noise, others, extractor, seed, fabric)))
    write_report(out)
    return Audit(result=result, failures=faces.failures)


def _command(noise: str, others: Path | None, extractor: str | None, seed: int, fabric: Fabric) -> list[str]:
    """The words that repeat the audit; capitals stand for the user's files, whose names a published result need not tell."""
    words = ["faceguard", "audit", "PHOTOS"]
    words += [] if noise == SHIPPED else ["--noise", "NOISE"]
    words += [] if others is None else ["--others", "OTHERS"]
    words += [] if extractor is None else ["--extractor", extractor if extractor in PUBLISHED else "EXTRACTOR"]
    spared = torch.cuda.is_available() and not apart(fabric)
    words += ["--seed", str(seed), "--precision", precision_of(fabric)]  # auto may be another one on another machine
    return [*words, *(["--device", "cpu"] if spared else [])]


def _try(extractor: str) -> None:
    """Raises RunError for a model that cannot be loaded."""
    if extractor in PUBLISHED and not published_file(extractor).is_file():
        raise RunError(
            f"The weights of {extractor} are not on this machine, and an audit never fetches any; name a file, or put them"
            f" into {published_file(extractor).parent}."
        )
    load_model(extractor)


def _adversaries(settings: AuditSettings, bank: NoiseBank, extractor: str | None) -> dict[str, Adversary]:
    """By name; the frozen one first, because it is the quickest."""
    found: dict[str, Adversary] = {}
    if extractor is not None:
        found[f"frozen {Path(extractor).name}"] = Frozen(weights=extractor)
    scratch = settings.scratch
    found[f"{scratch.model} from scratch"] = scratch
    found[f"averaging, then {scratch.model}"] = Averaging(then=scratch, epsilon=bank.epsilon)
    return found


def _conditions(
    fabric: Fabric,
    faces: AuditFaces,
    adversaries: Mapping[str, Adversary],
    noise: str,
    settings: AuditSettings,
    seed: int,
    on_epoch: OnEpoch,
) -> list[Json]:
    """Every adversary against all three arms, judged."""
    epochs = settings.scratch.train.epochs
    cost = {name: 1 if isinstance(one, Frozen) else epochs * settings.seeds for name, one in adversaries.items()}
    done, total = 0, len(ARMS) * sum(cost.values())
    groups, conditions = make_groups(faces.test, faces.protected), []
    for name, adversary in adversaries.items():
        seeds = [seed] if isinstance(adversary, Frozen) else [seed + i for i in range(settings.seeds)]
        arms: dict[Arm, Json] = {}
        for arm in ARMS:
            cells = []
            for one in seeds:
                label = f"{name}, {arm} arm, seed {one}"

                def tell(epoch: Epoch, label: str = label, before: int = done) -> None:
                    on_epoch(label, before + epoch.number, total, epoch)

                attack = adversary.attack(fabric, faces.train[arm], faces.test, seed=one, progress=tell)
                cells.append(attack.arrays())
                done += cost[name] // len(seeds)
                on_epoch(label, done, total, None)
            arms[arm] = measure_arm(cells, faces.test, groups)
        conditions.append(_judged(name, arms, faces, noise, seeds, trains=not isinstance(adversary, Frozen)))
    return conditions


def _judged(
    name: str, arms: Mapping[Arm, Json], faces: AuditFaces, noise: str, seeds: list[int], *, trains: bool
) -> Json:
    condition: Json = {
        "name": f"{name}, {noise}, {len(faces.protected)} protected",
        "adversary": name,
        "countermeasure": "none",
        "noise": noise,
        "protected": len(faces.protected),
        "identities": len(faces.test.names),
        "seeds": seeds,
        "doubts": list(faces.doubts),
        "arms": arms,
    }
    if faces.drawn and trains:
        condition["doubts"] += easy(arms, len(faces.protected))
    if judge(condition).outcome == "protected":
        condition["doubts"] += too_good(faces, arms)
    found = judge(condition)
    return condition | {"verdict": found.outcome, "reasons": found.reasons}


def _frozen_not_run(extractor: str | None) -> list[str]:
    """What is known of frozen extractors and was not tried: all of them, or the published ones that are at hand."""
    if extractor is None:
        return [FROZEN]
    return [f"frozen {name}" for name in PUBLISHED if name != extractor and published_file(name).is_file()]


def _settings(
    faces: AuditFaces, adversaries: Mapping[str, Adversary], bank: NoiseBank, settings: AuditSettings, seed: int
) -> Json:
    mine = len(faces.protected)
    photos = {"training": len(faces.train["clean"]), "testing": len(faces.test), "left_out": len(faces.failures)}
    return {
        "seed": seed,
        "photos": photos,
        "people": {"yours": mine, "others": len(faces.test.names) - mine, "others_are_drawn": faces.drawn},
        "upload": asdict(settings.upload),
        "adversaries": {name: one.fingerprint() for name, one in adversaries.items()},
        "bank": {"rows": len(bank), "size": bank.size, "cells": bank.cells, "seed": bank.seed},
    }
