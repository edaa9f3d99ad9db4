"""The log of a run while it trains: losses, scores, sheets of samples and speed."""

import json
import math
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from models.data.dataset import UserError, parse_json
from models.files import atomic_open, check_regular
from models.sampling.save import save_png
from models.training.stopwatch import Stopwatch

PROGRESS_INTERVAL_S = 30  # between two lines of progress where there is no terminal
CURVE_KINDS = ("loss", "score")
LINE_KINDS = (*CURVE_KINDS, "rollback")
LINE_FACTS = ("step", "kind", "seconds")  # what a line holds besides its values
MAX_LINE_BYTES = 1 << 16  # of metrics.jsonl; ours have hundreds
MAX_METRICS_BYTES = 16 << 20  # of metrics.jsonl: 100,000 lines
MAX_LINE_NAMES = 50  # values in a line, each of which is a curve
MAX_ABS_VALUE = 1e100  # the largest that can be plotted
FILM_FPS = 8.0


class RunLogger:
    """The writer of a run's `metrics.jsonl`, `samples/STEP.png`, `film/STEP.png`, `film.webp`, `loss.png` and
    `tensorboard/`, and of its progress on stderr.

    Lines after step `start` are removed first: those steps are done again. `pictures` is the number of images in a
    step. Sheets are marked as generated if the network `paints`. `watch` counts the seconds of the steps, on from those
    in the line of step `start`; in a run from before lines had them they stay unknown."""

    def __init__(self, run: Path, start: int, steps: int, pictures: int, *, paints: bool = True) -> None:
        from torch.utils.tensorboard import SummaryWriter  # slow to import, and no model needs it

        self._run, self._pictures, self._paints = run, pictures, paints
        (run / "samples").mkdir(parents=True, exist_ok=True)
        lines = _truncate(run / "metrics.jsonl", start)
        self._metrics = open(run / "metrics.jsonl", "a", encoding="utf-8")  # noqa: SIM115
        self._board = SummaryWriter(run / "tensorboard", purge_step=start + 1 if start else None)
        tty = sys.stderr.isatty()
        self._bar = tqdm(total=steps, initial=start, desc=run.name, unit="step", dynamic_ncols=True, disable=not tty)
        self._reported, self._reported_step = time.monotonic(), start
        self._step, self._steps = start, steps
        at_start = [line.get("seconds") for line in lines if line["step"] == start]
        self.watch = Stopwatch(at_start[-1] if at_start else None if start else 0.0)

    def __enter__(self) -> "RunLogger":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()
        self._metrics.close()
        self._board.close()

    def advance(self) -> None:
        """Count one step, and report progress now and then."""
        self._step += 1
        self._bar.update()
        seconds = time.monotonic() - self._reported
        if seconds < (1 if not self._bar.disable else PROGRESS_INTERVAL_S):
            return
        rate = (self._step - self._reported_step) / seconds
        if self._bar.disable:
            left = (self._steps - self._step) / rate
            speed = f"{rate:.2f} steps/s, {rate * self._pictures:.1f} images/s, {tqdm.format_interval(left)} left"
            print(f"{self._run.name}: step {self._step} of {self._steps}, {speed}", file=sys.stderr)
        self._bar.set_postfix_str(f"{rate * self._pictures:.1f} images/s", refresh=False)
        self._board.add_scalar("speed/images per second", rate * self._pictures, self._step)
        self._reported, self._reported_step = time.monotonic(), self._step

    def log_losses(self, step: int, values: dict[str, Tensor]) -> None:
        """Write the losses of a step, which reads them from the device."""
        self._write_line(step, {name: float(value) for name, value in values.items()}, "loss")

    def log_scores(self, step: int, values: dict[str, float]) -> None:
        """Write the validation metrics of the weights after a step."""
        self._write_line(step, values, "score")

    def log_rollback(self, step: int, best_step: int, rate: float) -> None:
        """Write that the weights after a step collapsed, and are those after `best_step` again; `rate` is the factor of
        the learning rate from now on."""
        self._write_line(step, {"best_step": best_step, "rate": rate}, "rollback")
        text = f"collapsed; goes on from the weights of step {best_step:,} with {rate:g} of the learning rate"
        print(f"{self._run.name}: step {step} of {self._steps}, {text}", file=sys.stderr)

    def _write_line(self, step: int, values: dict[str, float], kind: str) -> None:
        finite = {name: value if math.isfinite(value) else None for name, value in values.items()}  # JSON has no NaN
        seconds = self.watch.seconds()
        facts = {"step": step, "kind": kind} | ({} if seconds is None else {"seconds": seconds})
        self._metrics.write(json.dumps(facts | finite) + "\n")
        self._metrics.flush()
        for name, value in values.items():
            self._board.add_scalar(f"{kind}/{name}", value, step)

    def log_sheet(self, step: int, picture: np.ndarray) -> None:
        """Write (H, W, 3) uint8 samples after a step, and plot the metrics so far."""
        save_png(self._run / "samples" / f"{step:06}.png", picture, is_generated=self._paints)
        self._board.add_image("samples", picture, step, dataformats="HWC")
        plot_metrics(self._run)

    def log_frame(self, step: int, picture: np.ndarray) -> None:
        """Write (H, W, 3) uint8, the frame of the film after a step."""
        (self._run / "film").mkdir(exist_ok=True)
        save_png(self._run / "film" / f"{step:06}.png", picture)

    def write_film(self, step: int) -> None:
        """Write `film.webp` of the frames up to a step."""
        from models.sampling.videos import Part, save_webp  # slow to import

        frames = {int(path.stem): path for path in (self._run / "film").glob("*.png") if path.stem.isdecimal()}
        pictures = (np.asarray(Image.open(frames[each], formats=["PNG"])) for each in sorted(frames) if each <= step)
        save_webp(self._run / "film.webp", (Part((0, 0), picture, 1) for picture in pictures), FILM_FPS, self._run.name)

    def sync(self) -> None:
        """Flush everything to disk."""
        self._metrics.flush()
        os.fsync(self._metrics.fileno())
        self._board.flush()


def read_metrics(run: Path) -> list[dict]:
    """Return the valid lines of a run's metrics.jsonl; none if there is no such file."""
    return _read(run / "metrics.jsonl")[0]


def values_of(line: dict) -> dict[str, float | None]:
    """Return the losses or scores of a line of metrics.jsonl; None is one that was not finite."""
    return {name: value for name, value in line.items() if name not in LINE_FACTS}


def _read(path: Path) -> tuple[list[dict], int]:
    """Return (the valid lines, the number of others). Raise UserError if the file cannot be read."""
    found: list[dict] = []
    damaged = 0
    try:
        check_regular(path)
        if path.stat().st_size > MAX_METRICS_BYTES:
            raise ValueError(f"more than {MAX_METRICS_BYTES:,} bytes")
        with open(path, "rb") as file:
            while line := file.readline(MAX_LINE_BYTES):
                try:
                    record: Any = parse_json(line, {"step": int, "kind": str})
                    kind = record["kind"]
                    is_ours = record["step"] >= 0 and kind in LINE_KINDS and len(values_of(record)) <= MAX_LINE_NAMES
                    numbers = {name: record[name] for name in record if name not in ("step", "kind")}
                    if not is_ours or not all(_is_value(*item) for item in numbers.items()):
                        raise ValueError("not a line of this program")
                    found.append(record)
                except ValueError:  # the process was killed while it wrote it, or the disk lost it
                    damaged += 1
    except FileNotFoundError:  # a new run
        return [], 0
    except (OSError, ValueError) as error:
        found_error = getattr(error, "strerror", None) or str(error)
        raise UserError(path, found_error, "the metrics of a run, one JSON object a line", "move it away") from error
    return found, damaged


def _is_value(name: str, value: object) -> bool:
    is_number = value is None or (isinstance(value, (int, float)) and abs(value) < MAX_ABS_VALUE)
    is_number &= type(value) is not bool
    return is_number and re.fullmatch("[A-Za-z0-9_]{1,60}", name) is not None


def _truncate(path: Path, step: int) -> list[dict]:
    """Remove the lines after `step`, and return the others. The file is written anew, so that it is no link to another
    one."""
    lines, damaged = _read(path)
    if damaged > 1:  # one is what a kill leaves
        print(f"{path}: {damaged} damaged lines are left out", file=sys.stderr)
    lines = [line for line in lines if line["step"] <= step]
    with atomic_open(path, "w") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    return lines


def plot_metrics(run: Path) -> None:
    """Plot metrics.jsonl as loss.png: losses above, scores below, and lines where the run collapsed and went back."""
    from matplotlib.figure import Figure

    metrics = read_metrics(run)
    kinds = [kind for kind in CURVE_KINDS if any(line["kind"] == kind for line in metrics)]
    if not kinds:
        return
    rollbacks = [line["step"] for line in metrics if line["kind"] == "rollback"]
    figure = Figure(figsize=(8, 3 * len(kinds)), layout="constrained")
    for axes, kind in zip(np.atleast_1d(figure.subplots(len(kinds), 1, sharex=True)), kinds, strict=True):
        rows = [line for line in metrics if line["kind"] == kind]
        for name in dict.fromkeys(name for row in rows for name in values_of(row)):  # a later phase has others
            values = [math.nan if row.get(name) is None else row[name] for row in rows]
            axes.plot([row["step"] for row in rows], values, label=name.replace("_", " "))
        for number, step in enumerate(rollbacks):
            axes.axvline(step, color="black", linestyle=":", label="" if number else "collapsed, rolled back")
        if rollbacks and any(value and value > 0 for row in rows for value in values_of(row).values()):
            axes.set_yscale("log")  # a collapse is orders of magnitude higher
        axes.set(xlabel="step", ylabel=kind)
        axes.grid(alpha=0.3)
        axes.legend()
    with atomic_open(run / "loss.png") as file:
        figure.savefig(file, format="png", dpi=80)
