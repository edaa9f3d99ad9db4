"""A head turned by half: the far eye is narrow and near the outline, an ear shows. Lengths are in the head's frame."""

from dataclasses import replace

import numpy as np

from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.figure import Figure
from pipeline.drawing.scenes.style import Style
from pipeline.drawing.shapes import curve, ellipse

YAWS = 36, 60  # degrees
EYE_RADIUS, EYE_DEG = 0.5, 25  # of the ball that the eyes lie on, and how far they lie from its middle

# The outline of a head that looks to the right, from its top over brow, eye socket, cheek, mouth and chin to the nape.
FAR = ((0, -0.92), (0.3, -0.82), (0.47, -0.5), (0.5, -0.22), (0.48, -0.06), (0.49, 0.1), (0.45, 0.25), (0.4, 0.36))
CHIN = ((0.35, 0.47), (0.28, 0.58), (0.17, 0.61))
NEAR = ((-0.1, 0.5), (-0.36, 0.32), (-0.47, 0.05), (-0.52, -0.3), (-0.42, -0.7), (-0.2, -0.88))
EAR = ((-0.36, -0.06), (-0.42, -0.1), (-0.49, 0.02), (-0.43, 0.17), (-0.36, 0.15))


def turn_by_half(sampler: Sampler, style: Style) -> Style:
    """Return the style of the same head, turned by YAWS to the left or to the right."""
    side, yaw = sampler.side(), sampler.between(*YAWS)
    angles = np.deg2rad([yaw - EYE_DEG, yaw + EYE_DEG])
    (near, far), (near_share, far_share) = EYE_RADIUS * np.sin(angles), np.maximum(np.cos(angles), 0.2)
    far = min(far, 0.47 - 0.4 * far_share * style.eyes.width)  # within the outline
    x, shares = ((near, far), (near_share, far_share)) if side > 0 else ((-far, -near), (far_share, near_share))
    eyes = replace(style.eyes, x=x, shares=shares)
    return replace(style, turn=side * (0.18 + 0.0024 * yaw), covered=0, eyes=eyes)


def half_outline(f: Figure) -> np.ndarray:
    """Return the closed outline of the head, (N, 2)."""
    side, sampler = np.sign(f.style.turn), f.sampler
    chin = np.add(CHIN, (sampler.between(-0.03, 0.03), sampler.between(-0.02, 0.03)))
    points = np.concatenate([FAR, chin, NEAR])
    return curve(points * (side, 1), closed=True, steps=6)


def near_ear(f: Figure) -> None:
    """Paint the ear on the side that is turned to the viewer."""
    side, style = np.sign(f.style.turn), f.style
    f.shape(curve(np.array(EAR) * (side, 1), closed=True, steps=6), style.skin, style.ink, 0.8 * style.line)
    f.fill(ellipse(-0.42 * side, 0.04, 0.025, 0.06), style.skin_dark)
