"""Networks in ONNX files that a user may bring, run by onnxruntime, an extra, on the CPU.

The file is not trusted: its input and the type of its output are checked here, and what comes out by the caller. It
must hold all of its weights, so that its sha256 says what was computed."""

import importlib.util
import mmap
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.errors import UserError

_EXTERNAL_WEIGHTS = b"\x0a\x08location"  # the key of TensorProto.external_data: weights in another file


def check_installed() -> None:
    """Raise UserError unless onnxruntime is installed."""
    if importlib.util.find_spec("onnxruntime") is None:
        cure = "pip install 'anime-face-gans[onnx]'"
        raise UserError("onnxruntime", "it is not installed", "the package, which runs ONNX files", cure)


class OnnxNetwork:
    """An ONNX file as a function: a batch, float32, -> the first output, float32.

    `shape`: that of one input, without the batch; None where any is right. `threads`: 0 for one per core. Raise
    UserError if the file cannot be read, or is of another shape."""

    def __init__(self, path: str | Path, shape: Sequence[int | None], threads: int = 0) -> None:
        check_installed()
        import onnxruntime  # an extra

        self.path = path
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 4  # 4: the error is raised, not printed too
        try:
            with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                if content.find(_EXTERNAL_WEIGHTS) >= 0:
                    raise ValueError("its weights are in another file")
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            ports = [*self._session.get_inputs(), *self._session.get_outputs()[:1]]
            names, types, shapes = zip(*((port.name, port.type, port.shape) for port in ports), strict=True)
            self.metadata: dict[str, str] = self._session.get_modelmeta().custom_metadata_map
        except Exception as error:  # those of onnxruntime have no base of their own
            raise self.error(f"it cannot be read ({_one_line(error)})", "a network in one ONNX file") from error
        if len(ports) != 2 or set(types) != {"tensor(float)"} or not _fits(shapes[0], (None, *shape)):
            found = ", ".join(f"{type_} {size}" for type_, size in zip(types, shapes, strict=True))[:200]
            raise self.error(f"its inputs and its output are {found}", f"float32, and one input of {[None, *shape]}")
        self._input, self._output = names
        self._batch, *self.shape = (size if isinstance(size, int) else None for size in shapes[0])

    def error(self, found: str, expected: str) -> UserError:
        """Return the error of a file that is not as expected."""
        return UserError(self.path, found, expected, "give another; if it is deleted, the usual one is fetched")

    def output_error(self, found: np.ndarray, expected: str) -> UserError:
        """Return the error of an output that is not as expected."""
        ends = f"{found.min(initial=0):g} to {found.max(initial=0):g}"
        return self.error(f"its output is {found.shape}, {ends}", expected)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the output of a batch, which is run in parts if the file fixes their size. Raise UserError."""
        size = self._batch or len(x)
        try:
            parts = (x[at : at + size] for at in range(0, len(x), size))
            return np.concatenate([self._session.run([self._output], {self._input: part})[0] for part in parts])
        except Exception as error:  # as above
            raise self.error(f"it cannot be run ({_one_line(error)})", f"a network for {x.shape}") from error


def _fits(found: Sequence[int | str | None], wanted: Sequence[int | None]) -> bool:
    """Return whether a shape is as wanted: sizes that are no numbers are free."""
    pairs = zip(found, wanted, strict=False)
    return len(found) == len(wanted) and all(b is None or a == b or not isinstance(a, int) for a, b in pairs)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
