"""Neck, shoulders and what they wear. Coordinates are those of the head's frame."""

import numpy as np

from pipeline.drawing.colors import shadow
from pipeline.drawing.portrait.figure import Figure
from pipeline.drawing.shapes import curve, ellipse, mirror, symmetric

NECK = ((0, 0.39), (0.15, 0.39), (0.145, 0.71), (0.2, 0.83), (0.4, 0.9), (0.59, 0.97), (0.7, 1.12), (0.755, 1.5),
        (0.77, 2.2), (0.78, 5))  # fmt: skip

SHOULDER = (
    *curve(((0.24, 0.83), (0.42, 0.885), (0.61, 0.955), (0.73, 1.1), (0.785, 1.5), (0.81, 2.2), (0.82, 5))),
    (0, 5),
)

# Each garment is layers from below to above: (colour, right half of its outline).
CLOTHES = {
    "sailor": (
        ("white", ((0, 1.39), (0.2, 0.83), *SHOULDER)),
        ("cloth", ((0, 1.45), (0.12, 1.09), (0.19, 0.79), (0.38, 0.85), (0.6, 0.99), (0.57, 1.21), (0.3, 1.39),
        (0, 1.59))),
        ("trim", ((0, 1.51), (0.28, 1.33), (0.53, 1.18), (0.54, 1.15), (0.28, 1.29), (0, 1.47))),
    ),
    "shirt": (
        ("cloth", ((0, 0.99), (0.2, 0.81), *SHOULDER)),
        ("accent", ((0, 0.93), (0.07, 0.95), (0.05, 1.05), (0.1, 1.59), (0, 1.69))),
        ("collar", ((0.02, 0.95), (0.17, 0.73), (0.23, 0.79), (0.3, 0.95), (0.15, 1.09))),
    ),
    "blazer": (
        ("white", ((0, 0.99), (0.2, 0.79), *SHOULDER)),
        ("cloth", ((0, 1.79), (0.1, 1.54), (0.26, 0.83), *SHOULDER)),
        ("collar", ((0.02, 0.95), (0.17, 0.75), (0.22, 0.79), (0.26, 0.95), (0.13, 1.07))),
        ("lapel", ((0.1, 1.54), (0.2, 1.09), (0.25, 0.85), (0.35, 0.89), (0.42, 1.14), (0.35, 1.15), (0.35, 1.25))),
    ),
    "hoodie": (
        ("hood", ((0, 0.71), (0.2, 0.61), (0.45, 0.71), (0.52, 0.91), (0.3, 1.09), (0, 1.11))),
        ("cloth", ((0, 1.09), (0.16, 0.99), (0.3, 0.85), *SHOULDER)),
        ("string", ((0.12, 1.05), (0.14, 1.05), (0.16, 1.45), (0.12, 1.45))),
    ),
    "sweater": (
        ("cloth", ((0, 0.89), (0.2, 0.81), *SHOULDER)),
        ("cloth", ((0, 0.69), (0.16, 0.65), (0.18, 0.77), (0.22, 0.87), (0.1, 0.93), (0, 0.94))),
        ("shade", ((0, 0.71), (0.17, 0.67), (0.17, 0.69), (0, 0.73))),
    ),
    "tee": (
        ("cloth", ((0, 1.03), (0.12, 0.99), (0.24, 0.83), *SHOULDER)),
        ("trim", ((0, 1.07), (0.14, 1.03), (0.28, 0.84), (0.24, 0.83), (0.12, 0.99), (0, 1.03))),
    ),
    "kimono": (("cloth", ((0, 1.29), (0.26, 0.83), *SHOULDER)),),
    "dress": (
        ("cloth", ((0, 1.31), (0.2, 1.25), (0.42, 1.15), (0.57, 1.23), (0.6, 1.49), (0.6, 5), (0, 5))),
        ("trim", ((0, 1.37), (0.2, 1.31), (0.42, 1.21), (0.57, 1.28), (0.57, 1.22), (0.42, 1.14), (0.2, 1.24),
        (0, 1.3))),
        ("trim", ((0.38, 1.17), (0.35, 0.88), (0.4, 0.89), (0.45, 1.17))),
    ),
    "frill": (
        ("cloth", ((0, 0.93), (0.2, 0.81), *SHOULDER)),
        ("white", ((0, 0.85), (0.2, 0.75), (0.32, 0.85), (0.42, 0.89), (0.4, 1.04), (0.3, 1.09), (0.22, 1.07),
        (0.14, 1.17),
                   (0.06, 1.11), (0, 1.13))),
    ),
}  # fmt: skip

RIBBONED = {"sailor": (1.5, 0.28), "blazer": (1.02, 0.17), "frill": (0.95, 0.24)}  # the bow's height and size


def body(f: Figure) -> None:
    """Paint neck, shoulders and clothes."""
    look = f.look
    linen = (246, 244, 248)
    paints = {
        "cloth": look.cloth,
        "hood": shadow(look.cloth),
        "shade": shadow(look.cloth),
        "lapel": shadow(look.cloth, 0.6),
        "trim": look.trim,
        "accent": look.accent,
        "white": linen,
        "string": linen,
        "collar": look.cloth if look.clothes == "shirt" else linen,
    }
    if look.clothes == "hoodie":
        f.paint(symmetric(curve(CLOTHES["hoodie"][0][1])), paints["hood"])
    outline = symmetric(curve(NECK))
    f.paint(outline, look.skin)
    f.fill(symmetric(((0, 0.3), (0.3, 0.3), (0.2, 0.62), (0, 0.76))), f.skin_dark, f.mask(outline))
    for sign in (-1, 1):
        f.stroke(((sign * 0.08, 0.96), (sign * 0.2, 0.935), (sign * 0.3, 0.94)), (0, 0.007, 0), f.skin_dark)
    for paint, half in CLOTHES[look.clothes][look.clothes == "hoodie" :]:
        if half[0][0] == 0:
            f.paint(symmetric(half), paints[paint])
        else:
            f.paint(half, paints[paint])
            f.paint(mirror(half), paints[paint])
    if look.clothes == "kimono":
        for sign in (-1, 1):
            lapel = ((sign * 0.18, 0.76), (sign * 0.3, 0.83), (-sign * 0.22, 2.0), (-sign * 0.36, 1.9))
            f.paint(np.multiply(lapel, (look.flip, 1)), look.trim)
    for sign in (-1, 1):
        points = (sign * 0.56, 1.28), (sign * 0.6, 1.6), (sign * 0.6, 2.4)
        f.stroke(points, (0, 0.5 * look.line + 0.003, 0.5 * look.line), f.ink)
    if look.clothes in RIBBONED:
        y, size = RIBBONED[look.clothes]
        ribbon(f, (0, y), size, 0)


def ribbon(f: Figure, center: tuple[float, float], size: float, degrees: float) -> None:
    """Paint a bow with two loops, two ends and a knot; `size` is half its width."""
    angle = np.deg2rad(degrees)
    turn = size * np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    color, dark = f.look.accent, shadow(f.look.accent, 1.2)
    for sign in (-1, 1):
        end = np.multiply(((0.05, 0), (0.3, 0.35), (0.5, 1.0), (0.3, 0.9), (0.12, 1.05)), (sign, 1)) @ turn + center
        f.paint(end, dark)
        loop = curve(((0, 0), (0.45, -0.45), (0.95, -0.5), (1.0, 0.05), (0.9, 0.45), (0.45, 0.3)), closed=True)
        f.paint(loop * (sign, 1) @ turn + center, color)
        points = np.multiply(((0.1, 0.02), (0.4, 0.0), (0.62, -0.08)), (sign, 1)) @ turn + center
        f.stroke(points, (0.07 * size, 0.03 * size, 0), dark)
    f.paint(ellipse(0, 0, 0.17, 0.2, 20) @ turn + center, color)
