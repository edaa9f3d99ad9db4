import io
import json
import os
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import UserError
from pipeline.sources import folder, sidecars
from pipeline.sources.base import LocalQuery, Post, Skipped
from pipeline.sources.tables import row_of
from pipeline.tags import split_tags

PNG = b"\x89PNG\r\n\x1a\n and so on"


def write(root: Path, name: str, data: bytes | str = PNG) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def offers(root: Path) -> list[Post | Skipped]:
    request = LocalQuery(path=root)
    return list(folder.posts(request, folder.snapshot(request)))


def described(root: Path, name: str = "c.png") -> Post:
    return next(post for post in offers(root) if isinstance(post, Post) and post.source_id == name)


def test_pictures_come_sorted_by_path_and_nothing_else_comes(tmp_path):
    for name in (
        "b/2.jpg",
        "b/10.PNG",
        "a.webp",
        "é.gif",
        "unnamed",
        "note.txt",
        "movie.mp4",
        ".hidden.png",
        "Thumbs.db",
        "__MACOSX/x.png",
        ".git/y.png",
        "words",
    ):
        write(tmp_path, name, b"words" if name == "words" else PNG)
    found = [post.source_id for post in offers(tmp_path) if isinstance(post, Post)]
    assert found == ["a.webp", "b/10.PNG", "b/2.jpg", "unnamed", "é.gif"]


def test_a_post_reads_the_file_and_knows_its_time(tmp_path):
    os.utime(write(tmp_path, "a.png"), ns=(0, 1_700_000_000_123_456_789))
    (post,) = offers(tmp_path)
    assert post.read() == PNG
    assert post.fetched_at == datetime(2023, 11, 14, 22, 13, 20, 123456, tzinfo=timezone.utc)
    before = post.fingerprint
    os.utime(tmp_path / "a.png", ns=(0, 1_700_000_000_123_456_999))
    assert offers(tmp_path)[0].fingerprint != before


def test_the_snapshot_says_nothing_of_where_it_is_and_changes_with_any_file_or_sidecar(tmp_path):
    os.utime(write(tmp_path / "x", "a.png"), ns=(0, 10**18))
    os.utime(write(tmp_path / "y", "a.png"), ns=(0, 10**18))
    snapshots = [folder.snapshot(LocalQuery(path=tmp_path / name)) for name in "xy"]
    assert snapshots[0] == snapshots[1]
    assert json.loads(json.dumps(snapshots[0])) == snapshots[0]
    write(tmp_path / "x", "a.txt", "smile")
    with_sidecar = folder.snapshot(LocalQuery(path=tmp_path / "x"))
    write(tmp_path / "x", "a.txt", "smile, hat")
    assert (
        len({json.dumps(one) for one in (snapshots[0], with_sidecar, folder.snapshot(LocalQuery(path=tmp_path / "x")))})
        == 3
    )


def test_links_out_of_the_folder_are_not_followed_and_loops_end(tmp_path):
    write(tmp_path, "secret.png", b"secret")
    root = tmp_path / "root"
    write(root, "a.png")
    (root / "inside.png").symlink_to(root / "a.png")
    (root / "outside.png").symlink_to(tmp_path / "secret.png")
    (root / "broken.png").symlink_to(root / "nothing")
    (root / "loop").symlink_to(root)
    os.mkfifo(root / "pipe.png")
    (root / "itself.png").symlink_to(root / "itself.png")
    (root / "notes.txt").symlink_to(tmp_path / "secret.png")  # no picture: nobody misses it
    found = offers(root)
    assert [post.source_id for post in found if isinstance(post, Post)] == ["a.png", "inside.png"]
    assert {(drop.source_id, drop.reason) for drop in found if isinstance(drop, Skipped)} == {
        ("outside.png", "link"),
        ("broken.png", "link"),
        ("loop", "link"),
        ("itself.png", "link"),
        ("pipe.png", "unreadable"),
    }


def test_a_folder_of_links_alone_says_so(tmp_path):
    write(tmp_path, "a.png")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a.png").symlink_to(tmp_path / "a.png")
    with pytest.raises(UserError, match="but 1 that cannot be read, or are links out of it"):
        folder.snapshot(LocalQuery(path=tmp_path / "root"))


def test_the_data_root_is_not_read_as_input(tmp_path):
    write(tmp_path, "a.png")
    write(tmp_path, "data/images/ab/abc.png")
    write(tmp_path, "data2/b.png")
    request = LocalQuery(path=tmp_path, skip=tmp_path / "x" / ".." / "data")
    assert [post.source_id for post in folder.posts(request, folder.snapshot(request))] == ["a.png", "data2/b.png"]


def test_what_may_not_be_read_is_a_drop_and_changes_the_snapshot_when_repaired(tmp_path, monkeypatch):
    path = write(tmp_path, "a.png")
    write(tmp_path, "b.png")
    whole = folder.snapshot(LocalQuery(path=tmp_path))
    really = os.access
    monkeypatch.setattr(os, "access", lambda file, mode: os.fspath(file) != str(path) and really(file, mode))
    found = offers(tmp_path)  # root may read everything: so the system's answer is played
    assert [(type(offer), offer.source_id) for offer in found] == [(Skipped, "a.png"), (Post, "b.png")]
    assert folder.snapshot(LocalQuery(path=tmp_path)) != whole


def test_names_that_become_the_same_text_are_distinguished(tmp_path):
    for name in (b"\xff.png", rb"\xff.png"):
        os.utime(write(tmp_path, os.fsdecode(name)), ns=(0, 10**18))
    found = offers(tmp_path)
    assert [post.source_id for post in found] == ["\\xff.png", "\\xff.png#2"]
    assert len({post.fingerprint for post in found}) == 2


def test_a_time_that_no_calendar_holds_is_none(tmp_path):
    assert folder._to_datetime(10**21) is None


def test_tables_may_hold_odd_line_ends_and_paths(tmp_path):
    write(tmp_path, "a.png")
    write(tmp_path, "b.png")
    rows = [{"file_name": "./a.png", "text": "one\u2028two"}, {"file_name": ".\\b.png", "text": "hat"}]
    write(tmp_path, "metadata.jsonl", "\n".join(json.dumps(row, ensure_ascii=False) for row in rows))
    assert described(tmp_path, "a.png").tags == ("one", "two")
    assert described(tmp_path, "b.png").tags == ("hat",)


@pytest.mark.full
def test_a_table_that_unpacks_to_gigabytes_is_one_drop(tmp_path):
    write(tmp_path, "a.png")
    table = pa.table(
        {"file_name": pa.repeat("a.png", 3_000_000), "text": pa.repeat("x" * 500, 3_000_000).cast("string")}
    )
    pq.write_table(table, tmp_path / "metadata.parquet", compression="zstd")
    assert (tmp_path / "metadata.parquet").stat().st_size < 1 << 20
    (drop,) = [offer for offer in offers(tmp_path) if isinstance(offer, Skipped)]
    assert (drop.reason, drop.source_id) == ("bad_sidecar", "metadata.parquet")
    assert "when unpacked" in drop.detail


def test_a_value_of_no_time_is_passed_over(tmp_path):
    write(tmp_path, "a.png")
    table = pa.table({"file_name": ["a.png"], "rating": pa.array([2**62], pa.timestamp("us"))})
    pq.write_table(table, tmp_path / "metadata.parquet")
    assert {offer.source_id for offer in offers(tmp_path)} >= {"a.png"}


def test_a_name_that_is_no_utf8_becomes_text(tmp_path):
    name = os.fsdecode(b"\xff\xfe.png")
    write(tmp_path, name)
    (post,) = offers(tmp_path)
    assert post.source_id == "\\xff\\xfe.png"
    assert post.read() == PNG
    pa.array([post.source_id, *post.tags])


def dropped(root: Path) -> dict[str, str]:
    return {drop.source_id: drop.reason for drop in offers(root) if isinstance(drop, Skipped)}


@pytest.mark.parametrize(
    "name",
    [
        "@eaDir/a.png/SYNOPHOTO_THUMB_B.jpg",
        "$RECYCLE.BIN/S-1-5-21/$R1.png",
        "sub/.thumbnails/x.png",
        "#recycle/b.png",
        "System Volume Information/x.jpg",
        ".Trash-1000/files/a.png",
        ".@__thumb/s800a.png",
        "Lost+Found/x.png",
    ],
)
def test_folders_of_systems_are_one_row_each(tmp_path, name):
    write(tmp_path, "a.png")
    write(tmp_path, name)
    write(tmp_path, f"{name}.more.png")
    folder_ = "/".join(name.split("/")[: 2 if name.startswith("sub/") else 1])
    assert [post.source_id for post in offers(tmp_path) if isinstance(post, Post)] == ["a.png"]
    assert dropped(tmp_path) == {folder_: "system_file"}


@pytest.mark.parametrize("name", [".hidden.png", "._a.png", "b/.2.jpeg"])
def test_a_hidden_picture_is_a_row(tmp_path, name):
    write(tmp_path, "a.png")
    write(tmp_path, name)
    write(tmp_path, ".DS_Store", b"Bud1")  # no picture: no row
    assert dropped(tmp_path) == {name: "system_file"}


@pytest.mark.parametrize("name", ["sub", "a/b/c", "画像"])
def test_a_folder_that_may_not_be_read_is_a_row(tmp_path, monkeypatch, name):
    write(tmp_path, "z.png")
    write(tmp_path, f"{name}/x.png")
    really = os.scandir

    def scandir(path):  # root may read everything: so the system's answer is played
        if os.fspath(path) == str(tmp_path / name):
            raise PermissionError(13, "Permission denied")
        return really(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert [post.source_id for post in offers(tmp_path) if isinstance(post, Post)] == ["z.png"]
    assert dropped(tmp_path) == {name: "unreadable"}


@pytest.mark.parametrize("name", ["x.png", "unnamed", "a.png.json", "metadata.csv", "a.txt"])
def test_a_pipe_in_a_folder_is_a_row_and_is_not_opened(tmp_path, name):
    write(tmp_path, "a.png")
    os.mkfifo(tmp_path / name)
    assert [post.source_id for post in offers(tmp_path) if isinstance(post, Post)] == ["a.png"]
    assert dropped(tmp_path) == {name: "unreadable"}


@pytest.mark.parametrize(("source", "suffix"), [("folder", ""), ("archive", ".zip"), ("urls", ".txt")])
def test_a_pipe_as_path_is_reported(tmp_path, source, suffix):
    path = tmp_path / f"p{suffix}"
    os.mkfifo(path)
    with pytest.raises(UserError, match="a pipe"):
        folder.require_path(LocalQuery(path=path), source)


@pytest.mark.parametrize(
    ("name", "text", "tags"),
    [
        ("c.png.txt", "1girl\ngreen_hair\nsolo\n", ("1girl", "green_hair", "solo")),
        ("c.txt", "1girl\r\nblue hair\r\nlooking at viewer\r\n", ("1girl", "blue_hair", "looking_at_viewer")),
        ("c.png.txt", "blue hair", ("blue_hair",)),
        ("c.png.txt", "1girl blue_hair", ("1girl", "blue_hair")),
        ("c.caption", "1girl, blue hair\nsolo, smile", ("1girl", "blue_hair", "solo", "smile")),
        ("c.txt", "1girl; blue hair; ;d", ("1girl", "blue_hair", ";d")),
        ("c.txt", "1girl ;d :)", ("1girl", ";d", ":)")),
        ("c.txt", "['1girl', \"it's\"]", ("1girl", "it's")),
        ("c.txt", "https://a.example/1\nblue hair\nhat", ("blue_hair", "hat")),
        ("c.png.json", '["1girl", "blue hair"]', ("1girl", "blue_hair")),
        ("c.json", '{"tags": {"general": ["1girl"], "artist": ["x"]}}', ("1girl", "x")),
        ("c.json", '{"tags": [{"name": "blue hair"}, {"name": "hat"}]}', ("blue_hair", "hat")),
        ("c.json", '{"tags": {"blue hair": 0.9, "hat": 1}}', ("blue_hair", "hat")),
        ("c.json", '{"tags_species": ["human"], "tags": "1girl\\nblue hair"}', ("1girl", "blue_hair", "human")),
    ],
)
def test_tags_of_every_form_are_read(tmp_path, name, text, tags):
    write(tmp_path, "c.png")
    write(tmp_path, name, text)
    assert described(tmp_path).tags == tags
    assert not dropped(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "['1girl', 'green hair']",
        '["1girl", "green hair"]',
        "['1girl' 'green hair']",
        "('1girl', 'green hair')",
        "['1girl'\n 'green hair']",
        "array(['1girl', 'green hair'], dtype=object)",
        "{'1girl': 0.9, 'green hair': 1e-05}",
        "[1girl, green hair]",
        '["1girl", "gr\\u0065en hair"]',
    ],
)
def test_a_list_that_became_text_is_a_list(tmp_path, text):
    write(tmp_path, "c.png")
    write(tmp_path, "metadata.csv", 'file_name,tags\nc.png,"' + text.replace('"', '""') + '"\n')
    assert described(tmp_path).tags == ("1girl", "green_hair")


@pytest.mark.parametrize("text", ["[]", "{}", "nan", "None", "", "[ ]", "array([], dtype=object)"])
def test_an_empty_list_that_became_text_is_no_tag(tmp_path, text):
    write(tmp_path, "c.png")
    write(tmp_path, "metadata.csv", f'file_name,tags\nc.png,"{text}"\n')
    assert described(tmp_path).tags == ()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.txt", "A girl with blue hair is smiling.\nAn anime character.\n"),
        (
            "c.json",
            '{"caption": "A girl with blue hair is smiling.", "url": "https://a.example/1", "status": "success"}',
        ),
        ("metadata.jsonl", '{"file_name": "c.png", "captions": ["A girl with blue hair is smiling.", "Another one."]}'),
    ],
)
def test_a_sentence_is_the_title_and_no_long_tag(tmp_path, name, text):
    write(tmp_path, "c.png")
    write(tmp_path, name, text)
    post = described(tmp_path)
    assert post.title == "A girl with blue hair is smiling."
    assert {"girl", "blue", "hair"} <= {*post.tags}
    assert not any("girl_with" in tag for tag in post.tags)


@pytest.mark.parametrize(
    ("name", "text", "where", "words"),
    [
        ("other.txt", "1girl", ".", "1 of no picture's name: other.txt"),
        ("sub/labels.csv", "a,b", "sub", "labels.csv"),
        ("c.json", '{"shapes": []}', ".", "1 say nothing that is used: c.json"),
        ("metadata.csv", "name,text\nc.png,hat\n", "metadata.csv", "no column is called file_name"),
        ("metadata.jsonl", '{"file_name": "d.png", "text": "hat"}', "metadata.jsonl", "1 of 1 rows"),
    ],
)
def test_what_is_passed_over_is_reported(tmp_path, name, text, where, words):
    write(tmp_path, "c.png")
    write(tmp_path, name, text)
    (drop,) = [offer for offer in offers(tmp_path) if isinstance(offer, Skipped)]
    assert (drop.source_id, drop.reason) == (where, "bad_sidecar")
    assert words in drop.detail


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("metadata.csv", b"file_name,text\nc.png,hat\nd.png," + b"x" * 1_000_000),
        ("metadata.csv", b"file_name,text\nc.png,hat\n" + b"," * 2_000_000),
        ("metadata.csv", b"file_name,text\nc.png,hat\n" + b'"a\n",' * 200_000),
        ("metadata.csv", b"file_name,text\nc.png,hat\n" + b"d.png,x\n" * 2000 + b"\xff,\xfe\n"),
        ("metadata.jsonl", b'{"file_name": "c.png", "text": "hat"}\n{"tags":' + b"[" * 1_000_000),
        ("metadata.jsonl", b'{broken\n\xff\n{"file_name": "c.png", "text": "hat"}\n[1]\n'),
    ],
)
def test_a_hostile_row_costs_no_memory_and_no_other_row(tmp_path, name, data):
    write(tmp_path, "c.png")
    write(tmp_path, name, data)
    assert dropped(tmp_path) == {name: "bad_sidecar"}
    assert described(tmp_path).tags == ("hat",)


def test_rows_of_other_pictures_are_not_kept_and_are_bounded(tmp_path, monkeypatch):
    data = b"file_name\n" + b"a\n" * 1000
    tables = sidecars.Sidecars(lambda path: data, {"c.png"})
    tables.describe("c.png", ["metadata.csv"])
    assert tables._tables == {"metadata.csv": {}}
    assert [*tables.unused()] == [("metadata.csv", "1,000 of 1,000 rows are of no picture here")]
    monkeypatch.setattr(sidecars, "MAX_ROWS", 10)
    _, (problem,) = sidecars.Sidecars(lambda path: data).describe("c.png", ["metadata.csv"])
    assert "more than 10 rows" in problem.args[1]
    monkeypatch.setattr(sidecars, "MAX_KEPT", 1000)
    data = b"file_name\n" + b"".join(b"%d.png\n" % number for number in range(9))
    _, (problem,) = sidecars.Sidecars(lambda path: data).describe("c.png", ["metadata.csv"])
    assert "1,000 bytes" in problem.args[1]


TAGS = [f"tag_{number}" for number in range(40)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.png.txt", "\n".join(TAGS)),
        ("c.txt", ", ".join(TAGS)),
        ("c.txt", " ".join(TAGS)),
        ("c.png.json", json.dumps({"category": "pixiv", "tags": TAGS})),
    ],
)
def test_reading_a_sidecar_makes_few_calls_for_a_tag(name, text):
    read, calls = sidecars.Sidecars(lambda path: text.encode()), 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        fields, _ = read.describe("c.png", [name])
    finally:
        sys.setprofile(None)
    assert len(fields["tags"]) == len(TAGS)
    assert calls < 500 + 40 * len(TAGS)


def test_a_text_of_addresses_is_read_in_linear_time():
    text = "".join(f"https://a.test/{number}\n" for number in range(40_000)).encode()
    start = time.process_time()
    fields, _ = sidecars.Sidecars(lambda path: text).describe("c.png", ["c.txt"])
    assert time.process_time() - start < 2
    assert fields == {"page_url": "https://a.test/0", "tags": ()}


def test_of_columns_of_the_same_name_the_first_filled_one_counts():
    assert row_of(["id", "id", "a", "a", "b", "b"], [0, 7, None, "x", "", None]) == {"id": 0, "a": "x", "b": None}


@pytest.mark.parametrize("form", ["parquet", "csv", "jsonl"])
def test_columns_of_the_same_name_lose_nothing(tmp_path, form):
    write(tmp_path, "c.png")
    if form == "parquet":
        columns = [pa.array(["c.png"]), pa.array([""]), pa.array(["hat"])]
        pq.write_table(pa.Table.from_arrays(columns, ["file_name", "tags", "Tags"]), tmp_path / "metadata.parquet")
    elif form == "csv":
        write(tmp_path, "metadata.csv", "file_name,tags,TAGS\nc.png,,hat\n")
    else:
        write(tmp_path, "metadata.jsonl", '{"file_name": "c.png", "tags": "", "TAGS": "hat"}')
    assert described(tmp_path).tags == ("hat",)


@pytest.mark.parametrize(
    ("values", "artist"),
    [
        ({"category": "konachan", "tags": "1girl x", "author": "uploader"}, None),
        ({"category": "3dbooru", "tags": "1girl", "author": "uploader"}, None),
        ({"category": "mine", "tags": "1girl x", "author": "uploader"}, None),
        ({"author": "uploader", "creator_id": 7, "preview_url": "x"}, None),
        ({"category": "zerochan", "author": "uploader", "tags": ["Mangaka:Some One", "Theme:Hat"]}, "some_one"),
        ({"category": "sankaku", "author": {"id": 1, "name": "uploader"}, "tags": ["1girl"]}, None),
        ({"category": "idolcomplex", "author": {"name": "uploader"}, "tags_artist": ["a", "b"]}, "a, b"),
        ({"category": "danbooru", "uploader": {"name": "uploader"}, "tag_string_artist": "a b"}, "a, b"),
        ({"category": "gelbooru", "owner": "uploader", "user": "uploader", "submitter": "uploader"}, None),
        ({"category": "reddit", "author": "uploader"}, None),
        ({"category": "derpibooru", "tags": ["artist:a", "hat"]}, "a"),
        ({"category": "pixiv", "user": {"name": "a"}}, "a"),
        ({"category": "deviantart", "author": {"username": "a"}}, "a"),
        ({"author": "a"}, "a"),
        ({"artist": "['a', 'b']"}, "a, b"),
        ({"artist": "a", "tags_artist": "b", "author": "c"}, "a, b"),
    ],
)
def test_an_uploader_is_no_artist(values, artist):
    assert sidecars.provenance(values, sidecars.find_tags(values)).get("artist") == artist


def test_gallery_dl_sidecars_give_provenance_and_tags(tmp_path):
    write(tmp_path, "c.png")
    write(
        tmp_path,
        "c.png.json",
        json.dumps(
            {
                "category": "danbooru",
                "id": 7,
                "file_url": "https://cdn.example/7.png",
                "rating": "g",
                "tag_string": "1girl solo Blue_Hair",
                "tag_string_artist": "someone",
                "score": {"up": 1},
            }
        ),
    )
    post = described(tmp_path)
    assert (post.file_url, post.rating, post.artist) == ("https://cdn.example/7.png", "g", "someone")
    assert post.tags == ("1girl", "solo", "blue_hair")


def test_waifuc_and_kohya_sidecars_are_read(tmp_path):
    write(tmp_path, "c.png")
    write(
        tmp_path, ".c_meta.json", json.dumps({"url": "https://x.example/a", "tags": {"smile": 0.9, "long hair": 0.8}})
    )
    write(tmp_path, "c.txt", "Long hair, saber \\(fate\\), smile,\n")
    post = described(tmp_path)
    assert post.file_url == "https://x.example/a"
    assert post.tags == ("smile", "long_hair", "saber_(fate)")


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_image_folder_tables_describe_pictures_below_them(tmp_path, form):
    rows = [
        {"file_name": "train/c.png", "artist": "A", "text": "red hair, hat"},
        {"file_name": "other.png", "artist": "B"},
    ]
    if form == "csv":
        write(tmp_path, "metadata.csv", 'file_name,artist,text\ntrain/c.png,A,"red hair, hat"\nother.png,B,\n')
    elif form == "jsonl":
        write(tmp_path, "metadata.jsonl", "\n".join(map(json.dumps, rows)))
    else:
        file = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows), file)
        write(tmp_path, "metadata.parquet", file.getvalue())
    write(tmp_path, "train/c.png")
    post = described(tmp_path, "train/c.png")
    assert (post.artist, post.tags) == ("A", ("red_hair", "hat"))


def test_class_folders_are_tags_but_splits_are_not(tmp_path):
    write(tmp_path, "train/10_Yuno Gasai/c.png")
    assert described(tmp_path, "train/10_Yuno Gasai/c.png").tags == ("yuno_gasai",)


@pytest.mark.parametrize(
    "garbage",
    [
        "{",
        "[1, 2]",
        '{"tags": {"a": [1]}, "artist": 5, "rating": null}',
        '{"artist": ["x", 3], "tags": [[], {}, 7]}',
        "[" * 100_000,
        '{"tags": "\\ud800 x", "title": "\\udfff"}',
        "\xff\xfe",
        "x" * 2_000_000,
    ],
)
def test_a_garbage_sidecar_never_sinks_its_picture(tmp_path, garbage):
    write(tmp_path, "c.png")
    write(tmp_path, "c.png.json", garbage.encode("latin-1"))
    post = described(tmp_path)
    pa.array([*post.tags, post.artist, post.title], pa.string())
    assert all(offer.reason == "bad_sidecar" for offer in offers(tmp_path) if isinstance(offer, Skipped))


def test_a_bad_table_is_one_drop_and_not_one_per_picture(tmp_path):
    write(tmp_path, "metadata.jsonl", "{not json")
    for i in range(5):
        write(tmp_path, f"{i}.png")
    drops = [offer for offer in offers(tmp_path) if isinstance(offer, Skipped)]
    assert [(drop.source_id, drop.reason) for drop in drops] == [("metadata.jsonl", "bad_sidecar")]


def test_tags_are_split_at_commas_or_at_white_space():
    assert split_tags("a b_c") == ["a", "b_c"]
    assert split_tags("a b, c ,,d") == ["a_b", "c", "d"]
    assert split_tags(None) == split_tags(7) == split_tags([1, None]) == []


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (LocalQuery(), "--path"),
        (LocalQuery(path=Path("nowhere")), "nowhere"),
        (LocalQuery(path=Path(__file__)), "archive"),
        (LocalQuery(path=Path(), query="x"), "--query"),
    ],
)
def test_a_request_that_cannot_be_served_is_reported(request_, words):
    with pytest.raises(UserError, match=words):
        folder.snapshot(request_)


def test_a_folder_without_pictures_is_reported(tmp_path):
    write(tmp_path, "note.txt")
    with pytest.raises(UserError, match="empty"):
        folder.snapshot(LocalQuery(path=tmp_path))
