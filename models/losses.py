"""Adversarial objectives and penalties: functions of tensors, without weights. All are computed in fp32 at least."""

import torch
from torch import Tensor
from torch.nn import functional as F


def precise(x: Tensor) -> Tensor:
    """x in fp32 if it is of a half precision."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def binary_cross_entropy(logits: Tensor, target: float) -> Tensor:
    """-E [t log σ(x) + (1 - t) log(1 - σ(x))] of logits x (N,), all with the target t: 1 real, 0 fake.

    Goodfellow et al. 2014, https://arxiv.org/abs/1406.2661, eq. 1; with t = 1 on fakes, G's non-saturating loss."""
    logits = precise(logits)
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def softmax_cross_entropy(logits: Tensor, target: int) -> Tensor:
    """-E log softmax(x)_t of logits x (N, K), all of class t."""
    return F.cross_entropy(precise(logits), torch.full((len(logits),), target, device=logits.device))
