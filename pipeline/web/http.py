"""HTTP requests: to public addresses, bounded in time and size, under our own name. The only module with sockets.

`get` fetches a file that this program needs; `pipeline.web.client`, on top of this, requests other people's sites.
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
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from pipeline import redaction
from pipeline.errors import UserError

MAX_REDIRECTS = 5
MAX_URL_LENGTH = 8000  # characters
CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 20  # of silence, not of the whole body
GRACE_S = 2  # in which open requests may end once `stop` is set
IDENTIFIERS = {"login", "user_id"}  # parameters that name the user: hidden in errors, but sites may show them
_CHUNK_BYTES = 1 << 16

Response = requests.Response  # for modules that must not import requests


class WebError(UserError):
    """A URL that could not be fetched completely."""


class RequestFailed(Exception):
    """A request that failed."""

    def __init__(self, reason: str, detail: str = "", *, retryable: bool = False, wait: float | None = None):
        super().__init__(reason, detail)
        self.reason = reason
        """One of `pipeline.funnel.REASONS`."""
        self.detail = detail
        self.retryable = retryable
        """Whether the same request may succeed later."""
        self.wait = wait
        """Seconds that the host asks to wait; None if it states none."""
        self.before: list[str] = []
        """The reasons for which the tries before this one failed."""
        self.url = ""
        """The URL that failed: after redirects, perhaps another host's."""

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


class Outgoing(NamedTuple):
    """Headers and credentials for the host of a URL, and for no other that it redirects to."""

    headers: dict[str, str] = {}  # noqa: RUF012  # never written to
    parameters: tuple[tuple[str, str], ...] = ()
    login: tuple[str, str] | None = None
    bearer: str | None = None

    @property
    def all_headers(self) -> dict[str, str]:
        """Return the headers, with the bearer token."""
        return self.headers | ({"Authorization": f"Bearer {self.bearer}"} if self.bearer else {})

    @property
    def keys(self) -> frozenset[str]:
        """Return the keys that are sent: a site can only have them from us, so they are hidden in its answers."""
        encoded = redaction.basic_credentials(*self.login) if self.login else set()
        values = {value for name, value in self.parameters if name not in IDENTIFIERS}
        return frozenset(values | encoded | {*(self.login or ())[1:], self.bearer or ""})

    @property
    def secrets(self) -> frozenset[str]:
        """Return all values to hide in errors: the keys, and who the user is."""
        return self.keys | {value for _, value in self.parameters} | {*(self.login or ())[:1]}

    def hide(self, text: str) -> str:
        """Return the text without the secrets."""
        return redaction.hide(text, self.secrets)

    def strip_parameters(self, url: str) -> str:
        """Return the URL without our parameters, which a host may repeat in a redirect."""
        parts = urlsplit(url)
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        kept = [pair for pair in pairs if pair[0] not in dict(self.parameters)]
        return url if len(kept) == len(pairs) else parts._replace(query=urlencode(kept)).geturl()


_NO_CREDENTIALS = Outgoing()


def user_agent(about: str = "dataset builder") -> str:
    """Return the program's name and version, and `about` it: how to reach the user. Never a browser's."""
    try:
        version = importlib.metadata.version("anime-face-gans")
    except importlib.metadata.PackageNotFoundError:  # run from a checkout that is not installed
        version = "0"
    return f"anime-face-gans/{version} ({about}; python-requests)"


def get(url: str, *, max_bytes: int, seconds: float = 600, local_hosts: Iterable[str] = ()) -> bytes:
    """Return the whole body at `url`.

    Only https, only public addresses, and at most MAX_REDIRECTS redirects, which are checked in the same way.
    `local_hosts` (as in the URL, with the port) may use http and private addresses, as mirrors and test servers do.
    `seconds` bounds each request. Raise WebError."""

    def require_https(target: str) -> None:
        if not target.startswith("https:") and urlsplit(target).netloc not in local_hosts:
            raise RequestFailed("bad_url", "not an https URL")

    ended = threading.Event()
    try:
        with (
            Session(user_agent(), Watchdog(ended), local_hosts) as session,
            stream(session, url, before=require_https, seconds=seconds) as answer,
        ):
            if answer.status_code != 200:
                raise RequestFailed("refused", f"HTTP {answer.status_code} {answer.reason}")
            return b"".join(iter_body(answer, max_bytes))
    except RequestFailed as failure:
        expected, cure = "the whole file over https", "try again, or fetch it by hand"
        raise WebError(url[:300], failure.detail, expected, cure) from failure
    finally:
        ended.set()


class Watchdog:
    """A thread that closes connections whose time is up: time-outs of sockets apply from byte to byte, and a host may
    send one now and then for ever. Once `stop` is set, all have GRACE_S seconds left."""

    def __init__(self, stop: threading.Event):
        self._stop = stop
        self._until: dict[Session, float] = {}
        threading.Thread(target=self._watch, daemon=True).start()

    @contextlib.contextmanager
    def limit(self, session: "Session", seconds: float) -> Iterator[None]:
        """Bound what the session does within the context to so many seconds."""
        session.was_cut = False
        self._until[session] = time.monotonic() + seconds
        try:
            yield
        finally:
            del self._until[session]
            session.drop_closed_sockets()

    def _watch(self) -> None:
        latest = float("inf")
        while not self._stop.is_set() or self._until:
            time.sleep(0.1)
            now = time.monotonic()
            if self._stop.is_set():
                latest = min(latest, now + GRACE_S)
            for session, until in list(self._until.items()):
                if now > min(until, latest):
                    session.cut()


class Session(requests.Session):
    """A session that stores no cookies and refuses private addresses but for `local_hosts`. For one thread."""

    def __init__(self, agent: str, watchdog: Watchdog, local_hosts: Iterable[str] = ()):
        super().__init__()
        self.watchdog = watchdog
        self.was_cut = False
        self._environment: dict[tuple[str, int], Any] = {}
        self.sockets: list[tuple[weakref.ref, socket.socket]] = []
        """Each connection, and a second handle of its socket: the first is TLS's own, or with the answer."""
        self.headers["User-Agent"] = agent
        self.cookies.set_policy(http.cookiejar.DefaultCookiePolicy(allowed_domains=[]))
        self.auth = lambda request: request  # otherwise requests would send credentials from ~/.netrc
        for scheme in ("http://", "https://"):
            local = {host_and_port(f"http://{host}") for host in local_hosts}
            self.mount(scheme, _PublicAdapter(local, self.sockets))

    def merge_environment_settings(self, url: Any, *settings: Any) -> Any:
        """Return the proxies and certificates of the environment, looked up once for each host."""
        key = host_and_port(url)
        if key not in self._environment:
            self._environment[key] = super().merge_environment_settings(url, *settings)
        return dict(self._environment[key])

    def get_redirect_target(self, resp: Response) -> None:
        """Return None: `stream` follows redirects one by one, and requests would look at the next one here."""

    def cut(self) -> None:
        """Close the sockets, so that whatever waits for them fails."""
        self.was_cut = True
        for _, handle in list(self.sockets):
            with contextlib.suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the session and its sockets."""
        super().close()
        for _, handle in self.sockets:
            handle.close()

    def drop_closed_sockets(self) -> None:
        """Remove the connections that are closed."""
        for pair in list(self.sockets):
            connection = pair[0]()
            if connection is None or connection.sock is None:
                self.sockets.remove(pair)
                pair[1].close()


@contextlib.contextmanager
def stream(
    session: Session, url: str, outgoing: Outgoing = _NO_CREDENTIALS, *, before: Callable[[str], None], seconds: float
) -> Iterator[Response]:
    """Yield the answer to GET `url`, after redirects, its body unread; `answer.url` has no secrets.

    `before(url)` is called ahead of each request, and may raise; each may take so many seconds with its body. Raise
    RequestFailed, also for what fails while the body is read."""
    credentials, sent = outgoing, outgoing
    try:
        for _ in range(MAX_REDIRECTS + 1):
            _check_url(url)
            before(url)
            with _translate_errors(session, credentials), session.watchdog.limit(session, seconds):
                answer = session.get(
                    url,
                    params=sent.parameters,
                    headers=sent.all_headers,
                    auth=sent.login,
                    stream=True,
                    timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S),
                    allow_redirects=False,
                )
                with answer:
                    if not answer.is_redirect:
                        answer.url, answer.__dict__["session"] = url, session
                        yield answer
                        return
                    target = credentials.strip_parameters(_redirect_target(url, answer.headers["Location"]))
            if host_and_port(target) != host_and_port(url):
                sent = _NO_CREDENTIALS
            url = target
        raise RequestFailed("redirects", f"more than {MAX_REDIRECTS} redirects")
    except RequestFailed as failure:
        failure.url = url
        failure.detail = credentials.hide(failure.detail)  # a redirect may repeat what was sent
        failure.args = (failure.reason, failure.detail)
        raise


def _redirect_target(url: str, location: str) -> str:
    """Return where a redirect leads. Headers are read as Latin-1, and may hold UTF-8. Raise RequestFailed."""
    try:
        target = urljoin(url, location.encode("latin-1").decode("utf-8", "replace"))
        host_and_port(target)
    except ValueError as error:
        raise RequestFailed("bad_url", f"a redirect to no URL ({error})") from error
    return target


def iter_body(answer: Response, max_bytes: int) -> Iterator[bytes]:
    """Yield the chunks of the body, counted: a stated length may be wrong. Raise RequestFailed beyond `max_bytes`."""
    size = 0
    announced = answer.headers.get("Content-Length", "")
    length = int(announced) if re.fullmatch("[0-9]{1,18}", announced) else None
    if length is not None and length > max_bytes:
        raise RequestFailed("too_large", f"more than {max_bytes:,} bytes")
    while chunk := answer.raw.read1(_CHUNK_BYTES, decode_content=True):  # what has arrived, to notice slow hosts
        size += len(chunk)
        if size > max_bytes:
            raise RequestFailed("too_large", f"more than {max_bytes:,} bytes")
        yield chunk
    if answer.__dict__["session"].was_cut:  # without a stated length, a cut looks like the end
        raise RequestFailed("too_slow", f"too slow: {size:,} bytes when time was up", retryable=True)
    if length is not None and "Content-Encoding" not in answer.headers and length != size:
        raise RequestFailed("cut_short", f"{size:,} bytes of {announced} announced", retryable=True)


def _check_url(url: str) -> None:
    """Raise RequestFailed unless `url` is an http or https URL without a password."""
    try:
        parts = urlsplit(url)
        host_and_port(url)
        (parts.hostname or "").encode("idna")
        is_right = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    except ValueError as error:
        raise RequestFailed("bad_url", f"not a URL ({error})") from error
    if not is_right or len(url) > MAX_URL_LENGTH:
        raise RequestFailed("bad_url", "not an https URL, nor an http one")


def host_and_port(url: str) -> tuple[str, int]:
    """Return the host in lower case and the port, the usual one if none is stated. Raise ValueError."""
    parts = urlsplit(url)
    return (parts.hostname or "").lower().rstrip("."), parts.port or (443 if parts.scheme == "https" else 80)


class _PublicAdapter(HTTPAdapter):
    """An adapter that connects to public addresses, and to `local`, (host, port)s. It checks the connected socket, as a
    name may resolve to another address the second time. (A proxy of the user decides for itself.)"""

    def __init__(self, local: set[tuple[str, int]], sockets: list):
        self._local, self._sockets = local, sockets
        super().__init__(pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _make_pool_class(urllib3.HTTPConnectionPool, self._local, self._sockets),
            "https": _make_pool_class(urllib3.HTTPSConnectionPool, self._local, self._sockets),
        }


def _make_pool_class(kind: type[urllib3.HTTPConnectionPool], local: set[tuple[str, int]], sockets: list) -> type:
    base: Any = kind.ConnectionCls

    class Connection(base):
        def _new_conn(self) -> socket.socket:
            is_local = (self.host.lower().rstrip("."), self.port) in local
            if not is_local:
                for address in _resolve(self.host, self.port):
                    check_public(address)
            made: socket.socket = super()._new_conn()
            if not is_local:
                try:
                    check_public(made.getpeername()[0])
                except RequestFailed:
                    made.close()
                    raise
            sockets.append((weakref.ref(self), made.dup()))
            return made

    return type("Pool", (kind,), {"ConnectionCls": Connection})


def _resolve(host: str, port: int) -> list[str]:
    try:
        return [str(info[4][0]) for info in socket.getaddrinfo(host, port)]
    except OSError as error:
        retryable = getattr(error, "errno", None) == socket.EAI_AGAIN
        raise RequestFailed("unreachable", f"no such host ({error.strerror})", retryable=retryable) from error


# IPv6 networks whose last 32 bits are an IPv4 address to which some gateway may lead.
_EMBEDDING_NETWORKS = [ipaddress.ip_network(network) for network in ("::/96", "64:ff9b::/96", "64:ff9b:1::/96")]


def check_public(text: str) -> None:
    """Raise RequestFailed for an address within a private network, also one that is embedded in another."""
    address = ipaddress.ip_address(text.split("%")[0])
    addresses = [address]
    if address.version == 6:
        teredo = address.teredo or (None, None)
        addresses += filter(None, (address.ipv4_mapped, address.sixtofour, teredo[1]))
        if any(address in network for network in _EMBEDDING_NETWORKS):
            addresses.append(ipaddress.ip_address(int(address) & 0xFFFFFFFF))
    for each in addresses[-1:] if getattr(address, "ipv4_mapped", None) else addresses:
        if not each.is_global or each.is_multicast or getattr(each, "is_site_local", False):
            raise RequestFailed("private_address", f"a private address ({text})")


# What requests and urllib3 raise, the narrower first: (class, reason, may it pass).
_TRANSLATIONS = (
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
        for kind, reason, retryable in _TRANSLATIONS:
            if isinstance(error, kind):  # the cause may show secrets
                detail = outgoing.hide(_innermost_message(error))[:200]
                raise RequestFailed(reason, detail, retryable=retryable) from None
        raise


_CONNECTION = r"^(<[^>]*>|\w*Connection\([^)]*\)): "  # as urllib3 shows one


def _innermost_message(error: BaseException) -> str:
    """Return the message of the innermost of errors that wrap each other."""
    inner = getattr(error, "reason", None) or next((arg for arg in error.args if isinstance(arg, Exception)), None)
    if isinstance(inner, Exception):
        return _innermost_message(inner)
    text = getattr(error, "strerror", None) or str(error.args[-1] if error.args else error)
    return f"{type(error).__name__}: {re.sub(_CONNECTION, '', text)}"
