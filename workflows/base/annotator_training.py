"""Base classes of the trainings on drawn pictures, which make the weights that the pipeline ships."""

import functools
import json
from dataclasses import asdict, replace

import luigi

from workflows.base.run import NamedRun, check_run_name
from workflows.base.stage import Stage
from workflows.base.subprocess import train_in_children
from workflows.cli.parameters import Choice, WholeNumber


class Drawn(Stage):
    """Drawn pictures and their annotations, as arrays."""

    count = WholeNumber(1, description="number of pictures")
    seed = WholeNumber(default=0, description="seed of the pictures")


Drawn._visible_in_registry = False  # it is no task by itself


class DrawnTraining(NamedRun):
    """A training on the CPU: runs/NAME/model.safetensors. Run again, it resumes from its last checkpoint."""

    preset = Choice(("full", "tiny"), default="full", description="settings: full (the shipped weights), tiny (tests)")
    steps = WholeNumber(default=0, description="step at which to stop; 0: the preset's")
    seed = WholeNumber(default=0, description="seed of the pictures, the initial weights and the order")
    jobs = WholeNumber(default=0, significant=False, description="processes that draw; 0: one per core")
    fresh = luigi.BoolParameter(
        default=False, significant=False, description="move an old run of that name aside and start again"
    )

    model = ""  # name of the model; `workflows.workers.MODEL` trains it

    def presets(self) -> dict:
        """Return the training's Config by name."""
        raise NotImplementedError

    def drawn(self) -> dict[str, Drawn]:
        """Return the tasks that draw the training set, by role."""
        raise NotImplementedError

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if not self.run_name:
            self.run_name = f"{self.model}-{self.preset}"
        check_run_name("--run", self.run_name)

    @functools.cached_property
    def config(self):
        """Return the preset's Config, with --steps."""
        preset = self.presets()[self.preset]
        return replace(preset, steps=self.steps or preset.steps)

    def requires(self) -> dict[str, Drawn]:
        """Return the tasks that must be complete first."""
        return self.drawn()

    def output(self) -> luigi.LocalTarget:
        """Return the file that is written last."""
        return luigi.LocalTarget(self.run_folder / "model.safetensors")

    @property
    def settings(self) -> dict:
        """Return the fields of config.json: all that the result depends on."""
        return {
            "model": self.model,
            "preset": self.preset,
            "config": asdict(self.config),
            "seed": self.seed,
            "precision": "fp32",
            "init_from": None,
            "dataset": {"name": "drawn", "digest": " ".join(task.digest for task in self.drawn().values())},
        }

    def complete(self) -> bool:
        """Return whether the output is of these settings."""
        if self.fresh or not self.output().exists():
            return getattr(self, "_trained", False)
        from models.runs import folder

        return folder.is_trained(self.run_folder, self.settings)

    def run(self) -> None:
        """Do the work."""
        drawn = {name: str(task.folder) for name, task in self.drawn().items()}
        job = {"run": str(self.run_folder), "settings": self.settings, "fresh": self.fresh, "drawn": drawn}
        train_in_children([f"workflows.workers.{self.model}", json.dumps(job)], self.run_folder)
        self._trained = True
