"""The project's own landmark network: its layers, its weights, and its use.

A small residual network looks at an upright crop around the face. It was trained on drawn faces of
`pipeline.training_data.face_landmarks` alone: `luigi --module workflows TrainLandmarks` makes
`runs/NAME/model.safetensors`, which lies here as `landmarks.safetensors`. With other weights, raise
`landmarks.VERSION`.

In shapes: N faces.
"""

import functools
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.faces.boxes import Face, square
from pipeline.faces.landmarks import Box, Landmarks
from pipeline.faces.network import Block, down, load_weights
from pipeline.faces.views import Pyramid, View

SIZE = 96  # px: side of a crop
FACE_SIDES = 1.5  # side of a crop, in sides of the face
BATCH_SIZE = 64  # faces
CELLS = 12  # a side of the maps
WIDTH = 80  # features of a cell
LANDMARKS, MAPS = 4, 4  # eyes, mouth, chin; maps of each

# Columns of the output, in half sides of the crop from its middle; openness and visible share as logits.
LEFT, RIGHT, MOUTH, CHIN = slice(0, 4), slice(4, 8), slice(8, 10), slice(10, 12)
OPENNESS, VISIBLE = slice(12, 14), slice(14, 16)
MIRRORED = (6, 5, 4, 7, 2, 1, 0, 3, 8, 9, 10, 11, 13, 12, 15, 14)  # columns of a mirrored face
MIRRORED_SIGN = (-1, 1, -1, 1, -1, 1, -1, 1, -1, 1, -1, 1, 1, 1, 1, 1)


class LandmarkNetwork(nn.Module):
    """Crops (N, 3, 96, 96) in [-1, 1] -> (N, 16): x0, y0, x1, y1 of both eyes; x, y of mouth and chin; logits of the
    openness and of the visible share of both eyes.

    Each landmark has maps of where it is, whose mean place is its point (Sun et al. 2018, "Integral Human Pose
    Regression", https://arxiv.org/abs/1711.08229); both eyes are described by the features at their places."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            *down(3, 24),
            *down(24, 40),  # (N, 40, 24, 24)
            Block(40),
            *down(40, WIDTH),
            Block(WIDTH),
            Block(WIDTH, dilation=2),
            Block(WIDTH),  # (N, WIDTH, 12, 12)
        )
        self.maps = nn.Conv2d(WIDTH, LANDMARKS * MAPS, 1)
        self.eye = nn.Sequential(
            nn.Linear((MAPS + 1) * WIDTH + 2 * MAPS, 96), nn.ReLU(), last := nn.Linear(96, 6)
        )  # four edges from the eye's place, openness, visible share
        with torch.no_grad():
            last.bias.copy_(torch.tensor((-0.19, -0.19, 0.19, 0.19, 0.3, 0.9)))
        middles = (torch.arange(CELLS) + 0.5) / CELLS * 2 - 1
        grid = torch.stack(torch.meshgrid(middles, middles, indexing="xy"), -1)
        self.register_buffer("grid", grid.reshape(-1, 2), persistent=False)  # (144, 2): x, y

    def forward(self, x: Tensor) -> Tensor:
        """Return (N, 16)."""
        features = self.body(x)
        maps = self.maps(features).flatten(2).softmax(2)  # (N, LANDMARKS MAPS, 144)
        cells = features.flatten(2).transpose(1, 2)  # (N, 144, WIDTH)
        places = (maps @ self.grid).unflatten(1, (LANDMARKS, MAPS))  # (N, LANDMARKS, MAPS, 2)
        points = places.mean(2)
        seen = (maps[:, : 2 * MAPS] @ cells).unflatten(1, (2, MAPS)).flatten(2)  # (N, 2, MAPS WIDTH)
        around = cells.mean(1, keepdim=True).expand(-1, 2, -1)
        spread = (places - points[:, :, None])[:, :2].flatten(2)
        eyes = self.eye(torch.cat([seen, around, spread], 2))  # (N, 2, 6)
        edges = points[:, :2].repeat(1, 1, 2) + eyes[..., :4]
        return torch.cat([edges.flatten(1), points[:, 2:].flatten(1), eyes[..., 4], eyes[..., 5]], 1)


@functools.cache
def load(path: str) -> LandmarkNetwork:
    """Return the network with the weights of a file. Raise UserError if the file is missing or damaged."""
    return load_weights(LandmarkNetwork(), path, "landmark")


def find(picture: np.ndarray, faces: Sequence[Face], weights: str) -> list[Landmarks]:
    """Return the landmarks of each face: means over its crop and the mirrored crop. Faces without an area are not
    allowed."""
    network, pyramid = load(weights), Pyramid(picture)
    views = [_view(face) for face in faces]
    found: list[Landmarks] = []
    for start in range(0, len(views), BATCH_SIZE):
        part = views[start : start + BATCH_SIZE]
        outputs = predict(network, np.stack([pyramid.show(view) for view in part]))
        found += [_landmarks(output, view) for output, view in zip(outputs, part, strict=True)]
    return found


def _view(face: Face) -> View:
    center, (side, _), tilt = square(face)
    return View(center, (SIZE, SIZE), FACE_SIDES * side / SIZE, tilt)


@torch.no_grad()
def predict(network: nn.Module, crops: np.ndarray) -> np.ndarray:
    """Return (N, 16) for crops (N, 96, 96, 3) uint8: as `LandmarkNetwork` does, openness and visible share in 0..1."""
    both = np.concatenate([crops, crops[:, :, ::-1]])
    x = torch.tensor(both).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)  # channels last in memory
    output = network(x)
    output[:, OPENNESS.start :] = output[:, OPENNESS.start :].sigmoid()
    plain, mirrored = output.numpy().astype(float).reshape(2, len(crops), -1)
    return (plain + mirrored[:, MIRRORED] * MIRRORED_SIGN) / 2


def _landmarks(output: np.ndarray, view: View) -> Landmarks:
    """Return the landmarks in px of the picture."""
    matrix = view.to_picture()
    matrix[:, 2] += 0.5 - matrix[:, :2] @ (0.5, 0.5)  # from pixel centres to edges, on both sides
    half = SIZE / 2

    def point(x: float, y: float) -> tuple[float, float]:
        px, py = matrix[:, :2] @ (half * (1 + x), half * (1 + y)) + matrix[:, 2]
        return round(float(px), 2), round(float(py), 2)

    def box(x0: float, y0: float, x1: float, y1: float) -> Box:
        """Return the upright box of the ellipse in the crop's box, which an eye resembles."""
        x, y = point((x0 + x1) / 2, (y0 + y1) / 2)
        across, along = view.step * half * abs(x1 - x0) / 2, view.step * half * abs(y1 - y0) / 2
        cos, sin = math.cos(math.radians(view.angle)), math.sin(math.radians(view.angle))
        reach_x, reach_y = math.hypot(across * cos, along * sin), math.hypot(across * sin, along * cos)
        return round(x - reach_x, 2), round(y - reach_y, 2), round(x + reach_x, 2), round(y + reach_y, 2)

    left_openness, right_openness, left_visible, right_visible = (round(float(v), 4) for v in output[OPENNESS.start :])
    return Landmarks(
        left_eye=box(*output[LEFT]),
        right_eye=box(*output[RIGHT]),
        left_openness=left_openness,
        right_openness=right_openness,
        left_visible=left_visible,
        right_visible=right_visible,
        mouth=point(*output[MOUTH]),
        chin=point(*output[CHIN]),
    )
