"""Find faces and their five landmarks in a photo of any size, rotated heads included.

The finder is MTCNN (Zhang et al. 2016), whose weights come with facenet-pytorch. It searches a bounded copy of the photo;
in a larger photo the landmarks of each face are then found again on a cut-out at full detail. MTCNN takes many turned
heads for upright faces, but hesitantly; so where no face is certain, the copy is also searched turned by a quarter, a
half and three quarters, and the turn with the most certain face counts, if it is clearly more certain. It also takes
patches of a turned head for a face, with landmarks that no face has: those are left out.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from facenet_pytorch import MTCNN

LONGEST_SIDE = 1280  # larger photos are searched on a copy of this size: a face of 1/60 of the photo is still found
SMALLEST_FACE = 20  # pixels of that copy; also MTCNN's own default
MIN_SCORE = 0.8  # MTCNN's own 0.7 adds patches that are no face; on 1,200 real photos the main face scored above 0.83
REFINED_SIZE = 160  # pixels of a face in the cut-out on which its landmarks are found again
# Of 605 real photos and protected copies the upright face scored less on 43. Of 2,397 pictures that were turned by quarters
# two had a find that scored more, and so were taken for upright.
CERTAIN = 0.998
LEAST_DOUBT = 0.5  # share of the doubt, 1 - score, that a turn may leave: scores crowd just below 1
# In shares of the box's shorter side. Of 694 real faces the narrowest, half profiles, had 0.28 between the eyes, and the lowest
# drop from the eyes to the mouth was 0.25; heads tilted by 45 degrees had 0.22 and 0.18. Half of the patches drop less than 0.3.
LEAST_EYES = 0.2
STANDING = 0.2


@dataclass(frozen=True, kw_only=True, eq=False)
class FoundFace:
    """One face in a photo, in its pixel coordinates (x right, y down; (0, 0) is the centre of the first pixel).

    ``box`` is left, top, right, bottom; ``landmarks`` 5 x 2 the eyes, the nose and the mouth corners, of an upright head
    left before right; ``score`` the finder's confidence in [0, 1].
    """

    box: NDArray[np.float32]
    landmarks: NDArray[np.float32]
    score: float

    @property
    def area(self) -> float:
        """Square pixels of the box."""
        return float((self.box[2] - self.box[0]) * (self.box[3] - self.box[1]))


def find(pixels: NDArray[np.uint8]) -> list[FoundFace]:
    """The faces in an upright H x W x 3 RGB photo, the largest first; empty when there is none."""
    shrink = min(1.0, LONGEST_SIDE / max(pixels.shape[:2]))
    copy = _scaled(pixels, shrink)
    found = _detect(copy)
    if _certainty(found) < CERTAIN:
        turns = {quarters: _detect(np.ascontiguousarray(np.rot90(copy, quarters))) for quarters in (1, 2, 3)}
        best = max(turns, key=lambda quarters: _certainty(turns[quarters]))
        if 1 - _certainty(turns[best]) < LEAST_DOUBT * (1 - _certainty(found)):
            found = [_turned_back(face, best, *copy.shape[:2]) for face in turns[best]]
    height, width = pixels.shape[:2]
    stretch = np.array([width / copy.shape[1], height / copy.shape[0]])
    faces = [_moved(face, stretch, np.zeros(2)) for face in found]
    if shrink < 1.0:
        faces = [_refined(face, pixels) for face in faces]
    return sorted(faces, key=lambda face: face.area, reverse=True)


def _certainty(found: list[FoundFace]) -> float:
    """The best score of a head that stands in this picture; one that lies belongs to another turn."""
    return max((face.score for face in found if _shape(face)[1] >= STANDING), default=0.0)


def _shape(face: FoundFace) -> tuple[float, float]:
    """How far the eyes are apart, and how far the mouth is below them, in shares of the box's shorter side."""
    left_eye, right_eye, _, *mouth = face.landmarks
    side = max(float(min(face.box[2:] - face.box[:2])), 1.0)
    drop = (mouth[0][1] + mouth[1][1] - left_eye[1] - right_eye[1]) / 2
    return float(np.hypot(*(right_eye - left_eye))) / side, float(drop) / side


def _plausible(face: FoundFace) -> bool:
    eyes, drop = _shape(face)
    return eyes >= LEAST_EYES and drop > 0


def _detect(pixels: NDArray[np.uint8]) -> list[FoundFace]:
    """What MTCNN finds in the picture as it is."""
    if min(pixels.shape[:2]) < SMALLEST_FACE:  # MTCNN fails on these, and no face fits
        return []
    boxes, scores, landmarks = _detector().detect(pixels, landmarks=True)
    if boxes is None:
        return []
    found = [
        FoundFace(box=np.asarray(box, np.float32), landmarks=np.asarray(points, np.float32), score=float(score))
        for box, points, score in zip(boxes, landmarks, scores, strict=True)
        if score >= MIN_SCORE
    ]
    return [face for face in found if _plausible(face)]


def _refined(face: FoundFace, pixels: NDArray[np.uint8]) -> FoundFace:
    """The face as found again on a cut-out of the photo, twice its size; as it was when it is not found there."""
    height, width = pixels.shape[:2]
    left, top, right, bottom = face.box
    reach = max(right - left, bottom - top)
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    x0, x1 = (int(np.clip(x, 0, width)) for x in (middle_x - reach, middle_x + reach))
    y0, y1 = (int(np.clip(y, 0, height)) for y in (middle_y - reach, middle_y + reach))
    if x1 <= x0 or y1 <= y0:
        return face
    cut = _scaled(pixels[y0:y1, x0:x1], min(1.0, REFINED_SIZE / reach))
    stretch = np.array([(x1 - x0) / cut.shape[1], (y1 - y0) / cut.shape[0]])
    again = [_moved(found, stretch, np.array([x0, y0])) for found in _detect(cut)]
    near = [found for found in again if _overlap(found.box, face.box) > 0.5]
    return max(near, key=lambda found: _overlap(found.box, face.box), default=face)


def _overlap(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Intersection over union of two boxes."""
    low, high = np.maximum(first[:2], second[:2]), np.minimum(first[2:], second[2:])
    shared = float(np.prod(np.clip(high - low, 0, None)))
    return shared / (float(np.prod(first[2:] - first[:2]) + np.prod(second[2:] - second[:2])) - shared)


def _turned_back(face: FoundFace, quarters: int, height: int, width: int) -> FoundFace:
    """A face of ``np.rot90(picture, quarters)`` in the coordinates of the H x W picture."""
    corners = _unrotate(face.box.reshape(2, 2), quarters, height, width)
    box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    return replace(face, box=box, landmarks=_unrotate(face.landmarks, quarters, height, width))


def _unrotate(points: NDArray[np.float32], quarters: int, height: int, width: int) -> NDArray[np.float32]:
    x, y = points[:, 0], points[:, 1]
    turned = {1: (width - 1 - y, x), 2: (width - 1 - x, height - 1 - y), 3: (y, height - 1 - x)}[quarters]
    return np.stack(turned, axis=1)


def _moved(face: FoundFace, stretch: NDArray[np.float64], origin: NDArray[np.float64]) -> FoundFace:
    """A face of a scaled cut-out in the photo's coordinates: pixel centres sit at whole numbers in both."""
    box, landmarks = (
        (((points.reshape(-1, 2).astype(np.float64) + 0.5) * stretch - 0.5) + origin).astype(np.float32)
        for points in (face.box, face.landmarks)
    )
    return replace(face, box=box.ravel(), landmarks=landmarks)


def _scaled(pixels: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """The picture averaged down by ``factor`` (at most 1)."""
    import cv2

    if factor == 1.0:
        return np.ascontiguousarray(pixels)
    size = tuple(max(round(side * factor), 1) for side in pixels.shape[1::-1])
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


@cache
def _detector() -> "MTCNN":
    """MTCNN on the CPU, made once per process; finding faces takes less time than sending photos elsewhere."""
    from facenet_pytorch import MTCNN

    return MTCNN(keep_all=True, min_face_size=SMALLEST_FACE, device="cpu")
