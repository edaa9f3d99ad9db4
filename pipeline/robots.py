"""What a host and a picture say of robots: robots.txt, X-Robots-Tag, and the robots of a page's head."""

from collections.abc import Iterable

from protego import Protego

AGENT = "anime-face-gans"
"""The name under which robots.txt may speak to us."""
MAX_BYTES = 512 << 10  # of a robots.txt that are read; RFC 9309, 2.5: at least 500 KiB
AGAINST_LEARNING = {"noai", "noimageai"}
AGAINST_INDEXING = {"noindex", "noimageindex", "none"}
_WITH_VALUES = ("max-snippet", "max-image-preview", "max-video-preview", "unavailable_after")


class Rules:
    """One host's robots.txt (RFC 9309, with wildcards)."""

    def __init__(self, text: str):
        self._rules = Protego.parse(text.lstrip("\ufeff"))

    def allow(self, url: str) -> bool:
        return self._rules.can_fetch(url, AGENT)

    @property
    def seconds_between(self) -> float:
        """How far apart it wants requests; 0: it does not say."""
        rate = self._rules.request_rate(AGENT)
        slowest = rate.seconds / rate.requests if rate and rate.requests else 0.0
        return max(float(self._rules.crawl_delay(AGENT) or 0), slowest)


def opt_out(tags: Iterable[str], tdm_reservation: str = "") -> str | None:
    """The words by which the headers X-Robots-Tag (each of them) or TDM-Reservation keep a picture from us, or None.

    Those against learning hold to whomever they are addressed; those against indexing if to all, or to us."""
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
