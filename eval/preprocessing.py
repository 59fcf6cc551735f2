"""Countermeasures that change the stored training photos, once: what a trainer's pipeline does before it loads them.

After JPEG and bit-depth reduction, clean photos are tried untouched, as in APBench (Qin et al. 2024), whose numbers would
not compare otherwise. A network that knows no colours or no fine detail is shown what it knows, although APBench shows
colours to it too: an adversary would not give that away. ``at_test`` turns either around.
"""

from abc import abstractmethod
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from faceguard.countermeasure import Countermeasure
from faceguard.decode import resize
from faceguard.identities import Faces
from faceguard.survival import published

Photo = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Preprocessing(Countermeasure):
    """A change of every photo on its own; ``at_test``: clean photos go through it as well."""

    at_test: bool = False

    @abstractmethod
    def change(self, photo: Photo) -> Photo:
        """One photo, S x S x 3, as stored afterwards in the same shape."""

    def prepare(self, train: Faces, *, seed: int) -> Faces:  # noqa: ARG002 - nothing is drawn
        """Every training photo, changed."""
        return self._changed(train)

    def view(self, faces: Faces) -> Faces:
        """Clean photos, changed if ``at_test`` says so."""
        return self._changed(faces) if self.at_test else faces

    def _changed(self, faces: Faces) -> Faces:
        pixels = np.empty(faces.pixels.shape, dtype=np.uint8)
        for i, photo in enumerate(faces.pixels):
            pixels[i] = self.change(photo)
        return replace(faces, pixels=pixels)


@dataclass(frozen=True, kw_only=True)
class Grayscale(Preprocessing):
    """Luma of ITU-R BT.601 in all three channels (Liu et al. 2023, *Image Shortcut Squeezing*)."""

    name: str = field(default="grayscale", init=False)
    at_test: bool = True

    def change(self, photo: Photo) -> Photo:
        """Three equal channels."""
        return np.repeat(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2).astype(np.uint8, copy=False)


@dataclass(frozen=True, kw_only=True)
class Jpeg(Preprocessing):
    """A JPEG file at ``quality`` (1 to 100) with 4:2:0 chroma, read again; 10 in Liu et al. 2023 and APBench."""

    name: str = field(default="jpeg", init=False)
    quality: int = 10

    def problems(self) -> list[str]:
        """A quality that JPEG does not know."""
        return [] if 1 <= self.quality <= 100 else [f"quality must lie between 1 and 100, not {self.quality}"]

    def change(self, photo: Photo) -> Photo:
        """Encoded and decoded in memory."""
        return published(photo, quality=self.quality)


@dataclass(frozen=True, kw_only=True)
class BitDepth(Preprocessing):
    """The ``bits`` (1 to 8) highest bits of every value; 2 in Liu et al. 2023 and APBench.

    The others become zero, as posterizing does in Pillow, torchvision and APBench: every photo gets darker.
    """

    name: str = field(default="bit-depth", init=False)
    bits: int = 2

    def problems(self) -> list[str]:
        """More bits than a level has, or none."""
        return [] if 1 <= self.bits <= 8 else [f"bits must lie between 1 and 8, not {self.bits}"]

    def change(self, photo: Photo) -> Photo:
        """At most 2^bits different levels."""
        return photo & np.uint8(256 - (1 << (8 - self.bits)))


@dataclass(frozen=True, kw_only=True)
class Blur(Preprocessing):
    """A Gaussian of standard deviation ``sigma`` pixels, mirrored at the edges.

    APBench's blur (sigma 0.1 in a 3 x 3 kernel) leaves every level as it is and is therefore not the default.
    """

    name: str = field(default="blur", init=False)
    sigma: float = 1.0
    at_test: bool = True

    def problems(self) -> list[str]:
        """A width that blurs nothing, or everything."""
        return [] if 0 < self.sigma < float("inf") else [f"sigma must be a positive number, not {self.sigma}"]

    def change(self, photo: Photo) -> Photo:
        """Rounded to whole levels."""
        return np.asarray(cv2.GaussianBlur(photo, (0, 0), self.sigma), dtype=np.uint8)


@dataclass(frozen=True, kw_only=True)
class Resize(Preprocessing):
    """Shrunk to a side of S / ``factor`` (averaged) and enlarged again (bilinear), as trainers' pipelines do."""

    name: str = field(default="resize", init=False)
    factor: float = 2.0
    at_test: bool = True

    def problems(self) -> list[str]:
        """A factor that shrinks nothing."""
        return [] if 1 < self.factor < float("inf") else [f"factor must be larger than 1, not {self.factor}"]

    def change(self, photo: Photo) -> Photo:
        """At least one pixel a side is left in between."""
        size = photo.shape[0]
        return resize(resize(photo, max(round(size / self.factor), 1)), size)
