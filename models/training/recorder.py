"""What a run shows and keeps while it trains: sheets of samples, scores and checkpoints."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

from models import distributed
from models.contracts import Filming, Trainer, Validating
from models.training import checkpoint
from models.training.collapse import CollapseGuard
from models.training.logger import RunLogger


class Recorder:
    """The writer of a run's sheets, scores and checkpoints. Every process calls it; only the first one, which has the
    `logger`, writes, outside the seconds that this counts, and an error there ends all of them."""

    def __init__(
        self, trainer: Trainer, run: Path, best: dict | None, logger: RunLogger | None, on_save: Callable[[int], None]
    ) -> None:
        self._trainer, self._run, self._best, self._logger, self._on_save = trainer, run, best, logger, on_save

    def _write(self, work: Callable[[RunLogger], object]) -> None:
        """Call `work` with the logger in the first process."""

        def write() -> None:
            assert self._logger is not None
            with self._logger.watch.stopped():
                work(self._logger)

        distributed.on_rank_zero(write)

    def show(self, done: int) -> None:
        """Write the samples of the weights after step `done`, and the frame of their film if there is one."""

        def write(logger: RunLogger) -> None:
            logger.log_sheet(done, self._trainer.sheet(done))
            if isinstance(self._trainer, Filming):
                logger.log_frame(done, self._trainer.frame(done))

        self._write(write)

    def validate(self, done: int, measures: Sequence[str] = ()) -> list[float]:
        """Log the metrics of the weights, and write `best.pt` if they have the lowest score so far.

        Return the score and these measures, in every process; NaN where the trainer has none."""
        found = [math.nan] * (1 + len(measures))

        def write(logger: RunLogger) -> None:
            nonlocal found
            if not isinstance(self._trainer, Validating):
                return
            values = self._trainer.validate(done)
            logger.log_scores(done, values)
            score = next(iter(values.values()))
            found = [score, *(values[name] for name in measures)]
            if self._best is None or score < self._best["score"]:
                self._best = {"step": done, "score": score}
                checkpoint.write(self._run / "best.pt", self._trainer, done, self._best)

        self._write(write)
        return [distributed.of_rank_zero(value) for value in found]

    def roll_back(self, done: int, guard: CollapseGuard) -> None:
        """Log that the guard went back to its best weights after step `done`, and their metrics."""
        self._write(lambda logger: logger.log_rollback(done, guard.best_step, guard.rate))
        self.validate(done)

    def save(self, done: int, *, exports: bool) -> None:
        """Write the checkpoint of step `done` and the film, and call `on_save` if `exports`."""

        def write(logger: RunLogger) -> None:
            if isinstance(self._trainer, Filming):
                logger.write_film(done)
            logger.sync()
            checkpoint.save(self._run, self._trainer, done, self._best)
            if exports:
                self._on_save(done)

        self._write(write)
