"""A box in a face that holds something else, and the ring along its border in which that is to be corrected.

In shapes: N batch, H height, W width.
"""

from typing import NamedTuple

import torch
from torch import Tensor


def depth_in(boxes: Tensor, height: int, width: int) -> Tensor:
    """Return (N, H, W): how far inside of its box each pixel lies, in px: 1 along the border, 0 or less outside.

    `boxes` (N, 4) are x0, y0, x1, y1, half open."""
    x, y = torch.arange(width, device=boxes.device), torch.arange(height, device=boxes.device)[:, None]
    x0, y0, x1, y1 = boxes[:, :, None, None].unbind(1)  # (N, 1, 1) each
    sides = torch.broadcast_tensors(x - x0 + 1, y - y0 + 1, x1 - x, y1 - y)
    return torch.stack(sides).amin(0)


class Pasted(NamedTuple):
    """Faces whose boxes hold something else, as the network takes them."""

    faces: Tensor  # (N, 3, H, W)
    ring: Tensor  # (N, 1, H, W): inside the box 1 along its border, falling to 0 over the ring
    originals: Tensor  # (N, 3, H, W): without the paste

    @classmethod
    def of(cls, originals: Tensor, inner: Tensor, boxes: Tensor, ring: int) -> "Pasted":
        """Return faces (N, 3, H, W) with the boxes' content taken from `inner` (N, 3, H, W); `ring` in px."""
        depth = depth_in(boxes, *originals.shape[2:])[:, None]
        share = (1 + torch.cos(torch.pi * (depth - 0.5) / ring)) / 2 * ((depth > 0) & (depth <= ring))
        return cls(torch.where(depth > 0, inner, originals), share.to(originals), originals)
