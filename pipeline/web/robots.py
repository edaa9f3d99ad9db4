"""Rules for programs: robots.txt, X-Robots-Tag, TDM-Reservation, and the robots metadata of a page."""

import codecs
from collections.abc import Iterable
from fractions import Fraction

from protego import Protego

AGENT = "anime-face-gans"
"""The name by which a robots.txt can address this program."""
MAX_BYTES = 512 << 10  # of a robots.txt that are read; RFC 9309, 2.5: at least 500 KiB
MAX_COST = 500_000  # agents times rules, of all groups: about 2 s and 100 MB
COST_OF_WILDCARD = 50
MAX_DELAY_S = 24 * 3600  # between two requests: a host that wants more wants none
AGAINST_LEARNING = {"noai", "noimageai"}
AGAINST_INDEXING = {"noindex", "noimageindex", "none"}
_AGENT_FIELDS = ("user-agent", "useragent", "user agent")
_WITH_VALUES = ("max-snippet", "max-image-preview", "max-video-preview", "unavailable_after")


class Rules:
    """One host's robots.txt (RFC 9309, with wildcards)."""

    def __init__(self, data: bytes):
        """Parse the start of a robots.txt, MAX_BYTES at most. What costs more than MAX_COST allows nothing."""
        text = _decode(data)
        self.refusal = ""
        """Why nothing is allowed, whatever its rules say; empty if they hold."""
        if _parsing_cost(text) > MAX_COST:
            text, self.refusal = "", "it has more groups and rules than are read"
        self._rules = Protego.parse(text)
        self.seconds_between = self._delay()
        """How far apart it wants requests; 0: it does not say."""
        if self.seconds_between > MAX_DELAY_S:
            self.refusal, self.seconds_between = f"it wants more than {MAX_DELAY_S:,} s between requests", 0.0

    def allows(self, url: str) -> bool:
        """Return whether the rules allow us the URL."""
        return not self.refusal and self._rules.can_fetch(url, AGENT)

    def _delay(self) -> float:
        rate = self._rules.request_rate(AGENT)
        slowest = Fraction(rate.seconds, rate.requests) if rate and rate.requests else 0  # of any number of digits
        return float(min(max(Fraction(self._rules.crawl_delay(AGENT) or 0), slowest), 2 * MAX_DELAY_S))


def _decode(data: bytes) -> str:
    """Return the text: UTF-8, or, with a byte order mark, UTF-16."""
    data = data[:MAX_BYTES]
    is_utf_16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if is_utf_16 else "utf-8-sig", "replace")


def _parsing_cost(text: str) -> int:
    """Return how many rules the parser would store and agents it would compare, and what wildcards cost at each URL: it
    keeps all rules of a group for each of the group's agents, and looks each agent up among those before it."""
    cost = agents = rules = 0
    for line in text.splitlines():
        line = line.partition("#")[0].strip().lower()
        if line.startswith(_AGENT_FIELDS):
            if rules and line.partition(":")[0].strip() in _AGENT_FIELDS:  # others end no group
                cost, agents, rules = cost + agents * (agents + rules), 0, 0
            agents += 1
        elif line and not line.startswith(("sitemap", "site-map", "host")):  # these two are of no group
            rules += 1 + line.count("$")
            cost += COST_OF_WILDCARD * line.count("*")
    return cost + agents * (agents + rules)


def find_opt_out(tags: Iterable[str], tdm_reservation: str = "") -> str | None:
    """Return the words by which the headers X-Robots-Tag (each of `tags`) or TDM-Reservation exclude a picture, or
    None.

    Exclusions from learning always count; exclusions from indexing only if they address all programs, or ours."""
    if tdm_reservation.strip() == "1":
        return "tdm-reservation: 1"
    for tag in tags:
        agent = ""
        for part in tag.lower().split(","):
            name, colon, rest = part.strip().partition(":")
            if colon and name.strip() not in _WITH_VALUES:
                agent, name = name.strip(), rest
            word = name.strip()
            if word in AGAINST_LEARNING or (word in AGAINST_INDEXING and agent in ("", "*", AGENT)):
                return f"x-robots-tag: {tag[:100]}"
    return None
