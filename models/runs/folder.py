"""A run's folder: opened, trained in, and complete."""

import contextlib
import errno
import hashlib
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout

from models import distributed as ranks
from models.data.dataset import Dataset, UserError, check, conditions, read_json, seed_for
from models.files import atomic_open
from models.runs import export
from models.training import loop as train
from models.zoo import MODELS

HELD_OUT = 512  # pictures that samples are compared with while training
INTERRUPTED = "interrupted"  # what a child tells when Ctrl-C ended it
LOST_OTHERS = 75  # exit code of a child that cannot go on without another one; EX_TEMPFAIL of sysexits.h
_DISK_ERRORS = {
    errno.EACCES,
    errno.EDQUOT,
    errno.EEXIST,
    errno.EFBIG,
    errno.EIO,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}
_SETTINGS = {
    "model": str,
    "preset": (str, None),
    "seed": (int, None),
    "precision": (str, None),
    "init_from": ({"run": str, "sha256": (str, None)}, None),
    "config": {str: (None, bool, int, float, str, [(bool, int, float, str)])},
    "dataset": {
        "name": str,
        "digest": str,
        "faces": (int, None),
        "size": (int, None),
        "box_scale": (float, int, None),
        "labels": ({str: int}, None),
        "left_out": (int, None),
    },
}
"""The shape of config.json."""
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


def in_child(training: Callable[[], None], run: str) -> int:
    """Train in this process, or in this one of several, which a task has started. What the user can mend, and that it
    was interrupted, goes to the file that ANIME_ERRORS names."""
    threading.Thread(target=_watch_parent, daemon=True).start()
    try:
        training()
    except UserError as error:
        return _told(str(error))
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        cure = "free some space there, or move away what is in the way"
        return _told(f"{error.filename or run}: {error.strerror}; to write a run; {cure}")
    except ranks.OthersLost as error:
        rank, world = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
        found = f"process {rank} of {world} lost the others ({error})"
        return _told(f"{run}: {found}; all of them; run it again to go on", code=LOST_OTHERS)
    except (MemoryError, RuntimeError) as error:
        # Of GPUs torch has a class of its own; of CPUs the text is all there is.
        if not isinstance(error, (MemoryError, torch.OutOfMemoryError)) and "not enough memory" not in str(error):
            raise
        return _told(f"{run}: there was not enough memory; more of it; give a smaller --batch-size or another --preset")
    except KeyboardInterrupt:
        return _told(INTERRUPTED)
    return 0


def _told(text: str, code: int = 1) -> int:
    """Leave the text for the task that started this process. Returns the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is at its end already
    if "ANIME_ERRORS" in os.environ:
        Path(os.environ["ANIME_ERRORS"]).write_text(text, encoding="utf-8")
    if os.environ.get("RANK", "0") == "0" and code != LOST_OTHERS:
        print(text, file=sys.stderr)
    return code


def _watch_parent() -> None:
    """Our stdin is held by the task that started us. A byte is its Ctrl-C. The end is the task's own: a task that was
    killed must not leave a training behind."""
    if "ANIME_ERRORS" not in os.environ:
        return
    while os.read(0, 1):  # not sys.stdin, whose lock is held while it reads: Python could not end
        os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGKILL)


def start(job: Job) -> None:
    """Train as `job` says, on from where the run stands. Raises UserError."""
    device = device_named(job.device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    with contextlib.ExitStack() as held:
        if (world := int(os.environ.get("WORLD_SIZE", 1))) > 1:
            backend, own = ("cpu:gloo,cuda:nccl", device) if device.type == "cuda" else ("gloo", None)
            # A file in a folder that is ours alone: what a server on a port holds, others could write.
            store, rank = torch.distributed.FileStore(os.environ["ANIME_STORE"], world), int(os.environ["RANK"])
            held.enter_context(ranks.joined(backend, store=store, rank=rank, world_size=world, device_id=own))
        ranks.on_rank_zero(lambda: held.enter_context(alone(Path(job.run))))
        _train(job, device)


@contextlib.contextmanager
def alone(run: Path) -> Iterator[None]:
    """Raises UserError if another process trains this run."""
    run.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(run.parent / f".{run.name}.lock", timeout=5):
            yield
    except Timeout:
        raise UserError(run, "is being trained by another process", "one at a time", "wait, or give --run") from None


def _train(job: Job, device: torch.device) -> None:
    entry, run, config = MODELS[job.model], Path(job.run), config_of(job)
    dataset = Dataset(Path(job.dataset), Path(job.cache))
    settings = described(job, config, dataset)
    if ranks.rank() == 0 and settings["dataset"].get("left_out"):
        left_out = settings["dataset"]["left_out"]
        print(f"{run.name}: {left_out} faces have none of the labels, and are left out", file=sys.stderr)
    # All that can be wrong is looked at before the run's folder is touched.
    batches = entry.batches(dataset, config, seed=job.seed, device=device)
    held_out = next(pixels for split in ("val", "train") if len(pixels := dataset.pixels(split, config.size)))
    torch.manual_seed(seed_for(job.seed, "weights"))
    trainer = entry.trainer(config, device, np.array(held_out[:HELD_OUT]))
    if job.init_from and (job.fresh or not (run / "last.pt").exists()):
        path = Path(job.init_from) / "last.pt"
        train.load_state(trainer, train.read(path), path, only_networks=True)
        settings["init_from"]["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    ranks.on_rank_zero(lambda: open_folder(run, settings, fresh=job.fresh))
    train.fit(
        trainer,
        batches,
        run,
        steps=config.steps,
        pictures=config.pictures,
        seed=job.seed,
        precision=settings["precision"],
        log_every=min(50, config.sample_every),
        sample_every=config.sample_every,
        save_every=config.save_every,
        on_save=lambda step: export.export(run, trainer.exported(), settings, step),
    )


def config_of(job: Job):
    """The preset's, with the changes. Raises UserError unless every process has two pictures of each kind at a time."""
    changes = {key: tuple(value) if isinstance(value, list) else value for key, value in job.changes.items()}
    config = replace(MODELS[job.model].presets[job.preset], **changes)
    parts = job.processes * config.micro_batches
    for count in (config.batch_size, config.pictures):
        if count % parts or count < 2 * parts:
            needed = f"a batch of which {config.pictures / config.batch_size:g} are {parts} equal parts of 2 or more"
            raise UserError("--batch-size", f"{config.batch_size} given", needed, "give another")
    return config


def is_complete(job: Job) -> bool:
    """Whether `model.safetensors` is there, of this training, with as many steps or more."""
    try:
        asked = described(job, config_of(job), Dataset(Path(job.dataset), Path(job.cache)))
    except (FileNotFoundError, UserError):
        return False  # the training says what is wrong
    return is_trained(Path(job.run), asked)


def is_trained(run: Path, asked: dict) -> bool:
    """Whether `model.safetensors` is there, of a training with these settings, of as many steps or more."""
    try:
        is_same = not differences(read_settings(run), asked)
        return is_same and export.about(run)["steps"] >= asked["config"]["steps"]
    except (FileNotFoundError, UserError):
        return False  # the training says what is wrong


def read_settings(run: Path) -> dict:
    """config.json. Raises FileNotFoundError; UserError if it is damaged."""
    path = run / "config.json"
    try:
        held = read_json(path, _SETTINGS)
        check(held["config"], dict.fromkeys(held["config"].keys() & WHEN, int))
    except ValueError as error:
        raise UserError(path, f"damaged ({error})", "the settings of a run", "start anew with --fresh") from None
    return held


def device_named(name: str) -> torch.device:
    """The device of --device, of this process. Raises UserError if it is not there."""
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
        raise UserError(
            "--device",
            f"{name} given for {processes} processes, and torch sees {gpus} GPUs",
            "one for each",
            "give cpu or auto, or fewer --processes",
        )
    return torch.device("cuda", int(found[1] or local))


def _precision(name: str, device: torch.device) -> str:
    return ("bf16" if device.type == "cuda" else "fp32") if name == "auto" else name


def described(job: Job, config, dataset: Dataset) -> dict:
    """config.json: all that a result depends on, and what a person wants to know of it."""
    first = dataset.faces.slice(0, 1).to_pylist()[0]
    return {
        "model": job.model,
        "preset": job.preset,
        "config": asdict(config),
        "seed": job.seed,
        "precision": _precision(job.precision, device_named(job.device)),
        "init_from": job.init_from and {"run": Path(job.init_from).name},
        "dataset": {
            "name": Path(job.dataset).name,
            "digest": dataset.digest,
            "faces": len(dataset.faces),
            "size": first["size"],
            "box_scale": first["box_scale"],
            **_labels(config, dataset),
        },
    }


def _labels(config, dataset: Dataset) -> dict:
    """Of a conditional model: how many faces of the train split have each label, and how many have none."""
    if not hasattr(config, "labels"):
        return {}
    have = conditions(dataset.split("train"), config.labels)
    counts = dict(zip(config.labels, have.sum(0).astype(int).tolist(), strict=True))
    return {"labels": counts, "left_out": int((~have.any(1)).sum())}


def open_folder(run: Path, settings: dict, *, fresh: bool) -> None:
    """Make the folder, or check that it holds this training. Raises UserError if it holds another."""
    if fresh and run.exists():
        number = next(n for n in range(1, 10_000) if not run.with_name(f"{run.name}.old{n}").exists())
        run.rename(run.with_name(f"{run.name}.old{number}"))
    run.mkdir(parents=True, exist_ok=True)
    if (run / "last.pt").exists() and (run / "config.json").exists():
        held = read_settings(run)
        changed = differences(held, settings)
        if changed:
            raise UserError(
                run,
                f"was trained with {'; '.join(changed)}",
                "the same settings, or a larger --steps",
                "give those, another --run, or --fresh to move it aside",
            )
        settings["init_from"] = held.get("init_from")
        settings["config"]["steps"] = max(settings["config"]["steps"], held["config"].get("steps", 0))
    with atomic_open(run / "config.json", "w") as file:
        file.write(json.dumps(settings, indent=1) + "\n")


def differences(held: dict, asked: dict) -> list[str]:
    """'name held, now asked' for each setting that changes a result and is another."""

    def flat(settings: dict) -> dict:
        rows = {key: settings.get(key) for key in ("model", "seed", "precision")}
        rows["init from"] = (settings.get("init_from") or {}).get("run")
        rows["dataset digest"] = settings["dataset"].get("digest")
        return rows | {key: value for key, value in settings["config"].items() if key not in WHEN}

    before, now = flat(json.loads(json.dumps(held))), flat(json.loads(json.dumps(asked)))
    return [
        f"{key.replace('_', ' ')} {_short(before.get(key))}, now {_short(now.get(key))}"
        for key in now
        if before.get(key) != now[key]
    ]


def _short(value: object) -> str:
    return f"{len(value)} words" if isinstance(value, list) else str(value)[:12]
