"""Small ONNX files of the forms of real ones: a YOLO that finds what is red, a WD tagger that looks at mean colours."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CELL = 8  # px: of YOLO's finest grid
BOX = 90, 60  # px: width and height of all boxes of `yolo`
REDNESS = {"face": (1, -1, 0), "hand": (-1, -1, 1)}  # of RGB: the probability of each class
COLORS = [f"{color}_hair" for color in "blonde brown black blue pink purple green red silver".split()]
TAGS = [
    *((name, "9") for name in ("general", "sensitive", "questionable", "explicit")),
    *((name, "0") for name in ("1girl", *COLORS, "aqua_hair", "white_hair", "blue_eyes", ">_<", "smile")),
    *((name, "4") for name in ("hatsune_miku", "Saber (fate)")),
]
"""Names and categories of `wd`, in the order of such lists."""


def model(nodes: list, inputs: dict, outputs: dict, metadata: dict[str, str] | None = None, **constants) -> bytes:
    """The file of a graph of float32 inputs and outputs, of these shapes."""
    ports = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in some.items()]
        for some in (inputs, outputs)
    ]
    values = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "graph", *ports, values)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(made, metadata or {})
    onnx.checker.check_model(made)
    return made.SerializeToString()


def spotted(width: int, height: int, *spots: tuple[float, float], color=(255, 0, 0), long: int = 640) -> np.ndarray:
    """A white picture with soft spots of a colour, brightest in their middles. `long`: px to which its longer side will
    be scaled."""
    picture = np.full((height, width, 3), 255.0)
    rows, columns = np.mgrid[:height, :width] + 0.5
    spread = 30 * max(width, height) / long
    for x, y in spots:
        share = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / spread**2)[..., None]
        picture += share * (np.array(color) - picture)
    return picture.astype(np.uint8)


def yolo(
    sides: Sequence[int | str] = ("height", "width"), classes: Sequence[str] = ("face",), batch: int | str = "batch"
) -> bytes:
    """A detector with a box of BOX px at each cell, of the mean redness there."""
    node, rows = helper.make_node, 4 + len(classes)
    nodes = [
        node("AveragePool", ["images"], ["mean"], kernel_shape=[3 * CELL] * 2, strides=[CELL] * 2, pads=[CELL] * 4),
        node("Conv", ["mean", "redness"], ["raw"]),
        node("Clip", ["raw", "zero", "one"], ["likely"]),
        node("ReduceMax", ["likely"], ["any"], axes=[1]),
        node("Mul", ["any", "zero"], ["none"]),
        node("Add", ["none", "cell"], ["cells"]),
        node("CumSum", ["cells", "third"], ["right"]),
        node("CumSum", ["cells", "second"], ["down"]),
        node("Sub", ["right", "half"], ["x"]),
        node("Sub", ["down", "half"], ["y"]),
        node("Add", ["none", "wide"], ["w"]),
        node("Add", ["none", "high"], ["h"]),
        node("Concat", ["x", "y", "w", "h", "likely"], ["maps"], axis=1),
        node("Reshape", ["maps", "shape"], ["output0"]),
    ]
    numbers = {"zero": 0, "one": 1, "cell": CELL, "half": CELL / 2, "wide": BOX[0], "high": BOX[1]}
    return model(
        nodes,
        {"images": [batch, 3, *sides]},
        {"output0": [batch, rows, "boxes"]},
        {"names": str(dict(enumerate(classes))), "stride": "32", "task": "detect"},
        redness=np.float32([REDNESS[name] for name in classes])[..., None, None],
        shape=np.int64([0, rows, -1]),
        second=np.int64(2),
        third=np.int64(3),
        **{name: np.float32(value) for name, value in numbers.items()},
    )


def wd(logits: dict[str, tuple[float, float, float]], tags: Sequence[tuple[str, str]] = TAGS) -> bytes:
    """A tagger whose logit of a tag is -5, and the sum of the mean red, green and blue, 0..1, times these."""
    weights = np.zeros((3, len(tags)), np.float32)
    for i, (name, _) in enumerate(tags):
        weights[:, i] = np.array(logits.get(name, (0, 0, 0)))[::-1] / 255
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["mean", "weights"], ["sum"]),
        helper.make_node("Add", ["sum", "bias"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["output"]),
    ]
    bias = np.full(len(tags), -5, np.float32)
    ports = {"input": ["batch_size", 448, 448, 3]}, {"output": ["batch_size", len(tags)]}
    return model(nodes, *ports, weights=weights, bias=bias)


def tag_list(tags: Sequence[tuple[str, str]] = TAGS) -> str:
    """The text of `selected_tags.csv`."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["tag_id", "name", "category", "count"])
    rows.writerows([number, name, category, 100] for number, (name, category) in enumerate(tags))
    return text.getvalue()


def put(folder: Path, **files: bytes | str) -> Path:
    """The folder, with `yolo` as yolo.onnx, `wd` as wd.onnx and `tags` as wd.csv."""
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        path = folder / {"tags": "wd.csv"}.get(name, f"{name}.onnx")
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder
