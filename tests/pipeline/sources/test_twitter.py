"""What the engine for X asks, reads and spends: no sockets; the API's recorded shapes with made-up values."""

import json
import math
import random
from urllib.parse import parse_qs, urlsplit

import pytest

from pipeline.errors import UserError
from pipeline.funnel import REASONS
from pipeline.sources import twitter
from pipeline.sources.base import Skipped
from pipeline.sources.parsing import BadAnswer
from pipeline.sources.web_source import Query, RemoteImage
from pipeline.web.client import _credentials, _hide_keys
from pipeline.web.messages import HttpResponse, RetryLater

TOKEN = "AAAAAAAAAAAAAAAAAAAAAopen-sesame%3Dtoken"
PBS = "https://pbs.twimg.com/media/GdfcARjXAAANecn"
POST = {
    "id": "1862198871645905125",
    "text": "Yuno &amp; Hiro #FanArt ＃ゆの #2024\nmore https://t.co/KWrPFW1Izd",
    "edit_history_tweet_ids": ["1862198871645905125"],
    "created_at": "2024-11-28T18:16:23.000Z",
    "author_id": "1862195582237839360",
    "possibly_sensitive": False,
    "lang": "ja",
    "attachments": {"media_keys": ["3_1862198868210810880", "13_1910458297536090112", "16_5"]},
}
PHOTO = {"media_key": "3_1862198868210810880", "type": "photo", "url": f"{PBS}.jpg", "width": 1448, "height": 2048}
FILM = {
    "media_key": "13_1910458297536090112",
    "type": "video",
    "duration_ms": 12000,
    "width": 1280,
    "height": 720,
    "preview_image_url": "https://pbs.twimg.com/amplify_video_thumb/1910458297536090112/img/x.jpg",
    "variants": [
        {"content_type": "application/x-mpegURL", "url": "https://video.twimg.com/pl/a.m3u8"},
        {"bit_rate": 2176000, "content_type": "video/mp4", "url": "https://video.twimg.com/b.mp4?tag=16"},
    ],
}
GIF = {
    "media_key": "16_5",
    "type": "animated_gif",
    "preview_image_url": "https://pbs.twimg.com/tweet_video_thumb/x.jpg",
    "variants": [{"bit_rate": 0, "content_type": "video/mp4", "url": "https://video.twimg.com/c.mp4"}],
}
AUTHOR = {"id": "1862195582237839360", "name": "…", "username": "some_artist"}
USER = {"data": {"id": "1862195582237839360", "name": "…", "username": "Some_Artist", "protected": False}}
NEXT = "7140dibdnow9c7btw4232poeq0wapgnwgwqwvuwn3peex"
PROBLEMS = "https://api.twitter.com/2/problems"


def query(text="@some_artist", **changes) -> Query:
    values = {"ratings": ("general",), "keys": {"bearer_token": TOKEN}, "options": {}}
    return Query(text, "https://api.x.com", **values | changes)


def answer(body, status=200, url="https://api.x.com/2/x") -> HttpResponse:
    body = body if isinstance(body, (bytes, str)) else json.dumps(body)
    return HttpResponse(url, status, {}, body if isinstance(body, bytes) else body.encode("utf-8", "surrogatepass"))


def page(*posts, media=(PHOTO, FILM, GIF), users=None, token=None, **more):
    """As the site sends it: what is empty is left out."""
    includes = {"media": list(media)} | ({"users": users} if users else {})
    meta = {"result_count": len(posts)} | ({"next_token": token} if token else {})
    if posts and all(isinstance(post, dict) and "id" in post for post in posts):
        meta |= {"newest_id": posts[0]["id"], "oldest_id": posts[-1]["id"]}
    return {"meta": meta} | ({"data": list(posts), "includes": includes} if posts else {}) | more


def known(text="@some_artist", **changes):
    """A cursor of posts: the user's id is known."""
    cursor = twitter.first_cursor(query(text))
    return cursor | ({"id": AUTHOR["id"]} if cursor["user"] else {}) | changes


def read(body, text="@some_artist", status=200, at=None, **changes):
    return twitter.parse(query(text, **changes), known(text) | (at or {}), answer(body, status))


def requests_of(ask) -> dict:
    return {name: values[0] for name, values in parse_qs(urlsplit(ask.url).query).items()}


def size_of(ask) -> int:
    return int(requests_of(ask)["max_results"])


# ---- queries


@pytest.mark.parametrize("text", ["@some_artist", "from=some_artist", "  @some_artist "])
def test_a_user_is_looked_up_by_name_first(text):
    ask = twitter.request(query(text), twitter.first_cursor(query(text)))
    assert ask.url.startswith("https://api.x.com/2/users/by/username/some_artist?user.fields=")
    assert (ask.bearer, ask.cost, ask.secrets) == (TOKEN, 0.035, ())
    listing = twitter.parse(query(text), twitter.first_cursor(query(text)), answer(USER))
    assert (listing.offers, listing.cost, listing.newest) == ([], 0.010, "")
    assert listing.next["id"] == "1862195582237839360"
    ask = twitter.request(query(text), listing.next)
    assert urlsplit(ask.url).path == "/2/users/1862195582237839360/tweets"
    assert requests_of(ask) == {
        "max_results": "100",
        "exclude": "retweets,replies",
        "expansions": "attachments.media_keys",
        "tweet.fields": "attachments,author_id,possibly_sensitive",
        "media.fields": "preview_image_url,type,url",
    }
    assert (ask.bearer, ask.cost) == (TOKEN, 0.5)


def test_a_user_may_be_requested_with_replies():
    ask = twitter.request(query(options={"replies": "true", "previews": "false"}), known())
    assert requests_of(ask)["exclude"] == "retweets"


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        ("#fanart  lang:ja", "#fanart lang:ja has:images -is:retweet"),
        (" cat", "cat has:images -is:retweet"),
        ("cat has:images", "cat has:images -is:retweet"),
        ("cat -is:reply", "cat -is:reply has:images"),
        ("cat has:images is:quote", "cat has:images is:quote"),
        ("cat OR dog", "(cat OR dog) has:images -is:retweet"),
        ("cat OR (has:images dog)", "(cat OR (has:images dog)) -is:retweet"),
        ("cat OR has:images -is:reply", "cat OR has:images -is:reply"),
        ("from:a_b", "from:a_b has:images -is:retweet"),
        ("日本 #絵", "日本 #絵 has:images -is:retweet"),
    ],
)
def test_a_search_is_of_media_and_no_retweets_unless_the_user_says_so(words, sent):
    requested = query(f"search={words}")
    ask = twitter.request(requested, twitter.first_cursor(requested))
    assert urlsplit(ask.url).path == "/2/tweets/search/recent"
    assert ask.url.isascii()
    assert requests_of(ask) == {
        "query": sent,
        "max_results": "100",
        "expansions": "attachments.media_keys,author_id",
        "tweet.fields": "attachments,author_id,possibly_sensitive",
        "media.fields": "preview_image_url,type,url",
    }
    assert ask.cost == 1.5


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "artist",
        "@",
        "from=",
        "@sixteen_letters_",
        "@a b",
        "@ärtist",
        "from=@a",
        "user=7",
        "search=",
        "search= ",
        "from:artist",
        "@a\x00",
        "https://x.com/a",
        "@a/../b",
        "@a\ud800",
    ],
)
def test_other_queries_are_errors_with_the_forms(text):
    with pytest.raises(UserError, match=r"@NAME or from=NAME.*search=WORDS") as error:
        twitter.first_cursor(query(text))
    assert str(error.value).isprintable()


@pytest.mark.parametrize("keys", [{}, {"bearer_token": ""}])
def test_without_a_token_the_setting_is_reported(keys):
    with pytest.raises(UserError, match=r"bearer_token.*\[twitter\] of luigi.cfg"):
        twitter.request(query(keys=keys), twitter.first_cursor(query()))


def test_the_token_is_nowhere_but_in_bearer():
    for text in ("@a", "search=a"):
        cursor = twitter.cursor_since(query(text), "17")
        ask = twitter.request(query(text), cursor)
        assert ask.bearer == TOKEN
        assert TOKEN not in repr(ask._replace(bearer=None)) + repr(query(text)) + json.dumps(cursor)


def test_pages_go_on_by_token_and_from_the_newest_known_post():
    cursor = twitter.cursor_since(query(), "17")
    assert cursor == json.loads(json.dumps(cursor)) == twitter.first_cursor(query()) | {"since": "17"}
    cursor = twitter.parse(query(), cursor, answer(USER)).next
    assert (cursor["user"], cursor["since"]) == ("Some_Artist", "17")
    first = requests_of(twitter.request(query(), cursor))
    assert (first["since_id"], "pagination_token" in first) == ("17", False)
    listing = twitter.parse(query(), cursor, answer(page(POST, token=NEXT)))
    assert listing.newest == POST["id"]
    second = requests_of(twitter.request(query(), listing.next))
    assert (second["since_id"], second["pagination_token"]) == ("17", NEXT)
    assert twitter.parse(query(), listing.next, answer(page(POST | {"id": "18"}))).newest == ""
    cursor = known("search=a", token=NEXT)
    assert requests_of(twitter.request(query("search=a"), cursor))["next_token"] == NEXT


# ---- what is in a post


def test_a_post_is_read_whole():
    listing = read(page(POST))
    assert listing.offers == [
        RemoteImage(
            "1862198871645905125_1",
            f"{PBS}?format=jpg&name=orig",
            rating="general",
            artist="some_artist",
            page_url="https://x.com/some_artist/status/1862198871645905125",
            title="Yuno & Hiro #FanArt ＃ゆの #2024",
            tags=("fanart", "ゆの"),
            instead=tuple(f"{PBS}?format=jpg&name={size}" for size in ("4096x4096", "large", "medium", "small")),
        ),
        Skipped("1862198871645905125_2", "not_a_picture", "video"),
        Skipped("1862198871645905125_3", "not_a_picture", "animated_gif"),
    ]
    assert (listing.next, listing.shortfall, listing.cost) == (None, "", 0.005)


def test_a_search_knows_the_artist_by_the_author():
    other = POST | {"id": "5", "author_id": "9"}
    found = read(page(POST, other, users=[AUTHOR]), "search=a").offers
    assert [(each.artist, each.page_url) for each in found if isinstance(each, RemoteImage)] == [
        ("some_artist", "https://x.com/some_artist/status/1862198871645905125"),
        (None, "https://x.com/i/status/5"),
    ]
    odd = [AUTHOR | {"username": "../x"}]
    assert read(page(POST, users=odd), "search=a").offers[0].page_url.startswith("https://x.com/i/status/")


@pytest.mark.parametrize(
    ("url", "file_url", "count"),
    [
        ("https://pbs.twimg.com/media/A-b_9.png", "https://pbs.twimg.com/media/A-b_9?format=png&name=orig", 4),
        ("http://127.0.0.1:8080/pbs/media/A.jpg", "http://127.0.0.1:8080/pbs/media/A?format=jpg&name=orig", 4),
        (
            "https://pbs.twimg.com/media/A?format=jpg&name=small",
            "https://pbs.twimg.com/media/A?format=jpg&name=small",
            0,
        ),
        ("https://pbs.twimg.com/other/A.jpg", "https://pbs.twimg.com/other/A.jpg", 0),
        ("https://pbs.twimg.com/media/A.jpg:large", "https://pbs.twimg.com/media/A.jpg:large", 0),
        ("https://pbs.twimg.com/media/a/b.jpg", "https://pbs.twimg.com/media/a/b.jpg", 0),
        ("https://pbs.twimg.com/media/A.gif", "https://pbs.twimg.com/media/A.gif", 0),
    ],
)
def test_photos_are_requested_in_full_size_wherever_they_lie(url, file_url, count):
    offer = read(page(POST, media=[PHOTO | {"url": url}])).offers[0]
    assert (offer.file_url, len(offer.instead)) == (file_url, count)


def test_films_are_offered_by_their_preview_if_that_is_wanted():
    found = read(page(POST), options={"previews": "true"}).offers
    assert [each.file_url for each in found[1:]] == [FILM["preview_image_url"], GIF["preview_image_url"]]
    assert [each.tags for each in found[1:]] == [("fanart", "ゆの", "video_preview")] * 2
    assert "video_preview" not in found[0].tags
    assert not found[1].instead
    bare = [{"media_key": FILM["media_key"], "type": "video"}]
    assert read(page(POST, media=bare), options={"previews": "true"}).offers[1].reason == "no_file_url"


@pytest.mark.parametrize(
    ("kind", "detail"), [("hologram", "hologram"), (None, "None"), (["photo"], "['photo']"), ({}, "{}")]
)
def test_media_of_another_kind_are_no_pictures(kind, detail):
    for options in ({}, {"previews": "true"}):
        drop = read(page(POST, media=[PHOTO | {"type": kind}]), options=options).offers[0]
        assert drop == Skipped("1862198871645905125_1", "not_a_picture", detail)


def test_what_has_no_address_is_dropped():
    missing, *_ = read(page(POST, media=[])).offers
    assert (missing.source_id, missing.reason) == ("1862198871645905125_1", "hidden")
    assert "; keys: " not in missing.detail  # withheld media are no change of the site
    assert read({"data": [POST], "meta": {}}).offers[2].reason == "hidden"  # posts without `includes`
    for url in (None, "", "//[x", ["x"], "javascript:x", 7):
        drop, *_ = read(page(POST, media=[PHOTO | {"url": url}])).offers
        assert (drop.reason, drop.source_id) == ("no_file_url", "1862198871645905125_1")
        assert "; keys: height media_key" in drop.detail


def test_posts_without_media_are_passed_over_in_silence():
    bare = {name: value for name, value in POST.items() if name != "attachments"}
    poll = POST | {"attachments": {"poll_ids": ["1"]}}
    listing = read(page(bare, poll, POST | {"attachments": None}, POST | {"attachments": {"media_keys": []}}))
    assert (listing.offers, listing.cost) == ([], 0.020)


def test_sensitive_posts_are_taken_if_that_is_requested():
    post = POST | {"possibly_sensitive": True}
    assert read(page(post)).offers == [Skipped(f"{POST['id']}_{n}", "rating", "sensitive") for n in (1, 2, 3)]
    for ratings, reasons in ((("general", "sensitive"), [None, None]), (("sensitive",), ["rating", None])):
        found = [read(page(each), ratings=ratings).offers[0] for each in (POST, post)]
        assert [getattr(each, "reason", None) for each in found] == reasons
    assert read(page(post), ratings=("sensitive",)).offers[0].rating == "sensitive"


@pytest.mark.parametrize(
    ("text", "title", "tags"),
    [
        ("https://t.co/a", None, ()),
        ("", None, ()),
        (None, None, ()),
        (7, None, ()),
        ("\n https://t.co/a\n hi  there https://t.co/b\nx", "hi there", ()),
        ("see https://t.co/a it", "see it", ()),
        ("&lt;3 #A &#35;B", "<3 #A #B", ("a", "b")),
        ("a#b c&#d #e_f! #1st #12 #A #a", "a#b c&#d #e_f! #1st #12 #A #a", ("e_f", "1st", "a")),
        ("#初音・ミク #ｱ絵。", "#初音・ミク #ｱ絵。", ("初音・ミク", "ｱ絵")),
        ("\ud800 #a\ud800", "? #a?", ("a",)),
        ("&#" + "1" * 5000 + ";", "\ufffd", ()),
    ],
)
def test_texts(text, title, tags):
    offer = read(page(POST | {"text": text})).offers[0]
    assert (offer.title, offer.tags) == (title, tags)


def test_many_hashtags_are_bounded():
    offer = read(page(POST | {"text": " ".join(f"#t{number}" for number in range(10_000))})).offers[0]
    assert 300 < len(offer.tags) <= 500
    assert len(offer.title) <= 2000


# ---- the ends of lists


def test_an_empty_page_is_no_end_while_there_is_a_token():
    listing = read(page(token=NEXT), at={"seen": 3})
    assert (listing.offers, listing.next["token"], listing.next["seen"], listing.cost) == ([], NEXT, 3, 0)
    last = read(page(), at=listing.next)
    assert (last.next, last.shortfall, last.cost) == (None, "", 0)


def test_the_first_page_with_a_post_tells_the_newest():
    listing = read(page(token=NEXT))
    assert listing.newest == ""
    assert read(page(POST, token="x"), at=listing.next).newest == POST["id"]


@pytest.mark.parametrize(("replies", "reach"), [("false", 800), ("true", 3200)])
def test_a_timeline_that_reaches_no_further_says_so(replies, reach):
    options = {"replies": replies}
    for at, is_short in (
        ({"seen": reach - 1}, True),
        ({"seen": reach - 2}, False),
        ({"total": reach, "seen": 1}, False),
        ({"total": reach + 1, "seen": 1}, True),
        ({"total": reach + 1, "seen": 1, "since": "7"}, False),
        ({"seen": reach - 1, "since": "7"}, True),
    ):
        shortfall = read(page(POST), at=at, options=options).shortfall
        assert (f"newest {reach:,} posts" in shortfall) is is_short
        assert bool(shortfall) is is_short
    assert read(page(POST, token=NEXT), at={"seen": reach}, options=options).shortfall == ""


def test_how_many_posts_a_user_has_is_kept():
    for metrics, total in (({"tweet_count": 812}, 812), ({"tweet_count": "x"}, 0), ({}, 0), (None, 0)):
        body = {"data": USER["data"] | {"public_metrics": metrics}}
        assert twitter.parse(query(), twitter.first_cursor(query()), answer(body)).next["total"] == total


def test_a_search_says_how_far_it_reaches():
    assert "seven days" in read(page(POST), "search=a").shortfall
    assert read(page(POST, token=NEXT), "search=a").shortfall == ""
    assert read(page(POST), "search=a", at={"since": "7"}).shortfall == ""


def test_a_user_without_posts_or_shown_to_followers_alone_is_reported():
    listing = read(page())
    assert listing.next is None
    assert "no post of @some_artist: there is none, or they are protected or withheld" in listing.shortfall
    assert read(page(), at={"since": "7"}).shortfall == ""  # nothing new
    withheld = {"title": "Forbidden", "detail": "withheld in your country", "type": "x"}
    assert read(page(errors=[withheld])).shortfall.endswith(": withheld in your country")
    body = {"data": USER["data"] | {"protected": True}}
    listing = twitter.parse(query(), twitter.first_cursor(query()), answer(body))
    assert (listing.offers, listing.next, listing.cost) == ([], None, 0.010)
    assert "@Some_Artist is protected" in listing.shortfall


NOT_SHOWN = {
    "errors": [
        {
            "value": "7",
            "detail": "Sorry, you are not authorized to see the user with id: [7].",
            "resource_type": "user",
            "title": "Authorization Error",
            "type": "https://api.x.com/2/problems/not-authorized-for-resource",
        }
    ]
}


@pytest.mark.parametrize("cursor", [twitter.first_cursor(query()), known(), known("search=a")])
def test_what_is_not_shown_to_this_app_ends_with_a_shortfall(cursor):
    listing = twitter.parse(query(), cursor, answer(NOT_SHOWN))
    assert (listing.offers, listing.next, listing.cost) == ([], None, 0)
    assert "not authorized to see the user" in listing.shortfall


def test_errors_besides_posts_do_not_keep_the_posts_out():
    errors = [{"detail": "Could not find media", "type": f"{PROBLEMS}/resource-not-found"}]
    listing = read(page(POST, errors=errors, token=NEXT))
    assert (len(listing.offers), listing.next["token"], listing.cost) == (3, NEXT, 0.005)


@pytest.mark.parametrize(
    "error",
    [
        {
            "value": "x",
            "detail": "Could not find user with username: [some_artist].",
            "title": "Not Found Error",
            "resource_type": "user",
            "parameter": "username",
            "type": f"{PROBLEMS}/resource-not-found",
        },
        {
            "title": "Forbidden",
            "detail": "User has been suspended: [some_artist].",
            "type": f"{PROBLEMS}/resource-not-found",
        },
        {"title": "Forbidden", "detail": "User has been suspended: [some_artist]."},
    ],
)
def test_a_user_who_is_not_there_is_reported_in_the_sites_words(error):
    for cursor in (twitter.first_cursor(query()), known()):
        with pytest.raises(UserError, match=r"@some_artist: X says: .*some_artist") as shown:
            twitter.parse(query(), cursor, answer({"errors": [error]}))
        assert error["detail"] in str(shown.value)


# ---- refusals

LIMITED = {"title": "Too Many Requests", "detail": "Too Many Requests", "type": "about:blank", "status": 429}
CAPPED = {
    "account_id": 123,
    "product_name": "standard-basic",
    "title": "UsageCapExceeded",
    "period": "Monthly",
    "scope": "Product",
    "detail": "Usage cap exceeded: Monthly product cap",
    "type": f"{PROBLEMS}/usage-capped",
}
NOT_ENROLLED = {
    "title": "Client Forbidden",
    "detail": "When authenticating, use keys of an app in a project.",
    "reason": "client-not-enrolled",
    "required_enrollment": "Appropriate Level of API Access",
    "client_id": "1",
    "registration_url": "https://developer.x.com/",
    "type": f"{PROBLEMS}/client-forbidden",
}
INVALID = {
    "errors": [
        {"parameters": {"max_results": ["3"]}, "message": "The `max_results` value [3] is not between 5 and 100"}
    ],
    "title": "Invalid Request",
    "detail": "One or more parameters to your request was invalid.",
    "type": "https://api.x.com/2/problems/invalid-request",
}


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (
            401,
            {"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized"},
            r"HTTP 401: Unauthorized;.*bearer_token in \[twitter\]",
        ),
        (
            402,
            {
                "title": "Payment Required",
                "status": 402,
                "detail": "credits depleted",
                "type": "https://api.x.com/2/problems/credits-depleted",
            },
            "credits depleted;.*what was fetched is kept",
        ),
        (403, NOT_ENROLLED, "When authenticating.*client-not-enrolled, Appropriate Level of API Access;.*enrol"),
        (400, INVALID, "not between 5 and 100;.*correct the query"),
        (429, CAPPED, "Usage cap exceeded.*what was fetched"),
        (429, CAPPED | {"type": "https://api.x.com/2/problems/usage-capped/"}, "Usage cap exceeded"),
        (429, CAPPED | {"type": None}, "Usage cap exceeded"),
        (429, CAPPED | {"title": None}, "Usage cap exceeded"),
        (404, "", r"HTTP 404: no words.*base_url"),
        (403, "<html>no\x1b[31m\n</html>", r"<html>no \[31m </html>"),
        (418, {"title": ["x"], "errors": "y", "detail": {"z": 1}}, "HTTP 418: .*try again later"),
        (400, {"errors": [{"message": None}, 7]}, "HTTP 400"),
        (400, [1], r"HTTP 400: \[1\]"),
        (204, b"", "HTTP 204"),
        (400, b"\xff\xfe\x00", "HTTP 400"),
        (401, "[" * 100_000, "HTTP 401"),
        (403, {"errors": []}, "HTTP 403"),
    ],
)
def test_refusals_say_what_to_correct(status, body, words):
    for cursor in (twitter.first_cursor(query()), known(), known("search=a"), known(since="7", token=NEXT)):
        with pytest.raises(BadAnswer, match=words) as error:
            twitter.parse(query(), cursor, answer(body, status))
        assert str(error.value).isprintable()
        assert len(str(error.value)) < 1000


@pytest.mark.parametrize("body", [LIMITED, "", "<html>", "[]", {"type": 7, "title": []}, {"type": "x/usage-capped/y"}])
def test_a_limit_of_requests_is_waited_for(body):
    with pytest.raises(RetryLater, match="HTTP 429") as busy:
        read(body, status=429)
    assert busy.value.seconds is None


def test_a_post_from_before_the_seven_days_is_no_start_for_a_search():
    """https://github.com/rooteco/tweetscape/issues/421"""
    body = INVALID | {"errors": [{"parameters": {"since_id": ["7"]}, "message": "'since_id' must be a later one"}]}
    listing = read(body, "search=a", status=400, at={"since": "7"})
    assert (listing.offers, listing.next, listing.cost) == ([], twitter.first_cursor(query("search=a")), 0)
    assert listing.next["is_keyed"]  # ends at the first known post
    later = read(body, "search=a", status=400, at={"since": "7", "token": NEXT})
    assert (later.next, later.cost) == (None, 0)
    assert "seven days" in later.shortfall
    with pytest.raises(BadAnswer, match="must be a later one"):
        read(body, "search=a", status=400)


@pytest.mark.parametrize("status", [200, 400, 401, 403, 429])
@pytest.mark.parametrize(
    "form",
    [
        "Bearer {}",
        '{{"title": "no {}"}}',
        '{{"errors": [{{"message": "no {}", "detail": "{}"}}]}}',
        '{{"data": "{}"}}',
        '{{"errors": [{{"detail": "no {}", "type": "/not-authorized-for-resource"}}]}}',
        '["{}"]',
        "x" * 180 + "{}",
    ],
)
def test_a_token_that_the_site_repeats_is_not_reported(status, form):
    shown = []
    for cursor in (twitter.first_cursor(query()), known()):
        try:
            sent = _credentials(twitter.request(query(), cursor))
            repeated = answer(form.format(TOKEN, TOKEN), status)
            shown.append(twitter.parse(query(), cursor, _hide_keys(repeated, sent.keys)))
        except (UserError, RetryLater) as error:
            shown.append(error)
    assert len(shown) == 2
    assert "open" not in str([*map(str, shown)])
    assert "AAAA" not in str([*map(str, shown)])


# ---- junk

JUNK = [None, True, 7, -1.5, "x", "", [], [[]], [7], [None], {}, {"x": 1}, "\ud800", float("nan")]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "{",
        "[]",
        "7",
        "null",
        '"x"',
        b"\xff\xfe",
        "[" * 100_000,
        "{}",
        '{"meta2": 1}',
        "<html>",
        '{"errors": []}',
        '{"errors": null}',
        '{"includes": {}}',
    ],
)
def test_an_answer_that_is_none_is_reported(body):
    for cursor in (twitter.first_cursor(query()), known(), known("search=a")):
        with pytest.raises(BadAnswer) as error:
            twitter.parse(query(), cursor, answer(body))
        assert str(error.value).isprintable()


@pytest.mark.parametrize("value", JUNK, ids=str)
def test_junk_anywhere_is_read_or_reported_but_never_crashes(value):
    """Each place of a whole answer holds junk once."""

    def spoiled(whole):
        if isinstance(whole, dict):
            yield {}
            for name, part in whole.items():
                yield whole | {name: value}
                yield from (whole | {name: each} for each in spoiled(part))
        if isinstance(whole, list):
            yield [value, *whole]
            for part in whole:
                yield from ([each] for each in spoiled(part))

    whole = page(POST, users=[AUTHOR], token=NEXT, errors=[{"detail": "x", "type": "y"}])
    user = {"data": USER["data"] | {"public_metrics": {"tweet_count": 7}}}
    tries = [(known("search=a"), each) for each in spoiled(whole)] + [(known(), each) for each in spoiled(whole)]
    tries += [(twitter.first_cursor(query()), each) for each in [*spoiled(user), *spoiled(NOT_SHOWN)]]
    tries += [(known(), each | {"status": 429}) for each in spoiled(CAPPED)]
    read_well = 0
    for options in ({}, {"previews": "true"}):
        for cursor, body in tries:
            try:
                listing = twitter.parse(query(options=options), cursor, answer(body))
            except BadAnswer:
                continue
            read_well += 1
            json.dumps(listing.next)
            assert listing.cost >= 0
            assert all(offer.source_id.isascii() and offer.source_id for offer in listing.offers)
            assert all(offer.reason in REASONS for offer in listing.offers if isinstance(offer, Skipped))
            repr(listing).encode()
    assert read_well


@pytest.mark.parametrize(
    "places",
    [
        {"data": 7},
        {"data": {"id": "1"}},
        {"meta": []},
        {"includes": {"media": {}}},
        {"meta": {"next_token": 7}},
        {"includes": []},
    ],
)
def test_junk_in_what_matters_is_reported(places):
    with pytest.raises(BadAnswer):
        read(page(POST) | places)


@pytest.mark.parametrize(
    "odd",
    [
        7,
        {"id": "x"},
        {},
        POST | {"id": 1.5},
        POST | {"attachments": [7]},
        POST | {"attachments": {"media_keys": "3_1"}},
    ],
)
def test_an_odd_post_is_a_row_and_those_beside_it_are_read(odd):
    drop, *others = read(page(odd, POST) | {"meta": {"newest_id": "new"}}).offers
    assert (drop.reason, drop.is_odd) == ("odd_post", True)
    assert others == read(page(POST)).offers


@pytest.mark.parametrize("odd", [7, None, {}, {"id": "x"}, POST | {"attachments": [7]}], ids=repr)
def test_equal_odd_posts_are_rows_of_their_own(odd):
    one, *_, two, three = read(page(odd, POST, odd, odd)).offers
    assert [two.source_id, three.source_id] == [f"{one.source_id} 2", f"{one.source_id} 3"]


def test_a_token_that_leads_back_to_its_own_page_is_not_followed():
    with pytest.raises(BadAnswer, match="leads no further"):
        read(page(POST, token=NEXT), at={"token": NEXT})


# ---- money


@pytest.mark.parametrize(
    ("text", "wanted", "budget_usd", "size"),
    [
        ("@a", 0, math.inf, 100),
        ("@a", 1, math.inf, 5),
        ("@a", 5, math.inf, 5),
        ("@a", 37, math.inf, 37),
        ("@a", 1000, math.inf, 100),
        ("@a", 0, 0.3, 60),
        ("@a", 0, 0.025, 5),
        ("@a", 3, 0.025, 5),
        ("@a", 50, 0.1, 20),
        ("@a", 0, 0.0299, 5),
        ("@a", 0, 0.0301, 6),
        ("search=a", 0, math.inf, 100),
        ("search=a", 1, math.inf, 10),
        ("search=a", 99, math.inf, 99),
        ("search=a", 0, 1.0, 66),
        ("search=a", 0, 0.15, 10),
        ("search=a", 12, 0.18, 12),
        ("search=a", 13, 0.18, 12),
    ],
)
def test_a_page_is_as_large_as_is_wanted_and_paid_for(text, wanted, budget_usd, size):
    ask = twitter.request(query(text, wanted=wanted, budget_usd=budget_usd), known(text))
    assert size_of(ask) == size
    assert ask.cost == pytest.approx(size * (0.015 if text.startswith("search") else 0.005))
    assert ask.cost <= budget_usd


@pytest.mark.parametrize(
    ("text", "budget_usd"),
    [("@a", 0), ("@a", 0.0249), ("@a", -1), ("search=a", 0.1499), ("search=a", 0), ("search=a", -0.0)],
)
def test_when_the_purse_does_not_hold_the_least_page_its_price_says_so(text, budget_usd):
    ask = twitter.request(query(text, budget_usd=budget_usd), known(text))
    assert budget_usd < ask.cost == (0.15 if text.startswith("search") else 0.025)


def test_a_user_is_not_looked_up_if_no_page_could_follow():
    assert twitter.request(query(budget_usd=0.034), twitter.first_cursor(query())).cost == 0.035


def test_all_that_comes_is_counted():
    other = AUTHOR | {"id": "9"}
    assert read(page(POST, POST | {"id": "5"}, users=[AUTHOR, other]), "search=a").cost == 0.030
    body = page(POST)
    body["includes"] |= {"tweets": [POST, POST], "posts": [POST], "users": [AUTHOR]}
    assert read(body).cost == 0.030


class X:
    """A site whose pages are as full, as empty and as many-handed as chance has it; `greed`: always as dear as it may
    be. It keeps the account."""

    def __init__(self, seed, posts, greed):
        self.chance, self.left, self.greed = random.Random(seed), posts, greed
        self.bill, self.pages, self.number = 0, 0, 10**18

    def __call__(self, ask):
        parts, self.pages = urlsplit(ask.url), self.pages + 1
        if "/by/username/" in parts.path:
            self.bill += 10
            return USER
        is_search, most = parts.path.endswith("recent"), size_of(ask)
        assert (10 if is_search else 5) <= most <= 100
        count = min(self.left, most if self.greed else self.chance.choice([0, 1, most // 2, most]))
        self.left -= count
        posts = [self._post(is_search) for _ in range(count)]
        authors = {post["author_id"] for post in posts} if is_search else ()
        self.bill += 5 * len(posts) + 10 * len(authors)
        users = [AUTHOR | {"id": each} for each in authors]
        return page(*posts, users=users, token=f"t{self.pages}" if self.left else None)

    def _post(self, is_search):
        self.number -= 1
        author = self.number if self.greed else self.chance.randrange(5)
        attachments = {"media_keys": [PHOTO["media_key"]] * self.chance.choice([0, 1, 1, 4])}
        return POST | {"id": str(self.number), "author_id": str(author), "attachments": attachments}


def harvested(text, site, cap, limit):
    """(pictures, USD by our own account, whether the cap ended it): a harvest's loop, which reserves what an answer may
    cost before it asks."""
    cursor, pictures, spent = twitter.first_cursor(query(text)), 0, 0.0
    while cursor is not None and (not limit or pictures < limit):
        cursor = json.loads(json.dumps(cursor))  # as a ledger gives it back
        requested = query(text, wanted=limit - pictures if limit else 0, budget_usd=max(cap - spent, 0.0))
        ask = twitter.request(requested, cursor)
        if ask.cost > requested.budget_usd:
            return pictures, spent, True
        reserved = spent + ask.cost
        listing = twitter.parse(requested, cursor, answer(site(ask)))
        assert listing.cost <= ask.cost
        spent = reserved - ask.cost + listing.cost
        assert site.bill / 1000 <= cap + 1e-9
        assert spent == pytest.approx(site.bill / 1000)
        pictures += sum(isinstance(offer, RemoteImage) for offer in listing.offers)
        cursor = listing.next
    return pictures, spent, False


@pytest.mark.parametrize("text", ["@some_artist", "search=a"])
@pytest.mark.parametrize("greed", [False, True])
@pytest.mark.parametrize("limit", [0, 1, 250])
def test_no_purse_is_ever_overdrawn(text, greed, limit):
    chance = random.Random(text + str(limit))
    caps = [
        0,
        0.005,
        0.01,
        0.034,
        0.035,
        0.036,
        0.1,
        0.149,
        0.15,
        0.16,
        0.33,
        1.0,
        1.5,
        7.77,
        *(chance.uniform(0, 2) for _ in range(30)),
    ]
    for seed, cap in enumerate(caps):
        site = X(seed, chance.choice([0, 7, 100, 1000]), greed)
        pictures, spent, is_enough = harvested(text, site, cap, limit)
        least = 0.15 if text.startswith("search") else 0.025 + (0.010 if not site.pages else 0)
        if is_enough:  # and not before
            assert cap - spent < least + 1e-9
        else:
            assert not site.left or pictures >= limit > 0
    site = X(1, 1000, greed)
    assert harvested(text, site, math.inf, 0)[2] is False
    assert site.left == 0


def test_a_cap_of_a_dollar_reads_as_many_posts_as_it_pays_for():
    site = X(1, 10**6, True)
    harvested("@some_artist", site, 1.0, 0)
    assert site.bill in (985, 990, 995, 1000)  # what is left does not pay for five more posts
    site = X(1, 10**6, True)
    harvested("search=a", site, 1.0, 0)
    assert site.bill == 990
