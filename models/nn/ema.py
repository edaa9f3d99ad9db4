"""An exponential moving average of a network's weights: what it would paint on average over the last steps."""

import copy

import torch
from torch import nn


class EMA(nn.Module):
    """Holds a copy of a network, in evaluation mode, that follows it: θ' ← β θ' + (1 - β) θ, buffers too.

    β is `decay` but grows towards it, min(decay, (1 + i) / (10 + i)), so that the random start is soon forgotten. With
    decay 0 the copy is the network as it is now. Yazici et al. 2019, https://arxiv.org/abs/1806.04498"""

    def __init__(self, network: nn.Module, decay: float):
        super().__init__()
        self.network = copy.deepcopy(network).requires_grad_(False).eval()
        self.decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, i: int) -> None:
        """One step towards `network`, after its i-th update."""
        weight = 1 - min(self.decay, (1 + i) / (10 + i)) if self.decay else 1.0
        mine, theirs = self.network.state_dict(), network.state_dict()
        fractions = [name for name in mine if mine[name].is_floating_point()]
        torch._foreach_lerp_([mine[name] for name in fractions], [theirs[name] for name in fractions], weight)
        for name in mine.keys() - fractions:  # counters
            mine[name].copy_(theirs[name])

    def forward(self, *inputs):
        return self.network(*inputs)
