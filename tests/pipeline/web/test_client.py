"""Hosts that mean ill, and hosts beside each other: what a request may cost, and whom it blames."""

import itertools
import socket
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from pipeline.crawl.crawl import Crawl
from pipeline.errors import UserError
from pipeline.sources.registry import SOURCES
from pipeline.sources.web_source import Query
from pipeline.store import Store
from pipeline.web import http as web
from pipeline.web.client import Client, CrawlPolicy, _requested_wait, host_name
from pipeline.web.http import check_public
from pipeline.web.messages import HttpRequest
from pipeline.web.partial_file import PartialFile
from tests.support.fake_site import FakeSite, InjectedFailure

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n"
EMPTY_BLOCK = b"\x00\x00\x00\xff\xff"  # of deflate: five bytes that unpack to none
# What is sent, over and over, behind a request for a file. No single read is silent for long.
ENDLESS = {
    "a head": (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
    "a head of heads": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "trailers": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X-More: 1\r\n"),
    "packed nothing": (HEAD + b"Content-Encoding: gzip\r\n\r\n" + bytes.fromhex("1f8b0800000000000003"), EMPTY_BLOCK),
    "a body": (HEAD + b"Connection: close\r\n\r\n", b"x"),
}


@contextmanager
def raw_server(first: bytes, then: bytes):
    """Sends `first` and then, ten times a second, `then` to whoever asks for anything but robots.txt."""
    stop = threading.Event()
    server = socket.create_server(("127.0.0.1", 0))

    def answer(line: socket.socket) -> None:
        with line:
            try:
                requested = line.recv(65536)
                if b"/robots.txt" in requested:
                    line.sendall(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    return
                line.sendall(first)
                while then and not stop.wait(0.1):
                    line.sendall(then)
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                line, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(line,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
    finally:
        stop.set()
        server.close()


@pytest.fixture
def client(tmp_path):
    """client(*URLs that may be private, …) -> Client."""
    stop = threading.Event()

    def make(*urls: str, **policy) -> Client:
        hosts = frozenset(url.removeprefix("http://") for url in urls)
        quick = {"rate": 0, "backoff": 0.01, "file_seconds": 0.5, "page_seconds": 0.5, "local_hosts": hosts}
        return Client(CrawlPolicy(**quick | policy), tmp_path / "pages", stop, tmp_path / "hosts")

    yield make
    stop.set()


@pytest.fixture
def sites():
    with FakeSite(posts=20) as one, FakeSite(posts=20) as other:
        yield one, other


@pytest.mark.parametrize("kind", ENDLESS)
def test_no_answer_takes_longer_than_it_may(client, tmp_path, kind, monkeypatch):
    monkeypatch.setattr("pipeline.web.client.MAX_TRIES", 2)
    with raw_server(*ENDLESS[kind]) as url:
        start = time.monotonic()
        with pytest.raises(web.RequestFailed) as failure:
            client(url).fetch_file(HttpRequest(f"{url}/x.jpg"), PartialFile(tmp_path, "x"))
    assert failure.value.reason in ("too_slow", "unreachable")
    assert time.monotonic() - start < 6


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://[bad/x.jpg\r\nContent-Length: 0\r\n\r\n", "bad_url"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://h:99999/\r\nContent-Length: 0\r\n\r\n", "bad_url"),
        (b"HTTP/1.1 302 Found\r\nLocation: \xff\xfe//\r\nContent-Length: 0\r\n\r\n", "redirects"),
        (HEAD + "Content-Length: \u00b2\r\nConnection: close\r\n\r\nabc".encode("latin-1"), None),
        (b"\xff\xff\xff\r\n\r\n", "unreachable"),
        (b"HTTP/1.1 999999999999 x\r\n\r\n", "unreachable"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", "cut_short"),
        (HEAD + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc", "wrong_type"),
    ],
)
def test_odd_answers_are_faults_and_no_crash(client, tmp_path, head, reason, monkeypatch):
    monkeypatch.setattr("pipeline.web.client.MAX_TRIES", 1)
    with raw_server(head, b"") as url:
        partial_file = PartialFile(tmp_path, "x")
        try:
            client(url).fetch_file(HttpRequest(f"{url}/x.jpg"), partial_file)
        except web.RequestFailed as failure:
            assert failure.reason == reason  # noqa: PT017
        else:
            assert reason is None
            assert partial_file.complete_path.read_bytes() == b"abc"


@pytest.mark.parametrize("shown", ["bytes 0-99/1000", "bytes 300-399/1000", "bytes 300-999/*", "bytes x", ""])
def test_a_part_that_is_not_the_rest_is_no_file(client, sites, tmp_path, shown, monkeypatch):
    monkeypatch.setattr("pipeline.web.client.MIN_RESUMABLE_BYTES", 0)
    one, _ = sites
    one.faults.append(InjectedFailure("/many/1.jpg", "truncate", at=300))
    one.faults.append(InjectedFailure("/many/1.jpg", "headers", more={"Content-Range": shown}))
    partial_file = PartialFile(tmp_path, "x")
    client(one.url).fetch_file(HttpRequest(f"{one.url}/many/1.jpg"), partial_file)
    assert partial_file.complete_path.read_bytes() == one.picture(1)
    assert [requested.status for requested in one.log if "/many/" in requested.path] == [200, 206, 200]


def test_the_host_that_requests_patience_gets_it_though_another_led_there(client, sites, tmp_path):
    one, other = sites
    one.faults.append(InjectedFailure("/many/1.jpg", "redirect", times=99, to=f"{other.url}/many/2.jpg"))
    other.faults.append(InjectedFailure("/many/2.jpg", "status", code=429, retry_after=2))
    start = time.monotonic()
    client(one.url, other.url, file_seconds=5).fetch_file(
        HttpRequest(f"{one.url}/many/1.jpg"), PartialFile(tmp_path, "x")
    )
    assert time.monotonic() - start > 1.8
    requested = [each.time for each in other.log if "/many/" in each.path]
    assert len(requested) == 2
    assert requested[1] - requested[0] > 1.8


SECRET = "hush-hush-4711"


def test_keys_are_hidden_where_a_site_repeats_them(sites, tmp_path, caplog):
    """In a redirect to another port, in the words of an error, in the text that is no JSON: and in what is kept."""
    one, other = sites
    store = Store(tmp_path / "data", "test")
    store.scratch.mkdir(parents=True)
    hosts = frozenset(site.url.removeprefix("http://") for site in sites)
    keys = {"api_key": SECRET, "user_id": "1"}
    query = Query("1girl", f"{one.url}/gelbooru", ratings=SOURCES["gelbooru"].ratings, keys=keys)
    crawl = Crawl(
        "gelbooru",
        SOURCES["gelbooru"],
        query,
        CrawlPolicy(rate=0, backoff=0.01, local_hosts=hosts),
        store,
        hosts=tmp_path / "hosts",
    )
    repeated = f"{other.url}/gelbooru/index.php?page=dapi&s=post&q=index&json=1&limit=100&api_key={SECRET}&user_id=1"
    faults = [
        InjectedFailure("page=dapi", "redirect", to=repeated),
        InjectedFailure("page=dapi", "status", code=403, body=f'{{"message": "{SECRET} is not known"}}'.encode()),
        InjectedFailure("page=dapi", "status", code=200, body=f"{SECRET} is not known".encode()),
        InjectedFailure("page=dapi", "status", code=200, body=f'<error reason="{SECRET}">{SECRET}</error>'.encode()),
    ]
    other.faults.append(InjectedFailure("page=dapi", "html200"))
    for failure in faults:
        one.faults[:] = [failure]
        with pytest.raises(UserError) as error:
            crawl.run(0, 0)
        assert SECRET not in str(error.value)
        assert "127.0.0.1" in str(error.value)  # and nothing else is
    assert SECRET not in caplog.text
    assert not any(SECRET in requested.path for requested in other.log)
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes(), file


def test_one_dead_host_of_a_sites_files_is_a_row_and_no_end(sites, tmp_path):
    one, _ = sites
    with FakeSite(posts=0) as gone:
        dead = gone.url
    store = Store(tmp_path / "data", "test")
    store.scratch.mkdir(parents=True)
    victim = next(post for post in one.posts if post.is_picture and post.rating == "general")
    one.faults.append(InjectedFailure(f"/{victim.id}/", "redirect", times=99, to=f"{dead}/x.jpg"))
    hosts = frozenset(url.removeprefix("http://") for url in (one.url, dead))
    query = Query("1girl", f"{one.url}/danbooru", ratings=("g", "s"))
    policy = CrawlPolicy(rate=0, backoff=0.01, local_hosts=hosts)
    counts, _ = Crawl("danbooru", SOURCES["danbooru"], query, policy, store, hosts=tmp_path / "hosts").run(0, 0)
    assert counts.by_kind["failed"] == 1
    assert counts.by_kind["fetched"] == counts.expected - 1


def test_a_host_that_bans_does_not_stop_a_list_of_many(sites, tmp_path):
    one, other = sites
    one.faults.append(InjectedFailure("/many/", "cloudflare", times=99))
    pairs = [(f"{one.url}/many/{n}.jpg", f"{other.url}/many/{n}.jpg") for n in range(8)]
    (tmp_path / "list.txt").write_text("\n".join(itertools.chain(*pairs)))
    store = Store(tmp_path / "data", "test")
    store.scratch.mkdir(parents=True)
    policy = CrawlPolicy(rate=0, local_hosts=frozenset(site.url.removeprefix("http://") for site in sites))
    query = Query("", "", path=tmp_path / "list.txt")
    counts, _ = Crawl("urls", SOURCES["urls"], query, policy, store, hosts=tmp_path / "hosts").run(0, 0)
    assert counts.by_kind == {"fetched": 8, "refused": 8}
    assert len([requested for requested in one.log if "/many/" in requested.path]) <= 2  # one for each thread


def test_every_opt_out_of_a_page_is_heard(sites, client):
    one, _ = sites
    headers = {"X-Robots-Tag": "otherbot: noindex\r\nX-Robots-Tag: noindex"}
    one.faults.append(InjectedFailure("/gallery/page1", "headers", more=headers))
    row = SOURCES["web_page"]
    query = Query("/gallery/page1.html", one.url)
    cursor = row.engine.first_cursor(query)
    found = client(one.url).fetch_page(
        row.engine.request(query, cursor), lambda answer: row.engine.parse(query, cursor, answer), obeys_robots=True
    )
    assert [offer.reason for offer in found.offers] == ["opted_out"]


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"RateLimit-Reset": "nan"}, None),
        ({"X-RateLimit-Reset": "inf"}, None),
        ({"X-Rate-Limit-Reset": "-inf"}, None),
        ({"X-Rate-Limit-Reset": "NaN", "RateLimit-Reset": "7"}, 7),
        ({"RateLimit-Reset": "1e400"}, None),
        ({"Retry-After": "nan", "RateLimit-Reset": "nan"}, None),
        ({"RateLimit-Reset": "-5"}, 1),
        ({}, None),
    ],
)
def test_a_limit_that_is_reset_at_no_number_gives_no_wait(headers, wait):
    assert _requested_wait(SimpleNamespace(headers=headers)) == wait


def test_a_host_has_one_budget_however_it_is_spelled():
    spellings = ("https://example.org/a", "http://Example.org:80/", "https://example.org.:443/b")
    assert {host_name(url) for url in spellings} == {"example.org"}
    assert host_name("http://example.org:8080/") == "example.org:8080"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "192.168.1.1",
        "0.0.0.0",
        "224.0.0.1",
        "100.64.0.1",
        "::1",
        "fe80::1%eth0",
        "fc00::1",
        "fec0::1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::10.0.0.1",
        "2002:a00:1::",
    ],
)
def test_no_private_address_however_it_is_wrapped(address):
    with pytest.raises(web.RequestFailed, match="private"):
        check_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "2606:4700::6810:84e5", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"]
)
def test_public_addresses_are(address):
    check_public(address)
