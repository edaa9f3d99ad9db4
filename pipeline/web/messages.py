"""Requests to a site and its answers, as values. Sources build and parse them, and open no socket."""

from typing import NamedTuple


class HttpRequest(NamedTuple):
    """One GET request."""

    url: str
    secrets: tuple[tuple[str, str], ...] = ()
    """Query parameters that are sent and never logged."""
    login: tuple[str, str] | None = None
    """User and password for HTTP's basic authentication; never logged."""
    bearer: str | None = None
    """A token for the header Authorization; never logged."""
    referer: str | None = None
    cookie: str | None = None
    """What the user declares to the site, such as an age. No cookie that a site sets is stored."""
    cost: float = 0.0
    """Highest price of the answer in USD."""


class HttpResponse(NamedTuple):
    """One answer with its whole body."""

    url: str
    """After redirects; without secrets."""
    status: int
    headers: dict[str, str]
    """Names in lower case; several headers of one name are lines of one value."""
    body: bytes


class RetryLater(Exception):
    """An answer that says to ask again later; an engine raises it."""

    def __init__(self, message: str, seconds: float | None = None):
        super().__init__(message)
        self.seconds = seconds
        """How long to wait; None: as the headers of the answer say."""
