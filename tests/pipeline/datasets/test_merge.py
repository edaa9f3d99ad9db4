"""MergeDatasets: what becomes of rows, groups, splits and cards, and what is refused."""

import hashlib
import io
import itertools
import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

import workflows
from models.data.dataset import Dataset
from pipeline.datasets import assemble, publish, recipe, takedown
from pipeline.datasets.cutting import cutting_of
from pipeline.datasets.kinds import KINDS
from pipeline.datasets.splits import split_of
from pipeline.errors import UserError
from pipeline.funnel import FUNNEL, funnel_row
from pipeline.manifest import FACES, read
from pipeline.sources.drawn import draw
from pipeline.store import Store
from tests.pipeline.datasets.test_kinds import rows_and_files
from tests.pipeline.test_manifest import row as face_row
from tests.pipeline.test_manifest import table

SIDE = 64
REQUEST = {"source": "folder", "query": "", "path": None}


def original(name: str, split: str) -> str:
    """An image_id whose group, if it is alone, lies in that split."""
    ids = (hashlib.sha256(f"{name} {number}".encode()).hexdigest() for number in itertools.count())
    return next(image_id for image_id in ids if split_of(image_id) == split)


def portrait(number: int, *, size: int = SIDE, quality: int = 0) -> tuple[str, bytes]:
    """The sha256 and the bytes of a portrait as a PNG file; with a `quality`, of its copy by way of a JPEG."""
    picture, file = draw(0, number)[0].resize((size, size)), io.BytesIO()
    if quality:
        picture.save(file, "JPEG", quality=quality)
        picture, file = Image.open(io.BytesIO(file.getvalue())), io.BytesIO()
    picture.save(file, "PNG")
    return hashlib.sha256(file.getvalue()).hexdigest(), file.getvalue()


def face(number: int, split: str = "train", *, quality: int = 0, size: int = SIDE, **changes) -> tuple[dict, bytes]:
    """The row and the file of a portrait, which is alone in its group."""
    face_id, data = portrait(number, quality=quality, size=size)
    image_id = original(f"{number} {quality}", split)
    row = face_row(
        face_id=face_id,
        path=f"faces/{face_id[:2]}/{face_id}.png",
        size=size,
        source_id=f"{number}.png",
        image_id=image_id,
        image_path=f"images/{image_id[:2]}/{image_id}.png",
        group=image_id,
        split=split,
    )
    return row | changes, data


def store_dataset(root: Path, name: str, kind, faces, items: Path, drops=(), **facts) -> None:
    """Publish rows as the dataset `name`; `facts` are fields of its Build."""
    store = Store(root, hashlib.sha256(name.encode()).hexdigest()[:16])
    build = assemble.Build(**{"settings": {"source": name}, "images": len(faces), "versions": {"images": 2}} | facts)
    with store.claim() as scratch:
        (scratch / "made").mkdir()
        assemble.assemble(scratch / "made", kind, faces, [*drops], build, items)
        (root / "datasets/.versions").mkdir(parents=True, exist_ok=True)
        os.replace(scratch / "made", root / "datasets/.versions" / store.digest)
        publish.publish(store, name, REQUEST)


def faces_dataset(root: Path, name: str, *faces: tuple[dict, bytes], **facts) -> None:
    items = root.parent / f"items of {name}"
    for row, data in faces:
        (items / row["path"]).parent.mkdir(parents=True, exist_ok=True)
        (items / row["path"]).write_bytes(data)
    store_dataset(root, name, KINDS["faces"], table(*(row for row, _ in faces)), items, **facts)


def merge(root: Path, names: str = "a,b", name: str = "mix", **options) -> list[dict]:
    """Merge in this process; the rows of the result."""
    task = workflows.MergeDatasets(data_root=root, names=tuple(names.split(",")), name=name, jobs=1, **options)
    assert not task.complete()
    task.run()
    assert task.complete()
    return read(root / f"datasets/{name}/manifest.parquet", FACES).to_pylist()


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("two") / "data"
    drop = funnel_row("images", "folder", "bad.png", "truncated")
    settings = {"source": "folder", "query": "icon", "min_face": 48}
    a = [face(0), face(1, "val"), face(2)]
    a[2][0].update(group=a[0][0]["image_id"])  # a copy of the first
    faces_dataset(root, "a", *a, drops=[drop], settings=settings, taggers={"by tags": "1 of 3 differ"})
    settings = {"source": "archive", "min_face": 48}
    faces_dataset(root, "b", face(3, "test"), face(4), drops=[drop | {"reason": "empty"}], settings=settings)
    return root


@pytest.fixture
def root(two, tmp_path) -> Path:
    """A data root with the datasets a, of three faces in two splits, and b, of two others."""
    return Path(shutil.copytree(two, tmp_path / "data", symlinks=True))


def merged_line(root: Path, name: str, count: int) -> str:
    """What the card of a merge says of a dataset."""
    manifest = (root / f"datasets/{name}/manifest.parquet").read_bytes()
    return f"{count} faces of the manifest {hashlib.sha256(manifest).hexdigest()[:16]}"


def rows_of(root: Path, name: str) -> list[dict]:
    return read(root / f"datasets/{name}/manifest.parquet", FACES).to_pylist()


def test_the_rows_of_all_keep_their_groups_and_splits(root):
    merged = merge(root)
    assert merged == sorted(rows_of(root, "a") + rows_of(root, "b"), key=lambda row: row["source_id"])
    for row in merged:
        file = root / "datasets/mix" / row["path"]
        assert hashlib.sha256(file.read_bytes()).hexdigest() == row["face_id"]
    assert Dataset(root / "datasets/mix", root / "cache").pixels("train", 32).shape == (3, 32, 32, 3)


def test_cards_and_funnels_are_joined(root):
    merge(root)
    place = root / "datasets/mix"
    assert [row["reason"] for row in read(place / "funnel.parquet", FUNNEL).to_pylist()] == ["empty", "truncated"]
    card = (place / "README.md").read_text()
    assert "5 face crops of 64 × 64 px from 5 pictures" in card
    for line in (
        "`source` | `folder + archive`",
        "`query` | `icon`",
        "`min_face` | `48`",
        "`by tags` | `1 of 3 differ`",
    ):
        assert f"| {line} |" in card
    merged = [merged_line(root, "a", 3), merged_line(root, "b", 2)]
    assert f"| `merged` | `{' + '.join(merged)}` |" in card
    settings = assemble.build_of(place).settings
    assert (settings["source"], settings["query"], settings["merged"]) == (["folder", "archive"], "icon", merged)
    with Image.open(place / "contact_sheet.png") as sheet:
        sheet.load()


def test_what_was_merged_before_is_merged_again(root):
    faces_dataset(root, "c", face(5), settings={"source": "archive", "query": "icon"})
    merge(root)
    merge(root, "mix,c", "all")
    build = assemble.build_of(root / "datasets/all")
    assert build.settings["source"] == ["folder", "archive"]
    assert build.settings["merged"] == [merged_line(root, "mix", 5), merged_line(root, "c", 1)]
    assert build.images == 6


def test_a_setting_that_looks_like_several_is_one(root):
    faces_dataset(root, "c", face(5), settings={"query": "cat + dog", "limit": "60 + all"})
    faces_dataset(root, "d", face(6), settings={"query": "dog", "limit": 60})
    merge(root, "c,d")
    settings = assemble.build_of(root / "datasets/mix").settings
    assert (settings["query"], settings["limit"]) == (["cat + dog", "dog"], ["60 + all", 60])
    assert "| `query` | `cat + dog + dog` |" in (root / "datasets/mix/README.md").read_text()


@pytest.mark.parametrize("option", ["keep", "drop"])
def test_the_card_says_what_became_of_copies_between_the_datasets(root, option):
    faces_dataset(root, "c", face(1, "val", quality=80), settings={"near_duplicates": "keep"})
    merge(root, "a,c", near_duplicates=option)
    card = (root / "datasets/mix/README.md").read_text()
    assert f"| `merge_near_duplicates` | `{option}` |" in card
    assert "| `near_duplicates` | `keep` |" in card
    merge(root, "mix,b", "all")
    expected = {"keep": "keep", "drop": ["keep", "drop"]}[option]
    assert assemble.build_of(root / "datasets/all").settings["merge_near_duplicates"] == expected


def test_how_faces_were_found_is_not_known_of_datasets_that_differ_in_it(root):
    for name, number, detector in (("c", 5, "network"), ("d", 6, "cascade_network"), ("e", 7, "network")):
        settings = {"detector": detector, "sweep": "full", "min_face": 30}
        faces_dataset(root, name, face(number), settings=settings)
    merge(root, "c,d")
    merge(root, "c,e", "same")
    facts = {"size": SIDE, "box_scale": 1.5}
    found = [cutting_of(root / "datasets" / name, facts).found_by for name in ("mix", "same")]
    assert found == ["lbpcascade, sweep fast, 48 px or more", "network, sweep full, 30 px or more"]


def test_the_result_depends_on_what_is_merged_not_on_names_and_places(root, tmp_path):
    merge(root)
    other = tmp_path / "other"
    for name, old in (("x", "a"), ("y", "b")):
        folder = root / "datasets" / old
        store_dataset(other, name, KINDS["faces"], read(folder / "manifest.parquet", FACES), folder)
        for file in ("funnel.parquet", "build.json"):
            (other / "datasets" / name / file).write_bytes((folder / file).read_bytes())
    merge(other, "x,y", "z")
    for file in ("manifest.parquet", "funnel.parquet", "README.md"):
        assert (other / "datasets/z" / file).read_bytes() == (root / "datasets/mix" / file).read_bytes()
    assert publish.published(other, "z") == publish.published(root, "mix")


def test_a_changed_dataset_is_merged_anew(root):
    merge(root)
    first = workflows.MergeDatasets(data_root=root, names=("a", "b"), name="mix", jobs=1)
    assert first.complete()
    takedown.take_down(root, "sha256", rows_of(root, "b")[0]["face_id"], "")
    assert not first.complete()
    first.run()
    assert [row["source_id"] for row in rows_of(root, "mix")] == ["0.png", "1.png", "2.png", "4.png"]


def test_a_copy_in_another_split_is_refused_and_named(root):
    faces_dataset(root, "c", face(5), face(1, "train", quality=80, source_id="again.png"))
    with pytest.raises(UserError, match="groups of copies that lie in several splits: 1, such as") as caught:
        merge(root, "a,c")
    assert "a 1.png (val) and c again.png (train)" in str(caught.value)
    assert "--near-duplicates drop" in str(caught.value)
    assert not (root / "datasets/mix").exists()


def test_a_picture_in_another_split_is_refused_whatever_its_crop_shows(root):
    theirs = rows_of(root, "a")[1]
    faces_dataset(root, "c", face(5, image_id=theirs["image_id"]))
    with pytest.raises(UserError, match=r"a 1.png \(val\) and c 5.png \(train\)"):
        merge(root, "a,c")


def test_groups_of_copies_may_be_dropped_from_the_later_dataset(root):
    near = face(1, "train", quality=80, source_id="again.png")
    beside = face(6)  # no copy, but in the group of one
    beside[0].update(group=near[0]["group"])
    faces_dataset(root, "c", near, beside, face(5))
    merged = merge(root, "a,c", near_duplicates="drop")
    (kept,) = (row for row in rows_of(root, "c") if row["source_id"] == "5.png")
    assert merged == [*rows_of(root, "a"), kept]
    drops = read(root / "datasets/mix/funnel.parquet", FUNNEL).to_pylist()
    found = {(row["stage"], row["source_id"], row["reason"], row["detail"]) for row in drops if row["stage"] == "merge"}
    assert found == {("merge", each, "near_duplicate", "in a group with 1.png") for each in ("again.png", "6.png")}


def test_copies_in_one_split_become_one_group(root):
    copy = face(1, "val", quality=80, source_id="again.png")
    faces_dataset(root, "c", copy, face(5))
    merged = {row["source_id"]: row for row in merge(root, "a,c")}
    ids = [merged[name]["image_id"] for name in ("1.png", "again.png")]
    assert {merged[name]["group"] for name in ("1.png", "again.png")} == {min(ids)}
    assert merged["0.png"]["group"] == merged["2.png"]["group"] == merged["0.png"]["image_id"]
    assert {row["group"]: row["split"] for row in merged.values()}.keys() == {row["group"] for row in merged.values()}


@pytest.mark.parametrize("option", ["keep", "drop"])
def test_a_face_of_both_is_there_once(root, option):
    same, data = face(1, "val")
    faces_dataset(root, "c", (same | {"source": "archive"}, data), face(5))
    merged = merge(root, "a,c", near_duplicates=option)
    assert [(row["source"], row["source_id"]) for row in merged] == [("folder", f"{number}.png") for number in "0125"]
    (drop,) = [row for row in read(root / "datasets/mix/funnel.parquet", FUNNEL).to_pylist() if row["stage"] == "merge"]
    assert (drop["source"], drop["reason"], drop["detail"]) == ("archive", "duplicate", "the same crop as from 1.png")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": 32}, "--size 32 --box-scale 1.5"),
        ({"box_scale": 1.3}, "--size 64 --box-scale 1.3"),
        ({"rotation": 45.0}, "--size 64 --box-scale 1.5 --rotation 45.0"),
        ({"box_scale": 2.0, "face_x": 0.5, "face_y": 0.6}, "--size 64 --frame 0.25,0.35,0.75,0.85"),
    ],
)
def test_faces_that_are_cut_otherwise_are_refused(root, changes, words):
    faces_dataset(root, "c", face(5, **changes))
    with pytest.raises(UserError) as caught:
        merge(root, "a,c")
    assert f"faces of a are cut with --size 64 --box-scale 1.5, those of c with {words};" in str(caught.value)


GENERATOR = {"run": "r", "model": "pggan", "steps": 9, "weights": "1" * 64, "dataset": "a", "manifest": "2" * 64}


def test_the_runs_that_generated_faces_are_on_the_card(root):
    other = GENERATOR | {"run": "s", "weights": "3" * 64}
    faces_dataset(root, "c", face(5, source="generated", source_id="r/0"), generators=[GENERATOR])
    faces_dataset(root, "d", face(6, source="generated", source_id="s/0"), generators=[GENERATOR, other])
    merge(root, "a,c,d")
    assert assemble.build_of(root / "datasets/mix").generators == [GENERATOR, other]
    card = (root / "datasets/mix/README.md").read_text()
    assert "2 of 5 faces are made by a trained network" in card
    learned = "`a`, manifest `2222222222222222`"
    assert f"| `r` | 1 | `pggan`, 9 steps, weights `1111111111111111` | {learned} |" in card


def test_two_states_of_one_run_are_refused(root):
    faces_dataset(root, "c", face(5), generators=[GENERATOR])
    faces_dataset(root, "d", face(6), generators=[GENERATOR | {"weights": "3" * 64}])
    with pytest.raises(UserError, match="c and d have faces of the run r at different steps; one state"):
        merge(root, "c,d")


def test_a_damaged_crop_is_refused(root):
    path = root / "datasets/b" / rows_of(root, "b")[0]["path"]
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[:-1])
    with pytest.raises(UserError, match="is missing or damaged; the crop of a row; build that dataset again"):
        merge(root)


@pytest.mark.parametrize(
    ("names", "name", "words"),
    [
        ("", "mix", "--names: '' given; two different datasets or more"),
        ("a", "mix", "--names: 'a' given; two different datasets or more, separated by commas"),
        ("a,a", "mix", "--names: 'a,a' given; two different datasets"),
        ("a,mix", "mix", "--name: mix given, which is merged"),
        ("a,none", "mix", "datasets/none: there is no such file or folder; the name of a dataset; build it first"),
        ("a,../b", "mix", "--names: '../b' given"),
        ("a,clips", "mix", "datasets/clips: a dataset of clips; one of faces"),
    ],
)
def test_what_cannot_be_merged_is_one_clear_line(root, tmp_path, names, name, words):
    kind = KINDS["clips"]
    store_dataset(root, "clips", kind, rows_and_files(kind, tmp_path / "items"), tmp_path / "items")
    with pytest.raises(UserError) as caught:
        workflows.MergeDatasets(data_root=root, names=tuple(names.split(",")), name=name)
    assert words in str(caught.value)


def test_another_merge_of_that_name_is_refused(root):
    merge(root)
    faces_dataset(root, "c", face(5))
    with pytest.raises(UserError, match=r"holds a dataset made with query 'a,b' \(now 'a,c'\)"):
        workflows.MergeDatasets(data_root=root, names=("a", "c"), name="mix")


def test_a_merged_dataset_is_corrected_exported_and_taken_down(root, tmp_path):
    (root / "corrections").mkdir()
    dropped, victim = rows_of(root, "a")[0], rows_of(root, "b")[0]
    (root / "corrections/mix.csv").write_text(f"{dropped['face_id']},drop\n")
    assert dropped["face_id"] not in {row["face_id"] for row in merge(root)}
    (tmp_path / "scratch").mkdir()
    assert recipe.export(root, "mix", tmp_path / "mix.parquet", tmp_path / "scratch") == 4
    assert recipe.read_faces(tmp_path / "mix.parquet").build.settings["source"] == ["folder", "archive"]
    outcome = takedown.take_down(root, "sha256", victim["face_id"], "")
    assert outcome.datasets == {"b": "1 of 2 faces are left", "mix": "3 of 4 faces are left"}


def test_a_recipe_of_two_pictures_with_one_id_names_both(root, tmp_path):
    faces_dataset(root, "c", face(5, source_id="1.png"))
    merge(root, "a,c")
    (tmp_path / "scratch").mkdir()
    recipe.export(root, "mix", tmp_path / "mix.parquet", tmp_path / "scratch")
    held = recipe.read_faces(tmp_path / "mix.parquet")
    ids = {row["image_id"] for row in rows_of(root, "mix")}
    assert len(ids) == 4
    assert {row["image_id"] for row in held.pictures.values()} == ids
    assert len(list(recipe.redraw(held))) == 4


def test_a_takedown_names_what_learned_from_it_by_way_of_generated_faces(root):
    """A run on a, what it generated, a mix with that, a run on the mix, and one that began with that run."""

    def digest(name: str) -> str:
        return hashlib.sha256((root / f"datasets/{name}/manifest.parquet").read_bytes()).hexdigest()

    def run(name: str, *trained_on: str, init_from: str | None = None) -> None:
        (root / "runs" / name).mkdir(parents=True)
        first, *others = ({"digest": each} for each in trained_on)
        settings = {"dataset": first, "init_from": init_from and {"run": init_from}}
        settings |= {"datasets": {str(number): each for number, each in enumerate(others)}} if others else {}
        (root / "runs" / name / "config.json").write_text(json.dumps(settings))

    run("r", digest("a"))
    faces_dataset(
        root, "c", face(5, source="generated", source_id="r/0"), generators=[GENERATOR | {"manifest": digest("a")}]
    )
    merge(root, "b,c")
    run("translated", digest("b"), digest("mix"))
    run("heir", digest("b"), init_from="translated")
    run("clean", digest("b"))
    outcome = takedown.take_down(root, "sha256", rows_of(root, "a")[0]["face_id"], "")
    assert outcome.runs == ["heir", "r", "translated"]
    assert outcome.generated == ["c", "mix"]
    assert outcome.unknown_runs == []
    assert outcome.datasets.keys() == {"a"}
