"""Every kind of dataset goes through assemble, publish, card, pack, recipe, corrections and takedown."""

import datetime
import hashlib
import io
import json
import os
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from pipeline.datasets import assemble, corrections, publish, recipe, takedown
from pipeline.datasets.kinds import FACE_KIND, KINDS, Kind, kind_of
from pipeline.datasets.pack import pack
from pipeline.datasets.review.review import open_review
from pipeline.datasets.splits import split_of
from pipeline.errors import UserError
from pipeline.funnel import funnel_row
from pipeline.manifest import CLIP_FRAMES, ManifestError, read
from pipeline.store import Store
from tests.pipeline.test_manifest import row as face_row

DIGEST = "0123456789abcdef"
REQUEST = {"source": "folder", "query": "", "path": None}
SIDE = 16
HAIR = [("blue", "tags"), ("red", "color"), (None, "color"), ("red", "color")]  # colour, tagger


def png(seed: int, width: int, height: int) -> tuple[str, bytes]:
    """The sha256 and the bytes of a PNG file of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return hashlib.sha256(file.getvalue()).hexdigest(), file.getvalue()


def image_row(item: str, number: int) -> dict:
    return {
        "image_id": item,
        "bytes": 1,
        "md5": "0" * 32,
        "format": "PNG",
        "width": SIDE + number,
        "height": SIDE,
        "phash": "0" * 16,
        "source": "folder",
        "source_id": f"{number}.png",
        "tags": [],
        "fetched_at": datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc),
    }


def test_the_card_counts_the_colours_that_pixels_named_without_the_faces_that_have_none():
    rows = [{"hair_color": color, "hair_tagger": tagger} for color, tagger in HAIR]
    sections = FACE_KIND.sections(pa.Table.from_pylist(rows))
    assert "\n2 colours were named by their pixels." in sections
    assert "| none | 1 |" in sections


@pytest.mark.parametrize("count", [1, 2])
def test_the_charts_of_faces_are_those_that_the_card_shows(count):
    rows = [{"hair_color": color, "hair_tagger": tagger, "split": "train"} for color, tagger in HAIR[:count]]
    faces = pa.Table.from_pylist(rows)
    assert re.findall(r"\]\((.*?)\)", FACE_KIND.sections(faces)) == [*FACE_KIND.charts(faces, Path())]
    assert ("hair_reliability.png" in FACE_KIND.charts(faces, Path())) == (count == 2)
    assert "pixels" not in FACE_KIND.sections(pa.Table.from_pylist(rows[:1]))


def clip_row(item: str, number: int) -> dict:
    return {
        "clip_id": item,
        "size": SIDE,
        "frames": CLIP_FRAMES,
        "fps": 18.0,
        "video_id": hashlib.sha256(f"video {number}".encode()).hexdigest(),
        "video": f"{number}.mp4",
        "start": 1.5,
        "shot": 0,
        "track": 0,
        **{name: [1.0, 2.0, 3.0, 4.0] for name in ("face_box", "left_eye", "right_eye")},
        "openness": [1.0] * CLIP_FRAMES,
        "closed_frame": 7,
    }


def a_face_row(item: str, number: int) -> dict:
    original = hashlib.sha256(f"image {number}".encode()).hexdigest()
    return face_row(
        face_id=item, size=SIDE, source_id=f"{number}.png", image_id=original, image_path=f"images/ab/{original}.png"
    )


MAKERS = {
    "faces": (a_face_row, lambda number: png(number, SIDE, SIDE)),
    "images": (image_row, lambda number: png(number, SIDE + number, SIDE)),
    "clips": (clip_row, lambda number: png(number, SIDE, CLIP_FRAMES * SIDE)),
}


def rows_and_files(kind: Kind, items: Path, count: int = 3) -> pa.Table:
    make_row, make_file = MAKERS[kind.name]
    rows = []
    for number in range(count):
        item, data = make_file(number)
        path = f"{kind.folder}/{item[:2]}/{item}.png"
        (items / path).parent.mkdir(parents=True, exist_ok=True)
        (items / path).write_bytes(data)
        row = make_row(item, number) | {"path": path}
        group = row[kind.original_column]
        rows.append(row | {"group": group, "split": split_of(group)})
    return pa.Table.from_pylist(rows, schema=kind.schema)


@pytest.fixture(params=KINDS)
def kind(request) -> Kind:
    return KINDS[request.param]


@pytest.fixture
def root(kind, tmp_path) -> Path:
    """A data root with a dataset `some` of that kind."""
    root = tmp_path / "data"
    store = Store(root, DIGEST)
    table = rows_and_files(kind, tmp_path / "items")
    drops = [funnel_row("images", "folder", "bad.png", "truncated")]
    build = assemble.Build({"source": "folder"}, 4, assemble.versions())
    with store.claim() as scratch:
        (scratch / "made").mkdir()
        assemble.assemble(scratch / "made", kind, table, drops, build, tmp_path / "items")
        (root / "datasets/.versions").mkdir(parents=True)
        os.replace(scratch / "made", root / "datasets/.versions" / DIGEST)
        publish.publish(store, "some", REQUEST)
    return root


def test_it_is_assembled_and_published_with_a_card(kind, root):
    place = root / "datasets/some"
    assert kind_of(place) is kind
    assert publish.published(root, "some") == DIGEST
    table = read(place / "manifest.parquet", kind.schema)
    assert len(table) == 3
    assert all(kind.load(place, row) for row in table.to_pylist())
    card = (place / "README.md").read_text()
    assert f"# {kind.title}\n\n3 {kind.summary(table)} from 4 {kind.original}s" in card
    assert f'data_files: [metadata.parquet, "{kind.folder}/**/*"]' in card
    assert "truncated: the file ends" in card
    for name in kind.schema.names:
        assert f"| `{name}` |" in card
    for name in ("contact_sheet.png", *kind.charts(table, place)):
        with Image.open(place / name) as picture:
            picture.load()


def test_a_damaged_item_is_not_loaded(kind, root):
    place = root / "datasets/some"
    row = read(place / "manifest.parquet", kind.schema).to_pylist()[0]
    (place / row["path"]).unlink()
    (place / row["path"]).write_bytes(b"no picture")
    with pytest.raises(ManifestError):
        kind.load(place, row)


def test_it_is_packed(kind, root, tmp_path):
    assert pack(root, "some", tmp_path / "some.tar") == 3


def test_its_recipe_is_exported_and_read(kind, root, tmp_path):
    (tmp_path / "scratch").mkdir()
    assert recipe.export(root, "some", tmp_path / "some.parquet", tmp_path / "scratch") == 3
    held = recipe.read(tmp_path / "some.parquet")
    assert held.kind is kind
    assert held.rows.equals(read(root / "datasets/some/manifest.parquet", kind.schema))
    assert held.build.settings == {"source": "folder"}
    if kind is not FACE_KIND:
        with pytest.raises(UserError, match=f"a recipe of {kind.items}; a recipe of faces"):
            recipe.read_faces(tmp_path / "some.parquet")


def test_corrections_drop_its_items(kind, tmp_path):
    table = rows_and_files(kind, tmp_path)
    first = table[kind.id_column][0].as_py()
    drop = corrections.Correction("drop")
    corrected = corrections.apply(kind, table, {first: drop, "0" * 64: drop})
    assert corrected.table.equals(table[1:])
    assert corrected.counts == {"drop": 1, f"of {kind.items} that are not here": 1}
    assert [row["image_id"] for row in corrected.drops] == [table[kind.original_column][0].as_py()]
    if not kind.has_hair_color:
        with pytest.raises(UserError, match="hair color"):
            corrections.apply(kind, table, {first: corrections.Correction("hair_color=blue")})


def test_its_items_are_shown_in_a_review_and_dropped(kind, root):
    with open_review(root, "some") as review:
        first, *others = review.catalog.rows
        assert json.loads(review.catalog.grid())["ids"] == [first, *others]
        data, media_type = review.catalog.thumbnail(first)
        assert Image.open(io.BytesIO(data)).width >= SIDE
        assert media_type == "image/jpeg"
        if kind is not FACE_KIND:  # whose originals are not there
            picture = Image.open(io.BytesIO(review.catalog.picture(first)[0]))
            assert getattr(picture, "n_frames", 1) == (CLIP_FRAMES if kind.name == "clips" else 1)
            with pytest.raises(ValueError, match="no such correction"):
                review.correct({first: "hair_color=blue"})
        review.correct({first: "drop"})
    assert [*corrections.read(root, "some")] == [first]


@pytest.mark.parametrize("column", ["id_column", "original_column"])
def test_an_original_is_taken_down_with_its_items_and_recipe(kind, root, column, tmp_path):
    (root / "recipes").mkdir()
    (tmp_path / "scratch").mkdir()
    recipe.export(root, "some", root / "recipes/some.parquet", tmp_path / "scratch")
    table = read(root / "datasets/some/manifest.parquet", kind.schema)
    outcome = takedown.take_down(root, "sha256", table[getattr(kind, column)][0].as_py(), "")
    assert outcome.datasets == {"some": f"2 of 3 {kind.items} are left"}
    assert not outcome.unread
    assert not (root / "datasets/.versions" / DIGEST).exists()
    left = read(root / "datasets/some/manifest.parquet", kind.schema)
    assert left.equals(table[1:])
    assert not (root / "datasets/some" / table["path"][0].as_py()).exists()
    assert read(root / "recipes/some.parquet", kind.schema).equals(table[1:])
