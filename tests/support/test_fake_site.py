"""That the stand-ins for Getchu, X, Google's search and Openverse behave as the recorded sites do."""

import io
import re
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from PIL import Image

from tests.support.fake_getchu import ITEMS, pictures_of
from tests.support.fake_site import FakeSite, InjectedFailure


@pytest.fixture(scope="module")
def running():
    with FakeSite(posts=0) as site:
        yield site


@pytest.fixture
def site(running):
    """No fault is left over, and nothing is paid for."""
    running.faults.clear()
    running.billed.clear()
    return running


def get(site, path, headers=None, **requested):
    return requests.get(site.url + path, requested, headers=headers, timeout=10, allow_redirects=False)


def test_the_program_serves_all_sites():
    program = [sys.executable, "-m", "tests.support"]
    with subprocess.Popen(program, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().strip()
            paths = {"/getchu/item/828803/": 200, "/x/2/users/1/tweets": 401, "/cse/customsearch/v1": 403}
            found = {path: requests.get(url + path, timeout=10).status_code for path in paths}
            assert found == paths
            assert requests.get(f"{url}/openverse/v1/images/?q=a&page_size=1", timeout=10).json()["page_count"] == 240
        finally:
            process.kill()


# ---- Getchu


def read(answer) -> str:
    assert answer.headers["Content-Type"] == "text/html; charset=EUC-JP"
    return answer.content.decode("euc_jis_2004")


def month(site, part, **requested) -> str:
    return read(get(site, f"/getchu/{part}/month_title.html", genre="pc_soft", gc="gc", **requested))


def listed(page: str) -> set[int]:
    """The ids with a package, which the side column's and a comment's do not have."""
    page = re.sub("<!--.*?-->", "", page, flags=re.DOTALL)
    return {int(number) for number in re.findall(r"/c(\d+)package_ss?\.jpg", page)}


@pytest.mark.parametrize(
    ("part", "requested", "ids"),
    [
        ("all", {"gage": "all", "year": "2015", "month": "04"}, {828801, 828802, 828803, 828804}),
        ("all", {"gage": "all", "year": "2015", "month": "4"}, {828801, 828802, 828803, 828804}),
        ("all", {"gage": "normal", "year": "2015", "month": "04"}, {828803}),
        ("all", {"gage": "adult", "year": "2015", "month": "04"}, {828801, 828802, 828804}),
        ("nall", {"year": "2015", "month": "04"}, {828803}),
        ("nall", {}, {1366902}),
        ("all", {"gage": "all", "year": "2014", "month": "03"}, {748101}),
        ("all", {"gage": "all", "year": "2026", "month": "11"}, {1366901, 1366902, 1366903}),
        ("all", {"gage": "all", "year": "2016", "month": "02"}, set()),
        ("all", {"gage": "all", "year": "2020", "month": "02"}, set()),
    ],
)
def test_a_month_of_getchu(site, part, requested, ids):
    page = month(site, part, **requested)
    assert listed(page) == ids
    assert "soft.phtml?id=777777" in page or "/item/777777/" in page
    assert all(ITEMS[number].heading in page.replace("郄", "髙") for number in ids)


def test_the_oddities_of_an_old_month(site):
    page = month(site, "all", gage="all", year="2015", month="04")
    assert 'href="/getchu/soft.phtml?id=828801 "' in page.replace("HREF", "href")
    assert {"http://www.getchu.com/brandnew/828801", f"{site.url}/getchu/brandnew/828802"} < set(
        re.findall(r"http://[^/]+(?:/getchu)?/brandnew/\d+", page)
    )
    assert 0 < page.count("\r\n") < page.count("\n")


def test_getchu_is_written_in_what_python_calls_euc_jis_2004(site):
    data = get(site, "/getchu/item/828804/", gc="gc").content
    with pytest.raises(UnicodeDecodeError):
        data.decode("euc_jp")
    assert b"\xfc\xe2" in data  # a browser's 髙
    assert "郄嶺の花と30㌢の恋 &amp; 紅茶" in data.decode("euc_jis_2004")


def test_an_item_of_getchu_moves_and_loses_its_query(site):
    moved = get(site, "/getchu/soft.phtml", id="828801 ", gc="gc")
    assert (moved.status_code, moved.headers["Location"]) == (301, f"{site.url}/getchu/item/828801/")
    assert get(site, "/getchu/item/1/").status_code == 404


def test_the_gate_of_getchu(site):
    closed = get(site, "/getchu/item/828801/")
    gate = f"{site.url}/getchu/php/attestation.html?aurl={site.url}/getchu/item/828801/"
    assert (closed.status_code, closed.headers["Location"]) == (302, gate)
    page = read(requests.get(gate, timeout=10))
    assert "<title>年齢認証ページ | " in page
    assert f'<a href="{site.url}/getchu/item/828801/?gc=gc">【すすむ】</a>' in page
    for cookie, status in (("getchu_adalt_flag=getchu.com", 200), ("getchu_adalt_flag=1", 302)):
        assert get(site, "/getchu/item/828801/", {"Cookie": f"a=b; {cookie}"}).status_code == status
    assert get(site, "/getchu/item/828801/", gc="gc").status_code == 200
    assert get(site, "/getchu/item/828803/").status_code == 200
    assert "getchu_adalt_flag=getchu.com" in get(site, "/getchu/pc/", gc="gc").headers["Set-Cookie"]


@pytest.mark.parametrize(
    ("number", "images", "bodies", "marks"),
    [
        (748101, 3, 0, ("<charalist>", 'alt="キャラ1"', '<h2 class="chara-name">', 'src="./brandnew/748101/')),
        (828801, 3, 3, ('class="highslide"', "http://www.getchu.com/brandnew/828801/c828801chara2.jpg", "発売日：")),
        (828802, 0, 0, ("原画：", "シナリオ：")),
        (828803, 2, 0, ("主人公", "サブジャンル：")),
        (1366901, 4, 0, ('<h4 class="chara-name">', " | キャラクター紹介-1", "ld+json", "og:image", "sample4.jpg")),
        (1366903, 0, 0, ("ブランド：",)),
    ],
)
def test_the_pictures_of_an_item(site, number, images, bodies, marks):
    page = read(get(site, f"/getchu/item/{number}/", gc="gc"))
    assert all(mark in page for mark in marks)
    found = set(re.findall(rf"/brandnew/{number}/(c{number}chara\d+\.jpg)", page))
    full = set(re.findall(rf'href="[^"]*/brandnew/{number}/(c{number}chara\d+_all\.jpg)', page))
    assert (len(found), len(full)) == (images, bodies)
    assert found | full == {name for name in pictures_of(ITEMS[number]) if "chara" in name}
    assert ("キャラクター</" in page) is bool(images)
    for name in found | full:
        path, referer = f"/getchu/brandnew/{number}/{name}", f"{site.url}/getchu/item/{number}/"
        assert get(site, path).status_code == get(site, path, {"Referer": site.url}).status_code == 403
        image = Image.open(io.BytesIO(get(site, path, {"Referer": referer}).content))
        assert image.format == "JPEG"
        assert image.size == (250, 300) or name in full
    assert get(site, f"/getchu/brandnew/{number}/c1chara1.jpg", {"Referer": f"{site.url}/getchu/"}).status_code == 404


def test_getchu_under_maintenance_says_so_with_200(site):
    site.faults.append(InjectedFailure("/item/", "maintenance"))
    answer = get(site, "/getchu/item/828803/")
    assert (answer.status_code, read(answer)) == (200, "<html><body>maintenance</body></html>")


# ---- X

WHOLE = {
    "expansions": "attachments.media_keys",
    "tweet.fields": "created_at,possibly_sensitive",
    "media.fields": "url,type,width,height,preview_image_url,variants",
}


def ask_x(site, path, bearer="x-test-bearer-token", **requested):
    return get(site, f"/x/2/{path}", {"Authorization": f"Bearer {bearer}"}, **requested)


def walk(site, path, token, **requested) -> list[dict]:
    pages = [ask_x(site, path, **requested).json()]
    while "next_token" in pages[-1]["meta"]:
        pages.append(ask_x(site, path, **requested, **{token: pages[-1]["meta"]["next_token"]}).json())
    return pages


def test_x_lets_nobody_in_without_its_token(site):
    answer = ask_x(site, "users/by/username/tester_art", bearer="x")
    assert answer.json() == {"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized"}
    assert not any(name.lower().startswith("x-rate-limit") for name in answer.headers)
    assert site.billed == set()


def test_users_of_x(site):
    answer = ask_x(site, "users/by/username/tester_art", **{"user.fields": "protected"})
    assert answer.json() == {
        "data": {"id": "100200300", "name": "Tester_Art", "username": "tester_art", "protected": False}
    }
    assert {"x-rate-limit-limit", "x-rate-limit-remaining", "x-rate-limit-reset"} <= answer.headers.keys()
    assert (site.posts_read, site.users_read) == (0, 1)
    for name, words in (("fake_user", "Could not find user with username"), ("banned_art", "User has been suspended")):
        answer = ask_x(site, f"users/by/username/{name}")
        assert answer.status_code == 200
        assert answer.json().keys() == {"errors"}
        assert answer.json()["errors"][0]["detail"] == f"{words}: [{name}]."
    assert ask_x(site, "users/by/username/not-a-name").status_code == 400
    assert ask_x(site, "users/100200303/tweets").json() == {"meta": {"result_count": 0}}
    assert ask_x(site, "users/77/tweets").json()["errors"][0]["title"] == "Not Found Error"
    assert (site.posts_read, site.users_read) == (0, 1)


def test_a_timeline_of_x_over_an_empty_page(site):
    pages = walk(site, "users/100200300/tweets", "pagination_token", max_results="100", **WHOLE)
    assert [page["meta"]["result_count"] for page in pages] == [100, 0, 100, 50]
    assert "data" not in pages[1]
    ids = [int(tweet["id"]) for page in pages for tweet in page.get("data", [])]
    assert ids == sorted(set(ids), reverse=True)
    assert (site.posts_read, site.users_read) == (250, 0)
    media = {item["media_key"]: item for page in pages for item in page.get("includes", {}).get("media", [])}
    assert {item["type"] for item in media.values()} == {"photo", "video", "animated_gif"}
    assert all(("url" in item) is (item["type"] == "photo") is ("variants" not in item) for item in media.values())
    tweets = [tweet for page in pages for tweet in page.get("data", [])]
    keys = [key for tweet in tweets for key in tweet.get("attachments", {}).get("media_keys", [])]
    assert len(set(keys) - media.keys()) == 25  # those of tweets whose media are withheld
    assert {tweet["possibly_sensitive"] for tweet in tweets} == {False, True}
    assert len([tweet for tweet in tweets if "attachments" not in tweet]) == 50
    assert all("users" not in page.get("includes", {}) for page in pages)
    assert walk(site, "users/100200300/tweets", "pagination_token", max_results="100", **WHOLE) == pages
    assert site.posts_read == 250  # what is read again the same day costs nothing


def test_what_x_leaves_out(site):
    bare = ask_x(site, "users/100200300/tweets", max_results="5").json()
    assert all(tweet.keys() == {"id", "text", "edit_history_tweet_ids"} for tweet in bare["data"])
    assert "includes" not in bare
    requested = {"exclude": "retweets,replies", "expansions": "author_id", "max_results": "10"}
    page = ask_x(site, "users/100200300/tweets", **requested).json()
    assert page["meta"]["result_count"] == 8  # of ten
    assert [user["username"] for user in page["includes"]["users"]] == ["tester_art"]
    newest, oldest = page["meta"]["newest_id"], page["meta"]["oldest_id"]
    later = {"exclude": "retweets,replies", "since_id": newest}
    assert ask_x(site, "users/100200300/tweets", **later).json() == {"meta": {"result_count": 0}}
    site.tweets["tester_art"] += 1
    assert ask_x(site, "users/100200300/tweets", **later).json()["meta"]["result_count"] == 1
    site.tweets["tester_art"] -= 1
    earlier = ask_x(site, "users/100200300/tweets", until_id=oldest).json()
    assert int(earlier["meta"]["newest_id"]) < int(oldest)


def test_x_searches_the_last_week(site):
    requested = {"query": "from:tester_art has:images -is:retweet", "max_results": "50"}
    pages = walk(site, "tweets/search/recent", "next_token", **requested)
    assert [page["meta"]["result_count"] for page in pages] == [50, 0, 10]
    assert site.posts_read == 60


@pytest.mark.parametrize(
    ("path", "requested", "words"),
    [
        (
            "users/100200300/tweets",
            {"max_results": "3"},
            "The `max_results` query parameter value [3] is not between 5 and 100",
        ),
        ("users/100200300/tweets", {"max_results": "101"}, "not between 5 and 100"),
        ("tweets/search/recent", {"query": "from:tester_art", "max_results": "5"}, "not between 10 and 100"),
        ("tweets/search/recent", {}, "`query`"),
        ("users/100200300/tweets", {"pages": "3"}, "[pages] is not one of [max_"),
        (
            "users/100200300/tweets",
            {"media.fields": "urls"},
            "`media.fields` query parameter value [urls] is not one of",
        ),
        ("users/100200300/tweets", {"pagination_token": "x"}, "`pagination_token`"),
    ],
)
def test_x_says_what_is_wrong(site, path, requested, words):
    answer = ask_x(site, path, **requested)
    assert answer.status_code == 400
    assert answer.json()["title"] == "Invalid Request"
    assert words in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize(
    ("kind", "status", "title"),
    [
        ("x_rate_limited", 429, "Too Many Requests"),
        ("x_usage_cap", 429, "UsageCapExceeded"),
        ("x_payment", 402, "Payment Required"),
        ("x_forbidden", 403, "Client Forbidden"),
        ("x_unavailable", 503, "Service Unavailable"),
    ],
)
def test_what_x_refuses_is_not_paid(site, kind, status, title):
    site.faults.append(InjectedFailure("/tweets", kind, **({"seconds": 7} if kind == "x_rate_limited" else {})))
    answer = ask_x(site, "users/100200300/tweets")
    assert (answer.status_code, answer.json()["title"], site.posts_read) == (status, title, 0)
    assert "Retry-After" not in answer.headers
    if kind == "x_rate_limited":
        assert 5 < int(answer.headers["x-rate-limit-reset"]) - time.time() <= 8
    assert ask_x(site, "users/100200300/tweets").status_code == 200


def test_pictures_of_x_come_in_sizes(site):
    page = ask_x(site, "users/100200300/tweets", max_results="100", **WHOLE).json()
    photos = [item for item in page["includes"]["media"] if item["type"] == "photo"]
    assert all(item["url"].startswith(f"{site.url}/x/media/") for item in photos)
    found = {}
    for item in photos[:12]:
        stem = item["url"].removesuffix(".jpg")
        statuses = {
            name: requests.get(f"{stem}?format=jpg&name={name}", timeout=10).status_code
            for name in ("orig", "4096x4096", "large", "huge")
        }
        found[statuses["orig"]] = statuses
        assert requests.get(f"{stem}?format=png&name=large", timeout=10).status_code == 404
        small = Image.open(io.BytesIO(requests.get(item["url"], timeout=10).content))
        assert (small.format, *small.size) == ("JPEG", item["width"], item["height"])
    assert found[200] == {"orig": 200, "4096x4096": 200, "large": 200, "huge": 404}
    assert found[404] == {"orig": 404, "4096x4096": 404, "large": 200, "huge": 404}
    shown = [item["preview_image_url"] for item in page["includes"]["media"] if item["type"] != "photo"]
    assert {requests.get(url, timeout=10).status_code for url in shown} == {200}


# ---- Google


def google(site, **requested):
    return get(site, "/cse/customsearch/v1", **({"key": "cse-test-key", "cx": "0:a", "q": "face"} | requested))


def test_google_shows_a_hundred_and_offers_more(site):
    starts, links, answer = [1], [], google(site, searchType="image").json()
    while True:
        links += [item["link"] for item in answer["items"]]
        starts.append(answer["queries"]["nextPage"][0]["startIndex"])
        if starts[-1] > 91:
            break
        answer = google(site, searchType="image", start=starts[-1]).json()
    assert links == [f"{site.url}/many/{number}.jpg" for number in range(1, 101)]
    assert starts[-1] == 101
    assert answer["searchInformation"]["totalResults"] == "385000"
    item = answer["items"][0]
    assert (item["mime"], answer["items"][5]["mime"]) == ("image/jpeg", "image/")
    assert item["image"]["contextLink"] == f"{site.url}/gallery/page1.html"
    data = requests.get(item["link"], timeout=10).content
    assert len(data) == item["image"]["byteSize"]
    refused = google(site, start=92)
    assert refused.status_code == 400
    assert refused.json()["error"]["message"] == "Request contains an invalid argument."


def test_google_with_few_hits_or_none(site):
    assert len(google(site, q="few", num=10).json()["items"]) == 10
    last = google(site, q="few", start=11).json()
    assert (len(last["items"]), "nextPage" in last["queries"]) == (3, False)
    assert "items" not in google(site, q="nothing").json()
    assert google(site, q="nothing").json()["searchInformation"]["totalResults"] == "0"


@pytest.mark.parametrize(
    ("requested", "status", "words"),
    [
        ({"key": "x"}, 400, "API key not valid. Please pass a valid API key."),
        ({"key": None}, 403, "unregistered"),
        ({"num": 11}, 400, "invalid argument"),
        ({"cx": None}, 400, "invalid argument"),
        ({"q": None}, 400, "invalid argument"),
    ],
)
def test_google_says_what_is_wrong(site, requested, status, words):
    answer = google(site, **requested)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, status)
    assert words in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("kind", "status", "words"),
    [
        ("cse_daily", 429, "limit 'Queries per day' of"),
        ("cse_minute", 429, "limit 'Queries per minute per user' of"),
        ("cse_forbidden", 403, "is disabled"),
    ],
)
def test_google_refuses(site, kind, status, words):
    site.faults.append(InjectedFailure("/cse/", kind))
    error = google(site).json()["error"]
    assert (error["code"], words in error["message"]) == (status, True)
    reasons = {429: ("rateLimitExceeded", "RESOURCE_EXHAUSTED"), 403: ("accessNotConfigured", "PERMISSION_DENIED")}
    assert (error["errors"][0]["reason"], error["status"]) == reasons[status]


# ---- Openverse


def openverse(site, headers=None, **requested):
    return get(site, "/openverse/v1/images/", headers, **({"q": "face"} | requested))


def test_openverse_is_walked_to_its_depth(site):
    pages = [openverse(site, page=page).json() for page in range(1, 13)]
    results = [item for page in pages for item in page["results"]]
    assert len({item["id"] for item in results}) == len(results) == 240
    assert (pages[0]["result_count"], pages[0]["page_count"], pages[11]["page"]) == (240, 12, 12)
    assert not any(item["mature"] for item in results)
    assert all(any(item[name] is None for item in results) for name in ("title", "creator", "filesize", "filetype"))
    assert {type(item["height"]) for item in results} == {int, type(None)}
    assert dict(parse_qsl(urlsplit(results[0]["foreign_landing_url"]).query)) == {"picture": "1"}
    deep = openverse(site, page=13)
    assert deep.status_code == 401
    assert deep.json() == {"detail": "pagination depth may not exceed 240 for anonymous requests"}


def test_openverse_filters(site):
    found = openverse(site, license="cc0,pdm", page_size=5).json()
    assert {item["license"] for item in found["results"]} == {"cc0", "pdm"}
    assert any(item["mature"] for item in openverse(site, mature="true").json()["results"])
    few = openverse(site, q="few").json()
    assert (few["page_count"], len(few["results"]), few["result_count"]) == (1, 12, 12)
    none = openverse(site, q="nothing").json()
    assert (none["result_count"], none["page_count"], none["results"]) == (0, 0, [])
    assert openverse(site, source="flickr,nowhere").json()["warnings"]


@pytest.mark.parametrize(
    ("requested", "status", "words"),
    [
        ({"page_size": 21}, 401, "page_size may not exceed 20 for anonymous requests"),
        ({"q": "few", "page": 2}, 404, "Invalid page"),
        ({"license": "mine"}, 400, "License 'mine' does not exist"),
        ({"page": 0}, 400, "greater than or equal to 1"),
    ],
)
def test_openverse_says_what_is_wrong(site, requested, status, words):
    answer = openverse(site, **requested)
    assert answer.status_code == status
    assert words in str(answer.json()["detail"])
    assert answer.headers["X-RateLimit-Limit-anon_burst"] == "20/min"


def test_openverse_knows_who_has_a_token_and_throttles(site):
    assert len(openverse(site, {"Authorization": "Bearer x"}, page_size=50).json()["results"]) == 50
    site.faults.append(InjectedFailure("/openverse/", "openverse_throttled"))
    answer = openverse(site)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
    assert answer.json() == {"detail": "Request was throttled. Expected available in 2 seconds."}
