"""A web server for the page, to look at it on this machine."""

import functools
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".onnx": "application/octet-stream",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
}
HEADERS = {
    # WebAssembly has threads only where these two are sent
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


class Handler(SimpleHTTPRequestHandler):
    """Serves the files of a folder; it lists none, and logs nothing."""

    extensions_map = TYPES

    def end_headers(self) -> None:
        """Add HEADERS."""
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def list_directory(self, path: Any) -> None:
        """Refuse to list a folder."""
        self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


def open_server(
    folder: Path, host: str, port: int, handler: type[SimpleHTTPRequestHandler] = Handler
) -> ThreadingHTTPServer:
    """Return a server of a folder, at a free port if `port` is 0. Raise OSError or OverflowError if it cannot have the
    address."""
    return ThreadingHTTPServer((host, port), functools.partial(handler, directory=str(folder)))
