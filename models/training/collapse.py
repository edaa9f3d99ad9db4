"""What a training does when it collapses: it goes back to its best weights, and on at a lower learning rate.

GANs for super-resolution are trained long, and some fall apart late (xinntao/BasicSR issues 81 and 117).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer

RATE_FACTOR = 0.1  # of the learning rate, with each return to the best weights
MAX_ROLLBACKS = 4


class CollapseGuard:
    """The best weights of some networks, and the number of returns to them. An attribute of a trainer, so that both are
    in its checkpoints, and a run that was killed goes on as if it had not been.

    The loop calls `judge` every `every` steps. A score, lower is better, that is not finite or above `ratio` times the
    best one is a collapse. So is another measure, higher is better, that is below its best by more than `drops` says,
    by its name. The steps are counted on. `rate` is what the trainer must multiply its learning rate by."""

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        optimizers: Sequence[Optimizer],
        *,
        every: int,
        ratio: float,
        drops: Mapping[str, float] | None = None,
    ) -> None:
        self.every, self._ratio, self._drops = every, ratio, dict(drops or {})
        self.highest = dict.fromkeys(self._drops, -math.inf)
        self._networks, self._optimizers = networks, optimizers
        self.rollbacks, self.best_step, self.best_score = 0, 0, math.inf
        self.keep()

    @property
    def rate(self) -> float:
        """Return the factor of the learning rate."""
        return float(RATE_FACTOR**self.rollbacks)

    @property
    def is_exhausted(self) -> bool:
        """Return whether the training collapsed once more than it may."""
        return self.rollbacks > MAX_ROLLBACKS

    @property
    def measures(self) -> tuple[str, ...]:
        """Return the names of the measures beside the score that are judged."""
        return tuple(self._drops)

    def judge(self, step: int, score: float, *measures: float) -> bool:
        """Return whether the weights after `step` have collapsed. The networks are the best ones then, and their
        optimizers start anew. If they are the best so far, they are kept."""
        found = dict(zip(self._drops, measures, strict=True))
        has_fallen = any(not value >= self.highest[name] - self._drops[name] for name, value in found.items())
        if not math.isfinite(score) or score > self._ratio * self.best_score or has_fallen:
            self.rollbacks += 1
            for name, network in self._networks.items():
                network.load_state_dict(self._best[name])
            for optimizer in self._optimizers:
                optimizer.state.clear()
            return True
        self.highest = {name: max(value, self.highest[name]) for name, value in found.items()}
        if score < self.best_score:
            self.best_step, self.best_score = step, score
            self.keep()
        return False

    def keep(self) -> None:
        """Keep copies of the networks as they are, which is what they go back to."""
        self._best = {
            name: {key: tensor.clone() for key, tensor in network.state_dict().items()}
            for name, network in self._networks.items()
        }

    def state_dict(self) -> dict[str, Any]:
        """Return all that changes."""
        counts = {"rollbacks": self.rollbacks, "best_step": self.best_step, "best_score": self.best_score}
        return counts | {"highest": self.highest, "best": self._best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take a state that `state_dict` returned. Raise ValueError if it cannot be one."""
        if not 0 <= state["rollbacks"] <= MAX_ROLLBACKS + 1:
            raise ValueError("rollbacks out of range")
        self.rollbacks, self.best_step, self.best_score = (
            state[key] for key in ("rollbacks", "best_step", "best_score")
        )
        self.highest |= state.get("highest", {})  # absent in checkpoints from before it was judged
        for name, weights in self._best.items():
            for key, tensor in weights.items():
                tensor.copy_(state["best"][name][key])
