"""The model card: Markdown with the front matter that model hubs read."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from models.data.dataset import UserError, code, escape_markdown, read_json, table_rows
from models.files import atomic_open
from models.training.logger import CURVE_KINDS, read_metrics, values_of
from models.zoo import MODELS

_NUMBER = (float, int)
_EVALUATION = {
    "weights": str,
    "samples": int,
    "hair_accuracy_by_color": ({str: _NUMBER}, None),
    "memorization": ({"nearer": _NUMBER, "p_value": _NUMBER}, None),
    "intra_by_label": ({str: {str: {str: _NUMBER}}}, None),
}
"""The schema of evaluation.json, as far as the card reads it."""
_BY_FEATURES = (
    ("kid", "KID by {}", "lower"),
    ("fid", "FID by {}", "lower"),
    ("intra_kid", "KID by {} within a label, mean over labels", "lower"),
    ("intra_fid", "FID by {} within a label, mean over labels", "lower"),
    ("precision", "precision by {}: share of samples that look real", "higher"),
    ("recall", "recall by {}: share of real faces that samples show", "higher"),
    ("density", "density by {}: precision, in real faces near a sample", "higher"),
    ("coverage", "coverage by {}: share of real faces with a sample near", "higher"),
)
_OF_TRANSLATIONS = (
    ("judged_target", "share that a classifier takes for the target domain", "higher"),
    ("eyes_kept", "share whose eyes stay within 5 % of the width", "higher"),
    ("tilt_change", "change of the face's tilt, degrees", "lower"),
    ("hair_kept", "share whose hair keeps its colour", "higher"),
    ("hair_turned", "hair of the colour that was asked for", "higher"),
    ("lpips", "LPIPS between ten outputs for one face", "like real"),
)


def write_card(run: Path) -> None:
    """Write the card of a run again: what is known of it has changed. Raise UserError."""
    from models.runs import export, settings  # they import this file

    card = model_card(run, settings.read_settings(run), export.read_about(run)["steps"])
    with atomic_open(run / "README.md", "w") as file:
        file.write(card)


def model_card(run: Path, settings: dict[str, Any], step: int) -> str:
    """Return the card of a run after `step`, from its settings and its last metrics."""
    model, dataset = settings["model"], settings["dataset"]
    datasets = [dataset, *(settings.get("datasets") or {}).values()]
    lines = read_metrics(run)
    last = {line["kind"]: line for line in lines if line["kind"] in CURVE_KINDS}
    values = [item for line in last.values() for item in values_of(line).items()]
    shown = [
        (escape_markdown(key.replace("_", " ")), "not finite" if value is None else f"{value:.4g}")
        for key, value in values
    ]
    metrics = ", ".join(map(" ".join, shown))
    sheets = sorted(path for path in (run / "samples").glob("*.png") if re.fullmatch("[0-9]+", path.stem))
    count = dataset.get("left_out", 0)
    left_out = f"{count:,} faces of the train split have none of the labels, and were left out. " if count else ""
    names = " and ".join(escape_markdown(each["name"]) for each in datasets)
    sources = " and of ".join(
        f"a dataset of {_items(each)} (manifest\n{escape_markdown(each['digest'][:16])})" for each in datasets
    )
    rows = table_rows((code(key), code(value)) for key, value in settings["config"].items())
    evaluated = _evaluation(run)
    command = MODELS[model].use.format(run=run.name)
    use = f"Use: {code(f'luigi --module workflows {command}')}. " if command else ""
    return f"""---
library_name: pytorch
tags: [anime, gan, {model}]
---
# {escape_markdown(model)}, trained on {names}

{escape_markdown(MODELS[model].purpose.format(**settings["config"]))}, after {MODELS[model].paper}

{f"![samples](samples/{sheets[-1].name})" if sheets else ""}

Trained for {step:,} steps on the train split of {sources}, seed {escape_markdown(settings["seed"])},
preset {escape_markdown(settings["preset"])}. {left_out}{_rollbacks(lines)}At the end: {metrics}.

![losses](loss.png)
{evaluated}
| setting | value |
|---|---|
{rows}

{use}The pictures it learned from stay their
artists'; the dataset's card says whose.
"""


def _rollbacks(lines: list[dict]) -> str:
    """Return a sentence about each collapse in the lines of metrics.jsonl."""
    return "".join(
        f"At step {line['step']:,} it collapsed, and went on from its best weights, of step "
        f"{line.get('best_step') or 0:,.0f}, with {line.get('rate') or 0:g} of the learning rate. "
        for line in lines
        if line["kind"] == "rollback"
    )


def _items(dataset: dict[str, Any]) -> str:
    """Return how many faces, clips or pictures a dataset has."""
    return next(f"{dataset[kind]:,} {kind}" for kind in ("faces", "clips", "pictures") if kind in dataset)


def read_evaluation(run: Path) -> dict[str, Any] | None:
    """Return evaluation.json, if it is there and of the run's present weights."""
    from models.runs import export

    try:
        found: Any = read_json(run / "evaluation.json", _EVALUATION)
        return found if found["weights"] == export.weights_sha256(run) else None
    except (FileNotFoundError, ValueError, UserError):
        return None


def _evaluation(run: Path) -> str:
    """Return the section about evaluation.json; nothing if there is none of the run's present weights."""
    found = read_evaluation(run)
    if found is None:
        return ""
    rows = table_rows(measures(found))
    caveats = ""
    if few := _too_few(found):
        caveats += f"Means over labels are without {few}: too few faces or samples.\n"
    if judges := ", ".join(map(escape_markdown, found.get("hair_labels_by", ()))):
        caveats += f"Labels by {judges}, judged by the hair tagger: one that made them does not see its own errors.\n"
    names = ("evaluation", "hair_confusion", "neighbours", "translations")
    shown = (name for name in names if (run / f"generated/{name}.png").exists())
    pictures = "\n".join(f"![{name}](generated/{name}.png)" for name in shown)
    return f"""
Measured by `EvaluateGAN` on {found["samples"]:,} samples, beside real faces that were not trained on:

| measure | better | samples | real faces |
|---|---|---|---|
{rows}

{caveats}
{pictures}
"""


def _too_few(found: dict[str, Any]) -> str:
    """Return the labels that evaluation.json has no figures of, with the number of train faces of each."""
    rows = {label: row for by_label in (found.get("intra_by_label") or {}).values() for label, row in by_label.items()}
    few = (f"{escape_markdown(label)} ({row.get('reference', 0):,})" for label, row in rows.items() if "kid" not in row)
    return ", ".join(few)


def measures(found: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield name, better direction, figure of samples, figure of real faces of evaluation.json."""

    def shown(key: str) -> str:
        if found.get(key) is None:
            return ""
        name, floor = key.removesuffix("_floor"), "_floor" if key.endswith("_floor") else ""
        error = found.get(f"{name}_error{floor}")
        return f"{found[key]:.4g}" + (f" ± {error:.2g}" if error is not None else "")

    for features in [key.removeprefix("kid_") for key in found if re.fullmatch("kid_[a-z0-9]+_[0-9]+", key)]:
        for key, name, better in _BY_FEATURES:
            if found.get(f"{key}_{features}") is not None:
                yield name.format(features), better, shown(f"{key}_{features}"), shown(f"{key}_{features}_floor")
    for suffix, styles in (("", ""), ("_reference", ", in styles of references")):
        for key, name, better in _OF_TRANSLATIONS:
            if found.get(f"{key}{suffix}") is not None:
                yield name + styles, better, shown(f"{key}{suffix}"), shown(f"{key}_floor{suffix}")
    if "grain" in found:
        yield "grain: strength of patterns of period two", "like real", shown("grain"), shown("grain_floor")
    if found.get("variety") is not None:
        yield "variety within a label, relative to training faces", "1", shown("variety"), ""
    if copies := found.get("memorization"):
        nearer = f"{copies['nearer']:.4g} (p = {copies['p_value']:.2g})"
        yield "samples nearer to a training face than 99 % of real ones are", "0.01", nearer, "0.01"
    if "hair_accuracy" in found:
        yield "hair of the colour that was asked for", "higher", shown("hair_accuracy"), shown("hair_ceiling")
