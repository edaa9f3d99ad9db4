"""robots.txt that means ill: bounded in time and memory, whatever its half a megabyte says."""

import time

import pytest

from pipeline.web import robots
from pipeline.web.robots import MAX_BYTES, MAX_DELAY_S, Rules

URL = "https://site.example/" + "a" * 2000 + ".png"
AGENTS = "".join(f"User-agent: a{number}\n" for number in range(12_000))
BOMBS = {
    "agents times rules": AGENTS + "".join(f"Disallow: /a{number}\n" for number in range(12_000)),
    "agents with a site map between": AGENTS.replace("\n", "\nSitemap: x\n") + "Disallow: /\n",
    "agents without colons": AGENTS.replace(":", "") + "Disallow /\n",
    "the same agents twice": f"{AGENTS}Disallow: /\n{AGENTS}",
    "wildcards": "User-agent: *\n" + "".join(f"Disallow: *a{number}\n" for number in range(40_000)),
    "one long wildcard": "User-agent: *\nDisallow: /" + "*a" * 250_000,
    "fields that end no group": "".join(f"User-agent: a{number}\n" for number in range(400))
    + "".join(f"Disallow: /{number}\nuser-agentz: y\n" for number in range(3000)),
    "dollars": "User-agent: *\nDisallow: /" + "$" * 500_000,
}
HARMLESS = {
    "many groups": "".join(f"User-agent: a{number}\nDisallow: /\n" for number in range(15_000)),
    "one long group": "User-agent: *\n" + "".join(f"Disallow: /b{number}\n" for number in range(30_000)),
    "pictures of stars": "# " + "*" * 60_000 + "\nUser-agent: *\nDisallow: /b\n",
    "nothing but ends of lines": "\n" * MAX_BYTES,
    "zeros": "\0" * MAX_BYTES,
    "percents": "User-agent: *\nDisallow: /" + "%41" * 170_000,
    "a long agent": "User-agent: " + robots.AGENT * 30_000 + "\nDisallow: /\n",
}


@pytest.mark.parametrize("name", BOMBS)
def test_too_much_to_read_allows_nothing_and_says_so(name):
    start = time.monotonic()
    rules = Rules(BOMBS[name].encode())
    assert not rules.allows(URL)
    assert "more groups and rules" in rules.refusal
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("name", HARMLESS)
def test_much_is_read_in_little_time(name):
    start = time.monotonic()
    rules = Rules(HARMLESS[name].encode())
    assert all(rules.allows(f"{URL}?{number}") for number in range(20))
    assert not rules.refusal
    assert time.monotonic() - start < 10


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ("Crawl-delay: nan", 0),
        ("Crawl-delay: -1", 0),
        ("Crawl-delay: " + "9" * 5000, 0),
        ("Crawl-delay: 1e-320", 0),
        ("Crawl-delay: 2.5", 2.5),
        ("Request-rate: 1/0", 0),
        ("Request-rate: 0/1", 0),
        ("Request-rate: -1/-1", 0),
        ("Request-rate: 1/" + "9" * 5000, 0),
        ("Request-rate: 1" + "0" * 400 + "/1", 0),
        ("Request-rate: 2/3", 1.5),
    ],
)
def test_delays_of_any_number_of_digits(line, seconds):
    rules = Rules(f"User-agent: *\n{line}\nDisallow: /no\n".encode())
    assert rules.seconds_between == pytest.approx(seconds)
    assert rules.allows(URL)
    assert not rules.allows("https://site.example/no")


@pytest.mark.parametrize("line", ["Crawl-delay: 1e300", f"Request-rate: 1/1{'0' * 400}", "Request-rate: 1/9d"])
def test_who_wants_days_between_requests_wants_none(line):
    rules = Rules(f"User-agent: *\n{line}\n".encode())
    assert not rules.allows(URL)
    assert f"{MAX_DELAY_S:,} s" in rules.refusal


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_that_editors_write(encoding):
    assert not Rules("User-agent: *\nDisallow: /\n".encode(encoding)).allows(URL)


def test_what_is_no_text_forbids_nothing():
    assert Rules(bytes(range(256)) * 2000).allows(URL)
