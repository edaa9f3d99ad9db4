"""The settings of a run: config.json, and the job of a task that they come from."""

import json
import math
import os
import re
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models.contracts import Config, Datasets
from models.data.dataset import UserError, check, read_json
from models.data.labels import conditions
from models.nn.plan import planned
from models.zoo import MODELS, Model

_DATASET_SCHEMA = {
    "name": str,
    "digest": str,
    "faces": (int, None),
    "clips": (int, None),
    "pictures": (int, None),
    "size": (int, None),
    "box_scale": (float, int, None),
    "face_x": (float, int, None),
    "face_y": (float, int, None),
    "rotation": (float, int, None),
    "labels": ({str: int}, None),
    "left_out": (int, None),
}
_SETTINGS_SCHEMA = {
    "model": str,
    "preset": (str, None),
    "seed": (int, None),
    "precision": (str, None),
    "init_from": ({"run": str, "sha256": (str, None)}, None),
    "config": {str: (None, bool, int, float, str, [(bool, int, float, str)])},
    "dataset": _DATASET_SCHEMA,  # that of the first role
    "datasets": ({str: _DATASET_SCHEMA}, None),  # those of the other roles
}
"""The schema of config.json."""
_SHARES = ("average", "beta1", "beta2", "last_beta2", "last_p", "dropout", "momentum")  # fields below 1
# fields with options of their own
_WITH_OPTIONS = ("steps", "batch_size", "sample_every", "save_every", "augment", "domains", "domain_column")
MAX_LAYER_OUTPUT = 1 << 24  # numbers that a layer may compute for one image; R3GAN's of 256 px has three quarters
SCHEDULE_FIELDS = ("steps", "sample_every", "save_every")  # of a Config; they change no step
RENAMED_FIELDS = {"hair_tagger": {"lessons": "patches"}}
"""By model: the name of a Config field in old runs -> its name now."""


@dataclass(frozen=True)
class Job:
    """The training that a task asks for. Its fields are JSON values: it is passed to a process of its own."""

    run: str  # folder
    model: str  # of MODELS
    preset: str
    datasets: dict[str, str]  # folder by role
    cache: str  # folder
    changes: dict[str, Any]  # fields of the preset's Config that were given by options of their own
    assignments: dict[str, str] = field(default_factory=dict)  # fields that were given by --set, as texts
    seed: int = 0
    precision: str = "auto"  # auto: bf16 on a GPU, fp32 elsewhere
    device: str = "auto"  # auto: a GPU if there is one
    processes: int = 1
    fresh: bool = False
    files: dict[str, str] = field(default_factory=dict)  # that its trainer reads, by the name of its parameter
    init_from: str | None = None  # folder of another run of this model, whose weights are the initial ones


def build_config(job: Job) -> Config:
    """Return the Config of the job's preset, with the job's changes applied.

    Raise UserError unless every process has as many images in each micro-batch as the model needs."""
    model = MODELS[job.model]
    if job.preset not in model.presets:
        raise UserError("--preset", f"{job.preset} given", f"one of {' '.join(model.presets)}", "give another")
    changes = {key: tuple(value) if isinstance(value, list) else value for key, value in job.changes.items()}
    if "augment" in changes and not hasattr(model.presets[job.preset], "augment"):
        found, expected = f"{changes['augment']} given for {job.model}", "a GAN with a discriminator of pictures"
        raise UserError("--augment", found, expected, "leave it out")
    config: Any = replace(model.presets[job.preset], **changes)  # type: ignore[type-var]  # a dataclass
    config = _assign(model, config, job.assignments)
    parts = job.processes * config.micro_batches
    for count in (config.batch_size, config.pictures):
        least = model.least_batch
        if count % parts or count < least * parts:
            share = f"{config.pictures / config.batch_size:g}"
            needed = f"a batch of which {share} are {parts} equal parts of {least} or more"
            raise UserError("--batch-size", f"{config.batch_size} given", needed, "give another")
    return config


def assignable_fields(config: Any) -> dict[str, str]:
    """Return the fields of a Config that --set takes, with their values as it takes them."""
    found = {field.name: getattr(config, field.name) for field in fields(config) if field.name not in _WITH_OPTIONS}
    return {
        name: ",".join(map(str, value)) if isinstance(value, tuple) else str(value) for name, value in found.items()
    }


def allowed_words(config: Any) -> dict[str, tuple[str, ...]]:
    """Return the values that each field of a Config may have whose values are words."""
    types = typing.get_type_hints(type(config)).items()
    return {name: typing.get_args(kind) for name, kind in types if typing.get_origin(kind) is typing.Literal}


def _assign(model: Model, config: Any, assignments: Mapping[str, str]) -> Any:
    """Return the Config with fields of --set. Raise UserError if one is not a field, or has a value with which the
    networks cannot be built."""
    if not assignments:
        return config
    known, words, values = assignable_fields(config), allowed_words(config), {}
    found = " ".join(f"{name}={text}" for name, text in assignments.items())
    for name, text in assignments.items():
        if name in _WITH_OPTIONS:
            option = "--" + name.replace("_", "-")
            raise UserError("--set", f"{name}={text} given", "a field without an option of its own", f"give {option}")
        if name not in known:
            raise UserError("--set", f"{name}={text} given", f"one of the fields {' '.join(known)}", "give another")
        like = getattr(config, name)
        try:
            values[name] = _parse_like(text, like)
            is_word = name not in words or values[name] in words[name]
            if not is_word or (name in _SHARES and values[name] >= 1):
                raise ValueError(text)
        except (ValueError, KeyError):
            expected = " or ".join(words[name]) if name in words else _describe_kind(name, like, known[name])
            raise UserError("--set", f"{name}={text} given", expected, "give another") from None
    try:
        config = replace(config, **values)
        with planned():
            for name, build in model.networks.items():
                network = build(config)
                if name in model.exported:
                    check_output(network, config.size)
    except Exception as error:  # odd settings make networks raise anything
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise UserError(
            "--set", f"{found} given: {reason}", "settings that networks can be built from", "give others"
        ) from error
    return config


def _describe_kind(name: str, like: Any, example: str) -> str:
    """Return what values a field takes whose value now is `like`."""
    if isinstance(like, tuple):
        return f"{len(like)} values or another number of them, such as {example}"
    if isinstance(like, bool):
        return "True or False"
    if isinstance(like, int):
        return f"a whole number of {min(like, 1)} or more, such as {example}"
    return f"a number of 0 or more{', below 1' if name in _SHARES else ''}, such as {example}"


def _parse_like(text: str, like: Any) -> Any:
    """Return the value of a text, of the type of `like`. Raise ValueError, or KeyError for a switch."""
    if isinstance(like, tuple):
        return tuple(_parse_like(part, like[0]) for part in text.split(","))
    if isinstance(like, bool):
        return {"true": True, "false": False}[text.lower()]
    value = type(like)(text)
    if isinstance(value, (int, float)) and not (
        math.isfinite(value) and value >= min(like, 1 if type(like) is int else 0)
    ):
        raise ValueError(text)
    return value


def config_from_json(model: str, values: dict[str, Any]) -> Any:
    """Return the Config in config.json, in which tuples are lists.

    Raise ValueError unless all values have the types of their fields, or are words that these allow; KeyError for a
    model that is not in MODELS."""
    like: Any = MODELS[model].presets["article"]
    words = allowed_words(like)
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    values = {field.name: values[field.name] for field in fields(like) if field.name in values}
    for name, value in values.items():
        if not _is_like(value, getattr(like, name)) or value not in words.get(name, (value,)):
            raise ValueError(f"{name} is {str(value)[:40]}")
    return type(like)(**values)


def _is_like(value: object, like: object) -> bool:
    """Return whether a value from JSON has the type of `like`; integers must be of 0 to 2³¹ - 1."""
    if isinstance(like, tuple):
        return isinstance(value, tuple) and bool(value) and all(_is_like(each, like[0]) for each in value)
    if type(like) is float:
        return type(value) in (int, float)
    return type(value) is type(like) and (type(value) is not int or 0 <= value < 1 << 31)


def check_output(plan: Any, size: int) -> None:
    """Raise ValueError unless a network on the `meta` device returns (1, 3, size, size), from z and labels or from an
    image of that size, or what its `io_shapes` says; and no layer computes more than MAX_LAYER_OUTPUT numbers for one
    image."""
    inputs, expected = plan.io_shapes() if hasattr(plan, "io_shapes") else _io_shapes(plan, size)
    images = math.prod(expected[:-3])  # of a clip: one for each frame

    def check_layer(module: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        if isinstance(output, Tensor) and output.numel() > MAX_LAYER_OUTPUT * images:
            raise ValueError(f"a layer of {output.numel() // images:,} numbers for one picture")

    for module in plan.modules():
        module.register_forward_hook(check_layer)
    with torch.no_grad():
        shape = tuple(plan.eval()(*(torch.empty(shape, device="meta") for shape in inputs)).shape)
    if shape != expected:
        raise ValueError(f"pictures of {shape[-1]} px, not of {expected[-1]}")


def _io_shapes(plan: Any, size: int) -> tuple[list[tuple[int, ...]], tuple[int, ...]]:
    image = (1, 3, size, size)
    inputs: list[tuple[int, ...]] = [(1, plan.latent)] if hasattr(plan, "latent") else [image]
    if labels := getattr(plan, "labels", ()):
        inputs.append((1, len(labels)))
    return inputs, image


def load_datasets(job: Job) -> dict[str, Any]:
    """Return the datasets of a job by role, in its order. Raise ManifestError."""
    dataset = MODELS[job.model].dataset
    return {role: dataset(Path(folder), Path(job.cache)) for role, folder in job.datasets.items()}


def read_settings(run: Path) -> dict[str, Any]:
    """Return config.json. Raise FileNotFoundError; UserError if it is damaged."""
    path = run / "config.json"
    try:
        settings: Any = read_json(path, _SETTINGS_SCHEMA)
        names = RENAMED_FIELDS.get(settings["model"], {})
        given = {names.get(name, name): value for name, value in settings["config"].items()}
        settings["config"] = _defaults(settings["model"]) | given
        check(settings["config"], dict.fromkeys(settings["config"].keys() & SCHEDULE_FIELDS, int))
    except ValueError as error:
        raise UserError(path, f"damaged ({error})", "the settings of a run", "start anew with --fresh") from None
    check_known(path, settings["model"], settings["config"])
    return settings


def check_known(path: Path, model: str, values: Mapping[str, Any]) -> None:
    """Raise UserError if a file of a run has a field that the model's Config lacks: another version wrote it, and this
    one may build another network."""
    if unknown := sorted(values.keys() - _defaults(model).keys()) if model in MODELS else []:
        problem = f"has the setting {unknown[0][:40]}, which this version does not know"
        raise UserError(path, problem, "settings of this version", "use the version that wrote it, or a later one")


def _defaults(model: str) -> dict[str, Any]:
    """Return the defaults of a model's Config: the values of fields that were added after a run. {} if it is no GAN."""
    if model not in MODELS:
        return {}
    config: Any = MODELS[model].presets["article"]
    return {field.name: field.default for field in fields(config)}


def resolve_device(name: str) -> torch.device:
    """Return the device of --device for this process. Raise UserError if there is no such device."""
    gpus = torch.cuda.device_count()
    if name == "auto":
        name = "cuda" if gpus else "cpu"
    found = re.fullmatch(r"cpu|cuda(?::(\d+))?", name)
    if not found:
        raise UserError("--device", f"{name} given", "auto, cpu, cuda or cuda:N", "give one of these")
    if name == "cpu":
        return torch.device("cpu")
    local, processes = int(os.environ.get("LOCAL_RANK", 0)), int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    if processes > 1 and found[1]:
        raise UserError("--device", f"{name} given for {processes} processes", "a GPU for each", "give cuda")
    if max(local, processes - 1, int(found[1] or 0)) >= gpus:
        problem = f"{name} given for {processes} processes, and torch sees {gpus} GPUs"
        raise UserError("--device", problem, "one for each", "give cpu or auto, or fewer --processes")
    return torch.device("cuda", int(found[1] or local))


def _resolve_precision(name: str, device: torch.device) -> str:
    return ("bf16" if device.type == "cuda" else "fp32") if name == "auto" else name


def describe(job: Job, config: Config, datasets: Datasets) -> dict[str, Any]:
    """Return the content of config.json: all that the result depends on, and facts for the model card."""
    first, *others = [(role, _describe_dataset(dataset, config)) for role, dataset in datasets.items()]
    settings: dict[str, Any] = {
        "model": job.model,
        "preset": job.preset,
        "config": asdict(config),  # type: ignore[call-overload]  # a dataclass
        "seed": job.seed,
        "precision": _resolve_precision(job.precision, resolve_device(job.device)),
        "init_from": job.init_from and {"run": Path(job.init_from).name},
        "dataset": first[1],
    }
    return settings | ({"datasets": dict(others)} if others else {})


def _describe_dataset(dataset: Any, config: Config) -> dict[str, Any]:
    """Return name, digest and counts; for a conditional model also how many train faces have each label, and none."""
    facts = {"name": dataset.folder.name, "digest": dataset.digest, **dataset.facts()}
    labels = getattr(config, "labels", ())
    if not labels:
        return facts
    have = conditions(dataset.split("train"), labels)
    counts = dict(zip(labels, have.sum(0).astype(int).tolist(), strict=True))
    return facts | {"labels": counts, "left_out": int((~have.any(1)).sum())}


def differences(saved: dict[str, Any], requested: dict[str, Any]) -> list[str]:
    """Return 'NAME SAVED, now REQUESTED' for each setting that changes the result and differs."""

    def flat(settings: dict[str, Any]) -> dict[str, Any]:
        rows = {key: settings.get(key) for key in ("model", "seed", "precision")}
        rows["init from"] = (settings.get("init_from") or {}).get("run")
        rows["dataset digest"] = settings["dataset"].get("digest")
        others = (settings.get("datasets") or {}).items()
        rows |= {f"dataset {role} digest": dataset.get("digest") for role, dataset in others}
        return rows | {key: value for key, value in settings["config"].items() if key not in SCHEDULE_FIELDS}

    before, now = flat(json.loads(json.dumps(saved))), flat(json.loads(json.dumps(requested)))
    if before["model"] != now["model"]:
        return [f"model {before['model']}, now {now['model']}"]  # all else differs with it
    changed = [(key, before.get(key), now[key]) for key in now if before.get(key) != now[key]]
    return [f"{key.replace('_', ' ')} {_shorten(old)}, now {_shorten(new)}" for key, old, new in changed]


def _shorten(value: object) -> str:
    return f"{len(value)} words" if isinstance(value, list) else str(value)[:12]
