"""EvaluateGAN: measures of a run, and pictures that illustrate them."""

import functools
from collections import Counter
from pathlib import Path
from typing import Any

import luigi

from pipeline.errors import UserError
from workflows.base.from_run import OfLabels, vgg16_weights
from workflows.cli.parameters import OptionalFilePath, WholeNumber, require
from workflows.domains import HELD_OUT, TRANSLATIONS, datasets_of, domains_of, read_faces


class EvaluateGAN(OfLabels):
    """Quality, variety, novelty and hair-colour accuracy of a run, each beside the same of real faces; of a translation
    quality, how far it is of its target, and what it keeps of a face.

    They are written to runs/NAME/evaluation.json, with pictures in runs/NAME/generated/."""

    dataset = luigi.Parameter(default="", description="dataset whose train split is the reference; else the run's own")
    samples = WholeNumber(
        16,
        default=0,
        # models.evaluation.MIN_SAMPLES
        or_zero=True,
        description="number of samples, 16 or more; 0: as many as the reference, at most 10000. Of a "
        "translation: held-out faces in each direction; 0: all",
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
        digests = [faces.digest for faces in self.translated] or self.faces.digest
        own = {"seed": self.seed, "asked_samples": self.samples, "reference_digest": digests}
        return super().digest_inputs() | own

    def complete(self) -> bool:
        """Return whether the file is of these settings and has all measures: an older one lacks some."""
        if not super().complete():
            return False
        from models.evaluation import FEATURE_SIZE
        from models.sampling import save

        wanted = {"intra_by_label"} if self.label_counts else set()
        wanted |= {f"kid_inception_{FEATURE_SIZE}"} if self.inception else set()
        return wanted <= save.read_provenance(self.file).keys()

    def suits(self, network: Any) -> bool:
        return super().suits(network) or bool(self.translated)

    def make(self, network: Any, about: dict) -> None:
        from models.runs import card
        from models.sampling import save

        measures = self._measure_translation(about) if self.translated else self._measure_faces(network, about)
        save.save_json(self.file, about | {"model": self.settings["model"]} | measures)
        card.write_card(self.run_folder)

    def _measure_faces(self, network: Any, about: dict) -> dict[str, Any]:
        """Return the measures of a GAN of faces; write the pictures."""
        from models import evaluation, evaluation_plots
        from models.runs import settings
        from models.sampling import latents, save
        from pipeline.hair import tagging

        device = settings.resolve_device(self.device)
        extractors, network = self.extractors(), network.to(device)
        labels = getattr(network, "labels", ())
        reference = self.reference(labels, device)
        count = self.samples or min(evaluation.MAX_SAMPLES, len(reference.trained_on(self.size)))
        fake, rows = evaluation.generate_samples(network, count, reference.labels, self.seed)
        measures, neighbors = evaluation.measure_features(fake, rows, reference, labels, extractors, device)
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
            evaluation_plots.save_confusion_matrix(generated / "hair_confusion.png", colors, counts, about)
        evaluation_plots.save_plot(generated / "evaluation.png", measures, about)
        return measures

    def _measure_translation(self, about: dict) -> dict[str, Any]:
        """Return the measures of a translation; write the pictures."""
        from models import evaluation, translation_evaluation
        from models.runs import settings
        from models.sampling import save
        from models.translators import TRANSLATORS

        device = settings.resolve_device(self.device)
        translator = TRANSLATORS[self.settings["model"]](self.run_folder, device)
        domains = domains_of(self.settings, self.translated, translator, device)
        tools = translation_evaluation.tools(domains, self.extractors(), vgg16_weights(), device)
        samples = self.samples or evaluation.MAX_SAMPLES
        measures = translation_evaluation.measure_translations(translator, domains, tools, samples, self.seed)
        generated = self.run_folder / "generated"
        generated.mkdir(exist_ok=True)
        shown = translation_evaluation.sheet(translator, domains, self.seed)
        save.save_png(generated / "translations.png", shown, **about)
        translation_evaluation.save_plot(generated / "evaluation.png", measures, about)
        return measures

    @functools.cached_property
    def translated(self) -> list:
        """Return the datasets of the domains of a translation, in their order; none of another run. Raise UserError."""
        if self.settings["model"] not in TRANSLATIONS:
            return []
        if self.dataset:
            expected, cure = "the run's own datasets, of its domains", "leave it out"
            raise UserError("--dataset", f"{self.dataset} given, but this run translates", expected, cure)
        return datasets_of(self.settings, self.data_root)

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

        learned = {split: self.learned_rows(self.faces, split, labels) for split in ("train", *HELD_OUT)}
        found = learned["train"][1]
        if found is not None and not len(found):
            expected = " ".join(label for label, count in self.label_counts.items() if count)
            cure = "give another --dataset"
            raise UserError(self.faces.folder, "no face has a label that the run learned", expected, cure)

        def images(split: str, size: int) -> np.ndarray:
            return self.faces.pixels(split, size)[learned[split][0]]

        def features(split: str, size: int, extractor: evaluation.Extractor) -> torch.Tensor:
            return evaluation.cached_features(self.faces, split, size, extractor, device)[learned[split][0]]

        reference = evaluation.Reference(
            trained_on=lambda size: images("train", size),
            held_out=lambda size: np.concatenate([images(split, size) for split in HELD_OUT]),
            features=lambda size, extractor: (
                features("train", size, extractor),
                torch.cat([features(split, size, extractor) for split in HELD_OUT]),
            ),
            face=self.frame_of_dataset.box(1.0),
            labels=found,
            held_out_labels=None if found is None else np.concatenate([learned[split][1] for split in HELD_OUT]),
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
        trained_on = self.settings["dataset"]
        cure = f"give --dataset {trained_on['name']} to use the new ones"
        return read_faces(trained_on, self.data_root, self.dataset, cure)

    def extractors(self) -> dict:
        """Return the feature extractors of FID and KID by name."""
        from models import evaluation

        found = {"vgg16": evaluation.vgg16_extractor(vgg16_weights())}
        return found | ({"inception": evaluation.inception_extractor(self.inception)} if self.inception else {})
