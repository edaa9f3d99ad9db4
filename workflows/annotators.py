"""Trainings of the weights that `pipeline` ships, each on its drawn pictures.

DrawScenes -> TrainFaceDetector, DrawLandmarks -> TrainLandmarks, DrawHair -> TrainHairTagger.
"""

from pathlib import Path

from workflows.base.annotator_training import Drawn, DrawnTraining
from workflows.cli.parameters import Choice


class DrawScenes(Drawn):
    """Drawn scenes with faces, as arrays of about 200 KB each."""

    def digest_inputs(self) -> list:
        from pipeline.training_data import detector_scenes

        return [detector_scenes.VERSION, detector_scenes.SIZE, self.seed, self.count]

    def make(self, out: Path) -> None:
        from pipeline.training_data import detector_scenes

        detector_scenes.draw_all(self.seed, self.count, out, jobs=self.jobs)


class TrainFaceDetector(DrawnTraining):
    """The network of `--detector network`, trained on drawn scenes alone."""

    model = "face_detector"

    def presets(self) -> dict:
        from models.annotators.face_detector import PRESETS

        return PRESETS

    def drawn(self) -> dict[str, Drawn]:
        count = self.config.scenes + self.config.held_out
        return {"scenes": DrawScenes(count=count, seed=self.seed, data_root=self.data_root, jobs=self.jobs)}


class DrawLandmarks(Drawn):
    """Drawn faces with open and closed eyes, as arrays of about 77 KB each."""

    def digest_inputs(self) -> list:
        from pipeline.training_data import face_landmarks

        return [face_landmarks.VERSION, face_landmarks.SIZE, self.seed, self.count]

    def make(self, out: Path) -> None:
        from pipeline.training_data import face_landmarks

        face_landmarks.draw_all(self.seed, self.count, out, jobs=self.jobs)


class TrainLandmarks(DrawnTraining):
    """The network that finds eyes and how far they are open, trained on drawn faces alone."""

    model = "landmarks"

    def presets(self) -> dict:
        from models.annotators.landmarks import PRESETS

        return PRESETS

    def drawn(self) -> dict[str, Drawn]:
        count = self.config.faces + self.config.held_out
        return {"faces": DrawLandmarks(count=count, seed=self.seed, data_root=self.data_root, jobs=self.jobs)}


class DrawHair(Drawn):
    """Drawn heads with hair of many colours, as arrays."""

    style = Choice(("character", "icon"), default="character", description="drawing style")

    def digest_inputs(self) -> list:
        from pipeline.training_data import hair_patches

        return [hair_patches.VERSION, self.style, self.seed, self.count]

    def make(self, out: Path) -> None:
        from pipeline.training_data import hair_patches

        hair_patches.draw_all(self.seed, self.count, out, style=self.style, jobs=self.jobs)


class TrainHairTagger(DrawnTraining):
    """The network of `--hair-tagger color`, trained on drawn heads alone."""

    model = "hair_tagger"

    def presets(self) -> dict:
        from models.annotators.hair_tagger import PRESETS

        return PRESETS

    def drawn(self) -> dict[str, Drawn]:
        same = {"seed": self.seed, "data_root": self.data_root, "jobs": self.jobs}
        held_out = DrawHair(count=self.config.held_out, style="icon", **same)
        return {"learned": DrawHair(count=self.config.patches, **same), "held_out": held_out}
