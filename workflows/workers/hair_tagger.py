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
from models.runs.worker import run_worker
from models.seeds import seed_for
from pipeline.hair.color_network import normalize
from workflows.workers.annotator import train_annotator


def train(run: str, drawn: dict[str, str], settings: dict[str, Any], *, fresh: bool) -> None:
    """Train with the settings, resuming from where the run stands, on the patches of DrawHair in `drawn`."""
    config, seed, folder = Config(**settings["config"]), settings["seed"], Path(run)
    learned, held_out = (_patches(Path(drawn[name])) for name in ("learned", "held_out"))
    torch.manual_seed(seed_for(seed, "weights"))
    trainer = HairTaggerTraining(config, to_batch(held_out, normalize), held_out.pictures)
    batches = Batches(learned, normalize, config.batch_size, seed=seed)
    train_annotator(trainer, batches, folder, settings, fresh=fresh)


def _patches(folder: Path) -> Patches:
    return Patches(*(np.load(folder / f"{name}.npy", mmap_mode="r") for name in Patches._fields))


if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    sys.exit(run_worker(functools.partial(train, **job), job["run"]))
