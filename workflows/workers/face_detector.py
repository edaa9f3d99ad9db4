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
from models.runs.worker import run_worker
from models.seeds import seed_for
from pipeline.faces.network import FaceNetwork
from workflows.workers.annotator import train_annotator


def train(run: str, drawn: dict[str, str], settings: dict[str, Any], *, fresh: bool) -> None:
    """Train with the settings, resuming from where the run stands, on the scenes of DrawScenes in `drawn`."""
    config, seed, folder = Config(**settings["config"]), settings["seed"], Path(run)
    place = Path(drawn["scenes"])
    scenes = Scenes(np.load(place / "pictures.npy", mmap_mode="r"), np.load(place / "faces.npy"))
    learned, held_out = scenes.part(0, config.scenes), scenes.part(config.scenes, len(scenes.pictures))
    cv2.setNumThreads(1)  # crops are small
    torch.manual_seed(seed_for(seed, "weights"))
    trainer = FaceDetector(config, FaceNetwork(), held_out)
    batches = Crops(learned, config.size, config.batch_size, seed=seed)
    train_annotator(trainer, batches, folder, settings, fresh=fresh, half=True)


if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    sys.exit(run_worker(functools.partial(train, **job), job["run"]))
