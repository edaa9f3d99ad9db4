"""Hair: its back, its front, its shade and shine. Coordinates are those of the head's frame."""

import numpy as np

from pipeline.drawing.colors import WHITE, mix, tone
from pipeline.drawing.portrait.figure import Figure
from pipeline.drawing.portrait.look import Look
from pipeline.drawing.shapes import brush, curve, ellipse, mirror, tufts

DOME = ((0, -0.93), (0.22, -0.91), (0.42, -0.78), (0.56, -0.55), (0.6, -0.27), (0.6, -0.05))

# The lower edge of the bangs from the picture's left temple to its right: notch, tip, notch, tip, ..., notch.
BANGS = {
    "blunt": ((-0.53, 0.05), (-0.43, -0.16), (-0.38, -0.24), (-0.28, -0.19), (-0.21, -0.24), (-0.09, -0.18),
              (-0.03, -0.24),
              (0.08, -0.18), (0.16, -0.24), (0.27, -0.19), (0.36, -0.24), (0.43, -0.16), (0.53, 0.05)),
    "wispy": ((-0.54, 0.1), (-0.47, 0.1), (-0.4, -0.26), (-0.34, -0.13), (-0.23, -0.3), (-0.11, -0.12),
              (-0.02, -0.32),
              (0.04, -0.2), (0.11, -0.31), (0.25, -0.12), (0.36, -0.3), (0.47, 0.08), (0.54, 0.1)),
    "spiky": ((-0.55, 0.05), (-0.5, 0.12), (-0.4, -0.3), (-0.38, -0.1), (-0.21, -0.36), (-0.16, -0.12),
              (-0.02, -0.38),
              (0.06, -0.06), (0.16, -0.36), (0.29, -0.12), (0.38, -0.34), (0.51, 0.12), (0.55, 0.05)),
    "swept": ((-0.55, 0.1), (-0.51, 0.16), (-0.4, -0.22), (-0.4, -0.06), (-0.23, -0.28), (-0.28, -0.14),
              (-0.02, -0.36),
              (-0.09, -0.18), (0.21, -0.52), (0.38, -0.26), (0.4, -0.3), (0.51, 0.1), (0.55, 0.1)),
    "parted": ((-0.55, 0.15), (-0.5, 0.2), (-0.42, -0.12), (-0.41, -0.02), (-0.3, -0.3), (-0.25, -0.17),
               (0.06, -0.72),
               (0.28, -0.2), (0.32, -0.32), (0.43, 0.0), (0.43, -0.12), (0.51, 0.2), (0.55, 0.15)),
    "curtain": ((-0.55, 0.2), (-0.49, 0.3), (-0.43, 0.0), (-0.4, 0.02), (-0.28, -0.36), (0, -0.76), (0, -0.74),
                (0.01, -0.74), (0.28, -0.36), (0.4, 0.02), (0.43, 0.0), (0.49, 0.3), (0.55, 0.2)),
    "between": ((-0.54, 0.1), (-0.47, 0.1), (-0.39, -0.28), (-0.32, -0.16), (-0.19, -0.34), (-0.09, -0.22),
                (-0.05, -0.36),
                (0.02, 0.08), (0.09, -0.36), (0.19, -0.17), (0.24, -0.32), (0.34, -0.13), (0.4, -0.28),
                (0.47, 0.1), (0.54, 0.1)),
}  # fmt: skip

LOCKS = {  # strands in front of the ears: outer and inner edge, both down to the tip
    "short": (((0.59, -0.2), (0.6, 0.05), (0.5, 0.3)), ((0.42, -0.2), (0.44, 0.05), (0.5, 0.3))),
    "jaw": (((0.59, -0.2), (0.62, 0.1), (0.6, 0.35), (0.47, 0.62)), ((0.41, -0.2), (0.45, 0.15), (0.47, 0.35),
            (0.47, 0.62))),
    "long": (((0.59, -0.2), (0.63, 0.2), (0.64, 0.6), (0.58, 1.1)), ((0.41, -0.2), (0.45, 0.2), (0.47, 0.6),
             (0.58, 1.1))),
}  # fmt: skip

# Hair behind the head: the side from the dome down, then its lower edge from the right to the middle: tip, notch, ...
BACK = {
    "short": (((0.61, 0.15), (0.56, 0.4)), ((0.49, 0.56), (0.41, 0.5), (0.29, 0.66), (0.19, 0.56), (0.08, 0.68),
              (0, 0.6))),
    "messy": (((0.62, -0.1),), ((0.74, 0.1), (0.61, 0.1), (0.72, 0.34), (0.56, 0.36), (0.56, 0.62), (0.41, 0.54),
                                (0.29, 0.74), (0.16, 0.6), (0, 0.7))),
    "bob": (((0.66, 0.1), (0.7, 0.36), (0.62, 0.6)), ((0.45, 0.7), (0.43, 0.64), (0.29, 0.68), (0.19, 0.64),
            (0, 0.66))),
    "medium": (((0.64, 0.2), (0.67, 0.55), (0.72, 0.82)), ((0.74, 1.04), (0.6, 0.94), (0.5, 1.1), (0.39, 1.0),
                                                          (0.25, 1.12), (0.1, 1.0), (0, 1.05))),
    "long": (((0.65, 0.2), (0.71, 0.7), (0.8, 1.2), (0.83, 1.7)), ((0.82, 2.3), (0.68, 2.1), (0.49, 2.4), (0, 2.2))),
    "wavy": (((0.68, 0.1), (0.64, 0.3), (0.76, 0.52), (0.72, 0.76), (0.89, 1.0), (0.83, 1.26), (0.97, 1.5)),
             ((0.95, 2.1), (0.78, 1.9), (0.58, 2.2), (0, 2.1))),
}  # fmt: skip

# Tails: in front of the body?, a pair?, centre line from root to tip, its half width along it.
TAILS = {
    "twintails": (False, True, ((0.56, -0.56), (0.86, -0.62), (1.06, -0.2), (1.02, 0.5), (1.1, 1.3)),
                  (0.06, 0.17, 0.2, 0.19, 0)),
    "low_twintails": (True, True, ((0.56, 0.42), (0.66, 0.62), (0.7, 0.95), (0.62, 1.4), (0.7, 1.85)),
                      (0.06, 0.13, 0.15, 0.13, 0)),
    "two_side_up": (False, True, ((0.5, -0.74), (0.76, -0.84), (0.9, -0.4), (0.84, 0.1), (0.92, 0.5)),
                    (0.04, 0.1, 0.12, 0.1, 0)),
    "ponytail": (False, False, ((0.2, -0.9), (0.66, -1.12), (0.98, -0.6), (0.95, 0.1), (1.06, 0.85)),
                 (0.1, 0.2, 0.23, 0.2, 0)),
    "side_ponytail": (True, False, ((0.58, 0.16), (0.76, 0.3), (0.8, 0.7), (0.7, 1.15), (0.78, 1.6)),
                      (0.06, 0.16, 0.19, 0.16, 0)),
}  # fmt: skip

HAIRSTYLES = {  # name -> (back, tails)
    "short": ("short", None),
    "messy": ("messy", None),
    "bob": ("bob", None),
    "medium": ("medium", None),
    "long": ("long", None),
    "wavy": ("wavy", None),
    "twintails": ("short", "twintails"),
    "low_twintails": ("short", "low_twintails"),
    "two_side_up": ("long", "two_side_up"),
    "ponytail": ("short", "ponytail"),
    "side_ponytail": ("short", "side_ponytail"),
    "braids": ("short", None),
    "buns": ("bob", None),
}


def dome(look: Look) -> np.ndarray:
    """Return the right half of the hair's outer edge, (N, 2), from the middle of the top to the temple."""
    x, y = np.asarray(DOME).T
    return np.stack([x * (0.6 + 0.4 * look.volume), np.where(y < -0.3, -0.3 + (y + 0.3) * look.volume, y)], 1)


def back_hair(f: Figure) -> None:
    """Paint the hair behind head and body; the hair at the nape is in shadow."""
    back, tails = HAIRSTYLES[f.look.hairstyle]
    if f.look.hairstyle == "buns":
        for x in (-0.5, 0.5):
            f.paint(ellipse(x, -0.86, 0.25, 0.24, 40), f.look.hair, f.hair_ink)
            f.stroke(((x - 0.12, -0.76), (x, -0.72), (x + 0.14, -0.82)), (0, 0.012, 0), f.hair_ink)
            f.stroke(((x - 0.1, -0.94), (x + 0.02, -1.0), (x + 0.12, -0.94)), (0, 0.02, 0), f.hair_dark)
    if tails and not TAILS[tails][0]:
        tail(f, *TAILS[tails][1:])
    side, tips = BACK[back]
    low = [(x + f.jitter(k, 0.012) * (x > 0), y + f.jitter(k + 5, 0.02)) for k, (x, y) in enumerate(tips)]
    right = curve(np.concatenate([dome(f.look), side, low[:1]]))
    edge = tufts(np.concatenate([low, mirror(low[-2::-1])]), tip=0)
    outline = np.concatenate([right, edge, mirror(right)[::-1]])
    f.paint(outline, f.hair_dark, f.hair_ink)
    if not f.icon:
        within = f.mask(outline)
        for k in range(5):  # strands, seen beside the neck
            x = 0.22 + 0.1 * k
            for sign in (-1, 1):
                points = ((0.5 * x * sign, -0.2), (x * sign, 0.4), (1.15 * x * sign, low[0][1]))
                f.stroke(points, (0, 0.006, 0), f.hair_ink, within, 0.5)


def tail(f: Figure, paired: bool, line, widths) -> None:
    """Paint a tail of hair, or a pair, with a tie at the root."""
    sides = (-1, 1) if paired else (f.look.flip,)
    sway = f.jitter(20, 0.06)
    for sign in sides:
        points = np.array([(sign * x + sway * k / 4, y) for k, (x, y) in enumerate(line)])
        outline = brush(points, widths)
        f.paint(outline, f.look.hair, f.hair_ink)
        if not f.icon:
            within = f.mask(outline)
            across = np.array([sign * 0.09, 0.02])
            f.stroke(points - across, np.multiply(widths, 0.35), f.hair_dark, within)
            f.stroke(points + across * 0.6, (0, 0.007, 0.007, 0), f.hair_ink, within, 0.6)
            f.stroke(points[1:4] + across * 0.2, (0, 0.02, 0), tone(f.look.hair, 1.2, 0.6), within, 0.7)
        x, y = points[0] + 0.12 * (points[1] - points[0]) / np.linalg.norm(points[1] - points[0])
        f.paint(ellipse(x, y, widths[0] + 0.02, widths[0] + 0.02), f.look.accent)


def braid(f: Figure) -> None:
    """Paint two braids in front of the shoulders."""
    for sign in (-1, 1):
        for k in range(9):
            x, y = 0.58 + 0.02 * np.sin(k), 0.42 + 0.14 * k
            for side in (-1, 1):
                lobe = ellipse(sign * x + 0.05 * side, y + 0.07 * (side > 0), 0.085, 0.1, 20)
                f.paint(lobe, f.look.hair if side * sign > 0 else f.hair_dark, f.hair_ink)
        end = ellipse(sign * x, 0.42 + 0.14 * 9, 0.07, 0.05)
        f.paint(np.add(end, (0, 0.1)), f.look.hair, f.hair_ink)
        f.paint(end, f.look.accent)


def bangs_edge(f: Figure) -> np.ndarray:
    """Return the notches and tips of this look's bangs, (N, 2), from left to right.

    The points at the temples have no jitter, so that they meet the sidelocks.
    """
    edge = np.array(BANGS[f.look.bangs])
    edge[2:-2] += [(f.jitter(k, 0.014), f.jitter(k + 9, 0.016)) for k in range(2, len(edge) - 2)]
    return edge if f.look.flip > 0 else mirror(edge)[::-1]


def bangs(f: Figure) -> np.ndarray:
    """Return the lower edge of the bangs, (N, 2), from left to right."""
    return tufts(bangs_edge(f), curl=0.25 * f.look.flip)


def front_hair(f: Figure) -> None:
    """Paint the hair in front of the face: sidelocks, crown, bangs, and tails that fall over the shoulders."""
    look = f.look
    _, tails = HAIRSTYLES[look.hairstyle]
    if tails and TAILS[tails][0]:
        tail(f, *TAILS[tails][1:])
    if look.hairstyle == "braids":
        braid(f)
    if look.locks != "none":
        outer, inner = LOCKS[look.locks]
        for sign in (-1, 1):
            outline = np.concatenate([curve(outer), curve(inner)[::-1]]) * (sign, 1)
            f.paint(outline, look.hair, f.hair_ink)
            f.stroke(np.add(inner, (0.02, 0)) * (sign, 1), (0.02, 0.04, 0), f.hair_dark, f.mask(outline))
    edge = bangs_edge(f)
    right = curve(np.concatenate([dome(look), edge[-1:]]))
    outline = np.concatenate([mirror(right)[::-1], right[1:], bangs(f)[::-1]])
    f.paint(outline, look.hair, f.hair_ink)
    within = f.mask(outline)
    if look.shading != "flat":
        shade_crown(f, within)
    strands(f, edge, within)
    if look.shine != "none":
        shine(f, within)
    f.line(outline, f.hair_ink, look.line)
    if look.ahoge:
        top = -0.3 + (-1.0 + 0.3) * look.volume
        points = np.multiply(
            ((0.0, top + 0.03), (0.02, top - 0.14), (0.14, top - 0.24), (0.26, top - 0.17)), (look.flip, 1)
        )
        f.paint(brush(points, (0.035, 0.04, 0.03, 0)), look.hair, f.hair_ink)


def crown(f: Figure) -> tuple[float, float]:
    """Return the point where the strands part."""
    return 0.1 * f.look.flip * (f.look.bangs in ("parted", "swept")), -0.3 - 0.62 * f.look.volume


def shade_crown(f: Figure, within: np.ndarray) -> None:
    """Shade the crown as a round shape: darker at its sides and, in soft shading, lighter above the bangs' tips."""
    soft = 0.06 if f.look.shading == "soft" else 0
    for sign, depth in ((1, 0.2), (-1, 0.1)):
        sign *= f.look.flip
        side = curve(
            ((0.3 * sign, -1.1), (sign * (0.56 - depth), -0.62), (sign * (0.57 - depth), -0.3), (sign * 0.5, 0.3))
        )
        f.fill(np.concatenate([side, [(sign, 0.3), (sign, -1.1)]]), f.hair_dark, within, soft=soft)
    if f.look.shading == "soft":
        f.fill(
            ((-0.7, -0.5), (0.7, -0.5), (0.7, -0.05), (-0.7, -0.05)), tone(f.look.hair, 1.12, 0.8), within, 0.5, 0.08
        )


def strands(f: Figure, edge: np.ndarray, within: np.ndarray) -> None:
    """Paint wedges of shade from the notches up to the parting."""
    top = np.array(crown(f))
    for notch in edge[2:-2:2]:
        middle = notch * (1.02, 0.5) + top * (0.05, 0.5) + (0, 0.02)
        end = 0.25 * notch + 0.75 * top
        points = np.array([np.add(notch, (0, 0.01)), middle, end])
        if f.look.shading != "flat":
            f.stroke(np.add(points, (0.02 * f.look.flip, 0)), (0.03, 0.022, 0), f.hair_dark, within)
        f.stroke(points, (0.008 + 0.4 * f.look.line, 0.005 + 0.25 * f.look.line, 0), f.hair_ink, within)


def shine(f: Figure, within: np.ndarray) -> None:
    """Paint a band of light with a ragged edge around the head."""
    look = f.look
    light = mix(tone(look.hair, 1.3, 0.55), WHITE, 0.3)
    spans = ((-62, 62),) if look.shine == "ring" else ((-58, -22), (-12, 6))
    for low, high in spans:
        angle = np.deg2rad(np.linspace(low, high, 2 * max(3, round((high - low) / 7)) + 1))
        ragged = np.where(np.arange(len(angle)) % 2, 0.055, 0.015) * np.cos(np.linspace(-1.3, 1.3, len(angle)))
        middle = -0.3 - 0.36 * look.volume
        upper = np.stack([0.53 * np.sin(angle), middle + 0.2 * (1 - np.cos(angle)) - ragged], 1)
        lower = np.stack([0.53 * np.sin(angle), middle + 0.05 + 0.2 * (1 - np.cos(angle)) + ragged[::-1]], 1)
        f.fill(np.concatenate([upper, lower[::-1]]) * (look.flip, 1), light, within, 0.75)
