"""What upscalers made of the same pictures: as a table with notes, as curves of colours, and as a sheet."""

from pathlib import Path
from typing import Any

import numpy as np

from models.comparison.layout import Row
from models.comparison.upscalers.measurement import TRUTH, Compared
from models.files import atomic_open
from models.metrics.colors import LEVELS, color_distance
from models.sampling.images import grid, with_caption

MEASURES = {
    "psnr": "PSNR, dB (higher)",
    "ssim": "SSIM (higher)",
    "lpips": "LPIPS (lower)",
    "colors": "colour distance, levels (lower)",
}
"""The heading of each measure, with which is better."""
CHANNELS = ("red", "green", "blue")
BINS = 64  # of a histogram that is drawn
MIN_COLUMNS = 3  # of a sheet, or captions would be cut off


def rows_of(compared: Compared) -> list[Row]:
    """Return the rows of the table; the first is its heading."""
    keys = [key for key in MEASURES if key in next(iter(compared.measures.values()))]
    return [
        ("", *(MEASURES[key] for key in keys)),
        *((name, *(f"{found[key]:.4g}" for key in keys)) for name, found in compared.measures.items()),
    ]


def notes_on(compared: Compared) -> list[str]:
    """Return what the figures do not say of themselves, a sentence each."""
    like = "the truth's" if compared.like == TRUTH else "the small pictures'"
    colors = f"The colour distance is how far the histogram of all pictures is from {like} (earth mover's distance)."
    if compared.like == TRUTH:
        return ["PSNR and SSIM are of the luma, without 4 px at the border; LPIPS is by VGG16.", colors]
    return ["There is no truth of these pictures: look at them. Flaws become larger, too.", colors]


def as_json(compared: Compared) -> dict[str, Any]:
    """Return the figures as JSON values: by upscaler its measures, and its colour distance by channel."""
    upscalers = {
        name: found
        | {
            "colors_by_channel": dict(
                zip(CHANNELS, color_distance(compared.levels[name], compared.levels[compared.like]), strict=True)
            )
        }
        for name, found in compared.measures.items()
    }
    return {"pictures": compared.names, "compared_with": compared.like, "upscalers": upscalers}


def save_histograms(path: Path, compared: Compared) -> None:
    """Draw the share of pixels at each level of each channel, as an article did."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 4 + 0.25 * len(compared.levels)), layout="constrained")
    panels = figure.subplots(1, len(CHANNELS), sharey=True)
    middles = (np.arange(BINS) + 0.5) * LEVELS / BINS
    for channel, axes in enumerate(panels):
        for number, (name, levels) in enumerate(compared.levels.items()):
            counts = levels[channel].reshape(BINS, -1).sum(1)
            color, width = ("black", 3) if name == compared.like else (f"C{number % 10}", 1)
            axes.plot(middles, counts / counts.sum(), color=color, linewidth=width, label=name)
        axes.set(xlabel=f"level of {CHANNELS[channel]}", yscale="log")
        axes.grid(alpha=0.3)
    panels[0].set(ylabel="share of pixels")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center")
    with atomic_open(path) as file:
        figure.savefig(file, format="png", dpi=80)


def sheet(compared: Compared) -> np.ndarray:
    """Return (H, W, 3) uint8: a row for the small pictures, one for each upscaler, and one for the truth; in a column
    the same part of a picture."""
    rows = []
    for name, parts in compared.parts.items():
        figures = compared.measures.get(name, {})
        said = ", ".join(f"{key.upper()} {figures[key]:.4g}" for key in ("psnr", "lpips") if key in figures)
        row = grid(np.stack(parts), max(len(parts), MIN_COLUMNS))
        rows.append(with_caption(row, f"{name}: {said}" if said else name))
    return np.concatenate(rows)
