"""A run's folder: opened, trained in, and complete."""

import contextlib
import errno
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from filelock import FileLock, Timeout

from models import ZOO, export, ranks, train
from models.data import Dataset, UserError, conditions, seed_for

HELD_OUT = 512  # pictures that samples are compared with while training
WHEN = ("steps", "sample_every", "save_every")  # of a Config: how far and how often; they change no step


@dataclass(frozen=True)
class Job:
    """One training, as a task asks for it."""

    run: str  # folder
    model: str  # of ZOO
    preset: str
    dataset: str  # folder
    cache: str  # folder
    changes: dict  # fields of the preset's Config that were given
    seed: int = 0
    precision: str = "auto"  # auto: bf16 on a GPU, fp32 elsewhere
    device: str = "auto"  # auto: a GPU if there is one
    processes: int = 1
    fresh: bool = False
    init_from: str | None = None  # folder of another run of this model, whose weights are the first


def in_child(job: dict) -> int:
    """Train in this process, which a task has started. What the user can mend goes to the file ANIME_ERRORS names."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    try:
        start(Job(**job))
    except UserError as error:
        return _told(str(error))
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.ENOSPC, errno.EPERM, errno.EROFS):
            raise
        return _told(f"{error.filename or job['run']}: {error.strerror}; to write a run; free some space there")
    except KeyboardInterrupt:
        return 130
    return 0


def _told(text: str) -> int:
    if "ANIME_ERRORS" in os.environ:
        Path(os.environ["ANIME_ERRORS"]).write_text(text, encoding="utf-8")
    if os.environ.get("RANK", "0") == "0":
        print(text, file=sys.stderr)
    # Of several, none fails: torchrun would print its own traceback on top. The parent reads the file.
    return 0 if int(os.environ.get("WORLD_SIZE", 1)) > 1 else 1


def _die_with_parent() -> None:
    """A task that is killed must not leave a training behind it: its end of our stdin closes."""
    if "ANIME_ERRORS" in os.environ:
        while os.read(0, 1):  # not sys.stdin, whose lock is held while it reads: Python could not end
            continue
        os.kill(os.getpid(), signal.SIGKILL)


def start(job: Job) -> None:
    """Train as `job` says, on from where the run stands. Raises UserError."""
    if int(os.environ.get("WORLD_SIZE", 1)) > 1:
        dist.init_process_group("nccl" if device_named(job.device).type == "cuda" else "gloo")
    try:
        with contextlib.ExitStack() as lock:
            _first_alone(lambda: lock.enter_context(_alone(Path(job.run))))
            _train(job)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def _first_alone(work: Callable[[], object]) -> None:
    """Do it in the first process alone. If that raises UserError the others end too, quietly."""
    error = None
    if ranks.rank() == 0:
        try:
            work()
        except UserError as raised:
            error = raised
    if ranks.any_of(error is not None):
        raise error or SystemExit(0)


@contextlib.contextmanager
def _alone(run: Path):
    run.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(run.parent / f".{run.name}.lock", timeout=5):
            yield
    except Timeout:
        raise UserError(run, "is being trained by another process", "one at a time", "wait, or give --run") from None


def _train(job: Job) -> None:
    entry, run, device = ZOO[job.model], Path(job.run), device_named(job.device)
    config = _config(job)
    if config.pictures % (ranks.world() * config.micro_batches):
        raise UserError(
            "--batch-size", f"{config.batch_size} given", f"{job.processes} equal parts, one a process", "give another"
        )
    dataset = Dataset(Path(job.dataset), Path(job.cache))
    settings = described(job, config, dataset)
    if ranks.rank() == 0 and settings["dataset"].get("left_out"):
        left_out = settings["dataset"]["left_out"]
        print(f"{run.name}: {left_out} faces have none of the labels, and are left out", file=sys.stderr)
    _first_alone(lambda: _open(run, settings, fresh=job.fresh))
    held_out = next(pixels for split in ("val", "train") if len(pixels := dataset.pixels(split, config.size)))
    torch.manual_seed(seed_for(job.seed, "weights"))
    trainee = entry.trainee(config, device, np.array(held_out[:HELD_OUT]))
    if job.init_from and not (run / "last.pt").exists():
        path = Path(job.init_from) / "last.pt"
        train.take_on(trainee, train.read(path), path, only_networks=True)
    train.fit(
        trainee, entry.batches(dataset, config, seed=job.seed, device=device), run,
        steps=config.steps, pictures=config.pictures, seed=job.seed, precision=_precision(job.precision, device),
        log_every=min(50, config.sample_every), sample_every=config.sample_every, save_every=config.save_every,
    )  # fmt: skip
    if ranks.rank() == 0:
        export.export(run, trainee.exported(), settings)


def _config(job: Job):
    changes = {key: tuple(value) if isinstance(value, list) else value for key, value in job.changes.items()}
    return replace(ZOO[job.model].presets[job.preset], **changes)


def is_complete(job: Job) -> bool:
    """Whether `model.safetensors` is there, of this training, with as many steps or more."""
    run = Path(job.run)
    try:
        held = json.loads((run / "config.json").read_text(encoding="utf-8"))
        config = _config(job)
        asked = described(job, config, Dataset(Path(job.dataset), Path(job.cache)))
        return not differences(held, asked) and export.about(run)["steps"] >= config.steps
    except (FileNotFoundError, UserError):
        return False  # the training says what is wrong


def device_named(name: str) -> torch.device:
    """That of --device. Raises UserError if it is not there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(
            "--device", f"{name} given, but torch sees no GPU", "a device that is there", "give cpu or auto"
        )
    if name == "cuda" and "LOCAL_RANK" in os.environ:
        name = f"cuda:{os.environ['LOCAL_RANK']}"
    try:
        return torch.device(name)
    except RuntimeError:
        raise UserError("--device", f"{name} given", "auto, cpu, cuda or cuda:N", "give one of these") from None


def _precision(name: str, device: torch.device) -> str:
    return ("bf16" if device.type == "cuda" else "fp32") if name == "auto" else name


def described(job: Job, config, dataset: Dataset) -> dict:
    """config.json: all that a result depends on, and what a person wants to know of it."""
    first = dataset.faces.slice(0, 1).to_pylist()[0]
    return {
        "model": job.model, "preset": job.preset, "config": asdict(config),
        "seed": job.seed, "precision": job.precision,
        "init_from": job.init_from and export.weights_sha256(Path(job.init_from)),
        "dataset": {
            "name": Path(job.dataset).name, "digest": dataset.digest, "faces": len(dataset.faces),
            "size": first["size"], "box_scale": first["box_scale"], **_labels(config, dataset),
        },
    }  # fmt: skip


def _labels(config, dataset: Dataset) -> dict:
    """Of a conditional model: how many faces of the train split have each label, and how many have none."""
    if not hasattr(config, "labels"):
        return {}
    have = conditions(dataset.split("train"), config.labels)
    counts = dict(zip(config.labels, have.sum(0).astype(int).tolist(), strict=True))
    return {"labels": counts, "left_out": int((~have.any(1)).sum())}


def _open(run: Path, settings: dict, *, fresh: bool) -> None:
    """Make the folder, or check that it holds this training. Raises UserError if it holds another."""
    if fresh and run.exists():
        number = next(n for n in range(1, 10_000) if not run.with_name(f"{run.name}.old{n}").exists())
        run.rename(run.with_name(f"{run.name}.old{number}"))
    run.mkdir(parents=True, exist_ok=True)
    path = run / "config.json"
    if (run / "last.pt").exists() and path.exists():
        changed = differences(json.loads(path.read_text(encoding="utf-8")), settings)
        if changed:
            raise UserError(
                run, f"was trained with {'; '.join(changed)}", "the same settings, or a larger --steps",
                "give those, another --run, or --fresh to move it aside",
            )  # fmt: skip
    work = path.with_suffix(".part")
    work.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
    os.replace(work, path)


def differences(held: dict, asked: dict) -> list[str]:
    """'name held, now asked' for each setting that changes a result and is another."""

    def flat(settings: dict) -> dict:
        rows = {key: settings.get(key) for key in ("model", "seed", "precision", "init_from")}
        rows |= {f"dataset {key}": settings["dataset"].get(key) for key in ("digest",)}
        return rows | {key: value for key, value in settings["config"].items() if key not in WHEN}

    before, now = flat(json.loads(json.dumps(held))), flat(json.loads(json.dumps(asked)))
    return [
        f"{key.replace('_', ' ')} {_short(before.get(key))}, now {_short(now.get(key))}"
        for key in now
        if before.get(key) != now[key]
    ]


def _short(value: object) -> str:
    return str(value)[:12]
