"""Networks of this process for the page's modules, described as model.json describes them."""

from typing import Any

import numpy as np
import torch

from models.runs.onnx_graph import Graph
from tests.support.page_modules import Engine


def engine_of(graphs: dict[str, Graph], **about: Any) -> Engine:
    """Return an engine of graphs by name; `about` is what else model.json says."""

    def run(name: str, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        graph = graphs[name]
        with torch.no_grad():
            computed = graph.network(*(torch.tensor(feeds[port.name]) for port in graph.inputs))
        outputs = computed if isinstance(computed, tuple) else (computed,)
        return {port.name: tensor.numpy() for port, tensor in zip(graph.outputs, outputs, strict=True)}

    networks = {
        name: {
            "inputs": [port.describe() for port in graph.inputs],
            "outputs": [port.describe() for port in graph.outputs],
            **graph.facts,
        }
        for name, graph in graphs.items()
    }
    return Engine({"networks": networks, **about}, run)
