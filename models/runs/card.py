"""The model card: Markdown with the front matter that model hubs read."""

import re
from pathlib import Path
from typing import Any

from models.data.dataset import UserError, code, escape_markdown, read_json, table_rows
from models.files import atomic_open
from models.training.logger import read_metrics
from models.zoo import MODELS


def write_card(run: Path) -> None:
    """Write the card of a run again: what is known of it has changed. Raise UserError."""
    from models.runs import export, settings  # they import this file

    card = model_card(run, settings.read_settings(run), export.read_about(run)["steps"])
    with atomic_open(run / "README.md", "w") as file:
        file.write(card)


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
    items = next(f"{dataset[kind]:,} {kind}" for kind in ("faces", "clips") if kind in dataset)
    rows = table_rows((code(key), code(value)) for key, value in settings["config"].items())
    evaluated = _evaluation(run)
    return f"""---
library_name: pytorch
tags: [anime, faces, gan, {model}]
---
# {escape_markdown(model)}, trained on {escape_markdown(dataset["name"])}

{escape_markdown(MODELS[model].purpose.format(**settings["config"]))}. {MODELS[model].paper}

{f"![samples](samples/{sheets[-1].name})" if sheets else ""}

Trained for {step:,} steps on the train split of {items} (manifest
{escape_markdown(dataset["digest"][:16])}), seed {escape_markdown(settings["seed"])},
preset {escape_markdown(settings["preset"])}. {left_out}At the end: {metrics}.

![losses](loss.png)
{evaluated}
| setting | value |
|---|---|
{rows}

Use: {code(f"luigi --module workflows {MODELS[model].use} --run {run.name}")}. The pictures it learned from stay their
artists'; the dataset's card says whose.
"""


def _evaluation(run: Path) -> str:
    """Return the section about evaluation.json, if that is of the run's present weights."""
    from models.runs import export

    try:
        found: Any = read_json(run / "evaluation.json", {"weights": str})
        if found["weights"] != export.weights_sha256(run):
            return ""
    except (FileNotFoundError, ValueError, UserError):
        return ""
    numbers = {key: value for key, value in found.items() if type(value) in (int, float)}
    pairs = [(key, numbers.pop(f"{key}_floor", None)) for key in list(numbers) if not key.endswith("_floor")]
    rows = table_rows(
        (code(key), f"{numbers[key]:.4g}", "" if floor is None else f"{floor:.4g}") for key, floor in pairs
    )
    return f"""
| measure (`EvaluateGAN`) | samples | real faces that were not trained on |
|---|---|---|
{rows}

![measures](generated/evaluation.png)
"""
