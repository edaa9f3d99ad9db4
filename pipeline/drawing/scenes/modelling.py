"""Light and shade on figures as if they were solid: the head is a ball, the body a column."""

import numpy as np

from pipeline.drawing.colors import sample_color
from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.canvas import Spot, face_frame

HEAD, HEAD_RADII = (0.0, -0.12), (0.72, 0.86)  # in the frame of the head
BODY_RADIUS, NECK_Y = 1.0, 0.62
SHADES = ((0, 1), (0.1, 0.6), (0.25, 0.75))  # hue, saturation and value of a shade, by which pixels are multiplied
RIMS = ((0, 1), (0, 0.6), (0.7, 1))


def as_flat(sampler: Sampler, pixels: np.ndarray, mask: np.ndarray, spot: Spot) -> None:
    """Leave the figure as it is painted."""


def as_solid(sampler: Sampler, pixels: np.ndarray, mask: np.ndarray, spot: Spot) -> None:
    """Shade the figure smoothly, as a painting."""
    _shade(sampler, pixels, mask, spot, lambda lit: np.clip(0.3 + 0.9 * lit, 0, 1))


def as_toon(sampler: Sampler, pixels: np.ndarray, mask: np.ndarray, spot: Spot) -> None:
    """Shade the figure in two or three steps with a lit rim, as a 3D model that is rendered as a cartoon."""
    edges = np.sort(sampler.rng.uniform(-0.25, 0.6, sampler.integer(1, 3)))

    def steps(lit: np.ndarray) -> np.ndarray:
        soft = np.clip((lit[..., None] - edges) / 0.04 + 0.5, 0, 1)
        return soft.mean(-1)

    _shade(sampler, pixels, mask, spot, steps, rim=sampler.choice(0.0, 0.7))


def _shade(sampler: Sampler, pixels: np.ndarray, mask: np.ndarray, spot: Spot, levels, rim: float = 0.0) -> None:
    """Multiply the `mask` of the pixels by a shade where the light, -1..1, is low by `levels`; light the rim."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return
    normals = _normals(rows, columns, spot)
    light = np.array((sampler.between(-1, 1), sampler.between(-1, 0.2), sampler.between(0.2, 0.9)))
    share = levels(normals @ (light / np.linalg.norm(light)))[:, None]
    shade = np.array(sample_color(sampler, SHADES)) / 255
    shown = pixels[rows, columns] * (shade + (1 - shade) * share)
    edge = rim * np.clip(2.5 * (0.45 - normals[:, 2:]), 0, 1) * (normals[:, :1] * light[0] > 0)
    shown += (np.array(sample_color(sampler, RIMS)) - shown) * edge
    pixels[rows, columns] = shown.clip(0, 255).astype(np.uint8)


def _normals(rows: np.ndarray, columns: np.ndarray, spot: Spot) -> np.ndarray:
    """Return the normals at pixels, (N, 3): x to the right and y down in the frame of the head, z to the viewer."""
    unit, origin, tilt = face_frame(spot)
    angle = np.deg2rad(tilt)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) / unit
    points = (np.column_stack([columns, rows]) + 0.5 - origin) @ turn
    across = (points - HEAD) / HEAD_RADII
    is_body = points[:, 1] > NECK_Y
    across[is_body] = np.column_stack([points[is_body, 0] / BODY_RADIUS, np.zeros(is_body.sum())])
    length = np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1)
    across /= length
    return np.column_stack([across, np.sqrt(np.clip(1 - (across**2).sum(1), 0, 1))])
