"""The experiment at the heart of faceguard: one recognizer trained on clean, random-noise and protected faces.

    faces -> split per identity -> arms {clean, random, error-minimizing} -> recognizer from scratch -> CLEAN held-out faces

A result without its two controls is no result, so the verdict needs all three arms. When the clean arm does not learn, it is
``inconclusive``; so it is when the protected are hidden, but random noise of the same budget hides them as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from faceguard.adversary import Attack
from faceguard.bank import NoiseBank
from faceguard.controls import random_bank
from faceguard.device import generator
from faceguard.errors import DataError
from faceguard.faces import add_levels
from faceguard.identification import Groups, rank1, rank1_within, verify_groups
from faceguard.identities import Faces
from faceguard.verification import Verification

Arm = Literal["clean", "random", "error-minimizing", "error-maximizing", "phase-randomized"]
ARMS: tuple[Arm, ...] = ("clean", "random", "error-minimizing")  # what every verdict needs; others stand beside them


@dataclass(frozen=True, kw_only=True)
class ArmResult:
    """An arm judged by group: rank-1 after every epoch, among all identities and (``within``) among the group's own after
    the last, and verification; ``all`` stands for every held-out face."""

    losses: Sequence[float]
    rank1: Mapping[str, Sequence[float]]
    within: Mapping[str, float]
    verification: Mapping[str, Verification]

    @property
    def recognition(self) -> dict[str, dict[str, float]]:
        """Group -> ``last`` and ``best`` rank-1, and ``within``; best is each group's own, as if a trainer stopped there."""
        return {
            group: {"last": curve[-1], "best": max(curve), "within": self.within[group]}
            for group, curve in self.rank1.items()
        }

    def to_json(self) -> dict[str, Any]:
        """Plain values: ``recognition.GROUP.{last,best,within}``, ``verification.{auc,eer}`` and by group, and the curves."""
        overall = self.verification["all"]
        by_group = {group: found.to_json() for group, found in self.verification.items() if group != "all"}
        return {
            "recognition": self.recognition,
            "verification": {"auc": overall.auc, "eer": overall.eer} | by_group,
            "curves": {"rank1": dict(self.rank1), "loss": list(self.losses)},
        }


def protect_faces(faces: Faces, bank: NoiseBank, rows: Mapping[str, int], *, original: bool = False) -> Faces:
    """A copy of aligned ``faces`` in which every identity named in ``rows`` carries its row, in whole levels.

    ``original`` applies the noise as the authors' public code does, see ``NoiseBank.levels``.

    Raises DataError when the faces do not have the bank's size.
    """
    carried = np.array([rows.get(name, -1) for name in faces.names])
    return _carry(faces, bank, carried[faces.labels], original=original)


def protect_photos(faces: Faces, bank: NoiseBank, identities: Sequence[str], *, original: bool = False) -> Faces:
    """A copy of aligned ``faces`` in which every photo of ``identities`` carries the row of its own, of a sample-wise bank.

    ``original`` as for ``protect_faces``. Raises DataError when the faces do not have the bank's size, or when a photo was not
    among those the bank was learnt on.
    """
    row_of = {key: row for row, key in enumerate(bank.identities)}
    carried = np.full(len(faces), -1)
    for i in np.flatnonzero(np.isin(np.array(faces.names), list(identities))[faces.labels]):
        if faces.keys[i] not in row_of:
            raise DataError(f"The sample-wise bank has no row for {faces.keys[i]}; learn it on these photos.")
        carried[i] = row_of[faces.keys[i]]
    return _carry(faces, bank, carried, original=original)


def _carry(faces: Faces, bank: NoiseBank, carried: NDArray[np.int64], *, original: bool) -> Faces:
    """A copy of the faces in which every photo carries its row, in whole levels; -1 is none."""
    if faces.size != bank.size:
        raise DataError(
            f"The faces are {faces.size} px and the bank's rows {bank.size} px; read the faces at the bank's size."
        )
    pixels = faces.pixels.copy()
    for row in np.unique(carried[carried >= 0]):
        photos = carried == row
        pixels[photos] = add_levels(pixels[photos], bank.levels(int(row), original=original))
    return replace(faces, pixels=pixels)


def arm_faces(
    train: Faces, bank: NoiseBank, rows: Mapping[str, int], *, seed: int, original: bool = False
) -> dict[Arm, Faces]:
    """The training faces as every arm's adversary finds them; ``original`` as for ``protect_faces``."""
    return {
        "clean": train,
        "random": protect_faces(train, random_bank(bank, seed=seed), rows, original=original),
        "error-minimizing": protect_faces(train, bank, rows, original=original),
    }


def draw_protected(names: Sequence[str], count: int, *, seed: int) -> list[str]:
    """``count`` of the identities, drawn at random, in the order of ``names``; all of them where there are no more."""
    drawn = torch.randperm(len(names), generator=generator(seed, "protected"))[:count]
    return [names[i] for i in sorted(drawn.tolist())]


def make_groups(faces: Faces, protected: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """The labels of the ``protected`` identities and of the ``others``; a group without identities is left out."""
    labels = np.arange(len(faces.names))
    inside = np.isin(np.array(faces.names), list(protected))
    return {group: part for group, part in (("protected", labels[inside]), ("others", labels[~inside])) if len(part)}


def judge(attack: Attack, test: Faces, groups: Groups, *, seed: int) -> ArmResult:
    """What the attack means for every group of identities."""
    by_epoch = [rank1(predicted, test, groups) for predicted in attack.predictions]
    everyone = {"all": np.arange(len(test.names))}
    return ArmResult(
        losses=list(attack.losses),
        rank1={group: [epoch[group] for epoch in by_epoch] for group in groups},
        within=rank1_within(attack.logits, test, groups),
        verification=verify_groups(attack.embeddings, test, {**groups, **everyone}, seed=seed),
    )


def verdict(recognition: Mapping[Arm, Mapping[str, Mapping[str, float]]], identities: int) -> tuple[str, list[str]]:
    """``protected``, ``not protected`` or ``inconclusive`` with the reasons, from arm -> group -> last, best rank-1.

    Protected: at most a quarter of the clean arm's last rank-1 after the last epoch, and at most half of it at any epoch, where
    random noise leaves three quarters of it after the last. Who is recognized is not protected, whatever random noise does.
    """
    absent = [arm for arm in ARMS if arm not in recognition]
    if absent:
        return "inconclusive", [f"The arm {arm} was not run." for arm in absent]
    clean, random, protected = (recognition[arm] for arm in ARMS)
    floor = min(0.5, 10 / identities)  # ten times chance
    # "not >=" throughout: a rate that is not a number must never lead to "protected"
    unlearned = [group for group, values in clean.items() if not values["last"] >= floor]
    if unlearned:
        return "inconclusive", [
            f"The clean arm did not learn: rank-1 {clean[g]['last']:.2f} for {g}, and {floor:.2f} is the least that counts."
            for g in unlearned
        ]
    last, best = protected["protected"]["last"], protected["protected"]["best"]
    reference = clean["protected"]["last"]
    comparison = (
        f"Protected rank-1 {last:.2f} after the last epoch, {best:.2f} at its best; the clean arm's is {reference:.2f}."
    )
    if not (last <= reference / 4 and best <= reference / 2):
        return "not protected", [comparison]
    if not all(random["protected"][epoch] >= 0.75 * reference for epoch in ("last", "best")):
        return "inconclusive", [
            f"Random noise of the same budget does much of it: rank-1 {random['protected']['last']:.2f}."
        ]
    if "others" in clean and not protected["others"]["last"] >= 0.75 * clean["others"]["last"]:
        return "inconclusive", [f"The others are recognized badly too: rank-1 {protected['others']['last']:.2f}."]
    return "protected", [comparison]
