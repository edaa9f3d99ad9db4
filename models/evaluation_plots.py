"""Pictures of the measures of a trained generator."""

from pathlib import Path
from typing import Any

import numpy as np

from models.data.dataset import HAIR_COLORS
from models.files import atomic_open
from models.metrics import manifold

Bar = tuple[str, float, float | None]
"""What is measured, its figure of samples, and that of real faces."""


def save_plot(path: Path, measured: dict[str, Any], about: dict[str, Any]) -> None:
    """Draw the shares among the measures as bars, each with its floor or ceiling as a line, and below them KID within
    each label, as a PNG with `about` as its texts."""
    from matplotlib.figure import Figure

    panels = {"bars: samples; lines: what real faces have": _shares(measured)}
    for key in measured.get("intra_by_label", {}):
        panels[f"KID by {key} within each label (samples of it)"] = _kid_by_label(measured, key)
    heights = [1 + len(rows) for rows in panels.values()]
    figure = Figure(figsize=(7, 0.5 + 0.25 * sum(heights)), layout="constrained")
    every = np.atleast_1d(figure.subplots(len(panels), 1, height_ratios=heights))
    for axes, (title, rows) in zip(every, panels.items(), strict=True):
        axes.barh([name for name, _, _ in rows], [value for _, value, _ in rows], color="tab:blue")
        for y, (_, _, best) in enumerate(rows):
            if best is not None:
                axes.plot([best, best], [y - 0.4, y + 0.4], color="black")
        axes.invert_yaxis()
        axes.set(title=title)
    every[0].set(xlim=(0, None))
    with atomic_open(path) as file:
        figure.savefig(file, format="png", dpi=80, metadata={key: str(value) for key, value in about.items()})


def _shares(measured: dict[str, Any]) -> list[Bar]:
    """Return the measures that are shares, with their floors or ceilings."""
    names = sorted(key.removesuffix("_floor") for key in measured if key.endswith("_floor"))
    rows = [(key, measured[key], measured[f"{key}_floor"]) for key in names if key.startswith(manifold.MEASURES)]
    rows += [(f"variety of {label}", value, 1.0) for label, value in measured["variety_by_label"].items()]
    for color, value in measured.get("hair_accuracy_by_color", {}).items():
        ceiling = measured["hair_ceiling_by_color"].get(color)
        name = f"accuracy of {color}" + " (no held-out face)" * (ceiling is None)
        rows.append((name, value, ceiling))
    return rows


def _kid_by_label(measured: dict[str, Any], key: str) -> list[Bar]:
    """Return KID of each label and their mean, with their floors; 0 where there are too few images."""
    rows: list[Bar] = []
    for label, row in measured["intra_by_label"][key].items():
        count = f"{row['samples']:,}" if "kid" in row else "too few"
        rows.append((f"{label} ({count})", row.get("kid", 0.0), row.get("kid_floor")))
    rows.append(("mean", measured[f"intra_kid_{key}"] or 0.0, measured[f"intra_kid_{key}_floor"]))
    return rows


def save_confusion_matrix(path: Path, colors: list[str], counts: np.ndarray, about: dict[str, Any]) -> None:
    """Draw the counts of `hair_accuracy` as a PNG, with `about` as its texts."""
    from matplotlib.figure import Figure

    shares = counts / counts.sum(1, keepdims=True)
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        if share:
            color = "white" if share > 0.6 else "black"
            axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", color=color)
    axes.set_xticks(range(len(HAIR_COLORS) + 1), [*HAIR_COLORS, "none"], rotation=45)
    axes.set_yticks(range(len(colors)), colors)
    axes.set(xlabel="named by the tagger", ylabel="asked for", title="hair colours, % of those asked for")
    with atomic_open(path) as file:
        figure.savefig(file, format="png", dpi=80, metadata={key: str(value) for key, value in about.items()})
