"""The whole case study in miniature: learn noise on source identities, protect half of the others, train, compare.

Without folders it runs on synthetic identities, so that it needs no photo of anybody and takes a few minutes on two cores.
Nothing in the report depends on time or place: the same seed on the same machine gives the same bytes.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from lightning_fabric import Fabric

from faceguard import __version__
from faceguard.adversary import Scratch
from faceguard.assign import assign_rows
from faceguard.doubts import doubts_about, few_named
from faceguard.errors import DataError
from faceguard.generate import SourceModel, face_noise, learn_bank
from faceguard.identification import Groups
from faceguard.identities import Faces, split
from faceguard.noise import NoiseSettings, Round
from faceguard.outputs import write_json
from faceguard.plots import before_after, learning_curves, roc_figure
from faceguard.readers.synthetic import synthetic_faces
from faceguard.study import (
    ARMS,
    Arm,
    ArmResult,
    arm_faces,
    draw_protected,
    judge,
    make_groups,
    verdict,
)
from faceguard.train import Epoch, TrainSettings


@dataclass(frozen=True, kw_only=True)
class DemoSettings:
    """Sizes of the demo; the defaults take a few minutes on two cores."""

    identities: int = 40
    photos: int = 20
    source_model: SourceModel = field(default_factory=lambda: SourceModel(width=16))
    noise: NoiseSettings = field(default_factory=lambda: replace(face_noise(max_rounds=40), cells=16))  # 4 x 4 pixels
    adversary: Scratch = field(
        default_factory=lambda: Scratch(width=16, size=64, train=TrainSettings(epochs=20, batch_size=32))
    )


def run_demo(
    fabric: Fabric,
    out: Path,
    *,
    settings: DemoSettings,
    faces: Faces | None = None,
    source: Faces | None = None,
    seed: int,
    on_round: Callable[[Round], None] | None = None,
    on_epoch: Callable[[Arm, Epoch], None] | None = None,
) -> dict[str, Any]:
    """Run all three arms and write ``report.json``, ``learning-curves.png``, ``roc.png`` and ``before-after.png`` to ``out``.

    ``faces`` are the people half of whom are protected, ``source`` those the noise is learnt on; synthetic when absent.
    Returns the report. Raises DataError when an identity has fewer than two photos, or nobody could be verified.
    """
    count, photos, size = settings.identities, settings.photos, settings.adversary.size
    faces = faces or synthetic_faces(count, photos, size=size, seed=seed)
    source = source or synthetic_faces(count, photos, size=size, seed=seed + 1)
    train, test = split(faces, seed=seed)
    protected = draw_protected(faces.names, len(faces.names) // 2, seed=seed)
    groups = make_groups(faces, protected)
    _check(test, groups)
    bank = learn_bank(fabric, source, settings.noise, source_model=settings.source_model, seed=seed, progress=on_round)
    training = arm_faces(train, bank, assign_rows(bank, protected, "round-robin", seed=seed), seed=seed)
    arms: dict[Arm, ArmResult] = {}
    for arm in ARMS:
        progress = None if on_epoch is None else partial(on_epoch, arm)
        attack = settings.adversary.attack(fabric, training[arm], test, seed=seed, progress=progress)
        arms[arm] = judge(attack, test, groups, seed=seed)
    recognition = {arm: result.recognition for arm, result in arms.items()}
    outcome, reasons = verdict(recognition, identities=len(faces.names))
    doubts = doubts_about(bank, "that was learnt", train, test)
    if outcome == "protected":
        tested = int(np.isin(test.labels, groups["protected"]).sum())
        doubts += few_named([recognition["clean"]["protected"]["last"]], tested)
    if doubts:
        outcome, reasons = "inconclusive", doubts
    report = {
        "verdict": outcome,
        "reasons": reasons,
        "arms": {arm: result.to_json() for arm, result in arms.items()},
        "identities": {"protected": protected, "others": [name for name in faces.names if name not in protected]},
        "photos": {"train": len(train), "test": len(test), "source": len(source)},
        "settings": asdict(settings) | {"seed": seed},
        "version": __version__,
    }
    write_json(out / "report.json", report)  # first: whatever fails in the pictures, the trainings were not in vain
    _draw(out, arms, train, training["error-minimizing"], protected)
    return report


def _check(test: Faces, groups: Groups) -> None:
    """Verification needs two identities in either group, and two held-out photos of one of them."""
    counts = np.bincount(test.labels)
    if len(groups) < 2 or any(len(labels) < 2 or counts[labels].max() < 2 for labels in groups.values()):
        raise DataError(
            f"{len(test.names)} identities with at most {counts.max()} held-out photos each are too few to compare;"
            " give four identities or more, with eight photos or more of each."
        )


def _draw(out: Path, arms: Mapping[Arm, ArmResult], train: Faces, noisy: Faces, protected: Sequence[str]) -> None:
    """The three pictures: learning curves and ROC of every arm, and one photo each of four protected identities."""
    rank1: dict[str, Any] = {arm: result.rank1 for arm, result in arms.items()}
    losses: dict[str, Any] = {arm: result.losses for arm, result in arms.items()}
    learning_curves(rank1, losses, out / "learning-curves.png", title="Rank-1 on clean held-out faces")
    curves = {arm: result.verification["protected"] for arm, result in arms.items()}
    roc_figure(
        {arm: (found.far, found.tar) for arm, found in curves.items()},
        out / "roc.png",
        title="Verification of the protected identities",
    )
    shown = [int(np.flatnonzero(train.labels == train.names.index(name))[0]) for name in protected[:4]]
    before = [train.pixels[i] for i in shown]
    before_after(before, [noisy.pixels[i] for i in shown], out / "before-after.png", names=protected[:4])
