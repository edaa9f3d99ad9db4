import io
import itertools
import random
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageEnhance

from pipeline.datasets.splits import COPIES as COLUMNS
from pipeline.datasets.splits import components, group, largest_of_copies, split_of
from pipeline.drawing.portrait import render as paint
from pipeline.drawing.portrait.look import sample
from pipeline.images import near_duplicates as near
from pipeline.images.collect import collect
from pipeline.images.decode import load
from pipeline.sources.base import BytesReader, Post
from pipeline.store import Store

DRAWN = 24
POSE = ("size", "side", "center", "tilt", "openness", "line", "shading", "flip", "turn", "jitter")


def turned(picture: Image.Image, degrees: float) -> Image.Image:
    """All its hues."""
    hsv = np.asarray(picture.convert("HSV")).copy()
    hsv[..., 0] = (hsv[..., 0].astype(int) + round(degrees / 360 * 256)) % 256
    return Image.fromarray(hsv, "HSV").convert("RGB")


def jpeg(picture: Image.Image, quality: int) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def cropped(picture: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    width, height = picture.size
    return picture.crop((left * width, top * height, (1 - right) * width, (1 - bottom) * height))


COPIES = {
    "recompressed": lambda picture: jpeg(picture, 40),
    "smaller": lambda picture: picture.resize((picture.width // 3, picture.height // 3)),
    "larger": lambda picture: picture.resize((2 * picture.width, 2 * picture.height), Image.Resampling.BICUBIC),
    "cropped": lambda picture: cropped(picture, 0.04, 0.01, 0.02, 0.04),
    "cropped at a side": lambda picture: cropped(picture, 0, 0.05, 0, 0),
    "mirrored": lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "of other hues": lambda picture: turned(picture, 20),
    "darker": lambda picture: ImageEnhance.Brightness(picture).enhance(0.75),
    "of more contrast": lambda picture: ImageEnhance.Contrast(picture).enhance(1.2),
    "paler": lambda picture: ImageEnhance.Color(picture).enhance(0.6),
    "all at once": lambda picture: jpeg(
        cropped(turned(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), -10), 0.02, 0, 0.03, 0.02), 70
    ),
}


PLANTED = {
    "recompressed": lambda picture, at: jpeg(picture, round(at(30, 90))),
    "resized": lambda picture, at: picture.resize([round(side * at(0.5, 1.5)) for side in picture.size]),
    "cropped": lambda picture, at: cropped(picture, *(at(0, 0.05) for _ in range(4))),
    "mirrored": lambda picture, at: COPIES["mirrored"](picture),
    "of other hues": lambda picture, at: turned(picture, at(-30, 30)),
    "of other brightness": lambda picture, at: ImageEnhance.Brightness(picture).enhance(at(0.7, 1.3)),
    "of other contrast": lambda picture, at: ImageEnhance.Contrast(picture).enhance(at(0.7, 1.35)),
    "of other chroma": lambda picture, at: ImageEnhance.Color(picture).enhance(at(0.5, 1.6)),
    "all at once": lambda picture, at: jpeg(
        cropped(turned(COPIES["mirrored"](picture), at(-20, 20)), *(at(0, 0.04) for _ in range(4))), round(at(40, 90))
    ),
}
"""(picture, (low, high) -> a number between) -> its copy."""


@pytest.fixture(scope="module")
def drawn() -> list[Image.Image]:
    return [Image.fromarray(paint.render(sample(11, i))) for i in range(DRAWN)]


def text(picture: Image.Image, folder: Path) -> str:
    """Its thumbnail, by way of a file."""
    picture.save(folder / "picture.png", compress_level=1)
    return near.summarize(near.load_reduced(folder / "picture.png", near.MAX_SHRINK).pixels)["thumbnail"]


@pytest.mark.full(keep=4)
@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_is_known(kind, drawn, tmp_path):
    known = [near.confirm((text(picture, tmp_path), text(COPIES[kind](picture), tmp_path))) for picture in drawn]
    assert sum(known) >= DRAWN - 1


def test_another_character_in_the_same_pose_is_none(drawn, tmp_path):
    for i, picture in enumerate(drawn):
        pose = {name: getattr(sample(11, i), name) for name in POSE}
        other = Image.fromarray(paint.render(replace(sample(11, i + 1), **pose)))
        assert not near.confirm((text(picture, tmp_path), text(other, tmp_path)))


@pytest.mark.full
def test_the_same_drawing_with_hair_of_another_color_is_none(tmp_path):
    is_copy = []
    for i in range(DRAWN):
        look = replace(sample(11, i), hair_color="blonde", hair=(240, 205, 105))
        pair = (look, replace(look, hair_color="blue", hair=(60, 110, 200)))
        is_copy.append(near.confirm(tuple(text(Image.fromarray(paint.render(look)), tmp_path) for look in pair)))
    assert not any(is_copy)


def test_pictures_without_anything_to_see_are_copies_of_nothing(tmp_path):
    white = text(Image.new("RGB", (300, 300), "white"), tmp_path)
    assert not near.confirm((white, white))
    sketch = near.sketch(near.decode_thumbnail(white))
    assert not sketch.any()
    assert list(near.candidates(np.stack([sketch] * 1000))) == []


def test_a_sketch_of_the_mirror_image_is_the_sketch_mirrored(drawn):
    for picture in drawn:
        small = cv2.resize(np.asarray(picture), (near.SIDE, near.SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
        of_mirrored = near.sketch(np.ascontiguousarray(small[:, ::-1])).astype(int)
        assert np.abs(of_mirrored - near.mirror(near.sketch(small))).max() <= 1


def planted(count: int, copies: int, noise: float) -> np.ndarray:
    """Sketches, the last `copies` of which are of copies of the first, every second one mirrored."""
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((count, near.DCT_TERMS**2))
    vectors[-copies:] = vectors[:copies] + noise * rng.standard_normal((copies, near.DCT_TERMS**2))
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    sketches = np.rint(near.SKETCH_LENGTH * vectors / lengths).astype(np.int8)
    sketches[-copies::2] = near.mirror(sketches[-copies::2])
    return sketches


def test_candidates_are_those_of_comparing_all():
    sketches = planted(400, 150, 0.3)
    upright, mirrored = sketches.astype(int), near.mirror(sketches).astype(int)
    likeness = np.maximum(upright @ upright.T, upright @ mirrored.T)
    y, x = np.nonzero(np.triu(likeness >= near.MIN_SKETCH_COSINE * near.SKETCH_LENGTH**2, 1))
    assert list(near.candidates(sketches)) == list(zip(y.tolist(), x.tolist(), strict=True))
    assert len(y) > 100


@pytest.mark.full
def test_cells_miss_next_to_nothing():
    count, copies = 40_000, 2_000
    found = set(near.candidates(planted(count, copies, 0.2)))
    assert sum((row, count - copies + row) in found for row in range(copies)) >= 0.995 * copies


def test_a_component_is_named_by_its_smallest_member_in_any_order_of_edges():
    edges = [("d", "c"), ("b", "a"), ("c", "b"), ("x", "x"), ("z", "y")]
    expected = {"a": "a", "b": "a", "c": "a", "d": "a", "x": "x", "y": "y", "z": "y"}
    for order in itertools.permutations(edges):
        assert components(order) == expected


def test_splits_are_about_80_10_10_and_fixed():
    splits = [split_of(f"{i:064x}") for i in range(10_000)]
    assert all(
        abs(splits.count(name) - share) < 100  # three standard deviations are 90 to 120
        for name, share in (("train", 8_000), ("val", 1_000), ("test", 1_000))
    )
    assert [split_of(name) for name in "abcd"] == [split_of(name) for name in "abcd"]


@pytest.mark.slow
def test_planted_copies_are_grouped_and_hardly_anything_else(sprites, tmp_path):
    """Four of each of 273 pictures, of random kinds and strengths."""
    chance = random.Random(9)
    originals = {f"drawn {i}": Image.fromarray(paint.render(sample(77, i))) for i in range(260)}
    originals |= {path.stem: Image.fromarray(load(path)) for path in sorted(sprites.iterdir())}
    files = {}
    for name, original in originals.items():
        copies = {"": original}
        copies |= {kind: PLANTED[kind](original, chance.uniform) for kind in chance.sample(list(PLANTED), 4)}
        for kind, copy in copies.items():
            files[f"{name}|{kind}".replace(" ", "_")] = file = tmp_path / f"{len(files)}.png"
            copy.save(file, compress_level=1)
    (tmp_path / "stages/.work").mkdir(parents=True)
    pairs = list(near.find_copies(files, "pictures", Store(tmp_path, "d")))
    group_of = components([(key, key) for key in files] + pairs)

    def drawing(key: str) -> str:
        """Which; a sprite's other expressions are the same one."""
        return key.split("|")[0] if key.startswith("drawn") else "_".join(key.split("|")[0].split("_")[:-1])

    copies = [key for key in files if not key.endswith("|")]
    missed = [key for key in copies if group_of[key] != group_of[key.split("|")[0] + "|"]]
    wrong = [pair for pair in pairs if drawing(pair[0]) != drawing(pair[1])]
    print(f"{len(copies)} copies, missed: {missed}; {len(pairs)} pairs, wrong: {wrong}")
    assert len(missed) <= 0.01 * len(copies)
    assert len(wrong) <= 0.001 * len(pairs)


class Place:
    """Pictures and crops on disk, and the two tables that `group` takes."""

    def __init__(self, root: Path):
        self.root, self.images, self.faces = root, [], []
        (root / "crops").mkdir(parents=True)

    def add(self, image_id: str, picture: Image.Image, *crops: Image.Image) -> "Place":
        picture.save(self.root / f"{image_id}.png", compress_level=1)
        width, height = picture.size
        self.images.append(
            {"image_id": image_id, "path": f"{image_id}.png", "width": width, "height": height, "bytes": 1}
        )
        for number, crop in enumerate(crops):
            face_id = f"{image_id}{number}"
            crop.resize((128, 128)).save(self.root / "crops" / f"{face_id}.png")
            self.faces.append(
                {
                    "face_id": face_id,
                    "path": f"{face_id}.png",
                    "image_id": image_id,
                    "source": "s",
                    "source_id": f"of {image_id}",
                    "width": width,
                    "height": height,
                }
            )
        return self

    def grouped(self, **options) -> pa.Table:
        tables = pa.Table.from_pylist(self.faces), pa.Table.from_pylist(self.images)
        return group(*tables, Store(self.root, "d"), crops=self.root / "crops", **options)


@pytest.fixture
def place(tmp_path, drawn) -> Place:
    (tmp_path / "stages/.work").mkdir(parents=True)
    place = Place(tmp_path)
    place.add("a", COPIES["smaller"](drawn[0]), drawn[10], drawn[11])
    place.add("b", drawn[0], drawn[12])  # a copy
    place.add("c", drawn[1], COPIES["mirrored"](drawn[12]))  # a copied crop: c joins b, hence a
    return place.add("d", drawn[2], drawn[13])


def test_faces_of_one_picture_of_copies_and_with_copied_crops_are_one_group(place):
    grouped = place.grouped()
    assert grouped["group"].to_pylist() == ["a", "a", "a", "a", "d"]
    assert len(set(zip(grouped["group"].to_pylist(), grouped["split"].to_pylist(), strict=True))) == 2


def test_of_copies_the_largest_stays_and_no_face_that_is_no_copy_is_lost(place, drawn):
    place.add("e", drawn[4].resize((1000, 1000)), drawn[12], drawn[15])  # larger than b and c, with the same crop
    grouped = place.grouped()
    assert set(grouped["group"].to_pylist()) == {"a", "d"}
    kept, drops = largest_of_copies(grouped)
    # a is a smaller copy of b, whose own face is again in e; c's only face is e's too; e's second face is its own
    assert kept["face_id"].to_pylist() == ["d0", "e0", "e1"]
    assert [(row["image_id"], row["reason"], row["detail"]) for row in drops] == [
        ("a", "near_duplicate", "of of b"),
        ("a", "near_duplicate", "of of b"),
        ("b", "near_duplicate", "of of e"),
        ("c", "near_duplicate", "of of e"),
    ]


def test_the_only_face_that_is_left_of_its_copies_stays(place):
    """As when a filter has taken out the larger ones before."""
    grouped = place.grouped()
    left = grouped.filter(pa.array([image_id in ("a", "d") for image_id in grouped["image_id"].to_pylist()]))
    assert largest_of_copies(left) == (left, [])


def test_adding_pictures_moves_no_group_and_looks_at_nothing_twice(place, drawn, monkeypatch):
    columns = ["face_id", "group", "split", *COLUMNS]
    before = place.grouped().select(columns).to_pylist()
    place.add("e", drawn[3], drawn[14])
    looked_at = []
    load = near.load_reduced
    monkeypatch.setattr(near, "load_reduced", lambda path, *how: (looked_at.append(path.stem), load(path, *how))[1])
    assert place.grouped(jobs=1).select(columns).to_pylist()[:5] == before
    assert looked_at == ["e", "e0"]


def test_a_sketch_made_when_a_picture_is_verified_is_that_of_its_file(drawn, store):
    posts = []
    for format_ in ("PNG", "JPEG", "WEBP"):
        drawn[0].resize((700, 900)).save(file := io.BytesIO(), format_)
        posts.append(Post(format_, BytesReader(file.getvalue()), format_))
    images, _ = collect(posts, "folder", 0, store, jobs=1, later=[near.SKETCHING])
    files = dict(zip(images["image_id"].to_pylist(), images["path"].to_pylist(), strict=True))
    with store.memory(near.SKETCHING.cache, near._SUMMARY_SHAPE) as sketches:
        known = sketches.get_all([*files])
    assert known == {key: near._summarize_file(store.root / path) for key, path in files.items()}
    assert len(known) == 3


def test_groups_are_the_same_in_any_order_and_at_any_number_of_jobs(drawn, tmp_path):
    groups = []
    for number, jobs in enumerate((1, 2)):
        root = tmp_path / str(number)
        (root / "stages/.work").mkdir(parents=True)
        place = Place(root)
        entries = [(f"{i:02}", drawn[i % 9], drawn[i % 7]) for i in range(12)]
        for entry in random.Random(number).sample(entries, len(entries)):
            place.add(*entry)
        grouped = place.grouped(jobs=jobs)
        groups.append(dict(zip(grouped["image_id"].to_pylist(), grouped["group"].to_pylist(), strict=True)))
    assert groups[0] == groups[1]
    assert len(set(groups[0].values())) < 9


def test_copies_are_found_beside_another_picture_of_the_same_sketch(drawn, tmp_path):
    """The sketch is of brightness alone: a drawing in other colours of the same brightness has the same one."""
    (tmp_path / "stages/.work").mkdir(parents=True)
    grey = np.asarray(drawn[0].convert("L"))
    red = np.stack([np.clip(grey * 1.5, 0, 255), grey * 0.6, grey * 0.6], axis=2).astype(np.uint8)
    for name, pixels in {"0": red, "1": np.asarray(drawn[0]), "2": np.asarray(drawn[0])}.items():
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    sketch = near.sketch(near.decode_thumbnail(text(drawn[0], tmp_path)))
    assert [*near.candidates(np.stack([sketch] * 3))] == [(0, 1), (0, 2), (1, 2)]
    files = {name: tmp_path / f"{name}.png" for name in "012"}
    assert [*near.find_copies(files, "pictures", Store(tmp_path, "d"))] == [("1", "2")]


def test_of_many_that_are_alike_only_the_likest_are_looked_at():
    rng = np.random.default_rng(0)
    alike = rng.standard_normal(near.DCT_TERMS**2) + 0.05 * rng.standard_normal((3000, near.DCT_TERMS**2))
    sketches = np.rint(near.SKETCH_LENGTH * alike / np.linalg.norm(alike, axis=1, keepdims=True)).astype(np.int8)
    assert len([*near.candidates(sketches)]) <= 2 * near.MAX_CANDIDATES * len(sketches)
