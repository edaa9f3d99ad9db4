import datetime
import os
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, PngImagePlugin

from pipeline import parquet_footer
from pipeline.funnel import funnel_row
from pipeline.manifest import FACES, HAIR_COLORS, ManifestError, check_rows, load_png, read, write

WHEN = datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)


def row(**changes) -> dict:
    plain = {
        "face_id": "f1",
        "path": "faces/f1/f1.png",
        "size": 128,
        "source": "folder",
        "source_id": "a.png",
        "page_url": None,
        "file_url": None,
        "title": None,
        "artist": None,
        "rating": None,
        "license": None,
        "tags": ["solo"],
        "fetched_at": WHEN,
        "image_id": "i1",
        "image_path": "images/i1/i1.png",
        "width": 300,
        "height": 400,
        "box": [1.0, 2.0, 3.0, 4.0],
        "tilt": 0.0,
        "box_scale": 1.5,
        "rotation": 0.0,
        "face_x": None,
        "face_y": None,
        "score": 2.0,
        "detector": "lbpcascade",
        "faces_in_image": 1,
        "hair_color": "blue",
        "hair_scores": [0.1] * 9,
        "hair_tagger": "color",
        "sharpness": 5.0,
        "brightness": 0.5,
        "monochrome": False,
        "phash": "0" * 16,
        "group": "i1",
        "split": "train",
    }
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


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([row(), row()], "twice"),
        ([row(), row(face_id="f2", split="val")], "more than one split"),
        ([row(split="dev")], "split holds"),
        ([row(hair_color="teal")], "hair_color holds"),
    ],
)
def test_broken_promises_are_named(tmp_path, rows, complaint):
    with pytest.raises(ManifestError, match=complaint):
        check_rows(table(*rows), tmp_path)


def test_a_missing_damaged_or_narrow_file_is_one_clear_error(tmp_path):
    with pytest.raises(ManifestError, match="no such file"):
        read(tmp_path / "none.parquet", FACES)
    (tmp_path / "text.parquet").write_text("not parquet")
    with pytest.raises(ManifestError, match="unreadable"):
        read(tmp_path / "text.parquet", FACES)
    pq.write_table(table(row()).drop_columns(["split"]), tmp_path / "narrow.parquet")
    with pytest.raises(ManifestError, match="lacks the columns split"):
        read(tmp_path / "narrow.parquet", FACES)


def with_column(name: str, values: list, kind: pa.DataType | None = None) -> pa.Table:
    plain = table(row(), row(face_id="f2"))
    return plain.set_column(plain.schema.get_field_index(name), name, pa.array(values, kind))


@pytest.mark.parametrize(
    "odd",
    [
        with_column("face_id", [1, 2]),
        with_column("face_id", [1.5, 2.5]),
        with_column("face_id", [["a"], ["b"]]),
        with_column("face_id", [None, "a"]),
        with_column("face_id", [b"a", b"b"]),
        with_column("face_id", [None, None]),
        with_column("size", ["128", "128"]),
        with_column("size", [128.0, 128.0]),
        with_column("size", [1 << 40, 1]),
        with_column("size", [None, 1]),
        with_column("tags", ["a", "b"]),
        with_column("tags", [[None], []]),
        with_column("tags", [[1], []]),
        with_column("tags", [[["a"]], []]),
        with_column("box", [[1.0], [1.0]]),
        with_column("box", [[1.0, 2.0, 3.0, None]] * 2),
        with_column("monochrome", [0, 1]),
        with_column("license", [1, 2]),
        with_column("title", [{"a": 1}] * 2),
        with_column("artist", [b"\xff\xfe", b"b"], pa.binary()),
        table(row()).append_column("brightness", pa.array([0.5])),
        table(row()).append_column("license", pa.array(["a"])),
    ],
)
def test_columns_of_another_type_null_or_twice_are_one_clear_line(tmp_path, odd):
    pq.write_table(odd, tmp_path / "m.parquet")
    with pytest.raises(ManifestError, match=r"m\.parquet: unreadable") as error:
        read(tmp_path / "m.parquet", FACES)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "same",
    [
        with_column("face_id", ["f1", "f2"], pa.large_string()),
        with_column("size", [128, 128], pa.int64()),
        with_column("license", [None, None]),
        with_column("tags", [[], []]),
        with_column("box", [[1.0, 2.0, 3.0, 4.0]] * 2),
        with_column("license", ["a", "b"])
        .replace_schema_metadata({"x": "y"})
        .append_column("mine", pa.array([[1], [2]])),
        with_column("license", ["a", "b"], pa.dictionary(pa.int32(), pa.string())),
    ],
)
def test_what_another_library_wrote_with_types_of_its_own_is_read(tmp_path, same):
    pq.write_table(same, tmp_path / "m.parquet")
    found = read(tmp_path / "m.parquet", FACES)
    assert found.schema.equals(FACES)
    assert found["face_id"].to_pylist() == ["f1", "f2"]


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../faces/a.png",
        "faces/../../a.png",
        "faces\\a.png",
        "C:/a.png",
        "C:a.png",
        "faces/a\0.png",
        "",
        "faces",
        "faces/",
        "faces//a.png",
        "faces/./a.png",
        "README.md",
        "manifest.parquet",
        "build.json",
        "//host/a.png",
        "faces/a\n.png",
        "~/a.png",
        "file:///a.png",
    ],
)
def test_a_path_that_leaves_its_folder_is_named(tmp_path, path):
    for name, others in (("path", "faces"), ("image_path", "images")):
        text = path.replace("faces", others) if name == "image_path" else path
        pq.write_table(table(row(**{name: text})), tmp_path / "m.parquet")
        with pytest.raises(ManifestError, match=f"m.parquet: {name} holds "):
            read(tmp_path / "m.parquet", FACES)


@pytest.mark.parametrize(
    "bomb",
    [
        lambda: with_column("title", ["x" * 30_000_000, "y"]),
        lambda: with_column("tags", [["x" * 3_000_000], []]),
        lambda: with_column("tags", [["x"] * 18_000_000, []]),
        lambda: pa.Table.from_batches([table(row(title="x" * 200_000)).to_batches()[0]] * 5000),
        lambda: pa.table({name: pa.repeat(table(row())[name][0], 600_000) for name in FACES.names}),
        lambda: with_column("tags", [[f"{number}{'x' * 100}" for number in range(2600)] * 50] * 2),
    ],
)
def test_a_small_file_that_unpacks_to_much_is_refused_unread(tmp_path, bomb):
    path = tmp_path / "m.parquet"
    pq.write_table(bomb(), path, compression="zstd")
    assert path.stat().st_size < 2_000_000
    pool = pa.default_memory_pool()
    most = max(pool.max_memory(), pool.bytes_allocated() + 300_000_000)
    with pytest.raises(ManifestError, match=r"unpacks|rows of more than"):
        read(path, FACES)
    assert pool.max_memory() <= most


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PAR1" * 2),
        lambda path: path.write_bytes(b"PAR1" + b"\0" * 5_000_000 + b"\xff\xff\xff\x7fPAR1"),
        lambda path: path.write_bytes(b"PARE" * 3),
        os.mkfifo,
        os.mkdir,
    ],
)
def test_what_is_no_parquet_file_is_one_clear_line(tmp_path, make):
    make(tmp_path / "m.parquet")
    with pytest.raises(ManifestError, match="unreadable"):
        read(tmp_path / "m.parquet", FACES)


@pytest.mark.parametrize(
    "options",
    [
        {"row_group_size": 7},
        {"use_dictionary": False},
        {"dictionary_pagesize_limit": 100},
        {"data_page_size": 100},
        {"data_page_version": "2.0", "compression": "gzip"},
        {"write_page_index": True, "store_schema": False},
    ],
)
def test_however_a_file_is_laid_out_its_rows_are_the_same(tmp_path, options):
    rows = table(*(row(face_id=f"f{number}", tags=[f"tag {number}", "b"][: number % 3]) for number in range(60)))
    pq.write_table(rows, tmp_path / "m.parquet", **options)
    assert read(tmp_path / "m.parquet", FACES).equals(rows)


def test_a_footer_that_pyarrow_would_die_of_is_one_clear_line(tmp_path):
    """Each byte of a footer in turn, the file being read in this process."""
    narrow = pa.schema([FACES.field("face_id"), FACES.field("tags")])
    pq.write_table(table(row()).select(narrow.names), tmp_path / "m.parquet", store_schema=False)
    data = (tmp_path / "m.parquet").read_bytes()
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    refused = 0
    for place in range(start, len(data) - 8):
        (tmp_path / "m.parquet").write_bytes(data[:place] + bytes([data[place] ^ 6]) + data[place + 1 :])
        try:
            read(tmp_path / "m.parquet", narrow)
        except ManifestError:
            refused += 1
    assert refused > 100


def png(path, size=(64, 64), mode="RGB", **options) -> None:
    Image.new(mode, size).save(path, "PNG", **options)


def comment(path) -> None:
    """A text of 20 MB in a few bytes: Pillow refuses it."""
    text = PngImagePlugin.PngInfo()
    text.add_text("a", "x" * 20_000_000, zip=True)
    png(path, pnginfo=text)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EOF\n"), "unreadable"),
        (lambda path: Image.new("RGB", (64, 64)).save(path, "JPEG"), "unreadable"),
        (lambda path: Image.new("RGB", (64, 64)).save(path, "PPM"), "unreadable"),
        (comment, "unreadable"),
        (lambda path: png(path, (64, 65)), "64 × 65 px"),
        (lambda path: png(path, (9000, 9000), "1"), "9000 × 9000 px"),
        (lambda path: png(path, mode="RGBA"), "RGBA"),
        (lambda path: png(path, mode="P"), ": P;"),
        (lambda path: png(path, mode="L"), ": L;"),
        (os.mkdir, "regular"),
        (os.mkfifo, "regular"),
        (lambda path: None, "no such file"),
        (lambda path: path.symlink_to("/etc/hostname"), "out of the dataset"),
        (lambda path: path.symlink_to(path.parents[2] / "b.png"), "out of the dataset"),
    ],
)
def test_a_crop_is_a_png_of_the_stated_size_within_the_folder_or_one_clear_line(tmp_path, make, words):
    (tmp_path / "d/faces").mkdir(parents=True)
    png(tmp_path / "b.png")
    make(tmp_path / "d/faces/a.png")
    with pytest.raises(ManifestError, match=words) as error:
        load_png(tmp_path / "d", "faces/a.png", 64, 64)
    assert "a.png" in str(error.value)


def test_a_reason_must_be_of_the_list():
    with pytest.raises(KeyError):
        funnel_row("images", "folder", "a", "dog_ate_it")
    assert len(HAIR_COLORS) == 9


def test_pages_that_unpack_to_more_than_the_footer_says_are_not_read(tmp_path):
    path = tmp_path / "m.parquet"
    pq.write_table(with_column("title", ["x" * 90_000_000, "y"]), path, compression="zstd", use_dictionary=False)
    data = path.read_bytes()
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    sizes = {chunk.path: chunk.unpacked for chunk in parquet_footer.chunks(data[start:-8])}
    path.write_bytes(data[:start] + data[start:].replace(varint(sizes["title"]), varint(100, at_least=4)))
    assert path.read_bytes() != data
    with pytest.raises(ManifestError, match="unpacks to more than"):
        read(path, FACES)


def varint(number: int, at_least: int = 0) -> bytes:
    """A whole number as Thrift's compact protocol writes it, in so many bytes at least."""
    number, made = number * 2, b""
    while number > 127 or len(made) + 1 < at_least:
        made, number = made + bytes([number & 127 | 128]), number >> 7
    return made + bytes([number])


@pytest.mark.parametrize("kind", [1, 2])
def test_lists_of_booleans_in_a_footer_take_their_room(kind):
    begun = time.process_time()
    lists = (b"\x19" + bytes([0xF0 | kind]) + b"\x90\xbf\x05") * 200  # of 90,000 each
    with pytest.raises(ValueError, match="its footer is damaged"):
        list(parquet_footer.chunks(lists.ljust(90_000, b"\0")))
    assert time.process_time() - begun < 2


def test_pyarrow_can_do_without_pandas_until_it_is_asked_for():
    code = """
import sys
import pyarrow as pa
from pipeline.manifest import leave_out_pandas
leave_out_pandas()
table = pa.table({"x": pa.array([1, 2])})
print("pandas" in sys.modules, table.to_pandas().x.tolist(), "pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False [1, 2] True\n"
