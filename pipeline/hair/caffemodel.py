"""The weights of a Caffe network, out of its binary file into the same network in torch.

OpenCV reads the file, with the layers in the first form of Caffe or the present one. The file is not trusted: its size
and the shape of every blob are compared with the network, and all weights must be finite.
"""

import contextlib
import logging
from pathlib import Path

import cv2
import numpy as np
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.numpy import save
from safetensors.torch import load_file
from torch import nn

from pipeline.assets import cache_folder
from pipeline.errors import UserError
from pipeline.store import remove, replace_file, sha256_of

MAX_SETTINGS_BYTES = 1 << 20  # bytes: names and settings; far more than any network has
BLOBS = ("weight", "bias")  # of a layer, in their order

logger = logging.getLogger("luigi-interface")


def load_into(network: nn.Module, path: Path) -> None:
    """Load into each convolution and linear layer of `network`, which may be on the meta device, the weights of the
    caffemodel's layer of the same name. They are converted to safetensors once, in the user's cache. Raise
    UserError."""
    check(path, network)
    converted = cache_folder() / f"{type(network).__name__.lower()}-{sha256_of(path)}.safetensors"
    try:
        converted.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(str(converted.with_suffix(".lock"))):
            with contextlib.suppress(FileNotFoundError, SafetensorError, RuntimeError):  # not made yet, or damaged
                network.load_state_dict(load_file(converted), assign=True)
                return
            work = converted.with_suffix(".work")
            remove(work)  # of a killed process
            weights = read(path, network)
            work.mkdir()
            replace_file(converted, save(weights), scratch=work)
            work.rmdir()
            logger.info("converted %s into %s", path, converted)
            network.load_state_dict(load_file(converted), assign=True)
    except (OSError, SafetensorError) as error:
        expected = "a cache folder that can be written to, and has room"
        raise UserError(converted, str(error), expected, "correct it, or set XDG_CACHE_HOME to one that is") from error


def check(path: Path, network: nn.Module) -> None:
    """Raise UserError if the first bytes or the size of the file are not those of a caffemodel of the network."""
    least = sum(4 * part.numel() for part in network.state_dict().values())
    try:
        with open(path, "rb") as file:
            is_page, size = file.read(512).lstrip()[:1] == b"<", file.seek(0, 2)
    except OSError as error:
        raise UserError(path, error.strerror or str(error), "a caffemodel", "look at the path") from error
    if is_page:
        raise _damaged(path, network, "a web page")
    if not least <= size <= 2 * least + MAX_SETTINGS_BYTES:  # one layer more than is wanted may be in it
        raise _damaged(path, network, f"{size:,} bytes, and its weights alone are {least:,}")


def read(path: Path, network: nn.Module) -> dict[str, np.ndarray]:
    """Return the caffemodel's weights as the network's state dict. Raise UserError unless all of them are there, of the
    network's shapes, and finite."""
    wanted = {name: tuple(part.shape) for name, part in network.state_dict().items()}
    text = 'input: "data" input_dim: 1 input_dim: 1 input_dim: 1 input_dim: 1\n'  # OpenCV reads weights of such layers:
    for layer in dict.fromkeys(name.partition(".")[0] for name in wanted):
        settings = 'type: "Convolution" convolution_param { num_output: 1 kernel_size: 1 }'
        text += f'layer {{ name: "{layer}" bottom: "data" top: "{layer}" {settings} }}\n'
    weights, name = {}, "its layers"
    try:
        net = cv2.dnn.readNetFromCaffe(np.frombuffer(text.encode(), np.uint8), np.memmap(path, np.uint8, "r"))
        for name, shape in wanted.items():
            layer, _, kind = name.partition(".")
            blob = net.getParam(layer, BLOBS.index(kind))
            # The first form has four dimensions for everything.
            if [size for size in blob.shape if size > 1] != [size for size in shape if size > 1]:
                raise _damaged(path, network, f"{name} has the shape {blob.shape} instead of {shape}")
            weights[name] = blob.reshape(shape)
            if not np.isfinite(blob).all():
                raise _damaged(path, network, f"{name} has weights that are no numbers")
    except cv2.error as error:
        raise _damaged(path, network, f"OpenCV cannot read {name} ({' '.join(error.err.split())[:200]})") from error
    return weights


def _damaged(path: Path, network: nn.Module, found: str) -> UserError:
    names = dict.fromkeys(name.partition(".")[0] for name in network.state_dict())
    return UserError(path, found, f"a caffemodel with {', '.join(names)}", "download it again")
