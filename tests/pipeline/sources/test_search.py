"""Searches for pictures: what they ask and how they read the answers. No sockets; the APIs' shapes, made-up values."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from pipeline.errors import UserError
from pipeline.sources.base import Skipped
from pipeline.sources.parsing import BadAnswer
from pipeline.sources.search import google as google_images
from pipeline.sources.search import non_picture_type, offer_hit, openverse
from pipeline.sources.web_source import Query, RemoteImage
from pipeline.web.messages import HttpResponse, RetryLater

KEY, CX = "AIza-open-sesame", "0123:my-engine"


def answer(body, status=200, url="https://search.example/x") -> HttpResponse:
    if not isinstance(body, (bytes, str)):
        body = json.dumps(body)
    return HttpResponse(url, status, {}, body.encode() if isinstance(body, str) else body)


def read(engine, query, body, status=200, **cursor):
    return engine.parse(query, engine.first_cursor(query) | cursor, answer(body, status))


def requested(engine, query, **cursor) -> dict[str, str]:
    ask = engine.request(query, engine.first_cursor(query) | cursor)
    return {name: values[0] for name, values in parse_qs(urlsplit(ask.url).query).items()}


def harvested(engine, query, site, most=50):
    """(all that is offered, the last listing): `site`, a function of the parameters, is asked until the end."""
    cursor, offers = engine.first_cursor(query), []
    for _ in range(most):
        cursor = json.loads(json.dumps(cursor))  # as a ledger gives it back
        listing = engine.parse(query, cursor, answer(site(requested(engine, query, **cursor))))
        offers += listing.offers
        cursor = listing.next
        if cursor is None:
            return offers, listing
    raise AssertionError("the walk does not end")


# ---- What they have in common


@pytest.mark.parametrize(
    ("kind", "url", "found"),
    [
        ("image/png", "https://a.example/x", ""),
        ("image/", "https://a.example/x", ""),
        (None, "https://a.example/x", ""),
        ("", "https://a.example/get.php?id=x.svg", ""),
        ("jpg", "https://a.example/x", ""),
        (7, "https://a.example/x", ""),
        ("image/jpeg", "https://a.example/x.mp4", ""),  # the claim goes before the name
        ("image/", "https://a.example/x.SVG?v=1", "svg"),
        ("application/octet-stream", "https://a.example/x.webm", "webm"),
        ("image/svg+xml; charset=utf-8", "https://a.example/x", "image/svg+xml"),
        ("svg", "https://a.example/x", "svg"),
        ("image/x-icon", "https://a.example/x", "image/x-icon"),
        ("", "https://a.example/favicon.ico", "ico"),
        ("image/vnd.microsoft.icon", "https://a.example/x", "image/vnd.microsoft.icon"),
        ("video/mp4", "https://a.example/x.jpg", "video/mp4"),
        (".MP4", "https://a.example/x", "mp4"),
        ("text/html", "https://a.example/x.jpg", "text/html"),
    ],
)
def test_the_type_that_a_hit_claims(kind, url, found):
    assert non_picture_type(kind, url) == found


def test_a_hit_without_an_id_goes_by_its_url():
    offer = offer_hit(
        "", "https://a.example/b c.jpg#top", page_url="javascript:x", title=" A\n B ", tags=["X y", "x Y"]
    )
    address = "https://a.example/b%20c.jpg"
    assert offer == RemoteImage(address, address, title="A B", tags=("x_y",))


@pytest.mark.parametrize("url", ["data:image/png;base64,AA", "x-raw-image:///1", "//[x", "\ud800", {"a": 1}, " ", 7])
def test_a_hit_without_an_address_is_a_drop(url):
    drop = offer_hit("", url)
    assert (type(drop), drop.reason) == (Skipped, "bad_url")
    assert drop.source_id.encode()
    assert drop.detail.isprintable()


# ---- Google

GOOGLE = Query(
    "anime face", "https://customsearch.example", keys={"api_key": KEY, "cx": CX}, options=google_images.OPTIONS
)
ITEM = {
    "kind": "customsearch#result",
    "title": "A girl",
    "htmlTitle": "<b>A</b> girl",
    "link": "https://img.example/a.png",
    "displayLink": "img.example",
    "snippet": "…",
    "mime": "image/png",
    "fileFormat": "image/png",
    "image": {
        "contextLink": "https://img.example/page.html",
        "height": 1024,
        "width": 819,
        "byteSize": 1417852,
        "thumbnailLink": "https://encrypted-tbn0.gstatic.example/images?q=tbn:1&s",
        "thumbnailHeight": 150,
    },
}


def google_page(start=1, count=10, total=385000, has_next=True, items=None):
    about = {"title": "…", "totalResults": str(total), "count": count, "startIndex": start, "safe": "active", "cx": CX}
    queries = {"request": [about]} | ({"nextPage": [about | {"startIndex": start + count}]} if has_next else {})
    made = [ITEM | {"link": f"https://img.example/{start + n}.png"} for n in range(count)] if items is None else items
    page = {"kind": "customsearch#search", "queries": queries, "searchInformation": {"totalResults": str(total)}}
    return page | ({"items": made} if made else {})


def google_error(code, message, reason="badRequest", status="INVALID_ARGUMENT", **more):
    error = {"code": code, "message": message, "errors": [{"message": message, "domain": "global", "reason": reason}]}
    return {"error": error | {"status": status} | more}


def quota(limit: str, **metadata):
    message = f"Quota exceeded for quota metric 'Queries' and limit '{limit}' of service 'customsearch.googleapis.com'."
    return google_error(429, message, "rateLimitExceeded", "RESOURCE_EXHAUSTED", **metadata)


def info(reason="RATE_LIMIT_EXCEEDED", **metadata) -> dict:
    kind = "type.googleapis.com/google.rpc.ErrorInfo"
    return {"details": [{"@type": kind, "reason": reason, "domain": "googleapis.com", "metadata": metadata}]}


def test_google_is_requested_page_by_page():
    ask = google_images.request(GOOGLE, {"start": 11})
    assert ask.url.startswith("https://customsearch.example/customsearch/v1?q=anime+face&searchType=image&")
    assert requested(google_images, GOOGLE, start=11) == {
        "q": "anime face",
        "searchType": "image",
        "num": "10",
        "start": "11",
        "safe": "active",
    }
    assert dict(ask.secrets) == {"key": KEY, "cx": CX}
    assert KEY not in ask.url
    assert CX not in ask.url


def test_google_takes_its_own_settings_and_sends_none_that_is_empty():
    options = google_images.OPTIONS | {
        "safe": "",
        "img_size": "xLarge",
        "img_type": "face",
        "rights": "cc_attribute",
        "site_search": "a.example",
        "date_restrict": "y1",
    }
    stated = requested(google_images, Query("x", GOOGLE.base_url, keys=GOOGLE.keys, options=options))
    assert "safe" not in stated
    assert (stated["imgSize"], stated["imgType"], stated["rights"]) == ("XLARGE", "face", "cc_attribute")
    assert (stated["siteSearch"], stated["dateRestrict"]) == ("a.example", "y1")


@pytest.mark.parametrize(
    ("keys", "words"),
    [({}, "no api_key and no cx"), ({"api_key": KEY}, "no cx;"), ({"cx": CX, "api_key": ""}, "no api_key;")],
)
def test_google_without_keys_says_what_there_is_instead(keys, words):
    query = Query("x", GOOGLE.base_url, keys=keys, options=google_images.OPTIONS)
    with pytest.raises(UserError, match=words) as error:
        google_images.request(query, google_images.first_cursor(query))
    for name in ("[google_images]", "luigi.cfg", "2027-01-01", "new customers", "--source openverse", "--source urls"):
        assert name in str(error.value)


@pytest.mark.parametrize("engine", [google_images, openverse])
def test_a_search_needs_words(engine):
    with pytest.raises(UserError, match="--query"):
        engine.first_cursor(Query(" ", "https://a.example", options=engine.OPTIONS))


def test_a_google_hit_is_read_whole():
    listing = read(google_images, GOOGLE, google_page(items=[ITEM]))
    assert listing.offers == [
        RemoteImage(
            ITEM["link"], ITEM["link"], "https://img.example/page.html", title="A girl"
        )  # nothing of it is promised
    ]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mime": "image/svg+xml"}, "not_a_picture"),
        ({"mime": "video/mp4"}, "not_a_picture"),
        ({"mime": "image/", "link": "https://a.example/x.ico"}, "not_a_picture"),
        ({"link": "x-raw-image:///7"}, "bad_url"),
        ({"link": None}, "no_file_url"),
        ({"link": ""}, "no_file_url"),
    ],
)
def test_google_drops(changes, reason):
    (drop,) = read(google_images, GOOGLE, google_page(items=[ITEM | changes])).offers
    assert (type(drop), drop.reason) == (Skipped, reason)
    if reason == "no_file_url":
        assert drop.source_id == "result 1"
        assert "; keys: displayLink" in drop.detail


@pytest.mark.parametrize(
    "changes",
    [
        {"mime": "image/"},
        {"mime": None, "fileFormat": None},
        {"image": None},
        {"image": []},
        {"title": 7},
        {"image": {}},
    ],
)
def test_google_takes_what_it_knows_little_of(changes):
    (offer,) = read(google_images, GOOGLE, google_page(items=[ITEM | changes])).offers
    assert offer.file_url == ITEM["link"]


def test_google_junk_among_items_is_odd():
    *odd, offer = read(google_images, GOOGLE, google_page(items=[None, 7, "x", [], ITEM])).offers
    assert [drop.reason for drop in odd] == ["odd_post"] * 4
    assert offer.file_url == ITEM["link"]


def test_google_ends_at_its_hundredth_result():
    starts = []

    def site(requested):
        starts.append(int(requested["start"]))
        assert starts[-1] <= 91
        return google_page(starts[-1])

    offers, last = harvested(google_images, GOOGLE, site)
    assert starts == list(range(1, 100, 10))
    assert len({offer.source_id for offer in offers}) == 100
    assert "no more than 100 results" in last.shortfall


@pytest.mark.parametrize(
    "page",
    [
        google_page(total=0, has_next=False, items=[]),
        {"kind": "customsearch#search"},
        google_page(items=[]),
        {"items": []},
    ],
)
def test_google_without_a_hit_ends(page):
    assert read(google_images, GOOGLE, page) == ([], None, "", "", None)


@pytest.mark.parametrize(
    "queries", [None, [], {"nextPage": None}, {"nextPage": []}, {"nextPage": [7]}, {"nextPage": {}}]
)
def test_google_without_a_next_page_ends(queries):
    listing = read(google_images, GOOGLE, google_page(21, count=3) | {"queries": queries}, start=21)
    assert (len(listing.offers), listing.next, listing.shortfall) == (3, None, "")


def test_google_that_goes_round_in_circles_is_not_requested_ever():
    with pytest.raises(BadAnswer, match="result 21 is followed by result 11"):
        read(google_images, GOOGLE, google_page(1), start=21)


@pytest.mark.parametrize(
    "body",
    [
        quota("Queries per day"),
        quota("Queries", **info(quota_limit="DefaultPerDayPerProject", quota_limit_value="100")),
        quota("Queries", **info(quota_unit="1/d/{project}")),
        google_error(403, "Daily Limit Exceeded", "dailyLimitExceeded", "PERMISSION_DENIED"),
    ],
)
def test_google_used_up_for_the_day_stops(body):
    with pytest.raises(UserError, match="midnight Pacific; run the same command again"):
        read(google_images, GOOGLE, body, body["error"]["code"])


@pytest.mark.parametrize(
    "body",
    [
        quota("Queries per minute per user"),
        quota("Queries", **info(quota_limit="DefaultPerMinutePerUser")),
        quota("Queries", **info(quota_unit="1/min/{project}/{user}")),
        quota("Queries per 100 seconds per user"),
        quota("Queries", **info(quota_limit_value="100")),
        {"error": {"code": 429}},
        {"error": "x"},
        [],
        "<html>sorry",
    ],
)
def test_google_requests_a_minute(body):
    with pytest.raises(RetryLater) as busy:
        read(google_images, GOOGLE, body, 429)
    assert busy.value.seconds == 60


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (
            400,
            google_error(400, "API key not valid: …. Please pass a valid API key.", **info("API_KEY_INVALID")),
            r"\[google_images\].*API key not valid.*look at api_key",
        ),
        (
            400,
            google_error(400, "Request contains an invalid argument."),
            "HTTP 400: Request contains.*correct the query",
        ),
        (400, google_error(400, "Invalid Value", "invalid"), "Invalid Value.*correct the query"),
        (
            403,
            google_error(
                403,
                "Custom Search API has not been used in project 1 before or it is disabled; wait a few minutes",
                "accessNotConfigured",
                "PERMISSION_DENIED",
            ),
            "disabled.*allow the key",
        ),
        (403, google_error(403, "This project does not have the access", "forbidden"), "does not have the access"),
        (404, "<html>Not found", "HTTP 404"),
        (410, b"\xff", "HTTP 410"),
        (400, {"error": {"message": "\x1b[31mno"}}, "31mno"),
        (200, {"error": {"message": "odd"}}, "odd"),
        (200, "not JSON", "no JSON"),
        (200, "[]", "no results"),
        (200, {"items": {"a": 1}}, "no list of items"),
        (200, "[" * 100_000, "no JSON"),
    ],
)
def test_google_says_no_loudly(status, body, words):
    with pytest.raises(UserError, match=words) as error:
        read(google_images, GOOGLE, body, status)
    assert str(error.value).isprintable()


# ---- Openverse

OPENVERSE = Query("anime face", "https://openverse.example", options=openverse.OPTIONS)
HIT_ID = "4bc43a04-ef46-4544-a0c1-63c63f56e276"
HIT = {
    "id": HIT_ID,
    "title": "A face",
    "indexed_on": "2022-08-27T17:39:48Z",
    "creator": "Somebody",
    "creator_url": None,
    "foreign_landing_url": "https://photos.example/1",
    "url": "https://cdn.photos.example/1.jpg",
    "license": "by-sa",
    "license_version": "4.0",
    "license_url": "https://creativecommons.org/licenses/by-sa/4.0/",
    "provider": "photos",
    "source": "photos",
    "category": "illustration",
    "filesize": 896128,
    "filetype": "jpg",
    "mature": False,
    "tags": [
        {"accuracy": None, "name": "Blue Hair", "unstable__provider": "photos"},
        {"accuracy": 0.9, "name": "face"},
        {"accuracy": 0.95, "name": "Blue Hair", "unstable__provider": "machine"},
    ],
    "attribution": "…",
    "fields_matched": [],
    "height": 4016,
    "width": 6016,
    "unstable__sensitivity": [],
    "thumbnail": f"https://openverse.example/v1/images/{HIT_ID}/thumb/",
}


def openverse_page(page=1, pages=500, count=20, results=10_000, items=None):
    items = [HIT | {"id": f"{page}-{n}"} for n in range(count)] if items is None else items
    return {"result_count": results, "page_count": pages, "page_size": 20, "page": page, "results": items}


def openverse_hit(changes=None, **options) -> RemoteImage | Skipped:
    query = Query("x", OPENVERSE.base_url, options=openverse.OPTIONS | options)
    (offer,) = read(openverse, query, openverse_page(items=[HIT | (changes or {})])).offers
    return offer


def test_openverse_is_requested_page_by_page():
    ask = openverse.request(OPENVERSE, {"page": 3})
    assert ask.url.startswith("https://openverse.example/v1/images/?")
    assert (ask.secrets, ask.bearer) == ((), None)
    assert requested(openverse, OPENVERSE, page=3) == {
        "q": "anime face",
        "page": "3",
        "page_size": "20",
        "mature": "false",
    }


def test_openverse_takes_settings_and_a_token():
    stated = {"license": "CC0, PDM", "license_type": "", "category": "illustration", "mature": "True"}
    options = openverse.OPTIONS | stated
    query = Query("x", OPENVERSE.base_url, keys={"token": "open-sesame"}, options=options)
    assert requested(openverse, query) == {
        "q": "x",
        "page": "1",
        "page_size": "20",
        "mature": "true",
        "license": "cc0,pdm",
        "category": "illustration",
    }
    ask = openverse.request(query, {"page": 1})
    assert ask.bearer == "open-sesame"
    assert "sesame" not in ask.url
    with pytest.raises(UserError, match="mature = perhaps; true or false"):
        openverse.first_cursor(Query("x", "", options=openverse.OPTIONS | {"mature": "perhaps"}))


def test_an_openverse_hit_is_read_whole():
    assert openverse_hit() == RemoteImage(
        HIT_ID,
        HIT["url"],
        "https://photos.example/1",
        title="A face",
        artist="Somebody",
        license="CC BY-SA 4.0 https://creativecommons.org/licenses/by-sa/4.0/",
        tags=("blue_hair", "face"),
    )


@pytest.mark.parametrize(
    ("license", "version", "url", "found"),
    [
        (
            "cc0",
            "1.0",
            "https://creativecommons.org/publicdomain/zero/1.0/",
            "CC0 1.0 https://creativecommons.org/publicdomain/zero/1.0/",
        ),
        ("PDM", "1.0", None, "Public Domain Mark 1.0"),
        ("by", None, "javascript:x", "CC BY"),
        ("sampling+", "1.0", "", "CC Sampling+ 1.0"),
        (None, "4.0", "https://a.example/own", "https://a.example/own"),
        (None, None, None, None),
        (["by"], "4.0\n", None, "CC ['BY'] 4.0"),
    ],
)
def test_openverse_licences_have_one_form(license, version, url, found):
    assert openverse_hit({"license": license, "license_version": version, "license_url": url}).license == found


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mature": True}, "rating"),
        ({"unstable__sensitivity": ["sensitive_text"]}, "rating"),
        ({"filetype": "svg"}, "not_a_picture"),
        ({"filetype": None, "url": "https://a.example/x.svg"}, "not_a_picture"),
        ({"url": None}, "no_file_url"),
        ({"url": "ftp://a.example/x.jpg"}, "bad_url"),
    ],
)
def test_openverse_drops(changes, reason):
    drop = openverse_hit(changes)
    assert (type(drop), drop.source_id, drop.reason) == (Skipped, HIT_ID, reason)


def test_openverse_gives_mature_pictures_to_who_requests_them():
    assert openverse_hit({"mature": True}, mature="true").rating == "mature"


@pytest.mark.parametrize(
    "changes",
    [
        {"tags": None},
        {"tags": [None, {"name": 7}, {}, "x"]},
        {"filetype": None, "filesize": None},
        {"title": None},
        {"foreign_landing_url": None},
        {"id": None},
        {"mature": None},
    ],
)
def test_openverse_takes_what_it_knows_little_of(changes):
    offer = openverse_hit(changes)
    assert offer.file_url == HIT["url"]
    assert offer.source_id


def test_openverse_ends_at_its_deepest_page():
    pages = []

    def site(requested):
        pages.append(int(requested["page"]))
        return openverse_page(pages[-1])

    offers, last = harvested(openverse, OPENVERSE, site)
    assert pages == list(range(1, 13))
    assert len({offer.source_id for offer in offers}) == 240
    assert "no more than 240 results" in last.shortfall


@pytest.mark.parametrize(("pages", "results", "shortfall"), [(12, 240, True), (12, 239, False), (20, 400, True)])
def test_openverse_says_whether_there_may_be_more(pages, results, shortfall):
    listing = read(openverse, OPENVERSE, openverse_page(12, pages, results=results), page=12)
    assert (listing.next, bool(listing.shortfall)) == (None, shortfall)


def test_openverse_goes_by_the_count_of_pages_and_not_by_a_short_one():
    counts = {1: 20, 2: 0, 3: 7}  # dead links are left out
    offers, last = harvested(
        openverse,
        OPENVERSE,
        lambda requested: openverse_page(int(requested["page"]), 3, counts[int(requested["page"])], results=47),
    )
    assert (len(offers), last.shortfall) == (27, "")


def test_openverse_without_a_count_ends_at_an_empty_page():
    offers, last = harvested(
        openverse, OPENVERSE, lambda requested: {"results": [HIT] if requested["page"] < "3" else []}
    )
    assert (len(offers), last.shortfall) == (2, "")


def test_openverse_beyond_the_end_is_the_end():
    assert read(openverse, OPENVERSE, {"detail": "Invalid page."}, 404, page=4) == ([], None, "", "", None)
    listing = read(openverse, OPENVERSE, {"detail": "Authentication credentials were not provided."}, 401, page=4)
    assert (listing.offers, listing.next) == ([], None)
    assert "no more than 240 results" in listing.shortfall


def test_openverse_requests_patience():
    with pytest.raises(RetryLater, match="throttled") as busy:
        read(openverse, OPENVERSE, {"detail": "Request was throttled. Expected available in 7 seconds."}, 429)
    assert busy.value.seconds is None  # the header says it
    with pytest.raises(RetryLater):
        read(openverse, OPENVERSE, "<html>", 429)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (
            400,
            {
                "detail": "Invalid input given for fields. 'license' -> License 'X' does not exist.",
                "fields": ["license"],
            },
            "HTTP 400: Invalid input.*correct the query",
        ),
        (400, {"detail": {"q": ["too long"]}}, "too long"),
        (404, {"detail": "Not found."}, "HTTP 404: Not found"),
        (401, {"detail": "Ensure this value is less than or equal to 20."}, r"\[openverse\].*less than or equal"),
        (403, "<html>", "Openverse says: HTTP 403"),
        (200, "<html>", "no JSON"),
        (200, "[]", "no results"),
        (200, {"detail": "x"}, "the site says"),
        (200, {"results": 7}, "no list of posts"),
    ],
)
def test_openverse_says_no_loudly(status, body, words):
    with pytest.raises(UserError, match=words) as error:
        read(openverse, OPENVERSE, body, status)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("page", [1, 2])
def test_openverse_a_token_that_has_ended_is_no_end_of_the_list(page):
    query = Query("x", OPENVERSE.base_url, keys={"token": "open-sesame"}, options=openverse.OPTIONS)
    with pytest.raises(UserError, match="get a new one"):
        read(openverse, query, {"detail": "Invalid token."}, 401, page=page)
