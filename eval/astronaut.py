"""``python -m eval.astronaut OUT.png``: before, after and ten times the difference, on a photo that is free to show.

The photo is scikit-image's astronaut (NASA, public domain), read from that package; the noise is the one that ships.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import skimage.data
from numpy.typing import NDArray

from faceguard import terminal
from faceguard.bank import default_bank
from faceguard.errors import DataError
from faceguard.faces import add_to_faces
from faceguard.plots import before_after
from faceguard.protect import Protection, usable_faces
from faceguard.quality import Quality, quality

SHOWN = (slice(0, 260), slice(95, 355))  # rows and columns around the face
ROW = 0


def draw(path: Path) -> Quality:
    """Protect the whole photo, draw its face to ``path``, and give the quality of the whole photo."""
    photo: NDArray[np.uint8] = skimage.data.astronaut()
    bank = default_bank()
    matrices, _, problems = usable_faces(photo, Protection(bank=bank))
    if not matrices:
        raise DataError(f"The example photo cannot be protected: {' '.join(problems)}")
    protected = add_to_faces(photo, matrices, bank.delta(ROW).numpy(), bank.epsilon)
    before_after([photo[SHOWN]], [protected[SHOWN]], path, names=["astronaut"])
    return quality(photo, protected)


def main(arguments: Sequence[str]) -> None:
    """Draw the picture to a new file."""
    parser = argparse.ArgumentParser(prog="python -m eval.astronaut", description="Draw a photo before and after.")
    parser.add_argument("out", type=Path, metavar="OUT.png", help="the picture to write; nothing is overwritten")
    out = parser.parse_args(arguments).out
    if out.suffix.lower() != ".png":
        parser.error(f"the picture is a PNG, so give a name that ends in .png, not {str(out)!r}")
    with terminal.sentences():
        terminal.claim(out.parent, out.name)
        draw(out)


if __name__ == "__main__":
    main(sys.argv[1:])
