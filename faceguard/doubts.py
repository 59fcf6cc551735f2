"""What makes a measurement worthless whatever its numbers say: sentences, for a condition's ``doubts``.

A condition with any is inconclusive, see ``faceguard.conclusion``.

Noise that does nothing protects by luck where the clean and the random arm happen to name photos, and the noisy one none. In
one training the chance of that (three binomial draws, at the rate that is worst) is 0.10 to 0.15 if one photo that the clean
arm names may decide, however many are tested, and at most 0.03 if it has to name four.
"""

from collections.abc import Sequence

from faceguard.bank import NoiseBank
from faceguard.identities import Faces
from faceguard.printable import counted

FEWEST = 4  # held-out photos of the protected that the clean arm must name


def doubts_about(bank: NoiseBank, name: str, train: Faces, test: Faces) -> list[str]:
    """Noise of zeros, and held-out faces that are among the training faces, pixel by pixel; nothing when all is well."""
    found = []
    if not bool(bank.rows.any()):
        found.append(f"The noise {name} is all zeros.")
    trained_on = {face.tobytes() for face in train.pixels}
    leaked = sum(face.tobytes() in trained_on for face in test.pixels)
    if leaked:
        found.append(f"{leaked} of {len(test)} held-out faces are among the training faces as well.")
    return found


def few_named(rank1: Sequence[float], tested: int) -> list[str]:
    """That "protected" rests on too few of the protected's ``tested`` photos; ``rank1`` is the clean arm's, of each seed."""
    named = round(min(rank1) * tested)
    if named >= FEWEST:
        return []
    return [
        f"The clean arm names {named} of {counted(tested, 'held-out photo')} of the protected, and {FEWEST} are the least that"
        " count; add photos."
    ]
