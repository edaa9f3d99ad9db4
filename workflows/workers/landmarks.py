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
from models.runs.worker import run_worker
from models.seeds import seed_for
from pipeline.faces.landmark_network import LandmarkNetwork, predict
from workflows.workers.annotator import train_annotator


def train(run: str, drawn: dict[str, str], settings: dict[str, Any], *, fresh: bool) -> None:
    """Train with the settings, resuming from where the run stands, on the faces of DrawLandmarks in `drawn`."""
    config, seed, folder = Config(**settings["config"]), settings["seed"], Path(run)
    place = Path(drawn["faces"])
    faces = Faces(np.load(place / "pictures.npy", mmap_mode="r"), np.load(place / "faces.npy"))
    learned, held_out = faces.part(0, config.faces), faces.part(config.faces, len(faces.pictures))
    cv2.setNumThreads(1)  # crops are small
    torch.manual_seed(seed_for(seed, "weights"))
    trainer = LandmarkTraining(config, LandmarkNetwork(), predict, held_out)
    batches = Crops(learned, config.batch_size, seed=seed)
    train_annotator(trainer, batches, folder, settings, fresh=fresh, half=True)


if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    sys.exit(run_worker(functools.partial(train, **job), job["run"]))
