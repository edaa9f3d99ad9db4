"""What the processes have in common that train the networks which the pipeline ships."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from models.runs import export
from models.runs.folder import lock_run, open_folder
from models.training.loop import fit


def train_annotator(
    trainer: Any,
    batches: Callable[[int], dict[str, Tensor]],
    run: Path,
    settings: dict[str, Any],
    *,
    fresh: bool,
    half: bool = False,
) -> None:
    """Train, resuming from where the run stands, and export the network at each checkpoint: in half precision if
    `half`, with the trainer's `reliability` if it has one. `trainer` is a Trainer with its `config`."""
    config = trainer.config

    def save(step: int) -> None:
        (network,) = trainer.exported().values()
        weights = network.state_dict()
        if half:
            weights = {name: value.half() if value.is_floating_point() else value for name, value in weights.items()}
        about = {"model": settings["model"], "config": settings["config"], "steps": step}
        if hasattr(trainer, "reliability"):
            about["reliability"] = trainer.reliability()
        export.write_weights(run, weights, about)

    with lock_run(run):
        open_folder(run, settings, fresh=fresh)
        fit(
            trainer,
            batches,
            run,
            steps=config.steps,
            pictures=config.batch_size,
            seed=settings["seed"],
            paints=False,
            log_every=min(50, config.sample_every),
            sample_every=config.sample_every,
            save_every=config.save_every,
            on_save=save,
        )
