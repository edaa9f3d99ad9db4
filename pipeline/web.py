"""The one place that opens a socket: `get`, honest about who asks, bounded in time and size."""

import importlib.metadata
import ipaddress
import socket
import time
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from pipeline.errors import UserError

MAX_REDIRECTS = 5
_CHUNK = 1 << 16


class WebError(UserError):
    """A URL that was not, or could not be, fetched whole."""


def user_agent() -> str:
    """Who we are. Never a browser's."""
    try:
        version = importlib.metadata.version("anime-face-gans")
    except importlib.metadata.PackageNotFoundError:  # run from a checkout that is not installed
        version = "0"
    return f"anime-face-gans/{version} (dataset builder; python-requests)"


def get(url: str, *, max_bytes: int, seconds: float = 600, local_hosts: tuple[str, ...] = ()) -> bytes:
    """The body at `url`, whole.

    https only, to public addresses only, through at most MAX_REDIRECTS redirects, each held to the same; `local_hosts`
    (as in the URL, port and all) may be reached by http and at private addresses, as mirrors and test servers are.
    `seconds` bounds the whole; 5 s to connect, 20 s of silence. Raises WebError."""
    deadline = time.monotonic() + seconds
    with requests.Session() as session:
        session.headers["User-Agent"] = user_agent()
        for _ in range(MAX_REDIRECTS + 1):
            _check(url, local_hosts)
            try:
                with session.get(url, stream=True, timeout=(5, 20), allow_redirects=False) as answer:
                    if answer.is_redirect:
                        url = urljoin(url, answer.headers["Location"])
                        continue
                    if answer.status_code != 200:
                        raise _error(url, f"HTTP {answer.status_code} {answer.reason}")
                    return b"".join(_body(answer, url, max_bytes, deadline))
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                raise _error(url, _root_cause(error)) from error
    raise _error(url, f"more than {MAX_REDIRECTS} redirects")


def _body(answer: requests.Response, url: str, max_bytes: int, deadline: float) -> Iterator[bytes]:
    """The chunks of the body, while they are within bounds: a length that is announced may be a lie."""
    size = 0
    while chunk := answer.raw.read1(_CHUNK, decode_content=True):  # what is there, so that a drip is seen as one
        size += len(chunk)
        if size > max_bytes:
            raise _error(url, f"more than {max_bytes:,} bytes")
        if time.monotonic() > deadline:
            raise _error(url, f"too slow: {size:,} bytes when time was up")
        yield chunk
    announced = answer.headers.get("Content-Length", "")
    if announced.isdigit() and "Content-Encoding" not in answer.headers and int(announced) != size:
        raise _error(url, f"{size:,} bytes of {announced} announced")


def _check(url: str, local_hosts: tuple[str, ...]) -> None:
    """Raises WebError unless `url` may be asked."""
    try:
        parts = urlsplit(url)
        port = parts.port or 443
        (parts.hostname or "").encode("idna")
    except ValueError as error:
        raise _error(url[:100], f"not a URL ({error})") from error
    if parts.scheme in ("http", "https") and parts.netloc in local_hosts:
        return
    if parts.scheme != "https" or not parts.hostname:
        raise _error(url, "not an https URL")
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo(parts.hostname, port)}
    except OSError as error:
        raise _error(url, f"no such host ({error})") from error
    private = [address for address in addresses if not ipaddress.ip_address(address.split("%")[0]).is_global]
    if private:
        raise _error(url, f"a private address ({private[0]})")


def _root_cause(error: Exception) -> str:
    text = str(error.args[0] if error.args else error)
    return f"{type(error).__name__}: {text}"[:200]


def _error(url: str, found: str) -> WebError:
    return WebError(url[:300], found, "the whole file over https", "try again, or fetch it by hand")
