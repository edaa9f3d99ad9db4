"""The weights of a Caffe network, out of its binary file into the same network in torch.

A caffemodel is one message of protocol buffers, `NetParameter`: layers with a name and blobs of floats, in the first
form (`layers`) or the present one (`layer`). Fields: https://github.com/BVLC/caffe/blob/master/src/caffe/proto/caffe.proto;
how they lie in bytes: https://protobuf.dev/programming-guides/encoding/.

The file is not trusted: every length is compared with the bytes that are left, and every blob with the shape of the
network's parameter. Nothing is copied, and other layers are skipped.
"""

import contextlib
import hashlib
import logging
import math
import mmap
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.numpy import save_file
from safetensors.torch import load_file
from torch import Tensor, nn

from pipeline.assets import cache_folder
from pipeline.errors import UserError

Shapes = Mapping[str, tuple[tuple[int, ...], ...]]
"""Name of a layer -> the shape of each of its blobs."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types
LAYERS = {2: (4, 6), 100: (1, 7)}  # field of NetParameter: layers, layer -> fields of the layer's name and blobs
DIMENSIONS, DATA, SHAPE = (1, 2, 3, 4), 5, 7  # fields of BlobProto; the first four are the shape's first form
MAX_FIELDS = 1_000  # of one message: a million of all layers; a network has some dozens of layers of some dozens
MAX_SHAPE_BYTES = 320  # of a packed shape: 32 dimensions
MAX_SETTINGS_BYTES = 1 << 20  # bytes: names and settings; far more than any network has

logger = logging.getLogger("luigi-interface")


class _Damaged(Exception):
    """A file that is not a whole caffemodel of the network; args: why."""


def load_into(network: nn.Module, path: Path) -> None:
    """Load into each convolution and linear layer of `network`, which may be on the meta device, the weights of the
    caffemodel's layer of the same name. They are converted to safetensors once, in the user's cache. Raise
    UserError."""
    converted = cache_folder() / f"{type(network).__name__.lower()}-{sha256(path)}.safetensors"
    try:
        converted.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(str(converted.with_suffix(".lock"))):
            weights = _load_converted(converted, network)
            if weights is None:
                _convert(path, network, converted)
                weights = load_file(converted)
    except (OSError, SafetensorError) as error:
        expected = "a cache folder that can be written to, and has room"
        raise UserError(converted, str(error), expected, "correct it, or set XDG_CACHE_HOME to one that is") from error
    network.load_state_dict(weights, assign=True)


def sha256(path: Path) -> str:
    """Return the sha256 of a file, in hex. Raise UserError."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    except OSError as error:
        raise UserError(path, error.strerror or str(error), "a caffemodel", "look at the path") from error
    return digest.hexdigest()


def _load_converted(path: Path, network: nn.Module) -> dict[str, Tensor] | None:
    try:
        weights = load_file(path)
    except (FileNotFoundError, SafetensorError):  # not made yet, or damaged since
        return None
    wanted = {name: weight.shape for name, weight in network.state_dict().items()}
    return weights if wanted == {name: weight.shape for name, weight in weights.items()} else None


def _convert(path: Path, network: nn.Module, converted: Path) -> None:
    found = read(path, _shapes(network))
    weights = {f"{name}.weight": blobs[0] for name, blobs in found.items()}
    weights |= {f"{name}.bias": blobs[1] for name, blobs in found.items()}
    # safetensors writes under names of its own: a folder makes it possible to remove what a killed process left.
    work = converted.with_suffix(".work")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        save_file(weights, work / converted.name)
        os.replace(work / converted.name, converted)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    logger.info("converted %s into %s", path, converted)


def _shapes(network: nn.Module) -> Shapes:
    layers = {name: layer for name, layer in network.named_children() if isinstance(layer, nn.Conv2d | nn.Linear)}
    parts = {name: (layer.weight, layer.bias) for name, layer in layers.items()}
    return {name: tuple(tuple(part.shape) for part in pair if part is not None) for name, pair in parts.items()}


def check(path: Path, network: nn.Module) -> None:
    """Raise UserError if the first bytes or the size of the file are not those of a caffemodel of the network."""
    with _open_model(path, _shapes(network)):
        pass


def read(path: Path, shapes: Shapes) -> dict[str, list[np.ndarray]]:
    """Return the float32 blobs of each layer in `shapes`, as views of the mapped file. Raise UserError unless all of
    them are there, of these shapes, and finite."""
    with _open_model(path, shapes) as file:
        return _weights(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)), shapes)


@contextlib.contextmanager
def _open_model(path: Path, shapes: Shapes) -> Iterator[BinaryIO]:
    least = 4 * sum(math.prod(shape) for layer in shapes.values() for shape in layer)
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            if file.read(512).lstrip()[:1] == b"<":  # no message begins so
                raise _Damaged("a web page")
            if not least <= size <= 2 * least + MAX_SETTINGS_BYTES:  # one layer more than is wanted may be in it
                raise _Damaged(f"{size:,} bytes, and its weights alone are {least:,}")
            yield file
    except OSError as error:
        raise UserError(path, error.strerror or str(error), "a caffemodel", "look at the path") from error
    except _Damaged as error:
        raise UserError(path, str(error), f"a caffemodel with {', '.join(shapes)}", "download it again") from error


def _weights(net: memoryview, shapes: Shapes) -> dict[str, list[np.ndarray]]:
    found: dict[str, list[np.ndarray]] = {}
    fields = _fields(net)
    for form, (name_field, blobs_field) in LAYERS.items():
        for layer in map(_fields, fields[form, BYTES]):
            name = "".join(str(text[:100], "utf-8", "replace") for text in layer[name_field, BYTES][-1:])
            if name not in shapes or not (blobs := layer[blobs_field, BYTES]):
                continue
            if name in found:
                raise _Damaged(f"it has {name} twice")
            if len(blobs) != len(shapes[name]):
                raise _Damaged(f"{name} has {len(blobs)} blobs instead of {len(shapes[name])}")
            found[name] = [_blob(name, blob, shape) for blob, shape in zip(blobs, shapes[name], strict=True)]
    if missing := [name for name in shapes if name not in found]:
        raise _Damaged(f"it has no weights of {', '.join(missing)}")
    return found


def _blob(name: str, message: memoryview, shape: tuple[int, ...]) -> np.ndarray:
    fields = _fields(message)
    if _strip_ones(found := _shape(fields)) != _strip_ones(shape):
        raise _Damaged(f"{name} has a blob of shape {str(found)[:80]} instead of {shape}")
    sizes = [len(data) for data in fields[DATA, BYTES]]
    if sizes != [4 * math.prod(shape)]:
        raise _Damaged(f"{name} has a blob of {sum(sizes):,} bytes instead of {4 * math.prod(shape):,}")
    values = np.frombuffer(fields[DATA, BYTES][0], "<f4").reshape(shape)
    if not np.isfinite(values).all():
        raise _Damaged(f"{name} has weights that are no numbers")
    return values


def _shape(blob: dict[tuple[int, int], list]) -> tuple[int, ...]:
    if not blob[SHAPE, BYTES]:
        return tuple((blob[number, VARINT] or [0])[-1] for number in DIMENSIONS)
    fields = _fields(blob[SHAPE, BYTES][-1])
    sizes = list(fields[1, VARINT])
    for packed in fields[1, BYTES]:
        at, packed = 0, packed[:MAX_SHAPE_BYTES]
        while at < len(packed):
            size, at = _varint(packed, at)
            sizes.append(size)
    return tuple(sizes)


def _strip_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape without leading ones: the first form has four dimensions for everything."""
    while shape[:1] == (1,):
        shape = shape[1:]
    return shape


def _fields(message: memoryview) -> dict[tuple[int, int], list]:
    """Return {(number, wire type): values of that field in their order}, varints as ints, all others as views."""
    fields: dict[tuple[int, int], list] = defaultdict(list)
    value: int | memoryview
    at = count = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, at = _varint(message, at)
        elif wire in (FIXED64, BYTES, FIXED32):
            size, at = _varint(message, at) if wire == BYTES else ({FIXED64: 8, FIXED32: 4}[wire], at)
            if size > len(message) - at:
                raise _Damaged(f"it ends before its content does: {size:,} bytes announced, {len(message) - at:,} left")
            value, at = message[at : at + size], at + size
        else:
            raise _Damaged("no message of protocol buffers")
        if (count := count + 1) > MAX_FIELDS:
            raise _Damaged(f"more than {MAX_FIELDS:,} fields in one message")
        fields[number, wire].append(value)
    return fields


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return (the number that begins at `at`, where it ends): seven bits a byte, the lowest first."""
    value = 0
    for shift, byte in enumerate(message[at : at + 10]):
        value |= (byte & 127) << (7 * shift)
        if byte < 128:
            return value, at + shift + 1
    raise _Damaged("it ends, or is damaged, within a number")
