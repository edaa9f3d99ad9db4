"""Frames of a network that animates a picture."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.data.batches import in_range, to_pixels
from models.data.dataset import flow as optical_flow


def network_inputs(
    network: Any, picture: np.ndarray, flow: np.ndarray | None, openness: np.ndarray
) -> tuple[Tensor, Tensor, Tensor]:
    """Return what a blink network takes: the region (H, W, 3) uint8 of a face, the flow and the openness (T,) of a
    reference, 1 open to 0 closed.

    The `flow` (T, H', W', 2) is transferred to the region's size; None is no motion, which suits a network that was
    trained with `flow_dropout`. Raise ValueError if the network is in training mode."""
    if network.training:
        raise ValueError("a network in training mode is not for sampling")
    height, width = picture.shape[:2]
    if flow is None:
        flow = np.zeros((len(openness), height, width, 2), np.float32)
    elif flow.shape[1:3] != (height, width):
        flow = optical_flow.transfer(flow, height, width)
    device = next(network.parameters()).device
    still = in_range(torch.from_numpy(np.array(picture))[None].to(device), network.middle)
    motion = torch.from_numpy(np.array(flow, np.float32))[None].permute(0, 1, 4, 2, 3).to(still)
    return still, motion, torch.from_numpy(np.array(openness, np.float32))[None].to(still)


@torch.no_grad()
def animate(network: Any, picture: np.ndarray, flow: np.ndarray | None, openness: np.ndarray) -> np.ndarray:
    """Return (T, H, W, 3) uint8: the region of a face, animated as a reference is; see `network_inputs`."""
    return to_pixels(network(*network_inputs(network, picture, flow, openness))[0], network.middle)


@torch.no_grad()
def paint(
    network: Any, picture: np.ndarray, flow: np.ndarray | None, openness: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return (what is painted over the region (T, H, W, 3) of 0 to 255, the masks (T, H, W, 1) of 0 to 1: how much);
    see `network_inputs`."""
    painted, mask = network.paint(*network_inputs(network, picture, flow, openness))
    pixels = (painted[0].float() * network.middle + network.middle).clamp(0, 255)
    return pixels.permute(0, 2, 3, 1).cpu().numpy(), mask[0].float().permute(0, 2, 3, 1).cpu().numpy()


def stack_rows(rows: list[np.ndarray]) -> np.ndarray:
    """Return clips (T, H, W, 3) uint8 of one size as one picture: a row of frames for each."""
    return np.concatenate([np.concatenate([*frames], 1) for frames in rows])
