import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.manifest import FACES, HAIR_COLORS, ManifestError, check_faces, funnel_row, read, write

WHEN = datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)


def row(**changes) -> dict:
    plain = {
        "face_id": "f1", "path": "faces/f1/f1.png", "size": 128, "source": "folder", "source_id": "a.png",
        "page_url": None, "file_url": None, "title": None, "artist": None, "rating": None, "license": None,
        "tags": ["solo"], "fetched_at": WHEN, "image_id": "i1", "image_path": "images/i1/i1.png", "width": 300,
        "height": 400, "box": [1.0, 2.0, 3.0, 4.0], "tilt": 0.0, "box_scale": 1.5, "rotation": 0.0, "score": 2.0,
        "detector": "lbpcascade", "hair_color": "blue", "hair_scores": [0.1] * 9, "hair_tagger": "color",
        "sharpness": 5.0, "brightness": 0.5, "monochrome": False, "phash": "0" * 16, "group": "i1", "split": "train",
    }  # fmt: skip
    assert list(plain) == FACES.names
    return plain | changes


def table(*rows) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=FACES)


def test_the_same_rows_give_the_same_bytes_and_come_back(tmp_path):
    for name in ("a", "b"):
        write(table(row(), row(face_id="f2")), FACES, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert read(tmp_path / "a", FACES).to_pylist() == table(row(), row(face_id="f2")).to_pylist()


def test_every_column_says_what_it_means_in_the_file_itself(tmp_path):
    write(table(row()), FACES, tmp_path / "m")
    for field in pq.read_schema(tmp_path / "m"):
        assert field.metadata[b"meaning"]


def test_pandas_reads_it_with_plain_types(tmp_path):
    import pandas

    write(table(row(), row(hair_color=None)), FACES, tmp_path / "m.parquet")
    frame = pandas.read_parquet(tmp_path / "m.parquet")
    assert list(frame.columns) == FACES.names
    assert frame.hair_color.isna().tolist() == [False, True]
    assert [float(value) for value in frame.box[0]] == [1, 2, 3, 4]
    assert str(frame.fetched_at.dt.tz) == "UTC"


@pytest.mark.parametrize("name", ["path", "box", "split", "tags"])
def test_a_null_where_none_may_be_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=name):
        write(table(row(**{name: None})), FACES, tmp_path / "m")


@pytest.mark.parametrize(("rows", "complaint"), [
    ([row(), row()], "twice"),
    ([row(), row(face_id="f2", split="val")], "more than one split"),
    ([row(split="dev")], "split holds"),
    ([row(hair_color="teal")], "hair_color holds"),
])  # fmt: skip
def test_broken_promises_are_named(tmp_path, rows, complaint):
    with pytest.raises(ManifestError, match=complaint):
        check_faces(table(*rows), tmp_path)


def test_a_missing_damaged_or_narrow_file_is_one_clear_error(tmp_path):
    with pytest.raises(ManifestError, match="no such file"):
        read(tmp_path / "none.parquet", FACES)
    (tmp_path / "text.parquet").write_text("not parquet")
    with pytest.raises(ManifestError, match="unreadable"):
        read(tmp_path / "text.parquet", FACES)
    pq.write_table(table(row()).drop_columns(["split"]), tmp_path / "narrow.parquet")
    with pytest.raises(ManifestError, match="lacks the columns split"):
        read(tmp_path / "narrow.parquet", FACES)


def test_a_reason_must_be_of_the_list():
    with pytest.raises(KeyError):
        funnel_row("images", "folder", "a", "dog_ate_it")
    assert len(HAIR_COLORS) == 9
