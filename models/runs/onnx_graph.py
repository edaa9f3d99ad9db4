"""A network as an ONNX file: a plain graph of standard operators, checked against torch.

The weights are stored in half precision and cast to fp32 when the file is loaded: wasm has no fast half precision. In
shapes: a name, such as "n", stands for a side that the user of the file chooses.
"""

import contextlib
import copy
import io
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.data.dataset import UserError
from models.seeds import seed_for

VERSION = 1  # to be raised when the same weights give another file
OPSET = 18
MAX_ERROR = 1e-3  # of the graph in fp32, see `error_of`
MAX_HALF_ERROR = 2 / 127.5  # of the weights in half precision: of a picture two grey levels, in its worst pixel
MAX_FOLDED = 1 << 30  # numbers of a constant that is computed on export, such as a normalised weight
MIN_HALVED = 256  # numbers of a weight that is stored in half precision
TRACED_SIDES = {"n": 3, "t": 4, "h": 64, "w": 80}  # free sides while the network is traced, and …
GOLDEN_SIDES = {"n": 2, "t": 3, "h": 96, "w": 72}  # … those of the golden input: other ones, so that they are free
COARSE_PX = 8  # side of the picture that a golden one is enlarged from

Shape = tuple[int | str, ...]


class Kind(NamedTuple):
    """What the numbers of an input or output are."""

    draw: Callable[[tuple[int, ...], torch.Generator], Tensor]  # (shape, rng) -> a golden input
    range: tuple[float, float] | None = None


def _smooth(shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    """Return pictures (…, H, W) in [-1, 1] of blurred spots."""
    coarse = torch.rand((math.prod(shape[:-2]), 1, COARSE_PX, COARSE_PX), generator=rng) * 2 - 1
    return F.interpolate(coarse, size=shape[-2:], mode="bilinear").reshape(shape)


def _one_hot(shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    return torch.eye(shape[1])[torch.randint(shape[1], shape[:1], generator=rng)]


KINDS = {
    "normal": Kind(lambda shape, rng: torch.randn(shape, generator=rng)),
    "uniform": Kind(lambda shape, rng: torch.rand(shape, generator=rng) * 2 - 1, (-1, 1)),
    "weights": Kind(_one_hot, (0, 1)),
    "share": Kind(lambda shape, rng: torch.rand(shape, generator=rng), (0, 1)),
    "picture": Kind(_smooth, (-1, 1)),
    "levels": Kind(lambda shape, rng: (_smooth(shape, rng) + 1) / 2, (0, 1)),
    "flow": Kind(_smooth),
    "numbers": Kind(lambda shape, rng: torch.randn(shape, generator=rng)),
}
"""By name: normal and uniform: z of N(0, 1) or U(-1, 1); weights: one for each label, one-hot or a mixture; share: 0 to
1; picture: RGB, whose 0 is the grey level `middle` and whose -1 is black; levels: RGB, 0 black and 1 white; flow: px;
numbers: any."""


class Port(NamedTuple):
    """An input or output."""

    name: str
    kind: str  # of KINDS
    shape: Shape  # a side is a number, free, such as `h`, or a multiple of a free one: `4*h`
    middle: float | None = None  # of a picture

    def sized(self, sides: dict[str, int]) -> tuple[int, ...]:
        """Return the shape with given free sides."""
        factors = [str(side).split("*") for side in self.shape]
        return tuple(math.prod(sides[each] if each in sides else int(each) for each in side) for side in factors)

    def describe(self) -> dict[str, Any]:
        """Return the port for model.json."""
        facts: dict[str, Any] = {"name": self.name, "kind": self.kind, "shape": list(self.shape)}
        if found := KINDS[self.kind].range:
            facts["range"] = list(found)
        return facts | ({"middle": self.middle} if self.middle is not None else {})


@dataclass(frozen=True)
class Graph:
    """A network to be exported."""

    network: nn.Module
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)  # what else model.json says of it

    def drawn_inputs(self, sides: dict[str, int]) -> list[Tensor]:
        """Return inputs with given free sides, the same each time."""
        rng = torch.Generator().manual_seed(seed_for("golden"))
        return [KINDS[port.kind].draw(port.sized(sides), rng) for port in self.inputs]


class Exported(NamedTuple):
    """A network's file, and what it computes."""

    content: bytes
    precision: str  # of the stored weights: fp16, or fp32 where half precision changes the output too much
    golden: list[np.ndarray]  # float32: inputs, and the outputs that torch computes of them
    error: float  # of the file's outputs, see `error_of`


def check_packages() -> None:
    """Raise UserError unless the packages of the extra `onnx` are installed."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        expected, cure = "the packages onnx, onnxruntime and onnxscript", "pip install 'anime-face-gans[onnx]'"
        raise UserError("ExportONNX", f"{error.name} is not installed", expected, cure) from error


def export_graph(name: str, graph: Graph) -> Exported:
    """Return the file of a graph. Raise UserError if it computes something else than torch, or cannot be run in a
    browser."""
    drawn = graph.drawn_inputs(GOLDEN_SIDES)
    with torch.no_grad():
        computed = graph.network(*drawn)
    inputs = [tensor.numpy() for tensor in drawn]
    outputs = [tensor.contiguous().numpy() for tensor in (computed if isinstance(computed, tuple) else (computed,))]
    model = _traced(graph)
    whole = model.SerializeToString(deterministic=True)
    error = error_of(whole, inputs, outputs)
    if not error <= MAX_ERROR:
        expected = f"an error of {MAX_ERROR:g} at most"
        raise UserError(f"{name}.onnx", f"differs from torch by {error:g}", expected, "report it, with the run")
    _halve(model)
    halved = model.SerializeToString(deterministic=True)
    half_error = error_of(halved, inputs, outputs)
    if half_error <= MAX_HALF_ERROR:
        return Exported(halved, "fp16", [*inputs, *outputs], half_error)
    return Exported(whole, "fp32", [*inputs, *outputs], error)


def error_of(content: bytes, inputs: list[np.ndarray], outputs: list[np.ndarray]) -> float:
    """Return by how much what onnxruntime computes differs from the outputs: the largest difference, relative to the
    largest number of that output if that is more than 1."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    names = [port.name for port in session.get_inputs()]
    computed = session.run(None, dict(zip(names, inputs, strict=True)))
    errors = [
        np.abs(found - wanted).max() / max(1.0, np.abs(wanted).max())
        for found, wanted in zip(computed, outputs, strict=True)
    ]
    return float(np.max(errors))


def _traced(graph: Graph) -> Any:
    """Return the ModelProto, with weights in fp32. Raise UserError for an operator that browsers lack."""
    import onnx
    from onnxscript import optimizer

    network = copy.deepcopy(graph.network).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    names = sorted({side for port in graph.inputs for side in port.shape if isinstance(side, str)})
    free = {name: torch.export.Dim(name, min=1, max=1 << 16) for name in names}
    shapes = tuple({i: free[side] for i, side in enumerate(port.shape) if side in free} for port in graph.inputs)
    with _quiet():
        program = torch.onnx.export(
            network.eval(),
            tuple(graph.drawn_inputs(TRACED_SIDES)),
            dynamo=True,
            opset_version=OPSET,
            input_names=[port.name for port in graph.inputs],
            output_names=[port.name for port in graph.outputs],
            dynamic_shapes=shapes,
            custom_translation_table={torch.ops.aten.scaled_dot_product_attention.default: _attention},
            verbose=False,
        )
        assert program is not None
        optimizer.optimize_ir(program.model, input_size_limit=MAX_FOLDED, output_size_limit=MAX_FOLDED)
        model = program.model_proto
    _strip(model)
    onnx.checker.check_model(model)
    if foreign := sorted({node.op_type for node in model.graph.node if node.domain}):
        raise UserError("ExportONNX", f"operator {foreign[0]}", "operators of ONNX itself", "report it, with the run")
    return model


def _attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
    """Return attention in plain operators: torch's own translation is of four axes alone."""
    from onnxscript import opset18 as op

    scores = op.MatMul(query, op.Transpose(key, perm=[0, 2, 1]))
    return op.MatMul(op.Softmax(op.Mul(scores, op.Constant(value_float=scale)), axis=-1), value)


def _strip(model: Any) -> None:
    """Take away what says where and with what a file was made."""
    model.producer_version, model.doc_string = "", ""
    graph = model.graph
    del model.metadata_props[:], graph.metadata_props[:], graph.value_info[:]
    for part in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]


def _halve(model: Any) -> None:
    """Store large weights in half precision, each with a cast to fp32."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != TensorProto.FLOAT or math.prod(weight.dims) < MIN_HALVED:
            continue
        name, half = weight.name, f"{weight.name}.half"
        with np.errstate(over="ignore"):  # the check sees it
            weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), half))
        casts.append(helper.make_node("Cast", [half], [name], name=f"{name}.cast", to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch from telling how it traces."""
    loggers = [logging.getLogger(name) for name in ("torch", "torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
