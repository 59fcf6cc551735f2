"""Synthetic identities: drawn faces for the demo and the tests, so that no real person's photo is needed.

An identity is a set of `Traits` (head, skin, eyes, brows, nose, mouth, hair); a photo adds a `View` (pose, light,
expression, camera; see `faceguard.readers.studio`, which also defines the face coordinates used here). Neither the mean
colour nor the place of a feature gives an identity away: light and white balance change with every photo, and each
photo is aligned on its five landmarks, as a real crop is. A picture is drawn at twice its size and averaged down.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from faceguard.device import derive_seed
from faceguard.errors import DataError
from faceguard.identities import Faces
from faceguard.readers.studio import Array, Easel, backdrop, band, draw_fields, draw_view, expose, flat, skull, within

SKINS = np.array([[246, 214, 190], [226, 178, 146], [190, 136, 100], [124, 82, 58]])
HAIRS = np.array([[24, 20, 22], [66, 44, 32], [150, 70, 40], [112, 76, 48], [190, 150, 96], [170, 166, 160]])
IRISES = np.array([[58, 36, 22], [96, 66, 38], [84, 108, 66], [86, 122, 156], [110, 116, 122]])
WHITE = np.array([238.0, 236.0, 232.0])
DARK = np.array([36.0, 22.0, 22.0])
RED = np.array([176.0, 52.0, 60.0])
EYES = 51.6  # y of the pupils
BALD = -2.0  # a hairline above this y shows no hair
CIRCLE = np.exp(1j * np.linspace(0, 2 * np.pi, 32, endpoint=False))
LINE = np.linspace(-1, 1, 13)
BOW = 1 - LINE**2
RAMP = np.linspace(0, 1, 5)


def _mix(first: Array, second: Array, share: float) -> Array:
    return first + (second - first) * share


def _tone(palette: Array, place: float) -> Array:
    """The colour at ``place`` in [0, 1] between the rows of ``palette``."""
    low = min(int(place * (len(palette) - 1)), len(palette) - 2)
    return _mix(palette[low], palette[low + 1], place * (len(palette) - 1) - low)


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What stays the same in all photos of an identity: lengths in template pixels, tones as places in a palette."""

    skin: float = within(0, 1)
    hair: float = within(0, 1)
    iris: float = within(0, 1)
    head: float = within(38, 47)  # half the width
    jaw: float = within(1.8, 3.2)  # exponent of the lower outline: 2 is oval, 3 is square
    chin: float = within(106, 119)  # y of the lowest point
    ears: float = within(5, 10)
    eye_gap: float = within(15.8, 19.4)  # from the mid-line to a pupil
    eye_width: float = within(6.6, 9.6)
    eye_height: float = within(2.8, 5.4)
    eye_tilt: float = within(-0.25, 0.25)  # negative: outer corners lifted
    iris_size: float = within(2.8, 4.2)
    brow_height: float = within(8.5, 13.5)
    brow_weight: float = within(1.2, 4.6)
    brow_arch: float = within(0, 4)
    brow_tilt: float = within(-0.22, 0.22)
    nose_tip: float = within(68, 75)  # y
    nose_width: float = within(5.5, 10.5)
    mouth_y: float = within(89, 95)
    mouth_width: float = within(11, 17)
    upper_lip: float = within(1.2, 4)
    lower_lip: float = within(2, 5.6)
    lip_red: float = within(0.1, 0.8)
    hairline: float = within(-6, 30)  # y of its highest point; bald below BALD
    parting: float = within(-26, 26)  # x of that point
    temples: float = within(4, 30)  # how far the hair comes down from there to the sides
    hair_length: float = within(35, 130)  # y where it ends
    hair_volume: float = within(2, 11)
    beard: float = within(-1.4, 0.9)  # how dense; none below 0
    glasses: float = within(0, 14)  # half the width of a lens; none below 10
    folds: float = within(0, 0.3)  # darkness of the lines beside the nose

    @property
    def skin_colour(self) -> Array:
        return _tone(SKINS, self.skin)

    @property
    def hair_colour(self) -> Array:
        return _tone(HAIRS, self.hair)

    @property
    def iris_colour(self) -> Array:
        return _tone(IRISES, self.iris)


def draw_traits(rng: np.random.Generator) -> Traits:
    """A new identity; every trait is drawn independently of the others."""
    return Traits(**draw_fields(Traits, rng))


def landmarks(t: Traits) -> Array:
    """5 x 3 points: the pupils, the nose tip, the corners of the mouth; the order of the ArcFace template."""
    x = np.array([-t.eye_gap, t.eye_gap, 0, -t.mouth_width, t.mouth_width])
    points = skull(x, np.array([EYES, EYES, t.nose_tip, t.mouth_y, t.mouth_y]))
    points[2, 2] += 11  # the nose stands out
    return points


def render(traits: Traits, rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
    """One photo of an identity: size x size x 3, RGB, aligned on the five-point template up to an aligner's error."""
    view = draw_view(rng)
    easel = Easel(landmarks(traits), view, backdrop(rng, 2 * size))
    _draw_body(easel, traits, rng.uniform(20, 230, 3))
    _draw_head(easel, traits)
    _draw_nose(easel, traits)
    _draw_mouth(easel, traits)
    for side in (-1, 1):
        _draw_eye(easel, traits, side)
    if traits.hairline > BALD:
        _draw_hair(easel, traits)
    if traits.glasses > 10 and view.glasses_off < 0.8:
        _draw_glasses(easel, traits)
    return expose(cv2.resize(easel.canvas, (size, size), interpolation=cv2.INTER_AREA), view, rng)


def _draw_body(easel: Easel, t: Traits, clothes: Array) -> None:
    """What lies behind the face: long hair, shoulders, neck and ears."""
    if t.hairline > BALD:
        half = t.head + t.hair_volume
        easel.fill(
            flat(half * LINE[[0, 0, -1, -1]], np.array([40, t.hair_length, t.hair_length, 40]), -8), t.hair_colour
        )
        easel.fill(flat(half * CIRCLE.real, 40 + (40 + t.hair_volume) * CIRCLE.imag.clip(max=0), -8), t.hair_colour)
    easel.fill(flat(np.array([-70, -24, 24, 70, 70, -70]), np.array([126, 112, 112, 126, 180, 180]), -10), clothes)
    easel.fill(flat(np.array([-22, 22, 20, -20]), np.array([90, 90, 126, 126]), -8), 0.8 * t.skin_colour)
    for side in (-1, 1):
        ear = flat(side * t.head + 0.5 * t.ears * CIRCLE.real, 60 + 1.2 * t.ears * CIRCLE.imag, -6)
        easel.fill(ear, 0.86 * t.skin_colour)


def _draw_head(easel: Easel, t: Traits) -> None:
    """An ellipse above the eyes and a superellipse of exponent ``jaw`` below, with folds and a beard."""
    power = np.where(CIRCLE.imag > 0, 2 / t.jaw, 1)
    x, y = np.sign(CIRCLE.real) * np.abs(CIRCLE.real) ** power, np.sign(CIRCLE.imag) * np.abs(CIRCLE.imag) ** power
    outline = flat(t.head * x, EYES + np.where(y > 0, t.chin - EYES, EYES) * y)
    easel.fill(outline, t.skin_colour)
    for side in (-1, 1):
        fold = skull(side * (t.nose_width + 3 + 5 * RAMP**2), t.nose_tip + 1 + 14 * RAMP)
        easel.stroke(fold, (1 - t.folds) * t.skin_colour, 1)
    if t.beard > 0:
        cheeks = flat(t.head * LINE, 79 + 14 * np.abs(LINE) - 30 * LINE**2, 30 * np.sqrt(1 - LINE**2))
        easel.fill(band(cheeks, outline[y > 0.2][::-1]), _mix(t.skin_colour, t.hair_colour, t.beard))


def _draw_nose(easel: Easel, t: Traits) -> None:
    away = -np.copysign(1, easel.view.lamp_x)  # the side of the bridge that lies in shadow
    x, y = np.array([1, 3, t.nose_width, 0]), np.array([EYES, EYES + 3, t.nose_tip + 3, t.nose_tip + 2])
    easel.fill(skull(away * x, y, 6), 0.86 * t.skin_colour)
    easel.stroke(skull(t.nose_width * LINE, t.nose_tip + 4 - 5 * LINE**4, 6), 0.66 * t.skin_colour, 1.3)
    for side in (-1, 1):
        x, y = side * 0.45 * t.nose_width + 1.6 * CIRCLE.real, t.nose_tip + 3 + 1.1 * CIRCLE.imag
        easel.fill(skull(x, y, 7), 0.42 * t.skin_colour)


def _draw_mouth(easel: Easel, t: Traits) -> None:
    view, gap = easel.view, max(0.0, easel.view.mouth_open) * BOW
    lips = 0.85 * _mix(t.skin_colour, RED, t.lip_red)
    x = (t.mouth_width + 1.5 * view.smile) * LINE
    upper = t.mouth_y + 3 * view.smile * (0.6 - LINE**2) - 0.4 * gap
    lower = upper + 1.4 * gap
    cupid = BOW * (1 - 0.35 * np.exp(-30 * LINE**2))  # the notch in the middle of the upper lip
    easel.fill(band(skull(x, upper - t.upper_lip * cupid), skull(x, lower + t.lower_lip * BOW)), lips)
    easel.fill(band(skull(x, upper), skull(x, lower)), DARK)
    easel.fill(band(skull(0.8 * x, upper), skull(0.8 * x, (upper + lower) / 2)), WHITE)
    easel.stroke(skull(x, upper), 0.5 * lips, 0.8)


def _draw_eye(easel: Easel, t: Traits, side: int) -> None:
    view = easel.view

    def place(x: Array, y: Array) -> Array:
        """Eye coordinates (from the pupil, x outwards) to the face."""
        return skull(side * (t.eye_gap + x), EYES + y + t.eye_tilt * x)

    x = t.eye_width * LINE
    upper, lower = -t.eye_height * view.eyelids * BOW, 0.7 * t.eye_height * BOW
    easel.fill(band(place(1.15 * x, upper - 2), place(1.15 * x, lower + 1)), 0.84 * t.skin_colour)
    easel.fill(band(place(x, upper), place(x, lower)), WHITE)
    for radius, colour in ((t.iris_size, t.iris_colour), (0.45 * t.iris_size, DARK)):
        across = radius * CIRCLE.real + side * view.gaze
        down = np.clip(radius * CIRCLE.imag, np.interp(across, x, upper), np.interp(across, x, lower))
        easel.fill(place(across, down), colour)
    easel.stroke(place(x, upper), DARK, 1.2)
    brow = -t.brow_height - view.brows - t.brow_arch * BOW + 9 * t.brow_tilt * LINE
    weight = t.brow_weight * (0.5 - 0.3 * LINE.clip(0))  # thinner outwards
    easel.fill(band(place(11 * LINE, brow - weight), place(11 * LINE, brow + weight)), 0.8 * t.hair_colour)


def _draw_hair(easel: Easel, t: Traits) -> None:
    x, depth = (t.head + 1) * LINE, np.sqrt(1 - LINE**2)
    edge = np.minimum(t.hairline + t.temples * ((x - t.parting) / t.head) ** 2, 58)
    crown = flat((t.head + t.hair_volume) * LINE, 50 - (50 + t.hair_volume) * depth)
    easel.fill(band(crown, flat(x, edge, 34 * depth)), t.hair_colour)
    for end in (-0.6, -0.2, 0.2, 0.6):
        strand = flat(t.parting + (end * t.head - t.parting) * RAMP, t.hairline * (0.9 - RAMP), 24 - 16 * RAMP)
        easel.stroke(strand, 0.75 * t.hair_colour, 1)


def _draw_glasses(easel: Easel, t: Traits) -> None:
    middle = t.eye_gap + 1
    for side in (-1, 1):
        rim = skull(side * middle + t.glasses * CIRCLE.real, EYES + 1 + 0.75 * t.glasses * CIRCLE.imag, 6)
        easel.stroke(rim, DARK, 1.6, closed=True)
        easel.stroke(skull(side * np.array([middle + t.glasses, t.head]), EYES, 2), DARK, 1.6)
    easel.stroke(skull((middle - t.glasses) * LINE, EYES - 2 * BOW, 8), DARK, 1.6)


def synthetic_faces(identities: int, photos: int, *, size: int = 64, seed: int) -> Faces:
    """``photos`` pictures of each of ``identities`` synthetic identities, ``size`` pixels high and wide.

    Identity i and its photo j depend on ``seed``, i and j alone, never on how many are asked for. Raises DataError
    when a count is below 1 or ``size`` below 16, where the features of a face no longer show.
    """
    if identities < 1 or photos < 1 or size < 16:
        raise DataError(
            f"{identities} identities with {photos} photos of {size} px cannot be drawn;"
            " ask for at least 1 identity, 1 photo and 16 px."
        )
    pixels = np.empty((identities * photos, size, size, 3), dtype=np.uint8)
    for i in range(identities):
        traits = draw_traits(np.random.default_rng(derive_seed(seed, "synthetic", i)))
        for j in range(photos):
            rng = np.random.default_rng(derive_seed(seed, "synthetic", i, j))
            pixels[i * photos + j] = render(traits, rng, size)
    names = tuple(f"synthetic-{i:03d}" for i in range(identities))
    return Faces(
        pixels=pixels,
        labels=np.repeat(np.arange(identities, dtype=np.int64), photos),
        names=names,
        keys=tuple(f"{name}/{j:02d}.png" for name in names for j in range(photos)),
    )
