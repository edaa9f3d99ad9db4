import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from pipeline.web import http as web
from pipeline.web.http import WebError, get


class WebSource(BaseHTTPRequestHandler):
    """A server with a path for each fault; it notes who asks."""

    agents: ClassVar[list[str]] = []

    def do_GET(self):
        self.agents.append(self.headers["User-Agent"])
        getattr(self, "answer_" + self.path.strip("/").split("/")[0])()

    def log_message(self, *_):
        """Keep quiet."""

    def send(self, status: int, body: bytes = b"", **headers):
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def answer_fine(self):
        self.send(200, b"body")

    def answer_missing(self):
        self.send(404, b"no")

    def answer_turn(self):
        self.send(302, Location="/fine")

    def answer_loop(self):
        self.send(301, Location="/loop")

    def answer_file(self):
        self.send(302, Location="file:///etc/passwd")

    def answer_private(self):
        self.send(302, Location="http://127.0.0.1:9/")

    def answer_inside(self):
        self.send(302, Location="https://localhost/")

    def answer_large(self):
        self.send(200, bytes(100_000))

    def answer_endless(self):
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(bytes(10_000))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def answer_short(self):
        self.send(200, b"half", Content_Length="400")

    def answer_drip(self):
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(100):
                self.wfile.write(b"x")  # less than any buffer holds
                time.sleep(0.1)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


@pytest.fixture(scope="module")
def host():
    server = ThreadingHTTPServer(("127.0.0.1", 0), WebSource)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()


def ask(host: str, path: str, **options) -> bytes:
    return get(f"http://{host}/{path}", **({"max_bytes": 50_000, "local_hosts": (host,)} | options))


def test_a_body_comes_whole_also_behind_a_redirect_and_we_say_who_we_are(host):
    WebSource.agents.clear()
    assert ask(host, "fine") == ask(host, "turn") == b"body"
    assert all(agent.startswith("anime-face-gans/") and "Mozilla" not in agent for agent in WebSource.agents)


@pytest.mark.full(keep=2)
@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("missing", "404"),
        ("loop", "redirects"),
        ("file", "not an https"),
        ("private", "not an https"),
        ("inside", "private address"),
        ("large", "more than 50,000"),
        ("endless", "more than 50,000"),
        ("short", "400|IncompleteRead"),
    ],
)
def test_each_failure_is_one_clear_line(host, path, words):
    with pytest.raises(WebError, match=words) as error:
        ask(host, path)
    assert "\n" not in str(error.value)


def test_a_slow_drip_is_cut_off(host):
    start = time.monotonic()
    with pytest.raises(WebError, match="too slow"):
        ask(host, "drip", seconds=0.5, max_bytes=10**9)
    assert time.monotonic() - start < 3


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "file:///etc/passwd",
        "https://",
        "ftp://example.com/",
        "//x",
        "https://[bad/",
        "https://host:99999/",
        "https://" + "x" * 70 + ".org/",
    ],
)
def test_only_https_is_queried(url):
    with pytest.raises(WebError, match=r"not an https|not a URL"):
        get(url, max_bytes=10)


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/", "https://10.0.0.1/", "https://[::1]/", "https://169.254.169.254/"]
)
def test_private_addresses_are_not_queried(url):
    with pytest.raises(WebError, match="private address"):
        get(url, max_bytes=10)


def test_a_host_that_does_not_exist_is_reported():
    with pytest.raises(WebError, match="no such host"):
        get("https://nowhere.invalid/", max_bytes=10)


def test_the_user_agent_names_the_program():
    assert web.user_agent().split("/")[0] == "anime-face-gans"
