"""A box in a face that holds something else, and the ring along its border in which that is to be corrected.

In shapes: N batch, S side.
"""

from typing import NamedTuple

import torch
from torch import Tensor


def distances_to_sides(boxes: Tensor, size: int) -> Tensor:
    """Return (4, N, S, S): how far inside of a box's left, top, right and lower side each pixel lies, in px: 1 along
    the side, 0 or less outside. `boxes` (N, 4) are x0, y0, x1, y1, half open."""
    place = torch.arange(size, device=boxes.device)
    x0, y0, x1, y1 = boxes[:, :, None].unbind(1)  # (N, 1) each
    sides = [
        (place - x0 + 1)[:, None, :],
        (place - y0 + 1)[:, :, None],
        (x1 - place)[:, None, :],
        (y1 - place)[:, :, None],
    ]
    return torch.stack([side.expand(-1, size, size) for side in sides])


def continued(face: Tensor, boxes: Tensor) -> Tensor:
    """Return faces (N, 3, S, S) in whose boxes each pixel has the color of the nearest one outside."""
    size = face.shape[-1]
    depth, side = distances_to_sides(boxes, size).min(0)  # (N, S, S) each
    steps = torch.where(depth > 0, depth, 0)
    place = torch.arange(size, device=face.device)
    across = place + steps * ((side == 2).long() - (side == 0).long())
    down = place[:, None] + steps * ((side == 3).long() - (side == 1).long())
    index = (down.clamp(0, size - 1) * size + across.clamp(0, size - 1)).flatten(1)
    return face.flatten(2).gather(2, index[:, None].expand(-1, 3, -1)).view(face.shape)


class Pasted(NamedTuple):
    """Faces whose boxes hold something else, as the network takes them, and as it has to return them."""

    faces: Tensor  # (N, 3, S, S)
    ring: Tensor  # (N, 1, S, S)
    around: Tensor  # (N, 3, S, S)
    target: Tensor  # (N, 3, S, S): from the border inwards the paste fades in, over the ring

    @classmethod
    def of(cls, face: Tensor, inner: Tensor, boxes: Tensor, ring: int) -> "Pasted":
        """Return faces (N, 3, S, S) with the boxes' content taken from `inner` (N, 3, S, S)."""
        depth = distances_to_sides(boxes, face.shape[-1]).amin(0)[:, None]
        inside, in_ring = depth > 0, (depth > 0) & (depth <= ring)
        faces = torch.where(inside, inner, face)
        fade = (1 + torch.cos(torch.pi * (depth - 0.5) / ring)) / 2 * in_ring
        return cls(faces, in_ring.to(face), continued(face, boxes), faces + fade * (face - faces))
