"""Export of a checkpoint: the trainer's networks as safetensors, and a model card.

The main network is `model.safetensors`; each other one is `<network>.safetensors`.
"""

import contextlib
import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from models.data.dataset import UserError, parse_json, sha256_of
from models.files import atomic_open, check_regular
from models.nn.layers import to_channels_last
from models.nn.plan import planned
from models.runs.card import model_card
from models.runs.settings import check_known, check_output, config_from_json
from models.zoo import MODELS

MAIN = "model"  # the file of the main network, without its ending
MAX_HEADER_BYTES = 4 << 20  # our headers have some 10 KB
_SETTING = (bool, int, float, str, [int], [float], [str])
_ABOUT_SCHEMA = {"model": str, "config": {str: _SETTING}, "steps": int, "labels": ({str: int}, None)}
_DTYPES = {"F32": torch.float32, "F16": torch.float32, "I64": torch.int64}
"""What tensors of a file become: those of half precision make shipped files half as large."""


def export(run: Path, networks: dict[str, nn.Module], settings: dict[str, Any], step: int) -> None:
    """Write the networks after `step`, with the settings they are built from, and `README.md`.

    The first of `networks` is the main one."""
    about = {"model": settings["model"], "config": settings["config"], "steps": step}
    if "labels" in settings["dataset"]:
        about["labels"] = settings["dataset"]["labels"]
    main, *others = networks
    for name in others:
        write_weights(run, networks[name].state_dict(), about, name=name)
    write_weights(run, networks[main].state_dict(), about)  # last: a run with it is complete
    with atomic_open(run / "README.md", "w") as file:
        file.write(model_card(run, settings, step))


def write_weights(run: Path, weights: dict[str, Tensor], about: dict[str, Any], *, name: str = MAIN) -> None:
    """Write `NAME.safetensors` with `about` as its metadata."""
    weights = {key: tensor.detach().cpu().contiguous() for key, tensor in weights.items()}
    # One key: safetensors writes several in any order, and equal weights must be equal bytes.
    with atomic_open(run / f"{name}.safetensors") as file:
        file.write(to_bytes(weights, metadata={"about": json.dumps(about)}))


def load_network(run: Path, name: str | None = None) -> Any:
    """Return an exported network of a run, the main one by default: on the CPU, in evaluation mode.

    Raise UserError if the run has none, or a damaged one. The file may come from anywhere: its tensors are compared
    with those of the network before either takes memory."""
    with _open_weights(run, name or MAIN) as (file, about):
        build, plan = _plan(file, about, name)
        network = build()
        network.load_state_dict({key: file.get_tensor(key) for key in plan.state_dict()})
    return to_channels_last(network).eval().requires_grad_(False)  # the layout of training


def plan_network(run: Path, name: str | None = None) -> Any:
    """Return an exported network of a run without its weights, see `nn.plan`. Raise UserError as `load_network`."""
    with _open_weights(run, name or MAIN) as (file, about):
        return _plan(file, about, name)[1]


def _plan(file: Any, about: dict[str, Any], name: str | None) -> tuple[Callable[[], nn.Module], nn.Module]:
    """Return (a function that builds the network of an open file, the network without its weights). Raise ValueError if
    the file has other tensors."""
    model, config = MODELS[about["model"]], config_from_json(about["model"], about["config"])
    main = model.exported[0]
    if name is not None and name not in model.exported:
        raise ValueError(f"no network {name[:40]}")
    build = functools.partial(model.networks[name or main], config)
    names = set(file.keys())
    with planned(), _limit_parameters(len(names)):
        plan = build()
    wanted = {key: (list(tensor.shape), tensor.dtype) for key, tensor in plan.state_dict().items()}
    slices = ((key, file.get_slice(key)) for key in names)
    found = {key: (part.get_shape(), _DTYPES.get(part.get_dtype())) for key, part in slices}
    if wrong := sorted(key for key in wanted.keys() | found if wanted.get(key) != found.get(key)):
        raise ValueError(f"other tensors than its settings ask for: {wrong[0][:40]}")
    if name in (None, main):
        check_output(plan, config.size)
    return build, plan


@contextlib.contextmanager
def _limit_parameters(count: int) -> Iterator[None]:
    """Raise ValueError once networks that are built within the block have more than `count` parameters."""
    left = iter(range(count))

    def count_parameter(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        if parameter is not None and next(left, None) is None:
            raise ValueError("fewer tensors than its settings ask for")

    handle = register_module_parameter_registration_hook(count_parameter)
    try:
        yield
    finally:
        handle.remove()


@contextlib.contextmanager
def _open_weights(run: Path, name: str = MAIN) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield (the open file, its `about`). Raise UserError, also for errors within the block."""
    path = run / f"{name}.safetensors"
    try:
        check_regular(path)
        with open(path, "rb") as raw:
            if int.from_bytes(raw.read(8), "little") > MAX_HEADER_BYTES:
                raise ValueError("no safetensors, or too long a header")
        with safe_open(path, "pt") as file:
            about: Any = parse_json((file.metadata() or {})["about"], _ABOUT_SCHEMA)
            check_known(path, about["model"], about["config"])
            counts = about["labels"] = about.get("labels") or {}
            if about["steps"] < 0 or any(count < 0 for count in counts.values()):
                raise ValueError("negative counts")
            if about["model"] in MODELS and tuple(counts) != getattr(
                config_from_json(about["model"], about["config"]), "labels", ()
            ):
                raise ValueError("other labels than its settings'")
            yield file, about
    except FileNotFoundError:
        raise _has_no_weights(run, path.name) from None
    except UserError:
        raise
    except Exception as error:  # odd settings make networks raise anything
        found = " ".join((str(error) or type(error).__name__).split())[:120]
        fix = "remove it and start its training again, which writes it anew"
        raise UserError(path, f"damaged ({found})", "the weights of a model of this program", fix) from error


def read_about(run: Path) -> dict[str, Any]:
    """Return the metadata of `model.safetensors`: model, config, steps, and labels with the number of faces of each
    that it was trained on, empty for an unconditional model. Raise UserError if the file is missing or damaged."""
    with _open_weights(run) as (_, about):
        return {key: about[key] for key in ("model", "config", "steps", "labels")}


def runs_with_weights(runs: Path) -> list[str]:
    """Return the names of the runs in a folder that have saved once."""
    return sorted(path.parent.name for path in runs.glob(f"*/{MAIN}.safetensors"))


def _has_no_weights(run: Path, name: str) -> UserError:
    """Return an error that names the runs beside it that have weights."""
    others = runs_with_weights(run.parent)
    cure = f"train it first, or give another --run: {' '.join(others[:20])}" if others else "train it first"
    return UserError(run, f"has no {name}", "a run that has saved once", cure)


def weights_sha256(run: Path, name: str = MAIN) -> str:
    """Return the sha256 of `NAME.safetensors`, in hex. Raise UserError if there is none."""
    path = run / f"{name}.safetensors"
    try:
        check_regular(path)
        return sha256_of(path)
    except FileNotFoundError:
        raise _has_no_weights(run, path.name) from None
    except (OSError, ValueError) as error:
        found = getattr(error, "strerror", None) or str(error)
        cure = "remove it, and train the run again"
        raise UserError(path, found, "the weights of a model of this program", cure) from error
