"""What a takedown does not touch, and what does not keep it from its work. Its effects: test_recipe.py."""

import hashlib
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.datasets import publish as datasets
from pipeline.datasets import takedown
from pipeline.errors import UserError
from pipeline.manifest import FACES, read, write
from pipeline.sources.drawn import draw
from tests.pipeline.test_manifest import row, table


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


VICTIM, OTHER = sha256("victim"), sha256("other")


def rows(**changes) -> pa.Table:
    """Two faces: one of VICTIM, by `someone`, and one of OTHER."""
    faces = [
        row(face_id=sha256(image_id), image_id=image_id, group=image_id, source_id=image_id[:8], artist=artist)
        for image_id, artist in ((VICTIM, "someone"), (OTHER, None))
    ]
    faces[0] |= changes
    return table(*faces)


def with_column(name: str, values: pa.Array) -> pa.Table:
    plain = rows()
    return plain.set_column(plain.schema.get_field_index(name), name, values)


@pytest.fixture
def root(tmp_path) -> Path:
    """A data root with two originals, their crops in the cache and in a stage; beside it somebody's own files."""
    root = tmp_path / "data"
    for path in ("letter.txt", "photo.png", "deep/b.doc", f"{VICTIM}.png"):
        (tmp_path / "home" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "home" / path).write_text("mine")
    for image_id in (VICTIM, OTHER):
        for path in (
            f"images/{image_id[:2]}/{image_id}.png",
            f"cache/faces/{sha256(image_id)[:2]}/{sha256(image_id)}.png",
        ):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text("picture")
    for folder in ("stages/CropFaces/0123456789abcdef", "recipes"):
        (root / folder).mkdir(parents=True)
    write(rows(), FACES, root / "stages/CropFaces/0123456789abcdef/faces.parquet")
    return root


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def assert_gone_alone(root: Path, outcome: takedown.Outcome) -> None:
    """VICTIM is taken down; OTHER, and what is outside the data root, is there."""
    assert outcome.images >= 1
    assert not list(root.glob("images/*/" + VICTIM + "*"))
    assert not list(root.glob("cache/faces/*/" + sha256(VICTIM) + "*"))
    assert len(list(root.glob("images/*/" + OTHER + ".png"))) == 1
    assert len(list(root.glob("cache/faces/*/" + sha256(OTHER) + ".png"))) == 1
    assert not (root / "takedown.json").exists()
    assert files(root.parent / "home") == {"letter.txt", "photo.png", "deep/b.doc", f"{VICTIM}.png"}


@pytest.mark.parametrize(
    "change",
    [
        {"image_id": "../home/**/*"},
        {"image_id": "*"},
        {"image_id": "[0-9a-f]" * 8},
        {"image_id": VICTIM.upper()},
        {"image_id": VICTIM + "\n"},
        {"image_id": ""},
        {"image_id": "/etc/passwd"},
        {"face_id": "{home}/photo"},
        {"face_id": "../../../home/photo"},
        {"face_id": "..\\home"},
        {"face_id": sha256("x") + "\0"},
        {"group": "*"},
        {"group": "../../home"},
    ],
)
def test_an_id_that_is_no_sha256_is_no_path_and_no_pattern(root, change):
    home = str(root.parent / "home")
    pq.write_table(rows(**{name: text.format(home=home) for name, text in change.items()}), root / "recipes/x.parquet")
    before = (root / "recipes/x.parquet").read_bytes()
    outcome = takedown.take_down(root, "artist", "someone", "")
    assert_gone_alone(root, outcome)
    assert outcome.unread == {"recipes/x.parquet": f"{next(iter(change))} that is not a sha256"}
    assert (root / "recipes/x.parquet").read_bytes() == before


@pytest.mark.parametrize(
    "odd",
    [
        with_column("image_id", pa.array([None, OTHER])),
        with_column("image_id", pa.array([[VICTIM], [OTHER]])),
        with_column("image_id", pa.array([1.5, 2.5])),
        with_column("page_url", pa.array([["x"], ["y"]])),
        with_column("tags", pa.array([1.5, 2.5])),
        with_column("tags", pa.array([[None], ["x"]])),
        with_column("group", pa.array([None, OTHER])),
        with_column("artist", pa.array([{"a": "b"}] * 2)),
        rows().drop_columns(["source_id"]),
        rows().append_column("artist", pa.array(["a", "b"])),
        with_column("artist", pa.array(["x" * 3_000_000, "y"])),
        rows(title="x" * 900_000),
    ],
)
def test_an_odd_recipe_is_named_and_the_rest_is_taken_down(root, odd):
    pq.write_table(odd, root / "recipes/x.parquet", compression="zstd")
    outcome = takedown.take_down(root, "sha256", VICTIM, "")
    assert_gone_alone(root, outcome)
    assert list(outcome.unread) == ["recipes/x.parquet"]
    assert "\n" not in outcome.unread["recipes/x.parquet"]


def cut(path: Path) -> None:
    pq.write_table(rows(), path)
    path.write_bytes(path.read_bytes()[:-9])


def folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PAR1PAR1"),
        lambda path: path.write_bytes(b"PAR1" + b"\xff\xff\xff\x7fPAR1"),
        lambda path: path.write_bytes(b"PARE" * 5),
        cut,
        folder,
        os.mkfifo,
    ],
)
def test_what_is_no_parquet_file_is_named(root, make):
    make(root / "recipes/x.parquet")
    outcome = takedown.take_down(root, "sha256", VICTIM, "")
    assert_gone_alone(root, outcome)
    assert list(outcome.unread) == ["recipes/x.parquet"]


@pytest.mark.parametrize(
    "place",
    [
        "recipes/x.parquet",
        "recipes",
        "stages/CropFaces/0123456789abcdef",
        "stages/Other",
        "datasets/.versions",
        "datasets/.versions/0123456789abcdef",
        "datasets/d",
        "runs/r",
        "runs",
        "cache/pages",
        "cache/parts",
        "corrections",
        "images/" + sha256("third")[:2],
    ],
)
def test_nothing_behind_a_link_is_opened_or_removed(root, place):
    """Behind the link lies what would be changed if it were in the data root."""
    outside = root.parent / "outside"
    for name in ("faces.parquet", "manifest.parquet", "x.parquet", "0/manifest.parquet", "0/faces.parquet"):
        (outside / name).parent.mkdir(parents=True, exist_ok=True)
        write(rows(), FACES, outside / name)
    (outside / "x.csv").write_text(f"{sha256(VICTIM)},drop\n")
    (outside / f"{sha256('third')}.png").write_text("picture")
    (outside / "config.json").write_text(json.dumps({"dataset": {"digest": "0" * 64}}))
    before = {path: (outside / path).read_bytes() for path in files(outside)}
    link = root / place
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_dir():
        for path in link.iterdir():
            path.unlink()
        link.rmdir()
    link.symlink_to(outside / "x.parquet" if link.suffix else outside)
    for text in (sha256("third"), VICTIM):
        outcome = takedown.take_down(root, "sha256", text, "")
    assert {path: (outside / path).read_bytes() for path in files(outside)} == before
    if place != "stages/CropFaces/0123456789abcdef":  # it told of the crop
        assert_gone_alone(root, outcome)


@pytest.mark.parametrize("place", ["stages", "stages/.work", "datasets", "datasets/.requests", "takedown.json"])
def test_a_link_in_the_place_of_what_a_takedown_writes_is_an_error(root, place):
    (root / place).parent.mkdir(exist_ok=True)
    if (root / place).exists():
        (root / place).rename(root.parent / "moved")
    (root / place).symlink_to(root.parent / "home")
    with pytest.raises(UserError, match=f"{place}: is a link"):
        takedown.take_down(root, "sha256", VICTIM, "")
    assert "photo.png" in files(root.parent / "home")


EMPTY_NOTE = {name: [] for name in ("images", "seen", "faces", "posts", "offers", "manifests")}


@pytest.mark.parametrize(
    "note",
    [
        "",
        "[]",
        '{"images": ["*"]}',
        "[" * 100_000,
        '{"images": null}',
        json.dumps(EMPTY_NOTE | {"offers": [["a"]]}),
        json.dumps(EMPTY_NOTE | {"faces": ["../home/photo"]}),
    ],
)
def test_a_damaged_note_is_one_clear_line(root, note):
    (root / "takedown.json").write_text(note)
    with pytest.raises(UserError, match=r"takedown\.json: damaged"):
        takedown.take_down(root, "sha256", VICTIM, "")
    assert (root / "takedown.json").read_text() == note


CROP = json.dumps([{"face_id": sha256(VICTIM)}])


@pytest.mark.parametrize(
    "value", [None, "[", json.dumps([{"face_id": "../home/photo"}]), json.dumps([1]), b"\xff", "{}"]
)
def test_a_damaged_cache_is_dropped(root, value):
    path = root / "cache/results.sqlite"
    with closing(sqlite3.connect(path)) as results, results:
        results.execute("CREATE TABLE result (name, key, value, PRIMARY KEY (name, key)) WITHOUT ROWID")
        results.execute("INSERT INTO result VALUES ('crops/1', ?, CAST(? AS TEXT))", (VICTIM, value))
    if value is None:
        path.write_bytes(b"no database" * 100)
    outcome = takedown.take_down(root, "sha256", VICTIM, "")
    assert not path.exists()
    assert not (root / "cache/faces").exists()
    assert outcome.unread == {}
    assert not list(root.glob(f"images/*/{VICTIM}.png"))


@pytest.mark.parametrize("damage", ["bytes", "tables", "image_id", "offer"])
def test_a_damaged_ledger_is_named_and_left(root, damage):
    path = root / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as ledger, ledger:
        if damage != "tables":
            ledger.execute("CREATE TABLE file (source, url, image_id)")
            ledger.execute("CREATE TABLE harvest (id, about)")
            ledger.execute("CREATE TABLE post (harvest, source_id, url, offer, reason, detail)")
            ledger.execute("INSERT INTO harvest VALUES ('h', '{\"source\": \"s\"}')")
        if damage == "image_id":
            ledger.execute("INSERT INTO file VALUES ('s', 'u', '../home/*')")
        if damage == "offer":
            ledger.execute("INSERT INTO post VALUES ('h', '1', 'u', '{\"tags\": 1}', '', '')")
    if damage == "bytes":
        path.write_bytes(b"no database" * 100)
    before = path.read_bytes()
    outcome = takedown.take_down(root, "sha256", VICTIM, "")
    assert_gone_alone(root, outcome)
    assert list(outcome.unread) == ["ledger.sqlite"]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "config",
    [
        "[]",
        "{",
        "[" * 100_000,
        '{"dataset": []}',
        '{"dataset": {"digest": ["a"]}}',
        '{"dataset": {"digest": "a"}, "init_from": "x"}',
    ],
)
def test_a_run_that_does_not_say_what_it_learned_from_is_named(root, config):
    (root / "runs/r").mkdir(parents=True)
    (root / "runs/r/config.json").write_text(config)
    outcome = takedown.take_down(root, "sha256", VICTIM, "")
    assert_gone_alone(root, outcome)
    assert list(outcome.unread) == ["runs/r/config.json"]


def test_a_recipe_keeps_its_other_rows_and_its_own_columns(root):
    held = rows().append_column("mine", pa.array([["a"], ["b"]])).replace_schema_metadata({b"build": b"{}"})
    pq.write_table(held, root / "recipes/x.parquet")
    outcome = takedown.take_down(root, "artist", "someone", "")
    assert_gone_alone(root, outcome)
    left = pq.read_table(root / "recipes/x.parquet")
    assert left.equals(held.slice(1))
    assert left.schema.metadata == {b"build": b"{}"}


@pytest.fixture
def dataset(root) -> Path:
    """The data root with a dataset `d` of both faces, asked of Danbooru."""
    version = root / "datasets/.versions/0123456789abcdef"
    for path in rows()["path"].to_pylist():
        (version / path).parent.mkdir(parents=True, exist_ok=True)
        draw(3, 0)[0].resize((128, 128)).save(version / path)
    write(rows(), FACES, version / "manifest.parquet")
    (root / "datasets/d").symlink_to(".versions/0123456789abcdef")
    (root / "datasets/.requests").mkdir()
    record = {"version": version.name, "request": {"source": "danbooru", "query": "someone", "path": None}}
    (root / "datasets/.requests/d.json").write_text(json.dumps(record))
    return root


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("funnel.parquet", lambda path: path.write_bytes(b"PAR1 and so on")),
        ("funnel.parquet", lambda path: path.symlink_to("/etc/hostname")),
        ("funnel.parquet", Path.mkdir),
        ("build.json", lambda path: path.write_text("[")),
        ("rebuild.json", lambda path: path.symlink_to("/etc/hostname")),
    ],
)
def test_a_damaged_file_beside_a_manifest_costs_no_other_face(dataset, name, make):
    make(dataset / "datasets/d" / name)
    outcome = takedown.take_down(dataset, "sha256", VICTIM, "")
    assert outcome.datasets["d"].startswith("1 of 2 faces are left")
    assert read(dataset / "datasets/d/manifest.parquet", FACES)["image_id"].to_pylist() == [OTHER]


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def as_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


def as_other_size(path: Path) -> None:
    draw(3, 0)[0].resize((96, 96)).save(path)


@pytest.mark.parametrize("lose", [Path.unlink, as_folder, as_link, as_other_size])
def test_a_lost_crop_costs_no_other_face(dataset, lose):
    third = rows(image_id=sha256("third"), face_id=sha256("3"), group=sha256("third"), path="faces/33/3.png")
    held = pa.concat_tables([rows(), third.slice(0, 1)])
    version = dataset / "datasets/d"
    (version / "faces/33").mkdir()
    draw(3, 1)[0].resize((128, 128)).save(version / "faces/33/3.png")
    write(held, FACES, version / "manifest.parquet")
    lose(version / rows()["path"][1].as_py())
    outcome = takedown.take_down(dataset, "sha256", VICTIM, "")
    assert outcome.datasets["d"].startswith(
        "1 of 3 faces are left; 1 are dropped, since their files are missing or damaged"
    )


def test_a_dataset_of_which_nothing_is_left_was_there(dataset):
    write(rows().slice(0, 1), FACES, dataset / "datasets/d/manifest.parquet")
    outcome = takedown.take_down(dataset, "sha256", VICTIM, "")
    assert outcome.datasets == {"d": "removed: none of its faces is left"}
    assert datasets.request_of(dataset, "d") == {"source": "danbooru"}


@pytest.mark.parametrize("kind", [pa.large_string(), pa.dictionary(pa.int32(), pa.string()), pa.string_view()])
def test_a_recipe_that_another_library_saved_is_rewritten(root, kind):
    table = rows(group=VICTIM)
    for name in ("group", "split"):
        index = table.schema.get_field_index(name)
        table = table.set_column(index, name, table[name].cast(pa.string()).cast(kind))
    pq.write_table(table, root / "recipes/x.parquet")
    outcome = takedown.take_down(root, "sha256", VICTIM, "")
    assert_gone_alone(root, outcome)
    assert not outcome.unread
    assert pq.read_table(root / "recipes/x.parquet")["image_id"].to_pylist() == [OTHER]


@pytest.mark.parametrize("place", ["ledger.sqlite", "cache/results.sqlite"])
def test_a_folder_in_the_place_of_a_database_is_named_or_dropped(root, place):
    (root / place).mkdir(parents=True)
    outcome = takedown.take_down(root, "sha256", VICTIM, "")
    assert {*outcome.unread} <= {place}
    assert not list(root.glob("images/*/" + VICTIM + "*"))
