"""The training loop of every network of this project. What differs between GANs is in their `step`s."""

import contextlib
import math
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from models import distributed
from models.contracts import Batches, Recovering, Trainer
from models.data.dataset import UserError
from models.seeds import seed_for
from models.training import checkpoint
from models.training.collapse import MAX_ROLLBACKS, CollapseGuard
from models.training.logger import RunLogger
from models.training.probe import PROBE_STEPS, Probe
from models.training.recorder import Recorder


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
    paints: bool = True,
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
    `precision` is fp32 or bf16. `paints`: whether sheets show what the network painted, and are marked as generated.
    Losses are logged whenever the weights are saved, with the seconds of the steps so far: without validations, sheets
    and saving, and without steps that were lost to a kill and done again.

    A trainer with a CollapseGuard goes back to its best weights where that says so. Its losses and weights need not be
    finite until then, and are not exported meanwhile. The last step is no occasion for it, unless one is due there: a
    run that goes on after it is the same as one that did not end.

    Raise UserError if losses or weights are no longer finite, and what was saved stays; or if the run collapsed too
    often, and it has its best weights then.
    """
    run.mkdir(parents=True, exist_ok=True)
    start, best = checkpoint.load(run, trainer)
    logger = RunLogger(run, start, steps, pictures, paints=paints) if distributed.rank() == 0 else None
    probe = Probe(trainer.device, parameters) if logger and parameters else None
    recorder = Recorder(trainer, run, best, logger, on_save)
    guard = next((part for part in vars(trainer).values() if isinstance(part, CollapseGuard)), None)
    if guard and start == 0:
        guard.keep()  # of the weights of another run, if it began with these
    # Without the cache, which keeps a weight's bf16 copy when an optimizer has changed the weight since.
    bf16 = torch.autocast(trainer.device.type, torch.bfloat16, enabled=precision == "bf16", cache_enabled=False)

    with logger or contextlib.nullcontext(), _deferred_interrupts() as interrupts:
        if start == 0:
            recorder.show(0)
        if start >= steps:
            distributed.on_rank_zero(lambda: on_save(start))
        _check_rollbacks(guard, run, start)
        for i in range(start, steps):
            torch.manual_seed(seed_for(seed, i))
            with bf16:
                losses = trainer.step(batches(i), i)
            done, last = i + 1, i + 1 == steps
            stops = distributed.any_rank(bool(interrupts))
            shows, saves = last or done % sample_every == 0, last or stops or done % save_every == 0
            logs = saves or done == 1 or done % log_every == 0
            judges = guard is not None and done % guard.every == 0
            broken = ""
            if logs or shows or judges:
                losses = {name: distributed.mean(loss.detach().float()) for name, loss in losses.items()}
                broken = _not_finite(trainer, losses)
            if broken and (guard is None or (last and not judges)):
                _recover(trainer, i, run, broken)
                broken = ""
            if logger:
                logger.advance()
                if probe and done - start <= PROBE_STEPS:
                    probe.advance(run.name, steps - done)
                if logs:
                    logger.log_losses(done, losses)
            measures = guard.measures if guard else ()
            scores = [math.nan] * (1 + len(measures))
            if (shows or judges) and not broken:
                scores = recorder.validate(done, measures)
            if guard and judges and guard.judge(done, *scores):
                recorder.roll_back(done, guard)
                shows, saves, broken = True, True, ""
            if shows:
                recorder.show(done)
            if saves:
                recorder.save(done, exports=not broken)
            _check_rollbacks(guard, run, done)
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


def _not_finite(trainer: Trainer, losses: dict[str, Tensor]) -> str:
    """Return which loss is not finite, or that a weight is not; nothing if all are."""
    wrong = [f"loss {name} is {float(value)}" for name, value in losses.items() if not math.isfinite(value)]
    if wrong:
        return wrong[0]
    networks = (part for part in vars(trainer).values() if isinstance(part, nn.Module))
    is_finite = all(bool(p.isfinite().all()) for network in networks for p in network.parameters())
    return "" if is_finite else "a weight is not finite"


def _recover(trainer: Trainer, i: int, run: Path, broken: str) -> None:
    """Raise UserError about what is not finite, unless the trainer recovers."""
    if isinstance(trainer, Recovering) and trainer.recover(i):
        return
    cure = "the last checkpoint is intact; start anew with --fresh and --precision fp32 or another --batch-size"
    raise UserError(run, f"{broken} at step {i + 1}", "finite numbers", cure)


def _check_rollbacks(guard: CollapseGuard | None, run: Path, done: int) -> None:
    """Raise UserError if the training collapsed once more than it may."""
    if guard and guard.is_exhausted:
        found = f"collapsed {guard.rollbacks} times, the last time at step {done}"
        cure = (
            f"its weights are those of step {guard.best_step}; start anew with --fresh and a lower --set learning_rate"
        )
        raise UserError(run, found, f"{MAX_ROLLBACKS} times or less", cure)
