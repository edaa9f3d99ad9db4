"""The model card: Markdown with the front matter that model hubs read."""

import re
from pathlib import Path
from typing import Any

from models.data.dataset import code, escape_markdown, table_rows
from models.training.logger import read_metrics
from models.zoo import MODELS


def model_card(run: Path, settings: dict[str, Any], step: int) -> str:
    """Return the card of a run after `step`, from its settings and its last metrics."""
    model, dataset = settings["model"], settings["dataset"]
    last = {line["kind"]: line for line in read_metrics(run)}
    values = [item for line in last.values() for item in line.items() if item[0] not in ("step", "kind")]
    shown = [
        (escape_markdown(key.replace("_", " ")), "not finite" if value is None else f"{value:.4g}")
        for key, value in values
    ]
    metrics = ", ".join(map(" ".join, shown))
    sheets = sorted(path for path in (run / "samples").glob("*.png") if re.fullmatch("[0-9]+", path.stem))
    count = dataset.get("left_out", 0)
    left_out = f"{count:,} faces of the train split have none of the labels, and were left out. " if count else ""
    rows = table_rows((code(key), code(value)) for key, value in settings["config"].items())
    return f"""---
library_name: pytorch
tags: [anime, faces, gan, {model}]
---
# {escape_markdown(model)}, trained on {escape_markdown(dataset["name"])}

Paints anime faces of {settings["config"]["size"]} × {settings["config"]["size"]} px. {MODELS[model].paper}

{f"![samples](samples/{sheets[-1].name})" if sheets else ""}

Trained for {step:,} steps on {dataset["faces"]:,} faces (manifest {escape_markdown(dataset["digest"][:16])}),
seed {escape_markdown(settings["seed"])}, preset {escape_markdown(settings["preset"])}. {left_out}At the end: {metrics}.

![losses](loss.png)

| setting | value |
|---|---|
{rows}

Use: {code(f"luigi --module workflows GenerateFaces --run {run.name}")}. The pictures it learned from stay their
artists'; the dataset's card says whose.
"""
