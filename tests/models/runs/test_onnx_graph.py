"""Networks as ONNX files: what onnxruntime computes of them is what torch does."""

import itertools
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from torch import nn

import models
from models.data.dataset import UserError
from models.nn.layers import to_channels_last
from models.runs import onnx_graph, onnx_networks
from models.runs.onnx_graph import Graph, Port
from models.zoo import MODELS

ALL = {(model, row.networks[name]): name for model, row in MODELS.items() for name in row.exported[::-1]}
NETWORKS = sorted(  # of those of a model that are built alike one
    [(model, name) for (model, _), name in ALL.items()], key=[("sagan", "generator")].__contains__, reverse=True
)
OTHER_SIDES = {"n": 1, "t": 2, "h": 40, "w": 48}  # neither the traced nor the golden ones


def tiny(model: str, name: str) -> Graph:
    """A network with its first weights, and batch statistics as after a training, laid out as for training."""
    torch.manual_seed(1)
    config = MODELS[model].presets["tiny"]
    network = MODELS[model].networks[name](config)
    for layer in network.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.running_mean.normal_(0, 0.3)
            layer.running_var.uniform_(0.5, 2)
    network = to_channels_last(network).eval().requires_grad_(False)
    return onnx_networks.graph_of(network, config.size)


def linear(scale: float) -> Graph:
    layer = nn.Linear(32, 32).eval().requires_grad_(False)
    layer.weight.mul_(scale)
    return Graph(layer, (Port("x", "normal", ("n", 32)),), (Port("y", "numbers", ("n", 32)),))


@pytest.mark.full(keep=1)
@pytest.mark.parametrize(("model", "name"), NETWORKS)
def test_a_file_computes_what_torch_does_for_any_number_of_inputs(model, name):
    graph = tiny(model, name)
    made = onnx_graph.export_graph(name, graph)
    assert made.precision == "fp16"
    inputs = graph.drawn_inputs(OTHER_SIDES)
    with torch.no_grad():
        outputs = graph.network(*inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    arrays = [tensor.numpy() for tensor in inputs], [tensor.numpy() for tensor in outputs]
    assert onnx_graph.error_of(made.content, *arrays) < onnx_graph.MAX_HALF_ERROR
    file = onnx.load_from_string(made.content)
    for ports, written, golden in (
        (graph.inputs, file.graph.input, made.golden),
        (graph.outputs, file.graph.output, made.golden[len(inputs) :]),
    ):
        shapes = [tuple(d.dim_param or d.dim_value for d in port.type.tensor_type.shape.dim) for port in written]
        assert [(port.name, port.shape) for port in ports] == list(zip([p.name for p in written], shapes, strict=True))
        sizes = [port.sized(onnx_graph.GOLDEN_SIDES) for port in ports]
        assert sizes == [array.shape for array in itertools.islice(golden, len(sizes))]


def test_a_file_is_plain_and_says_nothing_of_this_machine():
    graph = tiny("dcgan96", "generator")
    content = onnx_graph.export_graph("generator", graph).content
    assert content == onnx_graph.export_graph("generator", graph).content
    file = onnx.load_from_string(content)
    operators = {node.op_type for node in file.graph.node}
    assert operators == {"Cast", "Gemm", "Reshape", "Relu", "ConvTranspose"}  # the batch normalisations are folded
    large = [weight for weight in file.graph.initializer if np.prod(weight.dims) >= onnx_graph.MIN_HALVED]
    assert large
    assert all(weight.data_type == TensorProto.FLOAT16 for weight in large)
    for module in (models, torch):
        assert str(Path(module.__file__).parent).encode() not in content


def test_weights_that_half_precision_cannot_hold_stay_as_they_are():
    made = onnx_graph.export_graph("linear", linear(1e7))
    assert made.precision == "fp32"
    assert made.error < onnx_graph.MAX_ERROR


def test_a_file_that_computes_something_else_is_refused(monkeypatch):
    monkeypatch.setattr(onnx_graph, "error_of", lambda *arrays: float("nan"))
    with pytest.raises(UserError, match=r"linear\.onnx: differs from torch by nan"):
        onnx_graph.export_graph("linear", linear(1))
