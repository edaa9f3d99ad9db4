"""What a portrait shows: every random choice, and the tags that a booru would give it.

`sample` draws every random number and is cheap; no pixel is painted here.
"""

import colorsys
from dataclasses import dataclass
from functools import cache

import numpy as np

from pipeline.drawing.colors import RGB
from pipeline.manifest import HAIR_COLORS

Box = tuple[float, float, float, float]

CLOSED_LIDS = {  # the line of a closed eye: its heights from the inner to the outer corner, in eye heights down
    "low": (0.14, 0.33, 0.40, 0.34, 0.16),
    "middle": (0.04, 0.12, 0.16, 0.13, 0.06),
    "flat": (0.18, 0.2, 0.2, 0.18, 0.14),
    "drooping": (0.02, 0.16, 0.28, 0.36, 0.4),
    "rising": (0.36, 0.38, 0.32, 0.18, 0.0),
    "laughing": (0.26, -0.04, -0.16, -0.04, 0.26),
}


@dataclass(frozen=True)
class Look:
    """The random choices of one picture. Lengths are in units of the head's frame (see `render`), unless in px."""

    style: str
    size: tuple[int, int]  # width, height, px
    side: float  # of the face box, px
    center: tuple[float, float]  # of the face box, px
    tilt: float  # degrees, clockwise positive
    openness: float  # of both eyes, unless `opennesses` says more: 1 open, 0 closed
    line: float  # width of outlines; 0: none
    shading: str  # flat, cel, soft
    flip: int  # 1, or -1: what is not symmetric is mirrored
    turn: float  # how far the features are shifted sideways, as in a face slightly turned
    jitter: tuple[float, ...]  # JITTER_COUNT standard normal numbers, clipped to -2..2: small irregularities
    hair_color: str
    hair: RGB
    hairstyle: str
    bangs: str
    locks: str  # the strands in front of the ears
    ahoge: bool
    shine: str  # the highlight of the hair: ring, patch, none
    volume: float  # of the hair, 1 as in the tables
    skin: RGB
    jaw: float  # 0 narrow .. 1 round
    ears: bool
    blush: str  # none, soft, lines
    eye: str
    eye_color: str
    iris: RGB
    eye_size: float  # 1 as in the table
    brow: str
    mouth: str
    clothes: str
    cloth: RGB
    trim: RGB
    accent: RGB
    accessory: str
    ground: str
    ground_colors: tuple[RGB, RGB]
    ground_pitch: float  # size of its pattern, in shorter sides of the picture
    ground_angle: float  # degrees
    opennesses: tuple[float, float] | None = None  # of the eyes on the picture's left and right, when one winks
    closed_lid: tuple[float, ...] = CLOSED_LIDS["low"]  # v at face.LID_U where both lids meet
    eye_stretch: tuple[float, float] = (1, 1)  # width and height, in the eyes' usual size
    lash_width: float = 0.022  # half the width of the upper lashes
    lash: RGB | None = None  # colour of the lashes; None: that of the lines
    lights: int = 2  # highlights of an iris, 0..2
    has_flat_iris: bool = False

    def openness_of(self, sign: int) -> float:
        """Return the openness of the eye on the right (sign 1) or left (-1) of the picture."""
        return self.openness if self.opennesses is None else self.opennesses[sign > 0]


JITTER_COUNT = 32

# Hue in degrees, saturation and value in 0..1, each (low, high). A colour may have several ranges of equal chance.
# There is a gap between any two names, so that a human (and a tagger) can tell them apart.
HAIR = {
    "blonde": (((44, 50), (0.48, 0.64), (0.93, 1.0)), ((44, 52), (0.32, 0.42), (0.92, 0.98))),
    "brown": (((16, 24), (0.50, 0.64), (0.36, 0.50)), ((22, 28), (0.42, 0.54), (0.48, 0.60))),
    "black": (((215, 250), (0.18, 0.36), (0.15, 0.23)), ((10, 30), (0.10, 0.20), (0.13, 0.19))),
    "blue": (((204, 222), (0.50, 0.72), (0.72, 0.95)), ((218, 230), (0.62, 0.80), (0.52, 0.75))),
    "pink": (((334, 348), (0.28, 0.44), (0.95, 1.0)), ((326, 338), (0.40, 0.52), (0.93, 1.0))),
    "purple": (((264, 278), (0.42, 0.60), (0.50, 0.72)), ((266, 276), (0.32, 0.44), (0.76, 0.90))),
    "green": (((95, 130), (0.38, 0.55), (0.60, 0.82)), ((135, 158), (0.45, 0.65), (0.48, 0.78))),
    "red": (((354, 364), (0.70, 0.84), (0.66, 0.86)), ((2, 10), (0.70, 0.82), (0.74, 0.90))),
    "silver": (((215, 245), (0.03, 0.08), (0.80, 0.90)), ((20, 300), (0.01, 0.035), (0.82, 0.92))),
}
EYES = {
    "blue": (((205, 225), (0.65, 0.85), (0.75, 0.95)),),
    "green": (((110, 160), (0.55, 0.75), (0.60, 0.80)),),
    "brown": (((16, 28), (0.55, 0.70), (0.45, 0.62)),),
    "red": (((352, 362), (0.70, 0.85), (0.75, 0.90)),),
    "purple": (((265, 285), (0.50, 0.70), (0.65, 0.85)),),
    "yellow": (((40, 50), (0.70, 0.85), (0.85, 0.95)),),
    "aqua": (((178, 192), (0.55, 0.75), (0.70, 0.88)),),
    "pink": (((328, 342), (0.50, 0.65), (0.85, 0.95)),),
}
# Dark tones are rare and no skin is darker than its hair, because the face cascade misses many such faces.
SKIN = {
    "#ffeee4": 6,
    "#ffe6d8": 7,
    "#fde0cd": 7,
    "#fbd9c1": 6,
    "#f6cfb0": 3,
    "#edbd98": 1,
    "#dfae86": 0.6,
    "#c4926c": 0.25,
}

# The random choices: name -> (weight, the tags that it adds).
HAIRSTYLES = {
    "short": (3, ("short_hair",)),
    "messy": (2, ("short_hair", "messy_hair")),
    "bob": (3, ("short_hair", "bob_cut")),
    "medium": (3, ("medium_hair",)),
    "long": (4, ("long_hair",)),
    "wavy": (2, ("long_hair", "wavy_hair")),
    "twintails": (3, ("long_hair", "twintails")),
    "low_twintails": (2, ("long_hair", "low_twintails", "twintails")),
    "two_side_up": (2, ("long_hair", "two_side_up")),
    "ponytail": (2, ("long_hair", "ponytail")),
    "side_ponytail": (2, ("long_hair", "side_ponytail")),
    "braids": (2, ("long_hair", "twin_braids", "braid")),
    "buns": (2, ("short_hair", "double_bun", "hair_bun")),
}
BANGS = {
    "blunt": (3, ("blunt_bangs",)),
    "wispy": (3, ("bangs",)),
    "spiky": (3, ("bangs",)),
    "swept": (3, ("swept_bangs",)),
    "parted": (2, ("parted_bangs",)),
    "curtain": (2, ("parted_bangs", "curtained_hair")),
    "between": (3, ("hair_between_eyes",)),
}
LOCKS = {"none": (1, ()), "short": (3, ("sidelocks",)), "jaw": (3, ("sidelocks",)), "long": (2, ("sidelocks",))}
MOUTHS = {
    "smile": (4, ("smile", "closed_mouth")),
    "open": (3, ("open_mouth", "smile")),
    "neutral": (2, ("closed_mouth",)),
    "cat": (1.5, (":3", "closed_mouth")),
    "round": (1.5, ("open_mouth", ":o")),
    "frown": (1, ("frown", "closed_mouth")),
}
CLOTHES = {
    "sailor": (3, ("school_uniform", "serafuku", "sailor_collar")),
    "shirt": (2, ("shirt", "collared_shirt", "necktie")),
    "blazer": (2, ("school_uniform", "blazer", "bowtie")),
    "hoodie": (2, ("hoodie",)),
    "sweater": (2, ("sweater", "turtleneck")),
    "tee": (2, ("shirt",)),
    "kimono": (1.5, ("kimono", "japanese_clothes")),
    "dress": (2, ("dress", "bare_shoulders")),
    "frill": (1.5, ("dress", "frills", "neck_ribbon")),
}
ACCESSORIES = {
    "none": (9, ()),
    "ribbon": (2, ("hair_ribbon",)),
    "big_bow": (1.5, ("hair_bow",)),
    "hairclip": (2, ("hairclip",)),
    "flower": (1.5, ("hair_flower",)),
    "hairband": (1.5, ("hairband",)),
    "headphones": (1, ("headphones",)),
    "glasses": (1.2, ("glasses",)),
    "cat_ears": (1.5, ("animal_ears", "cat_ears")),
}
GROUNDS = {
    "plain": (3, ("simple_background",)),
    "gradient": (3, ("simple_background", "gradient_background")),
    "dots": (2, ("polka_dot_background",)),
    "stripes": (2, ("striped_background",)),
    "checks": (1.5, ("checkered_background",)),
    "sunburst": (1.5, ("sunburst_background",)),
    "blobs": (2, ("blurry_background",)),
    "disc": (0, ("simple_background",)),
    "halves": (0, ("two-tone_background",)),
}
ICON_GROUNDS = ("plain", "disc", "halves", "stripes", "sunburst", "checks", "dots")
BLUSH = {"none": (2, ()), "soft": (5, ("blush",)), "lines": (2, ("blush",))}
EYE_SHAPES = {"round": 3, "tall": 3, "sharp": 2, "droopy": 2}
BROWS = {"arched": 3, "straight": 2, "raised": 1.5, "worried": 1, "stern": 1}


def sample(seed: int, i: int, *, style: str = "character") -> Look:
    """Return every choice of the i-th picture of a seed. Each part has its own random stream."""
    parts = {
        **_canvas(_rng(seed, i, 0)),
        **_hair(seed, i, _rng(seed, i, 1)),
        **_dress(_rng(seed, i, 3)),
        "style": style,
        "jitter": tuple(_rng(seed, i, 4).standard_normal(JITTER_COUNT).clip(-2, 2).tolist()),
    }
    parts |= _face(_rng(seed, i, 2), parts["hair"])
    parts |= _ground(_rng(seed, i, 5), parts["hair"])
    if (parts["hairstyle"], parts["accessory"]) == ("buns", "cat_ears"):
        parts["accessory"] = "none"  # they would overlap
    parts["ahoge"] &= parts["accessory"] != "big_bow"
    if style == "icon":
        parts |= _icon(_rng(seed, i, 6), parts)
    return Look(**parts)


def tags(look: Look) -> tuple[str, ...]:
    """Return the tags that a booru would give the picture."""
    hair = "grey" if look.hair_color == "silver" else look.hair_color
    chosen = [
        table[name][1]
        for table, name in (
            (HAIRSTYLES, look.hairstyle),
            (BANGS, look.bangs),
            (LOCKS, look.locks),
            (MOUTHS, look.mouth),
            (BLUSH, look.blush),
            (CLOTHES, look.clothes),
            (ACCESSORIES, look.accessory),
            (GROUNDS, look.ground),
        )
    ]
    fixed = ("1girl", "solo", f"{hair}_hair", f"{look.eye_color}_eyes", "portrait", "looking_at_viewer")
    return tuple(dict.fromkeys([*fixed, *sum(chosen, ()), *(["ahoge"] if look.ahoge else [])]))


def _rng(*key: int) -> np.random.Generator:
    return np.random.default_rng(key)


def _pick(rng: np.random.Generator, table: dict) -> str:
    """Draw a key of the table with a chance in proportion to its weight."""
    weights = np.array([row[0] if isinstance(row, tuple) else row for row in table.values()], float)
    return list(table)[rng.choice(len(weights), p=weights / weights.sum())]


def _hsv(hue: float, saturation: float, value: float) -> RGB:
    """Convert hue in degrees, saturation and value in 0..1 to RGB in 0..255."""
    red, green, blue = (round(255 * c) for c in colorsys.hsv_to_rgb(hue % 360 / 360, saturation, value))
    return red, green, blue


def _shade(rng: np.random.Generator, ranges: tuple) -> RGB:
    """Draw a colour from one of the ranges of hue, saturation and value."""
    chosen = ranges[rng.integers(len(ranges))]
    return _hsv(*(rng.uniform(low, high) for low, high in chosen))


def _hex(color: str) -> RGB:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _grey(color: RGB) -> float:
    return float(np.dot(color, (0.299, 0.587, 0.114)))


def _canvas(rng: np.random.Generator) -> dict:
    width = int(rng.integers(320, 641))
    height = int(width * rng.uniform(0.85, 1.4))
    side = float(np.clip(rng.uniform(0.34, 0.52) * min(width, height), 100, 260))
    x = width / 2 + rng.uniform(-1, 1) * max(0, width / 2 - 0.95 * side) * 0.6
    low, high = min(1.0 * side, height / 2), max(height / 2, height - 1.0 * side)
    return {
        "size": (width, height),
        "side": side,
        "center": (float(x), float(low + rng.beta(1.6, 2.4) * (high - low))),
        "tilt": float(np.clip(rng.normal(0, 4), -10, 10)),
        "openness": float(rng.uniform(0.85, 1)) if rng.random() < 0.9 else float(rng.uniform(0.75, 0.85)),
        "flip": int(rng.choice((-1, 1))),
        "turn": float(rng.uniform(-0.05, 0.05)),
        "line": float(rng.choice((0, 0.010, 0.013, 0.016, 0.022), p=(0.05, 0.2, 0.31, 0.26, 0.18))),
        "shading": str(rng.choice(("flat", "cel", "soft"), p=(0.15, 0.5, 0.35))),
    }


@cache
def _hair_cycle(seed: int) -> tuple[str, ...]:
    """Return the nine colours in this seed's order; any nine consecutive pictures have all of them."""
    return tuple(HAIR_COLORS[k] for k in _rng(seed, 7).permutation(len(HAIR_COLORS)))


def _hair(seed: int, i: int, rng: np.random.Generator) -> dict:
    color = _hair_cycle(seed)[i % len(HAIR_COLORS)]
    return {
        "hair_color": color,
        "hair": _shade(rng, HAIR[color]),
        "hairstyle": _pick(rng, HAIRSTYLES),
        "bangs": _pick(rng, BANGS),
        "locks": _pick(rng, LOCKS),
        "ahoge": bool(rng.random() < 0.2),
        "shine": str(rng.choice(("ring", "patch", "none"), p=(0.45, 0.35, 0.2))),
        "volume": float(rng.uniform(0.94, 1.08)),
    }


def _face(rng: np.random.Generator, hair: RGB) -> dict:
    eye_color = list(EYES)[rng.integers(len(EYES))]
    skins = {tone: weight for tone, weight in SKIN.items() if _grey(_hex(tone)) > _grey(hair)}
    return {
        "skin": _hex(_pick(rng, skins)),
        "jaw": float(rng.uniform(0, 0.8)),
        "ears": bool(rng.random() < 0.6),
        "blush": _pick(rng, BLUSH),
        "eye": _pick(rng, EYE_SHAPES),
        "eye_color": eye_color,
        "iris": _shade(rng, EYES[eye_color]),
        "eye_size": float(rng.uniform(1.02, 1.18)),
        "brow": _pick(rng, BROWS),
        "mouth": _pick(rng, MOUTHS),
    }


def _dress(rng: np.random.Generator) -> dict:
    hue = rng.uniform(0, 360)
    return {
        "clothes": _pick(rng, CLOTHES),
        "cloth": _hsv(hue, rng.uniform(0.1, 0.65), rng.choice((0.32, 0.6, 0.78, 0.95))),
        "trim": _hsv(hue + rng.choice((30, 180, 210)), rng.uniform(0.05, 0.5), rng.uniform(0.85, 1)),
        "accent": _hsv(rng.uniform(0, 360), rng.uniform(0.5, 0.85), rng.uniform(0.7, 0.95)),
        "accessory": _pick(rng, ACCESSORIES),
    }


def _ground(rng: np.random.Generator, hair: RGB) -> dict:
    """Sample the background: mostly pale, sometimes strong or dark, sometimes near the hair's colour, never equal."""
    hue, kind = rng.uniform(0, 360), rng.random()
    if kind < 0.12:
        h, s, v = colorsys.rgb_to_hsv(*(c / 255 for c in hair))
        hue, s, v = 360 * h, 0.7 * s, v + (0.22 if v < 0.7 else -0.2)
    elif kind < 0.62:
        s, v = rng.uniform(0.05, 0.3), rng.uniform(0.88, 1)
    elif kind < 0.87:
        s, v = rng.uniform(0.35, 0.65), rng.uniform(0.65, 0.95)
    else:
        s, v = rng.uniform(0.2, 0.6), rng.uniform(0.2, 0.45)
    other = v + (0.12 if v < 0.5 else -rng.uniform(0.05, 0.18))
    second = _hsv(hue + rng.uniform(-40, 40), np.clip(s + rng.uniform(-0.05, 0.2), 0, 1), np.clip(other, 0, 1))
    first = _hsv(hue, s, v)
    return {
        "ground": _pick(rng, GROUNDS),
        "ground_colors": (first, second) if rng.random() < 0.5 else (second, first),
        "ground_pitch": float(rng.uniform(0.1, 0.26)),
        "ground_angle": float(rng.uniform(0, 180)),
    }


def _icon(rng: np.random.Generator, look: dict) -> dict:
    """Sample the choices that turn a portrait into an icon: square, tilted by 45 degrees, flat colours, thick lines."""
    width = int(rng.integers(320, 513))
    side = width * rng.uniform(0.32, 0.46)
    strong = [_hsv(rng.uniform(0, 360), rng.uniform(0.45, 0.8), rng.uniform(0.8, 1)) for _ in range(2)]
    return {
        "size": (width, width),
        "side": float(side),
        "center": (float(width * rng.uniform(0.38, 0.62)), float(width * rng.uniform(0.4, 0.62))),
        "tilt": 45.0,
        "turn": 0.0,
        "line": float(rng.uniform(0.032, 0.045)),
        "shading": "flat",
        "shine": "none",
        "ground": str(rng.choice(ICON_GROUNDS)),
        "ground_colors": tuple(strong),
    }
