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

from models.data.batches import in_range, to_pixels
from models.data.clips import cut, region_box
from models.nn.pasted import Pasted
from models.sampling import blends
from models.sampling.clips import paint
from models.sampling.motion import Motion
from models.sampling.videos import Part

EYE_MARGIN = 0.2  # of an eye's box, on every side, that may change, too
OWN = "mask"  # the blend of the network's own mask
BLENDS = (OWN, *blends.BLENDS, "refiner")
REFINED_PX = 12  # round a box that the refiner is shown: about what a pixel of its output depends on
SOFT_PX = 2  # in a turned face, at the border of what changes

MAX_CHROMA = 16  # levels between the strongest and the weakest of R, G and B: a region of which GREY_SHARE of the
GREY_SHARE = 0.99  # pixels have no more is grey, and stays so
LUMA = np.array([0.299, 0.587, 0.114], np.float32)

Box = Sequence[float]
Pixels = tuple[int, int, int, int]  # a box in whole px, half open


@dataclass(frozen=True)
class Patch:
    """A part of a picture in each state."""

    box: Pixels  # of the picture: x0, y0, x1, y1
    frames: np.ndarray  # (K, h, w, C) uint8: C is 3, or 4 with alpha

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
    inside = cut(crop[None], region, height, width)[0]
    tint = _tint(inside)
    if tint is not None:
        painted = _grey(painted) + tint

    def paste(painted: np.ndarray, mask: np.ndarray) -> np.ndarray:
        if blend == OWN:
            cover = _resize(mask, width, height).clip(0, 1)
            frame = inside + _resize(mask * painted, width, height) - cover * inside
        else:
            frame = _resize(mask * painted + (1 - mask) * still, width, height)
        return frame.round().clip(0, 255).astype(np.uint8)

    frames = np.stack([paste(*state) for state in zip(painted, mask, strict=True)])
    patches = []
    for box in [_clip(region, region, size)] if whole else _changing(network.region, region, eyes, size):
        x0, y0, x1, y1 = box
        part = frames[:, y0 - region[1] : y1 - region[1], x0 - region[0] : x1 - region[0]]
        if blend == "refiner":
            refined = refine(refiner, crop, part, box)
            part = refined if tint is None else _recolor(part, refined)
        else:
            part = blends.BLENDS["feather" if blend == OWN else blend](crop[y0:y1, x0:x1], part)
        part = np.concatenate([crop[None, y0:y1, x0:x1], part[1:]])
        patches.append(Patch(box, part))
    return patches


def _tint(pixels: np.ndarray) -> np.ndarray | None:
    """Return (3,): how far the colours of grey pixels (h, w, 3) uint8, such as those of a scanned manga, are from grey,
    on average. None if the pixels are coloured."""
    if np.percentile(np.ptp(pixels, axis=2), 100 * GREY_SHARE) > MAX_CHROMA:
        return None
    tint: np.ndarray = (pixels - _grey(pixels)).mean((0, 1))
    return tint


def _grey(pixels: np.ndarray) -> np.ndarray:
    """Return the luma (..., 1) float32 of RGB (..., 3)."""
    luma: np.ndarray = pixels.astype(np.float32) @ LUMA
    return luma[..., None]


def _recolor(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return (K, h, w, 3) uint8 as light as `after`, and of the tint of `before`."""
    return (before + _grey(after) - _grey(before)).round().clip(0, 255).astype(np.uint8)


def _whole(box: Box) -> Pixels:
    """Return the box in whole pixels, with the proportions of its sides."""
    x0, y0 = round(box[0]), round(box[1])
    width = max(2, 2 * round((box[2] - box[0]) / 2))
    return x0, y0, x0 + width, y0 + max(1, round(width * (box[3] - box[1]) / (box[2] - box[0])))


def _resize(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return pixels (H, W, C) as (height, width, C) float32."""
    kind = cv2.INTER_AREA if width < pixels.shape[1] else cv2.INTER_CUBIC
    resized: np.ndarray = cv2.resize(pixels.astype(np.float32), (width, height), interpolation=kind)
    return resized.reshape(height, width, -1)


def _changing(kind: str, region: Box, eyes: Eyes, size: int) -> list[Pixels]:
    """Return the boxes that may change, within the region and the crop."""
    boxes: list[Box] = [region]
    if kind == "eyes":
        boxes = [*sorted(_grown(box) for box in (eyes.left, eyes.right) if box is not None)]
        if len(boxes) == 2 and boxes[0][2] > boxes[1][0]:
            middle = (boxes[0][2] + boxes[1][0]) / 2
            boxes = [(*boxes[0][:2], middle, boxes[0][3]), (middle, *boxes[1][1:])]
    clipped = [_clip(box, region, size) for box in boxes]
    return [box for box in clipped if box[0] < box[2] and box[1] < box[3]]


def _clip(box: Box, region: Box, size: int) -> Pixels:
    """Return the box in whole px, within the region and a crop of `size` px."""
    x0, y0 = (max(0, round(region[axis]), round(box[axis])) for axis in (0, 1))
    x1, y1 = (min(size, round(region[axis]), round(box[axis])) for axis in (2, 3))
    return x0, y0, x1, y1


def _grown(box: Box) -> tuple[float, float, float, float]:
    dx, dy = EYE_MARGIN * (box[2] - box[0]), EYE_MARGIN * (box[3] - box[1])
    return box[0] - dx, box[1] - dy, box[2] + dx, box[3] + dy


@torch.no_grad()
def refine(refiner: Any, crop: np.ndarray, part: np.ndarray, box: Pixels) -> np.ndarray:
    """Return a part (K, h, w, 3) uint8 that is pasted into the box of a crop (S, S, 3) with its border corrected."""
    x0, y0, x1, y1 = box
    left, top = max(0, x0 - REFINED_PX), max(0, y0 - REFINED_PX)
    around = crop[top : y1 + REFINED_PX, left : x1 + REFINED_PX]
    pasted = np.repeat(around[None], len(part), 0)
    pasted[:, y0 - top : y1 - top, x0 - left : x1 - left] = part
    inner, original = (in_range(torch.from_numpy(np.array(faces)), refiner.middle) for faces in (pasted, around[None]))
    boxes = torch.tensor([(x0 - left, y0 - top, x1 - left, y1 - top)]).repeat(len(part), 1)
    refined = refiner(*Pasted.of(original.expand_as(inner), inner, boxes, refiner.ring))
    return to_pixels(refined, refiner.middle)[:, y0 - top : y1 - top, x0 - left : x1 - left]


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
    frames = (
        cv2.warpAffine(frame, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        for frame in patch.frames[1:]
    )
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


def with_alpha(patch: Patch, picture: np.ndarray) -> Patch:
    """Return a patch of a picture that lay on white as one of the picture itself (H, W, 4): on white it looks the same.
    The alpha stays as it is."""
    x0, y0, x1, y1 = patch.box
    part = picture[y0:y1, x0:x1]
    share = np.maximum(part[..., 3:], 1) / np.float32(255)
    frames = np.repeat(part[None], len(patch.frames), 0)
    for frame, painted in zip(frames, patch.frames, strict=True):
        differs = (painted != patch.frames[0]).any(2) & (part[..., 3] > 0)
        colors = np.rint(255 - (255 - painted.astype(np.float32)) / share).clip(0, 255)
        frame[differs, :3] = colors[differs]
    return Patch(patch.box, frames)


def show(picture: np.ndarray, patches: Sequence[Patch], states: Sequence[int]) -> np.ndarray:
    """Return the picture (H, W, C) uint8 with each patch in its state."""
    return _show_part(picture, patches, states, (0, 0, picture.shape[1], picture.shape[0]))


def _show_part(picture: np.ndarray, patches: Sequence[Patch], states: Sequence[int], box: Pixels) -> np.ndarray:
    """Return what `show` does within a box."""
    left, top, right, bottom = box
    part = picture[top:bottom, left:right].copy()
    for patch, state in zip(patches, states, strict=True):
        if state and (both := _overlap(patch.box, box)):
            own = _within(both, patch.box)
            changes = patch.changes[own]
            part[_within(both, box)][changes] = patch.frames[state][own][changes]
    return part


def _overlap(first: Pixels, second: Pixels) -> Pixels | None:
    x0, y0 = (max(first[axis], second[axis]) for axis in (0, 1))
    x1, y1 = (min(first[axis], second[axis]) for axis in (2, 3))
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _within(box: Pixels, outer: Pixels) -> tuple[slice, slice]:
    """Return the rows and columns of a box in an array of the pixels of one that holds it."""
    return slice(box[1] - outer[1], box[3] - outer[1]), slice(box[0] - outer[0], box[2] - outer[0])


def parts(picture: np.ndarray, patches: Sequence[Patch], shown: np.ndarray) -> Iterator[Part]:
    """Yield the frames of an animation that differ, each as the part that changes. `shown` (T, P) holds the state of
    each patch."""
    starts = np.flatnonzero(np.r_[True, (shown[1:] != shown[:-1]).any(1)])
    for start, end in zip(starts, [*starts[1:], len(shown)], strict=True):
        box: Pixels = (0, 0, picture.shape[1], picture.shape[0])
        if start:
            differs = shown[start] != shown[start - 1]
            changed = [patch.box for patch, is_changed in zip(patches, differs, strict=True) if is_changed]
            x0, y0 = (min(each[axis] for each in changed) // 2 * 2 for axis in (0, 1))
            x1, y1 = (max(each[axis] for each in changed) for axis in (2, 3))
            box = (x0, y0, x1, y1)
        yield Part((box[0], box[1]), _show_part(picture, patches, shown[start], box), int(end - start))
