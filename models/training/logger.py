"""What a run says while it trains: its losses, sheets and speed."""

import json
import math
import os
import re
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from models.data.dataset import UserError, parse_json
from models.files import atomic_open, check_regular

PLAIN_SECONDS = 30  # between two lines of progress where there is no terminal
KINDS = ("loss", "score")
MAX_LINE_BYTES = 1 << 16  # of metrics.jsonl; ours have hundreds
MAX_BYTES = 16 << 20  # of the file: 100,000 lines
MAX_NAMES = 50  # of a line, each of which is a curve
MAX_SCORE = 1e100  # what can be drawn


class RunLogger:
    """`metrics.jsonl`, `samples/STEP.png`, `loss.png` and `tensorboard/` of a run, and its progress on stderr.

    What was written after step `start` is taken back first: those steps are made again."""

    def __init__(self, run: Path, start: int, steps: int, pictures: int):
        from torch.utils.tensorboard import SummaryWriter  # slow to import, and no model needs it

        self._run, self._pictures = run, pictures
        (run / "samples").mkdir(parents=True, exist_ok=True)
        _cut(run / "metrics.jsonl", start)
        self._metrics = open(run / "metrics.jsonl", "a", encoding="utf-8")  # noqa: SIM115
        self._board = SummaryWriter(run / "tensorboard", purge_step=start + 1 if start else None)
        tty = sys.stderr.isatty()
        self._bar = tqdm(total=steps, initial=start, desc=run.name, unit="step", dynamic_ncols=True, disable=not tty)
        self._said, self._said_at = time.monotonic(), start
        self._at, self._steps = start, steps

    def __enter__(self) -> "RunLogger":
        return self

    def __exit__(self, *error) -> None:
        self._bar.close()
        self._metrics.close()
        self._board.close()

    def advance(self) -> None:
        """One step more is done."""
        self._at += 1
        self._bar.update()
        seconds = time.monotonic() - self._said
        if seconds < (1 if not self._bar.disable else PLAIN_SECONDS):
            return
        rate = (self._at - self._said_at) / seconds
        if self._bar.disable:
            left = (self._steps - self._at) / rate
            print(
                f"{self._run.name}: step {self._at} of {self._steps}, {rate:.2f} steps/s, "
                f"{rate * self._pictures:.1f} images/s, {tqdm.format_interval(left)} left",
                file=sys.stderr,
            )
        self._bar.set_postfix_str(f"{rate * self._pictures:.1f} images/s", refresh=False)
        self._board.add_scalar("speed/images per second", rate * self._pictures, self._at)
        self._said, self._said_at = time.monotonic(), self._at

    def losses(self, step: int, values: dict[str, Tensor]) -> None:
        """The losses of a step; reads them from the device."""
        self._line(step, {name: float(value) for name, value in values.items()}, "loss")

    def scores(self, step: int, values: dict[str, float]) -> None:
        """What validation says of the weights after a step."""
        self._line(step, values, "score")

    def _line(self, step: int, values: dict[str, float], kind: str) -> None:
        told = {name: value if math.isfinite(value) else None for name, value in values.items()}  # JSON has no NaN
        self._metrics.write(json.dumps({"step": step, "kind": kind, **told}) + "\n")
        self._metrics.flush()
        for name, value in values.items():
            self._board.add_scalar(f"{kind}/{name}", value, step)

    def sheet(self, step: int, picture: np.ndarray) -> None:
        """Samples after a step; and the losses so far, drawn."""
        with atomic_open(self._run / "samples" / f"{step:06}.png") as file:
            Image.fromarray(picture).save(file, "PNG")
        self._board.add_image("samples", picture, step, dataformats="HWC")
        plot(self._run)

    def sync(self) -> None:
        """All that was said is on disk."""
        self._metrics.flush()
        os.fsync(self._metrics.fileno())
        self._board.flush()


def lines(run: Path) -> list[dict]:
    """The lines of a run's metrics.jsonl that are whole; none if it is not there."""
    return _read(run / "metrics.jsonl")[0]


def _read(path: Path) -> tuple[list[dict], int]:
    """(the lines that are whole, how many others there are). Raises UserError if it is no file that can be read."""
    found, damaged = [], 0
    try:
        check_regular(path)
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES:,} bytes")
        with open(path, "rb") as file:
            while line := file.readline(MAX_LINE_BYTES):
                try:
                    held = parse_json(line, {"step": int, "kind": str})
                    kind, values = held["kind"], {name: held[name] for name in held if name not in ("step", "kind")}
                    is_ours = held["step"] >= 0 and kind in KINDS and len(values) <= MAX_NAMES
                    if not is_ours or not all(map(_is_score, values.items())):
                        raise ValueError("not a line of this program")
                    found.append(held)
                except ValueError:  # the process was killed while it wrote it, or the disk lost it
                    damaged += 1
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        told = getattr(error, "strerror", None) or str(error)
        raise UserError(path, told, "the losses of a run, a line each", "move it away") from error
    return found, damaged


def _is_score(item: tuple[str, object]) -> bool:
    name, value = item
    is_number = value is None or (type(value) in (int, float) and abs(value) < MAX_SCORE)
    return is_number and re.fullmatch("[A-Za-z0-9_]{1,60}", name) is not None


def _cut(path: Path, step: int) -> None:
    """Take back the lines after `step`. The file is made anew, so that it is no link to another one."""
    held, damaged = _read(path)
    if damaged > 1:  # one is what a kill leaves
        print(f"{path}: {damaged} damaged lines are left out", file=sys.stderr)
    kept = [line for line in held if line["step"] <= step]
    with atomic_open(path, "w") as file:
        file.writelines(json.dumps(line) + "\n" for line in kept)


def plot(run: Path) -> None:
    """Draw metrics.jsonl as loss.png: losses above, scores below."""
    from matplotlib.figure import Figure

    said = lines(run)
    kinds = [kind for kind in KINDS if any(line["kind"] == kind for line in said)]
    if not kinds:
        return
    figure = Figure(figsize=(8, 3 * len(kinds)), layout="constrained")
    for axes, kind in zip(np.atleast_1d(figure.subplots(len(kinds), 1, sharex=True)), kinds, strict=True):
        rows = [line for line in said if line["kind"] == kind]
        for name in [name for name in rows[0] if name not in ("step", "kind")]:
            values = [math.nan if row.get(name) is None else row[name] for row in rows]
            axes.plot([row["step"] for row in rows], values, label=name.replace("_", " "))
        axes.set(xlabel="step", ylabel=kind)
        axes.grid(alpha=0.3)
        axes.legend()
    with atomic_open(run / "loss.png") as file:
        figure.savefig(file, format="png", dpi=80)
