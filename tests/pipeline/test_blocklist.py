"""What the block list reads, and what it keeps out."""

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import blocklist
from pipeline.datasets import takedown_index as traces
from pipeline.errors import UserError
from pipeline.images import collect as images
from pipeline.sources.base import Post, Skipped
from pipeline.sources.web_source import RemoteImage


def listed(store, text: str) -> blocklist.BlockList:
    (store.root / "blocklist.csv").write_text(text, encoding="utf-8")
    return blocklist.read(store.root)


HEAD = "artist,domain,url_prefix,sha256,reason\n"


def offer(**shown) -> RemoteImage:
    return RemoteImage(
        "1", **{"file_url": "https://cdn.example.org/a/1.jpg", "page_url": "https://example.org/p/1"} | shown
    )


@pytest.mark.parametrize(
    ("line", "shown", "rule"),
    [
        ("Some One,,,,", {"artist": "some_one"}, "artist"),
        ("some_one,,,,", {"artist": "Somebody, Some One"}, "artist"),
        ("some_one,,,,", {"artist": "some_one_else"}, None),
        ("some,,,,", {"artist": "some one"}, None),
        ("some_one,,,,", {"tags": ("1girl", "some_one")}, "artist"),
        ("some_one,,,,", {"artist": "another", "tags": ("some_one",)}, "artist"),
        ("some_one,,,,", {"artist": "another", "tags": ("artist:some_one",)}, "artist"),
        ("some_one,,,,", {"artist": "another", "tags": ("1girl", "mangaka:some_one")}, "artist"),
        ("some_one,,,,", {"artist": "another", "tags": ("character:some_one",)}, None),
        (",example.org,,,", {}, "domain"),
        (",Example.ORG,,,", {"page_url": None, "file_url": "https://cdn.example.org:8443/x"}, "domain"),
        (",ample.org,,,", {}, None),
        (",example.org,,,", {"page_url": None, "file_url": "https://example.org.evil.net/x"}, None),
        (",example.org,,,", {"page_url": None, "file_url": "https://evil.net/example.org/x"}, None),
        (",,https://example.org/p/,,", {}, "url_prefix"),
        (",,http://EXAMPLE.org/p,,", {}, "url_prefix"),
        (",,https://example.org/P/,,", {}, None),
        (",,https://cdn.example.org/a/1,,", {}, "url_prefix"),
        (",,https://cdn.example.org/b/,,", {}, None),
        (",,https://example.org/%70/,,", {}, "url_prefix"),
        (",,https://example.org/a b/,,", {"page_url": "https://example.org/a%20b/1"}, "url_prefix"),
        (",,https://example.org/画/,,", {"page_url": "https://example.org/%E7%94%BB/1"}, "url_prefix"),
        (",,https://example.org:443/p/,,", {}, "url_prefix"),
        (",example.org,,,", {"page_url": "https://example.org./p", "file_url": None}, "domain"),
        (",bücher.example,,,", {"page_url": "https://xn--bcher-kva.example/1"}, "domain"),
        (",xn--bcher-kva.example,,,", {"page_url": "https://bücher.example/1"}, "domain"),
        ("@someone,,,,", {"artist": "someone"}, "artist"),
        ("some(one),,,,", {"artist": "some（one）"}, "artist"),
        (",mirror.example,,,", {"instead": ("https://mirror.example/1",)}, "domain"),
    ],
)
def test_a_cell_keeps_out_what_it_names_and_nothing_else(store, line, shown, rule):
    assert listed(store, HEAD + line).match_rule(offer(**shown)) == rule


def test_without_a_file_nothing_is_blocked_and_no_digest_changes(store):
    assert blocklist.read(store.root).digest is None
    assert listed(store, HEAD).digest is None
    assert not listed(store, "")


def test_the_digest_is_of_what_is_blocked_alone(store):
    first = listed(store, HEAD + "a b,,,,mail\n,x.org,,,\n").digest
    assert listed(store, "\ufeffreason,domain,artist\n,X.org,\n,,A_B\n").digest == first
    assert listed(store, HEAD + "a b,,,,\n").digest != first


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (HEAD + ",,,abc,", "line 2"),
        (HEAD + "a,,,,\n,nothing,,,", "line 3"),
        (HEAD + ",,https://example.org,,", "line 2"),
        (HEAD + "a,b,c,d,e,f,g", "line 2"),
        ("name,url\nx,y\n", "name,url"),
        (HEAD + '"unclosed,,,,\nother,,,,\n', "line"),
        ("artist,artist\na,b\n", "artist,artist"),
    ],
)
def test_a_line_that_is_wrong_is_named_rather_than_passed_over(store, text, words):
    with pytest.raises(UserError, match=words):
        listed(store, text)


@pytest.mark.parametrize("kind", ["fifo", "folder", "loop"])
def test_what_is_no_file_is_reported_and_never_waited_for(store, kind):
    path = store.root / "blocklist.csv"
    {"fifo": os.mkfifo, "folder": os.mkdir, "loop": lambda path: path.symlink_to(path)}[kind](path)
    with pytest.raises(UserError, match=r"blocklist\.csv"):
        blocklist.read(store.root)


def test_a_first_line_of_a_huge_cell_is_reported(store):
    with pytest.raises(UserError, match="line 1"):
        listed(store, "x" * 200_000)


def test_a_file_that_is_no_text_is_reported(store):
    (store.root / "blocklist.csv").write_bytes(b"artist\n\xff\xfe\n")
    with pytest.raises(UserError, match="UTF-8"):
        blocklist.read(store.root)


def test_a_line_is_added_once_and_what_stood_there_stays(store):
    store.scratch.mkdir(parents=True, exist_ok=True)
    (store.root / "blocklist.csv").write_text("reason,artist,sha256,url_prefix,domain\nold,A,,,", encoding="utf-8")
    for _ in range(2):
        blocklist.add(store.root, "artist", "Some One", "by mail,\nin June", store.scratch)
    blocklist.add(store.root, "sha256", "AB" * 32, "", store.scratch)
    assert (store.root / "blocklist.csv").read_text(encoding="utf-8").splitlines() == [
        "reason,artist,sha256,url_prefix,domain",
        "old,A,,,",
        '"by mail, in June",Some One,,,',
        ",," + "AB" * 32 + ",,",
    ]
    assert blocklist.read(store.root).hashes == {"ab" * 32}


def post(n: int, data: bytes, **shown) -> Post:
    return Post(str(n), lambda: data, f"post {n}", **shown)


def test_pictures_are_kept_out_by_their_provenance_and_by_their_bytes(store):
    from tests.support.fake_site import gradient

    def fail() -> bytes:
        raise AssertionError("a blocked post is not read")

    posts = [
        post(1, gradient(1)),
        post(2, gradient(2)),
        Post("3", fail, "post 3", artist="some one"),
        Skipped("4", "hidden"),
        post(5, gradient(5)),
    ]
    table, _ = images.collect(posts[:1], "folder", 0, store, jobs=1)
    sha256 = table["image_id"][0].as_py()
    blocked = listed(store, HEAD + f"some_one,,,,\n,,,{sha256},\n")
    for _ in range(2):  # what is remembered is no way round the list
        table, drops = images.collect(posts, "folder", 0, store, blocked=blocked, jobs=1)
        assert table["source_id"].to_pylist() == ["2", "5"]
        shown = {row["source_id"]: (row["reason"], row["detail"], row["image_id"]) for row in drops}
        assert shown["1"] == ("blocked", "sha256", None)
        assert shown["3"] == ("blocked", "artist", None)
    (store.root / "blocklist.csv").unlink()
    table, _ = images.collect(posts[:1], "folder", 0, store, blocked=blocklist.read(store.root), jobs=1)
    assert table["image_id"].to_pylist() == [sha256]


@pytest.mark.parametrize(
    ("artist", "tags", "source", "is_reported"),
    [
        (None, [], "folder", True),
        ("", [], "urls", True),
        (None, ["1girl"], "folder", False),
        ("a", [], "folder", False),
        (None, [], "drawn", False),
    ],
)
def test_a_picture_without_artist_and_tags_is_left_undecided(tmp_path, artist, tags, source, is_reported):
    row = {"image_id": "a" * 64, "source": source, "source_id": "1.png", "artist": artist, "tags": tags}
    schema = pa.schema([(name, pa.list_(pa.string()) if name == "tags" else pa.string()) for name in row])
    pq.write_table(pa.Table.from_pylist([row, row], schema=schema), tmp_path / "t.parquet")
    assert traces.undecided([tmp_path / "t.parquet"], traces.Removal()) == ([f"{source} 1.png"] if is_reported else [])
    assert traces.undecided([tmp_path / "t.parquet"], traces.Removal(images={"a" * 64})) == []
