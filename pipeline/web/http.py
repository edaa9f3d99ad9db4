"""The one place that opens a socket: one request, honest about who asks, to public addresses, bounded in time and size.

`get` fetches a file that this program needs. Asking other people's sites is `pipeline.web.client`'s, on top of this.
"""

import contextlib
import http.cookiejar
import importlib.metadata
import ipaddress
import re
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from pipeline import redaction
from pipeline.errors import UserError

MAX_REDIRECTS = 5
MAX_URL = 8000  # characters
PATIENCE = (5, 20)  # seconds to connect, seconds of silence
GRACE = 2  # seconds in which what is under way may end when all is called off
IDENTIFIERS = {"login", "user_id"}  # parameters that say who the user is: hidden in errors, but sites may show them
_CHUNK = 1 << 16

Response = requests.Response  # for those who must not open a socket themselves


class WebError(UserError):
    """A URL that was not, or could not be, fetched whole."""


class RequestFailed(Exception):
    """A request that failed."""

    def __init__(self, reason: str, detail: str = "", *, retryable: bool = False, wait: float | None = None):
        super().__init__(reason, detail)
        self.reason = reason
        """One of `pipeline.funnel.REASONS`."""
        self.detail = detail
        self.retryable = retryable
        """Whether the same request may fare better later."""
        self.wait = wait
        """Seconds after which the host wants to be asked again, if it said so."""
        self.before: list[str] = []
        """The reasons for which the tries before this one failed."""
        self.url = ""
        """What was asked: after redirects, another host may be the one."""

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


class Outgoing(NamedTuple):
    """What goes with a URL to its own host, and to no other that it redirects to."""

    headers: dict[str, str] = {}  # noqa: RUF012  # never written to
    parameters: tuple[tuple[str, str], ...] = ()
    login: tuple[str, str] | None = None
    bearer: str | None = None

    @property
    def all_headers(self) -> dict[str, str]:
        return self.headers | ({"Authorization": f"Bearer {self.bearer}"} if self.bearer else {})

    @property
    def keys(self) -> frozenset[str]:
        """What no text of a site can hold but by repeating what it was sent."""
        encoded = redaction.basic_credentials(*self.login) if self.login else set()
        values = {value for name, value in self.parameters if name not in IDENTIFIERS}
        return frozenset(values | encoded | {*(self.login or ())[1:], self.bearer or ""})

    @property
    def secrets(self) -> frozenset[str]:
        return self.keys | {value for _, value in self.parameters} | {*(self.login or ())[:1]}

    def hide(self, text: str) -> str:
        """The text without what must not be told."""
        return redaction.hide(text, self.secrets)

    def stripped(self, url: str) -> str:
        """The URL without our parameters: a host may repeat them in what it redirects to."""
        parts = urlsplit(url)
        names = {name for name, _ in self.parameters}
        if not names & {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}:
            return url
        kept = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in names]
        return parts._replace(query=urlencode(kept)).geturl()


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
    `seconds` bounds each request. Raises WebError."""

    def is_safe(target: str) -> None:
        if not target.startswith("https:") and urlsplit(target).netloc not in local_hosts:
            raise RequestFailed("bad_url", "not an https URL")

    ended = threading.Event()
    try:
        with (
            Session(user_agent(), Watchdog(ended), local_hosts) as session,
            answered(session, url, before=is_safe, seconds=seconds) as answer,
        ):
            if answer.status_code != 200:
                raise RequestFailed("refused", f"HTTP {answer.status_code} {answer.reason}")
            return b"".join(body(answer, max_bytes))
    except RequestFailed as failure:
        expected, cure = "the whole file over https", "try again, or fetch it by hand"
        raise WebError(url[:300], failure.detail, expected, cure) from failure
    finally:
        ended.set()


class Watchdog:
    """Cuts connections off whose time is up, whatever they are at: time-outs alone hold from byte to byte, and a host
    may send one now and then for ever. Once `stop` is set, all have GRACE seconds left."""

    def __init__(self, stop: threading.Event):
        self._stop = stop
        self._until: dict[Session, float] = {}
        threading.Thread(target=self._watch, daemon=True).start()

    @contextlib.contextmanager
    def limit(self, session: "Session", seconds: float) -> Iterator[None]:
        session.was_cut = False
        self._until[session] = time.monotonic() + seconds
        try:
            yield
        finally:
            del self._until[session]
            session.sweep()

    def _watch(self) -> None:
        latest = float("inf")
        while not self._stop.is_set() or self._until:
            time.sleep(0.1)
            now = time.monotonic()
            if self._stop.is_set():
                latest = min(latest, now + GRACE)
            for session, until in list(self._until.items()):
                if now > min(until, latest):
                    session.cut()


class Session(requests.Session):
    """Without a memory for cookies; private addresses are refused but for `local_hosts`. For one thread."""

    def __init__(self, agent: str, watchdog: Watchdog, local_hosts: Iterable[str] = ()):
        super().__init__()
        self.watchdog = watchdog
        self.was_cut = False
        self._environment: dict[tuple[str, int], dict] = {}
        self.lines: list[tuple[weakref.ref, socket.socket]] = []
        """Each connection, and a second handle of its socket: the first is TLS's own, or with the answer."""
        self.headers["User-Agent"] = agent
        self.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        self.auth = lambda request: request  # or it would send what ~/.netrc holds for a host
        for scheme in ("http://", "https://"):
            local = {host_and_port(f"http://{host}") for host in local_hosts}
            self.mount(scheme, _PublicAdapter(local, self.lines))

    def merge_environment_settings(self, url, *settings) -> dict:
        """The proxies and certificates of the environment: looked up once for a host, not at each request."""
        key = host_and_port(url)
        if key not in self._environment:
            self._environment[key] = super().merge_environment_settings(url, *settings)
        return dict(self._environment[key])

    def get_redirect_target(self, resp: Response) -> None:
        """Redirects are followed here, one by one: requests would look at the next one even so."""

    def cut(self) -> None:
        """Whatever it waits for ends now, with an error."""
        self.was_cut = True
        for _, line in list(self.lines):
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        super().close()
        for _, line in self.lines:
            line.close()

    def sweep(self) -> None:
        """Let go of connections that are no more."""
        for pair in list(self.lines):
            connection = pair[0]()
            if connection is None or connection.sock is None:
                self.lines.remove(pair)
                pair[1].close()


@contextlib.contextmanager
def answered(
    session: Session, url: str, outgoing: Outgoing = _NOTHING, *, before: Callable[[str], None], seconds: float
) -> Iterator[Response]:
    """The answer to GET `url`, after redirects, its body unread; `answer.url` has no secrets. `before(url)` is called
    ahead of each request, and may raise; each may take so many seconds, body and all. Raises Fault, also for what goes
    wrong while the body is read."""
    told, sent = outgoing, outgoing
    try:
        for _ in range(MAX_REDIRECTS + 1):
            _check(url)
            before(url)
            with _translate_errors(session, told), session.watchdog.limit(session, seconds):
                answer = session.get(
                    url,
                    params=sent.parameters,
                    headers=sent.all_headers,
                    auth=sent.login,
                    stream=True,
                    timeout=PATIENCE,
                    allow_redirects=False,
                )
                with answer:
                    if not answer.is_redirect:
                        answer.url, answer.session = url, session
                        yield answer
                        return
                    target = told.stripped(_target(url, answer.headers["Location"]))
            if host_and_port(target) != host_and_port(url):
                sent = _NOTHING
            url = target
        raise RequestFailed("redirects", f"more than {MAX_REDIRECTS} redirects")
    except RequestFailed as failure:
        failure.url = url
        failure.detail = told.hide(failure.detail)  # a redirect may repeat what was sent
        failure.args = (failure.reason, failure.detail)
        raise


def _target(url: str, location: str) -> str:
    """Where a redirect leads. Header lines are read as Latin-1, and may hold UTF-8. Raises Fault."""
    try:
        target = urljoin(url, location.encode("latin-1").decode("utf-8", "replace"))
        host_and_port(target)
    except ValueError as error:
        raise RequestFailed("bad_url", f"a redirect to no URL ({error})") from error
    return target


def body(answer: Response, max_bytes: int) -> Iterator[bytes]:
    """The chunks of the body, while they are within bounds: a length that is announced may be a lie. Raises Fault."""
    size = 0
    announced = answer.headers.get("Content-Length", "")
    length = int(announced) if re.fullmatch("[0-9]{1,18}", announced) else None
    if length is not None and length > max_bytes:
        raise RequestFailed("too_large", f"more than {max_bytes:,} bytes")
    while chunk := answer.raw.read1(_CHUNK, decode_content=True):  # what is there, so that a drip is seen as one
        size += len(chunk)
        if size > max_bytes:
            raise RequestFailed("too_large", f"more than {max_bytes:,} bytes")
        yield chunk
    if answer.session.was_cut:  # which looks like its end, where no length was announced
        raise RequestFailed("too_slow", f"too slow: {size:,} bytes when time was up", retryable=True)
    if length is not None and "Content-Encoding" not in answer.headers and length != size:
        raise RequestFailed("cut_short", f"{size:,} bytes of {announced} announced", retryable=True)


def _check(url: str) -> None:
    """Raises Fault unless `url` may be one to ask."""
    try:
        parts = urlsplit(url)
        host_and_port(url)
        (parts.hostname or "").encode("idna")
        is_right = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    except ValueError as error:
        raise RequestFailed("bad_url", f"not a URL ({error})") from error
    if not is_right or len(url) > MAX_URL:
        raise RequestFailed("bad_url", "not an https URL, nor an http one")


def host_and_port(url: str) -> tuple[str, int]:
    """By which one server is known, however it is spelled. Raises ValueError."""
    parts = urlsplit(url)
    return (parts.hostname or "").lower().rstrip("."), parts.port or (443 if parts.scheme == "https" else 80)


class _PublicAdapter(HTTPAdapter):
    """Connects to public addresses, and to `local`, (host, port)s. Looked at where the connection is made: a name that
    is looked up twice may be two addresses. (Through a proxy that the user has set, the proxy decides.)"""

    def __init__(self, local: set[tuple[str, int]], lines: list):
        self._local, self._lines = local, lines
        super().__init__(pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args, **kwargs) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _pool(urllib3.HTTPConnectionPool, self._local, self._lines),
            "https": _pool(urllib3.HTTPSConnectionPool, self._local, self._lines),
        }


def _pool(kind: type[urllib3.HTTPConnectionPool], local: set[tuple[str, int]], lines: list) -> type:
    class Connection(kind.ConnectionCls):
        def _new_conn(self) -> socket.socket:
            is_local = (self.host.lower().rstrip("."), self.port) in local
            if not is_local:
                for address in _addresses(self.host, self.port):
                    check_public(address)
            made = super()._new_conn()
            if not is_local:
                try:
                    check_public(made.getpeername()[0])
                except RequestFailed:
                    made.close()
                    raise
            lines.append((weakref.ref(self), made.dup()))
            return made

    return type("Pool", (kind,), {"ConnectionCls": Connection})


def _addresses(host: str, port: int) -> list[str]:
    try:
        return [info[4][0] for info in socket.getaddrinfo(host, port)]
    except OSError as error:
        retryable = getattr(error, "errno", None) == socket.EAI_AGAIN
        raise RequestFailed("unreachable", f"no such host ({error.strerror})", retryable=retryable) from error


# IPv6 networks whose last 32 bits are an IPv4 address to which some gateway may lead.
_EMBEDDING = [ipaddress.ip_network(network) for network in ("::/96", "64:ff9b::/96", "64:ff9b:1::/96")]


def check_public(text: str) -> None:
    """Raises Fault for an address within a private network, also one that is wrapped in another."""
    address = ipaddress.ip_address(text.split("%")[0])
    addresses = [address]
    if address.version == 6:
        teredo = address.teredo or (None, None)
        addresses += filter(None, (address.ipv4_mapped, address.sixtofour, teredo[1]))
        if any(address in network for network in _EMBEDDING):
            addresses.append(ipaddress.ip_address(int(address) & 0xFFFFFFFF))
    for each in addresses[-1:] if getattr(address, "ipv4_mapped", None) else addresses:
        if not each.is_global or each.is_multicast or getattr(each, "is_site_local", False):
            raise RequestFailed("private_address", f"a private address ({text})")


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
def _translate_errors(session: Session, outgoing: Outgoing) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if session.was_cut and not isinstance(error, (RequestFailed, UserError)):
            raise RequestFailed("too_slow", "too slow: time was up", retryable=True) from None
        for kind, reason, retryable in _FAULTS:
            if isinstance(error, kind):  # the cause would tell secrets
                raise RequestFailed(reason, outgoing.hide(_words(error))[:200], retryable=retryable) from None
        raise


_CONNECTION = r"^(<[^>]*>|\w*Connection\([^)]*\)): "  # as urllib3 shows one


def _words(error: BaseException) -> str:
    """Of the innermost of the errors that wrap each other."""
    inner = getattr(error, "reason", None) or next((arg for arg in error.args if isinstance(arg, Exception)), None)
    if isinstance(inner, Exception):
        return _words(inner)
    text = getattr(error, "strerror", None) or str(error.args[-1] if error.args else error)
    return f"{type(error).__name__}: {re.sub(_CONNECTION, '', text)}"
