"""The page in a browser: how fast it is there, beside onnxruntime's own speed. Run by tests/benchmarks."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from models.page import folder, server
from models.runs import model_json, onnx_networks
from models.zoo import MODELS
from tests.support import browser

GENERATOR = "cgan-srresnet"  # preset article: 128 px
OPEN = """async () => {
    const { Engine, Export } = await import(new URL("engine.js", document.baseURI));
    window.opened = await Export.open(new Engine(() => {}), "runs/generator");
    const start = performance.now();
    await opened.run("generator");
    const [paint] = performance.getEntriesByName("first-contentful-paint");
    return { load: performance.now() - start, "first paint": paint.startTime };
}"""
RUN = """async (feeds) => {
    const feed = ([name, data]) => [name, { data: new Float32Array(data), dims: [1, data.length] }];
    await opened.run("generator", Object.fromEntries(Object.entries(feeds).map(feed)));
}"""


class Plain(SimpleHTTPRequestHandler):
    """A static host that cannot send headers, so that there are no threads."""

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@contextlib.contextmanager
def page_works() -> Iterator[tuple[dict[str, Callable[[], Any]], dict[str, float]]]:
    """Give ({how: computes one picture}, {what: milliseconds})."""
    config = MODELS[GENERATOR].presets["article"]
    graph = onnx_networks.graph_of(MODELS[GENERATOR].networks["generator"](config).eval(), config.size)
    feeds = {port.name: np.zeros(port.sized({"n": 1}), np.float32) for port in graph.inputs}
    listed = {name: array.ravel().tolist() for name, array in feeds.items()}
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        export = place / "generator/onnx"
        model_json.write_folder(export, {"generator": graph}, {"run": "generator"})
        (export.parent / "README.md").write_text("")
        folder.write_page(place / "page", export, {"generator": export})
        works: dict[str, Callable[[], Any]] = {}
        for threads in (1, 2):
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            session = onnxruntime.InferenceSession(export / "generator.onnx", options)
            works[f"native, threads: {threads}"] = lambda session=session: session.run(None, feeds)
        started = stack.enter_context(browser.chromium())
        milliseconds = {}
        for name, handler in (("wasm, threads: 1", Plain), ("wasm, threads: cores", server.Handler)):
            visit = browser.Visit(started, stack.enter_context(browser.served(place / "page", handler)))
            visit.page.goto(visit.address)
            opened = visit.page.evaluate(OPEN)
            milliseconds |= {f"{name}, {what}": value for what, value in opened.items()}
            works[name] = lambda visit=visit: visit.page.evaluate(RUN, listed)
        yield works, milliseconds
