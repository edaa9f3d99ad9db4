"""Networks in ONNX files of the user's: what is added to onnxruntime's own time. Run by tests/benchmarks."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from PIL import Image

from pipeline.faces import detect
from pipeline.faces.boxes import Face
from pipeline.faces.crop import crop
from pipeline.faces.views import Pyramid
from pipeline.faces.yolo import YOLO
from pipeline.hair import tagging, wd
from pipeline.store import Store
from tests.support import onnx_files
from tests.support.onnx_files import spotted

SIDE = 1200  # px of the pictures
WIDTH = 64  # of the ballast's convolutions
YOLO_DEPTH = 4  # of the ballast: 8.7 GFLOP, as the size n of YOLOv8; the size s, which is fetched, has 28
WD_DEPTH = 64  # 60 GFLOP, half of a ViT-B's at 448 px


def with_ballast(content: bytes, depth: int) -> bytes:
    """The same network with convolutions that cost time, and add 0 to its output: `depth` at a quarter of its size."""
    model = onnx.load_from_string(content)
    graph, nodes = model.graph, []
    pixels, output = graph.input[0].name, graph.output[0].name
    graph.node[-1].output[0] = "computed"
    if graph.input[0].type.tensor_type.shape.dim[3].dim_value == 3:
        nodes.append(helper.make_node("Transpose", [pixels], ["first"], perm=[0, 3, 1, 2]))
        pixels = "first"
    for i, (of, to) in enumerate([(3, WIDTH // 2), (WIDTH // 2, WIDTH), *[(WIDTH, WIDTH)] * depth]):
        weights = np.random.default_rng(i).normal(0, 0.05, (to, of, 3, 3)).astype(np.float32)
        graph.initializer.append(numpy_helper.from_array(weights, f"weights{i}"))
        how = {"strides": [1 + (i < 2)] * 2, "pads": [1] * 4}
        nodes.append(helper.make_node("Conv", [pixels, f"weights{i}"], [f"conv{i}"], **how))
        pixels = f"conv{i}"
    graph.initializer.append(numpy_helper.from_array(np.float32(0), "nothing"))
    nodes += [
        helper.make_node("ReduceMax", [pixels], ["ballast_most"], keepdims=0),
        helper.make_node("Clip", ["ballast_most", "nothing", "nothing"], ["ballast_zero"]),
        helper.make_node("Add", ["computed", "ballast_zero"], [output]),
    ]
    graph.node.extend(nodes)
    return model.SerializeToString()


def bare(content: bytes, threads: int) -> Callable[[np.ndarray], list]:
    """onnxruntime itself."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})


@contextlib.contextmanager
def network_works(count: int) -> Iterator[dict[str, Callable[[], object]]]:
    """Of each network: `count` pictures from their pixels, or faces from their files, to the result, and a bare loop of
    onnxruntime over the same batches. Of YOLO also over batches of eight, in as many threads: one."""
    contents = {"yolo": with_ballast(onnx_files.yolo((640, 640)), YOLO_DEPTH)}
    contents["wd"] = with_ballast(onnx_files.wd({"red_hair": (9, 0, 0)}), WD_DEPTH)
    with tempfile.TemporaryDirectory() as root:
        own, store = onnx_files.put(Path(root) / "own", **contents, tags=onnx_files.tag_list()), Store(Path(root))
        spots = (300, 300), (700, 500), (500, 900)
        pictures = [spotted(SIDE, SIDE, *spots[i % 3 :]) for i in range(count)]
        for i, picture in enumerate(pictures):
            Image.fromarray(picture).save(store.root / f"{i}.png", compress_level=1)

        asset, detector, yolo = str(own / "yolo.onnx"), YOLO(str(own / "yolo.onnx")), bare(contents["yolo"], 1)
        copies = [detector.prepare(p.show(detector.view(p, 0))) for p in map(Pyramid, pictures)]
        face, row = Face((400.0, 400.0, 800.0, 800.0), 0.0, 1.0), tagging.NETWORKS["wd"]
        faces, context = [(f"{i}.png", [face]) for i in range(count)], tagging.TaggerContext(store, own, 0)
        crops = [crop(picture, face, size=row.size, box_scale=row.scale) for picture in pictures]
        batches = [wd.Tagger.prepare(crops[at : at + wd.BATCH]) for at in range(0, count, wd.BATCH)]
        tagger, how = bare(contents["wd"], 0), {"finder": "yolo", "asset": asset, "sweep": "fast", "min_face": 48}
        yield {
            "yolo": lambda: [detect.find(picture, **how) for picture in pictures],
            "yolo, bare": lambda: [yolo(copy) for copy in copies],
            "yolo, bare, 8 at once": lambda: [yolo(np.concatenate(copies[at : at + 8])) for at in range(0, count, 8)],
            "wd": lambda: list(tagging._run_network(row, faces, context)),
            "wd, bare": lambda: [tagger(batch) for batch in batches],
        }
