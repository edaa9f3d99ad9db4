"""`python -m workflows.workers.hair_tagger JOB`: the process that TrainHairTagger starts.

It joins the pipeline's patches with the training in `models`, which do not import each other."""

import functools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.annotators.hair_tagger import Batches, Config, HairTaggerTraining, Patches, to_batch
from models.runs import export
from models.runs.folder import lock_run, open_folder
from models.runs.worker import run_worker
from models.seeds import seed_for
from models.training.loop import fit
from pipeline.hair.color_network import normalize


def train(run: str, drawn: dict[str, str], settings: dict[str, Any], *, fresh: bool) -> None:
    """Train with the settings, resuming from where the run stands, on the patches of DrawHair in `drawn`."""
    config, seed, folder = Config(**settings["config"]), settings["seed"], Path(run)
    learned, held_out = (_patches(Path(drawn[name])) for name in ("learned", "held_out"))
    torch.manual_seed(seed_for(seed, "weights"))
    trainer = HairTaggerTraining(config, to_batch(held_out, normalize), held_out.pictures)
    with lock_run(folder):
        open_folder(folder, settings, fresh=fresh)
        fit(
            trainer,
            Batches(learned, normalize, config.batch_size, seed=seed),
            folder,
            steps=config.steps,
            pictures=config.batch_size,
            seed=seed,
            log_every=min(50, config.sample_every),
            sample_every=config.sample_every,
            save_every=config.save_every,
            on_save=functools.partial(_export, folder, trainer, settings),
        )


def _patches(folder: Path) -> Patches:
    return Patches(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in Patches._fields))


def _export(run: Path, trainer: HairTaggerTraining, settings: dict[str, Any], step: int) -> None:
    about = {name: settings[name] for name in ("model", "config")} | {"steps": step}
    about["reliability"] = trainer.reliability()
    export.write_weights(run, trainer.exported()["tagger"].state_dict(), about)


if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    sys.exit(run_worker(functools.partial(train, **job), job["run"]))
