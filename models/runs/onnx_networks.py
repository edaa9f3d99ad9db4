"""The networks of a run as graphs for ONNX."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from models.data.dataset import CLIP_FRAMES
from models.data.resampling import SCALE
from models.papers import blink, esrgan, seam, srgan, stargan2, super_resolution, ugatit, videogan
from models.runs.onnx_graph import Graph, Port


def _picture(name: str, network: Any, size: int, *times: int | str) -> Port:
    return Port(name, "picture", ("n", *times, 3, size, size), network.middle)


def _faces(network: Any, size: int) -> Graph:
    """Return the graph of a `Generator`."""
    inputs = [Port("z", "normal" if getattr(network, "normal", False) else "uniform", ("n", network.latent))]
    if labels := getattr(network, "labels", ()):
        inputs.append(Port("labels", "weights", ("n", len(labels))))
    return Graph(network, tuple(inputs), (_picture("picture", network, size),))


def _pair(network: Any, size: int) -> Graph:
    return Graph(network, (_picture("picture", network, size),), (_picture("translation", network, size),))


def _styled(network: Any, size: int) -> Graph:
    style = Port("style", "numbers", ("n", network.style))
    return Graph(network, (_picture("picture", network, size), style), (_picture("translation", network, size),))


def _mapping(network: Any, size: int) -> Graph:
    inputs = Port("z", "normal", ("n", network.latent)), Port("domain", "weights", ("n", network.domains))
    return Graph(network, inputs, (Port("style", "numbers", ("n", network.style)),))


def _style_encoder(network: Any, size: int) -> Graph:
    picture = Port("picture", "picture", ("n", 3, size, size), stargan2.Generator.middle)
    domain = Port("domain", "weights", ("n", network.domains))
    return Graph(network, (picture, domain), (Port("style", "numbers", ("n", network.style)),))


class _Paint(nn.Module):
    """What a blink network paints, and its masks."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, picture: Tensor, flow: Tensor, openness: Tensor) -> tuple[Tensor, Tensor]:
        painted, mask = self.network.paint(picture, flow, openness)
        return painted, mask


def blinking(network: Any, size: int = 0) -> Graph:
    """Return the graph of a `BlinkUNet`, for one region and any number of frames; with a 3-D network for a clip's."""
    time = "t" if network.clip is None else CLIP_FRAMES
    inputs = (
        Port("picture", "picture", (1, 3, *network.shape), network.middle),
        Port("flow", "flow", (1, time, 2, *network.shape)),
        Port("openness", "share", (1, time)),
    )
    painted = Port("painted", "picture", (1, time, 3, *network.shape), network.middle)
    mask = Port("mask", "share", (1, time, 1, *network.shape))
    facts = {"region": network.region, "openness": network.openness}
    return Graph(_Paint(network), inputs, (painted, mask), facts)


def _clip(network: Any, size: int) -> Graph:
    inputs = [_picture("picture", network, size)]
    if network.memory is not None:
        inputs.append(_picture("reference", network, size, network.frames))
    return Graph(network, tuple(inputs), (_picture("clip", network, size, network.frames),))


def _refiner(network: Any, size: int) -> Graph:
    ring = Port("ring", "share", ("n", 1, size, size))
    inputs = _picture("pasted", network, size), ring, _picture("original", network, size)
    return Graph(network, inputs, (_picture("refined", network, size),))


def _upscaler(network: Any, size: int) -> Graph:
    """Return the graph for pictures of any size; what it returns may be beyond 0 to 1."""
    low, high = Port("low", "levels", ("n", 3, "h", "w")), Port("high", "levels", ("n", 3, f"{SCALE}*h", f"{SCALE}*w"))
    return Graph(network, (low,), (high,), {"scale": SCALE, "reach": network.reach})


GRAPHS: dict[type[nn.Module], Callable[[Any, int], Graph]] = {
    ugatit.Generator: _pair,
    stargan2.Generator: _styled,
    stargan2.MappingNetwork: _mapping,
    stargan2.StyleEncoder: _style_encoder,
    blink.BlinkUNet: blinking,
    videogan.Generator: _clip,
    seam.SeamRefiner: _refiner,
    super_resolution.Compact: _upscaler,
    srgan.SRResNet: _upscaler,
    esrgan.RRDBNet: _upscaler,
}
"""By class: (network, side of its pictures in px) -> its graph. Other classes satisfy `contracts.Generator`."""


def graph_of(network: nn.Module, size: int) -> Graph:
    """Return the graph of a network that a run exports, of pictures of `size` px."""
    return GRAPHS.get(type(network), _faces)(network, size)
