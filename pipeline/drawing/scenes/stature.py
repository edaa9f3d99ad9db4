"""Figures of other proportions: chibi with a large head and tiny limbs, and tall grown-ups. In the head's frame."""

from dataclasses import replace

import numpy as np

from pipeline.drawing.canvas import Warp
from pipeline.drawing.colors import any_color, tone
from pipeline.drawing.sampling import Sampler
from pipeline.drawing.scenes.figure import Figure
from pipeline.drawing.scenes.style import Style
from pipeline.drawing.shapes import brush, curve, ellipse


def as_chibi(sampler: Sampler, style: Style) -> Style:
    """Return the style of a broad face with huge, low eyes."""
    warp = Warp(sampler.between(1.08, 1.3), sampler.between(0.82, 0.95), style.warp.shear / 2)
    eyes = replace(
        style.eyes,
        y=sampler.between(0.08, 0.16),
        width=sampler.between(0.26, 0.34),
        height=sampler.between(0.34, 0.46),
        iris_size=(sampler.between(0.38, 0.48), sampler.between(0.46, 0.56)),
    )
    return replace(style, is_chibi=True, warp=warp, eyes=eyes, pitch=0.04)


def as_grown(sampler: Sampler, style: Style) -> Style:
    """Return the style of a long, narrow face with small eyes."""
    warp = Warp(sampler.between(0.66, 0.82), sampler.between(1.04, 1.18), style.warp.shear, style.warp.bow)
    eyes = replace(
        style.eyes,
        y=sampler.between(-0.08, 0.02),
        width=sampler.between(0.19, 0.26),
        height=sampler.between(0.08, 0.16),
        iris_size=(sampler.between(0.2, 0.3), sampler.between(0.42, 0.6)),
    )
    return replace(style, is_chibi=False, warp=warp, eyes=eyes, volume=min(style.volume, 1.08))


def chibi_body(f: Figure) -> None:
    """Paint a whole body no taller than the head."""
    _body(f, shoulder=0.24, waist=0.3, hip_y=1.15, foot_y=1.55, limb=0.1)


def grown_body(f: Figure) -> None:
    """Paint a whole body five to seven heads tall, with broad shoulders."""
    foot_y = f.sampler.between(6, 9)
    _body(f, shoulder=f.sampler.between(0.6, 1.15), waist=0.5, hip_y=0.45 * foot_y, foot_y=foot_y, limb=0.2)


def _body(f: Figure, *, shoulder: float, waist: float, hip_y: float, foot_y: float, limb: float) -> None:
    sampler, style = f.sampler, f.style
    cloth, second, lean = any_color(sampler), any_color(sampler), sampler.between(-0.15, 0.15)
    bare = sampler.chance(0.5)
    for sign in (-1, 1):
        spread = sampler.between(0, 0.5)
        leg = [(sign * 0.5 * waist, hip_y - 0.1), (sign * (0.5 + spread) * waist, (hip_y + foot_y) / 2)]
        foot = (sign * (0.5 + sampler.between(0, 0.6)) * waist, foot_y)
        f.paint(brush([*leg, foot], (1.2 * limb, limb, 0.7 * limb)), style.skin if bare else second)
        f.paint(ellipse(foot[0] + 0.3 * sign * limb, foot_y, 1.4 * limb, 0.7 * limb, 14), tone(second, 0.6))
    f.fill([(-0.14, 0.4), (0.14, 0.4), (0.16 + lean, 0.9), (-0.16 + lean, 0.9)], style.skin_dark)
    top = 0.72
    torso = [(-0.15, top), (-shoulder, top + 0.14), (-waist, 0.6 * hip_y + 0.3), (-waist * 1.4, hip_y + 0.1)]
    outline = np.add(np.concatenate([torso, np.array(torso)[::-1] * (-1, 1)]), (lean, 0))
    f.paint(curve(outline, closed=True, steps=5), cloth)
    for sign in (-1, 1):
        elbow = (sign * (shoulder + sampler.between(0, 0.35) * hip_y), 0.55 * hip_y + sampler.between(0, 0.4))
        hand = (elbow[0] + sign * sampler.between(-0.4, 0.3), elbow[1] + sampler.between(-0.3, 0.35) * hip_y)
        arm = [(sign * (shoulder - 0.5 * limb), top + 0.2), elbow, hand]
        f.paint(brush(np.add(arm, (lean, 0)), (1.1 * limb, 0.9 * limb, 0.6 * limb)), cloth)
        f.fill(ellipse(hand[0] + lean, hand[1], 0.8 * limb, 0.8 * limb, 12), style.skin)
