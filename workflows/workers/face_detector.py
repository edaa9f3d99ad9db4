"""`python -m workflows.workers.face_detector JOB`: the process that TrainFaceDetector starts.

It joins the pipeline's network and scenes with the training in `models`, which do not import each other."""

import functools
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from models.annotators.face_crops import Crops, Scenes
from models.annotators.face_detector import Config, FaceDetector
from models.runs import export
from models.runs.folder import lock_run, open_folder
from models.runs.worker import run_worker
from models.seeds import seed_for
from models.training.loop import fit
from pipeline.faces.network import FaceNetwork


def train(run: str, drawn: dict[str, str], settings: dict[str, Any], *, fresh: bool) -> None:
    """Train with the settings, resuming from where the run stands, on the scenes of DrawScenes in `drawn`."""
    config, seed, folder = Config(**settings["config"]), settings["seed"], Path(run)
    place = Path(drawn["scenes"])
    scenes = Scenes(np.load(place / "pictures.npy", mmap_mode="r"), np.load(place / "faces.npy"))
    learned, held_out = scenes.part(0, config.scenes), scenes.part(config.scenes, len(scenes.pictures))
    cv2.setNumThreads(1)  # crops are small
    torch.manual_seed(seed_for(seed, "weights"))
    trainer = FaceDetector(config, FaceNetwork(), held_out)
    with lock_run(folder):
        open_folder(folder, settings, fresh=fresh)
        fit(
            trainer,
            Crops(learned, config.size, config.batch_size, seed=seed),
            folder,
            steps=config.steps,
            pictures=config.batch_size,
            seed=seed,
            log_every=min(50, config.sample_every),
            sample_every=config.sample_every,
            save_every=config.save_every,
            on_save=functools.partial(_export, folder, trainer, settings),
        )


def _export(run: Path, trainer: FaceDetector, settings: dict[str, Any], step: int) -> None:
    """Write the averaged network, in half precision."""
    weights = trainer.exported()["detector"].state_dict()
    halves = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in weights.items()}
    export.write_weights(run, halves, {"model": settings["model"], "config": settings["config"], "steps": step})


if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    sys.exit(run_worker(functools.partial(train, **job), job["run"]))
