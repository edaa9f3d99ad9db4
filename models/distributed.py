"""One training in several processes.

Noise and masks are drawn for the global batch by every process from the same seed, and each takes its slice; whatever
is summed over the batch is summed over all processes. So N processes do what one does.
"""

import contextlib
import os
import socket
from collections.abc import Callable, Iterator

import torch
import torch.distributed as dist

# Its functions' defaults hold the group that there is when it is imported. Were that later, by a module of torch that
# needs it, the group would outlive its end, and its threads would meet a Python that is gone: the process aborts.
import torch.distributed.nn
from torch import Tensor

LOOPBACK = next((name for _, name in socket.if_nameindex() if name in ("lo", "lo0")), "lo")


class OthersLost(Exception):
    """The processes can no longer talk to each other: one of them has ended, or failed."""


@contextlib.contextmanager
def joined(backend: str, **options) -> Iterator[None]:
    """Within it, the processes are one group (`torch.distributed.init_process_group`), of this machine: they listen on
    the loopback interface alone. After it, no thread of it is. Raise OthersLost."""
    os.environ |= {"GLOO_SOCKET_IFNAME": LOOPBACK, "NCCL_SOCKET_IFNAME": f"={LOOPBACK}"}
    os.environ |= {"NCCL_IB_DISABLE": "1", "NCCL_RAS_ENABLE": "0"}  # no other network, no monitor's port
    with _together():
        dist.init_process_group(backend, **options)
    try:
        yield
    finally:
        dist.destroy_process_group()


@contextlib.contextmanager
def _together() -> Iterator[None]:
    """Raise OthersLost for what torch says of the others; it has no class of its own for that."""
    try:
        yield
    except RuntimeError as error:
        raise OthersLost(" ".join(str(error).split())[:300]) from error


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def share(batch: Tensor) -> Tensor:
    """(N, …) for the global batch -> this process's (N / world, …)."""
    if len(batch) % world():
        raise ValueError(f"{len(batch)} rows cannot be shared by {world()} processes equally")
    return batch if world() == 1 else batch.chunk(world())[rank()]


class _Sum(torch.autograd.Function):
    """Each process's value, summed in all of them; of their gradients the same, so it can be derived again."""

    @staticmethod
    def forward(ctx, value: Tensor) -> Tensor:
        total = value.clone(memory_format=torch.contiguous_format)
        with _together():
            dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return _Sum.apply(gradient)


def mean(value: Tensor) -> Tensor:
    """The mean of each process's value, in all of them. Differentiable, twice."""
    return value if world() == 1 else _Sum.apply(value) / world()


def any_of(is_so: bool) -> bool:
    """Whether it is so in any process. Asked by way of CPUs, which waits for no GPU."""
    if world() == 1:
        return is_so
    flag = torch.tensor(float(is_so))
    with _together():
        dist.all_reduce(flag, dist.ReduceOp.MAX)
    return bool(flag)


def on_rank_zero(work: Callable[[], object]) -> None:
    """Do it in the first process alone. If it raises, the others end too, quietly."""
    error = None
    if rank() == 0:
        try:
            work()
        except Exception as raised:  # noqa: BLE001 - it is raised below, once the others know
            error = raised
    if any_of(error is not None):
        raise error or SystemExit(0)
