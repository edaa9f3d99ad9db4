"""VGG16's convolutions, frozen: features that are close for images that look alike.

Simonyan, Zisserman: "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015,
https://arxiv.org/abs/1409.1556. The weights are ImageNet's, from a file of `pipeline.assets`.
"""

import pickle
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.data.dataset import UserError
from models.seeds import seed_for

WIDTHS = (64, 64, "pool", 128, 128, "pool", 256, 256, 256, "pool", 512, 512, 512, "pool", 512, 512, 512)
BLOCKS = 5  # that end with a pooling, or with the network
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, RGB in 0..1


class VGG16(nn.Sequential):
    """(N, 3, H, W) RGB in 0..1 -> (N, 512, H/16, W/16): `conv5_3` after its ReLU. H and W are 16 px or more."""

    def __init__(self) -> None:
        layers: list[nn.Module] = []
        width = 3
        for wide in WIDTHS:
            if isinstance(wide, str):
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(width, wide, 3, padding=1), nn.ReLU(inplace=True)]
                width = wide
        super().__init__(*layers)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)
        self.requires_grad_(False).eval()

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of images."""
        features: Tensor = super().forward((x - self.mean) / self.std)
        return features

    def block_features(self, x: Tensor, *, activated: bool = True, count: int = BLOCKS) -> list[Tensor]:
        """Return the last map of each of the first `count` blocks: relu1_2, relu2_2, relu3_3, relu4_3 and relu5_3;
        unless `activated` those before the ReLU, conv1_2 to conv5_3."""
        x, found = (x - self.mean) / self.std, []
        layers = list(self)
        for layer, following in zip(layers, [*layers[1:], None], strict=True):
            is_last = following is None or isinstance(following, nn.MaxPool2d)
            if is_last and not activated:
                found.append(x)
                x = x.relu()  # not in place, as the layer's own
            else:
                x = layer(x)
                if is_last:
                    found.append(x)
            if len(found) == count:
                break
        return found


def random_vgg16() -> VGG16:
    """Return the network with weights that are always the same random ones (He et al.), for use without the file."""
    network, rng = VGG16(), torch.Generator().manual_seed(seed_for("VGG16"))
    for layer in network:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=rng)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    return network


def load_vgg16(path: Path) -> VGG16:
    """Return the network with the weights of `vgg16-397923af.pth` or `vgg16.ckpt`. Raise UserError for another file."""
    network = VGG16()
    try:
        if path.suffix == ".pth":
            state = torch.load(path, map_location="cpu", weights_only=True)
            weights = {name.removeprefix("features."): state[name] for name in state if name.startswith("features.")}
        else:
            convolutions = [name for name, layer in network.named_children() if isinstance(layer, nn.Conv2d)]
            weights = _weights_of_arrays(path, convolutions)
        network.load_state_dict(weights)
    except (pickle.UnpicklingError, RuntimeError, KeyError, TypeError, ValueError, EOFError, AttributeError) as error:
        cure = "remove it: it is fetched again"
        raise UserError(path, f"damaged ({str(error)[:120]})", "the weights of VGG16", cure) from error
    return network


def _weights_of_arrays(path: Path, layers: list[str]) -> dict[str, Tensor]:
    """Return the state dict of a pickle of {"VGG16_0": {"Conv_0": {"kernel": (3, 3, in, out), "bias": (out,)}, …}}."""
    with open(path, "rb") as file:
        arrays = next(iter(_ArraysOnly(file).load().values()))
    weights = {}
    for number, layer in enumerate(layers):
        conv = arrays[f"Conv_{number}"]
        weights[f"{layer}.weight"] = torch.from_numpy(conv["kernel"].transpose(3, 2, 0, 1).copy())
        weights[f"{layer}.bias"] = torch.from_numpy(conv["bias"].reshape(-1).copy())
    return weights


class _ArraysOnly(pickle.Unpickler):
    """An unpickler of dicts of NumPy arrays. It refuses any other name, so no code of the file runs."""

    def find_class(self, module: str, name: str) -> object:
        """Return what an array is rebuilt by. Raise UnpicklingError for another name."""
        allowed = {
            ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
            ("numpy._core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],  # since NumPy 2
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it refers to {module}.{name}, which no array needs")
        return allowed[module, name]
