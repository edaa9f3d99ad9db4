"""The pictures of a dataset card: contact sheet, histogram of hair colours, reliability of the colour network."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pyarrow as pa
from PIL import Image, ImageDraw, ImageFont

from pipeline.hair.color_network import Bin

SWATCHES = {
    "blonde": "#eccf6b",
    "brown": "#8a5a34",
    "black": "#26262e",
    "blue": "#4a7fd0",
    "pink": "#f08fb5",
    "purple": "#8a5cc0",
    "green": "#4fae62",
    "red": "#c8382f",
    "silver": "#c3c7d2",
    "none": "#ffffff",
}
COLUMNS, CELL, MARGIN, LABEL = 10, 96, 4, 92  # items in a row of a contact sheet; px
Load = Callable[[Path, dict], Image.Image]
"""(folder of the dataset, row of its manifest) -> the row's picture."""


def contact_sheet(rows: dict[str, list[dict]], folder: Path, load: Load, *, swatches: bool = False) -> Image.Image:
    """Return the first COLUMNS pictures of each labelled list of rows, one list under the other; with `swatches`, each
    label is a hair colour, and is shown as one too."""
    pitch = CELL + MARGIN
    sheet = Image.new("RGB", (LABEL + COLUMNS * pitch, len(rows) * pitch + MARGIN), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=14)
    for y, (label, some) in enumerate(rows.items()):
        top = MARGIN + y * pitch
        if swatches:
            draw.rounded_rectangle((8, top + 14, 84, top + 46), 6, fill=SWATCHES[label], outline="#888888")
        draw.text((8, top + 50), f"{label}\n{len(some):,}", "black", font)
        for x, row in enumerate(some[:COLUMNS]):
            picture = load(folder, row)
            scale = CELL / max(picture.size)
            size = [max(1, round(scale * side)) for side in picture.size]
            sheet.paste(picture.resize((size[0], size[1]), Image.Resampling.LANCZOS), (LABEL + x * pitch, top))
    return sheet


STRIP_CELL, CURVE_WIDTH = 56, 160  # px


def strips_and_curves(clips: Sequence[tuple[Image.Image, Sequence[float]]], frames: int) -> Image.Image:
    """Return a row for each film strip of so many frames: the frames side by side, and the curve of the openness."""
    pitch = STRIP_CELL + MARGIN
    picture = Image.new("RGB", (frames * STRIP_CELL + CURVE_WIDTH, max(1, len(clips)) * pitch), "white")
    draw = ImageDraw.Draw(picture)
    for y, (strip, openness) in enumerate(clips):
        small = strip.resize((STRIP_CELL, frames * STRIP_CELL), Image.Resampling.LANCZOS)
        for t in range(frames):
            frame = small.crop((0, t * STRIP_CELL, STRIP_CELL, (t + 1) * STRIP_CELL))
            picture.paste(frame, (t * STRIP_CELL, y * pitch))
        left, bottom = frames * STRIP_CELL + 8, y * pitch + STRIP_CELL - 6
        step = (CURVE_WIDTH - 16) / (frames - 1)
        draw.line([(left, bottom), (left + CURVE_WIDTH - 16, bottom)], "#cccccc")
        points = [(left + step * t, bottom - (STRIP_CELL - 12) * level) for t, level in enumerate(openness)]
        draw.line(points, "#4a7fd0", 2)
    return picture


def by_label(rows: Iterable[dict], labels: Iterable[str], label_of: Callable[[dict], str]) -> dict[str, list[dict]]:
    """Return label -> its rows, in the order of `labels`, without those that have none."""
    found: dict[str, list[dict]] = {label: [] for label in labels}
    for row in rows:
        found[label_of(row)].append(row)
    return {label: some for label, some in found.items() if some}


def hair_histogram(faces: pa.Table) -> Image.Image:
    """Return a chart with a bar for each hair colour, and its count."""
    counts = Counter(color or "none" for color in faces["hair_color"].to_pylist())
    bar, largest = 32, max(counts.values())
    picture = Image.new("RGB", (640, len(SWATCHES) * bar + 8), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=14)
    for y, (color, swatch) in enumerate(SWATCHES.items()):
        top, right = 8 + y * bar, 84 + 480 * counts[color] / largest
        draw.text((8, top + 3), color, "black", font)
        draw.rectangle((84, top, right, top + bar - 8), fill=swatch, outline="#888888")
        draw.text((right + 8, top + 3), f"{counts[color]:,}  ({counts[color] / len(faces):.0%})", "black", font)
    return picture


def reliability_chart(bins: list[Bin]) -> Image.Image:
    """Return a chart of the colour network's accuracy by its confidence: a bar for each bin, which ends on the diagonal
    if the network is calibrated."""
    side, left, top = 320, 48, 16
    picture = Image.new("RGB", (left + side + 16, top + side + 40), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=13)

    def at(x: float, y: float) -> tuple[float, float]:
        return left + side * x, top + side * (1 - y)

    for bin in bins:
        low = min(int(10 * bin.confidence), 9) / 10
        draw.rectangle((*at(low, bin.accuracy), *at(low + 0.1, 0)), fill="#9db9e8", outline="#4a7fd0")
        draw.text(at(low + 0.005, 0.045), f"{bin.faces}", "#333333", font)
    draw.line((*at(0, 0), *at(1, 1)), fill="#c8382f", width=2)
    draw.rectangle((*at(0, 1), *at(1, 0)), outline="#888888")
    for tick in (0, 0.5, 1):
        draw.text((at(tick, 0)[0] - 8, top + side + 4), f"{tick:g}", "black", font)
        draw.text((left - 26, at(0, tick)[1] - 8), f"{tick:g}", "black", font)
    draw.text((left + 70, top + side + 20), "confidence, and accuracy", "black", font)
    return picture
