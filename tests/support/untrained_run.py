"""A run with its first weights, made in a moment, and a stand-in for what it would paint."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from models.data.dataset import Dataset
from models.runs import export
from models.runs.settings import Job, build_config, describe
from models.sampling.latents import sample_latents
from models.zoo import MODELS

SIDE = 64  # px of its pictures


def untrained_run(root: Path, name: str, model: str = "dcgan128", *, dataset: str = "faces", seed: int = 0) -> Path:
    """Write the run and return its folder. It says that it was trained on that dataset."""
    folders = {"faces": str(root / "datasets" / dataset)}
    assignments = {} if model == "r3gan-colors" else {"size": str(SIDE)}
    job = Job(str(root / "runs" / name), model, "tiny", folders, str(root / "cache"), {}, assignments, device="cpu")
    config = build_config(job)
    settings = describe(job, config, {"faces": Dataset(Path(folders["faces"]), root / "cache")})
    run = Path(job.run)
    run.mkdir(parents=True, exist_ok=True)
    (run / "config.json").write_text(json.dumps(settings))
    torch.manual_seed(seed)
    about = {"model": model, "config": asdict(config), "steps": 20 + seed}
    about |= {"labels": settings["dataset"]["labels"]} if "labels" in settings["dataset"] else {}
    networks = MODELS[model].networks
    main, *others = MODELS[model].exported
    export.write_weights(run, networks[main](config).state_dict(), about)
    for other in others:
        export.write_weights(run, networks[other](config).state_dict(), about, name=other)
    return run


def paint(pictures: np.ndarray):
    """Return a stand-in for `generate_images` that paints these pictures for the seeds 0, 1, …"""

    def generate_images(network, z, *conditions) -> np.ndarray:
        known = sample_latents(network, [*range(len(pictures))])
        return pictures[(z[:, None] == known).all(2).long().argmax(1).numpy()]

    return generate_images
