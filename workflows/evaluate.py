"""EvaluateGAN: how good a run is, in numbers and pictures."""

import functools
from pathlib import Path

import luigi

from pipeline.errors import UserError
from workflows.console import WholeNumber, require
from workflows.generate import OfHairColor
from workflows.training import Dataset


class EvaluateGAN(OfHairColor):
    """FID and KID against the faces a run was trained on, and how often hair is of the colour that was asked for.

    Writes runs/NAME/evaluation.json, and pictures to runs/NAME/generated/. Done again when the weights changed."""

    dataset = luigi.Parameter(
        default="", description="which dataset's train split is the reference; none: the run's own"
    )
    samples = WholeNumber(default=0, description="how many samples; 0: as many as the reference, at most 10000")
    seed = WholeNumber(default=0, description="of the samples")
    inception = luigi.OptionalPathParameter(
        default=None, significant=False, description="inception-2015-12-05.pt, for FID and KID by Inception too"
    )
    device = luigi.Parameter(default="auto", significant=False, description="auto, cpu, cuda or cuda:N")

    def check(self) -> None:
        require(self, self.samples == 0 or self.samples >= 2, "samples", "0, or 2 or more")
        require(self, self.seed >= 0, "seed", "0 or more")
        require(self, self.inception is None or self.inception.is_file(), "inception", "a file")

    @property
    def file(self) -> Path:
        return self.run_folder / "evaluation.json"

    def causes(self) -> dict[str, object]:
        return super().causes() | {"seed": self.seed, "asked_samples": self.samples, "asked_dataset": self.dataset}

    def complete(self) -> bool:
        from models import latent

        return super().complete() and (self.inception is None or "kid_inception" in latent.told_by(self.file))

    def make(self, network, about: dict) -> None:
        from models import evaluate, latent, runs
        from models.data import conditions
        from pipeline import hair

        device = runs.device_named(self.device)
        dataset, size = self.reference(), self.settings["config"]["size"]
        real = dataset.pixels("train", size)[: evaluate.MOST]
        held_out = next(pixels for split in ("val", "test", "train") if len(pixels := dataset.pixels(split, size)))
        network = network.to(device)
        labels = getattr(network, "labels", None)
        known = None
        if labels:
            known = conditions(dataset.split("train"), labels)
            known = known[known.any(1)]
        generated = self.run_folder / "generated"
        generated.mkdir(exist_ok=True)
        fake = evaluate.samples(network, self.samples or len(real), known, self.seed)
        said, beside = evaluate.distance(fake, real, held_out[: evaluate.TAGGED], self.extractors(), device)
        latent.save_png(generated / "neighbours.png", beside, **about)
        if labels:
            box_scale = dataset.faces["box_scale"][0].as_py()
            colors = latent.known_colors(self.learned)
            rates, counts = evaluate.hair_accuracy(
                evaluate.painter(network, self.seed), colors, lambda pictures: hair.names(pictures, box_scale)
            )
            said |= rates
            evaluate.save_confusion(generated / "hair_confusion.png", colors, counts)
        latent.save_json(self.file, about | {"model": self.settings["model"]} | said)

    @functools.cached_property
    def settings(self) -> dict:
        from models import runs

        return runs.read_settings(self.run_folder)

    def reference(self):
        """models.data.Dataset: what the run learned from, unless another is asked for."""
        from models.data import Dataset as Faces

        held = self.settings["dataset"]
        name = self.dataset or held["name"]
        wanted = Dataset(name=name, data_root=self.data_root)
        wanted.check()
        faces = Faces(Path(wanted.output().path).parent, self.data_root / "cache")
        if not self.dataset and faces.digest != held["digest"]:
            raise UserError(
                wanted.output().path, "was built again since the run was trained", "the faces it learned from",
                f"say that this is meant: --dataset {name}",
            )  # fmt: skip
        return faces

    def extractors(self) -> dict:
        from models import evaluate
        from pipeline import assets

        found = {"vgg16": evaluate.by_vgg16(assets.fetch_any("vgg16.ckpt", "vgg16-397923af.pth"))}
        return found | ({"inception": evaluate.by_inception(self.inception)} if self.inception else {})
