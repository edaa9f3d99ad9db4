"""One loop for all GANs of this project.

What a Trainee is, how it is updated, how a run is saved and goes on. What differs between GANs is in their `step`s.
"""

import contextlib
import functools
import itertools
import math
import pickletools
import re
import shutil
import signal
import threading
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from models import distributed as ranks
from models.data.dataset import UserError, check, seed_for
from models.files import atomic_open, check_regular
from models.training.logger import RunLogger

KEPT = 3  # checkpoints
MAX_STEP = 10**9
ADAM_STATE = {"step", "exp_avg", "exp_avg_sq"}


class Trainer(Protocol):
    """Networks, their averages and optimizers are attributes: every attribute with a `state_dict` is the checkpoint.

    It may also have `validate(i) -> {name: value}`, of which the first is the score, lower is better; and
    `recover(i) -> bool`, asked before a run that is no longer finite stops: whether to go on."""

    device: torch.device

    def step(self, batch: dict[str, Tensor], i: int) -> dict[str, Tensor]:
        """The i-th step of the algorithm, on the batches of this process: its losses, scalars."""

    def sheet(self, i: int) -> np.ndarray:
        """(H, W, 3) uint8 samples, of the same noise at every step. Changes nothing."""

    def exported(self) -> nn.Module:
        """The network that the run is for."""


class Update:
    """A step of some optimizers down the mean of the losses that are added, for their parameters and no others."""

    def __init__(self, optimizers: list[Optimizer]):
        self._optimizers = optimizers
        self._parameters = [p for o in optimizers for group in o.param_groups for p in group["params"]]
        self._sums: list[Tensor | None] = [None] * len(self._parameters)
        self._added: list[Tensor] = []
        self._said: list[dict[str, Tensor]] = []

    def add(self, loss: Tensor, *, keep_graph: bool = False, **said: Tensor) -> None:
        """Add a micro-batch's loss, and name what it is made of, for `said`. `keep_graph` if another loss shares
        part of what it was computed from."""
        gradients = torch.autograd.grad(loss, self._parameters, retain_graph=keep_graph, allow_unused=True)
        self._sums = [
            new if old is None else old if new is None else old + new
            for old, new in zip(self._sums, gradients, strict=True)
        ]
        self._added.append(loss.detach())
        self._said.append({name: part.detach() for name, part in said.items()})

    def apply(self) -> Tensor:
        """Make the step. Returns the mean of the losses."""
        _average(self._sums, len(self._added))
        for parameter, gradient in zip(self._parameters, self._sums, strict=True):
            parameter.grad = _laid_out_as(parameter, gradient)
        for optimizer in self._optimizers:
            optimizer.step()
        for parameter in self._parameters:
            parameter.grad = None
        return self._added[0] if len(self._added) == 1 else torch.stack(self._added).mean()

    def said(self) -> dict[str, Tensor]:
        """The means of what was named."""
        return {name: torch.stack([said[name] for said in self._said]).mean() for name in self._said[0]}


def _laid_out_as(parameter: Tensor, gradient: Tensor | None) -> Tensor | None:
    """The gradient in the parameter's order in memory: fused optimizers take for granted that it is, and scramble the
    step if it is not; that of a gradient's gradient often is not."""
    if gradient is None or gradient.stride() == parameter.stride():
        return gradient
    return torch.empty_like(parameter).copy_(gradient)


def update(optimizers: list[Optimizer], loss: Tensor | Iterable[Tensor]) -> Tensor:
    """One step of these optimizers down `loss`, or down the mean of the losses of some micro-batches, which come one by
    one. Returns that mean."""
    step = Update(optimizers)
    for part in [loss] if isinstance(loss, Tensor) else loss:
        step.add(part)
    return step.apply()


def set_learning_rate(optimizers: list[Optimizer], rate: float) -> None:
    """Their learning rate from now on."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate


def ramped_cosine(i: int, *, peak: float, warm_up: int, horizon: int) -> float:
    """The learning rate of the i-th step: a ramp, and half a cosine. Loshchilov, Hutter 2017,
    https://arxiv.org/abs/1608.03983, without restarts."""
    return peak * min(1.0, (i + 1) / warm_up) * (1 + math.cos(math.pi * min(1.0, i / horizon))) / 2


@torch.no_grad()
def _average(gradients: list[Tensor | None], added: int) -> None:
    """Over micro-batches and processes, in one flat all-reduce."""
    there = [gradient for gradient in gradients if gradient is not None]
    if added > 1:
        torch._foreach_div_(there, added)
    if ranks.world() > 1:
        flat = ranks.mean(torch.cat([gradient.flatten() for gradient in there]))
        parts = flat.split([gradient.numel() for gradient in there])
        for gradient, part in zip(there, parts, strict=True):
            gradient.copy_(part.view(gradient.shape))


def parts(trainer: Trainer) -> dict[str, object]:
    """What a checkpoint holds. Nothing to list, so nothing to forget."""
    return {name: part for name, part in vars(trainer).items() if hasattr(part, "state_dict")}


def fit(
    trainer: Trainer,
    batches: Callable[[int], dict[str, Tensor]],
    run: Path,
    *,
    steps: int,
    pictures: int = 0,
    seed: int = 0,
    precision: str = "fp32",
    log_every: int = 50,
    sample_every: int = 500,
    save_every: int = 1000,
    on_save: Callable[[int], None] = lambda step: None,
) -> None:
    """Train up to `steps` in all, on from `run/last.pt` if it is there. `pictures`: how many a step takes, for rates.

    The same seed, batches and steps give the same tensors, however often it was stopped between. Ctrl-C finishes the
    step, saves, and raises KeyboardInterrupt. `on_save` is called, in the first process, with the step of `last.pt`
    when that is written, and once if it is there already. Raises UserError if losses or weights are no longer finite:
    what was saved stays.
    """
    run.mkdir(parents=True, exist_ok=True)
    start, best = load(run, trainer)
    logger = RunLogger(run, start, steps, pictures) if ranks.rank() == 0 else None
    # Without the cache, which keeps a weight's bf16 copy when an optimizer has changed the weight since.
    bf16 = torch.autocast(trainer.device.type, torch.bfloat16, enabled=precision == "bf16", cache_enabled=False)

    def keep(done: int, *, shows: bool, saves: bool) -> None:
        nonlocal best
        if shows:
            best = _judge(trainer, run, done, best, logger)
            logger.sheet(done, trainer.sheet(done))
        if saves:
            logger.sync()
            save(run, trainer, done, best)
            on_save(done)

    with logger or contextlib.nullcontext(), _interrupts() as asked_to_stop:
        if start == 0:
            ranks.on_rank_zero(lambda: logger.sheet(0, trainer.sheet(0)))
        if start >= steps:
            ranks.on_rank_zero(lambda: on_save(start))
        for i in range(start, steps):
            torch.manual_seed(seed_for(seed, i))
            with bf16:
                losses = trainer.step(batches(i), i)
            done, last = i + 1, i + 1 == steps
            stops = ranks.any_of(bool(asked_to_stop))
            if last or stops or done == 1 or not (done % log_every and done % sample_every and done % save_every):
                _check(trainer, losses, i, run)
            if logger:
                logger.advance()
                if last or done == 1 or done % log_every == 0:
                    logger.losses(done, losses)
            shows, saves = last or done % sample_every == 0, last or stops or done % save_every == 0
            if shows or saves:
                ranks.on_rank_zero(functools.partial(keep, done, shows=shows, saves=saves))
            if stops and not last:
                raise KeyboardInterrupt


@contextlib.contextmanager
def _interrupts() -> Iterator[list]:
    """Not empty once Ctrl-C was pressed; pressed again, it interrupts at once."""
    asked: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked  # signals come to the main thread alone
        return

    def note(number: int, frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)


def _check(trainer: Trainer, losses: dict[str, Tensor], i: int, run: Path) -> None:
    """Losses become the means over all processes. Raises UserError if they or the weights are not finite."""
    for name in losses:
        losses[name] = ranks.mean(losses[name].detach().float())
    sick = [f"loss {name} is {float(value)}" for name, value in losses.items() if not math.isfinite(value)]
    networks = (part for part in vars(trainer).values() if isinstance(part, nn.Module))
    if not sick and all(bool(p.isfinite().all()) for network in networks for p in network.parameters()):
        return
    recover = getattr(trainer, "recover", None)
    if not (recover and recover(i)):
        raise UserError(
            run,
            f"{sick[0] if sick else 'a weight is not finite'} at step {i + 1}",
            "finite numbers",
            "the last checkpoint is intact; start anew with --fresh and --precision fp32 or another --batch-size",
        )


def _judge(trainer: Trainer, run: Path, done: int, best: dict | None, logger: RunLogger) -> dict | None:
    """Validate; keep the weights if they are the best so far. Returns what is best."""
    validate = getattr(trainer, "validate", None)
    if validate is None:
        return best
    values = validate(done)
    logger.scores(done, values)
    score = next(iter(values.values()))
    if best is None or score < best["score"]:
        best = {"step": done, "score": score}
        _write(run / "best.pt", _checkpoint(trainer, done, best))
    return best


def _checkpoint(trainer: Trainer, done: int, best: dict | None) -> dict:
    states = {name: part.state_dict() for name, part in parts(trainer).items()}
    return {"trainee": type(trainer).__name__, "step": done, "best": best, **states}


def save(run: Path, trainer: Trainer, done: int, best: dict | None = None) -> None:
    """Write `last.pt`, and a copy of it as `checkpoints/STEP.pt`, of which the last KEPT stay."""
    _write(run / "last.pt", _checkpoint(trainer, done, best))
    kept = run / "checkpoints"
    kept.mkdir(exist_ok=True)
    with atomic_open(kept / f"{done:06}.pt") as file, open(run / "last.pt", "rb") as last:
        shutil.copyfileobj(last, file)
    if not kept.is_symlink():  # to checkpoints of somebody else, perhaps
        for old in _kept(run)[:-KEPT]:
            old.unlink()


def _kept(run: Path) -> list[Path]:
    found = (path for path in (run / "checkpoints").glob("*.pt") if re.fullmatch("[0-9]+", path.stem))
    return sorted(found, key=lambda path: int(path.stem))


def _write(path: Path, checkpoint: dict) -> None:
    try:
        with atomic_open(path) as file:
            torch.save(checkpoint, file)
    except RuntimeError as error:  # torch's own, on top of what the disk said
        cause = error.__context__
        if not isinstance(cause, OSError):
            raise
        cause.filename = str(path)
        raise cause from None


def load(run: Path, trainer: Trainer) -> tuple[int, dict | None]:
    """(steps done, what was best) of `run/last.pt`, whose state the trainee takes on; (0, None) if it is not there.

    Raises UserError if the file is damaged or another model's, or gone from a run that had one."""
    path = run / "last.pt"
    if not path.exists():
        if _kept(run):
            raise UserError(path, "it is gone", "the last checkpoint", _cure(path))
        return 0, None
    checkpoint = read(path)
    load_state(trainer, checkpoint, path)
    return checkpoint["step"], checkpoint["best"]


def _cure(path: Path) -> str:
    kept = _kept(path.parent)
    return f"copy {kept[-1]} to it to go on, or start anew with --fresh" if kept else "start anew with --fresh"


def read(path: Path) -> dict:
    """A checkpoint, on the CPU. Raises UserError if it is damaged, or no checkpoint of ours. It takes no more memory
    than the file has bytes; whether its tensors are those of a model, `load_state` checks."""
    try:
        check_regular(path)
        _check_archive(path)
        held = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(path, "there is no such file", "a checkpoint", "train that run first") from None
    except Exception as error:  # torch raises anything at damaged bytes
        said = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        found = "holds more than tensors" if "Weights only load failed" in said else f"damaged ({said})"
        raise UserError(path, found, "a whole checkpoint", _cure(path)) from error
    try:
        check(held, {"trainee": str, "step": int, "best": ({"step": int, "score": (int, float)}, None)})
        if "best" not in held or not 0 <= held["step"] <= MAX_STEP:
            raise ValueError("step or best out of range")
    except ValueError as error:
        raise UserError(path, "holds something else", "a checkpoint that was trained here", _cure(path)) from error
    return held


_OF_TENSORS = re.compile(r"collections OrderedDict|torch\._utils _rebuild_tensor_v2|torch [A-Z][A-Za-z0-9]*Storage")
_CALLING_OPCODES = ("STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4")


def _check_archive(path: Path) -> None:
    """Raise ValueError unless it is an archive as torch.save writes it: with nothing packed, so nothing grows, and
    nothing but tensors in it. torch lets a checkpoint make empty ones, and a bytearray, of any size."""
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
        if opcode.name in _CALLING_OPCODES or (opcode.name == "GLOBAL" and not _OF_TENSORS.fullmatch(name)):
            raise ValueError(f"it holds {str(name)[:40]}")


def load_state(trainer: Trainer, checkpoint: dict, path: Path, *, only_networks: bool = False) -> None:
    """Load a checkpoint's states. Raises UserError if it is of another model, or of other sizes; then some of them may
    be loaded."""
    for name, part in parts(trainer).items():
        if only_networks and isinstance(part, Optimizer):
            continue
        try:
            held = checkpoint[name]
            if isinstance(part, Optimizer):
                held = _checked_optimizer(held, part)
            else:
                _check_like(held, part.state_dict())
            part.load_state_dict(held)
        except (KeyError, ValueError, TypeError, AttributeError, IndexError, RuntimeError) as error:
            raise UserError(
                path,
                f"made by {checkpoint.get('trainer')[:40]}, and its {name} does not fit",
                f"a checkpoint of {type(trainer).__name__} with the same settings",
                "give another run, or --fresh",
            ) from error


def _check_like(held: object, ours: object) -> None:
    """Raise ValueError unless `held` has the structure of `ours`, its types, and tensors of the same shapes."""
    if isinstance(ours, dict):
        if not isinstance(held, dict) or held.keys() != ours.keys():
            raise ValueError("other keys")
        for key, value in ours.items():
            _check_like(held[key], value)
    elif isinstance(ours, (list, tuple)):
        if type(held) is not type(ours) or len(held) != len(ours):
            raise ValueError("another list")
        for one, other in zip(held, ours, strict=True):
            _check_like(one, other)
    elif torch.is_tensor(ours):
        _check_tensor(held, ours.shape, ours.dtype)
    elif not (type(held) is type(ours) or {type(held), type(ours)} <= {int, float}):
        raise ValueError(f"{type(held).__name__}, not {type(ours).__name__}")


def _check_tensor(held: object, shape: torch.Size, dtype: torch.dtype) -> None:
    is_plain = torch.is_tensor(held) and held.layout == torch.strided and held.device.type == "cpu"
    if not is_plain or held.shape != shape or held.dtype != dtype:
        raise ValueError(f"not a tensor of {tuple(shape)}")


def _checked_optimizer(held: object, optimizer: Optimizer) -> dict:
    """Return the state of an optimizer, with the settings that an older torch did not have. Raise ValueError unless it
    is one of this optimizer: torch does not look, and a fused step crashes. The learning rate alone may be another than
    ours."""
    if not isinstance(held, dict) or not isinstance(held.get("state"), dict):
        raise ValueError("no state of an optimizer")
    groups = optimizer.state_dict()["param_groups"]
    theirs = [{**ours, **group} for ours, group in zip(groups, held["param_groups"], strict=True)]
    _check_like(theirs, groups)
    for ours, group in zip(groups, theirs, strict=True):
        if not all(group[key] == ours[key] for key in group if key != "lr") or not 0 <= group["lr"] < math.inf:
            raise ValueError("other settings of an optimizer")
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, state in held["state"].items():
        if index not in range(len(parameters)):
            raise ValueError("a state of no parameter")
        if isinstance(optimizer, (torch.optim.Adam, torch.optim.AdamW)) and state.keys() != ADAM_STATE:
            raise ValueError("other keys of a state")
        for name, value in state.items():
            if name == "step":
                _check_tensor(value, torch.Size(), torch.float32)
            else:
                _check_tensor(value, parameters[index].shape, parameters[index].dtype)
    return {"state": held["state"], "param_groups": theirs}
