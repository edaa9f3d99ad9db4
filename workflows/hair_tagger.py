"""DrawHair -> TrainHairTagger: the weights of `pipeline.hair.color_network`."""

from pathlib import Path

from workflows.base.annotator_training import Drawn, DrawnTraining
from workflows.cli.errors import Choice


class DrawHair(Drawn):
    """Drawn heads with hair of many colours, as arrays."""

    style = Choice(("character", "icon"), default="character", description="which way of drawing")

    def digest_inputs(self) -> list:
        from pipeline.training_data import hair_patches as hair_patches

        return [hair_patches.VERSION, self.style, self.seed, self.count]

    def make(self, out: Path) -> None:
        from pipeline.training_data import hair_patches as hair_patches

        hair_patches.draw_all(self.seed, self.count, out, style=self.style, jobs=self.jobs)


class TrainHairTagger(DrawnTraining):
    """The network that names hair colours by their pixels: trained on drawn heads alone."""

    model = "hair_tagger"

    def presets(self) -> dict:
        from models.annotators.hair_tagger import PRESETS

        return PRESETS

    def drawn(self) -> dict[str, Drawn]:
        same = {"seed": self.seed, "data_root": self.data_root, "jobs": self.jobs}
        return {
            "learned": DrawHair(count=self.config.patches, **same),
            "held_out": DrawHair(count=self.config.held_out, style="icon", **same),
        }
