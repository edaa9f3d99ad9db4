"""Fetching beside its obvious alternatives, and what politeness costs. Run by tests/benchmarks."""

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

FILES = 1200
SIDE = 256  # px
ROOT = Path(__file__).parents[2]

# Each in a process of its own, as its user would start it: (folder, list of URLs) -> pictures on the disk.
PLAIN = """
import sys, pathlib, requests
folder, urls = pathlib.Path(sys.argv[1]), open(sys.argv[2]).read().split()
session = requests.Session()
for number, url in enumerate(urls):
    (folder / f"{number}.jpg").write_bytes(session.get(url).content)
"""
OURS = """
import sys, pathlib
from pipeline.crawl.crawl import Crawl
from pipeline.web.client import CrawlPolicy
from pipeline.sources.registry import SOURCES
from pipeline.sources.web_source import Query
from pipeline.store import Store
store = Store(pathlib.Path(sys.argv[1]), "bench")
store.scratch.mkdir(parents=True)
host = open(sys.argv[2]).readline().split("/")[2]
manners = CrawlPolicy(rate=0, local_hosts=frozenset([host]))
query = Query("", "", path=pathlib.Path(sys.argv[2]))
counts, _ = Crawl("urls", SOURCES["urls"], query, manners, store).run(0, 0)
assert counts.is_complete, counts
"""
IMG2DATASET = """
import sys, img2dataset
if __name__ == "__main__":
    img2dataset.download(
        url_list=sys.argv[2], output_folder=sys.argv[1] + "/out", processes_count=2, thread_count=16,
        output_format="files", resize_mode="no", skip_reencode=True, enable_wandb=False, number_sample_per_shard=600,
    )
"""


def crawl() -> None:
    """Fetch + verify + ledger on loopback, politeness off, beside a plain `requests` loop and img2dataset (by the
    Python that IMG2DATASET_PYTHON names). Whole processes, so with their starts."""
    from tests.benchmarks.__main__ import measure, tell

    works = {"plain": (sys.executable, PLAIN), "ours": (sys.executable, OURS)}
    if other := os.environ.get("IMG2DATASET_PYTHON"):
        works["img2dataset"] = (other, IMG2DATASET)
    with tempfile.TemporaryDirectory() as root, _server(Path(root)) as urls:
        seconds = measure(**{name: _work(Path(root), urls, *work) for name, work in works.items()})
    for name, each in seconds.items():
        times = {
            f"times_{other}": round(statistics.median(seconds[other]) / statistics.median(each), 2)
            for other in works
            if name == "ours" != other
        }
        tell(f"harvest/{name}", FILES, "files", each, **times)


def _work(root: Path, urls: Path, python: str, program: str):
    script = root / f"{len(list(root.iterdir()))}.py"
    script.write_text(program)

    def run() -> None:
        with tempfile.TemporaryDirectory(dir=root) as folder:
            environment = os.environ | {
                "PYTHONPATH": str(ROOT),
                "OMP_NUM_THREADS": "1",
                "NO_ALBUMENTATIONS_UPDATE": "1",
            }
            subprocess.run([python, str(script), folder, str(urls)], check=True, capture_output=True, env=environment)
            assert sum(1 for path in Path(folder).rglob("*.jpg")) == FILES

    return run


@contextlib.contextmanager
def _server(root: Path) -> Iterator[Path]:
    """Serves FILES pictures from memory, in a process of its own; the list of their URLs."""
    server = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
    port = int(server.stdout.readline())
    urls = root / "urls.txt"
    urls.write_text("\n".join(f"http://127.0.0.1:{port}/{number}.jpg" for number in range(FILES)))
    try:
        yield urls
    finally:
        server.kill()
        server.wait()


class _Files(asyncio.Protocol):
    """HTTP/1.1 with keep-alive, no faster than it must be: the clients are to be measured."""

    pictures: dict[bytes, bytes]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._head = transport, b""

    def data_received(self, data: bytes) -> None:
        self._head += data
        while b"\r\n\r\n" in self._head:
            head, _, self._head = self._head.partition(b"\r\n\r\n")
            body = self.pictures.get(head.split(b" ", 2)[1])
            status, kind = (b"200 OK", b"image/jpeg") if body else (b"404 Not Found", b"text/plain")
            length = str(len(body or b"")).encode()
            self._transport.write(
                b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %s\r\n\r\n" % (status, kind, length)
                + (body or b"")
            )


async def _serve() -> None:
    rng = np.random.default_rng(0)
    for number in range(FILES):
        small = rng.integers(0, 256, (SIDE // 16, SIDE // 16, 3), np.uint8)
        picture = cv2.resize(small, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        _Files.pictures[f"/{number}.jpg".encode()] = cv2.imencode(".jpg", picture)[1].tobytes()
    server = await asyncio.get_running_loop().create_server(_Files, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def politeness(requests: int = 200) -> None:
    """What a request costs at its budget when it need not wait: lock, bucket and pause, shared between processes."""
    from pipeline.web.rate_limit import RateLimiter

    with tempfile.TemporaryDirectory() as root:
        budget = RateLimiter("bench", 500, threading.Event(), Path(root))
        seconds = []
        for _ in range(requests):
            time.sleep(0.004)  # twice what the rate asks for
            start = time.perf_counter()
            budget.wait()
            seconds.append(time.perf_counter() - start)
    quarters = statistics.quantiles(seconds, n=4)
    print(
        json.dumps(
            {
                "bench": "politeness",
                "us a request": round(quarters[1] * 1e6),
                "quartiles": [round(quarter * 1e6) for quarter in quarters],
                "requests": requests,
            }
        ),
        flush=True,
    )


if __name__ == "__main__":
    _Files.pictures = {}
    asyncio.run(_serve())
