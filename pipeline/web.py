"""The one place that opens a socket: one request, honest about who asks, to public addresses, bounded in time and size.

`get` fetches a file that this program needs. Asking other people's sites is `pipeline.polite`'s, on top of this.
"""

import contextlib
import http.cookiejar
import importlib.metadata
import ipaddress
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple
from urllib.parse import quote, quote_plus, urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from pipeline.errors import UserError

MAX_REDIRECTS = 5
MAX_URL = 8000  # characters
PATIENCE = (5, 20)  # seconds to connect, seconds of silence
_CHUNK = 1 << 16

Response, Session = requests.Response, requests.Session  # for those who must not open a socket themselves


class WebError(UserError):
    """A URL that was not, or could not be, fetched whole."""


class Fault(Exception):
    """A request that failed."""

    def __init__(self, reason: str, detail: str = "", *, may_pass: bool = False, wait: float | None = None):
        super().__init__(reason, detail)
        self.reason = reason
        """One of `pipeline.manifest.REASONS`."""
        self.detail = detail
        self.may_pass = may_pass
        """Whether the same request may fare better later."""
        self.wait = wait
        """Seconds after which the host wants to be asked again, if it said so."""

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


class Outgoing(NamedTuple):
    """What goes with a URL to its own host, and to no other that it redirects to."""

    headers: dict[str, str] = {}  # noqa: RUF012  # never written to
    parameters: tuple[tuple[str, str], ...] = ()
    login: tuple[str, str] | None = None

    def hide(self, text: str) -> str:
        """The text without what must not be told."""
        for secret in [value for _, value in self.parameters] + list(self.login or ()):
            for spelling in {secret, quote(secret, safe=""), quote_plus(secret)} - {""}:
                text = text.replace(spelling, "…")
        return text


_NOTHING = Outgoing()


def user_agent(about: str = "dataset builder") -> str:
    """Who we are, and `about` it: how to reach the user. Never a browser's."""
    try:
        version = importlib.metadata.version("anime-face-gans")
    except importlib.metadata.PackageNotFoundError:  # run from a checkout that is not installed
        version = "0"
    return f"anime-face-gans/{version} ({about}; python-requests)"


def get(url: str, *, max_bytes: int, seconds: float = 600, local_hosts: Iterable[str] = ()) -> bytes:
    """The body at `url`, whole.

    https only, to public addresses only, through at most MAX_REDIRECTS redirects, each held to the same; `local_hosts`
    (as in the URL, port and all) may be reached by http and at private addresses, as mirrors and test servers are.
    `seconds` bounds the whole. Raises WebError."""
    deadline = time.monotonic() + seconds

    def is_safe(target: str) -> None:
        if not target.startswith("https:") and urlsplit(target).netloc not in local_hosts:
            raise Fault("bad_url", "not an https URL")

    try:
        with new_session(user_agent(), local_hosts) as session, answered(session, url, before=is_safe) as answer:
            if answer.status_code != 200:
                raise Fault("refused", f"HTTP {answer.status_code} {answer.reason}")
            return b"".join(body(answer, max_bytes, deadline))
    except Fault as fault:
        raise WebError(
            url[:300], fault.detail, "the whole file over https", "try again, or fetch it by hand"
        ) from fault


def new_session(agent: str, local_hosts: Iterable[str] = ()) -> requests.Session:
    """Without a memory for cookies; private addresses are refused but for `local_hosts`. Not for several threads."""
    session = requests.Session()
    session.headers["User-Agent"] = agent
    session.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
    session.auth = lambda request: request  # or it would send what ~/.netrc holds for a host
    for scheme in ("http://", "https://"):
        session.mount(scheme, _PublicAdapter({_host_and_port(f"http://{host}") for host in local_hosts}))
    return session


@contextlib.contextmanager
def answered(
    session: requests.Session, url: str, outgoing: Outgoing = _NOTHING, *, before: Callable[[str], None]
) -> Iterator[requests.Response]:
    """The answer to GET `url`, after redirects, its body unread; `answer.url` has no secrets. `before(url)` is called
    ahead of each request, and may raise. Raises Fault, also for what goes wrong while the body is read."""
    with _faults_told(outgoing):
        for _ in range(MAX_REDIRECTS + 1):
            _check(url)
            before(url)
            answer = session.get(
                url, params=outgoing.parameters, headers=outgoing.headers, auth=outgoing.login, stream=True,
                timeout=PATIENCE, allow_redirects=False,
            )  # fmt: skip
            with answer:
                if not answer.is_redirect:
                    answer.url = outgoing.hide(url)
                    yield answer
                    return
                # Header lines are read as Latin-1, and may hold UTF-8.
                target = urljoin(url, answer.headers["Location"].encode("latin-1").decode("utf-8", "replace"))
            if _host_and_port(target) != _host_and_port(url):
                outgoing = _NOTHING
            url = target
    raise Fault("redirects", f"more than {MAX_REDIRECTS} redirects")


def body(answer: requests.Response, max_bytes: int, deadline: float) -> Iterator[bytes]:
    """The chunks of the body, while they are within bounds: a length that is announced may be a lie. Raises Fault."""
    size = 0
    announced = answer.headers.get("Content-Length", "")
    is_encoded = "Content-Encoding" in answer.headers
    if announced.isdigit() and int(announced) > max_bytes:
        raise Fault("too_large", f"more than {max_bytes:,} bytes")
    while chunk := answer.raw.read1(_CHUNK, decode_content=True):  # what is there, so that a drip is seen as one
        size += len(chunk)
        if size > max_bytes:
            raise Fault("too_large", f"more than {max_bytes:,} bytes")
        if time.monotonic() > deadline:
            raise Fault("too_slow", f"too slow: {size:,} bytes when time was up", may_pass=True)
        yield chunk
    if announced.isdigit() and not is_encoded and int(announced) != size:
        raise Fault("cut_short", f"{size:,} bytes of {announced} announced", may_pass=True)


def _check(url: str) -> None:
    """Raises Fault unless `url` may be one to ask."""
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")
        is_right = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
        _host_and_port(url)
    except ValueError as error:
        raise Fault("bad_url", f"not a URL ({error})") from error
    if not is_right or len(url) > MAX_URL:
        raise Fault("bad_url", "not an https URL, nor an http one")


def _host_and_port(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


class _PublicAdapter(HTTPAdapter):
    """Connects to public addresses, and to `local`, (host, port)s. Looked at where the connection is made: a name that
    is looked up twice may be two addresses. (Through a proxy that the user has set, the proxy decides.)"""

    def __init__(self, local: set[tuple[str, int]]):
        self._local = local
        super().__init__(pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args, **kwargs) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _pool(urllib3.HTTPConnectionPool, self._local),
            "https": _pool(urllib3.HTTPSConnectionPool, self._local),
        }


def _pool(kind: type[urllib3.HTTPConnectionPool], local: set[tuple[str, int]]) -> type:
    class Connection(kind.ConnectionCls):
        def _new_conn(self) -> socket.socket:
            if (self.host.lower(), self.port) in local:
                return super()._new_conn()
            try:
                addresses = [info[4][0] for info in socket.getaddrinfo(self.host, self.port)]
            except OSError as error:
                raise Fault("unreachable", f"no such host ({error.strerror})", may_pass=True) from error
            for address in addresses:
                _check_public(address)
            connection = super()._new_conn()
            try:
                _check_public(connection.getpeername()[0])
            except Fault:
                connection.close()
                raise
            return connection

    return type("Pool", (kind,), {"ConnectionCls": Connection})


def _check_public(text: str) -> None:
    address = ipaddress.ip_address(text.split("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    if not address.is_global or address.is_multicast:
        raise Fault("private_address", f"a private address ({text})")


# What requests and urllib3 raise, the narrower first: (class, reason, may it pass).
_FAULTS = (
    (requests.exceptions.SSLError, "unreachable", False),
    ((requests.Timeout, urllib3.exceptions.TimeoutError), "too_slow", True),
    ((requests.exceptions.ChunkedEncodingError, urllib3.exceptions.ProtocolError), "cut_short", True),
    ((requests.exceptions.ContentDecodingError, urllib3.exceptions.DecodeError), "wrong_type", False),
    ((requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader, UnicodeError), "bad_url", False),
    ((requests.RequestException, urllib3.exceptions.HTTPError, OSError), "unreachable", True),
)


@contextlib.contextmanager
def _faults_told(outgoing: Outgoing) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        for kind, reason, may_pass in _FAULTS:
            if isinstance(error, kind):
                words = outgoing.hide(f"{type(error).__name__}: {error.args[0] if error.args else error}")
                raise Fault(reason, words[:200], may_pass=may_pass) from None  # the cause would tell secrets
        raise
