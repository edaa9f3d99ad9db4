"""SAGAN's networks as its article's code and its paper's equations describe them: functions of named weights.

An independent reference for `models.papers.sagan`: of it only the names and the values of the weights are taken."""

import torch
from torch import Tensor
from torch.nn import functional as F

Weights = dict[str, Tensor]


def normalized(w: Weights, name: str, *, transposed: bool) -> Tensor:
    """Return the weights of a layer; if they are normalised over the largest singular value that u and v tell."""
    if f"{name}.weight" in w:
        return w[f"{name}.weight"]
    original = w[f"{name}.parametrizations.weight.original"]
    u, v = (w[f"{name}.parametrizations.weight.0._{key}"] for key in "uv")
    matrix = (original.transpose(0, 1) if transposed else original).flatten(1)
    return original / torch.einsum("i,ij,j->", u, matrix, v)


def attention(w: Weights, name: str, x: Tensor) -> Tensor:
    """Return x + γ o, place by place: s_ij = f(x_i)·g(x_j), β_j = softmax_i s_ij, o_j = v(Σ_i β_ji h(x_i))."""

    def at_each_place(part: str, y: Tensor) -> Tensor:
        weight = normalized(w, f"{name}.{part}", transposed=False)
        return torch.einsum("oc,ncp->nop", weight[:, :, 0, 0], y) + w[f"{name}.{part}.bias"][:, None]

    y = x.flatten(2)
    f, g, h = (at_each_place(part, y) for part in ("key", "query", "value"))
    beta = torch.einsum("nci,ncj->nij", f, g).softmax(1)
    o = torch.einsum("nci,nij->ncj", h, beta)
    if f"{name}.widen.bias" in w:
        o = at_each_place("widen", o)
    return x + w[f"{name}.gamma"] * o.view_as(x)


def generator(w: Weights, z: Tensor) -> Tensor:
    """Return images by the running statistics of batches."""
    x, number = z[:, :, None, None], 1
    while f"layers.{number}.bias" in w:
        name = f"layers.{number}"
        if f"{name}.running_mean" in w:
            statistics = (w[f"{name}.running_mean"], w[f"{name}.running_var"])
            x = F.batch_norm(x, *statistics, w[f"{name}.weight"], w[f"{name}.bias"]).relu()
            number += 1  # and its activation
        else:
            stride, padding = (1, 0) if number == 1 else (2, 1)
            x = F.conv_transpose2d(x, normalized(w, name, transposed=True), w[f"{name}.bias"], stride, padding)
        number += 1
        if f"layers.{number}.gamma" in w:
            x = attention(w, f"layers.{number}", x)
            number += 1
    return x.tanh()


def discriminator(w: Weights, x: Tensor) -> Tensor:
    """Return logits."""
    number = 0
    while x.shape[-1] > 4:
        name = f"{number}"
        x = F.conv2d(x, normalized(w, name, transposed=False), w[f"{name}.bias"], 2, 1)
        x = F.leaky_relu(x, 0.1)
        number += 2
        if f"{number}.gamma" in w:
            x = attention(w, f"{number}", x)
            number += 1
    return F.conv2d(x, normalized(w, f"{number}", transposed=False), w[f"{number}.bias"]).flatten()
