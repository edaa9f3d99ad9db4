"""A polite HTTP client: robots.txt first, within each host's rate limit, with retries where they may help.

Every limit that a host states is obeyed: Retry-After, rate-limit headers, robots.txt, opt-outs, refusals of programs.
"""

import email.utils
import itertools
import logging
import math
import random
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from pipeline import redaction
from pipeline.errors import UserError
from pipeline.web import http as web
from pipeline.web import robots
from pipeline.web.http import Outgoing, RequestFailed
from pipeline.web.http_cache import CachedResponse
from pipeline.web.messages import HttpRequest, HttpResponse, RetryLater
from pipeline.web.partial_file import VALIDATORS, PartialFile
from pipeline.web.rate_limit import MAX_PAUSE_S, RateLimiter

T = TypeVar("T")

MAX_TRIES = 5
MIN_RESUMABLE_BYTES = 256 << 10  # a smaller file is cheaper to fetch again than to resume
MAX_CONSECUTIVE_FAILURES = 5  # requests in a row that failed, each after its tries
logger = logging.getLogger("luigi-interface")


@dataclass(frozen=True)
class CrawlPolicy:
    """The limits of requests, for one source."""

    rate: float = 1.0
    """Requests a second to one host; 0: no limit."""
    about: str = "dataset builder"
    """Part of the user agent: how to reach the user."""
    local_hosts: frozenset[str] = frozenset()
    """Hosts (as in a URL, with the port) of the configuration, which may have private addresses."""
    backoff: float = 1.0
    """Seconds before the second try; twice as many before each that follows."""
    page_bytes: int = 16 << 20
    page_seconds: float = 60
    file_bytes: int = 100 << 20
    file_seconds: float = 600


class BlockedByHost(UserError):
    """A host that refuses programs. Never worked around."""


class HostUnavailable(RequestFailed):
    """A host that failed too often in a row, or whose robots.txt cannot be read; no request was sent."""


@dataclass
class _Host:
    """The state of a host in one run."""

    name: str
    limiter: RateLimiter
    rules: robots.Rules | None = None
    failure: RequestFailed | None = None
    """Why its robots.txt could not be read."""
    failures: int = 0
    block: BlockedByHost | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


class Client:
    """A client for several threads; each has connections of its own. `pages` is the folder of the HTTP cache; `stop`
    cancels all waiting."""

    def __init__(self, policy: CrawlPolicy, pages: Path, stop: threading.Event, hosts: Path | None = None):
        self._policy, self._pages, self._stop, self._host_folder = policy, pages, stop, hosts
        self._hosts: dict[str, _Host] = {}
        self._lock = threading.Lock()
        self._local = threading.local()
        self._watchdog = web.Watchdog(stop)
        pages.mkdir(parents=True, exist_ok=True)

    def fetch_page(
        self,
        request: HttpRequest,
        read: Callable[[HttpResponse], T],
        *,
        obeys_robots: bool,
        reads_refusals: bool = False,
    ) -> T:
        """Return `read` of an answer of any final status: 4xx too, and 429 with `reads_refusals`, as `read` then parses
        the site's own message. `read` may raise RetryLater. Raise RequestFailed."""
        cached = CachedResponse(self._pages, request)
        outgoing = _credentials(request)
        redaction.register(outgoing.keys)

        def read_whole(answer: web.Response) -> HttpResponse:
            if answer.status_code == 304 and cached.answer:
                return cached.answer
            if not (reads_refusals and answer.status_code == 429):
                _raise_if_temporary(answer)
            data = b"".join(web.iter_body(answer, self._policy.page_bytes))
            _raise_for_challenge(answer, data)
            received = HttpResponse(answer.url, answer.status_code, _headers(answer), data)
            fresh = _hide_keys(received, outgoing.keys)  # before the text is shortened, which might leave half a key
            return cached.store(fresh) if fresh == received else fresh

        def use(answer: web.Response) -> T:
            try:
                return read(read_whole(answer))
            except RetryLater as busy:
                wait = _requested_wait(answer) if busy.seconds is None else busy.seconds
                raise RequestFailed("rate_limited", outgoing.hide(str(busy)), retryable=True, wait=wait) from None
            except UserError as error:  # with the site's message, which may repeat what it was sent
                raise type(error).of_line(outgoing.hide(str(error))) from None

        return self._request_with_retries(
            request.url,
            outgoing._replace(headers=outgoing.headers | cached.condition_headers()),
            use,
            seconds=self._policy.page_seconds,
            obeys_robots=obeys_robots,
        )

    def fetch_file(self, request: HttpRequest, partial_file: PartialFile) -> None:
        """Fetch a file into `partial_file`: the rest if a part is there, nothing if it is complete. Obey robots.txt and
        opt-outs, and refuse web pages. Raise RequestFailed."""

        def fetch(answer: web.Response) -> None:
            _raise_if_temporary(answer)
            if answer.status_code == 416:  # our part does not fit the host's file
                partial_file.discard()
                raise RequestFailed("cut_short", "the rest could not be had", retryable=True, wait=0)
            if answer.status_code not in (200, 206):
                head = b"".join(itertools.islice(web.iter_body(answer, 1 << 20), 4))
                _raise_for_challenge(answer, head)
                reason = "gone" if answer.status_code in (404, 410, 451) else "refused"
                raise RequestFailed(reason, f"HTTP {answer.status_code}")
            tags, reservation = answer.raw.headers.getlist("X-Robots-Tag"), answer.headers.get("TDM-Reservation", "")
            if words := robots.find_opt_out(tags, reservation):
                raise RequestFailed("opted_out", words)
            kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
            if kind in ("text/html", "application/xhtml+xml"):
                raise RequestFailed("wrong_type", "a web page (text/html) where a picture was expected")
            start = partial_file.resume_state()[0] if answer.status_code == 206 else 0
            if answer.status_code == 206 and not _is_remainder(answer, start):
                partial_file.discard()
                raise RequestFailed("cut_short", "another part came than was requested", retryable=True)
            if not start:
                partial_file.begin(_validators(answer))
            partial_file.append(web.iter_body(answer, self._policy.file_bytes - start))
            partial_file.finish()

        if not partial_file.is_complete():
            self._request_with_retries(
                request.url,
                _credentials(request),
                fetch,
                seconds=self._policy.file_seconds,
                obeys_robots=True,
                # Uncompressed: lengths and ranges of compressed bytes do not apply to the file.
                more=lambda: {"Accept-Encoding": "identity"} | partial_file.resume_state()[1],
            )

    def _request_with_retries(
        self,
        url: str,
        outgoing: Outgoing,
        use: Callable[[web.Response], T],
        *,
        seconds: float,
        obeys_robots: bool,
        more: Callable[[], dict[str, str]] = dict,
    ) -> T:
        """Return `use` of the answer, after as many tries as may help. `more` returns further headers for each try."""
        host = self._host(url)
        if host.block:
            raise host.block
        if host.failures >= MAX_CONSECUTIVE_FAILURES:
            detail = f"{host.name} failed {MAX_CONSECUTIVE_FAILURES} times in a row; no more requests are sent"
            raise HostUnavailable("unreachable", detail)

        def send() -> T:
            with web.stream(
                self._session,
                url,
                outgoing._replace(headers=outgoing.headers | more()),
                seconds=seconds,
                before=lambda target: self._wait_until_allowed(target, host, obeys_robots=obeys_robots),
            ) as answer:
                _apply_rate_limit_headers(answer, self._host(answer.url).limiter)
                return use(answer)

        try:
            result = self._retry(send)
        except BlockedByHost as block:
            host.block = block
            raise
        except RequestFailed as failure:
            responsible = self._host(failure.url) if failure.reason != "bad_url" else host
            is_host_failure = failure.retryable or failure.reason in ("refused", "unreachable")
            responsible.failures = responsible.failures + 1 if is_host_failure else 0
            raise
        host.failures = 0
        return result

    def _retry(self, send: Callable[[], T]) -> T:
        """Return `send()`. Call it again, after a pause of the host that failed, while it raises a retryable
        RequestFailed, at most MAX_TRIES times."""
        before: list[str] = []
        while True:
            try:
                return send()
            except RequestFailed as failure:
                failure.before = before
                if not failure.retryable or len(before) == MAX_TRIES - 1:
                    raise
                wait = failure.wait
                if wait is None:  # after a 429 without a stated time, wait longer than after another failure
                    factor = 8 if failure.reason == "rate_limited" else 1
                    wait = self._policy.backoff * factor * 2 ** len(before) * random.uniform(0.5, 1.5)
                before = [*before, failure.reason]
                host = self._host(failure.url)
                logger.info("%s: %s; asked again in %.0f s", host.name, failure, wait)
                host.limiter.pause(wait)

    def _wait_until_allowed(self, url: str, first_host: _Host, *, obeys_robots: bool) -> None:
        """Return when `url`, to which `first_host` may have redirected, may be requested: its host's robots.txt is
        known and allows it, and its rate limit has room."""
        host = self._host(url)
        with host.lock:
            if host.rules is None and host.failure is None:
                try:
                    host.rules = self._retry(lambda: self._robots(url, host))
                except RequestFailed as failure:
                    host.failure = failure
        if host.failure:
            detail = f"robots.txt of {host.name} cannot be read: {host.failure.detail}"
            kind = HostUnavailable if host is first_host and host.failure.retryable else RequestFailed
            raise kind(host.failure.reason, detail) from host.failure
        if obeys_robots and host.rules and not host.rules.allows(url):
            refusal = host.rules.refusal and f": {host.rules.refusal}"
            raise RequestFailed("robots", f"robots.txt of {host.name} disallows it{refusal}")
        host.limiter.wait()

    def _robots(self, url: str, host: _Host) -> robots.Rules:
        """Return a host's rules. A host without a robots.txt allows everything; one that fails allows nothing (RFC
        9309, 2.3.1)."""
        place = "{0.scheme}://{0.netloc}/robots.txt".format(urlsplit(url))
        seconds = self._policy.page_seconds
        with web.stream(self._session, place, before=lambda _: host.limiter.wait(), seconds=seconds) as answer:
            _raise_if_temporary(answer)
            if answer.status_code != 200:
                return robots.Rules(b"")
            text = bytearray()
            for chunk in web.iter_body(answer, 1 << 40):
                text += chunk
                if len(text) > robots.MAX_BYTES:
                    break
        rules = robots.Rules(bytes(text))
        if rules.seconds_between and self._policy.rate:
            host.limiter = self._limiter(host.name, min(self._policy.rate, 1 / rules.seconds_between))
        return rules

    def _host(self, url: str) -> _Host:
        with self._lock:
            name = host_name(url)
            if name not in self._hosts:
                self._hosts[name] = _Host(name, self._limiter(name, self._policy.rate))
            return self._hosts[name]

    def _limiter(self, name: str, rate: float) -> RateLimiter:
        return RateLimiter(name, rate, self._stop, self._host_folder)

    @property
    def _session(self) -> web.Session:
        session: web.Session | None = getattr(self._local, "session", None)
        if session is None:
            agent = web.user_agent(self._policy.about)
            session = self._local.session = web.Session(agent, self._watchdog, self._policy.local_hosts)
        return session


def _credentials(request: HttpRequest) -> Outgoing:
    headers = {name: value for name, value in (("Referer", request.referer), ("Cookie", request.cookie)) if value}
    return Outgoing(headers, request.secrets, request.login, request.bearer)


def _hide_keys(answer: HttpResponse, keys: frozenset[str]) -> HttpResponse:
    """Return the answer without the keys that it repeats, in whatever spelling."""
    headers = {name: redaction.hide(value, keys) for name, value in answer.headers.items()}
    body = redaction.hide_in_bytes(answer.body, keys)
    return HttpResponse(redaction.hide(answer.url, keys), answer.status, headers, body)


def _is_remainder(answer: web.Response, start: int) -> bool:
    """Return whether a partial answer is all of the file from `start` on."""
    found = re.fullmatch(rf"bytes {start}-([0-9]{{1,18}})/([0-9]{{1,18}})", answer.headers.get("Content-Range", ""))
    return found is not None and int(found[1]) + 1 == int(found[2])


def _validators(answer: web.Response) -> dict[str, str]:
    """Return the headers with which the rest of a file can be requested: none if it is compressed, or too small to
    resume."""
    length = answer.headers.get("Content-Length", "")
    is_small = length.isascii() and length.isdigit() and int(length[:18]) < MIN_RESUMABLE_BYTES
    if is_small or "Content-Encoding" in answer.headers:
        return {}
    return {name: answer.headers[name] for name in VALIDATORS if name in answer.headers}


def host_name(url: str) -> str:
    """Return `name`, or `name:port` for another port than the usual: the key of a host's rate limit."""
    name, port = web.host_and_port(url)
    return name if port in (80, 443) else f"{name}:{port}"


def _headers(answer: web.Response) -> dict[str, str]:
    """Return the headers by name in lower case, several of one name as lines of one value."""
    return {name.lower(): "\n".join(answer.raw.headers.getlist(name)) for name in answer.headers}


def _raise_if_temporary(answer: web.Response) -> None:
    """Raise RequestFailed for a status that may be temporary: 408, 425, 429, 5xx. Raise BlockedByHost."""
    status = answer.status_code
    if status == 429:
        raise RequestFailed("rate_limited", "HTTP 429", retryable=True, wait=_requested_wait(answer))
    _raise_for_challenge(answer)
    if status in (408, 425) or status >= 500:
        raise RequestFailed("server_error", f"HTTP {status}", retryable=True, wait=_retry_after(answer))


def _raise_for_challenge(answer: web.Response, data: bytes = b"") -> None:
    """Raise BlockedByHost for a page that keeps programs out."""
    status, mitigation = answer.status_code, answer.headers.get("cf-mitigated")
    if (status == 503 and mitigation) or (status == 403 and (mitigation == "challenge" or b"_cf_chl_opt" in data)):
        found = f"HTTP {status}, a challenge that keeps programs out"
        cure = "name yourself under contact in [web] of luigi.cfg, ask less, or ask the site; what was fetched is kept"
        raise BlockedByHost(host_name(answer.url), found, "an answer", cure)


def _requested_wait(answer: web.Response) -> float | None:
    """Return the seconds that a rate-limited host asks to wait; None if it states none."""
    wait = _retry_after(answer)
    return _until_reset(answer) if wait is None else wait


def _retry_after(answer: web.Response) -> float | None:
    """Return the seconds of Retry-After, also if it is a date; None without one."""
    text = answer.headers.get("Retry-After", "").strip()
    with suppress(ValueError, TypeError, OverflowError):
        if text.isdigit():
            return _clip(float(text))
        return _clip((email.utils.parsedate_to_datetime(text) - datetime.now(timezone.utc)).total_seconds())
    return None


def _until_reset(answer: web.Response) -> float | None:
    for name in ("X-Rate-Limit-Reset", "X-RateLimit-Reset", "RateLimit-Reset"):
        with suppress(ValueError):
            reset = float(answer.headers.get(name, ""))
            if math.isfinite(reset):
                return _clip(reset - time.time() if reset > 1e9 else reset)  # a time, or how far away it is
    return None


def _clip(wait: float) -> float:
    return min(max(wait, 1.0), MAX_PAUSE_S)


def _apply_rate_limit_headers(answer: web.Response, limiter: RateLimiter) -> None:
    """Pause a host whose headers say that no request is left, until they say there is."""
    for name in ("X-Rate-Limit-Remaining", "X-RateLimit-Remaining", "RateLimit-Remaining"):
        if answer.headers.get(name, "").strip() == "0" and (wait := _until_reset(answer)):
            limiter.pause(wait)
