"""Whole pictures: groups of near-duplicates, the split of a group, and the pictures that are large enough."""

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.datasets.splits import copies_of_pictures, split_of
from pipeline.funnel import funnel_row
from pipeline.manifest import rows_of, with_columns
from pipeline.store import Store

VERSION = 1


def group(images: pa.Table, store: Store, *, jobs: int = 0) -> pa.Table:
    """Return IMAGES with the columns `group` and `split`. Pictures are one group if they are copies of each other."""
    group_of = copies_of_pictures(images, store, jobs=jobs)
    groups = [group_of[image_id] for image_id in images["image_id"].to_pylist()]
    return with_columns(images, group=groups, split=[split_of(each) for each in groups])


def select_large(images: pa.Table, min_side: int) -> tuple[pa.Table, list[dict]]:
    """Return (the pictures whose shorter side has at least `min_side` px, rows of FUNNEL for the others)."""
    is_large = pc.greater_equal(pc.min_element_wise(images["width"], images["height"]), min_side)
    rows = rows_of(images.filter(pc.invert(is_large)), "source", "source_id", "image_id", "width", "height")
    drops = [
        funnel_row("size", source, source_id, "small_original", f"{width} × {height} px", image_id)
        for source, source_id, image_id, width, height in rows
    ]
    return images.filter(is_large), drops
