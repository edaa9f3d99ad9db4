"""Outlines as arrays of points, (N, 2): splines, strokes, ellipses, strands of hair. y runs down."""

import numpy as np


def curve(points, closed: bool = False, steps: int = 8) -> np.ndarray:
    """Return a Catmull-Rom spline through the points, (N, 2), with `steps` points per segment."""
    p = np.asarray(points, float)
    p = np.concatenate([p[-1:], p, p[:2]]) if closed else np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None, None]
    a, b, c, d = p[:-3], p[1:-2], p[2:-1], p[3:]
    sampled = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    sampled = sampled.transpose(1, 0, 2).reshape(-1, 2)
    return sampled if closed else np.concatenate([sampled, p[-2:-1]])


def bezier(a, b, c, steps: int = 7) -> np.ndarray:
    """Return a quadratic Bezier curve from a to c with control point b, (steps, 2)."""
    t = np.linspace(0, 1, steps)[:, None]
    a, b, c = np.asarray(a, float), np.asarray(b, float), np.asarray(c, float)
    return (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c


def brush(points, widths) -> np.ndarray:
    """Return the outline of a stroke along a spline through the points; `widths` are half widths at equal distances."""
    line = curve(points, steps=9)
    along = np.gradient(line, axis=0)
    normal = np.stack([-along[:, 1], along[:, 0]], 1) / (np.linalg.norm(along, axis=1, keepdims=True) + 1e-9)
    half = np.interp(np.linspace(0, 1, len(line)), np.linspace(0, 1, len(widths)), widths)[:, None]
    return np.concatenate([line + half * normal, (line - half * normal)[::-1]])


def mirror(points) -> np.ndarray:
    """Return the points mirrored at the axis x = 0, (N, 2)."""
    return np.asarray(points, float) * (-1, 1)


def symmetric(half) -> np.ndarray:
    """Return the closed outline of a shape from its right half, which starts and ends on the axis."""
    half = np.asarray(half, float)
    return np.concatenate([half, mirror(half)[::-1]])


def ellipse(x: float, y: float, rx: float, ry: float, n: int = 28) -> np.ndarray:
    """Return n points of an ellipse, (n, 2)."""
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], 1)


def leaf(x: float, y: float, rx: float, ry: float, turn: float, n: int = 14) -> np.ndarray:
    """Return an ellipse rotated clockwise by `turn` radians, (n, 2)."""
    across, along = direction(np.rad2deg(turn)), direction(np.rad2deg(turn) + 90)
    return ellipse(0, 0, rx, ry, n) @ np.array([across, along]) + (x, y)


def tufts(edge, tip: int = 1, curl: float = 0) -> np.ndarray:
    """Return the edge of hair through alternating notches and tips: strands that are round and end in points.

    The first tip has index `tip`. `curl` bends all strands to one side: 0 straight, 1 like claws.
    """
    edge = np.asarray(edge, float)
    parts = []
    for k in range(len(edge) - 1):
        at, notch = (k, k + 1) if (k - tip) % 2 == 0 else (k + 1, k)
        other = min(max(2 * at - notch, 0), len(edge) - 1)  # the notch on the strand's other side
        bulge = (0.35 + curl * (notch - at)) * 0.5 * (edge[notch] - edge[other])
        parts.append(bezier(edge[k], (edge[k] + edge[k + 1]) / 2 + 0.5 * bulge, edge[k + 1]))
    return np.concatenate(parts)


def direction(degrees: float) -> np.ndarray:
    """Return the unit vector at an angle, clockwise from the right, (2,)."""
    return np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))])
