"""One odd post among a site's is one row; only a site that shows nothing else has changed."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from pipeline.crawl.ledger import Entry, Ledger
from pipeline.crawl.pagination import Paginator
from pipeline.errors import UserError
from pipeline.funnel import REASONS
from pipeline.sources.base import Skipped
from pipeline.sources.parsing import parse_bounded_json
from pipeline.sources.registry import SOURCES
from pipeline.sources.web_source import Query, RemoteImage
from pipeline.web.messages import HttpResponse

BOORUS = ("danbooru", "gelbooru", "moebooru")
POST = {"file_ext": "png", "file_url": "https://site.example/1.png", "tags": "1girl", "tag_string": "1girl"}
RATINGS = {"danbooru": "g", "gelbooru": "general", "moebooru": "s"}
HUGE = "@huge@"  # a number of 6,000 digits
ODD = [
    None,
    7,
    "x",
    [],
    [{}],
    {},
    {"id": None},
    {"id": "abc"},
    {"id": [1]},
    {"id": {"a": 1}},
    {"id": -1},
    {"id": 0},
    {"id": 1e300},
    {"id": HUGE},
    {"id": 50, "file_url": HUGE, "rating": "g"},
    {"id": 50, "rating": {"a": []}},
    {"id": 50, "rating": None, "file_url": None, "tags": 7, "md5": []},
]
HARMLESS = [{"md5": HUGE}, {"md5": ["x"]}, {"tags": {"a": 1}, "tag_string": None}, {"file_size": -5}, {"source": [[]]}]


class Pages:
    """A client whose pages are lists of posts, newest first: of each, those that the request asks for."""

    def __init__(self, *pages):
        self.pages = list(pages)
        self.count = sum(map(len, pages))

    def fetch_page(self, ask, read, **_):
        requested = parse_qs(urlsplit(ask.url).query)
        posts = [] if not self.pages or requested.get("limit") == ["1"] else self.pages.pop(0)
        body = {"@attributes": {"count": self.count}, "post": posts} if "dapi" in ask.url else posts
        text = json.dumps(body).replace(f'"{HUGE}"', "9" * 6000)
        return read(HttpResponse(ask.url, 200, {"content-type": "application/json"}, text.encode()))


@pytest.fixture
def harvested(tmp_path):
    """harvested(source, page, …) -> (the ledger's entries, its round), as a harvest lists them."""

    def run(source, *pages, query="1girl"):
        site, client = SOURCES[source], Pages(*pages)
        requested = Query(query, "https://site.example", ratings=site.ratings)
        paginator, cursor = Paginator(source, site, requested, 0), site.engine.first_cursor(requested)
        ledger = Ledger(tmp_path / "ledger.sqlite", source)
        ledger.begin("x", 0, {}, cursor, is_retry=False)
        while cursor is not None:
            found = paginator.fetch(client, ledger, cursor, 0, has_posts=ledger.has_posts("x"))
            ledger.add_page("x", 0, found.offers, found.next, found.shortfall)
            cursor = found.next
        assert not client.pages
        return list(ledger.entries("x", 0, 0)), ledger.rounds("x", 0)[0]

    return run


def good(source, number):
    return POST | {"id": number, "rating": RATINGS[source], "md5": f"{number:032x}"}


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize("source", BOORUS)
def test_an_odd_post_is_one_row_and_the_pages_go_on(harvested, source, odd):
    entries, _ = harvested(source, [good(source, 9), odd, good(source, 8)], [good(source, 7)])
    assert [each.image.source_id for each in entries if isinstance(each, Entry)] == ["9", "8", "7"]
    (drop,) = [each for each in entries if isinstance(each, Skipped)]
    assert drop.reason in REASONS
    assert drop.detail


@pytest.mark.parametrize("odd", HARMLESS, ids=repr)
@pytest.mark.parametrize("source", BOORUS)
def test_what_no_picture_needs_may_be_odd(harvested, source, odd):
    entries, _ = harvested(source, [good(source, 9) | odd, good(source, 8)])
    assert [each.image.source_id for each in entries if isinstance(each, Entry)] == ["9", "8"]


@pytest.mark.parametrize("odd", [{}, None, {"id": 5}, {"id": 5, "rating": "g"}], ids=repr)
@pytest.mark.parametrize("source", BOORUS)
def test_a_last_page_of_odd_posts_ends_the_listing_well(harvested, source, odd):
    entries, round_ = harvested(source, [good(source, 9), good(source, 8)], [odd])
    assert [each.image.source_id for each in entries if isinstance(each, Entry)] == ["9", "8"]
    assert len([each for each in entries if isinstance(each, Skipped)]) == 1
    assert round_.cursor is None


@pytest.mark.parametrize("odd", [{}, None, {"id": 5}], ids=repr)
@pytest.mark.parametrize("source", BOORUS)
def test_a_site_of_odd_posts_alone_has_changed(harvested, source, odd):
    with pytest.raises(UserError, match="the site has changed"):
        harvested(source, [odd, odd])


@pytest.mark.parametrize("source", BOORUS)
def test_pages_that_are_numbered_go_on_past_posts_without_ids(harvested, source):
    order = {"gelbooru": "sort:score"}.get(source, "order:score")
    entries, _ = harvested(source, [good(source, 9)] * 100, [{}] * 100, [good(source, 7)] * 100, query=order)
    assert [each.image.source_id for each in entries if isinstance(each, Entry)] == ["9", "7"]
    assert len([each for each in entries if isinstance(each, Skipped)]) == 100


@pytest.mark.parametrize(
    ("source", "field", "hit"),
    [
        ("google_images", "items", {"link": "https://a.example/1.png"}),
        ("openverse", "results", {"id": "a", "url": "https://a.example/1.png"}),
    ],
)
@pytest.mark.parametrize("odd", [None, 7, {}, [], {"link": None, "url": None}, {"link": {}, "url": [1]}], ids=repr)
def test_an_odd_hit_of_a_search_is_one_row(source, field, hit, odd):
    site = SOURCES[source]
    query = Query("girl", "https://site.example")
    answer = HttpResponse("https://site.example/", 200, {}, json.dumps({field: [odd, hit]}).encode())
    drop, offer = site.engine.parse(query, site.engine.first_cursor(query), answer).offers
    assert isinstance(drop, Skipped)
    assert isinstance(offer, RemoteImage)


def test_json_is_read_whatever_its_depth_and_digits():
    assert parse_bounded_json('{"a": ' + "9" * 6000 + "}") == {"a": float("inf")}
    deep = parse_bounded_json("[" * 300 + "]" * 300)
    assert len(repr(deep)) < 100
    assert parse_bounded_json('[{"a": [1, "x", null]}]') == [{"a": [1, "x", None]}]


@pytest.mark.parametrize("source", BOORUS)
def test_a_page_of_more_posts_than_sites_have_is_not_read(harvested, source):
    with pytest.raises(UserError, match="20,000 posts on a page, at most 10,000"):
        harvested(source, [{}] * 20_000)
