"""DrawScenes -> TrainFaceDetector: the weights of `pipeline.faces.network`."""

from pathlib import Path

from workflows.base.annotator_training import Drawn, DrawnTraining


class DrawScenes(Drawn):
    """Scenes with drawn faces, as arrays; each is of 200 KB."""

    def digest_inputs(self) -> list:
        from pipeline.training_data import detector_scenes as face_scenes

        return [face_scenes.VERSION, face_scenes.SIZE, self.seed, self.count]

    def make(self, out: Path) -> None:
        from pipeline.training_data import detector_scenes as face_scenes

        face_scenes.draw_all(self.seed, self.count, out, jobs=self.jobs)


class TrainFaceDetector(DrawnTraining):
    """The network that `--detector network` asks: trained on drawn scenes alone."""

    model = "face_detector"

    def presets(self) -> dict:
        from models.annotators.face_detector import PRESETS

        return PRESETS

    def drawn(self) -> dict[str, Drawn]:
        count = self.config.scenes + self.config.held_out
        return {"scenes": DrawScenes(count=count, seed=self.seed, data_root=self.data_root, jobs=self.jobs)}
