"""The server of the page, for one person on this machine.

A browser lets any web page send requests to 127.0.0.1. So each request has to name this host and port (a foreign name
that resolves to 127.0.0.1 is refused), come from this very page, and begin with a random token. No part of an address
becomes a path: files and items are looked up in tables.
"""

import hmac
import http.server
import logging
import secrets
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from pipeline.datasets.review.review import Review
from pipeline.errors import UserError
from pipeline.stored import parse_json

logger = logging.getLogger("luigi-interface")

HOST = "127.0.0.1"
MAX_BODY_BYTES = 8 << 20  # corrections of some 80,000 items at once
_CHANGES = {str: (str, None)}  # the shape of a request to /corrections
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_STATIC = {file.name: file for file in (Path(__file__).parent / "static").iterdir() if file.suffix in _TYPES}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_JSON = "application/json"
_Answer = tuple[bytes, str, str]  # body, media type, Cache-Control
_KEPT_BY_BROWSER = "private, max-age=86400, immutable"  # pictures, whose addresses hold their sha256


class Server(http.server.ThreadingHTTPServer):
    """The page of one review. `done` is set when its button says that the review is over."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, review: Review, port: int = 0) -> None:
        """Listen at a port; 0: any. Raise UserError if that port is not free."""
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            raise UserError(f"--port {port}", str(error.strerror), "a free port", "give another, or 0") from error
        self.review = review
        self.token = secrets.token_urlsafe(24)
        self.host = f"{HOST}:{self.server_address[1]}"
        self.done = threading.Event()

    @property
    def url(self) -> str:
        """Return the address of the page, token included."""
        return f"http://{self.host}/{self.token}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """Print the traceback, unless the browser has closed the connection."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Refused(Exception):
    """A request that is refused; args: an HTTPStatus, and what to tell the page."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "review", ""
    timeout = 60  # s without a byte
    is_last = False

    def do_GET(self) -> None:
        """Answer with the page, a file of it, or what it shows."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """Write corrections, or end the review."""
        self._answer(self._post)
        if self.is_last:
            self.server.done.set()  # now that the page has its answer

    def _answer(self, handle: Callable[[list[str]], _Answer]) -> None:
        try:
            body, media_type, caching = handle(self._checked_path())
            status = HTTPStatus.OK
        except _Refused as refused:
            status, text = refused.args
            body, media_type, caching = text.encode(), "text/plain; charset=utf-8", "no-store"
            self.close_connection = True  # the body, if there is one, was not read
        except (UserError, OSError) as error:
            logger.warning("%s", error)
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            body, media_type, caching = str(error).encode(), "text/plain; charset=utf-8", "no-store"
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", caching)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _checked_path(self) -> list[str]:
        """Return the parts of the path after the token. Raise _Refused unless the request is one of our page's."""
        origin = f"http://{self.server.host}"
        if self.headers.get_all("Host") != [self.server.host]:
            raise _Refused(HTTPStatus.FORBIDDEN, "another host")
        origins = self.headers.get_all("Origin", [] if self.command == "POST" else [origin])
        is_near = self.headers.get("Sec-Fetch-Site", "none") in ("same-origin", "none")
        is_link = self.command == "GET" and self.headers.get("Sec-Fetch-Dest") == "document"  # as in a web terminal
        if origins != [origin] or not (is_near or is_link):
            raise _Refused(HTTPStatus.FORBIDDEN, "another origin")
        before, _, rest = self.path.partition("?")[0].partition("/")
        token, *parts = rest.split("/")
        if before or not hmac.compare_digest(token.encode("latin-1", "replace"), self.server.token.encode()):
            raise _Refused(HTTPStatus.FORBIDDEN, "another token: open the address that the program printed last")
        return parts

    def _get(self, parts: list[str]) -> _Answer:
        catalog = self.server.review.catalog
        match parts:
            case [name] if file := _STATIC.get(name or "index.html"):
                return file.read_bytes(), _TYPES[file.suffix], "no-cache"
            case ["items"]:
                return catalog.grid(), _JSON, "no-store"
            case ["details", item] if item in catalog.rows:
                return catalog.detail(item), _JSON, "no-store"
            case ["thumbnails", item] if item in catalog.rows:
                return *catalog.thumbnail(item), _KEPT_BY_BROWSER
            case ["pictures", item] if item in catalog.rows:
                return *catalog.picture(item), _KEPT_BY_BROWSER
        raise _Refused(HTTPStatus.NOT_FOUND, "nothing is there")

    def _post(self, parts: list[str]) -> _Answer:
        body = self._body()
        match parts:
            case ["corrections"]:
                try:
                    self.server.review.correct(parse_json(body, _CHANGES))
                except ValueError as error:
                    raise _Refused(HTTPStatus.BAD_REQUEST, str(error)) from error
            case ["done"]:
                self.close_connection = self.is_last = True
            case _:
                raise _Refused(HTTPStatus.NOT_FOUND, "nothing is there")
        return b"{}", _JSON, "no-store"

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if self.headers.get_content_type() != _JSON or not length.isascii() or not length.isdigit():
            raise _Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "no JSON of a stated length")
        if int(length) > MAX_BODY_BYTES:
            raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {MAX_BODY_BYTES:,} bytes")
        return self.rfile.read(int(length))

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing: refusals are told to who asked."""
