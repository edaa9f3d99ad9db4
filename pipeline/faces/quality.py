"""Filters of faces by their measured quality, all of them off by default."""

from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.funnel import funnel_row
from pipeline.manifest import rows_of

VERSION = 1


class Limits(NamedTuple):
    """The limits that a face has to meet; the defaults keep all faces."""

    min_sharpness: float = 0.0  # variance of the crop's Laplacian, grey 0..255: blurred crops have little
    min_brightness: float = 0.0
    max_brightness: float = 1.0  # mean luma of the crop, 0..1
    monochrome: str = "keep"  # crops with hardly any colour: keep, drop, or only these
    min_original: int = 0  # shorter side of the original, px
    min_score: float = 0.0  # of the detector; 0: any


# Reason -> (which faces fail, the value for the drop's detail); a face is dropped for the first that applies.
_FAILS = {
    "small_original": lambda faces, limits: (
        pc.less(pc.min_element_wise(faces["width"], faces["height"]), limits.min_original),
        pc.min_element_wise(faces["width"], faces["height"]),
    ),
    "low_score": lambda faces, limits: (
        pc.and_(pc.less(faces["score"], limits.min_score), limits.min_score > 0),
        faces["score"],
    ),
    "blurred": lambda faces, limits: (pc.less(faces["sharpness"], limits.min_sharpness), faces["sharpness"]),
    "dark": lambda faces, limits: (pc.less(faces["brightness"], limits.min_brightness), faces["brightness"]),
    "bright": lambda faces, limits: (pc.greater(faces["brightness"], limits.max_brightness), faces["brightness"]),
    "monochrome": lambda faces, limits: (pc.and_(faces["monochrome"], limits.monochrome == "drop"), None),
    "colored": lambda faces, limits: (pc.and_(pc.invert(faces["monochrome"]), limits.monochrome == "only"), None),
}


def select(faces: pa.Table, limits: Limits) -> tuple[pa.Table, list[dict]]:
    """Return (the faces within the limits, rows of FUNNEL for the others). `faces` have their crops' columns."""
    drops: list[dict] = []
    for reason, judge in _FAILS.items():
        fails, values = judge(faces, limits)
        failed = faces.filter(fails)
        details = (
            [""] * len(failed) if values is None else [f"{value:.4g}" for value in values.filter(fails).to_pylist()]
        )
        rows = rows_of(failed, "source", "source_id", "image_id")
        for (source, source_id, image_id), detail in zip(rows, details, strict=True):
            drops.append(funnel_row("quality", source, source_id, reason, detail, image_id))
        faces = faces.filter(pc.invert(fails))
    return faces, drops
