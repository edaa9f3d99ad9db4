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


class Pasted(NamedTuple):
    """Faces whose boxes hold something else, as the network takes them."""

    faces: Tensor  # (N, 3, S, S)
    ring: Tensor  # (N, 1, S, S): inside the box 1 along its border, falling to 0 over the ring
    originals: Tensor  # (N, 3, S, S): without the paste

    @classmethod
    def of(cls, originals: Tensor, inner: Tensor, boxes: Tensor, ring: int) -> "Pasted":
        """Return faces (N, 3, S, S) with the boxes' content taken from `inner` (N, 3, S, S); `ring` in px."""
        depth = distances_to_sides(boxes, originals.shape[-1]).amin(0)[:, None]
        share = (1 + torch.cos(torch.pi * (depth - 0.5) / ring)) / 2 * ((depth > 0) & (depth <= ring))
        return cls(torch.where(depth > 0, inner, originals), share.to(originals), originals)
