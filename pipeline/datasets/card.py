"""What a person looks at first: the dataset card, the contact sheet, the histogram of hair colours."""

from collections import Counter
from pathlib import Path

import pyarrow as pa
from PIL import Image, ImageDraw, ImageFont

from pipeline.hair.color_network import Bin, calibration_error
from pipeline.hair.color_network import reliability as bins
from pipeline.manifest import FACES, HAIR_COLORS, REASONS, SPLITS, load_crop
from pipeline.markup import code, inert, table_rows

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
COLUMNS, CELL, MARGIN, LABEL = 10, 96, 4, 92  # faces in a row; px
MAX_ROWS = 200  # of a table of the card that has one for each text from elsewhere


def contact_sheet(faces: pa.Table, folder: Path) -> Image.Image:
    """The first COLUMNS faces of each hair colour, a row each, read from `folder`."""
    by_color: dict[str, list[tuple[str, int]]] = {color: [] for color in SWATCHES}
    for color, *crop in zip(*(faces[name].to_pylist() for name in ("hair_color", "path", "size")), strict=True):
        by_color[color or "none"].append(crop)
    rows = {color: paths for color, paths in by_color.items() if paths}
    pitch = CELL + MARGIN
    sheet = Image.new("RGB", (LABEL + COLUMNS * pitch, len(rows) * pitch + MARGIN), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=14)
    for y, (color, paths) in enumerate(rows.items()):
        top = MARGIN + y * pitch
        draw.rounded_rectangle((8, top + 14, 84, top + 46), 6, fill=SWATCHES[color], outline="#888888")
        draw.text((8, top + 50), f"{color}\n{len(paths):,}", "black", font)
        for x, (path, size) in enumerate(paths[:COLUMNS]):
            face = load_crop(folder, path, size)
            sheet.paste(face.resize((CELL, CELL), Image.Resampling.LANCZOS), (LABEL + x * pitch, top))
    return sheet


def hair_histogram(faces: pa.Table) -> Image.Image:
    """A bar for each hair colour, with its count."""
    counts = Counter(color or "none" for color in faces["hair_color"].to_pylist())
    bar, most = 32, max(counts.values())
    picture = Image.new("RGB", (640, len(SWATCHES) * bar + 8), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=14)
    for y, (color, swatch) in enumerate(SWATCHES.items()):
        top, right = 8 + y * bar, 84 + 480 * counts[color] / most
        draw.text((8, top + 3), color, "black", font)
        draw.rectangle((84, top, right, top + bar - 8), fill=swatch, outline="#888888")
        draw.text((right + 8, top + 3), f"{counts[color]:,}  ({counts[color] / len(faces):.0%})", "black", font)
    return picture


def reliability(bins: list[Bin]) -> Image.Image:
    """How often the colour tagger is right, by how sure it is: a bar for each bin, on the diagonal if it is honest."""
    side, left, top = 320, 48, 16
    picture = Image.new("RGB", (left + side + 16, top + side + 40), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=13)

    def at(x: float, y: float) -> tuple[float, float]:
        return left + side * x, top + side * (1 - y)

    for bin in bins:
        low = min(int(10 * bin.confidence), 9) / 10
        draw.rectangle((*at(low, bin.right), *at(low + 0.1, 0)), fill="#9db9e8", outline="#4a7fd0")
        draw.text(at(low + 0.005, 0.045), f"{bin.faces}", "#333333", font)
    draw.line((*at(0, 0), *at(1, 1)), fill="#c8382f", width=2)
    draw.rectangle((*at(0, 1), *at(1, 0)), outline="#888888")
    for tick in (0, 0.5, 1):
        draw.text((at(tick, 0)[0] - 8, top + side + 4), f"{tick:g}", "black", font)
        draw.text((left - 26, at(0, tick)[1] - 8), f"{tick:g}", "black", font)
    draw.text((left + 70, top + side + 20), "how sure, and how often right", "black", font)
    return picture


def card(faces: pa.Table, funnel: pa.Table, images: int, settings: dict[str, object]) -> str:
    """The dataset card, Markdown with the front matter that dataset hubs read.

    `images` is how many pictures were in; `settings` what the build was asked for, without names and paths."""
    groups = Counter(dict(zip(faces["image_id"].to_pylist(), faces["group"].to_pylist(), strict=True)).values())
    joined = [size for size in groups.values() if size > 1]
    stated = Counter(text or "not stated" for text in faces["license"].to_pylist())
    licenses = dict(stated.most_common(MAX_ROWS))
    if others := len(faces) - sum(licenses.values()):
        licenses[f"{len(stated) - MAX_ROWS:,} others"] = others
    splits = Counter(faces["split"].to_pylist())
    colors = Counter(color or "none" for color in faces["hair_color"].to_pylist())
    dropped = Counter(zip(funnel["stage"].to_pylist(), funnel["reason"].to_pylist(), strict=True))
    size = faces["size"][0].as_py()
    return f"""---
pretty_name: Anime faces
task_categories: [unconditional-image-generation, image-classification]
tags: [anime, faces, hair-color]
configs:
- config_name: default
  data_files: [metadata.parquet, "faces/**/*.png"]
---
# Anime faces

{len(faces):,} face crops of {size} × {size} px from {images:,} pictures, found, cut and labelled by program.

![contact sheet](contact_sheet.png)

## Dataset structure

`manifest.parquet` has one row per face; `metadata.parquet` the same rows with `file_name`, for image-folder loaders.
Those put all rows into one split of their own: filter by the column `split`.

| column | type | meaning |
|---|---|---|
{
        table_rows(
            (
                code(field.name),
                inert(str(field.type).replace(" not null", "")),
                inert(field.metadata[b"meaning"].decode()),
            )
            for field in FACES
        )
    }

| split | faces |
|---|---|
{table_rows((name, f"{splits[name]:,}") for name in SPLITS)}

{len(joined):,} groups hold more than one picture ({sum(joined):,} pictures in all): near-duplicates lie in one split.

| hair colour | faces |
|---|---|
{table_rows((name, f"{colors[name]:,}") for name in (*HAIR_COLORS, "none"))}

![hair colours](hair_colors.png)
{_calibration(faces)}
## Dataset creation

| setting | value |
|---|---|
{table_rows((code(key), code(value)) for key, value in settings.items())}

Where every picture went (`funnel.parquet` has a row for each that was dropped):

| stage | dropped because | how many |
|---|---|---|
{
        table_rows(
            (inert(stage), inert(f"{reason}: {REASONS.get(reason, 'of another version')}"), f"{count:,}")
            for (stage, reason), count in sorted(dropped.items())[:MAX_ROWS]
        )
        or "| | nothing was dropped | 0 |"
    }

## Licences and use

| licence, as the source states it | faces |
|---|---|
{table_rows((inert(text), f"{count:,}") for text, count in sorted(licenses.items()))}

A crop is part of somebody's picture: its rights are those of the original, whose source every row names. The hair
colours are a program's guess, not the artist's word. Faces that the detector does not know are missing.
"""


def _calibration(faces: pa.Table) -> str:
    """Of the tagger that looks at pixels, if it named any."""
    named = sum(tagger == "color" for tagger in faces["hair_tagger"].to_pylist())
    if not named:
        return ""
    error = calibration_error(bins())
    return f"""
{named:,} colours were named by their pixels. On drawn faces of a style that the tagger did not learn from its expected
calibration error is {error:.3f}:

![how sure, and how often right](hair_reliability.png)
"""
