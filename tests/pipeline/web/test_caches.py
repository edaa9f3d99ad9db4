"""Files of caches that are damaged: kept answers, halves of downloads, hosts' budgets, assets. Each is made again."""

import hashlib
import json
import os
import sqlite3
import threading

import pytest
import requests

from pipeline import assets
from pipeline.web.http_cache import CachedResponse
from pipeline.web.messages import HttpRequest, HttpResponse
from pipeline.web.partial_file import PartialFile
from pipeline.web.rate_limit import RateLimiter

DAMAGES = [
    b"",
    b"\xff" * 5000,
    bytes(8192),
    b"[" * 100_000,
    b"{}\n",
    b'["u", "200", {}]\nbody',
    b'["u", 200, [1]]\n',
    None,
]


def put(path, content: bytes | None) -> None:
    if content is None:
        (path / "in").mkdir(parents=True)
    else:
        path.write_bytes(content)


@pytest.mark.parametrize("content", DAMAGES)
def test_a_damaged_answer_is_requested_anew(content, tmp_path):
    ask, answer = HttpRequest("https://a.test/"), HttpResponse("https://a.test/", 200, {"etag": "x"}, b"body")
    CachedResponse(tmp_path, ask).store(answer)
    (file,) = tmp_path.iterdir()
    file.unlink()
    put(file, content)
    kept = CachedResponse(tmp_path, ask)
    assert (kept.answer, kept.condition_headers()) == (None, {})
    kept.store(answer)
    assert CachedResponse(tmp_path, ask).answer == answer


@pytest.mark.parametrize(
    ("headers", "conditions"),
    [
        (
            {"etag": 'W/"1 a"', "last-modified": "Sun, 06 Nov 1994 08:49:37 GMT"},
            {"If-None-Match": 'W/"1 a"', "If-Modified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"},
        ),
        ({"etag": '"1"\n"2"', "last-modified": "yesterday"}, {"If-Modified-Since": "yesterday"}),
        ({"etag": '"1"', "last-modified": "today\nyesterday"}, {"If-None-Match": '"1"'}),
        ({"etag": "\x00", "last-modified": "a\rb"}, {}),
        ({"etag": "", "last-modified": "a\x7f"}, {}),
        ({"etag": "é"}, {}),
    ],
)
def test_only_validators_of_one_line_are_sent_back(headers, conditions, tmp_path):
    ask = HttpRequest("https://a.test/")
    CachedResponse(tmp_path, ask).store(HttpResponse(ask.url, 200, headers, b"body"))
    assert CachedResponse(tmp_path, ask).condition_headers() == conditions
    assert bool(conditions) == bool(list(tmp_path.iterdir()))
    requests.Request("GET", ask.url, headers=conditions).prepare()


@pytest.mark.parametrize("content", DAMAGES)
def test_a_damaged_note_of_a_download_begins_it_anew(content, tmp_path):
    partial_file = PartialFile(tmp_path, "https://a.test/1.png")
    partial_file.begin({"etag": '"x"'})
    partial_file.append([b"half"])
    assert partial_file.resume_state()[0] == 4
    partial_file._validators_file.unlink()
    put(partial_file._validators_file, content)
    assert partial_file.resume_state() == (0, {})
    for path in (partial_file._part, partial_file.complete_path):
        path.unlink(missing_ok=True)
        put(path, None)
    assert not partial_file.is_complete()
    partial_file.begin({"etag": '"x"'})
    partial_file.append([b"all"])
    partial_file.finish()
    assert partial_file.complete_path.read_bytes() == b"all"
    partial_file.discard()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", DAMAGES)
def test_a_damaged_budget_is_begun_anew(content, tmp_path):
    put(tmp_path / "a.test.sqlite", content)
    budget = RateLimiter("a.test", 1000, threading.Event(), tmp_path)
    for _ in range(3):
        budget.wait()


def test_a_budget_that_is_of_another_table_or_is_damaged_while_it_is_used_is_begun_anew(tmp_path):
    with sqlite3.connect(tmp_path / "a.test.sqlite") as database:
        database.execute("CREATE TABLE rate_bucket (x)")
    database.close()
    budget = RateLimiter("a.test", 1000, threading.Event(), tmp_path)
    budget.wait()
    (tmp_path / "a.test.sqlite-wal").write_bytes(b"")
    (tmp_path / "a.test.sqlite").write_bytes(b"\xff" * 9000)
    budget.wait()


@pytest.mark.parametrize("content", [*DAMAGES[:4], b"other bytes, as many", None, "a pipe"])
def test_a_damaged_asset_is_fetched_again(content, tmp_path, monkeypatch):
    class Place:
        def get(self, max_bytes: int) -> bytes:
            return b"the right file's data"[:max_bytes]

    data = b"the right file's data"[:20]
    row = assets.Asset(hashlib.sha256(data).hexdigest(), 20, "MIT", (Place(),))
    monkeypatch.setitem(assets.ASSETS, "a.bin", row)
    monkeypatch.setattr(assets, "cache_folder", lambda: tmp_path)
    if content == "a pipe":
        os.mkfifo(tmp_path / "a.bin")
    else:
        put(tmp_path / "a.bin", content)
    assert assets.fetch("a.bin").read_bytes() == data
    assert json.dumps(sorted(path.name for path in tmp_path.iterdir())) == '["a.bin"]'
