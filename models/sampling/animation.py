"""A face that blinks: what a network paints of its eyes, put into the picture's own pixels.

In shapes: K states of the eyes; S px of an upright crop round the face; h × w px of the eyes' region in it; H × W px of
the picture.
"""

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch

from models.data.batches import in_range
from models.data.clips import cut, region_box
from models.nn.pasted import Pasted
from models.sampling import blends
from models.sampling.clips import paint
from models.sampling.motion import Motion

EYE_MARGIN = 0.2  # of an eye's box, on every side, that may change, too
OWN = "mask"  # the blend of the network's own mask
BLENDS = (OWN, *blends.BLENDS, "refiner")
REFINED_PX = 12  # round a box that the refiner is shown: about what a pixel of its output depends on
SOFT_PX = 2  # in a turned face, at the border of what changes

Box = Sequence[float]


@dataclass(frozen=True)
class Patch:
    """A part of a picture in each state."""

    box: tuple[int, int, int, int]  # x0, y0, x1, y1 in px of the picture, half open
    frames: np.ndarray  # (K, h, w, 3) uint8

    @functools.cached_property
    def changes(self) -> np.ndarray:
        """Return (h, w) bool: where a state differs from state 0. Boxes of leaning eyes overlap, what changes in them
        does not."""
        differs: np.ndarray = (self.frames != self.frames[0]).any((0, 3))
        return differs


class Eyes(NamedTuple):
    """A face to be animated: boxes are in px of the crop; None: the eye is hidden or closed."""

    crop: np.ndarray  # (S, S, 3) uint8, upright
    face: Box
    left: Box | None
    right: Box | None
    openness: float  # of the eyes as they are: 1 open, 0 closed


def animate_eyes(
    network: Any, eyes: Eyes, motion: Motion, blend: str, refiner: Any = None, *, whole: bool = False
) -> list[Patch]:
    """Return the parts of the crop that change: the eyes that have a box; if the network animates the face, or with
    `whole`, its whole region.

    `blend` is one of BLENDS; `refiner` a SeamRefiner, for the blend of that name. In state 0 the crop stays as it is.
    Raise ValueError if the network is in training mode."""
    crop, size = eyes.crop, len(eyes.crop)
    region = _whole(region_box(network.region, eyes.face, eyes.left, eyes.right))
    still = cut(crop[None], region, *network.shape)[0]
    painted, mask = paint(network, still, motion.flow, motion.openness * eyes.openness)
    width, height = region[2] - region[0], region[3] - region[1]
    if blend == OWN:
        inside = cut(crop[None], region, height, width)[0].astype(np.float32)
        cover = _resize(mask, width, height).clip(0, 1)
        frames = inside + _resize(mask * painted, width, height) - cover * inside
    else:
        frames = _resize(mask * painted + (1 - mask) * still, width, height)
    frames = frames.round().clip(0, 255).astype(np.uint8)
    patches = []
    for box in [_clip(region, region, size)] if whole else _changing(network.region, region, eyes, size):
        x0, y0, x1, y1 = box
        part = frames[:, y0 - region[1] : y1 - region[1], x0 - region[0] : x1 - region[0]]
        if blend == "refiner":
            part = refine(refiner, crop, part, box)
        else:
            part = blends.BLENDS["feather" if blend == OWN else blend](crop[y0:y1, x0:x1], part)
        part = np.concatenate([crop[None, y0:y1, x0:x1], part[1:]])
        patches.append(Patch(box, part))
    return patches


def _whole(box: Box) -> tuple[int, int, int, int]:
    """Return the box in whole pixels, with the proportions of its sides."""
    x0, y0 = round(box[0]), round(box[1])
    width = max(2, 2 * round((box[2] - box[0]) / 2))
    return x0, y0, x0 + width, y0 + max(1, round(width * (box[3] - box[1]) / (box[2] - box[0])))


def _resize(maps: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return maps (K, H, W, C) as (K, height, width, C) float32."""
    kind = cv2.INTER_AREA if width < maps.shape[2] else cv2.INTER_CUBIC
    resized = [cv2.resize(each.astype(np.float32), (width, height), interpolation=kind) for each in maps]
    return np.stack(resized).reshape(len(maps), height, width, -1)


def _changing(kind: str, region: Box, eyes: Eyes, size: int) -> list[tuple[int, int, int, int]]:
    """Return the boxes that may change, within the region and the crop."""
    boxes: list[Box] = [region]
    if kind == "eyes":
        boxes = [*sorted(_grown(box) for box in (eyes.left, eyes.right) if box is not None)]
        if len(boxes) == 2 and boxes[0][2] > boxes[1][0]:
            middle = (boxes[0][2] + boxes[1][0]) / 2
            boxes = [(*boxes[0][:2], middle, boxes[0][3]), (middle, *boxes[1][1:])]
    clipped = [_clip(box, region, size) for box in boxes]
    return [box for box in clipped if box[0] < box[2] and box[1] < box[3]]


def _clip(box: Box, region: Box, size: int) -> tuple[int, int, int, int]:
    """Return the box in whole px, within the region and a crop of `size` px."""
    x0, y0 = (max(0, round(region[axis]), round(box[axis])) for axis in (0, 1))
    x1, y1 = (min(size, round(region[axis]), round(box[axis])) for axis in (2, 3))
    return x0, y0, x1, y1


def _grown(box: Box) -> tuple[float, float, float, float]:
    dx, dy = EYE_MARGIN * (box[2] - box[0]), EYE_MARGIN * (box[3] - box[1])
    return box[0] - dx, box[1] - dy, box[2] + dx, box[3] + dy


@torch.no_grad()
def refine(refiner: Any, crop: np.ndarray, part: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """Return a part (K, h, w, 3) uint8 that is pasted into the box of a crop (S, S, 3) with its border corrected."""
    x0, y0, x1, y1 = box
    left, top = max(0, x0 - REFINED_PX), max(0, y0 - REFINED_PX)
    around = crop[top : y1 + REFINED_PX, left : x1 + REFINED_PX]
    pasted = np.repeat(around[None], len(part), 0)
    pasted[:, y0 - top : y1 - top, x0 - left : x1 - left] = part
    inner, original = (in_range(torch.from_numpy(np.array(faces)), refiner.middle) for faces in (pasted, around[None]))
    boxes = torch.tensor([(x0 - left, y0 - top, x1 - left, y1 - top)]).repeat(len(part), 1)
    refined = refiner(*Pasted.of(original.expand_as(inner), inner, boxes, refiner.ring))
    pixels = (refined * refiner.middle + refiner.middle).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()
    corrected: np.ndarray = pixels[:, y0 - top : y1 - top, x0 - left : x1 - left]
    return corrected


def into_picture(picture: np.ndarray, crop: np.ndarray, patch: Patch, to_picture: np.ndarray) -> Patch | None:
    """Return a patch of a crop (S, S, 3) as one of the picture (H, W, 3), in which it may lean; None if it is outside.

    `to_picture` (2, 3) maps points of the crop to points of the picture, pixel centres at whole numbers. Only what
    changes, and SOFT_PX round it, is taken."""
    x0, y0, x1, y1 = patch.box
    matrix = to_picture.copy()
    matrix[:, 2] += to_picture[:, :2] @ (x0, y0)
    corners = np.array([(0, 0), (x1 - x0 - 1, 0), (0, y1 - y0 - 1), (x1 - x0 - 1, y1 - y0 - 1)])
    ends = corners @ matrix[:, :2].T + matrix[:, 2]
    left, top = np.maximum(np.floor(ends.min(0)).astype(int), 0)
    right, bottom = np.minimum(np.ceil(ends.max(0)).astype(int) + 1, picture.shape[1::-1])
    if right <= left or bottom <= top:
        return None
    matrix[:, 2] -= (left, top)
    size = (int(right - left), int(bottom - top))
    under = picture[top:bottom, left:right].astype(np.float32)
    weight = cv2.warpAffine(_changed(patch, crop), matrix, size, flags=cv2.INTER_LINEAR)[..., None]
    frames = [
        cv2.warpAffine(frame, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        for frame in patch.frames[1:]
    ]
    mixed = [np.rint(under + weight * (frame - under)).astype(np.uint8) for frame in frames]
    box = (int(left), int(top), int(right), int(bottom))
    return Patch(box, np.stack([picture[top:bottom, left:right], *mixed]))


def _changed(patch: Patch, crop: np.ndarray) -> np.ndarray:
    """Return (h, w) float32: 1 where a state differs from the crop, falling to 0 round it."""
    x0, y0, x1, y1 = patch.box
    differs = (patch.frames != crop[y0:y1, x0:x1]).any((0, 3)).astype(np.uint8)
    reach = 2 * SOFT_PX + 1
    wide = cv2.dilate(differs, np.ones((reach, reach), np.uint8))
    return cv2.blur(wide.astype(np.float32), (reach, reach))


def show(picture: np.ndarray, patches: Sequence[Patch], states: Sequence[int]) -> np.ndarray:
    """Return the picture (H, W, 3) uint8 with each patch in its state."""
    frame = picture.copy()
    for patch, state in zip(patches, states, strict=True):
        x0, y0, x1, y1 = patch.box
        frame[y0:y1, x0:x1][patch.changes] = patch.frames[state][patch.changes]
    return frame


def frames(picture: np.ndarray, patches: Sequence[Patch], shown: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """Yield (a picture, for how many frames it is shown). `shown` (T, P) holds the state of each patch."""
    starts = np.flatnonzero(np.r_[True, (shown[1:] != shown[:-1]).any(1)])
    for start, end in zip(starts, [*starts[1:], len(shown)], strict=True):
        yield show(picture, patches, shown[start]), int(end - start)
