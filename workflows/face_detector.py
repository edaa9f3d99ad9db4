"""DrawScenes -> TrainFaceDetector: the weights of `pipeline.face_network`."""

import functools
import json
from dataclasses import asdict, replace
from pathlib import Path

import luigi

from workflows.console import Choice, WholeNumber, require
from workflows.stage import Stage
from workflows.training import NamedRun, check_run_name, train_in_child


class DrawScenes(Stage):
    """Scenes with drawn faces, as arrays."""

    count = WholeNumber(default=9_064, description="scenes; each is of 200 KB")
    seed = WholeNumber(default=0, description="of the scenes: another seed, other scenes")

    def check(self) -> None:
        super().check()
        require(self, self.count >= 1, "count", "1 or more")
        require(self, self.seed >= 0, "seed", "0 or more")

    def causes(self) -> list:
        from pipeline import face_scenes

        return [face_scenes.VERSION, face_scenes.SIZE, self.seed, self.count]

    def make(self, out: Path) -> None:
        from pipeline import face_scenes

        face_scenes.draw_all(self.seed, self.count, out, jobs=self.jobs)


class TrainFaceDetector(NamedRun):
    """The network that `--detector network` asks: trained on drawn scenes alone, on the CPU.

    Writes runs/NAME/model.safetensors. Run again, it goes on from its last checkpoint."""

    preset = Choice(("full", "tiny"), default="full", description="full: the weights that are shipped; tiny, for tests")
    steps = WholeNumber(default=0, description="steps in all; 0: the preset's")
    seed = WholeNumber(default=0, description="of scenes, first weights and crops")
    jobs = WholeNumber(default=0, significant=False, description="processes that draw; 0: one per core")
    fresh = luigi.BoolParameter(default=False, significant=False, description="move an old run of that name aside")

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        if not self.run_name:
            self.run_name = f"face_detector-{self.preset}"
        check_run_name("--run", self.run_name)
        for name in ("steps", "seed"):
            require(self, getattr(self, name) >= 0, name, "0 or more")

    @functools.cached_property
    def config(self):
        """models.face_detector.Config."""
        from models.face_detector import PRESETS

        preset = PRESETS[self.preset]
        return replace(preset, steps=self.steps or preset.steps)

    def requires(self) -> DrawScenes:
        count = self.config.scenes + self.config.held_out
        return DrawScenes(count=count, seed=self.seed, data_root=self.data_root, jobs=self.jobs)

    def output(self) -> luigi.LocalTarget:
        return luigi.LocalTarget(self.run_folder / "model.safetensors")

    @property
    def settings(self) -> dict:
        """config.json: all that the result depends on."""
        return {
            "model": "face_detector", "preset": self.preset, "config": asdict(self.config), "seed": self.seed,
            "precision": "fp32", "init_from": None, "dataset": {"name": "scenes", "digest": self.requires().digest},
        }  # fmt: skip

    def complete(self) -> bool:
        if self.fresh or not self.output().exists():
            return getattr(self, "_trained", False)
        from models import runs

        return runs.is_trained(self.run_folder, self.settings)

    def run(self) -> None:
        job = {
            "run": str(self.run_folder), "drawn": str(self.requires().folder), "settings": self.settings,
            "fresh": self.fresh,
        }  # fmt: skip
        train_in_child(["workflows.train_face_detector", json.dumps(job)], self.run_folder)
        self._trained = True
