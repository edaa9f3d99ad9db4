"""One loop for all GANs of this project.

What a Trainee is, how it is updated, how a run is saved and goes on. What differs between GANs is in their `step`s.
"""

import contextlib
import math
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from models import ranks
from models.data import UserError, seed_for
from models.journal import Journal

KEPT = 3  # checkpoints


class Trainee(Protocol):
    """Networks, their averages and optimizers are attributes: every attribute with a `state_dict` is the checkpoint.

    It may also have `validate(i) -> {name: value}`, of which the first is the score, lower is better; and
    `recover(i) -> bool`, asked before a run that is no longer finite stops: whether to go on."""

    device: torch.device

    def step(self, batch: dict[str, Tensor], i: int) -> dict[str, Tensor]:
        """The i-th step of the algorithm, on the batches of this process: its losses, scalars."""

    def sheet(self, i: int) -> np.ndarray:
        """(H, W, 3) uint8 samples, of the same noise at every step. Changes nothing."""

    def exported(self) -> nn.Module:
        """The network that the run is for."""


class Update:
    """A step of some optimizers down the mean of the losses that are added, for their parameters and no others."""

    def __init__(self, optimizers: list[Optimizer]):
        self._optimizers = optimizers
        self._parameters = [p for o in optimizers for group in o.param_groups for p in group["params"]]
        self._sums: list[Tensor | None] = [None] * len(self._parameters)
        self._added = 0

    def add(self, loss: Tensor, *, keep_graph: bool = False) -> None:
        """Add a micro-batch's loss. `keep_graph` if another loss shares part of what it was computed from."""
        gradients = torch.autograd.grad(loss, self._parameters, retain_graph=keep_graph, allow_unused=True)
        self._sums = [
            new if old is None else old if new is None else old + new
            for old, new in zip(self._sums, gradients, strict=True)
        ]
        self._added += 1

    def apply(self) -> None:
        _average(self._sums, self._added)
        for parameter, gradient in zip(self._parameters, self._sums, strict=True):
            parameter.grad = gradient
        for optimizer in self._optimizers:
            optimizer.step()
        for parameter in self._parameters:
            parameter.grad = None


def update(optimizers: list[Optimizer], loss: Tensor | Iterable[Tensor]) -> Tensor:
    """One step of these optimizers down `loss`, or down the mean of the losses of some micro-batches, which come one by
    one. Returns that mean."""
    step = Update(optimizers)
    losses = []
    for part in [loss] if isinstance(loss, Tensor) else loss:
        step.add(part)
        losses.append(part.detach())
    step.apply()
    return losses[0] if len(losses) == 1 else torch.stack(losses).mean()


def at_rate(optimizers: list[Optimizer], rate: float) -> None:
    """Their learning rate from now on."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate


@torch.no_grad()
def _average(gradients: list[Tensor | None], added: int) -> None:
    """Over micro-batches and processes, in one flat all-reduce."""
    there = [gradient for gradient in gradients if gradient is not None]
    if added > 1:
        torch._foreach_div_(there, added)
    if ranks.world() > 1:
        flat = ranks.mean(torch.cat([gradient.flatten() for gradient in there]))
        parts = flat.split([gradient.numel() for gradient in there])
        for gradient, part in zip(there, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))


def parts(trainee: Trainee) -> dict[str, object]:
    """What a checkpoint holds. Nothing to list, so nothing to forget."""
    return {name: part for name, part in vars(trainee).items() if hasattr(part, "state_dict")}


def fit(
    trainee: Trainee, batches: Callable[[int], dict[str, Tensor]], run: Path, *, steps: int, pictures: int = 0,
    seed: int = 0, precision: str = "fp32", log_every: int = 50, sample_every: int = 500, save_every: int = 1000,
) -> None:  # fmt: skip
    """Train up to `steps` in all, on from `run/last.pt` if it is there. `pictures`: how many a step takes, for rates.

    The same seed, batches and steps give the same tensors, however often it was stopped between. Ctrl-C finishes the
    step, saves, and raises KeyboardInterrupt. Raises UserError if losses or weights are no longer finite: what was
    saved stays.
    """
    run.mkdir(parents=True, exist_ok=True)
    start, best = load(run, trainee)
    journal = Journal(run, start, steps, pictures) if ranks.rank() == 0 else None
    bf16 = torch.autocast(trainee.device.type, torch.bfloat16, enabled=precision == "bf16")
    with journal or contextlib.nullcontext(), _interrupts() as asked_to_stop:
        if journal and start == 0:
            journal.sheet(0, trainee.sheet(0))
        for i in range(start, steps):
            torch.manual_seed(seed_for(seed, i))
            with bf16:
                losses = trainee.step(batches(i), i)
            done, last = i + 1, i + 1 == steps
            stops = ranks.any_of(bool(asked_to_stop))
            if last or stops or done == 1 or not (done % log_every and done % sample_every and done % save_every):
                _check(trainee, losses, i, run)
            if journal:
                journal.advance()
                if last or done == 1 or done % log_every == 0:
                    journal.losses(done, losses)
                if last or done % sample_every == 0:
                    journal.sheet(done, trainee.sheet(done))
                    best = _judge(trainee, run, done, best, journal)
                if last or stops or done % save_every == 0:
                    journal.sync()
                    save(run, trainee, done, best)
            ranks.wait()
            if stops and not last:
                raise KeyboardInterrupt


@contextlib.contextmanager
def _interrupts() -> Iterator[list]:
    """Not empty once Ctrl-C was pressed; pressed again, it interrupts at once."""
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked  # signals come to the main thread alone
        return

    def note(number: int, frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


def _check(trainee: Trainee, losses: dict[str, Tensor], i: int, run: Path) -> None:
    """Losses become the means over all processes. Raises UserError if they or the weights are not finite."""
    for name in losses:
        losses[name] = ranks.mean(losses[name].detach().float())
    sick = [f"loss {name} is {float(value)}" for name, value in losses.items() if not math.isfinite(value)]
    networks = (part for part in vars(trainee).values() if isinstance(part, nn.Module))
    if not sick and all(bool(p.isfinite().all()) for network in networks for p in network.parameters()):
        return
    recover = getattr(trainee, "recover", None)
    if not (recover and recover(i)):
        raise UserError(
            run, f"{sick[0] if sick else 'a weight is not finite'} at step {i + 1}", "finite numbers",
            "the last checkpoint is intact; start anew with --fresh and --precision fp32 or another --batch-size",
        )  # fmt: skip


def _judge(trainee: Trainee, run: Path, done: int, best: dict | None, journal: Journal) -> dict | None:
    """Validate; keep the weights if they are the best so far. Returns what is best."""
    validate = getattr(trainee, "validate", None)
    if validate is None:
        return best
    values = validate(done)
    journal.scores(done, values)
    score = next(iter(values.values()))
    if best is None or score < best["score"]:
        best = {"step": done, "score": score}
        _write(run / "best.pt", _checkpoint(trainee, done, best))
    return best


def _checkpoint(trainee: Trainee, done: int, best: dict | None) -> dict:
    states = {name: part.state_dict() for name, part in parts(trainee).items()}
    return {"trainee": type(trainee).__name__, "step": done, "best": best, **states}


def save(run: Path, trainee: Trainee, done: int, best: dict | None = None) -> None:
    """Write `last.pt`, whole or not at all, and keep it and those before it as `checkpoints/STEP.pt`."""
    kept = run / "checkpoints"
    kept.mkdir(exist_ok=True)
    path = kept / f"{done:06}.pt"
    _write(path, _checkpoint(trainee, done, best))
    work = run / ".last"
    work.unlink(missing_ok=True)
    try:
        os.link(path, work)
    except OSError:  # a file system without hard links
        shutil.copyfile(path, work)
    os.replace(work, run / "last.pt")
    for old in sorted(kept.glob("*.pt"))[:-KEPT]:
        old.unlink()


def _write(path: Path, checkpoint: dict) -> None:
    work = path.with_suffix(".part")
    try:
        with open(work, "wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(work, path)
    except RuntimeError as error:  # torch's own, on top of what the disk said
        raise (error.__context__ if isinstance(error.__context__, OSError) else error) from None
    finally:
        work.unlink(missing_ok=True)


def load(run: Path, trainee: Trainee) -> tuple[int, dict | None]:
    """(steps done, what was best) of `run/last.pt`, whose state the trainee takes on; (0, None) if it is not there.

    Raises UserError if the file is damaged or another model's."""
    path = run / "last.pt"
    if not path.exists():
        return 0, None
    checkpoint = read(path)
    take_on(trainee, checkpoint, path)
    return checkpoint["step"], checkpoint["best"]


def read(path: Path) -> dict:
    """A checkpoint, on the CPU. Raises UserError if it is damaged."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(path, "there is no such file", "a checkpoint", "train that run first") from None
    except Exception as error:  # torch raises anything at damaged bytes
        found = f"damaged ({str(error).splitlines()[0][:120] if str(error) else type(error).__name__})"
        cure = f"copy the newest of {path.parent / 'checkpoints'} over it, or start anew with --fresh"
        raise UserError(path, found, "a whole checkpoint", cure) from error


def take_on(trainee: Trainee, checkpoint: dict, path: Path, *, only_networks: bool = False) -> None:
    """Load a checkpoint's states. Raises UserError if it is of another model, or of other sizes."""
    for name, part in parts(trainee).items():
        if only_networks and isinstance(part, Optimizer):
            continue
        try:
            part.load_state_dict(checkpoint[name])
        except (KeyError, ValueError, RuntimeError) as error:
            raise UserError(
                path, f"made by {checkpoint.get('trainee')}, and its {name} does not fit",
                f"a checkpoint of {type(trainee).__name__} with the same settings", "give another run, or --fresh",
            ) from error  # fmt: skip
