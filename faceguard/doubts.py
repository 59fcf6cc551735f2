"""What makes a measurement worthless whatever its numbers say: sentences, for a condition's ``doubts``.

A condition with any is inconclusive, see ``faceguard.conclusion``.
"""

from faceguard.bank import NoiseBank
from faceguard.identities import Faces


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
