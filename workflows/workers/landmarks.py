"""`python -m workflows.workers.landmarks JOB`: the process that TrainLandmarks starts.

It joins the pipeline's network and drawn faces with the training in `models`, which do not import each other."""

import functools
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from models.annotators.landmark_crops import Crops, Faces
from models.annotators.landmarks import Config, LandmarkTraining
from models.runs import export
from models.runs.folder import lock_run, open_folder
from models.runs.worker import run_worker
from models.seeds import seed_for
from models.training.loop import fit
from pipeline.faces.landmark_network import LandmarkNetwork, predict


def train(run: str, drawn: dict[str, str], settings: dict[str, Any], *, fresh: bool) -> None:
    """Train with the settings, resuming from where the run stands, on the faces of DrawLandmarks in `drawn`."""
    config, seed, folder = Config(**settings["config"]), settings["seed"], Path(run)
    place = Path(drawn["faces"])
    faces = Faces(np.load(place / "pictures.npy", mmap_mode="r"), np.load(place / "faces.npy"))
    learned, held_out = faces.part(0, config.faces), faces.part(config.faces, len(faces.pictures))
    cv2.setNumThreads(1)  # crops are small
    torch.manual_seed(seed_for(seed, "weights"))
    trainer = LandmarkTraining(config, LandmarkNetwork(), predict, held_out)
    with lock_run(folder):
        open_folder(folder, settings, fresh=fresh)
        fit(
            trainer,
            Crops(learned, config.batch_size, seed=seed),
            folder,
            steps=config.steps,
            pictures=config.batch_size,
            seed=seed,
            log_every=min(50, config.sample_every),
            sample_every=config.sample_every,
            save_every=config.save_every,
            on_save=functools.partial(_export, folder, trainer, settings),
        )


def _export(run: Path, trainer: LandmarkTraining, settings: dict[str, Any], step: int) -> None:
    """Write the averaged network, in half precision, with how its openness compares with the truth."""
    weights = trainer.exported()["landmarks"].state_dict()
    halves = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in weights.items()}
    about = {"model": settings["model"], "config": settings["config"], "steps": step}
    about["reliability"] = trainer.reliability()
    export.write_weights(run, halves, about)


if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    sys.exit(run_worker(functools.partial(train, **job), job["run"]))
