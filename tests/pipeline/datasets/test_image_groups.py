"""Groups, splits and sizes of whole pictures."""

import hashlib
import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from pipeline.datasets import image_groups
from pipeline.datasets.splits import largest_of_copies, split_of
from pipeline.images.collect import collect
from pipeline.sources import drawn
from pipeline.sources.base import BytesReader, Post


def post(name: str, picture: Image.Image, kind: str) -> Post:
    file = io.BytesIO()
    picture.save(file, kind, quality=90)
    return Post(name, BytesReader(file.getvalue()), hashlib.sha256(file.getvalue()).hexdigest())


@pytest.fixture
def images(store) -> pa.Table:
    """A picture, a larger copy of it as JPEG, another picture, and a narrow one."""
    first, other = (drawn.draw(0, i)[0].resize((300, 320)) for i in (0, 1))
    narrow = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 255, 3), np.uint8))
    posts = [
        post("a.png", first, "PNG"),
        post("b.jpg", first.resize((400, 427)), "JPEG"),
        post("c.png", other, "PNG"),
        post("d.png", narrow, "PNG"),
    ]
    return collect(posts, "folder", 0, store, jobs=1)[0]


def by_name(table: pa.Table, column: str) -> dict[str, str]:
    return dict(zip(table["source_id"].to_pylist(), table[column].to_pylist(), strict=True))


def test_copies_are_one_group_in_one_split(images, store):
    grouped = image_groups.group(images, store, jobs=1)
    ids, groups, splits = (by_name(grouped, column) for column in ("image_id", "group", "split"))
    assert groups["a.png"] == groups["b.jpg"] == min(ids["a.png"], ids["b.jpg"])
    assert (groups["c.png"], groups["d.png"]) == (ids["c.png"], ids["d.png"])
    assert splits == {name: split_of(group) for name, group in groups.items()}


def test_a_picture_that_is_too_narrow_is_dropped_with_its_size(images):
    table, (drop,) = image_groups.select_large(images, 256)
    assert table["source_id"].to_pylist() == ["a.png", "b.jpg", "c.png"]
    assert (drop["source_id"], drop["reason"], drop["detail"]) == ("d.png", "small_original", "255 × 300 px")
    assert len(image_groups.select_large(images, 255)[0]) == 4


def test_of_copies_the_largest_stays(images, store):
    table, (drop,) = largest_of_copies(image_groups.group(images, store, jobs=1), ["group"])
    assert table["source_id"].to_pylist() == ["b.jpg", "c.png", "d.png"]
    assert (drop["source_id"], drop["reason"], drop["detail"]) == ("a.png", "near_duplicate", "of b.jpg")
