"""What the engines ask and how they read the answers: no sockets; the sites' recorded shapes with made-up values."""

import html
import json
import time
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import UserError
from pipeline.sources import url_list, web_page
from pipeline.sources.base import Skipped
from pipeline.sources.boorus import danbooru, gelbooru, moebooru
from pipeline.sources.parsing import BadAnswer
from pipeline.sources.registry import SOURCES
from pipeline.sources.web_source import Query, RemoteImage
from pipeline.urls import absolute_url
from pipeline.web.messages import HttpResponse, RetryLater

MD5, SHA1, SHA256 = "563c6fbe5761ac4ba720ae0da9a15b8a", "6fef5929e6e09703b1493c6e5802fa5e4f189639", "a" * 64
KEYS = {"api_key": "open-sesame", "user_id": "4711"}


def answer(body, url="https://site.example/x", **headers) -> HttpResponse:
    if not isinstance(body, (bytes, str)):
        body = json.dumps(body)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return HttpResponse(url, 200, names, body.encode() if isinstance(body, str) else body)


def read(engine, query, body, **cursor):
    return engine.parse(query, engine.first_cursor(query) | cursor, answer(body))


def one(engine, query, item) -> RemoteImage | Skipped:
    (offer,) = read(engine, query, [item]).offers
    return offer


def harvested(engine, query, site, most=50):
    """(all that the site offers, the last listing): `site`, a function of the parameters that were asked, is asked
    until the end."""
    cursor, offers = engine.first_cursor(query), []
    for _ in range(most):
        cursor = json.loads(json.dumps(cursor))  # as a ledger gives it back
        ask = engine.request(query, cursor)
        requested = {name: values[0] for name, values in parse_qs(urlsplit(ask.url).query).items()}
        listing = engine.parse(query, cursor, answer(site(requested), ask.url))
        offers += listing.offers
        cursor = listing.next
        if cursor is None:
            return offers, listing
    raise AssertionError("the walk does not end")


# ---- URLs


@pytest.mark.parametrize(
    ("url", "base", "absolute"),
    [
        ("//a.example/x.jpg", "https://b.example/", "https://a.example/x.jpg"),
        ("../x y.jpg#top", "https://a.example/b/c/", "https://a.example/b/x%20y.jpg"),
        ("/画像/あ.png", "https://a.example", "https://a.example/%E7%94%BB%E5%83%8F/%E3%81%82.png"),
        ("https://a.example/%E3%81%82 b%.png?q=100%", "", "https://a.example/%E3%81%82%20b%25.png?q=100%25"),
        ("HTTPS://A.example:8443?a=1&b=あ", "", "https://a.example:8443/?a=1&b=%E3%81%82"),
        ("https://日本.example/", "", "https://xn--wgv71a.example/"),
        ("http://[::1]:80/x", "", "http://[::1]:80/x"),
        ("x.jpg", "", None),
        ("", "https://a.example/", None),
        (None, "https://a.example/", None),
        ("data:image/png;base64,AA", "https://a.example/", None),
        ("file:///etc/passwd", "", None),
        ("https://user:word@a.example/", "", None),
        ("//[x", "https://a.example/", None),
        ("https:///x", "", None),
        ("https://a.example:99999/", "", None),
        ("https://a b.example/", "", None),
        ("/\ud800", "https://a.example/", None),
        ("/#\ud800", "https://a.example/", None),
        ("https://a.example/" + "x" * 2000, "", None),
    ],
)
def test_urls_are_made_absolute_and_encoded_once(url, base, absolute):
    assert absolute_url(url, base) == absolute
    if absolute:
        assert absolute_url(absolute) == absolute


# ---- Gelbooru's kind

GELBOORU = Query("1girl", "https://safebooru.org", ratings=("general", "safe"), keys=KEYS)
GELBOORU_POST = {
    "preview_url": f"https://safebooru.org/thumbnails/539/thumbnail_{SHA1}.jpg",
    "sample_url": f"https://safebooru.org/samples/539/sample_{SHA1}.jpg",
    "file_url": f"https://safebooru.org/images/539/{SHA1}.jpg",
    "directory": 539,
    "hash": MD5,
    "width": 2160,
    "height": 1215,
    "id": 6077620,
    "image": f"{SHA1}.jpg",
    "change": 1757694622,
    "owner": "danbooru",
    "parent_id": 0,
    "rating": "general",
    "sample": True,
    "sample_height": 478,
    "sample_width": 850,
    "score": None,
    "tags": "1girl blue_hair solo",
    "source": "https://example.com/a",
    "status": "active",
    "has_notes": False,
    "comment_count": 0,
}
GELBOORU_XML = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<posts count="4187" offset="0"><post height="2894" score="27" '
    f'file_url="https://safebooru.org/images/6811/{SHA1}.png" parent_id="" sample_url="https://safebooru.org/samples/'
    f'6811/sample_{SHA1}.jpg" sample_width="850" preview_url="https://safebooru.org/thumbnails/6811/t.jpg" rating="s" '
    f'tags=" 1girl blue_hair l&amp;#039;arc " id="7775085" width="4093" change="1681853117" md5="{MD5}" '
    'creator_id="2486912" created_at="Tue Apr 18 21:24:51 +0000 2023" status="active" source="https://…"/></posts>'
)


def without(item: dict, *names: str) -> dict:
    return {name: value for name, value in item.items() if name not in names}


def test_a_gelbooru_post_is_read_whole():
    assert one(gelbooru, GELBOORU, GELBOORU_POST) == RemoteImage(
        "6077620",
        GELBOORU_POST["file_url"],
        "https://safebooru.org/index.php?page=post&s=view&id=6077620",
        rating="general",
        tags=("1girl", "blue_hair", "solo"),
        md5=MD5,
    )


@pytest.mark.parametrize(
    ("changes", "url", "md5"),
    [
        ({"directory": "847", "file_url": None}, f"https://safebooru.org/images/847/{SHA1}.jpg", MD5),
        ({"file_url": "", "directory": "b6/48"}, f"https://safebooru.org/images/b6/48/{SHA1}.jpg", MD5),
        ({"file_url": "//safebooru.org/a b.jpg"}, "https://safebooru.org/a%20b.jpg", MD5),
        ({"file_url": "/images/1/x.png"}, "https://safebooru.org/images/1/x.png", MD5),
        ({"sample_url": ""}, GELBOORU_POST["file_url"], MD5),
        ({"score": 7, "new": {"x": []}}, GELBOORU_POST["file_url"], MD5),
        ({"hash": SHA1}, GELBOORU_POST["file_url"], None),
        ({"hash": None}, GELBOORU_POST["file_url"], None),
    ],
)
def test_gelbooru_variants(changes, url, md5):
    offer = one(gelbooru, GELBOORU, GELBOORU_POST | changes)
    assert (offer.file_url, offer.md5) == (url, md5)


@pytest.mark.parametrize(
    ("changes", "url", "md5"),
    [
        ({}, GELBOORU_POST["sample_url"], None),
        ({"sample_url": ""}, GELBOORU_POST["file_url"], MD5),
        ({"sample_url": GELBOORU_POST["file_url"]}, GELBOORU_POST["file_url"], MD5),
        ({"sample_url": "//[bad.jpg"}, GELBOORU_POST["file_url"], MD5),
    ],
)
def test_a_sample_has_no_promised_hash(changes, url, md5):
    query = Query("", "https://safebooru.org", ratings=("general",), files="sample")
    offer = one(gelbooru, query, GELBOORU_POST | changes)
    assert (offer.file_url, offer.md5) == (url, md5)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rating": "explicit"}, "rating"),
        ({"rating": "e"}, "rating"),
        ({"rating": "\ud800\x1b"}, "rating"),
        ({"file_url": "https://x.example/a.mp4"}, "not_a_picture"),
        ({"file_url": "https://x.example/a.swf"}, "not_a_picture"),
        ({"file_url": None, "image": None}, "no_file_url"),
        ({"file_url": "//[x"}, "no_file_url"),
        ({"file_url": "javascript:x.jpg"}, "no_file_url"),
    ],
)
def test_gelbooru_drops(changes, reason):
    drop = one(gelbooru, GELBOORU, GELBOORU_POST | changes)
    assert (type(drop), drop.source_id, drop.reason) == (Skipped, "6077620", reason)
    drop.detail.encode()
    if reason == "no_file_url":
        assert "directory" in drop.detail  # what there is instead


def test_gelbooru_texts_are_unescaped_lower_case_and_bounded():
    changes = {"tags": "L&#039;Arc \ud800x &#" + "1" * 5000 + ";", "title": " A &amp;\n B "}
    offer = one(gelbooru, GELBOORU, GELBOORU_POST | changes)
    assert offer.title == "A & B"
    assert all(len(tag) <= 200 and tag.encode() for tag in offer.tags)
    assert one(gelbooru, GELBOORU, GELBOORU_POST | {"tags": "L&#039;Arc a,b"}).tags == ("l'arc", "a,b")


def test_gelbooru_xml_by_attributes_and_by_child_elements():
    listing = read(gelbooru, GELBOORU, GELBOORU_XML)
    (offer,) = listing.offers
    assert (offer.source_id, offer.rating, offer.md5) == ("7775085", "safe", MD5)
    assert offer.tags == ("1girl", "blue_hair", "l'arc")
    assert listing.next["total"] == 4187
    children = "".join(f"<{name}>{html.escape(str(value))}</{name}>" for name, value in GELBOORU_POST.items())
    listing = read(gelbooru, GELBOORU, f'<posts count="1"><post>{children}</post></posts>')
    assert listing.offers == [one(gelbooru, GELBOORU, GELBOORU_POST)]
    assert listing.next is None


@pytest.mark.parametrize("posts", [[GELBOORU_POST], GELBOORU_POST])
def test_gelbooru_com_wraps_posts_and_counts_them(posts):
    listing = read(gelbooru, GELBOORU, {"@attributes": {"limit": 100, "offset": 0, "count": 1}, "post": posts})
    assert [offer.source_id for offer in listing.offers] == ["6077620"]
    assert listing.next is None


@pytest.mark.parametrize("body", ["", "[]", '{"@attributes": {"count": 0}}', '<posts count="0" offset="0"></posts>'])
def test_gelbooru_without_a_hit_ends(body):
    offers, last = harvested(
        gelbooru, GELBOORU, lambda requested: body if "json" in requested else '<posts count="0"/>'
    )
    assert (offers, last.next, last.shortfall) == ([], None, "")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ('"Missing authentication. Go to api.rule34.xxx for more information"', "Missing authentication.*api_key"),
        ("<error>Missing authentication</error>", "Missing authentication.*api_key"),
        ('<response success="false" reason="Search error: no."/>', "Search error: no"),
        ('{"success": false, "message": "no\\u001b[31m\\n"}', r"the site says: no \[31m"),
        ("<!DOCTYPE html><title>x</title>Access Restricted", "Access Restricted"),
        ("<html><head><title>Just a moment...</title>", "Just a moment"),
        ('<!DOCTYPE posts [<!ENTITY a "aaaa">]><posts count="0">&a;</posts>', "document type"),
        ("<posts><post", "broken XML"),
        ("not found", "neither JSON nor XML"),
        ("[" * 100_000, "neither JSON nor XML"),
        ("7", "no list of posts"),
        ('{"post": 7}', "no list of posts"),
        ('{"@attributes": [], "post": "x"}', "no list of posts"),
        (b"\xff\xfe\x00", "neither"),
    ],
)
def test_gelbooru_says_no_loudly(body, words):
    with pytest.raises(BadAnswer, match=words) as error:
        read(gelbooru, GELBOORU, body)
    assert str(error.value).isprintable()


def test_gelbooru_requests_patience():
    with pytest.raises(RetryLater, match="limited due to abuse"):
        read(gelbooru, GELBOORU, '<response success="false" reason="Search error: API limited due to abuse."/>')


def test_gelbooru_junk_among_posts_is_odd_and_odd_counts_are_none():
    *odd, offer = read(gelbooru, GELBOORU, [None, 7, "x", [], GELBOORU_POST]).offers
    assert [drop.reason for drop in odd] == ["odd_post"] * 4
    assert offer == one(gelbooru, GELBOORU, GELBOORU_POST)
    for count in ("²", "9" * 5000, "", "-1"):
        assert read(gelbooru, GELBOORU, f'<posts count="{count}"/>').next["counts"]


class Gelbooru:
    """A site with `size` posts, newest first; answers whatever `odd` says instead, once for each request it names."""

    def __init__(self, size, odd=None, rating="general", obeys=True):
        self.ids, self.odd, self.rating, self.obeys, self.requested = (
            list(range(size, 0, -1)),
            odd or {},
            rating,
            obeys,
            [],
        )

    def __call__(self, requested):
        self.requested.append(requested)
        odd = self.odd.get(len(self.requested))
        if odd is not None:
            return odd
        words = requested.get("tags", "").split()
        below = next((int(word.removeprefix("id:<")) for word in words if word.startswith("id:<")), 10**9)
        found = [each for each in self.ids if each < below or not self.obeys]
        if "json" not in requested:
            return f'<posts count="{len(found)}" offset="0"/>'
        start = int(requested.get("pid", 0)) * 100
        return [GELBOORU_POST | {"id": each, "rating": self.rating} for each in found[start : start + 100]]


@pytest.mark.parametrize("size", [1, 99, 100, 101, 250, 300])
def test_gelbooru_is_walked_by_id_to_its_end(size):
    site = Gelbooru(size)
    offers, last = harvested(gelbooru, GELBOORU, site)
    assert [offer.source_id for offer in offers] == [str(each) for each in range(size, 0, -1)]
    assert last.shortfall == ""
    assert all("pid" not in requested for requested in site.requested)
    assert {"-rating:questionable", "-rating:explicit"} < set(site.requested[0]["tags"].split())
    assert (
        len([requested for requested in site.requested if "json" not in requested]) == 1
    )  # a short page, then the count


def test_gelbooru_an_empty_page_in_the_middle_is_queried_again():
    offers, last = harvested(gelbooru, GELBOORU, Gelbooru(250, {2: "[]", 4: "[]", 5: ""}))
    assert len({offer.source_id for offer in offers}) == len(offers) == 250
    assert last.shortfall == ""


def test_gelbooru_what_stays_empty_ends_with_a_shortfall():
    site = Gelbooru(250, {number: "[]" for number in range(2, 50) if number != 3})  # 3: the count
    offers, last = harvested(gelbooru, GELBOORU, site)
    assert len(offers) == 100
    assert "250 posts and shows 100" in last.shortfall
    assert len(site.requested) == 3 + 1 + gelbooru.MAX_EMPTY_RETRIES


def test_gelbooru_a_site_that_ignores_the_key_is_not_requested_ever():
    with pytest.raises(BadAnswer, match="does not go on below post 151"):
        harvested(gelbooru, GELBOORU, Gelbooru(250, obeys=False))


def test_gelbooru_sorted_queries_go_by_number_until_too_deep():
    query = Query("1girl sort:score:desc", "https://safebooru.org", ratings=("general",))
    site = Gelbooru(250)
    assert len(harvested(gelbooru, query, site)[0]) == 250
    assert [requested.get("pid") for requested in site.requested] == ["0", "1", "2", None]
    offers, last = harvested(gelbooru, query, Gelbooru(1000, {4: "Too deep! Pull it back some. Holy fuck."}))
    assert len(offers) == 300
    assert "20,000 posts of a sorted query" in last.shortfall
    _, last = harvested(gelbooru, query, lambda requested: Gelbooru(100)(requested | {"pid": 0}), most=201)
    assert "20,000 posts of a sorted query" in last.shortfall


def test_gelbooru_posts_of_other_ratings_are_drops_but_count_as_seen():
    offers, last = harvested(gelbooru, GELBOORU, Gelbooru(150, rating="questionable"))
    assert {offer.reason for offer in offers} == {"rating"}
    assert (len(offers), last.shortfall) == (150, "")


# ---- Danbooru's kind

DANBOORU = Query(
    "1girl",
    "https://danbooru.example",
    "https://cdn.example",
    ("g", "s"),
    keys={"login": "me", "api_key": "open-sesame"},
)
DANBOORU_POST = {
    "id": 294929,
    "created_at": "2008-08-12T00:46:05.385-04:00",
    "score": 4,
    "md5": MD5,
    "rating": "s",
    "source": "https://i.pximg.net/1129835_p0.jpg",
    "is_deleted": False,
    "approver_id": None,
    "is_banned": False,
    "tag_string": "1girl artist_name Blue_Hair",
    "file_ext": "jpg",
    "file_size": 358232,
    "image_width": 895,
    "image_height": 687,
    "tag_string_artist": "somebody",
    "tag_string_character": "someone (series)",
    "media_asset": {"id": 1, "variants": [{"type": "720x720"}]},
    "large_file_url": f"https://cdn.example/sample/{MD5}.jpg",
    "file_url": f"https://cdn.example/original/56/3c/{MD5}.jpg",
}


def test_a_danbooru_post_is_read_whole():
    assert one(danbooru, DANBOORU, DANBOORU_POST) == RemoteImage(
        "294929",
        DANBOORU_POST["file_url"],
        "https://danbooru.example/posts/294929",
        "someone (series)",
        "somebody",
        "s",
        tags=("1girl", "artist_name", "blue_hair"),
        md5=MD5,
        bytes=358232,
    )


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({"file_url": None}, DANBOORU_POST["file_url"]),
        ({"file_url": f"/data/{MD5}.jpg"}, f"https://danbooru.example/data/{MD5}.jpg"),
        ({"file_url": "//raikou4.donmai.us/a.jpg"}, "https://raikou4.donmai.us/a.jpg"),
        ({"rating": "general"}, DANBOORU_POST["file_url"]),
        ({"is_deleted": True}, DANBOORU_POST["file_url"]),
        ({"file_size": None}, DANBOORU_POST["file_url"]),
    ],
)
def test_danbooru_variants(changes, url):
    assert one(danbooru, DANBOORU, DANBOORU_POST | changes).file_url == url


def test_a_danbooru_sample_promises_nothing_and_a_film_is_none():
    query = Query("", "https://danbooru.example", "", ("s",), files="sample")
    offer = one(danbooru, query, DANBOORU_POST)
    assert (offer.file_url, offer.md5, offer.bytes) == (DANBOORU_POST["large_file_url"], None, None)
    assert one(danbooru, query, DANBOORU_POST | {"large_file_url": "https://cdn.example/x.webm"}).md5 == MD5


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (without(DANBOORU_POST, "md5", "file_url", "large_file_url"), "hidden"),
        (without(DANBOORU_POST, "md5", "file_url", "large_file_url") | {"is_banned": True}, "hidden"),
        (without(DANBOORU_POST, "file_ext", "file_url"), "no_file_url"),
        (DANBOORU_POST | {"rating": "q"}, "rating"),
        (DANBOORU_POST | {"file_ext": "zip", "file_url": f"https://cdn.example/{MD5}.zip"}, "not_a_picture"),
        (DANBOORU_POST | {"file_ext": "mp4", "file_url": f"https://cdn.example/{MD5}.mp4"}, "not_a_picture"),
        (DANBOORU_POST | {"file_ext": "\ud800"}, "not_a_picture"),
        (DANBOORU_POST | {"file_url": "//[x.jpg", "md5": "x"}, "hidden"),
    ],
)
def test_danbooru_drops(item, reason):
    drop = one(danbooru, DANBOORU, item)
    assert (drop.source_id, drop.reason) == ("294929", reason)
    drop.detail.encode()


def test_danbooru_one_post_by_md5():
    listing = read(danbooru, DANBOORU, DANBOORU_POST)
    assert ([offer.md5 for offer in listing.offers], listing.next) == ([MD5], None)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            {
                "success": False,
                "error": "PostQuery::TagLimitError",
                "message": "You cannot search for more than 2 tags at a time.",
            },
            "more than 2 tags",
        ),
        ({"success": False, "error": "ActiveRecord::QueryCanceled"}, "QueryCanceled"),
        ("<html>", "no JSON"),
        ("7", "no list"),
        ("[" * 100_000, "no JSON"),
    ],
)
def test_danbooru_says_no_loudly(body, words):
    with pytest.raises(BadAnswer, match=words):
        read(danbooru, DANBOORU, body)


def danbooru_site(size, hidden=(), obeys=True):
    def site(requested):
        assert "rating:g,s" in requested["tags"].split()
        page = requested.get("page", "1")
        below = int(page[1:]) if page.startswith("b") and obeys else 10**9
        start = 0 if page.startswith("b") else (int(page) - 1) * 200
        found = [each for each in range(size, 0, -1) if each < below][start : start + 200]
        return [DANBOORU_POST | {"id": each} for each in found if each not in hidden]

    return site


def test_danbooru_is_walked_by_id_also_over_short_pages():
    offers, last = harvested(danbooru, DANBOORU, danbooru_site(450, hidden=range(300, 400)))
    assert [int(offer.source_id) for offer in offers] == [*range(450, 399, -1), *range(299, 0, -1)]
    assert last.shortfall == ""
    with pytest.raises(BadAnswer, match="does not go on below"):
        harvested(danbooru, DANBOORU, danbooru_site(450, obeys=False))


def test_danbooru_ordered_queries_go_by_number_to_the_last_page():
    query = Query("order:score", "https://danbooru.example", "", ("g", "s"))
    assert len(harvested(danbooru, query, danbooru_site(450))[0]) == 450
    _, last = harvested(danbooru, query, lambda requested: [DANBOORU_POST], most=1000)
    assert "1,000 pages" in last.shortfall


# ---- Moebooru

MOEBOORU = Query(
    "1girl", "https://konachan.example", ratings=("s",), keys={"login": "me", "password_hash": "open-sesame"}
)
MOEBOORU_POST = {
    "id": 7,
    "tags": "1girl Long_Hair",
    "author": "uploader",
    "md5": MD5,
    "file_size": 5,
    "status": "active",
    "rating": "s",
    "file_url": "https://konachan.example/image/a%20b.png",
    "sample_url": "//konachan.example/sample/a.jpg",
    "is_held": False,
    "source": "",
}


@pytest.mark.parametrize("body", [[MOEBOORU_POST], {"posts": [MOEBOORU_POST], "pools": []}])
def test_a_moebooru_post_is_read_whole(body):
    assert read(moebooru, MOEBOORU, body).offers == [
        RemoteImage(
            "7",
            "https://konachan.example/image/a%20b.png",
            "https://konachan.example/post/show/7",
            rating="s",
            tags=("1girl", "long_hair"),
            md5=MD5,
            bytes=5,
        )
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"file_url": None, "status": "deleted"}, "hidden"),
        ({"file_url": None, "is_held": True, "status": None}, "hidden"),
        ({"file_url": ""}, "no_file_url"),
        ({"file_url": "//[x"}, "no_file_url"),
        ({"rating": "e"}, "rating"),
        ({"file_url": "https://konachan.example/a.mp4"}, "not_a_picture"),
    ],
)
def test_moebooru_drops(changes, reason):
    assert one(moebooru, MOEBOORU, MOEBOORU_POST | changes).reason == reason
    held = without(MOEBOORU_POST, "file_url", "status") | {"is_held": True}
    assert one(moebooru, MOEBOORU, held).reason == "hidden"


def test_a_moebooru_sample():
    query = Query("", "https://konachan.example", ratings=("s",), files="sample")
    offer = one(moebooru, query, MOEBOORU_POST)
    assert (offer.file_url, offer.md5, offer.bytes) == ("https://konachan.example/sample/a.jpg", None, None)


@pytest.mark.parametrize(
    ("body", "words"),
    [({"success": False, "reason": "access denied"}, "access denied"), ("x", "no JSON"), ("7", "no list")],
)
def test_moebooru_says_no_loudly(body, words):
    with pytest.raises(BadAnswer, match=words):
        read(moebooru, MOEBOORU, body)


def test_moebooru_is_walked_by_id_or_by_number():
    def site(requested):
        below = next((int(word[4:]) for word in requested["tags"].split() if word.startswith("id:<")), 10**9)
        start = (int(requested.get("page", 1)) - 1) * 100
        found = [each for each in range(250, 0, -1) if each < below][start : start + 100]
        return [MOEBOORU_POST | {"id": each} for each in found]

    for text in ("1girl", "1girl order:score"):
        offers, _ = harvested(moebooru, Query(text, "https://konachan.example", ratings=("s",)), site)
        assert [int(offer.source_id) for offer in offers] == list(range(250, 0, -1))
    ordered = Query("order:score", "https://konachan.example", ratings=("s",))
    _, last = harvested(moebooru, ordered, lambda requested: [MOEBOORU_POST], most=1000)
    assert "1,000 pages" in last.shortfall
    with pytest.raises(BadAnswer, match="does not go on"):
        harvested(moebooru, MOEBOORU, lambda requested: [MOEBOORU_POST])


# ---- all three

BOORUS = [(gelbooru, GELBOORU), (danbooru, DANBOORU), (moebooru, MOEBOORU)]


@pytest.mark.parametrize(("engine", "query"), BOORUS)
def test_keys_are_sent_apart_from_the_url(engine, query):
    ask = engine.request(query, engine.first_cursor(query))
    assert "open-sesame" in (*dict(ask.secrets).values(), *(ask.login or ()))
    assert "open-sesame" not in ask.url + repr(query)
    nobody = Query(query.text, query.base_url, ratings=query.ratings)
    assert engine.request(nobody, engine.first_cursor(nobody))[1:3] == ((), None)


@pytest.mark.parametrize(("engine", "query"), BOORUS)
def test_ratings_that_are_not_taken_cannot_be_requested(engine, query):
    for word in ("rating:explicit", "rating:e", "rating:questionable"):
        with pytest.raises(UserError, match=f"it asks for {word}"):
            engine.first_cursor(Query(f"1girl {word}", query.base_url, ratings=query.ratings))
    engine.first_cursor(Query(f"-rating:e rating:{query.ratings[-1]}", query.base_url, ratings=query.ratings))


# ---- any web page

PAGE_URL = "https://a.example/gallery/1.html"


def page(body, *, headers=None, cursor=None, pages=1000, url=PAGE_URL):
    query = Query(PAGE_URL, "", pages=pages)
    headers = {"content_type": "text/html; charset=utf-8"} | (headers or {})
    return web_page.parse(query, cursor or web_page.first_cursor(query), answer(body, url, **headers))


def urls(listing) -> list[str]:
    return [offer.file_url.removeprefix("https://a.example") for offer in listing.offers]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ('<img src="x.jpg"><img src="/y.jpg"><img src="//a.example/z.jpg">', ["/gallery/x.jpg", "/y.jpg", "/z.jpg"]),
        ('<base href="/b/"><base href="/c/"><img src=x.jpg>', ["/b/x.jpg"]),
        ("<IMG SRC=x.jpg SRC=y.jpg>", ["/gallery/x.jpg"]),
        ('<a href="/full.PNG?v=1"><span><img src="/thumb.jpg" width=40 height=40></span></a>', ["/full.PNG?v=1"]),
        ('<img src="/thumb.jpg"><a href="/full.jpg"><img src="/thumb.jpg"></a><img src="/thumb.jpg">', ["/full.jpg"]),
        (
            '<a href="/page.html"><img src="/x.jpg"></a><a href="/full.jpg">text</a><img src="/y.jpg">',
            ["/x.jpg", "/y.jpg"],
        ),
        ('<a href="/wiki/File:x.jpg"><img src="/x.jpg"></a>', ["/x.jpg"]),
        (
            '<img src="/blank.gif" data-src="/a.jpg"><img src="/blank.gif" data-original="/b.jpg" data-src="/b2.jpg">',
            ["/a.jpg", "/b.jpg"],
        ),
        ('<img src="/s.jpg" srcset="/s.jpg 400w, /l.jpg 1600w,/m.jpg 800w">', ["/l.jpg"]),
        ('<img src="/s.jpg" srcset="/s.jpg, /2x.jpg 1.5x, /w_1,h_2/l.jpg 2x">', ["/w_1,h_2/l.jpg"]),
        (
            '<picture><source srcset="/x.webp 1x, /x2.webp 2x">'
            '<source media=x srcset=/y.webp><img src="/x.jpg"></picture>',
            ["/x2.webp"],
        ),
        ('<video><source srcset="/film.jpg"></video><img src="/x.jpg">', ["/x.jpg"]),
        ('<meta property="og:image" content="/og.jpg"><img src="/og.jpg">', ["/og.jpg"]),
        (
            '<img src="data:image/png;base64,AAAA"><img src="/x.svg"><img src="/favicon.ico">'
            '<img src=""><img><img src="#">'
            '<img src="/pixel.gif" width=1 height=1><img src="/icon.png" width="47px" height="32">'
            '<img src="/x.jpg" width=48 height=9>',
            ["/x.jpg"],
        ),
        ('<img src="/x.jpg"><img src="/x.jpg#a"><img src=" /x.jpg\n">', ["/x.jpg"]),
        ('<img src="/i?a=1&amp;b=2"><img src="/i?a=1&copy=2&lt=3">', ["/i?a=1&b=2", "/i?a=1&copy=2&lt=3"]),
        ('<img src="/画 像.jpg"><img src="/%E7%94%BB%20%E5%83%8F.jpg">', ["/%E7%94%BB%20%E5%83%8F.jpg"]),
        ('<!-- <img src="/no.jpg"> --><script>"<img src=/no.jpg>"</script><img src="/x.jpg">', ["/x.jpg"]),
        ('<![if !IE]><img alt="a > b&#' + "1" * 5000 + ';" src="/x.jpg"><![endif]--><img src="//[bad">', ["/x.jpg"]),
        ('<img src="/a.jpg"><img src="/cut.jpg', ["/a.jpg"]),
        ('<img src="/data:x/y.jpg">', ["/data:x/y.jpg"]),
        ("<script><div>" + "<b>" * 200_000 + "</script><!--" + "<b>" * 200_000 + "--><img src=/x.jpg>", ["/x.jpg"]),
        ('<img src="data:image/png;base64,' + "A" * 1_000_000 + '" data-src="/x.jpg">', ["/x.jpg"]),
    ],
)
def test_pictures_of_a_page(body, found):
    assert urls(page(body)) == found


def test_what_a_page_says_of_its_pictures():
    listing = page(
        '<title>A &amp; B</title><meta name=author content="Somebody"><meta name=keywords content="Long Hair, hat">'
        '<svg><title>drawn</title></svg><a rel="license" href="/by/4.0/">CC</a>'
        '<img src="/x.jpg" alt=" The\n girl"><img src=/y.jpg>'
    )
    assert listing.offers[0] == RemoteImage(
        "https://a.example/x.jpg",
        "https://a.example/x.jpg",
        PAGE_URL,
        "The girl",
        "Somebody",
        license="https://a.example/by/4.0/",
        tags=("long_hair", "hat"),
    )
    assert listing.offers[1].title == "A & B"


@pytest.mark.parametrize(
    ("link", "following"),
    [
        ('<link rel="next" href="2.html#x">', "https://a.example/gallery/2.html"),
        ('<a rel="nofollow next" href="?p=2">', PAGE_URL + "?p=2"),
        ('<a rel=next href="https://b.example/">', None),
        ('<a rel=next href="#">', None),
        ('<a rel=prev href="/0">', None),
        ('<a rel=next href="1.html">', None),
        ('<a rel=next href="javascript:x()">', None),
        ('<a rel=next href="//[">', None),
    ],
)
def test_the_next_page(link, following):
    listing = page(f"{link}<img src=/x.jpg>")
    assert (listing.next or {}).get("url") == following
    if following:
        assert listing.next["visited"] == [PAGE_URL]


def test_a_gallery_is_walked_once_and_to_its_bound():
    site = {"1": ("2", "a b"), "2": ("3", "b c"), "3": ("1", "")}

    def walk(pages):
        query, found = Query("/1", "https://a.example", pages=pages), []
        cursor = web_page.first_cursor(query)
        while cursor:
            ask = web_page.request(query, cursor)
            following, names = site[ask.url[-1]]
            body = f'<a rel=next href="/{following}">' + "".join(f"<img src=/{name}.jpg>" for name in names.split())
            listing = web_page.parse(query, cursor, answer(body, ask.url, content_type="text/html"))
            found.append(urls(listing))
            cursor = listing.next
        return found, listing.shortfall

    assert walk(1000) == ([["/a.jpg", "/b.jpg"], ["/b.jpg", "/c.jpg"], []], "")
    found, shortfall = walk(2)
    assert (len(found), "more than the 2 pages" in shortfall) == (2, True)


@pytest.mark.parametrize(
    ("body", "headers", "words"),
    [
        ('<meta name="robots" content="noai, noimageai">', {}, "noai"),
        ('<META NAME=ROBOTS CONTENT="NoIndex">', {}, "NoIndex"),
        ('<meta name="anime-face-gans" content="none">', {}, "anime-face-gans: none"),
        ("", {"x_robots_tag": "noimageai"}, "noimageai"),
        ("", {"tdm_reservation": "1"}, "tdm"),
    ],
)
def test_a_page_that_opts_out_is_one_drop_and_the_walk_goes_on(body, headers, words):
    listing = page(f"{body}<img src=/x.jpg><a rel=next href=2.html>", headers=headers)
    (drop,) = listing.offers
    assert (drop.source_id, drop.reason) == (PAGE_URL, "opted_out")
    assert words in drop.detail
    assert listing.next["url"].endswith("2.html")


def test_other_words_of_robots_are_no_opt_out():
    body = '<meta name=robots content="index, follow"><meta name=googlebot content=noindex><img src=/x.jpg>'
    assert urls(page(body, headers={"x_robots_tag": "googlebot: noindex"})) == ["/x.jpg"]


def test_a_picture_instead_of_a_page_is_offered_itself():
    url = "https://a.example/x.jpg"
    assert page(b"\xff\xd8\xff", headers={"content_type": "image/jpeg"}, url=url).offers == [RemoteImage(url, url)]
    headers = {"content_type": "image/jpeg", "x_robots_tag": "noai"}
    assert page(b"\xff\xd8\xff", headers=headers, url=url).offers[0].reason == "opted_out"


@pytest.mark.parametrize(
    ("body", "headers", "words"),
    [
        ("<title>Log in</title>", {}, "no picture on the page: Log in"),
        ("", {}, "no picture on the page"),
        ("%PDF", {"content_type": "application/pdf"}, "no web page but application/pdf"),
        ("<svg>", {"content_type": "image/svg+xml"}, "no web page but image/svg"),
    ],
)
def test_what_is_no_gallery_is_reported(body, headers, words):
    with pytest.raises(BadAnswer, match=words):
        page(body, headers=headers)


@pytest.mark.parametrize(
    ("codec", "header", "meta", "alt"),
    [
        ("euc_jp", "EUC-JP", "", "キャラ1"),
        ("euc_jis_2004", "", "EUC-JP", "①キャラ♥"),
        ("cp932", "", "Shift_JIS", "①髙"),
        ("utf-8", "", "", "キャラ"),
        ("utf-8-sig", "EUC-JP", "", "キャラ"),
        ("utf-16", "", "", "キャラ"),
        ("utf-8", "idna", "", "キャラ"),
        ("utf-8", "unicode_escape", "", "キャラ"),
        ("utf-8", "no-such", "", "キャラ"),
        ("cp1252", "ISO-8859-1", "", "“é”"),
        ("gb18030", "", "gb2312", "角色"),
    ],
)
def test_charsets(codec, header, meta, alt):
    head = f'<meta http-equiv="Content-Type" content="text/html; charset={meta}">' if meta else ""
    body = f'{head}<img src=/x.jpg alt="{alt}">'.encode(codec)
    content_type = f"text/html; charset={header}" if header else "text/html"
    assert page(body, headers={"content_type": content_type}).offers[0].title == alt


def test_a_damaged_page_in_euc_jp_loses_no_more_than_the_damage():
    body = b'<img src=/x.jpg alt="' + "①キャラ".encode("euc_jis_2004") + b'\xff"><img src=/y.jpg>'
    listing = page(body, headers={"content_type": "text/html; charset=EUC-JP"})
    assert "キャラ" in listing.offers[0].title
    assert urls(listing) == ["/x.jpg", "/y.jpg"]


MEGABYTE = 1 << 20


@pytest.mark.full(keep=1)
@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("<div>" * (10 * MEGABYTE // 5), "10,485,760 bytes, at most"),
        ("<div>" * 400_000, "1,000 nested tags"),
        ("<a><img src=x>" * 10_000, "5,000 pictures"),
        ("<a " * MEGABYTE, "500,000 tags"),
        ("<a " + "b " * MEGABYTE + ">", "no picture"),
        ("<a " + " ".join(f"b{number}" for number in range(500_000)) + ">", "no picture"),
        ("<a b='" + "'><a ' b=" * 200_000 + ' d="', "no picture"),
        ("<p>" * MEGABYTE, "500,000 tags"),
        ("<div>" * 900 + "</b>" * 499_000, "no picture"),
        ("<!-- >" * 400_000, "no picture"),
        ("<![a[" * 400_000, "no picture"),
        ("</" * MEGABYTE, "500,000 tags"),
        ("<script>a</" * 200_000, "no picture"),
        ("&#" * MEGABYTE, "no picture"),
        ("<" * MEGABYTE, "500,000 tags"),
        ("<img srcset='" + "," * 200_000 + "'>", "no picture"),
        ("<title>" + "x" * MEGABYTE, "no picture"),
        ("<picture>" + "<source srcset='a 1w, b 2w'>" * 900 + "<img src=x>" * 5_001, "5,000 pictures"),
        ("data:" * 400_000, "no picture"),
        ("<base href='//[' >", "no picture"),
        ("\0" * 1000, "no picture"),
    ],
)
def test_hostile_pages_are_refused_soon(body, words):
    start = time.process_time()
    with pytest.raises(BadAnswer, match=words) as error:
        page(body)
    assert time.process_time() - start < 5
    assert len(str(error.value)) < 1000


def test_a_gallery_needs_a_url():
    assert web_page.first_cursor(Query("g/1", "https://a.example"))["url"] == "https://a.example/g/1"
    for text in ("", "g/1", "file:///etc/passwd"):
        with pytest.raises(UserError, match="--query"):
            web_page.first_cursor(Query(text, ""))


# ---- lists of URLs


def listed(path, base_url=""):
    query = Query("", base_url, path=path)
    cursor = json.loads(json.dumps(url_list.first_cursor(query)))
    assert url_list.request(query, cursor) is None
    listing = url_list.parse(query, cursor, None)
    assert (listing.next, listing.shortfall) == (None, "")
    return listing.offers


def test_a_text_list(tmp_path):
    (tmp_path / "list.txt").write_text(
        "\ufeff# mine\nhttps://a.example/あ b.jpg\n\n  https://a.example/y.jpg#1 \r\nhttps://a.example/y.jpg\n"
        f"ftp://a.example/z.jpg\nrelative.jpg\nhttps://a.example/{'x' * 2000}\n",
        encoding="utf-8",
    )
    found = listed(tmp_path / "list.txt")
    assert found[:2] == [
        RemoteImage("https://a.example/あ b.jpg", "https://a.example/%E3%81%82%20b.jpg"),
        RemoteImage("https://a.example/y.jpg#1", "https://a.example/y.jpg"),
    ]
    assert [(drop.source_id, drop.reason) for drop in found[2:]] == [(f"line {n}", "bad_url") for n in (6, 7, 8)]
    assert found[2].detail == "line 6: ftp://a.example/z.jpg"
    with_base = listed(tmp_path / "list.txt", "https://b.example/pictures")
    assert with_base[3].source_id == with_base[3].file_url == "https://b.example/pictures/relative.jpg"


X = "https://a.example/x.png"


@pytest.mark.parametrize(
    ("line", "url", "tags", "title"),
    [
        (f"{X}\tblue hair, hat", X, ("blue_hair", "hat"), None),
        (f"{X} blue hair", X, ("blue", "hair"), None),
        (f"blue hair, hat\t{X}", X, ("blue_hair", "hat"), None),
        (f"{X}  # nice", X, (), None),
        (f"{X} #nice", X, (), None),
        (f"{X}\ta very typical bus station", X, ("very", "typical", "bus", "station"), "a very typical bus station"),
        (f"<{X}>", X, (), None),
        (f'"{X}",', X, (), None),
        (f"  '{X}' ;", X, (), None),
        (f"\ufeff{X}\u3000\r", X, (), None),
        (f"<URL:{X}> hat", X, ("hat",), None),
        (f'"{X}" "hat"', X, ("hat",), None),
        ("https://a.example/b c.png\that", "https://a.example/b%20c.png", ("hat",), None),
        ("https://a.example/get?id=7 see c.png", "https://a.example/get?id=7", ("see", "c.png"), None),
    ],
)
@pytest.mark.parametrize("base", ["", "https://b.example"])
def test_words_beside_an_address_are_its_caption(tmp_path, line, url, tags, title, base):
    (tmp_path / "list.txt").write_text(line + "\n", encoding="utf-8", newline="")
    (offer,) = listed(tmp_path / "list.txt", base)
    assert (offer.file_url, offer.tags, offer.title) == (url, tags, title)
    (tmp_path / "list.jsonl").write_text(json.dumps({"url": line}))
    (offer,) = listed(tmp_path / "list.jsonl", base)
    assert (offer.file_url, offer.tags, offer.title) == (url, tags, title)


def test_several_addresses_on_a_line_are_as_many_pictures(tmp_path):
    (tmp_path / "list.txt").write_text(f"{X} https://a.example/y.png\n")
    assert [offer.file_url for offer in listed(tmp_path / "list.txt")] == [X, "https://a.example/y.png"]


@pytest.mark.parametrize(
    "line",
    [
        "hello world",
        "www.a.example/x.png",
        "ftp://a.example/x.png",
        "http:/a.example/x.png",
        "https//a.example/x.png",
        "[text](https://a.example/x.png)",
        "C:\\pictures\\x.png",
        "mailto:x@a.example",
        "https://a.example:x/1.png",
        "see \x00 this",
        "https://",
    ],
)
def test_what_is_no_address_is_a_row_and_asks_no_host(tmp_path, line):
    (tmp_path / "list.txt").write_text(f"{X}\n{line}\n")
    _, drop = listed(tmp_path / "list.txt", "https://b.example")
    assert (type(drop), drop.reason) == (Skipped, "bad_url")


@pytest.mark.parametrize(
    ("name", "body"),
    [("list.tsv", f"a hat\t{X}\n"), ("list.csv", f"{X},a hat\n"), ("list.csv", f'url,caption\n"{X} # mine",a hat\n')],
)
def test_captions_of_tables_are_read(tmp_path, name, body):
    (tmp_path / name).write_text(body)
    (offer,) = listed(tmp_path / name)
    assert (offer.file_url, "hat" in offer.tags) == (X, True)


@pytest.mark.parametrize(
    ("body", "tags"),
    [
        ("\"['1girl', 'green hair']\"", ("1girl", "green_hair")),
        ("\"['1girl' 'green hair']\"", ("1girl", "green_hair")),
        ("[]", ()),
        ('"[""1girl"", ""hat""]"', ("1girl", "hat")),
    ],
)
def test_lists_that_became_text_are_tags(tmp_path, body, tags):
    (tmp_path / "list.csv").write_text(f"url,tags\n{X},{body}\n")
    (offer,) = listed(tmp_path / "list.csv")
    assert offer.tags == tags


ROWS = [
    {
        "url": "https://a.example/page",
        "image_url": "https://a.example/x.jpg",
        "page_url": "https://a.example/page",
        "title": "T",
        "artist": "A",
        "rating": "g",
        "license": "CC0",
        "tags": "Long Hair, hat",
        "hash": MD5,
        "bytes": "123",
    },
    {
        "url": "https://a.example/y.jpg",
        "image_url": "",
        "page_url": "",
        "title": "",
        "artist": "",
        "rating": "",
        "license": "",
        "tags": "",
        "hash": SHA256,
        "size": "many",
    },
]


def write_list(root, form, rows):
    path = root / f"list.{form}"
    if form == "csv":
        path.write_text(
            "\n".join(",".join(f'"{cell}"' for cell in line) for line in (rows[0], *(row.values() for row in rows)))
        )
    elif form == "jsonl":
        path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("is_upper", [False, True])
def test_tables_of_urls(tmp_path, form, is_upper):
    rows = [{key.upper() if is_upper else key: value for key, value in row.items()} for row in ROWS]
    assert listed(write_list(tmp_path, form, rows)) == [
        RemoteImage(
            "https://a.example/x.jpg",
            "https://a.example/x.jpg",
            "https://a.example/page",
            "T",
            "A",
            "g",
            "CC0",
            ("long_hair", "hat"),
            md5=MD5,
            bytes=123,
        ),
        RemoteImage("https://a.example/y.jpg", "https://a.example/y.jpg", sha256=SHA256),
    ]


def test_a_csv_without_header_and_jsonl_of_strings(tmp_path):
    (tmp_path / "list.csv").write_text("7,https://a.example/x.jpg,hat\n8,https://a.example/y.jpg\n")
    assert [offer.file_url[-5:] for offer in listed(tmp_path / "list.csv")] == ["x.jpg", "y.jpg"]
    (tmp_path / "list.jsonl").write_text('"https://a.example/x.jpg"\n7\n{"link": "https://a.example/y.jpg"}\n["a"]\n')
    assert [type(offer) for offer in listed(tmp_path / "list.jsonl")] == [RemoteImage, Skipped, RemoteImage, Skipped]


def test_a_hostile_row_never_reaches_the_manifest(tmp_path):
    row = {
        "url": "https://a.example/x.jpg#\\ud800",
        "title": "x" * 5000,
        "tags": ["\\ud800", 7],
        "md5": ["a"],
        "bytes": {},
    }
    lines = [
        json.dumps(row).replace("\\\\", "\\"),
        '"https://a.example/\\ny.jpg"',
        json.dumps({"url": "/z", "title": 1}),
    ]
    (tmp_path / "list.jsonl").write_text("\n".join(lines))
    found = listed(tmp_path / "list.jsonl")
    assert [getattr(offer, "file_url", None) for offer in found] == [None, "https://a.example/y.jpg", None]
    pa.array([offer.source_id for offer in found])
    assert all(offer.source_id.isprintable() for offer in found)


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("a.txt", b"", "empty"),
        ("a.txt", b"# nothing\n\n", "empty"),
        ("a.txt", b"https://a.example/\n\xff\xfe", "line 2: no UTF-8"),
        ("a.txt", b"x.jpg\n", "no URL in it: line 1: x.jpg.*base_url"),
        ("a.csv", b"id,name\n1,2\n", "no column is called file_url"),
        ("a.csv", b"url\n" + b"x" * 200_000, "line 2: field larger"),
        ("a.jsonl", b'"https://a.example/"\n{', "line 2"),
        ("a.jsonl", b"[" * 100_000, "line 1"),
        ("a.parquet", b"PAR1", "arquet"),
        ("a.md", b"https://a.example/", "another kind"),
    ],
)
def test_a_list_that_cannot_be_read_is_reported(tmp_path, name, body, words):
    (tmp_path / name).write_bytes(body)
    with pytest.raises(UserError, match=words) as error:
        listed(tmp_path / name)
    assert str(error.value).isprintable()


def test_a_parquet_without_urls_and_a_path_that_is_none_are_reported(tmp_path):
    with pytest.raises(UserError, match="no column is called"):
        listed(write_list(tmp_path, "parquet", [{"title": "x"}]))
    for path, words in ((None, "--path"), (tmp_path / "no.txt", "no such file"), (tmp_path, "no file")):
        with pytest.raises(UserError, match=words):
            listed(path)
    with pytest.raises(UserError, match="--query"):
        url_list.first_cursor(Query("x", "", path=tmp_path))


def test_a_changed_list_is_another_listing_and_bounds_hold(tmp_path, monkeypatch):
    path = tmp_path / "list.txt"
    path.write_text("https://a.example/x.jpg\n")
    query = Query("", "", path=path)
    before = url_list.first_cursor(query)
    path.write_text("https://a.example/x.jpg\nhttps://a.example/y.jpg\n")
    assert url_list.first_cursor(query) != before
    with pytest.raises(UserError, match="changed since"):
        url_list.parse(query, before, None)
    monkeypatch.setattr(url_list, "MAX_ROWS", 1)
    with pytest.raises(UserError, match="more than 1 rows"):
        listed(path)
    monkeypatch.setattr(url_list, "MAX_TABLE_BYTES", 30)
    with pytest.raises(UserError, match="more than 30 bytes"):
        listed(path)


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_the_tags_of_a_list_are_kept_once_and_bounded(form, tmp_path, monkeypatch):
    monkeypatch.setattr(url_list, "MAX_KEPT", 50_000)
    same = [{"url": f"https://a.example/{i}.jpg", "tags": "hat red_hair"} for i in range(1000)]
    first, *_, last = (each.tags for each in listed(write_list(tmp_path, form, same)))
    assert first == last == ("hat", "red_hair")
    assert all(one is other for one, other in zip(first, last, strict=True))
    many = [{"url": f"https://a.example/{i}.jpg", "tags": f"tag_{i} hat_{i}"} for i in range(1000)]
    with pytest.raises(
        UserError, match=r"(line|row) \d+: more tags than fit in 50,000 bytes; a shorter list; split it"
    ):
        listed(write_list(tmp_path, form, many))


@pytest.mark.parametrize("source", ["safebooru", "danbooru", "konachan"])
def test_a_post_that_is_not_rated_is_not_taken_for_a_safe_one(source):
    row = SOURCES[source]
    query = Query("1girl", "https://site.example", ratings=row.ratings)
    item = {"id": 7, "file_url": "https://site.example/7.jpg", "hash": "0" * 32, "tags": "1girl"}
    answer = HttpResponse("https://site.example/", 200, {}, json.dumps([item]).encode())
    (drop,) = row.engine.parse(query, row.engine.first_cursor(query), answer).offers
    assert (drop.source_id, drop.reason) == ("7", "rating")
    assert drop.detail.startswith("post 7 has no rating; keys: file_url hash id tags")
