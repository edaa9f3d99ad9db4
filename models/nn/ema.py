"""An exponential moving average of a network's weights: an average of the networks of the last steps."""

import copy
from typing import Any

import torch
from torch import Tensor, nn


class EMA(nn.Module):
    """An averaged copy of a network, in evaluation mode: θ' ← β θ' + (1 - β) θ, buffers too. Spectral normalisation's
    unit vectors are copied, as means of them were shorter.

    β is min(decay, (1 + i) / (10 + i)), so that the random start is soon forgotten. With decay 0 the copy equals the
    network. Yazici et al. 2019, https://arxiv.org/abs/1806.04498"""

    def __init__(self, network: nn.Module, decay: float) -> None:
        super().__init__()
        self.network: Any = copy.deepcopy(network).requires_grad_(False).eval()
        self.decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module, i: int) -> None:
        """Move the copy one step towards `network`, after its i-th update."""
        weight = 1 - min(self.decay, (1 + i) / (10 + i)) if self.decay else 1.0
        mine, theirs = self.network.state_dict(), network.state_dict()
        unit = ("._u", "._v")  # of torch's spectral_norm
        fractions = [name for name in mine if mine[name].is_floating_point() and not name.endswith(unit)]
        torch._foreach_lerp_([mine[name] for name in fractions], [theirs[name] for name in fractions], weight)
        for name in mine.keys() - fractions:  # counters, and unit vectors
            mine[name].copy_(theirs[name])

    def forward(self, *inputs: Tensor) -> Any:
        """Return the output of the averaged network."""
        return self.network(*inputs)
