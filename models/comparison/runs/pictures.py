"""Runs side by side as curves, and as a sheet of samples."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from models.comparison.runs.history import AXES, SCORE, Entry, History, budgets, standing_at
from models.comparison.runs.table import amount
from models.data.dataset import UserError
from models.files import atomic_open, check_regular
from models.sampling.images import grid, with_caption

SHOWN = 10  # samples of a run


def save_curves(path: Path, histories: Sequence[History]) -> None:
    """Draw the scores against pictures seen, and against seconds where there are any; a dotted line is where runs are
    compared."""
    from matplotlib.figure import Figure

    at = budgets(histories)
    is_log = all(entry.score > 0 for each in histories for entry in each.entries)  # near real faces one may be below
    figure = Figure(figsize=(1 + 5 * len(at), 4 + 0.25 * len(histories)), layout="constrained")
    panels = figure.subplots(1, len(at), squeeze=False, sharey=True)[0]
    for axes, (axis, budget) in zip(panels, at.items(), strict=True):
        for number, each in enumerate(histories):
            if each.has(axis):
                amounts = [getattr(entry, axis) for entry in each.entries]
                scores = [entry.score for entry in each.entries]
                label = f" {each.name}"  # Matplotlib does not list one that begins with _
                axes.plot(amounts, scores, marker=".", color=f"C{number % 10}", label=label)
        axes.axvline(budget, color="black", linestyle=":")
        axes.set(xlabel=AXES[axis], yscale="log" if is_log else "linear")
        axes.grid(alpha=0.3)
    panels[0].set(ylabel=f"{SCORE} (lower is better)")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center")
    with atomic_open(path) as file:
        figure.savefig(file, format="png", dpi=80)


def sheet(histories: Sequence[History]) -> np.ndarray:
    """Return (H, W, 3) uint8: SHOWN samples of each run in a row, where runs are compared, and then at the end. Raise
    UserError if a run's sheet is damaged."""
    parts = []
    for axis, budget in budgets(histories).items():
        for each in histories:
            found = standing_at(each, axis, budget)
            parts.append(_row(each, found and found.last, f"at {amount(budget)} {AXES[axis]}"))
    parts += [_row(each, each.entries[-1], "at the end") for each in histories]
    return np.concatenate(parts)


def _row(history: History, entry: Entry | None, where: str) -> np.ndarray:
    """Return (H, SHOWN · S, 3): samples of a run after an entry's step, under a caption; white if there are none."""
    samples, what = np.full((history.size, SHOWN * history.size, 3), 255, np.uint8), "not yet"
    if entry:
        samples = _samples(history.folder / "samples" / f"{entry.step:06}.png", history.size, samples)
        what = f"step {entry.step:,}, {SCORE} {entry.score:.4g}"
    return with_caption(samples, f"{where}: {history.name}, {what}")


def _samples(path: Path, size: int, blank: np.ndarray) -> np.ndarray:
    """Return (S, SHOWN · S, 3) uint8: samples of a run's sheet, each of the next row, and of the next column, which may
    be labels; `blank` if there is no such sheet. Raise UserError if it is damaged."""
    try:
        check_regular(path)
        with Image.open(path, formats=["PNG"]) as picture:
            whole = np.asarray(picture.convert("RGB"))
        rows, columns = whole.shape[0] // size, whole.shape[1] // size
        cells = whole.reshape(rows, size, columns, size, 3).swapaxes(1, 2)
    except FileNotFoundError:
        return blank
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = " ".join(str(error).split())[:100]
        raise UserError(path, f"damaged ({reason})", f"a sheet of samples of {size} px", "remove it") from error
    return grid(np.stack([cells[k % rows, k % columns] for k in range(SHOWN)]), SHOWN)
