"""Checkpoint -> what a run is for: `model.safetensors` and a model card."""

import contextlib
import functools
import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from models.data.dataset import UserError, code, inert, parse_json, table_rows
from models.files import atomic_open, check_regular
from models.training.logger import lines
from models.zoo import MODELS


def export(run: Path, network: nn.Module, settings: dict, step: int) -> None:
    """Write `model.safetensors`, with what is needed to build the network as it is after `step`, and `README.md`."""
    about = {"model": settings["model"], "config": settings["config"], "steps": step}
    if "labels" in settings["dataset"]:
        about["labels"] = settings["dataset"]["labels"]
    write_weights(run, network.state_dict(), about)
    with atomic_open(run / "README.md", "w") as file:
        file.write(card(run, settings, step))


def write_weights(run: Path, weights: dict[str, Tensor], about: dict) -> None:
    """Write `model.safetensors`, with what it says of itself."""
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    # One key: safetensors writes several in any order, and the same weights are to be the same bytes.
    with atomic_open(run / "model.safetensors") as file:
        file.write(to_bytes(weights, metadata={"about": json.dumps(about)}))


MAX_HEADER_BYTES = 4 << 20  # ours has some 10 KB
MAX_OUTPUT = 1 << 22  # numbers that a layer may give for one picture; that of the largest preset gives a quarter
_SETTING = (bool, int, float, str, [int], [float], [str])
_ABOUT = {"model": str, "config": {str: _SETTING}, "steps": int, "labels": ({str: int}, None)}
_DTYPES = {"F32": torch.float32, "I64": torch.int64}


def load(run: Path) -> nn.Module:
    """The network of a run, on the CPU, in evaluation mode. Raises UserError if the run has none, or a damaged one.

    The file may come from anywhere: its tensors are compared with the network before either takes memory."""
    with _opened(run) as (file, held):
        build = functools.partial(MODELS[held["model"]].networks[MODELS[held["model"]].exported], _config_of(held))
        names = set(file.keys())
        with torch.device("meta"), _at_most(len(names)):
            plan = build()
        wanted = {name: (list(tensor.shape), tensor.dtype) for name, tensor in plan.state_dict().items()}
        slices = ((name, file.get_slice(name)) for name in names)
        found = {name: (part.get_shape(), _DTYPES.get(part.get_dtype())) for name, part in slices}
        if wrong := sorted(name for name in wanted.keys() | found if wanted.get(name) != found.get(name)):
            raise ValueError(f"other tensors than its settings ask for: {wrong[0][:40]}")
        _check_output(plan, _config_of(held).size)
        network = build()
        network.load_state_dict({name: file.get_tensor(name) for name in names})
    return network.to(memory_format=torch.channels_last).eval().requires_grad_(False)  # as it was trained


@contextlib.contextmanager
def _at_most(count: int) -> Iterator[None]:
    """Raise ValueError once networks that are built within it have more parameters than `count` tensors."""
    left = iter(range(count))

    def note(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
        if parameter is not None and next(left, None) is None:
            raise ValueError("fewer tensors than its settings ask for")

    handle = register_module_parameter_registration_hook(note)
    try:
        yield
    finally:
        handle.remove()


def _check_output(plan: nn.Module, size: int) -> None:
    """Raise ValueError unless a generator on the `meta` device makes a picture of `size` px, without a layer whose
    output is too large."""

    def note(module: nn.Module, inputs: tuple, output: Tensor) -> None:
        if output.numel() > MAX_OUTPUT:
            raise ValueError(f"a layer of {output.numel():,} numbers for one picture")

    for module in plan.modules():
        module.register_forward_hook(note)
    inputs = [plan.latent, *([len(plan.labels)] if hasattr(plan, "labels") else [])]
    with torch.no_grad():
        shape = plan.eval()(*(torch.empty(1, width, device="meta") for width in inputs)).shape
    if tuple(shape) != (1, 3, size, size):
        raise ValueError(f"pictures of {shape[-1]} px, not of {size}")


@contextlib.contextmanager
def _opened(run: Path) -> Iterator[tuple[safe_open, dict]]:
    """(`model.safetensors`, what it says of itself). Raises UserError, also for what goes wrong within."""
    path = run / "model.safetensors"
    try:
        check_regular(path)
        with open(path, "rb") as raw:
            if int.from_bytes(raw.read(8), "little") > MAX_HEADER_BYTES:
                raise ValueError("no safetensors, or too long a header")
        with safe_open(path, "pt") as file:
            held = parse_json((file.metadata() or {}).get("about"), _ABOUT)
            counts = held["labels"] = held.get("labels") or {}
            if held["steps"] < 0 or any(count < 0 for count in counts.values()):
                raise ValueError("negative counts")
            if held["model"] in MODELS and tuple(counts) != getattr(_config_of(held), "labels", ()):
                raise ValueError("other labels than its settings'")
            yield file, held
    except FileNotFoundError:
        raise UserError(run, "has no model.safetensors", "a run that has saved once", "train it first") from None
    except Exception as error:  # odd settings make networks raise anything
        found = " ".join((str(error) or type(error).__name__).split())[:120]
        cure = "remove it and start its training again, which writes it anew"
        raise UserError(path, f"damaged ({found})", "the weights of a model of ZOO", cure) from error


def about(run: Path) -> dict:
    """What `model.safetensors` says of itself: model, config, steps; of a conditional one `labels`, how many faces of
    each it learned from. Raises UserError if there is none, or it is damaged."""
    with _opened(run) as (_, held):
        return {key: held[key] for key in ("model", "config", "steps", "labels")}


def _config_of(held: dict):
    return config(held["model"], held["config"])


def config(model: str, values: dict):
    """The Config that config.json holds: JSON knows no tuples. Raises ValueError unless all are of their fields' types;
    KeyError for another model."""
    like = MODELS[model].presets["article"]
    values = {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
    values = {field.name: values[field.name] for field in fields(like) if field.name in values}
    for name, value in values.items():
        if not _is_like(value, getattr(like, name)):
            raise ValueError(f"{name} is {str(value)[:40]}")
    return type(like)(**values)


def _is_like(value: object, like: object) -> bool:
    if isinstance(like, tuple):
        return isinstance(value, tuple) and bool(value) and all(_is_like(each, like[0]) for each in value)
    if type(like) is float:
        return type(value) in (int, float)
    return type(value) is type(like) and (type(value) is not int or 0 <= value < 1 << 31)


def weights_sha256(run: Path) -> str:
    """Of `model.safetensors`. Raises UserError if there is none."""
    path = run / "model.safetensors"
    try:
        check_regular(path)
        with open(path, "rb") as file:
            digest = hashlib.sha256()
            while part := file.read(1 << 20):
                digest.update(part)
            return digest.hexdigest()
    except FileNotFoundError:
        raise UserError(run, "has no model.safetensors", "a run that has saved once", "train it first") from None
    except (OSError, ValueError) as error:
        found = getattr(error, "strerror", None) or str(error)
        raise UserError(path, found, "the weights of a model of ZOO", "remove it, and train the run again") from error


def card(run: Path, settings: dict, step: int) -> str:
    """The model card, Markdown with the front matter that model hubs read."""
    model, dataset = settings["model"], settings["dataset"]
    last = {line["kind"]: line for line in lines(run)}
    said = ", ".join(
        f"{inert(name.replace('_', ' '))} {'not finite' if value is None else f'{value:.4g}'}"
        for line in last.values()
        for name, value in line.items()
        if name not in ("step", "kind")
    )
    shown = sorted(path for path in (run / "samples").glob("*.png") if re.fullmatch("[0-9]+", path.stem))
    none = dataset.get("left_out", 0)
    left_out = f"{none:,} faces of the train split have none of the labels, and were left out. " if none else ""
    rows = table_rows((code(key), code(value)) for key, value in settings["config"].items())
    return f"""---
library_name: pytorch
tags: [anime, faces, gan, {model}]
---
# {inert(model)}, trained on {inert(dataset["name"])}

Paints anime faces of {settings["config"]["size"]} × {settings["config"]["size"]} px. {MODELS[model].paper}

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
