"""The studio where synthetic identities are photographed: pose, alignment, light and camera, nothing of the identity.

Face coordinates are pixels of the 112 px ArcFace template (Deng et al. 2019): x to the right of the face's mid-line,
y down, z towards the camera. K points are K x 3. A head is an ellipsoid that turns by yaw and pitch; the crop is then
aligned as a real one is, by the least-squares similarity from the turned landmarks to the template.
"""

from dataclasses import dataclass, field, fields
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# The template's pupils, nose tip and corners of the mouth, as x + iy.
TEMPLATE = np.array([38.29 + 51.70j, 73.53 + 51.50j, 56.03 + 71.74j, 41.55 + 92.37j, 70.73 + 92.20j])


def within(low: float, high: float) -> Any:
    """A field that is drawn uniformly between ``low`` and ``high``."""
    return field(metadata={"range": (low, high)})


def draw_fields(kind: type[Any], rng: np.random.Generator) -> dict[str, float]:
    """A value for every `within` field of the dataclass ``kind``."""
    return {part.name: float(rng.uniform(*part.metadata["range"])) for part in fields(kind)}


@dataclass(frozen=True, kw_only=True)
class View:
    """What changes from photo to photo: angles in radians, shifts in template pixels."""

    yaw: float = within(-0.6, 0.6)
    pitch: float = within(-0.25, 0.25)
    misfit_scale: float = within(0.93, 1.07)  # the aligner's error
    misfit_angle: float = within(-0.14, 0.14)
    misfit_x: float = within(-3.5, 3.5)
    misfit_y: float = within(-3.5, 3.5)
    gaze: float = within(-2, 2)
    eyelids: float = within(0.55, 1.15)
    brows: float = within(-2.5, 2.5)
    smile: float = within(-0.6, 1)
    mouth_open: float = within(-4, 5)  # closed below 0
    glasses_off: float = within(0, 1)  # taken off above 0.8
    lamp_x: float = within(-1.2, 1.2)  # direction of the light, where z is 1
    lamp_y: float = within(-1.2, 0.6)
    ambient: float = within(0.15, 0.75)
    exposure: float = within(0.6, 1.25)
    red: float = within(-0.2, 0.2)  # colour of the light, as logarithms of gains
    blue: float = within(-0.2, 0.2)
    saturation: float = within(0.35, 1.15)
    blur: float = within(0, 0.018)  # sigma as a share of the picture's size
    noise: float = within(1, 11)  # sigma in levels


def draw_view(rng: np.random.Generator) -> View:
    """The circumstances of a new photo."""
    return View(**draw_fields(View, rng))


class Easel:
    """A canvas, and the projection of face coordinates onto it: turn the head, then align it on its 5 x 3 landmarks."""

    def __init__(self, landmarks: Array, view: View, canvas: NDArray[np.uint8]) -> None:
        self.canvas, self.scale = canvas, canvas.shape[0] / 112
        self.view = view
        self.factor, self.offset = 1 + 0j, 0j
        source = self.project(landmarks)
        # The similarity of least squared error, landmarks -> template: in the complex plane, one factor and one offset.
        centred = source - source.mean()
        self.factor = complex(np.vdot(centred, TEMPLATE) / np.vdot(centred, centred))
        self.factor *= view.misfit_scale * np.exp(1j * view.misfit_angle)
        shift = complex(view.misfit_x, view.misfit_y)
        self.offset = complex(TEMPLATE.mean() + shift - self.factor * source.mean())

    def project(self, points: Array) -> NDArray[np.complex128]:
        """K x 3 face coordinates to K places in the aligned crop, x + iy in template pixels."""
        x, y, z = points.T
        yaw, pitch = self.view.yaw, self.view.pitch
        across, depth = x * np.cos(yaw) + z * np.sin(yaw), z * np.cos(yaw) - x * np.sin(yaw)
        turned: NDArray[np.complex128] = across + 1j * (y * np.cos(pitch) - depth * np.sin(pitch))
        return self.factor * turned + self.offset

    def fill(self, outline: Array, colour: Array) -> None:
        """Paint the inside of a closed outline; ``colour`` is RGB in [0, 255]."""
        cv2.fillPoly(self.canvas, [self._fixed(outline)], colour.tolist(), cv2.LINE_AA, 4)

    def stroke(self, points: Array, colour: Array, width: float, *, closed: bool = False) -> None:
        """Draw a line through the points, ``width`` template pixels wide."""
        pixels = max(1, round(width * self.scale))
        cv2.polylines(self.canvas, [self._fixed(points)], closed, colour.tolist(), pixels, cv2.LINE_AA, 4)

    def _fixed(self, points: Array) -> NDArray[np.int32]:
        # OpenCV's fixed point has four binary digits here, and 0 is the centre of the first pixel.
        places = 16 * (self.project(points) * self.scale - (0.5 + 0.5j))
        return np.stack([places.real, places.imag], axis=1).round().astype(np.int32)


def flat(x: Array | float, y: Array | float, z: Array | float = 0.0) -> Array:
    """K x 3 points at depth ``z``; at 0 lies the outline of the head, which a small turn leaves in place."""
    return np.stack(np.broadcast_arrays(x, y, z), axis=1)


def skull(x: Array | float, y: Array | float, lift: float = 0.0) -> Array:
    """K x 3 points on the front of the head, an ellipsoid, raised by ``lift``."""
    inside = 1 - (np.asarray(x) / 55) ** 2 - ((np.asarray(y) - 62) / 72) ** 2
    return flat(x, y, lift + 42 * np.sqrt(inside.clip(0)))


def band(upper: Array, lower: Array) -> Array:
    """The outline of the area between two curves that run in the same direction."""
    return np.concatenate([upper, lower[::-1]])


def backdrop(rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
    """Soft patches of colour, as a room out of focus."""
    patches = np.clip(rng.uniform(20, 220, 3) + rng.normal(0, 40, (4, 4, 3)), 0, 255).astype(np.uint8)
    return np.asarray(cv2.resize(patches, (size, size), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def expose(albedo: NDArray[Any], view: View, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Light the drawn surface (Lambert, on the head's ellipsoid), then add the camera's colour, blur and noise."""
    size = albedo.shape[0]
    at = (np.arange(size, dtype=np.float32) + 0.5) * 112 / size
    normal_x, normal_y = ((at - 56) / 62)[None, :], ((at - 62) / 80)[:, None]
    normal_z = np.sqrt(np.clip(1 - normal_x**2 - normal_y**2, 0.05, None))
    lamp = np.array([view.lamp_x, view.lamp_y, 1])
    lamp /= np.linalg.norm(lamp)
    facing = lamp[0] * normal_x + lamp[1] * normal_y + lamp[2] * normal_z
    # A wide lamp reaches a little round the edge of the head, so the cosine starts a quarter below zero.
    shade = view.ambient + (1.15 - view.ambient) * np.clip(0.25 + 0.75 * facing, 0, None)
    gain = view.exposure * np.exp([view.red, 0, view.blue])
    picture = (shade[:, :, None] * gain * albedo).astype(np.float32)
    grey = picture.mean(axis=2, keepdims=True)
    picture = grey + np.float32(view.saturation) * (picture - grey)
    picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), max(view.blur * size, 0.05)), dtype=np.float32)
    picture += rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(view.noise)
    return picture.round().clip(0, 255).astype(np.uint8)
