"""A training in a process of its own, or in one of several, as a task starts it.

The task passes ANIME_ERRORS, the file for an error that a user can fix, and ANIME_STORE, the file through which several
processes find each other. It keeps this process's stdin open: a byte on it means Ctrl-C, its end that the task ended.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import torch

from models import distributed
from models.data.dataset import DISK_ERRORS, UserError, sha256_of
from models.runs import export
from models.runs.folder import lock_run, open_folder
from models.runs.memory import check_memory
from models.runs.settings import Job, build_config, describe, load_datasets, resolve_device
from models.seeds import seed_for
from models.training import checkpoint
from models.training.loop import fit
from models.zoo import MODELS

MAX_HELD_OUT = 512  # images that samples are compared with while training


def run_worker(training: Callable[[], None], run: str) -> int:
    """Call `training`, and report an error that a user can fix, or an interrupt. Return the exit code:
    128 + SIGINT after Ctrl-C, EX_TEMPFAIL if it cannot go on without another process."""
    threading.Thread(target=_watch_parent, daemon=True).start()
    try:
        training()
    except UserError as error:
        return _report_error(str(error))
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        fix = "free some space there, or move away what is in the way"
        return _report_error(f"{error.filename or run}: {error.strerror}; to write a run; {fix}")
    except distributed.ProcessLost as error:
        rank, world_size = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
        found = f"process {rank} of {world_size} lost the others ({error})"
        return _report_error(f"{run}: {found}; all of them; run it again to go on", code=os.EX_TEMPFAIL)
    except (MemoryError, RuntimeError) as error:
        # torch has a class of its own for GPUs; for CPUs there is only the text.
        if not isinstance(error, (MemoryError, torch.OutOfMemoryError)) and "not enough memory" not in str(error):
            raise
        fix = "give a smaller --batch-size or another --preset"
        return _report_error(f"{run}: there was not enough memory; more of it; {fix}")
    except KeyboardInterrupt:
        return _report_error("interrupted", code=128 + signal.SIGINT)
    return 0


def _report_error(text: str, code: int = 1) -> int:
    """Write the text for the task that started this process, or else print it. Return the exit code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process is ending already
    if "ANIME_ERRORS" in os.environ:
        Path(os.environ["ANIME_ERRORS"]).write_text(text, encoding="utf-8")
    elif os.environ.get("RANK", "0") == "0" and code != os.EX_TEMPFAIL:
        print(text, file=sys.stderr)
    return code


def _watch_parent() -> None:
    """Send SIGINT to this process for each byte on stdin, and SIGKILL when stdin ends, as it does when its task ends.

    A task that was killed must not leave a training behind."""
    if "ANIME_ERRORS" not in os.environ:
        return
    while os.read(0, 1):  # not sys.stdin: its lock is held while it reads, and Python could not end
        os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGKILL)


def set_precision(precision: str) -> None:
    """Let a GPU round factors to TensorFloat-32, with 10 bits of 23, only where fp32 was not asked for. It is on by
    default for convolutions."""
    torch.backends.cudnn.allow_tf32 = precision != "fp32"


def train(job: Job) -> None:
    """Train a job, resuming from the run's last checkpoint. Raise UserError."""
    device = resolve_device(job.device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    with contextlib.ExitStack() as stack:
        if (world_size := int(os.environ.get("WORLD_SIZE", 1))) > 1:
            backend, own = ("cpu:gloo,cuda:nccl", device) if device.type == "cuda" else ("gloo", None)
            # A file in a folder that only this user can read: other users could write to a server on a port.
            store, rank = torch.distributed.FileStore(os.environ["ANIME_STORE"], world_size), int(os.environ["RANK"])
            group = distributed.process_group(backend, store=store, rank=rank, world_size=world_size, device_id=own)
            stack.enter_context(group)
        distributed.on_rank_zero(lambda: stack.enter_context(lock_run(Path(job.run))))
        _train(job, device)


def _train(job: Job, device: torch.device) -> None:
    model, run, config = MODELS[job.model], Path(job.run), build_config(job)
    datasets = load_datasets(job)
    settings = describe(job, config, datasets)
    if distributed.rank() == 0 and (left_out := settings["dataset"].get("left_out")):
        print(f"{run.name}: {left_out} faces have none of the labels, and are left out", file=sys.stderr)
    # Everything is checked before the run's folder is touched.
    batches = model.batches(datasets, config, seed=job.seed, device=device)
    held_out = {role: model.held_out(dataset, config, MAX_HELD_OUT) for role, dataset in datasets.items()}
    parameters = check_memory(job.model, config, device)
    torch.manual_seed(seed_for(job.seed, "weights"))
    set_precision(settings["precision"])
    trainer = model.trainer(config, device, held_out, **{name: Path(path) for name, path in job.files.items()})
    if job.init_from and (job.fresh or not (run / "last.pt").exists()):
        path = Path(job.init_from) / "last.pt"
        checkpoint.load_state(trainer, checkpoint.read(path), path, only_networks=True)
        settings["init_from"]["sha256"] = sha256_of(path)
    distributed.on_rank_zero(lambda: open_folder(run, settings, fresh=job.fresh))
    fit(
        trainer,
        batches,
        run,
        steps=config.steps,
        pictures=config.pictures,
        parameters=parameters,
        seed=job.seed,
        precision=settings["precision"],
        log_every=min(50, config.sample_every),
        sample_every=config.sample_every,
        save_every=config.save_every,
        on_save=lambda step: export.export(run, trainer.exported(), settings, step),
    )
