"""gallery-dl as a program: one of ours that prints what the real one prints, and the real one if it is installed."""

import json
import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from pipeline.errors import UserError
from pipeline.sources import gallery_dl
from pipeline.sources.base import Skipped
from pipeline.sources.web_source import Page, Query, RemoteImage
from tests.support.fake_site import FakeSite

MD5 = "563c6fbe5761ac4ba720ae0da9a15b8a"
AGENT = "anime-face-gans/0 (tests)"
URL = "https://site.example/posts?tags=1girl"
FILE_URL = "https://cdn.site.example/1.png"
POST = {
    "category": "site",
    "subcategory": "tag",
    "id": 294929,
    "num": 2,
    "title": "A\nface",
    "artist": ["a", "b"],
    "rating": "s",
    "tags": ["1girl", "Blue Hair", "1girl"],
    "extension": "png",
    "filename": "1",
    "md5": MD5,
    "post_url": "https://site.example/posts/294929",
    "date": "2026-11-21 00:00:00",
    "caption": "long words of somebody",
}
REAL = shutil.which("gallery-dl") or shutil.which("gallery-dl", path=os.path.dirname(sys.executable))


@pytest.fixture
def program(tmp_path):
    """Makes a program of some lines of Python, which notes its arguments in `argv.json`."""

    def make(body: str) -> str:
        path = tmp_path / "gallery-dl"
        head = f"#!{sys.executable}\nimport json, signal, sys, time\n"
        note = f"json.dump(sys.argv[1:], open({str(tmp_path / 'argv.json')!r}, 'w'))\n"
        path.write_text(head + note + body, encoding="utf-8")
        path.chmod(0o755)
        return str(path)

    return make


@pytest.fixture
def listing(program):
    """What is read of a program that prints these messages, says these words, and exits so."""

    def run(messages, words="", code=0, *, ratings=(), wanted=0, after=0) -> Page:
        printed = messages if isinstance(messages, str) else json.dumps(messages, indent=2)
        path = program(f"print({printed!r}); print({words!r}, file=sys.stderr); sys.exit({code})")
        return read(path, ratings=ratings, wanted=wanted, after=after)

    return run


def read(path: str, url: str = URL, *, after: int = 0, **fields) -> Page:
    query = Query(url, "", options={"program": path}, agent=AGENT, **fields)
    return gallery_dl.parse(query, gallery_dl.first_cursor(query) | {"after": after}, None)


def file(url: str = FILE_URL, **changes) -> list:
    return [3, url, POST | changes]


def argv(tmp_path: Path) -> list[str]:
    return json.loads((tmp_path / "argv.json").read_text())


def test_nothing_is_queried_by_the_crawl():
    query = Query(URL, "", options=gallery_dl.OPTIONS)
    assert gallery_dl.request(query, gallery_dl.first_cursor(query)) is None


def test_the_program_is_queried_politely_and_honestly(listing, tmp_path):
    listing([file()], wanted=30)
    stated = argv(tmp_path)
    assert stated[-2:] == ["--", URL]
    assert {"--dump-json", "--no-input", "browser=", "input-files=null", "extractor.sleep-request=1.0-2.0"} < set(
        stated
    )
    assert stated[stated.index("--range") + 1] == "1-30"
    (agent,) = (word for word in stated if word.startswith("user-agent="))
    assert agent == f"user-agent={AGENT}"


@pytest.mark.parametrize(
    ("wanted", "after", "span"),
    [
        (0, 0, "1-5000"),
        (3, 0, "1-20"),
        (300, 0, "1-300"),
        (9999, 0, "1-5000"),
        (5, 300, "301-600"),
        (0, 5000, "5001-10000"),
    ],
)
def test_each_run_lists_as_many_as_those_before(listing, tmp_path, wanted, after, span):
    assert listing([file()], wanted=wanted, after=after).next is None  # fewer than were asked for: the end
    stated = argv(tmp_path)
    assert stated[stated.index("--range") + 1] == span


def test_it_goes_on_where_the_last_run_stopped(listing):
    found = listing([file(id=n) for n in range(20)], wanted=20)
    assert (len(found.offers), found.next) == (20, {"after": 20})
    assert listing([], wanted=5, after=20) == ([], None, "", "", None)


@pytest.mark.parametrize(
    ("info", "pause"), [("[6.0,12.0]", "6.0-12.0"), ("[0.5, 1.5]", "1.0-2.0"), ("1.4", "1.4-1.4"), ("null", "1.0-2.0")]
)
def test_where_it_waits_longer_of_itself_it_still_does(program, tmp_path, info, pause):
    shown = f"Request interval (custom):\n  0.1\nRequest interval (default):\n  {info}\n"
    read(program(f"print({shown!r} if '--extractor-info' in sys.argv else '[]')"))
    assert f"extractor.sleep-request={pause}" in argv(tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "--exec=touch x",
        "-o",
        "recursive:https://a.example/",
        "oauth:pixiv",
        "ytdl:https://a.example/",
        "file:///etc",
        "https://a.example/\n--exec",
        "https://a.example/ --exec x",
        "https://me:word@a.example/",
        "https://",
        "noop",
        "https://a.example/\0",
    ],
)
def test_nothing_but_a_url_is_passed_on(program, tmp_path, url):
    with pytest.raises(UserError, match="--query") as error:
        read(program("print('[]')"), url)
    assert str(error.value).isprintable()
    assert not (tmp_path / "argv.json").exists()


def test_a_url_is_one_word_to_no_shell(program, tmp_path):
    url = "https://a.example/$(touch${IFS}x);`id`?a=1&b=|#'\""
    read(program("print('[]')"), url)
    assert argv(tmp_path)[-2:] == ["--", url]


@pytest.mark.parametrize("name", ["no-such-gallery-dl", "/no/such/gallery-dl", "gallery-dl --exec"])
def test_without_the_program_the_error_says_how_to_get_it(name):
    with pytest.raises(UserError, match=r"no such program.*pip install gallery-dl.*\[gallery_dl\] of luigi.cfg"):
        read(name)


def test_a_program_that_does_not_start_is_an_error(tmp_path):
    path = tmp_path / "gallery-dl"
    path.write_text("#!/no/such/interpreter\n")
    path.chmod(0o755)
    with pytest.raises(UserError, match="a program that runs"):
        read(str(path))


def test_a_file_is_read_whole(listing):
    found = listing([[2, POST], file()])
    assert found == Page(
        [
            RemoteImage(
                "site/294929/2",
                FILE_URL,
                "https://site.example/posts/294929",
                title="A face",
                artist="a, b",
                rating="s",
                tags=("1girl", "blue_hair"),
                md5=MD5,
            )
        ],
        None,
    )


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"num": None}, "source_id", "site/294929"),
        ({"num": 0}, "source_id", "site/294929/0"),
        ({"id": None}, "source_id", FILE_URL),
        ({"id": None, "tweet_id": "7"}, "source_id", "site/7/2"),
        ({"id": {"a": 1}}, "source_id", FILE_URL),
        ({"id": True}, "source_id", FILE_URL),
        ({"artist": None, "author": {"name": "c", "id": 1}}, "artist", "c"),
        ({"artist": None, "user": "d"}, "artist", "d"),
        ({"artist": None, "tags_artist": "e"}, "artist", "e"),
        ({"artist": 7}, "artist", None),
        ({"post_url": None}, "page_url", URL),
        ({"post_url": "/posts/1"}, "page_url", URL),
        ({"md5": None}, "md5", None),
        ({"md5": None, "hash": MD5.upper()}, "md5", MD5),
        ({"md5": "x"}, "md5", None),
        ({"tags": "a b", "tag_string": "b c"}, "tags", ("a", "b", "c")),
        ({"tags": None}, "tags", ()),
        ({"rating": None}, "rating", None),
        ({"rating": 4.5}, "rating", None),
        ({"rating": "General"}, "rating", "General"),
        ({"rating": "e", "category": "newgrounds"}, "rating", "e"),
        ({"extension": ""}, "file_url", FILE_URL),
        ({"extension": None}, "file_url", FILE_URL),
        ({"extension": "php"}, "file_url", FILE_URL),
        ({"license": "CC BY"}, "license", "CC BY"),
    ],
)
def test_variants_of_a_file(listing, changes, field, value):
    (offer,) = listing([file(**changes)]).offers
    assert getattr(offer, field) == value


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (file("ytdl:https://a.example/x"), "bad_url"),
        (file("text:words"), "bad_url"),
        (file(""), "bad_url"),
        (file("//[x"), "bad_url"),
        (file(None), "bad_url"),
        (file(extension="mp4"), "not_a_picture"),
        (file(extension="zip"), "not_a_picture"),
        (file("https://a.example/x.webm?a=1", extension=""), "not_a_picture"),
        (file(extension="SVG"), "not_a_picture"),
        (file(rating="e"), "rating"),
        (file(rating="Explicit"), "rating"),
        (file(rating="questionable"), "rating"),
        (file(rating="R-18"), "rating"),
        (file(rating="", nsfw=True), "rating"),
        (file(rating=None, sensitive="true"), "rating"),
        (file(rating="a", category="newgrounds"), "rating"),
    ],
)
def test_drops(listing, message, reason):
    (drop,) = listing([message]).offers
    assert (type(drop), drop.reason) == (Skipped, reason)
    assert drop.source_id.encode()


def test_a_rating_that_is_requested_is_taken(listing):
    (offer,) = listing([file(rating="Explicit")], ratings=("explicit",)).offers
    assert offer.rating == "Explicit"


def test_files_that_a_site_does_not_number_are_distinguished(listing):
    urls = [f"https://cdn.site.example/{n}.png" for n in range(3)]
    found = listing([file(url, num=None) for url in urls])
    assert [offer.source_id for offer in found.offers] == ["site/294929", *urls[1:]]


def test_junk_among_messages_is_passed_over_and_odd_files_are_rows(listing):
    junk = [None, 7, "x", [], [3], [3, FILE_URL], [3, FILE_URL, None], {}, [99, "x", {}], [-1], [2, {}]]
    *odd, offer = listing([*junk, file()]).offers
    assert [drop.reason for drop in odd] == ["odd_post"] * 3
    assert isinstance(offer, RemoteImage)


@pytest.mark.parametrize("junk", [[3], [3, FILE_URL], [3, FILE_URL, None], [3, FILE_URL, 7]], ids=repr)
def test_equal_odd_messages_are_rows_of_their_own(listing, junk):
    one, _, two, three = listing([junk, file(), junk, junk]).offers
    assert [two.source_id, three.source_id] == [f"{one.source_id} 2", f"{one.source_id} 3"]
    assert one.reason == "odd_post"


def test_other_pages_are_not_followed(listing):
    other = [6, "https://other.example/\x1bpage", {"category": "site"}]
    found = listing([file(), other])
    assert found.offers[1:] == [
        Skipped("https://other.example/ page", "not_a_picture", "a page of its own: give it as --query")
    ]
    with pytest.raises(UserError, match=r"no pictures but 5 other addresses: https://other.example/ page .*--query"):
        listing([other] * 5)


def test_a_page_without_pictures_is_no_error_here(listing):
    assert listing([]) == listing("") == listing([[2, POST]]) == ([], None, "", "", None)


@pytest.mark.parametrize(
    ("messages", "words", "code", "shown"),
    [
        (
            [[-1, {"error": "NotFoundError", "message": "no post"}]],
            "",
            0,
            "NotFoundError: no post.*look at the address",
        ),
        (
            [[-1, {"error": "AuthRequired", "message": "'api-key' needed"}]],
            "",
            0,
            "AuthRequired.*its own configuration",
        ),
        ([[-1, {"error": "ChallengeError", "message": "Cloudflare (403)"}]], "", 0, "wants no programs now"),
        ([[2, POST], [-1, {}]], "", 0, "an error: no reason given"),
        ([], "one\n[error] two", 4, r"exited 4: \[error\] two"),
        ([], "", 1, "exited 1: no reason given"),
        (
            "",
            "[gallery-dl][error] Unsupported URL 'x'",
            64,
            "Unsupported URL 'x'.*--list-extractors.*--source web_page",
        ),
        ("hello", "a\nb", 0, "it printed 'hello', and reported: b"),
        ("{}", "", 0, "it printed '{}'"),
        ("[" * 100_000, "", 0, "it printed"),
        ("[[3, ", "", 1, "it printed"),
    ],
)
def test_nothing_but_an_error_is_an_error(listing, messages, words, code, shown):
    with pytest.raises(UserError, match=shown) as error:
        listing(messages, words, code)
    assert str(error.value).isprintable()


def test_its_words_tell_no_key(listing):
    words = "'403 Forbidden' for 'https://site.example/api?user=me&api_key=open-sesame'"
    for messages, stated in (([[-1, {"error": "HttpError", "message": words}]], ""), ([], words)):
        with pytest.raises(UserError, match="403 Forbidden") as error:
            listing(messages, stated, 4)
        assert "sesame" not in str(error.value)


@pytest.mark.parametrize(
    ("messages", "words", "code", "shown"),
    [
        ([file(), [-1, {"error": "HttpError", "message": "'500'"}]], "", 0, "listed 1 files, then: HttpError: '500'"),
        ([file()], "[error] gone", 4, r"listed 1 files, then: it exited 4: \[error\] gone"),
    ],
)
def test_some_files_and_an_error_are_a_shortfall(listing, messages, words, code, shown):
    found = listing(messages, words, code)
    assert (len(found.offers), found.next) == (1, None)
    assert shown.replace("\\", "") in found.shortfall


def test_an_error_in_a_later_run_keeps_what_was_listed(listing):
    found = listing([[-1, {"error": "HttpError", "message": "'500'"}]], after=20)
    assert (found.offers, found.next) == ([], None)
    assert "listed 20 files, then: HttpError" in found.shortfall


def test_a_program_that_hangs_is_stopped(program, monkeypatch):
    monkeypatch.setattr(gallery_dl, "TIMEOUT_S", 0.5)
    monkeypatch.setattr(gallery_dl, "GRACE_S", 0.3)
    path = program("signal.signal(signal.SIGINT, signal.SIG_IGN); print('[[3, ', flush=True); time.sleep(600)")
    start = time.monotonic()
    with pytest.raises(UserError, match="listed nothing: it was stopped after"):
        read(path)
    assert time.monotonic() - start < 20


def test_a_program_that_takes_too_long_tells_what_it_has(program, monkeypatch):
    monkeypatch.setattr(gallery_dl, "TIMEOUT_S", 1.0)
    path = program(f"""
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    time.sleep(600)
except KeyboardInterrupt:
    print({json.dumps([file()])!r})
""")
    found = read(path)
    assert (len(found.offers), found.next) == (1, None)
    assert "listed 1 files, then: it was stopped after 1 s" in found.shortfall


@pytest.mark.parametrize(
    ("where", "shown"), [("stdout", "more than 100,000 bytes"), ("stderr", "stopped after 100,000")]
)
def test_a_program_that_prints_without_end_is_stopped(program, monkeypatch, where, shown):
    monkeypatch.setattr(gallery_dl, "MAX_BYTES", 100_000)
    with pytest.raises(UserError, match=shown):
        read(program(f"while True: sys.{where}.write('x' * 1000); time.sleep(0.0005)"))


def test_a_program_that_printed_too_much_and_ended_is_not_read(listing, monkeypatch):
    monkeypatch.setattr(gallery_dl, "MAX_BYTES", 1000)
    with pytest.raises(UserError, match="more than 1,000 bytes"):
        listing([file(id=n) for n in range(100)])


def test_no_program_is_left_behind(program, tmp_path, monkeypatch):
    """Whatever interrupts the wait."""

    def interrupted(*_):
        while not (tmp_path / "pid").exists():
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(gallery_dl, "_wait_bounded", interrupted)
    pid = tmp_path / "pid"
    path = program(
        f"import os, pathlib; p = pathlib.Path({str(pid)!r}); t = p.with_suffix('.t'); t.write_text(str(os.getpid()))\n"
        "t.rename(p); time.sleep(600)"
    )
    with pytest.raises(KeyboardInterrupt):
        read(path)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


@pytest.fixture
def own_configuration(tmp_path, monkeypatch):
    """A user's configuration that disguises as a browser, lists more URLs, and prints otherwise."""
    stated = {
        "extractor": {"browser": "chrome", "user-agent": "+firefox", "moebooru": {"user-agent": "Mozilla/5.0"}},
        "output": {"jsonl": True, "num-to-str": True},
        "input-files": ["/no/such/list"],
        "browser": "firefox",
    }
    (tmp_path / "gallery-dl").mkdir()
    (tmp_path / "gallery-dl" / "config.json").write_text(json.dumps(stated))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return stated


@pytest.fixture
def real():
    if not REAL:
        pytest.skip("gallery-dl is not installed: pip install gallery-dl")
    return REAL


def test_the_real_program_lists_a_direct_link_and_fetches_nothing(real, own_configuration):
    with FakeSite(posts=0) as site:
        url = site.url + "/many/7.jpg"
        assert read(real, url) == Page([RemoteImage(url, url, page_url=url)], None)
        assert site.log == []


def test_the_real_program_does_not_know_every_site(real):
    with pytest.raises(UserError, match=r"exited 64.*Unsupported URL.*--list-extractors"):
        read(real, "https://nothing.invalid/x")


def test_the_real_program_says_who_asks(real, own_configuration, tmp_path):
    """To a Moebooru that its user has added, whatever browser it is told to be."""
    with FakeSite(posts=45) as site:
        own_configuration["extractor"]["moebooru"]["mine"] = {"root": site.url + "/moebooru"}
        (tmp_path / "gallery-dl" / "config.json").write_text(json.dumps(own_configuration))
        found = read(real, site.url + "/moebooru/post?tags=rating:s", wanted=20)
    assert site.log
    assert all(call.headers["user-agent"].startswith("anime-face-gans/") for call in site.log)
    assert not any({"sec-ch-ua", "upgrade-insecure-requests"} & {*call.headers} for call in site.log)
    offers = [offer for offer in found.offers if isinstance(offer, RemoteImage)]
    assert offers
    assert found.next == {"after": 20}
    known = {str(post.id): post for post in site.posts}
    for offer in offers:
        post = known[offer.source_id.rpartition("/")[2]]
        assert (offer.md5, offer.rating, set(offer.tags)) == (post.md5, "s", set(post.tags))
