"""Checkpoint -> what a run is for: `model.safetensors` and a model card."""

import hashlib
import json
from dataclasses import fields
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from models import ZOO
from models.data import UserError, code, inert, table_rows
from models.files import whole
from models.journal import lines


def export(run: Path, network: nn.Module, settings: dict, step: int) -> None:
    """Write `model.safetensors`, with what is needed to build the network as it is after `step`, and `README.md`."""
    about = {"model": settings["model"], "config": settings["config"], "steps": step}
    if "labels" in settings["dataset"]:
        about["labels"] = settings["dataset"]["labels"]
    write_weights(run, network.state_dict(), about)
    with whole(run / "README.md", "w") as file:
        file.write(card(run, settings, step))


def write_weights(run: Path, weights: dict[str, Tensor], about: dict) -> None:
    """Write `model.safetensors`, with what it says of itself."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    # One key: safetensors writes several in any order, and the same weights are to be the same bytes.
    with whole(run / "model.safetensors") as file:
        file.write(to_bytes(weights, metadata={"about": json.dumps(about)}))


def load(run: Path) -> nn.Module:
    """The network of a run, on the CPU, in evaluation mode. Raises UserError if the run has none, or a damaged one."""
    path = run / "model.safetensors"
    try:
        with safe_open(path, "pt") as file:
            about = json.loads(file.metadata()["about"])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        entry = ZOO[about["model"]]
        network = entry.networks[entry.exported](config(about["model"], about["config"]))
        network.load_state_dict(weights)
    except FileNotFoundError:
        raise UserError(run, "has no model.safetensors", "a run that has saved once", "train it first") from None
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError, RuntimeError, OSError) as error:
        cure = "remove it and start its training again, which writes it anew"
        raise UserError(path, f"damaged ({str(error)[:120]})", "the weights of a model of ZOO", cure) from error
    return network.to(memory_format=torch.channels_last).eval().requires_grad_(False)  # as it was trained


def about(run: Path) -> dict:
    """What `model.safetensors` says of itself: model, config, steps; of a conditional one `labels`, how many faces of
    each it learned from. Raises FileNotFoundError; UserError if it is damaged."""
    try:
        with safe_open(run / "model.safetensors", "np") as file:
            held = json.loads(file.metadata()["about"])
            return {key: held[key] for key in ("model", "config", "steps")} | {"labels": held.get("labels", {})}
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise UserError(run / "model.safetensors", f"damaged ({error})", "weights", "remove it") from error


def config(model: str, values: dict):
    """The Config that config.json holds: JSON knows no tuples."""
    kind = type(ZOO[model].presets["article"])
    known = {field.name for field in fields(kind)}
    return kind(**{key: tuple(v) if isinstance(v, list) else v for key, v in values.items() if key in known})


def weights_sha256(run: Path) -> str:
    """Of `model.safetensors`. Raises UserError if there is none."""
    try:
        return hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()
    except FileNotFoundError:
        raise UserError(run, "has no model.safetensors", "a run that has saved once", "train it first") from None


def card(run: Path, settings: dict, step: int) -> str:
    """The model card, Markdown with the front matter that model hubs read."""
    model, dataset = settings["model"], settings["dataset"]
    last = {line["kind"]: line for line in lines(run)}
    said = ", ".join(
        f"{inert(name.replace('_', ' '))} {value:.4g}"
        for line in last.values() for name, value in line.items() if name not in ("step", "kind")
    )  # fmt: skip
    shown = sorted((run / "samples").glob("[0-9]*[0-9].png"))
    none = dataset.get("left_out", 0)
    left_out = f"{none:,} faces of the train split have none of the labels, and were left out. " if none else ""
    rows = table_rows((code(key), code(value)) for key, value in settings["config"].items())
    return f"""---
library_name: pytorch
tags: [anime, faces, gan, {model}]
---
# {inert(model)}, trained on {inert(dataset["name"])}

Paints anime faces of {settings["config"]["size"]} × {settings["config"]["size"]} px. {ZOO[model].paper}

{f"![samples](samples/{shown[-1].name})" if shown else ""}

Trained for {step:,} steps on {dataset["faces"]:,} faces (manifest {inert(dataset["digest"][:16])}),
seed {inert(settings["seed"])}, preset {inert(settings["preset"])}. {left_out}At the end: {said}.

![losses](loss.png)

| setting | value |
|---|---|
{rows}

Use: {code(f"luigi --module workflows GenerateFaces --run {run.name}")}. The pictures it learned from stay their
artists'; the dataset's card says whose.
"""
