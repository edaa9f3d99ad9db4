"""Checkpoints: written atomically, and checked before they are used, since a run may come from elsewhere."""

import itertools
import math
import pickletools
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from models.contracts import Trainer
from models.data.dataset import UserError, check
from models.files import atomic_open, check_regular

KEPT_CHECKPOINTS = 3
MAX_STEP = 10**9
ADAM_STATE_KEYS = {"step", "exp_avg", "exp_avg_sq"}


def stateful_parts(trainer: Trainer) -> dict[str, Any]:
    """Return the attributes with a `state_dict`, by name: what a checkpoint holds."""
    return {name: part for name, part in vars(trainer).items() if hasattr(part, "state_dict")}


def write(path: Path, trainer: Trainer, done: int, best: dict | None) -> None:
    """Write the trainer's state after `done` steps; `best` is {"step": …, "score": …} of the best one, or None.

    Raise OSError, with the file's name, if the disk is full."""
    states = {name: part.state_dict() for name, part in stateful_parts(trainer).items()}
    content = {"trainee": type(trainer).__name__, "step": done, "best": best, **states}
    try:
        with atomic_open(path) as file:
            torch.save(content, file)
    except RuntimeError as error:  # torch's own, raised while it handles the disk's
        cause = error.__context__
        if not isinstance(cause, OSError):
            raise
        cause.filename = str(path)
        raise cause from None


def save(run: Path, trainer: Trainer, done: int, best: dict | None = None) -> None:
    """Write `last.pt`, and a copy of it as `checkpoints/STEP.pt`, of which the last KEPT_CHECKPOINTS stay."""
    write(run / "last.pt", trainer, done, best)
    folder = run / "checkpoints"
    folder.mkdir(exist_ok=True)
    with atomic_open(folder / f"{done:06}.pt") as file, open(run / "last.pt", "rb") as last:
        shutil.copyfileobj(last, file)
    if not folder.is_symlink():  # a link may lead to another run's checkpoints
        for old in _checkpoints(run)[:-KEPT_CHECKPOINTS]:
            old.unlink()


def _checkpoints(run: Path) -> list[Path]:
    """Return the files of `checkpoints/`, oldest first."""
    found = (path for path in (run / "checkpoints").glob("*.pt") if re.fullmatch("[0-9]+", path.stem))
    return sorted(found, key=lambda path: int(path.stem))


def load(run: Path, trainer: Trainer) -> tuple[int, dict | None]:
    """Load `run/last.pt` into the trainer. Return (steps done, best step and score); (0, None) if there is none.

    Raise UserError if the file is damaged, another model's, or missing from a run that had one."""
    path = run / "last.pt"
    if not path.exists():
        if _checkpoints(run):
            raise UserError(path, "it is missing", "the last checkpoint", _recovery_hint(path))
        return 0, None
    content = read(path)
    load_state(trainer, content, path)
    return content["step"], content["best"]


def _recovery_hint(path: Path) -> str:
    """Return how to go on without this checkpoint."""
    checkpoints = _checkpoints(path.parent)
    anew = "start anew with --fresh"
    return f"copy {checkpoints[-1]} to it to go on, or {anew}" if checkpoints else anew


def read(path: Path) -> dict:
    """Return the content of a checkpoint, on the CPU, in no more memory than the file has bytes.

    Raise UserError if it is damaged or not a checkpoint of this program. `load_state` checks its tensors."""
    try:
        check_regular(path)
        _check_archive(path)
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(path, "there is no such file", "a checkpoint", "train that run first") from None
    except Exception as error:  # torch raises anything at damaged bytes
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        found = "holds more than tensors" if "Weights only load failed" in reason else f"damaged ({reason})"
        raise UserError(path, found, "a whole checkpoint", _recovery_hint(path)) from error
    try:
        check(content, {"trainee": str, "step": int, "best": ({"step": int, "score": (int, float)}, None)})
        if "best" not in content or not 0 <= content["step"] <= MAX_STEP:
            raise ValueError("step or best out of range")
    except ValueError as error:
        cure = _recovery_hint(path)
        raise UserError(path, "holds something else", "a checkpoint that was trained here", cure) from error
    return content


_OF_TENSORS = re.compile(r"collections OrderedDict|torch\._utils _rebuild_tensor_v2|torch [A-Z][A-Za-z0-9]*Storage")
_CALLING_OPCODES = ("STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4")


def _check_archive(path: Path) -> None:
    """Raise ValueError unless it is an archive as torch.save writes it: uncompressed, so that nothing grows when it is
    read, and of tensors alone. torch.load itself accepts empty tensors and a bytearray of any size."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            is_packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
            if is_packed or sum(member.file_size for member in members) > path.stat().st_size:
                raise ValueError("its members are packed, or overlap")
            pickles = [archive.read(member) for member in members if member.filename.endswith("data.pkl")]
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise ValueError(str(error) or "no archive") from error
    for opcode, name, _ in itertools.chain.from_iterable(map(pickletools.genops, pickles)):
        if opcode.name in _CALLING_OPCODES or (opcode.name == "GLOBAL" and not _OF_TENSORS.fullmatch(str(name))):
            raise ValueError(f"it holds {str(name)[:40]}")


def load_state(trainer: Trainer, content: dict, path: Path, *, only_networks: bool = False) -> None:
    """Load the content of the checkpoint `path`: all of it, or the networks' weights alone.

    Raise UserError if it is another model's, or of other sizes; some of it may have been loaded then."""
    for name, part in stateful_parts(trainer).items():
        if only_networks and not isinstance(part, nn.Module):
            continue
        try:
            state = content[name]
            if isinstance(part, Optimizer):
                state = _checked_optimizer(state, part)
            else:
                _check_like(state, part.state_dict())
            part.load_state_dict(state)
        except (KeyError, ValueError, TypeError, AttributeError, IndexError, RuntimeError) as error:
            found = f"made by {content['trainee'][:40]}, and its {name} does not fit"
            expected = f"a checkpoint of {type(trainer).__name__} with the same settings"
            raise UserError(path, found, expected, "give another run, or --fresh") from error


def _check_like(found: object, ours: object) -> None:
    """Raise ValueError unless `found` has the structure of `ours`, its types, and tensors of the same shapes."""
    if isinstance(ours, dict):
        if not isinstance(found, dict) or found.keys() != ours.keys():
            raise ValueError("other keys")
        for key, value in ours.items():
            _check_like(found[key], value)
    elif isinstance(ours, (list, tuple)):
        if type(found) is not type(ours) or len(found) != len(ours):
            raise ValueError("another list")
        for one, other in zip(found, ours, strict=True):
            _check_like(one, other)
    elif isinstance(ours, torch.Tensor):
        _check_tensor(found, ours.shape, ours.dtype)
    elif not (type(found) is type(ours) or {type(found), type(ours)} <= {int, float}):
        raise ValueError(f"{type(found).__name__}, not {type(ours).__name__}")


def _check_tensor(found: object, shape: torch.Size, dtype: torch.dtype) -> None:
    """Raise ValueError unless it is a plain tensor, on the CPU, of this shape and type."""
    if not isinstance(found, torch.Tensor) or found.layout != torch.strided or found.device.type != "cpu":
        raise ValueError(f"not a plain tensor of {tuple(shape)}")
    if found.shape != shape or found.dtype != dtype:
        raise ValueError(f"not a tensor of {tuple(shape)}")


def _checked_optimizer(found: object, optimizer: Optimizer) -> dict:
    """Return the state of an optimizer, completed with settings that an older torch did not have.

    Raise ValueError unless it fits this optimizer: torch does not check, and a fused step crashes. Only what a schedule
    changes may differ: the learning rate and Adam's betas."""
    if not isinstance(found, dict) or not isinstance(found.get("state"), dict):
        raise ValueError("no state of an optimizer")
    groups = optimizer.state_dict()["param_groups"]
    theirs = [{**ours, **group} for ours, group in zip(groups, found["param_groups"], strict=True)]
    _check_like(theirs, groups)
    for ours, group in zip(groups, theirs, strict=True):
        fixed = group.keys() - {"lr", "betas"}
        in_range = 0 <= group["lr"] < math.inf and all(0 <= beta < 1 for beta in group.get("betas", ()))
        if not in_range or any(group[key] != ours[key] for key in fixed):
            raise ValueError("other settings of an optimizer")
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, state in found["state"].items():
        if index not in range(len(parameters)):
            raise ValueError("a state of no parameter")
        if isinstance(optimizer, (torch.optim.Adam, torch.optim.AdamW)) and state.keys() != ADAM_STATE_KEYS:
            raise ValueError("other keys of a state")
        for name, value in state.items():
            if name == "step":
                _check_tensor(value, torch.Size(), torch.float32)
            else:
                _check_tensor(value, parameters[index].shape, parameters[index].dtype)
    return {"state": found["state"], "param_groups": theirs}
