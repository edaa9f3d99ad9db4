"""Corrections by hand: what the file may say, and what becomes of it."""

import pytest

from pipeline import manifest
from pipeline.datasets import corrections
from pipeline.datasets.corrections import Correction
from pipeline.datasets.kinds import FACE_KIND
from pipeline.errors import UserError
from pipeline.funnel import FUNNEL
from tests.support.run_luigi import luigi

A, B = "a" * 64, "b" * 64
IMAGE, OTHER = "1" * 64, "2" * 64
BOX = (10.0, 20.0, 50.0, 60.0)


def printed(store, text: str) -> dict[str, Correction]:
    path = corrections.file_below(store.root, "d")
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return corrections.read(store.root, "d")


@pytest.mark.parametrize(
    "text",
    [
        f"face_id,correction\n{A},drop\n{B},hair_color=blue\n",
        f"{A},drop\n{B},hair_color=blue",
        f"\ufeffFace_ID,what\r\n\r\n{A.upper()}, DROP\r\n{B},hair_color = Blue,\r\n",
        f"{A},hair_color=red\n{A},drop\n{B},hair_color=blue\n",
    ],
)
def test_the_ways_to_write_it(store, text):
    assert printed(store, text) == {A: Correction("drop"), B: Correction("hair_color=blue")}


def test_it_may_say_where_the_face_lies(store):
    text = f"face_id,correction,image_id,box\n{A},keep,{IMAGE},10 20 50.0 60\n"
    assert printed(store, text) == {A: Correction("keep", IMAGE, BOX)}


@pytest.mark.parametrize(
    "text",
    [
        "face_id,correction\n\nabc,drop",
        f"{A},drop\n\n{B},hair_color=orange",
        f"{A},drop\n\n{B}",
        f"{A},drop\n\n{B},keep,{IMAGE}",
        f"{A},drop\n\n{B},keep,{IMAGE},1 2 3",
        f"{A},drop\n\n{B},keep,{IMAGE},1 2 3 nan",
        f"{A},drop\n\n{B},keep,somewhere,1 2 3 4",
        f"{A},drop\n\n{B},blue",
        f"{A},drop\n\n{B},drop,hair_color=red",
        f"{A},drop\n\nface_id,drop",
    ],
)
def test_a_line_that_is_wrong_is_named(store, text):
    with pytest.raises(UserError, match="line 3"):
        printed(store, text)


def test_no_file_and_an_empty_one_change_nothing(store):
    assert corrections.read(store.root, "d") == {}
    assert corrections.digest(printed(store, "face_id,correction\n")) is None


def row(face_id: str, image_id: str = IMAGE, box: tuple[float, ...] = BOX) -> dict:
    return {"face_id": face_id, "image_id": image_id, "box": [*box]}


@pytest.mark.parametrize(
    ("rows", "matched"),
    [
        ([row(B)], {B: A}),
        ([row(B, box=(14, 24, 54, 64))], {B: A}),
        ([row(A), row(B)], {A: A}),
        ([row(B, OTHER)], {}),
        ([row(B, box=(50, 20, 90, 60))], {}),
        ([row(B, box=(0, 0, 200, 200))], {}),
    ],
    ids=["cut anew", "detected anew", "still there", "another picture", "beside it", "around it"],
)
def test_a_correction_holds_for_the_face_that_lies_there_now(rows, matched):
    assert corrections.match(FACE_KIND, rows, {A: Correction("drop", IMAGE, BOX)}) == matched


def test_of_several_that_lay_there_the_nearest_counts():
    by_id = {A: Correction("drop", IMAGE, (14, 24, 54, 64)), "c" * 64: Correction("keep", IMAGE, BOX)}
    assert corrections.match(FACE_KIND, [row(B)], by_id) == {B: "c" * 64}


def test_replaced_lines_leave_those_of_others_as_they_are():
    old = f"\ufeffface_id,correction\r\n{A},drop\r\n # {B} \r\n{B},hair_color=red".encode()
    new = corrections.replace_lines(old, {A}, {B: Correction("keep", IMAGE, BOX)})
    assert new == f"\ufeffface_id,correction\r\n # {B} \r\n{B},keep,{IMAGE},10 20 50 60\n".encode()
    assert corrections.replace_lines(b"", set(), {A: Correction("drop")}).startswith(
        b"face_id,correction,image_id,box\n"
    )


@pytest.mark.full
def test_what_is_kept_by_hand_stays_whatever_the_limits_are_and_however_it_is_cut(tmp_path):
    luigi(tmp_path, "BuildFaceDataset", "--limit", "12")
    path = tmp_path / "data/datasets/faces"
    first = manifest.read(path / "manifest.parquet", manifest.FACES).to_pylist()
    kept, dropped, red = sorted(first, key=lambda row: row["sharpness"])[:3]
    lines = {"keep": kept, "drop": dropped, "hair_color=red": red}
    text = "".join(
        f"{row['face_id']},{what},{row['image_id']},{' '.join(map(str, row['box']))}\n" for what, row in lines.items()
    )
    (tmp_path / "data/corrections").mkdir()
    (tmp_path / "data/corrections/faces.csv").write_text(text)
    limit = str(sorted(row["sharpness"] for row in first)[4])
    luigi(tmp_path, "BuildFaceDataset", "--limit", "12", "--size", "64")
    rows = {row["image_id"]: row for row in manifest.read(path / "manifest.parquet", manifest.FACES).to_pylist()}
    assert rows.keys() == {row["image_id"] for row in first} - {dropped["image_id"]}
    assert rows[red["image_id"]]["hair_tagger"] == "hand"
    luigi(tmp_path, "BuildFaceDataset", "--limit", "12", "--min-sharpness", limit)
    table = manifest.read(path / "manifest.parquet", manifest.FACES).to_pylist()
    assert {kept["face_id"], red["face_id"]} <= {row["face_id"] for row in table}
    assert len(table) == 12 - 4 + 2
    assert [row["source_id"] for row in table] == [row["source_id"] for row in first if row in table or row == red]
    drops = manifest.read(path / "funnel.parquet", FUNNEL).to_pylist()
    assert len(drops) == 2
    assert all(row["reason"] == "blurred" for row in drops)


@pytest.mark.full
def test_they_survive_every_rebuild_and_are_counted(tmp_path):
    build = ("BuildFaceDataset", "--limit", "12")
    luigi(tmp_path, *build)
    path = tmp_path / "data/datasets/faces"
    first = manifest.read(path / "manifest.parquet", manifest.FACES).to_pylist()
    dropped, renamed, unnamed = first[0], first[1], first[2]
    new = "blue" if renamed["hair_color"] != "blue" else "red"
    text = f"{dropped['face_id']},drop\n{renamed['face_id']},hair_color={new}\n{unnamed['face_id']},hair_color=none\n"
    (tmp_path / "data/corrections").mkdir()
    (tmp_path / "data/corrections/faces.csv").write_text(f"face_id,correction\n{text}{A},drop\n")
    for options in ((), ("--limit", "14")):
        luigi(tmp_path, *build, *options)
        rows = {row["face_id"]: row for row in manifest.read(path / "manifest.parquet", manifest.FACES).to_pylist()}
        assert dropped["face_id"] not in rows
        mended, none = rows[renamed["face_id"]], rows[unnamed["face_id"]]
        assert (mended["hair_color"], mended["hair_tagger"], sum(mended["hair_scores"])) == (new, "hand", 1)
        assert mended["hair_scores"][manifest.HAIR_COLORS.index(new)] == 1
        assert (none["hair_color"], sum(none["hair_scores"])) == (None, 0)
        assert len(rows) == len(first) - 1 + 2 * (options != ())
        dropped_rows = manifest.read(path / "funnel.parquet", FUNNEL).to_pylist()
        assert [row["source_id"] for row in dropped_rows if row["reason"] == "corrected"] == [dropped["source_id"]]
        assert "1 drop, 2 hair_color, 1 of faces that are not here" in (path / "README.md").read_text()
    (tmp_path / "data/corrections/faces.csv").unlink()
    luigi(tmp_path, *build)
    assert manifest.read(path / "manifest.parquet", manifest.FACES).to_pylist() == first
