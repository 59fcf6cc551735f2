"""When an audit's numbers prove less than they seem to: few held-out photos, and photographed people among drawn ones.

A network tells photographs from drawings long before it tells faces. Measured (ResNet-18 at 64 px, clean arm, 24 drawn others):
it took 72 % of the photos of 20 strangers for the one photographed person, and 87 % for one of three. So among drawn people

    one person     nothing can be said about whoever trains: recognizing "a photograph" is enough
    K people       rank-1 within these K must lie halfway between guessing (1/K) and 1, or the task was too easy to count
"""

from collections.abc import Mapping
from typing import Any

from faceguard.audit_faces import AuditFaces
from faceguard.doubts import few_named
from faceguard.study import Arm

LONE = (
    "The other people are drawn, and yours are the only photographs. Whoever trains needs to learn no face to tell these apart:"
    " in a measurement such a network took 72 % of strangers' photos for the one photographed person. So nothing is said about"
    " training; give --others a folder of photos, one sub-folder per person."
)
AMONG_DRAWN = (
    "The other people are drawn. A network tells photographs from drawings more easily than faces from faces, so what counts is"
    " how well your people are told apart among themselves (within). Give --others a folder of photos, one sub-folder per"
    " person, for a fair comparison."
)


def easy(arms: Mapping[Arm, Any], people: int) -> list[str]:
    """Why recognition of ``people`` photographed people among drawn ones may not count, for an adversary that trains."""
    if people == 1:
        return [LONE]
    clean, least = within(arms, "clean"), (1 + 1 / people) / 2
    if clean >= least:
        return []
    return [
        f"The others are drawn, so being a photograph narrows it down to your {people} people; among themselves the clean arm"
        f" names {clean:.2f}, and {least:.2f} is the least that counts. Add photos, or give --others real photos."
    ]


def too_good(faces: AuditFaces, arms: Mapping[Arm, Any]) -> list[str]:
    """Why "protected" is not to be believed although the numbers alone would say it."""
    people = len(faces.protected)
    tested = int((faces.test.labels < people).sum())
    found = few_named(arms["clean"]["recognition"]["protected"]["last"]["seeds"], tested)
    if faces.drawn and people == 1:
        found.append(LONE)
    if people > 1:
        guess = 1 / people
        clean, noisy = within(arms, "clean") - guess, within(arms, "error-minimizing") - guess
        if not noisy <= clean / 2:
            found.append(
                f"Among themselves your people are still named: rank-1 within {noisy + guess:.2f} of a clean {clean + guess:.2f}."
                " What hides them is that their photos carry noise and the others' do not."
            )
    return found


def within(arms: Mapping[Arm, Any], arm: Arm) -> float:
    """The mean over seeds of the protected group's rank-1 when only its own people are on offer."""
    return float(arms[arm]["recognition"]["protected"]["within"]["mean"])
