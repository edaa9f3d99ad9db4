"""Harvests from the stand-in: each fault is the right row of the ledger, and nothing is lost or fetched twice."""

import contextlib
import dataclasses
import hashlib
import http.client
import resource
import threading
import time
from collections import Counter
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from pipeline.blocklist import BlockList
from pipeline.crawl import download
from pipeline.crawl.crawl import Crawl
from pipeline.crawl.ledger import Entry
from pipeline.errors import UserError
from pipeline.images import collect as images
from pipeline.sources.base import Skipped
from pipeline.sources.registry import SOURCES
from pipeline.sources.web_source import Query, RemoteImage
from pipeline.store import Store
from pipeline.web import http as web
from pipeline.web.client import BlockedByHost, Client, CrawlPolicy
from pipeline.web.messages import HttpRequest
from tests.support.fake_site import GALLERY, FakeSite, InjectedFailure, keeps_apart

QUICK = {"rate": 0, "backoff": 0.02, "file_seconds": 1, "page_seconds": 2, "file_bytes": 5_000_000}


@pytest.fixture
def site():
    with FakeSite(posts=40) as site:
        yield site


@pytest.fixture
def ask(site, tmp_path):
    """ask(source, …) -> Harvest of the stand-in, all in tmp_path."""
    store = Store(tmp_path / "data", "test")
    store.scratch.mkdir(parents=True)

    def make(source: str = "safebooru", text: str = "1girl", *, strict: bool = False, policy=(), **query) -> Crawl:
        row = SOURCES[source]
        engine = row.engine.__name__.rpartition(".")[2]
        base = {"gelbooru": source, "url_list": "", "web_page": ""}.get(engine, engine)
        requested = {"text": text, "base_url": f"{site.url}/{base}".rstrip("/"), "ratings": row.ratings} | query
        local_hosts = frozenset([site.url.removeprefix("http://")])
        return Crawl(
            source,
            row,
            Query(**requested),
            CrawlPolicy(**QUICK | {"local_hosts": local_hosts} | dict(policy)),
            store,
            connections=2,
            is_strict=strict,
            hosts=tmp_path / "hosts",
        )

    return make


def outcomes(crawl: Crawl, number: int = 0, limit: int = 0) -> dict[str, str]:
    """source_id -> what came of it."""
    return {
        offer.source_id: offer.reason if isinstance(offer, Skipped) else "fetched"
        for offer in offers(crawl, number, limit)
    }


def offers(crawl: Crawl, number: int = 0, limit: int = 0) -> list:
    """Of a harvest that is finished: it asks for nothing."""
    return crawl.run(number, limit).offers


def files_requested(site: FakeSite) -> Counter:
    return Counter(
        requested.path for requested in site.log if "/files/" in requested.path or "/images/" in requested.path
    )


SITES = ("safebooru", "gelbooru", "danbooru", "konachan")


@pytest.mark.parametrize("source", SITES)
def test_all_pictures_come_once_with_what_the_site_says_of_them(ask, site, source):
    crawl = ask(source)
    counts = crawl.run(0, 0).counts
    assert counts.is_complete
    assert counts.by_kind["fetched"] == counts.expected > 20
    taken = {post.id: post for post in site.posts if post.is_picture}
    table, _ = images.collect(offers(crawl, 0, 0), source, 0, crawl.store)
    for row in table.to_pylist():
        post = taken[int(row["source_id"])]
        assert (row["image_id"], row["md5"]) == (post.sha256, post.md5)
        assert set(row["tags"]) == set(post.tags)
        assert row["page_url"].startswith(crawl.query.base_url)
        assert row["fetched_at"] is not None
    requested = files_requested(site)
    assert set(requested.values()) == {1}
    assert len(requested) == counts.expected
    crawl.run(0, 0)
    assert files_requested(site) == requested


@pytest.mark.parametrize("source", SITES)
def test_a_finished_crawl_makes_no_request_and_a_refresh_requests_what_is_new(ask, site, source):
    crawl = ask(source)
    first = crawl.run(0, 0).counts
    requested = len(site.log)
    crawl.run(crawl.round(is_new=False)[1], 0)
    assert len(site.log) == requested
    site.add_posts(6)
    _, number = crawl.round(is_new=True)
    second = crawl.run(number, 0, is_refresh=True).counts
    assert number == 1
    assert second.expected > first.expected
    assert set(files_requested(site).values()) == {1}
    assert {post.source_id for post in offers(crawl, 0, 0)} < {post.source_id for post in offers(crawl, 1, 0)}
    assert crawl.round(is_new=False)[1] == 1  # what is built without --refresh is what there is


def test_the_limit_counts_offers_and_may_grow(ask, site):
    crawl = ask()
    assert crawl.run(0, 5).counts.expected == 5
    assert crawl.run(0, 12).counts.expected == 12
    assert set(files_requested(site).values()) == {1}
    first, more = ([post.source_id for post in offers(crawl, 0, limit) if hasattr(post, "read")] for limit in (5, 12))
    assert more[:5] == first


# (fault, what the ledger says of the picture in the end)
FILE_FAULTS = {
    "429, seconds": (InjectedFailure("", "status", code=429, headers={"Retry-After": "1"}), "fetched"),
    "429, a date": (InjectedFailure("", "status", code=429, retry_after=2, is_date=True), "fetched"),
    "429 for ever": (InjectedFailure("", "status", times=99, code=429, headers={"Retry-After": "0"}), "rate_limited"),
    "reset": (InjectedFailure("", "reset"), "fetched"),
    "reset in the middle": (InjectedFailure("", "reset", at=300), "fetched"),
    "cut, with its length": (InjectedFailure("", "truncate", at=300), "fetched"),
    "cut, without": (InjectedFailure("", "truncate", at=300, length=False), "fetched"),
    "cut for ever, without": (InjectedFailure("", "truncate", times=99, at=300, length=False), "wrong_hash"),
    "cut while chunked": (InjectedFailure("", "chunked", at=300), "fetched"),
    "a web page": (InjectedFailure("", "html200", times=99), "wrong_type"),
    "the wrong type": (InjectedFailure("", "wrong_type"), "fetched"),
    "no picture": (InjectedFailure("", "wrong_bytes", times=99), "wrong_hash"),
    "another picture": (InjectedFailure("", "other_bytes", times=99), "fetched"),
    "a loop": (InjectedFailure("", "redirect", times=99), "redirects"),
    "to a file": (InjectedFailure("", "redirect", to="file:///etc/passwd"), "bad_url"),
    "to a private address": (InjectedFailure("", "redirect", to="http://10.0.0.1/x.jpg"), "private_address"),
    "to this machine": (InjectedFailure("", "redirect", to="http://localhost:1/x.jpg"), "private_address"),
    "to metadata": (InjectedFailure("", "redirect", to="http://[::ffff:169.254.169.254]/x.jpg"), "private_address"),
    "into the headers": (InjectedFailure("", "redirect", to="/x%0d%0aX-Injected: 1\tb"), "gone"),
    "404": (InjectedFailure("", "status", code=404), "gone"),
    "410": (InjectedFailure("", "status", code=410), "gone"),
    "451": (InjectedFailure("", "status", code=451), "gone"),
    "403": (InjectedFailure("", "status", code=403), "refused"),
    "500": (InjectedFailure("", "status", code=500), "fetched"),
    "503 for ever": (InjectedFailure("", "status", times=99, code=503), "server_error"),
    "a drip": (InjectedFailure("", "drip", times=99), "too_slow"),
    "silence": (InjectedFailure("", "silence", times=99), "too_slow"),
    "endless": (InjectedFailure("", "endless", times=99), "too_large"),
    "a bomb": (InjectedFailure("", "bomb", times=99), "too_large"),
    "noai": (InjectedFailure("", "headers", more={"X-Robots-Tag": "noai, noimageai"}), "opted_out"),
    "for another": (InjectedFailure("", "headers", more={"X-Robots-Tag": "otherbot: noindex"}), "fetched"),
    "reserved": (InjectedFailure("", "headers", more={"TDM-Reservation": "1"}), "opted_out"),
    "200 headers": (InjectedFailure("", "headers", times=99, more={f"X-{n}": "y" for n in range(200)}), "unreachable"),
}


@pytest.mark.full(keep=16)
@pytest.mark.parametrize("name", FILE_FAULTS)
def test_each_failure_of_a_file_is_one_row_of_the_ledger(ask, site, name, monkeypatch):
    monkeypatch.setattr(web, "READ_TIMEOUT_S", 0.3)
    failure, expected = FILE_FAULTS[name]
    victim = next(post for post in site.posts[1:] if post.is_picture and post.rating == "general")
    pattern = f"/{victim.id}/"
    site.faults.append(InjectedFailure(pattern, failure.kind, failure.times, **failure.details))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.monotonic()
    crawl = ask()
    counts = crawl.run(0, 6).counts
    assert time.monotonic() - start < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 150_000  # kB
    shown = outcomes(crawl, limit=6)
    assert shown.pop(str(victim.id)) == expected
    assert counts.by_kind["fetched"] == 5 + (expected == "fetched")  # nothing else is lost
    assert counts.is_complete == (expected == "fetched")
    assert counts.expected == 6
    drop = [offer for offer in offers(crawl, 0, 6) if offer.source_id == str(victim.id) and hasattr(offer, "reason")]
    assert bool(drop) == (expected != "fetched")
    assert not any("X-Injected" in requested.headers for requested in site.log)


def test_what_was_cut_goes_on_where_it_was_cut(ask, site, monkeypatch):
    monkeypatch.setattr("pipeline.web.client.MIN_RESUMABLE_BYTES", 0)
    victim = next(post for post in site.posts if post.is_picture and post.rating == "general")
    site.faults.append(InjectedFailure(f"/{victim.id}/", "truncate", at=300))
    ask().run(0, 3)
    requested = [each for each in site.log if f"/{victim.id}/" in each.path]
    assert [each.status for each in requested] == [200, 206]
    assert requested[1].headers["range"] == "bytes=300-"
    assert sum(each.sent for each in requested) == len(victim.data)


def test_a_hash_that_is_not_kept_is_reported_and_fatal_if_that_is_requested(ask, site):
    victim = next(post for post in site.posts if post.is_picture and post.rating == "general")
    site.faults.append(InjectedFailure(f"/{victim.id}/", "other_bytes", times=99))
    crawl = ask()
    crawl.run(0, 2)
    with crawl._ledger() as ledger:
        entries = {entry.image.source_id: entry.file for entry in ledger.entries(crawl.key, 0, 2) if entry.file}
    assert not entries[str(victim.id)].is_as_promised
    assert victim.md5 in entries[str(victim.id)].detail
    assert all(file.is_as_promised for source_id, file in entries.items() if source_id != str(victim.id))
    strict = ask(strict=True)
    strict.run(0, 2)
    assert outcomes(strict, limit=2)[str(victim.id)] == "wrong_hash"


def test_what_failed_is_requested_again_alone(ask, site):
    victim = next(post for post in site.posts if post.is_picture and post.rating == "general")
    site.faults.append(InjectedFailure(f"/{victim.id}/", "status", code=404))
    crawl = ask()
    assert not crawl.run(0, 8).counts.is_complete
    requested = files_requested(site)
    _, number = crawl.round(is_new=True)
    assert crawl.run(number, 8, is_retry=True).counts.is_complete
    again = files_requested(site) - requested
    assert list(again.values()) == [1]
    assert f"/{victim.id}/" in next(iter(again))
    pages = [each.path for each in site.log if "page=dapi" in each.path]
    assert len(pages) == len(set(pages))  # no listing was asked for again


PAGE_FAULTS = {
    "429": ("safebooru", InjectedFailure("page=dapi", "status", code=429, headers={"Retry-After": "1"})),
    "503": ("danbooru", InjectedFailure("posts.json", "status", code=503)),
    "reset": ("konachan", InjectedFailure("post.json", "reset")),
    "cut": ("gelbooru", InjectedFailure("page=dapi", "truncate", at=300)),
    "abuse": ("safebooru", InjectedFailure("page=dapi", "abuse")),
    "an empty page": ("safebooru", InjectedFailure("page=dapi.*json=1", "empty", times=3)),
    "an empty page of the other form": ("gelbooru", InjectedFailure("page=dapi.*json=1", "empty", times=2)),
}


@pytest.mark.parametrize("name", PAGE_FAULTS)
def test_a_listing_outlives_what_passes(ask, site, name):
    source, failure = PAGE_FAULTS[name]
    site.faults.append(InjectedFailure(failure.pattern, failure.kind, failure.times, **failure.details))
    crawl = ask(source)
    counts = crawl.run(0, 0).counts
    assert counts.is_complete
    assert counts.expected > 20


def test_a_listing_that_the_site_cuts_off_is_reported_as_not_complete(ask, site):
    site.faults.append(InjectedFailure("page=dapi", "too_deep", times=99))
    counts = ask(text="1girl sort:score:desc").run(0, 0).counts
    assert not counts.is_complete
    assert "20,000" in counts.shortfall


def test_hidden_posts_are_counted_and_never_requested(ask, site):
    crawl = ask("danbooru")
    crawl.run(0, 0)
    hidden = {str(post.id) for post in site.posts if post.is_hidden and post.rating in ("general", "sensitive")}
    assert {source_id for source_id, reason in outcomes(crawl).items() if reason == "hidden"} == hidden != set()
    assert not any(f"/{post_id}/" in path for post_id in hidden for path in files_requested(site))


REFUSALS = {
    "abuse": ("safebooru", InjectedFailure("page=dapi", "abuse", times=99), {}, "abuse"),
    "cloudflare": ("danbooru", InjectedFailure("posts.json", "cloudflare", times=99), {}, "challenge"),
    "a web page": ("safebooru", InjectedFailure("page=dapi", "html200", times=99), {}, "web page"),
    "broken": ("danbooru", InjectedFailure("posts.json", "wrong_bytes", times=99), {}, "no JSON"),
    "too many tags": ("danbooru", None, {"text": "1girl solo smile"}, "more than 2 tags"),
    "a wrong key": ("danbooru", None, {"keys": {"login": "a", "api_key": "hush-hush"}}, "401"),
    "no key": ("gelbooru", "needs_key", {}, "401"),
    "unsafe": ("danbooru", None, {"text": "1girl rating:explicit"}, "rating:explicit"),
    "nested": ("danbooru", InjectedFailure("posts.json", "nested_html", times=99), {}, "no JSON"),
    "endless": ("danbooru", InjectedFailure("posts.json", "endless", times=99), {}, "too_large"),
    "silent": ("danbooru", InjectedFailure("posts.json", "silence", times=99), {}, "too_slow"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_site_that_says_no_is_reported_in_one_line_and_its_keys_are_not(ask, site, name, monkeypatch, caplog):
    monkeypatch.setattr(web, "READ_TIMEOUT_S", 0.3)
    source, failure, query, words = REFUSALS[name]
    if isinstance(failure, str):
        setattr(site, failure, True)
    elif failure:
        site.faults.append(InjectedFailure(failure.pattern, failure.kind, failure.times, **failure.details))
    with pytest.raises(UserError, match=words) as error:
        ask(source, **query).run(0, 0)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 1000
    assert "hush-hush" not in str(error.value) + caplog.text


def test_keys_go_to_their_own_site_and_nowhere_else(ask, site, tmp_path, caplog):
    site.needs_key = True
    keys = {"api_key": "hush-hush", "user_id": "4711"}
    victim = next(post for post in site.posts if post.is_picture and post.rating == "general")
    site.faults.append(InjectedFailure(f"/{victim.id}/", "reset", times=99))
    site.faults.append(InjectedFailure("page=dapi", "reset"))
    crawl = ask("gelbooru", keys=keys)
    crawl.run(0, 5)
    assert any("api_key=hush-hush" in requested.path for requested in site.log if "page=dapi" in requested.path)
    assert not any(
        "hush-hush" in requested.path + str(requested.headers)
        for requested in site.log
        if "page=dapi" not in requested.path
    )
    assert "hush-hush" not in caplog.text + repr(crawl)
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or b"hush-hush" not in file.read_bytes(), file


def test_a_challenge_at_a_file_stops_the_source_and_what_is_there_is_kept(ask, site):
    victims = [post for post in site.posts if post.is_picture and post.rating == "general"]
    site.faults.append(InjectedFailure(f"/{victims[6].id}/", "cloudflare", times=99))
    crawl = ask()
    with pytest.raises(BlockedByHost, match="challenge"):
        crawl.run(0, 0)
    site.faults.clear()
    assert crawl.run(0, 0).counts.is_complete
    assert max(n for path, n in files_requested(site).items() if f"/{victims[6].id}/" not in path) == 1


def test_a_host_that_is_down_is_soon_left_alone(ask, site):
    site.faults.append(InjectedFailure("/files/|/images/", "status", times=10**6, code=503))
    crawl = ask(policy={"backoff": 0.001})
    with pytest.raises(UserError, match="in a row"):
        crawl.run(0, 0)
    assert len([each for each in site.log if "page=dapi" not in each.path]) < 50  # of some 30 files, each 5 times: 150
    site.faults.clear()
    crawl.run(0, 0)
    assert len(files_requested(site)) > 20


@pytest.mark.parametrize("robots", ["User-agent: *\nDisallow: /files\nDisallow: /safebooru/images", 503])
def test_robots_are_queried_first_and_obeyed(ask, site, robots):
    if robots == 503:
        site.robots_status = 503
        with pytest.raises(UserError, match="cannot be read"):
            ask().run(0, 4)
        assert {requested.path for requested in site.log} == {"/robots.txt"}
        return
    site.robots = robots
    crawl = ask()
    crawl.run(0, 4)
    assert site.log[0].path == "/robots.txt"
    assert [requested.path for requested in site.log].count("/robots.txt") == 1
    assert not files_requested(site)
    assert Counter(outcomes(crawl, limit=4).values())["robots"] == 4


def test_we_say_who_we_are_and_whence_we_come(ask, site):
    ask(policy={"about": "contact: me@example.org"}).run(0, 3)
    for requested in site.log:
        assert requested.headers["user-agent"].startswith("anime-face-gans/")
        assert "me@example.org" in requested.headers["user-agent"]
        assert "Mozilla" not in requested.headers["user-agent"]
        assert "cookie" not in requested.headers
    assert all("page=post" in requested.headers["referer"] for requested in site.log if "/files/" in requested.path)


def test_a_refresh_and_a_retry_do_not_cancel_each_other(ask, site):
    """Each is killed, as it were, at its first request, and the other is asked for then."""
    victim = next(post for post in site.posts if post.is_picture and post.rating == "general")
    for first, then in (("is_refresh", "is_retry"), ("is_retry", "is_refresh")):
        site.faults[:] = [InjectedFailure(f"/{victim.id}/", "status", code=404)]
        crawl = ask()
        with contextlib.suppress(FileNotFoundError):
            (crawl.store.root / "ledger.sqlite").unlink()
        crawl.run(0, 0)
        site.add_posts(3)
        with crawl._ledger() as ledger:
            cursor = crawl.site.engine.first_cursor(crawl.query) if first == "is_refresh" else None
            ledger.begin(crawl.key, 1, {}, cursor, is_retry=first == "is_retry")
        counts = crawl.run(crawl.round(is_new=True)[1], 0, **{then: True}).counts
        assert counts.is_complete, counts
        assert counts.expected > crawl.run(0, 0).counts.expected


def test_a_ledger_that_was_moved_away_is_another(ask, site):
    crawl = ask()
    crawl.run(0, 3)
    name, number = crawl.round(is_new=False)
    (crawl.store.root / "ledger.sqlite").unlink()
    another, begun = crawl.round(is_new=False)
    assert another != name
    assert begun == number == 0


def test_a_damaged_ledger_is_reported(ask):
    crawl = ask()
    (crawl.store.root / "ledger.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(UserError, match="ledger"):
        crawl.round(is_new=False)


def test_a_cache_that_cannot_be_written_is_reported(ask):
    crawl = dataclasses.replace(ask(), hosts=Path("/proc/nowhere"))
    with pytest.raises(UserError, match="XDG_CACHE_HOME"):
        crawl.run(0, 1)


def test_a_refresh_in_another_order_brings_nothing_that_is_not_new(ask, site):
    crawl = ask(text="sort:score:desc")
    first = crawl.run(0, 5).counts
    assert crawl.run(1, 5, is_refresh=True).counts == first
    assert crawl.run(2, 5, is_refresh=True).counts == first


def test_a_listing_without_a_picture_ends(ask, site, monkeypatch):
    monkeypatch.setattr("pipeline.crawl.crawl.MAX_EMPTY_PAGES", 2)
    monkeypatch.setattr("pipeline.sources.boorus.danbooru.PER_PAGE", 3)
    crawl = ask("danbooru", text="rating:g order:score", ratings=("g",))
    row = crawl.site.engine
    monkeypatch.setattr(row, "_parse_post", lambda item, query: Skipped(str(item["id"]), "hidden"))
    counts = crawl.run(0, 5).counts
    assert "2 pages in a row" in counts.shortfall
    assert not counts.is_complete
    assert len([requested for requested in site.log if "posts.json" in requested.path]) == 2


def test_robots_crawl_delay_and_the_rate_hold_for_all_requests(ask, site):
    site.robots = "User-agent: *\nCrawl-delay: 0.4\n"
    crawl = ask(policy={"rate": 50})
    crawl.run(0, 4)
    times = [requested.time for requested in site.log if requested.path != "/robots.txt"]
    assert keeps_apart(times, 0.4)


def test_two_crawls_at_once_share_one_budget(ask, site):
    """Of two sources, since two of the same wait for each other."""
    both = [ask(source, policy={"rate": 4}) for source in ("danbooru", "konachan")]
    threads = [threading.Thread(target=crawl.run, args=(0, 4)) for crawl in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times = sorted(requested.time for requested in site.log)
    assert len(times) >= 12
    assert keeps_apart(times, 0.25)


def test_an_original_that_was_deleted_is_fetched_again(ask, site):
    crawl = ask()
    crawl.run(0, 4)
    post = next(post for post in offers(crawl, 0, 4) if hasattr(post, "read"))
    path = post.read.args[0]
    path.unlink()
    crawl.run(0, 4)
    assert path.exists()
    assert sorted(files_requested(site).values()) == [1, 1, 1, 2]


def test_two_questions_with_the_same_picture_fetch_it_once(ask, site):
    ask(text="1girl").run(0, 0)
    requested = files_requested(site)
    ask(text="solo").run(0, 0)
    assert files_requested(site) == requested


def test_the_smaller_version_is_fetched_if_that_is_requested(ask, site):
    crawl = ask("danbooru", files="sample")
    crawl.run(0, 8)
    assert any("/sample/" in path for path in files_requested(site))
    assert crawl.key != ask("danbooru").key


def test_a_mirror_serves_files_whose_addresses_are_the_sites_own(ask, site):
    crawl = ask("danbooru", file_base_url=site.url)
    offer = dataclasses.replace(
        next(o for o in _offers(crawl)), file_url=f"https://cdn.donmai.us{site.posts[0].file('danbooru')}"
    )
    assert crawl._mirror_url(offer.file_url) == site.url + site.posts[0].file("danbooru")


def test_what_is_blocked_is_neither_noted_nor_fetched(ask, site):
    artist = "artist_1"
    free = ask("danbooru")
    blocked = dataclasses.replace(free, blocked=BlockList(frozenset({("artist", artist)})))
    found = blocked.run(0, 0)
    theirs = {str(post.id) for post in site.posts if f"artist_{post.n % 4}" == artist}
    dropped = {offer.source_id for offer in found.offers if isinstance(offer, Skipped) and offer.reason == "blocked"}
    assert dropped
    assert dropped <= theirs
    assert found.counts.is_complete
    assert not any(f"/{post}/" in path for path in files_requested(site) for post in theirs)
    assert artist.encode() not in (free.store.root / "ledger.sqlite").read_bytes()
    number = free.round(is_new=True)[1]
    again = {offer.source_id for offer in free.run(number, 0, is_refresh=True).offers if not isinstance(offer, Skipped)}
    assert dropped <= again  # the line was a mistake, and is gone
    assert set(files_requested(site).values()) == {1}
    found = blocked.run(number, 0).offers  # and it is back
    assert {offer.source_id for offer in found if not isinstance(offer, Skipped)} == again - theirs


def test_a_line_that_is_added_while_files_are_still_missing_holds(ask, site):
    site.faults.append(InjectedFailure("/files/", "status", code=503, times=1e9))
    with pytest.raises(UserError):
        ask("danbooru").run(0, 0)
    site.faults.clear()
    site.log.clear()
    blocked = dataclasses.replace(ask("danbooru"), blocked=BlockList(frozenset({("artist", "artist_1")})))
    harvested = blocked.run(0, 0)
    assert "not yet asked" not in harvested.counts.by_kind
    found = {offer.source_id: isinstance(offer, Skipped) and offer.reason for offer in harvested.offers}
    theirs = {str(post.id) for post in site.posts if post.n % 4 == 1}
    assert {post for post, reason in found.items() if reason == "blocked"} <= theirs
    assert not any(f"/{post}/" in path for path in files_requested(site) for post in theirs)


def _offers(crawl: Crawl):
    crawl.run(0, 1)
    with crawl._ledger() as ledger:
        return [entry.image for entry in ledger.entries(crawl.key, 0, 1) if isinstance(entry, Entry)]


def test_an_unchanged_page_is_not_sent_again(ask, site):
    crawl = ask("danbooru")
    crawl.run(0, 0)
    crawl.run(1, 0, is_refresh=True)
    assert [requested.status for requested in site.log if "posts.json" in requested.path][-1] == 304


def test_a_query_of_line_ends_stays_one_request(ask, site):
    ask(text="1girl\r\nX-Injected: 1").run(0, 0)
    assert not any("x-injected" in requested.headers for requested in site.log)


def test_the_client_knows_the_limits_of_rate_that_hosts_tell(ask, site, tmp_path):
    soon = str(int(time.time()) + 2)
    site.faults.append(
        InjectedFailure("/many/1.jpg", "headers", more={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": soon})
    )
    crawl = ask()
    client = Client(crawl.policy, tmp_path / "pages", threading.Event(), tmp_path / "hosts")
    from pipeline.web.messages import HttpRequest
    from pipeline.web.partial_file import PartialFile

    for number in (1, 2):
        client.fetch_file(HttpRequest(f"{site.url}/many/{number}.jpg"), PartialFile(tmp_path, f"{number}"))
    times = [requested.time for requested in site.log if "/many/" in requested.path]
    assert times[1] - times[0] > 0.9


def test_a_kept_answer_of_another_account_is_not_ours(ask, site):
    ask("danbooru").run(0, 1)
    crawl = ask("danbooru", keys={"login": site.login[0], "api_key": site.login[1]}, text="solo")
    crawl.run(0, 1)
    assert [requested.status for requested in site.log if "posts.json" in requested.path] == [200, 200]


def gallery(site: FakeSite) -> dict[str, int]:
    return {quote(site.url + path, safe=":/?=&"): number for path, number in GALLERY.items()}


def test_a_gallery_is_walked_to_its_end(ask, site):
    crawl = ask("web_page", "/gallery/page1.html")
    counts = crawl.run(0, 0).counts
    assert counts.is_complete
    found = {post.file_url: post for post in offers(crawl, 0, 0)}
    assert {url: hashlib.sha256(post.read()).digest() for url, post in found.items()} == {
        url: hashlib.sha256(site.picture(number)).digest() for url, number in gallery(site).items()
    }
    assert all(urlsplit(post.page_url).path.startswith("/gallery/page") for post in found.values())
    assert len({requested.path for requested in site.log}) == len(site.log)
    crawl.run(0, 0)
    assert len({requested.path for requested in site.log}) == len(site.log)


def test_a_page_that_does_not_want_to_be_learned_from_is_left(ask, site):
    crawl = ask("web_page", "/gallery/noai.html")
    counts = crawl.run(0, 0).counts
    assert counts.by_kind == {"refused": 1}
    assert not any("secret" in requested.path for requested in site.log)


def test_robots_speak_of_a_gallerys_pages_and_not_of_an_api(ask, site):
    site.robots = "User-agent: *\nDisallow: /gallery/page\nDisallow: /*.json\n"
    with pytest.raises(UserError, match=r"robots.*ask for something else"):
        ask("web_page", "/gallery/page1.html").run(0, 0)
    assert [requested.path for requested in site.log] == ["/robots.txt"]
    assert ask("danbooru").run(0, 3).counts.is_complete


@pytest.mark.parametrize("kind", ["nested_html", "endless", "bomb", "drip"])
def test_a_hostile_page_is_reported_within_bounds(ask, site, kind):
    site.faults.append(InjectedFailure("page1", kind, times=99))
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(UserError) as error:
        ask("web_page", "/gallery/page1.html", policy={"page_seconds": 1}).run(0, 0)
    assert time.monotonic() - start < 15
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB
    assert len(str(error.value)) < 1000


def test_a_list_of_urls_is_fetched_and_its_hashes_held(ask, site, tmp_path):
    good, bad = (hashlib.sha256(site.picture(number)).hexdigest() for number in (1, 2))
    table = tmp_path / "list.csv"
    table.write_text(
        f"url,sha256,artist\n{site.url}/many/1.jpg,{good},somebody\n{site.url}/many/3.jpg,{bad},\n"
        f"{site.url}/many/4.jpg,,\nftp://example.org/x.jpg,,\n{site.url}/gone.jpg,,\n"
    )
    crawl = ask("urls", "", path=table, base_url="")
    counts = crawl.run(0, 0).counts
    assert counts.by_kind == {"fetched": 2, "failed": 2, "gone": 1}
    shown = outcomes(crawl)
    assert shown[f"{site.url}/many/3.jpg"] == "wrong_hash"
    assert shown["line 5"] == "bad_url"
    assert {post.artist for post in offers(crawl, 0, 0) if hasattr(post, "read")} == {"somebody", None}
    table.write_text(table.read_text() + f"{site.url}/many/5.jpg,,\n")  # another list: what is known is not fetched
    longer = ask("urls", "", path=table, base_url="")
    assert longer.key != crawl.key
    longer.run(0, 0)
    assert [requested.path for requested in site.log].count("/many/1.jpg") == 1


def test_names_from_outside_become_no_paths(ask, site, tmp_path):
    long = "x" * 300 + ".jpg"
    tricks = ("../../escaped.jpg", "%2e%2e/%2e%2e/escaped.jpg", "..%5c..%5cescaped.jpg", "a%00escaped.jpg", long)
    site.faults.append(InjectedFailure("escaped|xxx", "redirect", times=99, to="/many/1.jpg"))
    (tmp_path / "list.txt").write_text("\n".join(f"{site.url}/{trick}" for trick in tricks))
    crawl = ask("urls", "", path=tmp_path / "list.txt", base_url="")
    assert crawl.run(0, 0).counts.by_kind == {"fetched": len(tricks)}
    (picture,) = tmp_path.rglob("*.jpg")
    assert picture.is_relative_to(crawl.store.root / "images")
    assert not list(tmp_path.rglob("*escaped*")) + list(tmp_path.rglob("*xxx*"))


def test_dead_hosts_in_a_list_do_not_stop_the_others(ask, site, tmp_path):
    with FakeSite(posts=0) as other:
        dead = other.url
    lines = [f"{dead}/{number}.jpg" for number in range(20)] + [f"{site.url}/many/{number}.jpg" for number in range(5)]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    hosts = frozenset(url.removeprefix("http://") for url in (dead, site.url))
    crawl = ask("urls", "", path=tmp_path / "list.txt", base_url="", policy={"local_hosts": hosts})
    counts = crawl.run(0, 0).counts
    assert counts.by_kind == {"fetched": 5, "failed": 20}
    assert Counter(outcomes(crawl).values())["unreachable"] == 20


assert http.client._MAXHEADERS < 200  # what "200 headers" relies on


@pytest.mark.parametrize(
    ("page_url", "referer"),
    [
        (
            "https://a.example/\u30da\u30fc\u30b8?q=\u3042#top",
            "https://a.example/%E3%83%9A%E3%83%BC%E3%82%B8?q=%E3%81%82",
        ),
        ("https://a.example/\x1b[31m\x00", "https://a.example/%1B[31m%00"),
        ("https://a.example/p/1", "https://a.example/p/1"),
        ("ftp://a.example/1", None),
        ("javascript:x", None),
        ("a\r\nCookie: x", None),
        ("\u30da\u30fc\u30b8", None),
        (None, None),
    ],
)
def test_a_page_address_is_encoded_as_referer_or_left_out(tmp_path, page_url, referer):
    class Recorder:
        requested: HttpRequest

        def fetch_file(self, ask, partial_file):
            self.requested = ask
            raise web.RequestFailed("unreachable", "played")

    client, url = Recorder(), "https://a.example/1.png"
    file, _ = download.download_image(
        RemoteImage("1", url, page_url=page_url), {url: url}, None, client, Store(tmp_path), set()
    )
    assert file.outcome == "unreachable"
    assert client.requested.referer == referer
