"""PGGAN's networks as its article's code and as its paper describe them: functions of named weights.

An independent reference for `models.papers.pggan`: of it only the names and the values of the weights are taken."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

Weights = dict[str, Tensor]


def pixel_norm(x: Tensor) -> Tensor:
    return x / (x**2).mean(1, keepdim=True).sqrt()


def level_of(res: float, levels: int) -> tuple[int, float]:
    """Return the level and its share of the article's measure of growth, step / 7,500: from n to n + 1 level n fades
    in."""
    res = min(res, levels)
    level = max(int(res - 1e-7), 0)
    return level, (res - level if level else 1.0)


def article_layer(w: Weights, name: str, x: Tensor, padding: int = 1) -> Tensor:
    x = x * math.sqrt(2 / x.shape[1])
    x = F.pad(x, (padding,) * 4, mode="reflect") if padding else x
    return F.leaky_relu(pixel_norm(F.conv2d(x, w[f"{name}.0.weight"], w[f"{name}.0.bias"])), 0.2)


def paper_conv(w: Weights, name: str, x: Tensor, padding: int = 0, gain: float = math.sqrt(2)) -> Tensor:
    weight = w[f"{name}.weight"]
    return F.conv2d(x, weight * gain / math.sqrt(weight[0].numel()), w[f"{name}.bias"], padding=padding)


def paper_layer(w: Weights, name: str, x: Tensor, padding: int = 1, *, norm: bool = False) -> Tensor:
    x = F.leaky_relu(paper_conv(w, f"{name}.0", x, padding), 0.2)
    return pixel_norm(x) if norm else x


def article_generator(w: Weights, z: Tensor, level: int, alpha: float) -> Tensor:
    """Return images in [0, 1], of the level's side."""
    x = z.reshape(len(z), -1, 4, 4)
    for number in range(level + 1):
        before = x = F.interpolate(x, scale_factor=2) if number else x
        for layer in (1, 2):
            x = article_layer(w, f"blocks.{number}.{layer}", x)
    big, small = (
        F.conv2d(maps, w[f"to_rgb.{number}.weight"], w[f"to_rgb.{number}.bias"]) if number >= 0 else 0.0
        for number, maps in ((level, x), (level - 1, before))
    )
    return ((1 - alpha) * small + alpha * big).sigmoid()


def paper_generator(w: Weights, z: Tensor, level: int, alpha: float) -> Tensor:
    """Return images in [-1, 1] or beyond, of the level's side."""
    z = pixel_norm(z)
    weight = w["blocks.0.2.0.weight"]  # one tap for each of the 4 × 4 places, read backwards
    dense = torch.einsum("nz,wzij->nwij", z, weight.flip(2, 3)) * (math.sqrt(2) / 4 / math.sqrt(z.shape[1]))
    x = pixel_norm(F.leaky_relu(dense + w["blocks.0.2.0.bias"][:, None, None], 0.2))
    x = paper_layer(w, "blocks.0.3", x, norm=True)
    before = x
    for number in range(1, level + 1):
        before = x = F.interpolate(x, scale_factor=2)
        for layer in (1, 2):
            x = paper_layer(w, f"blocks.{number}.{layer}", x, norm=True)
    big = paper_conv(w, f"to_rgb.{level}", x, gain=1)
    small = paper_conv(w, f"to_rgb.{level - 1}", before, gain=1) if level else 0.0
    return (1 - alpha) * small + alpha * big


def with_deviation(x: Tensor, *, unbiased: bool) -> Tensor:
    deviation = x.std(0, unbiased=unbiased).mean()
    return torch.cat([x, deviation.expand(len(x), 1, *x.shape[2:])], 1)


def article_discriminator(w: Weights, x: Tensor, level: int, alpha: float) -> Tensor:
    """Return the values of images in [0, 1]."""

    def from_rgb(number: int, images: Tensor) -> Tensor:
        return F.conv2d(images, w[f"from_rgb.{number}.weight"], w[f"from_rgb.{number}.bias"])

    small, h = F.avg_pool2d(x, 2), from_rgb(level, x)
    for number in range(level, 0, -1):
        for layer in (0, 1):
            h = article_layer(w, f"blocks.{number}.{layer}", h)
        h = F.avg_pool2d(h, 2)
        if number == level:
            h = (1 - alpha) * from_rgb(level - 1, small) + alpha * h
    h = article_layer(w, "blocks.0.1", with_deviation(h, unbiased=True))
    h = article_layer(w, "blocks.0.2", h, padding=0)
    return F.conv2d(h, w["blocks.0.3.weight"], w["blocks.0.3.bias"]).flatten()


def paper_discriminator(w: Weights, x: Tensor, level: int, alpha: float) -> Tensor:
    """Return the values of images in [-1, 1]."""

    def from_rgb(number: int, images: Tensor) -> Tensor:
        return paper_layer(w, f"from_rgb.{number}", images, padding=0)

    small, h = F.avg_pool2d(x, 2), from_rgb(level, x)
    for number in range(level, 0, -1):
        for layer in (0, 1):
            h = paper_layer(w, f"blocks.{number}.{layer}", h)
        h = F.avg_pool2d(h, 2)
        if number == level:
            h = (1 - alpha) * from_rgb(level - 1, small) + alpha * h
    h = paper_layer(w, "blocks.0.1", with_deviation(h, unbiased=False))
    h = paper_layer(w, "blocks.0.2", h, padding=0)
    return paper_conv(w, "blocks.0.3", h, gain=1).flatten()


NETWORKS = {"article": (article_generator, article_discriminator), "paper": (paper_generator, paper_discriminator)}
