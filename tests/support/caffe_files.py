"""Writes Caffe's two files, so that OpenCV can be asked what comes out of them: a network of torch as a caffemodel, and
the description of Illustration2Vec's."""

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import nn

V1_TYPES = {nn.Conv2d: 4, nn.Linear: 14}  # of V1LayerParameter.LayerType: CONVOLUTION, INNER_PRODUCT


def varint(value: int) -> bytes:
    digits = [value >> shift & 127 for shift in range(0, max(1, value.bit_length()), 7)]
    return bytes([*(digit | 128 for digit in digits[:-1]), digits[-1]])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def chunk(field: int, data: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(data)) + data


def blob(values: np.ndarray) -> bytes:
    """With its shape as numbers in one packed field."""
    return chunk(7, chunk(1, b"".join(map(varint, values.shape)))) + chunk(5, values.tobytes())


def v1_blob(values: np.ndarray) -> bytes:
    """With four dimensions, whatever it is."""
    shape = (1,) * (4 - values.ndim) + values.shape
    return b"".join(number(1 + axis, size) for axis, size in enumerate(shape)) + chunk(5, values.tobytes())


def layer(name: str, kind: type, blobs: Iterable[np.ndarray]) -> bytes:
    """As NetParameter has it today."""
    caffe_type = {nn.Conv2d: b"Convolution", nn.Linear: b"InnerProduct"}[kind]
    return chunk(100, chunk(1, name.encode()) + chunk(2, caffe_type) + b"".join(chunk(7, blob(b)) for b in blobs))


def v1_layer(name: str, kind: type, blobs: Iterable[np.ndarray]) -> bytes:
    """As NetParameter had it until 2014."""
    head = chunk(4, name.encode()) + number(5, V1_TYPES[kind])
    return chunk(2, head + b"".join(chunk(6, v1_blob(b)) for b in blobs))


def layers(network: nn.Sequential) -> dict[str, tuple[type, list[np.ndarray]]]:
    """Name -> (kind, [weight, bias]) of those that have weights."""
    return {
        name: (type(of), [of.weight.detach().numpy(), of.bias.detach().numpy()])
        for name, of in network.named_children()
        if type(of) in V1_TYPES
    }


def caffemodel(network: nn.Sequential, write=layer) -> bytes:
    return chunk(1, b"CaffeNet") + b"".join(write(name, *of) for name, of in layers(network).items())


def prototxt(widths: Sequence[Sequence[int]], head: str) -> str:
    """Illustration2Vec's trunk as its authors describe it, and what comes after: all of it in the order of the file."""
    layers = []
    for stage, wides in enumerate(widths, start=1):
        for number, wide in enumerate(wides, start=1):
            settings = f"num_output: {wide} kernel_size: 3 pad: 1"
            layers.append((f"conv{stage}_{number}", f'type: "Convolution" convolution_param {{ {settings} }}'))
            layers.append((f"relu{stage}_{number}", 'type: "ReLU"'))
        layers.append((f"pool{stage}", 'type: "Pooling" pooling_param { pool: MAX kernel_size: 2 stride: 2 }'))
    return _in_order(layers[:-1] + HEADS[head])  # the last stage has no pool


HEADS = {
    "Tagger": [
        ("conv6_4", 'type: "Convolution" convolution_param { num_output: 1539 kernel_size: 3 pad: 1 }'),
        ("pool6", 'type: "Pooling" pooling_param { pool: AVE kernel_size: 7 stride: 1 }'),
        ("prob", 'type: "Sigmoid"'),
    ],
    "Encoder": [("encode1", 'type: "InnerProduct" inner_product_param { num_output: 4096 }')],
}


def _in_order(layers: list[tuple[str, str]]) -> str:
    text = 'input: "data" input_dim: 1 input_dim: 3 input_dim: 224 input_dim: 224\n'
    for before, (name, settings) in zip(["data", *(name for name, _ in layers)], layers, strict=False):
        text += f'layer {{ name: "{name}" bottom: "{before}" top: "{name}" {settings} }}\n'
    return text


def at_random(network: nn.Sequential) -> nn.Sequential:
    """Weights that keep the spread of what goes through: inputs of some 60, outputs of some 2."""
    torch.manual_seed(0)
    named = [of for of in network if type(of) in V1_TYPES]
    for of in named:
        nn.init.kaiming_normal_(of.weight, nonlinearity="relu")
        nn.init.normal_(of.bias, std=0.1)
    named[0].weight.data /= 60
    named[-1].weight.data *= 4
    return network.requires_grad_(False).eval()
