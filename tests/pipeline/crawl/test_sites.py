"""Harvests of Getchu, X and image searches from the stand-in: through real sockets, with each site's own faults."""

import json
import logging
import re
import time
from collections import Counter
from urllib.parse import quote

import pytest

from pipeline.crawl.crawl import Crawl
from pipeline.errors import UserError
from pipeline.images import collect as images
from pipeline.sources.base import Post, Skipped
from pipeline.sources.registry import SOURCES
from pipeline.sources.web_source import Query
from pipeline.store import Store
from pipeline.tags import normal_tag
from pipeline.web.client import CrawlPolicy
from tests.support.fake_getchu import ITEMS, pictures_of
from tests.support.fake_site import FakeSite, InjectedFailure
from tests.support.run_luigi import error_line, luigi

QUICK = {"rate": 0, "backoff": 0.02, "file_seconds": 5, "page_seconds": 5}
BELOW = {"getchu": "getchu", "twitter": "x", "google_images": "cse", "openverse": "openverse"}
BEARER, KEYS = "x-test-bearer-token", {"api_key": "cse-test-key", "cx": "0123:abcdef"}


@pytest.fixture
def site():
    with FakeSite(posts=0) as site:
        site.bearer, site.cse_key = BEARER, KEYS["api_key"]
        yield site


@pytest.fixture
def ask(site, tmp_path):
    """ask(source, text, …) -> Harvest of the stand-in, all in tmp_path."""
    store = Store(tmp_path / "data", "test")
    store.scratch.mkdir(parents=True)

    def make(source: str, text: str, *, options=(), max_cost_usd: float = float("inf"), **query) -> Crawl:
        row = SOURCES[source]
        keys = {"twitter": {"bearer_token": BEARER}, "google_images": KEYS}.get(source, {})
        requested = {
            "text": text,
            "base_url": f"{site.url}/{BELOW[source]}",
            "ratings": row.ratings,
            "keys": keys,
            "options": row.options | dict(options),
        } | query
        policy = CrawlPolicy(**QUICK, local_hosts=frozenset([site.url.removeprefix("http://")]))
        return Crawl(
            source, row, Query(**requested), policy, store, max_cost_usd=max_cost_usd, hosts=tmp_path / "hosts"
        )

    return make


def came(crawl: Crawl, limit: int = 0, number: int = 0, **how) -> dict[str, str]:
    """source_id -> what came of it."""
    return {
        offer.source_id: offer.reason if isinstance(offer, Skipped) else "fetched"
        for offer in crawl.run(number, limit, **how).offers
    }


def requested(site: FakeSite, part: str) -> list[str]:
    return [call.path for call in site.log if part in call.path]


def portraits(*items: int) -> set[str]:
    """As their files are numbered: by their row."""
    files = [(n, name) for n in items for name in pictures_of(ITEMS[n])]
    return {f"{n}/{name[len(f'c{n}') : -4]}" for n, name in files if re.search("chara[0-9]+[.]", name)}


def test_a_month_of_getchu_is_its_portraits_and_nothing_else(ask, site):
    crawl = ask("getchu", "month=2015-04..2015-05", options={"confirm_age": "true"})
    found = crawl.run(0, 0)
    posts = [offer for offer in found.offers if isinstance(offer, Post)]
    assert (
        len(posts)
        == len(found.offers)
        == sum(who.has_image for n in (828801, 828803, 828804) for who in ITEMS[n].characters)
    )
    assert found.counts.is_complete
    table, _ = images.collect(posts, "getchu", 0, crawl.store)
    tags = {tag for row in table.to_pylist() for tag in row["tags"]}
    assert {normal_tag("風鈴坂Ⅱ 〜硝子の午後〜"), "空色ポケット", normal_tag("髙嶺 あやの")} <= tags
    assert {row["title"] for row in table.to_pylist()} >= {"月島 りん", "風間 すずね", "三枝 こよみ"}
    for call in site.log:
        if "/brandnew/" in call.path:
            assert call.headers["referer"].startswith(f"{site.url}/getchu/item/")
    assert not requested(site, "soft.phtml")
    assert not requested(site, "777777")
    assert not requested(site, "700001")
    assert set(Counter(call.path for call in site.log).values()) == {1}
    assert site.log[0].path == "/robots.txt"


def test_without_an_age_only_what_is_for_all_is_queried(ask, site):
    crawl = ask("getchu", "month=2015-04")
    assert all(what == "fetched" and name.startswith("828803/") for name, what in came(crawl).items())
    assert requested(site, "/nall/")
    assert not requested(site, "gc=gc")
    assert not any("cookie" in call.headers for call in site.log)
    gated = came(ask("getchu", "id=828801,828803"))
    assert "age_gate" in gated.values()
    assert sum(what == "fetched" for what in gated.values()) == 2


def test_an_item_that_is_gone_is_counted_and_the_others_come(ask, site):
    found = came(ask("getchu", "id=828803,999999,748101"))
    assert found.pop("999999") == "gone"
    assert len(found) == 5
    assert set(found.values()) == {"fetched"}


def test_an_empty_month_and_one_that_cannot_be_read_are_distinguished(ask, site):
    assert ask("getchu", "month=2016-02").run(0, 0).offers == []
    site.faults.append(InjectedFailure("month_title", "maintenance", times=99))
    with pytest.raises(UserError, match="page without items: has the layout changed"):
        ask("getchu", "month=2015-04").run(0, 0)
    site.faults[:] = [InjectedFailure("/item/828803", "maintenance", times=99)]
    with pytest.raises(UserError, match="/item/828803"):
        ask("getchu", "id=828803").run(0, 0)


def test_ids_come_from_a_file_too(ask, site, tmp_path):
    path = tmp_path / "ids.csv"
    path.write_text("name,links\nx,828803\ny,1366902\n")
    assert set(came(ask("getchu", "", path=path)).values()) == {"fetched"}
    assert {re.search("item/([0-9]+)", path)[1] for path in requested(site, "/item/")} == {"828803", "1366902"}


def test_a_getchu_that_fails_is_queried_again(ask, site):
    site.faults += [
        InjectedFailure("/item/828803", "reset"),
        InjectedFailure("chara1", "status", code=503),
        InjectedFailure("month_title", "reset"),
    ]
    assert set(came(ask("getchu", "month=2015-04")).values()) == {"fetched"}


def spent(site: FakeSite) -> float:
    return site.posts_read * 0.005 + site.users_read * 0.010


def test_a_users_pictures_come_largest_first_and_films_are_distinguished(ask, site):
    crawl = ask("twitter", "@second_art")
    found = crawl.run(0, 0)
    kinds = Counter(offer.reason if isinstance(offer, Skipped) else "fetched" for offer in found.offers)
    assert kinds["fetched"] >= 5
    assert kinds["not_a_picture"] >= 2
    assert kinds["rating"] >= 1
    posts = [offer for offer in found.offers if isinstance(offer, Post)]
    assert all(post.artist == "second_art" and "/second_art/status/" in post.page_url for post in posts)
    assert any(post.file_url.endswith("name=large") for post in posts)  # where there is no orig
    assert all(re.search("name=(orig|large)$", post.file_url) for post in posts)
    again = ask("twitter", "@second_art", options={"previews": "true"}).run(0, 0)
    assert sum(isinstance(offer, Post) and "video_preview" in offer.tags for offer in again.offers) >= 2


@pytest.mark.full(keep=3)
@pytest.mark.parametrize("cap", [0.04, 0.2, 0.3, 0.37])
@pytest.mark.parametrize("text", ["@tester_art", "search=from:tester_art"])
def test_the_cost_cap_stops_before_it_is_passed(ask, site, text, cap, caplog):
    caplog.set_level(logging.INFO, "luigi-interface")
    crawl = ask("twitter", text, max_cost_usd=cap)
    counts = crawl.run(0, 0).counts
    assert spent(site) <= cap
    assert not counts.is_complete
    assert "max_cost_usd" in counts.shortfall
    assert f"never more than {cap:.3f} USD" in caplog.text
    before = spent(site)
    assert cap - before < 0.16  # it is used, too: what is left does not surely pay for ten posts and their authors
    crawl.run(1, 0, is_retry=True)
    assert spent(site) <= cap
    richer = ask("twitter", text, max_cost_usd=cap + 0.5)
    number = richer.round(is_new=True)[1]
    assert richer.run(number, 0, is_retry=True).counts.expected > counts.expected
    assert before < spent(site) <= cap + 0.5


def test_what_was_never_answered_is_not_paid_for(ask, site):
    unreachable = ask("twitter", "@tester_art", max_cost_usd=0.5, base_url="http://127.0.0.1:1")
    with pytest.raises(UserError):
        unreachable.run(0, 0)
    site.faults.append(InjectedFailure("/2/", "x_unavailable", times=99))
    with pytest.raises(UserError):
        ask("twitter", "@tester_art", max_cost_usd=0.5).run(0, 0)
    site.faults.clear()
    with unreachable._ledger() as ledger:
        assert ledger.cost_in_month(time.strftime("%Y-%m", time.gmtime())) == 0
    assert "fetched" in came(ask("twitter", "@tester_art", max_cost_usd=0.5)).values()


def test_an_answer_that_was_cut_short_may_have_been_charged(ask, site):
    site.faults.append(InjectedFailure("/2/", "truncate", at=20, times=99))
    crawl = ask("twitter", "@tester_art", max_cost_usd=0.5)
    with pytest.raises(UserError):
        crawl.run(0, 0)
    with crawl._ledger() as ledger:
        assert ledger.cost_in_month(time.strftime("%Y-%m", time.gmtime())) > 0


def test_the_cap_holds_for_all_questions_together(ask, site):
    for text in ("@tester_art", "@second_art", "search=#drawing", "search=from:tester_art"):
        ask("twitter", text, max_cost_usd=0.5).run(0, 0)
    assert spent(site) <= 0.5


def test_a_limit_requests_no_more_posts_than_it_needs(ask, site):
    counts = ask("twitter", "@tester_art").run(0, 8).counts
    assert counts.expected == 8
    assert site.posts_read <= 30


def test_a_refresh_requests_what_is_newer_alone(ask, site):
    crawl = ask("twitter", "@second_art")
    first = came(crawl)
    read = site.posts_read
    site.tweets["second_art"] += 5
    number = crawl.round(is_new=True)[1]
    more = came(crawl, number=number, is_refresh=True)
    assert first.items() < more.items()
    assert site.posts_read - read <= 5
    assert any("since_id=" in path for path in requested(site, "/tweets"))


X_REFUSALS = {"x_usage_cap": "[Uu]sage cap", "x_payment": "credits depleted", "x_forbidden": "(?i)enroll"}


@pytest.mark.parametrize("failure", X_REFUSALS)
def test_x_says_no_and_is_queried_no_more(ask, site, failure):
    site.faults.append(InjectedFailure("/tweets", failure, times=99))
    crawl = ask("twitter", "@tester_art")
    with pytest.raises(UserError, match=X_REFUSALS[failure]):
        crawl.run(0, 0)
    assert len(requested(site, "/tweets")) == 1
    site.faults.clear()
    assert "fetched" in came(crawl, 5).values()  # and it goes on from there


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("@nobody_here", "nobody_here"),
        ("@banned_art", "suspended"),
        ("tester_art", "@NAME"),
        ("@too_long_a_name_for_x", "@NAME"),
    ],
)
def test_a_user_that_is_none_is_one_clear_line(ask, site, text, words):
    with pytest.raises(UserError, match=words):
        ask("twitter", text).run(0, 0)


def test_users_who_show_nothing_are_no_error(ask, site):
    assert ask("twitter", "@quiet_art").run(0, 0).offers == []
    assert ask("twitter", "@locked_art").run(0, 0).counts.shortfall


def test_x_is_waited_for_when_it_wants_patience(ask, site):
    site.faults += [
        InjectedFailure("/tweets", "x_rate_limited", seconds=1),
        InjectedFailure("/tweets", "x_unavailable"),
    ]
    assert "fetched" in came(ask("twitter", "@second_art"), 3).values()
    assert len(requested(site, "/tweets")) >= 3


def test_a_failure_is_no_limit_although_x_says_when_its_limit_is_reset(ask, site):
    """It says so with every answer, and that may be a quarter of an hour away."""
    start = time.monotonic()
    site.faults.append(InjectedFailure("/tweets", "x_unavailable", times=2))
    assert "fetched" in came(ask("twitter", "@second_art"), 3).values()
    assert time.monotonic() - start < 20


def test_google_shows_a_hundred_and_no_more_is_requested(ask, site):
    crawl = ask("google_images", "anime face")
    counts = crawl.run(0, 0).counts
    assert counts.expected == 100
    assert "100" in counts.shortfall
    assert len(requested(site, "/cse/")) == 10
    for post in crawl.run(0, 0).offers:
        assert post.page_url.startswith(site.url)
    assert all("referer" in call.headers for call in site.log if "/many/" in call.path)
    assert ask("google_images", "few of them").run(0, 0).counts.is_complete
    assert ask("google_images", "nothing").run(0, 0).offers == []


def test_of_googles_quotas_one_is_waited_for_and_one_is_not(ask, site, monkeypatch):
    from pipeline.sources.search import google as engine

    monkeypatch.setattr(engine, "QUOTA_WAIT_S", 0.2)
    site.faults.append(InjectedFailure("/cse/", "cse_minute"))
    crawl = ask("google_images", "anime face")
    assert crawl.run(0, 10).counts.expected == 10
    site.faults.append(InjectedFailure("/cse/", "cse_daily", times=99))
    before = len(requested(site, "/cse/"))
    with pytest.raises(UserError, match=r"(?i)midnight"):
        crawl.run(0, 30)
    assert len(requested(site, "/cse/")) == before + 1
    site.faults.clear()
    assert crawl.run(0, 30).counts.expected == 30
    site.faults.append(InjectedFailure("/cse/", "cse_forbidden", times=99))
    with pytest.raises(UserError, match="google_images"):
        ask("google_images", "another").run(0, 0)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (400, "API key not valid: {api_key}. Please pass a valid API key."),
        (403, "{cx} may not search for {api_key}"),
        (404, "no engine {cx}"),
        (200, "{api_key} and {cx} are odd"),
        (429, "Queries per day of {api_key}"),
        (429, "Queries per minute of {cx}"),
    ],
)
@pytest.mark.parametrize("spelled", [str, quote])
def test_keys_that_google_repeats_are_reported_nowhere(ask, site, monkeypatch, caplog, code, words, spelled):
    from pipeline.sources.search import google as engine

    monkeypatch.setattr(engine, "QUOTA_WAIT_S", 0.01)
    keys = {name: spelled(key) for name, key in KEYS.items()}
    body = json.dumps({"error": {"code": code, "message": words.format(**keys)}}).encode()
    site.faults.append(InjectedFailure("/cse/", "status", times=99, code=code, body=body))
    with pytest.raises(UserError) as error:
        ask("google_images", "anime face").run(0, 10)
    shown = f"{error.value} {caplog.text}"
    assert "…" in shown
    assert not any(key in shown for key in (*keys.values(), *KEYS.values()))


def test_openverse_names_licences_and_ends_where_it_must(ask, site):
    site.faults.append(InjectedFailure("/openverse/", "openverse_throttled", seconds=1))
    crawl = ask("openverse", "anime girl")
    found = crawl.run(0, 60)
    posts = [offer for offer in found.offers if isinstance(offer, Post)]
    assert len(posts) == 60
    assert all(re.match("CC|Public", post.license) for post in posts)
    counts = ask("openverse", "anime girls").run(0, 0).counts
    assert "240" in counts.shortfall
    assert ask("openverse", "few").run(0, 0).counts.expected >= 10


SECTIONS = """[web]
backoff = 0.05
[getchu]
base_url = {url}/getchu
rate = 0
confirm_age = true
[twitter]
base_url = {url}/x
rate = 0
bearer_token = {bearer}
max_cost_usd = 0.3
[google_images]
base_url = {url}/cse
rate = 0
api_key = {api_key}
cx = {cx}
"""


@pytest.fixture
def place(tmp_path, faces):
    with FakeSite(posts=0, pictures=lambda number: faces[number % len(faces)] + str(number).encode()) as site:
        site.bearer, site.cse_key = BEARER, KEYS["api_key"]
        (tmp_path / "luigi.cfg").write_text(SECTIONS.format(url=site.url, bearer=BEARER, **KEYS))
        yield tmp_path, site


def test_datasets_from_each_and_keys_stand_nowhere(place, tmp_path):
    place, site = place
    shown = ""
    for name, *question in (
        ("g", "getchu", "month=2015-04"),
        ("x", "twitter", "@tester_art"),
        ("i", "google_images", "anime face"),
    ):
        options = ("--name", name, "--source", question[0], "--query", question[1], "--limit", "12")
        done = luigi(place, "BuildFaceDataset", *options)
        shown += done.stdout + done.stderr
    site.faults += [InjectedFailure("/2/", "x_payment", times=99), InjectedFailure("/cse/", "cse_daily", times=99)]
    for source, query in (("twitter", "@second_art"), ("google_images", "others")):
        shown += error_line(place, "ScrapeImages", "--source", source, "--query", query)
    luigi(place, "ExportRecipe", "--name", "x")
    assert spent(site) <= 0.3
    for file in (place / "data").rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            assert not any(key.encode() in data for key in (BEARER, *KEYS.values())), file
    assert not any(key in shown for key in (BEARER, *KEYS.values()))


def test_a_missing_key_is_one_clear_line(place):
    place, _ = place
    (place / "luigi.cfg").write_text("")
    for source, setting in (("twitter", "bearer_token"), ("google_images", "api_key")):
        line = error_line(place, "ScrapeImages", "--source", source, "--query", "@someone")
        assert setting in line
        assert f"[{source}]" in line
