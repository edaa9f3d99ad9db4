"""The training loop of every network of this project. What differs between GANs is in their `step`s."""

import contextlib
import functools
import math
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from models import distributed
from models.contracts import Batches, Filming, Recovering, Trainer, Validating
from models.data.dataset import UserError
from models.seeds import seed_for
from models.training import checkpoint
from models.training.logger import RunLogger
from models.training.probe import PROBE_STEPS, Probe


def fit(
    trainer: Trainer,
    batches: Batches,
    run: Path,
    *,
    steps: int,
    pictures: int = 0,
    parameters: int = 0,
    seed: int = 0,
    precision: str = "fp32",
    log_every: int = 50,
    sample_every: int = 500,
    save_every: int = 1000,
    on_save: Callable[[int], None] = lambda step: None,
) -> None:
    """Train up to `steps` in all, resuming from `run/last.pt` if it exists.

    On a CPU and in fp32, the same seed, batches and steps give the same tensors, however often the training is stopped
    in between; on a GPU they are equal up to the rounding of sums in another order. Ctrl-C
    finishes the step, saves, and raises KeyboardInterrupt. `on_save` is called on rank 0 with the step of `last.pt`
    whenever that is written, and once if the run has its steps already. `pictures` is the number of images in a step,
    for the images/s that are reported, and `parameters` that of the weights, for the report after some steps.
    `precision` is fp32 or bf16. Losses are logged whenever the weights are saved, with the seconds of the steps so far:
    without validations, sheets and saving, and without steps that were lost to a kill and done again.

    Raise UserError if losses or weights are no longer finite; what was saved stays.
    """
    run.mkdir(parents=True, exist_ok=True)
    start, best = checkpoint.load(run, trainer)
    logger = RunLogger(run, start, steps, pictures) if distributed.rank() == 0 else None
    probe = Probe(trainer.device, parameters) if logger and parameters else None
    # Without the cache, which keeps a weight's bf16 copy when an optimizer has changed the weight since.
    bf16 = torch.autocast(trainer.device.type, torch.bfloat16, enabled=precision == "bf16", cache_enabled=False)

    def log_first_sheet() -> None:
        assert logger is not None
        with logger.watch.stopped():
            _show(trainer, logger, 0)

    def log_and_save(done: int, *, shows: bool, saves: bool) -> None:
        nonlocal best
        assert logger is not None
        with logger.watch.stopped():
            if shows:
                best = _validate(trainer, run, done, best, logger)
                _show(trainer, logger, done)
            if saves:
                if isinstance(trainer, Filming):
                    logger.write_film(done)
                logger.sync()
                checkpoint.save(run, trainer, done, best)
                on_save(done)

    with logger or contextlib.nullcontext(), _deferred_interrupts() as interrupts:
        if start == 0:
            distributed.on_rank_zero(log_first_sheet)
        if start >= steps:
            distributed.on_rank_zero(lambda: on_save(start))
        for i in range(start, steps):
            torch.manual_seed(seed_for(seed, i))
            with bf16:
                losses = trainer.step(batches(i), i)
            done, last = i + 1, i + 1 == steps
            stops = distributed.any_rank(bool(interrupts))
            shows, saves = last or done % sample_every == 0, last or stops or done % save_every == 0
            logs = saves or done == 1 or done % log_every == 0
            if logs or shows:
                losses = _checked_losses(trainer, losses, i, run)
            if logger:
                logger.advance()
                if probe and done - start <= PROBE_STEPS:
                    probe.advance(run.name, steps - done)
                if logs:
                    logger.log_losses(done, losses)
            if shows or saves:
                distributed.on_rank_zero(functools.partial(log_and_save, done, shows=shows, saves=saves))
            if stops and not last:
                raise KeyboardInterrupt


@contextlib.contextmanager
def _deferred_interrupts() -> Iterator[list[int]]:
    """Yield a list that Ctrl-C appends to. A second Ctrl-C raises KeyboardInterrupt at once."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received  # only the main thread receives signals
        return

    def record(number: int, frame: object) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    before = signal.signal(signal.SIGINT, record)
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, before)


def _checked_losses(trainer: Trainer, losses: dict[str, Tensor], i: int, run: Path) -> dict[str, Tensor]:
    """Return the losses' means over all processes.

    Raise UserError if they or the weights are not finite, unless the trainer recovers."""
    losses = {name: distributed.mean(loss.detach().float()) for name, loss in losses.items()}
    wrong = [f"loss {name} is {float(value)}" for name, value in losses.items() if not math.isfinite(value)]
    networks = (part for part in vars(trainer).values() if isinstance(part, nn.Module))
    if not wrong and all(bool(p.isfinite().all()) for network in networks for p in network.parameters()):
        return losses
    if isinstance(trainer, Recovering) and trainer.recover(i):
        return losses
    cure = "the last checkpoint is intact; start anew with --fresh and --precision fp32 or another --batch-size"
    raise UserError(run, f"{wrong[0] if wrong else 'a weight is not finite'} at step {i + 1}", "finite numbers", cure)


def _show(trainer: Trainer, logger: RunLogger, done: int) -> None:
    """Write the samples of the weights, and the frame of their film if there is one."""
    logger.log_sheet(done, trainer.sheet(done))
    if isinstance(trainer, Filming):
        logger.log_frame(done, trainer.frame(done))


def _validate(trainer: Trainer, run: Path, done: int, best: dict | None, logger: RunLogger) -> dict | None:
    """Log the metrics of the weights, and write `best.pt` if they have the lowest score so far.

    Return {"step": …, "score": …} of the best; None if the trainer has no score."""
    if not isinstance(trainer, Validating):
        return best
    values = trainer.validate(done)
    logger.log_scores(done, values)
    score = next(iter(values.values()))
    if best is None or score < best["score"]:
        best = {"step": done, "score": score}
        checkpoint.write(run / "best.pt", trainer, done, best)
    return best
