"""The page's modules, called in Node; a network that they run is run here."""

import base64
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from models import page

MODULES = Path(page.__file__).parent / "static"
KINDS = {"Uint8ClampedArray": np.uint8, "Uint8Array": np.uint8, "Float32Array": "<f4", "Float64Array": "<f8"}


class Engine(NamedTuple):
    """What the page's modules run networks with: model.json, and (name, inputs) -> outputs."""

    about: dict[str, Any]
    run: Callable[[str, dict[str, np.ndarray]], dict[str, np.ndarray]]


class PageModules:
    """A process of Node. Pictures (H, W, C) uint8 or float32 are pictures there, and tensors (N, …) float32 tensors."""

    def __init__(self) -> None:
        node = shutil.which("node")
        if node is None:
            pytest.skip("Node.js is not installed")
        host = Path(__file__).with_name("page_host.mjs")
        self._process = subprocess.Popen([node, host], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, module: str, source: str, *args: Any) -> Any:
        """Return what a function of a module returns of the arguments.

        `source` is its name; or a function in JavaScript, in which `m` is the module, and load(name) another one."""
        engines = [arg for arg in args if isinstance(arg, Engine)]
        self._send({"folder": f"{MODULES.as_uri()}/", "module": module, "source": source, "args": args})
        while "run" in (answer := self._receive()):
            self._send(engines[0].run(answer["run"]["name"], answer["run"]["feeds"]), tensors=True)
        assert "error" not in answer, answer["error"]
        return answer["value"]

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()

    def _send(self, message: Any, *, tensors: bool = False) -> None:
        self._process.stdin.write(_encoded(message, tensors) + "\n")
        self._process.stdin.flush()

    def _receive(self) -> Any:
        return _decoded(json.loads(self._process.stdout.readline()))


def _encoded(message: Any, tensors: bool) -> str:
    def encode(value: Any) -> Any:
        if isinstance(value, Engine):
            return {"kind": "engine", "about": value.about}
        if isinstance(value, dict):
            return {key: encode(each) for key, each in value.items()}
        if isinstance(value, (list, tuple)):
            return [encode(each) for each in value]
        if isinstance(value, np.ndarray):
            return _array(value, tensors)
        return value.item() if isinstance(value, np.generic) else value

    return json.dumps(encode(message))


def _array(array: np.ndarray, is_tensor: bool) -> dict[str, Any]:
    kind, dtype = ("Uint8ClampedArray", np.uint8) if array.dtype == np.uint8 else ("Float32Array", "<f4")
    data = {"kind": kind, "base64": base64.b64encode(array.astype(dtype).tobytes()).decode()}
    if is_tensor or array.ndim != 3:
        return {"dims": array.shape, "data": data}
    return {"height": array.shape[0], "width": array.shape[1], "data": data}


def _decoded(value: Any) -> Any:
    if isinstance(value, list):
        return [_decoded(each) for each in value]
    if not isinstance(value, dict):
        return value
    if value.get("kind") == "number":
        return float(value["text"].replace("Infinity", "inf"))
    if "base64" in value:
        return np.frombuffer(base64.b64decode(value["base64"]), KINDS[value["kind"]])
    decoded = {key: _decoded(each) for key, each in value.items()}
    if decoded.keys() == {"width", "height", "data"}:
        return decoded["data"].reshape(decoded["height"], decoded["width"], -1)
    return decoded["data"].reshape(decoded["dims"]) if decoded.keys() == {"dims", "data"} else decoded
