"""Optimizer steps down a loss, and learning rates."""

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from models import distributed


class Update:
    """One step of some optimizers, on the mean of the added losses; only their parameters get gradients.

    With `max_norm` the gradient of all parameters together is scaled down to that length if it is longer. A loss may be
    added in several parts for each micro-batch, if the number of `micro_batches` is given."""

    def __init__(self, optimizers: list[Optimizer], *, max_norm: float = 0.0, micro_batches: int | None = None) -> None:
        self._optimizers, self._max_norm, self._micro_batches = optimizers, max_norm, micro_batches
        self._parameters: list[Tensor] = [p for o in optimizers for group in o.param_groups for p in group["params"]]
        self._sums: list[Tensor | None] = [None] * len(self._parameters)
        self._losses: list[Tensor] = []
        self._components: list[dict[str, Tensor]] = []

    def add(
        self, loss: Tensor, inputs: Sequence[Tensor] = (), /, *, keep_graph: bool = False, **components: Tensor
    ) -> tuple[Tensor, ...]:
        """Add the loss of a micro-batch, and the components it is made of, for `mean_components`.

        Pass `keep_graph` if another loss shares a part of its graph. Return the loss's gradients of `inputs`."""
        wanted = [*self._parameters, *inputs]
        gradients = torch.autograd.grad(loss, wanted, retain_graph=keep_graph, allow_unused=True)
        gradients, of_inputs = gradients[: len(self._parameters)], gradients[len(self._parameters) :]
        pairs = zip(self._sums, gradients, strict=True)
        self._sums = [new if old is None else old if new is None else old + new for old, new in pairs]
        self._losses.append(loss.detach())
        self._components.append({name: part.detach() for name, part in components.items()})
        return of_inputs

    @property
    def _count(self) -> int:
        """Return the number of micro-batches."""
        return self._micro_batches or len(self._losses)

    def apply(self) -> Tensor:
        """Make the step. Return the mean of the losses."""
        _average_gradients(self._sums, self._count)
        for parameter, gradient in zip(self._parameters, self._sums, strict=True):
            parameter.grad = _with_layout_of(parameter, gradient)
        if self._max_norm:
            torch.nn.utils.clip_grad_norm_(self._parameters, self._max_norm)
        for optimizer in self._optimizers:
            optimizer.step()
        for parameter in self._parameters:
            parameter.grad = None
        return self._losses[0] if len(self._losses) == 1 else torch.stack(self._losses).mean()

    def mean_components(self) -> dict[str, Tensor]:
        """Return the mean of each component over the micro-batches, of the sum over the parts of each."""
        names = dict.fromkeys(name for each in self._components for name in each)
        found = {name: torch.stack([each[name] for each in self._components if name in each]) for name in names}
        return {name: values.sum() / self._count for name, values in found.items()}


@contextlib.contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """Compute no gradients of these networks' weights within the block, and keep nothing for them in memory."""
    for network in networks:
        network.requires_grad_(False)
    try:
        yield
    finally:
        for network in networks:
            network.requires_grad_(True)


def _with_layout_of(parameter: Tensor, gradient: Tensor | None) -> Tensor | None:
    """Return the gradient in the parameter's memory order.

    Fused optimizers read both as flat memory and scramble the step if their orders differ. Those of a gradient's
    gradient often do."""
    if gradient is None or gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)


def update(optimizers: list[Optimizer], loss: Tensor | Iterable[Tensor]) -> Tensor:
    """Make one step of these optimizers down `loss`, or down the mean of the losses of micro-batches, which are
    computed one by one. Return that mean."""
    step = Update(optimizers)
    for part in [loss] if isinstance(loss, Tensor) else loss:
        step.add(part)
    return step.apply()


def set_learning_rate(optimizers: list[Optimizer], rate: float) -> None:
    """Set the learning rate of all parameter groups."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate


def ramped_cosine(i: int, *, peak: float, warm_up: int, horizon: int) -> float:
    """Return the learning rate of step i: a linear ramp over `warm_up` steps, times half a cosine that ends at
    `horizon`. Loshchilov, Hutter 2017, https://arxiv.org/abs/1608.03983, without restarts."""
    return peak * min(1.0, (i + 1) / warm_up) * (1 + math.cos(math.pi * min(1.0, i / horizon))) / 2


@torch.no_grad()
def _average_gradients(gradients: list[Tensor | None], count: int) -> None:
    """Divide the sums by `count`, the number of micro-batches, and average them over processes, in place."""
    present = [gradient for gradient in gradients if gradient is not None]
    if count > 1:
        torch._foreach_div_(present, count)
    if distributed.world_size() > 1:
        flat = distributed.mean(torch.cat([gradient.flatten() for gradient in present]))
        parts = flat.split([gradient.numel() for gradient in present])
        for gradient, part in zip(present, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))
