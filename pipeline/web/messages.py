"""What goes to a site and what comes back, as values: sources read these and open no socket."""

from typing import NamedTuple


class HttpRequest(NamedTuple):
    """One request."""

    url: str
    secrets: tuple[tuple[str, str], ...] = ()
    """Query parameters that are sent and never told."""
    login: tuple[str, str] | None = None
    """For HTTP's basic authentication; never told either."""
    bearer: str | None = None
    """A token, for the header Authorization; never told either."""
    referer: str | None = None
    cookie: str | None = None
    """What the user declares to the site, such as an age. No cookie that a site sets is kept."""
    cost: float = 0.0
    """USD that the answer may cost the user at most."""


class HttpResponse(NamedTuple):
    """What came back, whole."""

    url: str
    """Where it came from, after redirects; without secrets."""
    status: int
    headers: dict[str, str]
    """With names in lower case; several of a name on a line each."""
    body: bytes


class Busy(Exception):
    """An answer that is none: the site wants to be asked later."""

    def __init__(self, words: str, seconds: float | None = None):
        super().__init__(words)
        self.seconds = seconds
        """After which; None: as its headers say, if they do."""
