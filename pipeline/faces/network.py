"""The project's own face detection network: its layers, its weights, and its use.

A fully convolutional detector after CenterNet, Zhou, Wang, Krähenbühl: "Objects as Points", 2019,
https://arxiv.org/abs/1904.07850. For each cell of 8 × 8 px it predicts whether a face's centre lies there, its place in
the cell, and the face's size and tilt. Every other residual block is dilated, so that a cell sees 207 px around it.

It was trained on pictures of `pipeline.drawing.scenes` alone, by `luigi --module workflows TrainFaceDetector` with
its defaults. With other weights, raise `detect.VERSION` and choose the constants anew: `python -m
tests.tools.choose_threshold`.

In shapes: N pictures, H × W px.
"""

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse
from torch.nn import functional as F

from pipeline.errors import UserError
from pipeline.faces.boxes import TURNED_DEG, TURNED_ODDS, Face, face_at, is_turned, non_max_suppression, square
from pipeline.faces.views import Pyramid, View, sweep

WEIGHTS = Path(__file__).with_suffix(".safetensors")

STRIDE = 8  # px: side of a cell
SIDE = 40  # px: of a face whose predicted log size is 0
FACE_SIDES_PX = 17, 75  # px: smallest and largest side of a face that counts: a tenth beyond those of its training
MAX_TILT_DEG = TURNED_DEG  # degrees, either way, of the faces that it was trained on

PROPOSAL_LOGIT = -1.0  # least logit for a second look: a lower one would need a second of 3.6; the highest seen is 2.8
FACE_LOGIT = 1.3  # least mean logit of both looks at a face; how it was chosen: docs/measurements/faces.md
EVEN_LOGIT = 1.1  # logit of a place that is as likely a face as not
LOGIT_SLOPE = 6.6  # of the log-odds of a face over its logit
TURNED_HANDICAP = -math.log(TURNED_ODDS) / LOGIT_SLOPE  # by which the logit of a turned face is lowered
MIN_FACE_PX = 24  # px: the smallest wanted face in the finest copy
VIEW_RATIO = 1.7  # of the steps of successive copies
MIN_PICTURE_PX = 70  # px: longer side of the picture below which no coarser copy is made
MAX_VIEW_PX = 4096  # px: longer side of the finest copy; 1 GB of memory
MARGIN_PX = 16  # px of white about a copy, at least
SECOND_LOOK_PX = 96  # px: side of the second look's patches
SECOND_LOOK_FACES_PX = 30, 40, 52  # px: sides of the face in them
CENTER_CELLS = slice(3, 9)  # of the 12 cells of a patch
SAME_PLACE = 0.25, 1.5, 20.0  # most distance in sides of the face, ratio of the sides, degrees: one look serves both


Network = TypeVar("Network", bound=nn.Module)


class Block(nn.Module):
    """A residual block. (N, C, H, W) -> the same."""

    def __init__(self, width: int, dilation: int = 1):
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.first_norm = nn.BatchNorm2d(width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, C, H, W)."""
        inner = F.relu(self.first_norm(self.first(x)))
        return F.relu(x + self.second_norm(self.second(inner)))


def down(narrow: int, wide: int) -> tuple[nn.Module, ...]:
    """Return layers (N, narrow, H, W) -> (N, wide, H/2, W/2)."""
    return nn.Conv2d(narrow, wide, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(wide), nn.ReLU()


class FaceNetwork(nn.Module):
    """Pictures (N, 3, H, W) in [-1, 1] -> maps (N, 6, H/8, W/8) of a cell: the logit that a face's centre lies in it;
    the centre's x and y from the cell's middle, in cells; log(side / SIDE); sine and cosine of the tilt."""

    def __init__(self):
        super().__init__()
        self.body: nn.Module = nn.Sequential(
            *down(3, 16),  # (N, 16, H/2, W/2)
            *down(16, 32),
            Block(32),  # (N, 32, H/4, W/4)
            *down(32, 72),
            Block(72),
            Block(72, dilation=2),
            Block(72),
            Block(72, dilation=2),  # (N, 72, H/8, W/8)
        )
        self.head = nn.Sequential(nn.Conv2d(72, 72, 3, padding=1), nn.ReLU(), last := nn.Conv2d(72, 6, 1))
        assert last.bias is not None
        nn.init.zeros_(last.bias)
        nn.init.constant_(last.bias[:1], -4.0)  # faces are rare: the paper's appendix D, RetinaNet's §4.1

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps, (N, 6, H/8, W/8)."""
        return self.head(self.body(x))

    @torch.no_grad()
    def maps(self, pictures: np.ndarray) -> np.ndarray:
        """Return the maps (N, 6, H/8, W/8) of (N, H, W, 3) uint8."""
        x = torch.tensor(pictures).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)  # channels last in memory
        return self(x).numpy()

    def peaks(self, picture: np.ndarray) -> np.ndarray:
        """Return (N, 5): x, y and side in px, tilt in degrees and logit of each face proposed in (H, W, 3) uint8."""
        return peaks(self.maps(picture[None])[0])


def peaks(maps: np.ndarray) -> np.ndarray:
    """Return (N, 5), the local maxima of maps (6, H, W): x, y, side in px, tilt in degrees, logit. A maximum is above
    PROPOSAL_LOGIT and no less than its eight neighbours. Faces outside FACE_SIDES_PX are left out."""
    logit = maps[0]
    row, column = np.nonzero((logit > PROPOSAL_LOGIT) & (logit >= cv2.dilate(logit, np.ones((3, 3), np.uint8))))
    x, y, size, sine, cosine = maps[1:, row, column]
    x, y = (np.array([column, row]) + 0.5 + np.clip([x, y], -2, 2)) * STRIDE
    side = SIDE * np.exp(size.clip(-1.5, 1.5))
    found = np.column_stack([x, y, side, np.degrees(np.arctan2(sine, cosine)), logit[row, column]])
    return found[(side > FACE_SIDES_PX[0]) & (side < FACE_SIDES_PX[1])]


@functools.cache
def load(path: str) -> FaceNetwork:
    """Return the network with the weights of a file. Raise UserError if the file is missing or damaged."""
    network = load_weights(FaceNetwork(), path, "face")
    network.body = fuse(network.body)  # each normalization into its convolution: 15 % less time
    return network


def load_weights(network: Network, path: str, name: str) -> Network:
    """Return the network with the weights of a file, for use in one thread: the processes fill the cores. Raise
    UserError, which names the network, if the file is missing or damaged."""
    torch.set_num_threads(1)
    try:
        network.load_state_dict(load_file(path))  # float16
    except (OSError, SafetensorError, RuntimeError) as error:
        found = f"unreadable ({str(error).splitlines()[0][:120]})"
        raise UserError(path, found, f"the weights of the {name} network", "install this package again") from error
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # which torch's stubs lack
    return network.eval().requires_grad_(False)


class Candidate(NamedTuple):
    """A place that may show a face."""

    face: Face
    """Its score is the mean of the logits of both looks, less its `handicap`."""
    look: float
    """The logit of `_second_look`."""


def find(picture: np.ndarray, min_face: int, angles: Iterable[float], weights: str) -> list[Face]:
    """Return the faces of `min_face` px and more, best first. Those that lean further than MAX_TILT_DEG are found only
    if `angles` has an angle beyond it."""
    return accepted(candidates(picture, min_face, angles, weights))


def accepted(seen: Iterable[Candidate]) -> list[Face]:
    """Return the candidates that pass for faces, best first."""
    return non_max_suppression(each.face for each in seen if each.face.score >= FACE_LOGIT)


def candidates(picture: np.ndarray, min_face: int, angles: Iterable[float], weights: str) -> Iterator[Candidate]:
    """Yield every place that the network proposes in copies of several sizes, and for `angles` beyond MAX_TILT_DEG
    also in copies on their side and their head. No two overlap."""
    network, pyramid = load(weights), Pyramid(picture)
    turns = (0, 90, 180, 270) if any(abs(angle) > MAX_TILT_DEG for angle in angles) else (0,)
    seen = sweep(pyramid, _views(pyramid, min_face, turns), network.peaks)
    proposed = (face_at(*row) for row in seen if row[2] >= min_face)
    for face in non_max_suppression(face._replace(score=face.score - handicap(face)) for face in proposed):
        look = _second_look(network, pyramid, face)
        yield Candidate(face._replace(score=(face.score + (look - handicap(face))) / 2), look)


def second_looks(picture: np.ndarray, faces: Iterable[Face], weights: str, seen: Sequence[Candidate]) -> list[float]:
    """Return the logit of each face in `_second_look`, which shows the network its place, brought upright. Where one of
    `seen` lies, the network has looked already."""
    network, pyramid = load(weights), Pyramid(picture)
    found = []
    for face in faces:
        known = next((each.look for each in seen if _is_same_place(each.face, face)), None)
        found.append(_second_look(network, pyramid, face) if known is None else known)
    return found


def _is_same_place(a: Face, b: Face) -> bool:
    """Return whether `_second_look` shows about the same of both."""
    (center_a, (side_a, _), tilt_a), (center_b, (side_b, _), tilt_b) = square(a), square(b)
    distance, ratio, turn = SAME_PLACE
    return (
        math.dist(center_a, center_b) <= distance * side_a
        and side_a / ratio <= side_b <= side_a * ratio
        and abs((tilt_a - tilt_b + 180) % 360 - 180) <= turn
    )


def handicap(face: Face) -> float:
    """Return by how much the logit of a face is lowered for being turned."""
    return TURNED_HANDICAP if is_turned(face) else 0.0


def _views(pyramid: Pyramid, min_face: int, turns: Iterable[float]) -> Iterator[View]:
    """Yield copies from the finest, in which a face of `min_face` px is just large enough, to one in which a face may
    fill the picture."""
    center, longer = (pyramid.width / 2, pyramid.height / 2), max(pyramid.width, pyramid.height)
    for turn in turns:
        width, height = (pyramid.height, pyramid.width) if turn % 180 else (pyramid.width, pyramid.height)
        step = max(min_face / MIN_FACE_PX, longer / MAX_VIEW_PX)
        while True:
            size = tuple(math.ceil(side / step / STRIDE) * STRIDE + MARGIN_PX for side in (width, height))
            yield View(center, size, step, turn)
            if longer / step < MIN_PICTURE_PX:
                break
            step *= VIEW_RATIO


def _second_look(network: FaceNetwork, pyramid: Pyramid, face: Face) -> float:
    """Return the highest logit near the centre, averaged over upright patches around the face, at several sizes and
    mirrored."""
    center, (side, _), tilt = square(face)
    size = SECOND_LOOK_PX, SECOND_LOOK_PX
    patches = [pyramid.show(View(center, size, side / face_px, tilt)) for face_px in SECOND_LOOK_FACES_PX]
    maps = network.maps(np.stack([*patches, *(patch[:, ::-1] for patch in patches)]))
    return float(maps[:, 0, CENTER_CELLS, CENTER_CELLS].max((1, 2)).mean())
