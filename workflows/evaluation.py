"""EvaluateGAN: measures of a run, and pictures that illustrate them."""

import functools
from collections import Counter
from pathlib import Path
from typing import Any

import luigi

from pipeline.errors import UserError
from workflows.base.from_run import OfLabels, vgg16_weights
from workflows.base.run import Dataset
from workflows.cli.parameters import OptionalFilePath, WholeNumber, require

HELD_OUT = ("val", "test")  # splits that no run was trained on


class EvaluateGAN(OfLabels):
    """Quality, variety, novelty and hair-colour accuracy of a run, each beside the same of real faces.

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
        own = {"seed": self.seed, "asked_samples": self.samples, "reference_digest": self.faces.digest}
        return super().digest_inputs() | own

    def complete(self) -> bool:
        if not super().complete() or self.inception is None:
            return super().complete()
        from models.evaluation import FEATURE_SIZE
        from models.sampling import save

        return f"kid_inception_{FEATURE_SIZE}" in save.read_provenance(self.file)

    def make(self, network: Any, about: dict) -> None:
        from models import evaluation
        from models.runs import card, settings
        from models.sampling import latents, save
        from pipeline.hair import tagging

        device = settings.resolve_device(self.device)
        extractors, network = self.extractors(), network.to(device)
        labels = getattr(network, "labels", ())
        reference = self.reference(labels, device)
        count = self.samples or min(evaluation.MAX_SAMPLES, len(reference.trained_on(self.size)))
        fake, rows = evaluation.generate_samples(network, count, reference.labels, self.seed)
        measures, neighbors = evaluation.measure_features(fake, reference, extractors, device)
        measures |= evaluation.measure_pixels(fake, rows, reference, labels, device)
        generated = self.run_folder / "generated"
        generated.mkdir(exist_ok=True)
        save.save_png(generated / "neighbours.png", neighbors, **about)
        if colors := latents.learned_colors(self.label_counts):
            judge, judge_of_real = (
                functools.partial(tagging.names, frame=frame) for frame in (self.frame, self.frame_of_dataset)
            )
            assert reference.labels is not None
            generate = evaluation.color_generator(network, reference.labels, self.seed)
            rates, counts = evaluation.hair_accuracy(generate, colors, judge)
            tables = (
                self.faces.split(split).take(self.learned_rows(self.faces, split, labels)[0]) for split in HELD_OUT
            )
            truths = [color for table in tables for color in table["hair_color"].to_pylist()]
            measures |= rates | evaluation.judge_ceiling(judge_of_real, reference.held_out(self.size), truths)
            measures["hair_labels_by"] = dict(Counter(self.faces.split("train")["hair_tagger"].drop_null().to_pylist()))
            evaluation.save_confusion_matrix(generated / "hair_confusion.png", colors, counts, about)
        evaluation.save_plot(generated / "evaluation.png", measures, about)
        save.save_json(self.file, about | {"model": self.settings["model"]} | measures)
        card.write_card(self.run_folder)

    @property
    def size(self) -> int:
        """Return the side of the run's images, px."""
        return self.settings["config"]["size"]

    def reference(self, labels: tuple[str, ...], device: Any) -> Any:
        """Return the faces that the run could learn from, and those of the other splits: for a conditional run the
        ones that have a label that it learned. Raise UserError if there are too few."""
        import numpy as np
        import torch

        from models import evaluation

        _, found = self.learned_rows(self.faces, "train", labels)
        if found is not None and not len(found):
            expected = " ".join(label for label, count in self.label_counts.items() if count)
            cure = "give another --dataset"
            raise UserError(self.faces.folder, "no face has a label that the run learned", expected, cure)

        def images(split: str, size: int) -> np.ndarray:
            return self.faces.pixels(split, size)[self.learned_rows(self.faces, split, labels)[0]]

        def features(split: str, size: int, extractor: evaluation.Extractor) -> torch.Tensor:
            rows = self.learned_rows(self.faces, split, labels)[0]
            return evaluation.cached_features(self.faces, split, size, extractor, device)[rows]

        reference = evaluation.Reference(
            trained_on=lambda size: images("train", size),
            held_out=lambda size: np.concatenate([images(split, size) for split in HELD_OUT]),
            features=lambda size, extractor: (
                features("train", size, extractor),
                torch.cat([features(split, size, extractor) for split in HELD_OUT]),
            ),
            face=min(1.0, 1 / self.frame_of_dataset.box_scale),
            labels=found,
        )
        for names, of_size in (("train", reference.trained_on), (" and ".join(HELD_OUT), reference.held_out)):
            if (count := len(of_size(self.size))) < evaluation.MIN_SAMPLES:
                problem, expected = f"{count} faces in the split {names}", f"{evaluation.MIN_SAMPLES} or more"
                raise UserError(self.faces.folder, problem, expected, "give another --dataset, or build a larger one")
        return reference

    @property
    def frame_of_dataset(self) -> Any:
        """Return the `Frame` in which the dataset's faces lie."""
        from pipeline.faces.crop import Frame

        return Frame(*(self.faces.faces[name][0].as_py() for name in Frame._fields))

    @functools.cached_property
    def faces(self):
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

        found = {"vgg16": evaluation.vgg16_extractor(vgg16_weights())}
        return found | ({"inception": evaluation.inception_extractor(self.inception)} if self.inception else {})
