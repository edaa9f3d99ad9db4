"""EvaluateGAN: measures of a run, and pictures that illustrate them."""

import functools
from pathlib import Path
from typing import Any

import luigi

from pipeline.errors import UserError
from workflows.base.from_run import OfHairColor
from workflows.base.run import Dataset
from workflows.cli.parameters import OptionalFilePath, WholeNumber, require


class EvaluateGAN(OfHairColor):
    """FID, KID, nearest training faces and hair-colour accuracy of a run.

    They are written to runs/NAME/evaluation.json, with pictures in runs/NAME/generated/."""

    dataset = luigi.Parameter(default="", description="dataset whose train split is the reference; else the run's own")
    samples = WholeNumber(
        16,
        default=0,
        # models.evaluation.MIN_SAMPLES
        or_zero=True,
        description="number of samples, 16 or more; 0: as many as the reference, at most 10000",
    )
    seed = WholeNumber(default=0, description="seed of the samples")
    inception = OptionalFilePath(
        default=None, significant=False, description="inception-2015-12-05.pt, to compute FID and KID by Inception too"
    )
    device = luigi.Parameter(
        default="auto", significant=False, description="cpu, cuda or cuda:N; auto: a GPU if there is one"
    )

    def check(self) -> None:
        require(self, self.inception is None or self.inception.is_file(), "inception", "a file")

    @property
    def file(self) -> Path:
        return self.run_folder / "evaluation.json"

    def digest_inputs(self) -> dict[str, object]:
        own = {"seed": self.seed, "asked_samples": self.samples, "reference_digest": self.reference.digest}
        return super().digest_inputs() | own

    def complete(self) -> bool:
        from models.sampling import save

        return super().complete() and (self.inception is None or "kid_inception" in save.read_provenance(self.file))

    def make(self, network: Any, about: dict) -> None:
        from models import evaluation
        from models.runs import settings
        from models.sampling import latents, save
        from pipeline.hair import tagging

        device = settings.resolve_device(self.device)
        extractors, size = self.extractors(), self.settings["config"]["size"]
        real = self.reference.pixels("train", size)
        if len(real) < evaluation.MIN_SAMPLES:
            found = f"{len(real)} faces in the train split"
            raise UserError(self.reference.folder, found, f"{evaluation.MIN_SAMPLES} or more", "give another --dataset")
        splits = (self.reference.pixels(split, size) for split in ("val", "test", "train"))
        held_out = next(pixels for pixels in splits if len(pixels))[: evaluation.MAX_HELD_OUT]
        network = network.to(device)
        count = self.samples or min(evaluation.MAX_SAMPLES, len(real))
        fake = evaluation.generate_samples(network, count, self.conditions_to_ask(network), self.seed)
        measures, neighbours = evaluation.measure_distances(fake, real, held_out, extractors, device)
        generated = self.run_folder / "generated"
        generated.mkdir(exist_ok=True)
        save.save_png(generated / "neighbours.png", neighbours, **about)
        if colors := latents.learned_colors(self.label_counts):
            box_scale = self.settings["dataset"]["box_scale"]
            generate = evaluation.color_generator(network, self.seed)
            rates, counts = evaluation.hair_accuracy(generate, colors, lambda crops: tagging.names(crops, box_scale))
            measures |= rates
            evaluation.save_confusion_matrix(generated / "hair_confusion.png", colors, counts, about)
        save.save_json(self.file, about | {"model": self.settings["model"]} | measures)

    def conditions_to_ask(self, network: Any) -> Any:
        """Return the conditions (N, T) of the reference, without labels that the run never saw; None for a DCGAN."""
        from models.data.labels import conditions

        if not self.label_counts:
            return None
        found = conditions(self.reference.split("train"), network.labels)
        found *= [self.label_counts[label] > 0 for label in network.labels]
        found = found[found.any(1)]
        if not len(found):
            expected = " ".join(label for label, count in self.label_counts.items() if count)
            cure = "give another --dataset"
            raise UserError(self.reference.folder, "no face has a label that the run learned", expected, cure)
        return found

    @functools.cached_property
    def reference(self):
        """Return the dataset of --dataset, or the one that the run was trained on. Raise UserError."""
        from models.data.dataset import Dataset as Faces

        trained_on = self.settings["dataset"]
        name = self.dataset or trained_on["name"]
        wanted = Dataset(name=name, data_root=self.data_root)
        wanted.check()
        faces = Faces(Path(wanted.output().path).parent, self.data_root / "cache")
        if not self.dataset and faces.digest != trained_on["digest"]:
            expected, cure = "the faces it was trained on", f"give --dataset {name} to use the new ones"
            raise UserError(wanted.output().path, "was built again since the run was trained", expected, cure)
        return faces

    def extractors(self) -> dict:
        """Return the feature extractors of FID and KID by name."""
        from models import evaluation
        from pipeline import assets

        found = {"vgg16": evaluation.vgg16_extractor(assets.fetch_any("vgg16.ckpt", "vgg16-397923af.pth"))}
        return found | ({"inception": evaluation.inception_extractor(self.inception)} if self.inception else {})
