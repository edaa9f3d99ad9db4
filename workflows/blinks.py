"""The tasks that train what lets a face blink."""

import luigi

from workflows.cli.parameters import Choice
from workflows.training import Training


class OnClips(Training):
    """A training on a dataset of blink clips."""

    dataset = luigi.Parameter(default="blinks", description="dataset of clips: datasets/NAME below the data root")
    augment = "preset"  # no option: it is of what a discriminator of pictures sees
    kind = "clips"

    options: tuple[str, ...] = ()  # those of the task that are fields of the Config, and words in a run's name

    @property
    def run_words(self) -> tuple[str, ...]:
        return tuple(self._given.values())

    @property
    def changes(self) -> dict:
        return super().changes | self._given

    @property
    def _given(self) -> dict[str, str]:
        values = {name: getattr(self, name) for name in self.options}
        return {name: value for name, value in values.items() if value != "preset"}


OnClips._visible_in_registry = False  # it is no task by itself


class TrainBlinkUNet(OnClips):
    """Network that lets a still face blink, by the optical flow of another face's blink."""

    region = Choice(
        ("eyes", "face"), default="eyes", description="what is animated; of a whole face the eyes only glow"
    )
    refine = Choice(
        ("preset", "3d", "none"), default="preset", description="what follows the 2-D U-Net: a 3-D one, or none"
    )
    model = "blink-flow"
    models = ("blink-flow",)
    options = ("region", "refine")


class TrainVideoGAN(OnClips):
    """GAN that makes a clip from one picture: the trials for blinks that failed, as named baselines."""

    trial = Choice(
        ("adversarial", "clipped", "content", "conv_lstm"),
        default="adversarial",
        description="adversarial; clipped: with D's weights clipped; content: without D; conv_lstm: without D, with "
        "features of a reference clip",
    )
    model = "videogan-cond"
    models = ("videogan-cond",)
    options = ("trial",)


class TrainSeamRefiner(Training):
    """Network that hides the border of animated eyes in a face. It is trained on still faces."""

    augment = "preset"  # no option: there is no discriminator
    model = "seam-refiner"
    models = ("seam-refiner",)
