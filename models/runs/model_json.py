"""A folder with networks as ONNX files, and model.json: what a program that uses them has to know."""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models.data.dataset import read_json
from models.files import atomic_open
from models.runs import card, export
from models.runs.onnx_graph import OPSET, Graph, export_graph

NAME = "model.json"
GOLDEN = ".golden.bin"  # the ending of golden files
FORMAT = 2  # of model.json
MAX_PRIORS = 1000  # combinations of labels, the most frequent ones
_ATTRIBUTES = {
    "weights": str,
    "samples": int,
    "counts": {str: int},
    "obedience": {str: [(float, int)]},
    "obedience_strengths": [(float, int)],
    "vectors": {str: [(float, int)]},
}


def write_folder(folder: Path, graphs: Mapping[str, Graph], about: dict[str, Any]) -> None:
    """Write NAME.onnx and NAME.golden.bin of each graph, and model.json last. Raise UserError if a graph cannot be
    exported.

    NAME.golden.bin has the golden inputs and then the outputs, one after another: little-endian float32."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NAME).unlink(missing_ok=True)  # of files that are replaced now
    networks = {}
    for name, graph in graphs.items():
        made = export_graph(name, graph)
        golden = b"".join(array.astype("<f4").tobytes() for array in made.golden)
        for ending, content in ((".onnx", made.content), (GOLDEN, golden)):
            with atomic_open(folder / f"{name}{ending}") as file:
                file.write(content)
        networks[name] = {
            "file": f"{name}.onnx",
            "bytes": len(made.content),
            "sha256": hashlib.sha256(made.content).hexdigest(),
            "precision": made.precision,
            "golden": {
                "file": f"{name}{GOLDEN}",
                "shapes": [array.shape for array in made.golden],
                "error": _rounded_up(made.error),
            },
            **describe_graph(graph),
        }
    described = {"format": FORMAT, **about, "opset": OPSET, "networks": networks}
    with atomic_open(folder / NAME, "w") as text:
        text.write(json.dumps(described, ensure_ascii=False) + "\n")


def describe_graph(graph: Graph) -> dict[str, Any]:
    """Return what model.json says of a network, but for its files: inputs, outputs, and what its user needs."""
    ports = {"inputs": graph.inputs, "outputs": graph.outputs}
    return {name: [port.describe() for port in each] for name, each in ports.items()} | dict(graph.facts)


def _rounded_up(error: float) -> float:
    """Return an error with two digits, no smaller than it is."""
    if not error:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(error)) - 1)
    return float(f"{math.ceil(error / unit) * unit:.2g}")


def is_whole(folder: Path) -> bool:
    """Return whether all files that model.json names are there, of the sizes that it names."""
    try:
        content: Any = read_json(
            folder / NAME, {"networks": {str: {"file": str, "bytes": int, "golden": {"file": str}}}}
        )
        networks = content["networks"].values()
        return all((folder / each["golden"]["file"]).is_file() for each in networks) and all(
            (folder / each["file"]).stat().st_size == each["bytes"] for each in networks
        )
    except (OSError, ValueError):
        return False


def describe_labels(run: Path, counts: dict[str, int]) -> list[dict[str, Any]]:
    """Return of each label of a run how many faces had it that it was trained on, and how often it is obeyed: the share
    of samples that the hair tagger gives that colour; None where EvaluateGAN has not measured it."""
    measured = (card.read_evaluation(run) or {}).get("hair_accuracy_by_color") or {}
    return [
        {"name": name, "count": count, "obeyed": _share(measured.get(name.removesuffix("_hair")))}
        for name, count in counts.items()
    ]


def describe_priors(conditions: np.ndarray) -> list[dict[str, Any]]:
    """Return the combinations of labels among conditions (N, T), the most frequent first: the numbers of the labels
    that are 1, and the share of the rows."""
    found, counts = np.unique(conditions > 0, axis=0, return_counts=True)
    rows = sorted(zip(counts.tolist(), (np.flatnonzero(row).tolist() for row in found), strict=True), reverse=True)
    return [{"labels": labels, "share": _share(count / len(conditions))} for count, labels in rows[:MAX_PRIORS]]


def describe_attributes(run: Path, latent: int) -> list[dict[str, Any]]:
    """Return of each attribute that LearnAttributes has found of the run's present weights: its vector (Z,); the share
    of samples that have it; and the shares that have it when its vector is added at each of `strengths`. [] if there is
    no attributes.json of these weights."""
    try:
        found: Any = read_json(run / "attributes.json", _ATTRIBUTES)
    except (FileNotFoundError, ValueError):
        return []
    names, sizes = found["vectors"].keys(), {len(vector) for vector in found["vectors"].values()}
    is_whole = names <= found["counts"].keys() & found["obedience"].keys() and sizes <= {latent}
    if not is_whole or found["weights"] != export.weights_sha256(run):
        return []
    return [
        {
            "name": name,
            "vector": [float(f"{number:.5g}") for number in vector],
            "share": _share(found["counts"][name] / max(1, found["samples"])),
            "strengths": found["obedience_strengths"],
            "obeyed": [_share(share) for share in found["obedience"][name]],
        }
        for name, vector in found["vectors"].items()
    ]


def _share(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6)
