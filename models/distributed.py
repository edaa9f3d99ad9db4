"""One training in several processes.

Every process draws noise and masks for the global batch from the same seed, and takes its slice. Sums over the batch
are sums over all processes. So N processes compute what one does.
"""

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.distributed as dist

# The defaults of its functions hold the process group that exists when it is imported, so it is imported before there
# is one. Otherwise that group would outlive `destroy_process_group`, and its threads would abort the ending process.
import torch.distributed.nn
from torch import Tensor

LOOPBACK = next((name for _, name in socket.if_nameindex() if name in ("lo", "lo0")), "lo")


class ProcessLost(Exception):
    """A lost connection to another process of the group, which has ended or failed."""


@contextlib.contextmanager
def process_group(backend: str, **options: Any) -> Iterator[None]:
    """Join the processes of this machine in one group (`torch.distributed.init_process_group`) within the block.

    They listen on the loopback interface alone. No thread of the group is left after the block. Raise ProcessLost."""
    os.environ |= {"GLOO_SOCKET_IFNAME": LOOPBACK, "NCCL_SOCKET_IFNAME": f"={LOOPBACK}"}
    os.environ |= {"NCCL_IB_DISABLE": "1", "NCCL_RAS_ENABLE": "0"}  # no other network, no monitor's port
    with _translate_errors():
        dist.init_process_group(backend, **options)
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextlib.contextmanager
def _translate_errors() -> Iterator[None]:
    """Raise ProcessLost for the RuntimeErrors of torch, which has no class of its own for a lost connection."""
    try:
        yield
    except RuntimeError as error:
        raise ProcessLost(" ".join(str(error).split())[:300]) from error


def rank() -> int:
    """Return the number of this process, 0 to world_size() - 1."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def shard(batch: Tensor) -> Tensor:
    """Return this process's rows (N / world_size, …) of a global batch (N, …)."""
    if len(batch) % world_size():
        raise ValueError(f"{len(batch)} rows cannot be split equally over {world_size()} processes")
    return batch if world_size() == 1 else batch.chunk(world_size())[rank()]


class _Sum(torch.autograd.Function):
    """The sum of each process's value; its gradient is the sum of theirs, and so differentiable again."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone(memory_format=torch.contiguous_format)
        with _translate_errors():
            dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Sum.apply(gradient)


def mean(value: Tensor) -> Tensor:
    """Return the mean of each process's value, in all of them; differentiable twice."""
    return value if world_size() == 1 else _Sum.apply(value) / world_size()


def any_rank(value: bool) -> bool:
    """Return whether it is true in any process. CPU tensors carry it, so no GPU is waited for."""
    if world_size() == 1:
        return value
    flag = torch.tensor(float(value))
    with _translate_errors():
        dist.all_reduce(flag, dist.ReduceOp.MAX)
    return bool(flag)


def of_rank_zero(value: float) -> float:
    """Return the first process's value, in all of them."""
    if world_size() == 1:
        return value
    tensor = torch.tensor(value, dtype=torch.float64)
    with _translate_errors():
        dist.broadcast(tensor, 0)
    return float(tensor)


def on_rank_zero(work: Callable[[], object]) -> None:
    """Call `work` in the first process alone. Raise its exception there, and SystemExit(0) in the others."""
    error = None
    if rank() == 0:
        try:
            work()
        except Exception as raised:  # noqa: BLE001 - it is raised below, once the others are informed
            error = raised
    if any_rank(error is not None):
        raise error or SystemExit(0)
