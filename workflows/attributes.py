"""LearnAttributes -> ApplyAttributes: directions in z, and faces along them."""

import hashlib
import logging
import re
from pathlib import Path
from typing import Any

import luigi

from pipeline.errors import UserError
from workflows.base.from_run import OfHairColor, OfLabels, vgg16_weights
from workflows.cli.parameters import Number, WholeNumber, require

MIN_SAMPLES = 2000  # of LearnAttributes

logger = logging.getLogger("luigi-interface")


class LearnAttributes(OfLabels):
    """Directions in z that change one attribute, from samples that are labelled.

    Labels are hair colours by the pixels, Illustration2Vec's tags where its weights are there, and those other tags of
    the run's dataset that a classifier tells apart on faces that it did not learn from. Written to
    runs/NAME/attributes.json, with how many samples had each attribute, and how many have it when it is asked for."""

    samples = WholeNumber(MIN_SAMPLES, default=4000, description="number of samples that are labelled, 2000 or more")
    seed = WholeNumber(default=0, description="seed of the samples")

    def digest_inputs(self) -> dict[str, object]:
        return super().digest_inputs() | {"samples": self.samples, "seed": self.seed}

    @property
    def file(self) -> Path:
        return self.run_folder / "attributes.json"

    def make(self, network: Any, about: dict) -> None:
        from models.sampling import attributes, latents, save

        rows = self.trained_conditions(network.labels) if self.label_counts else None
        if self.label_counts and rows is None:
            found, cure = "is not there, or has none of the run's labels", "build it again, or give another --run"
            dataset = self.data_root / "datasets" / self.settings["dataset"]["name"]
            raise UserError(dataset, found, "the dataset of a conditional run", cure)
        given = {*self.label_counts, *(f"{color}_hair" for color in latents.learned_colors(self.label_counts))}
        labellers, accuracy = self.labellers(self.trained_faces())

        def label(pictures) -> list[set[str]]:
            each = zip(*(labeller(pictures) for labeller in labellers), strict=True)
            return [set[str]().union(*found) - given for found in each]

        samples, seed = self.samples, self.seed
        vectors, counts = attributes.attribute_vectors(network, label, samples=samples, seed=seed, conditions=rows)
        obedience = attributes.measure_obedience(network, label, vectors, seed=seed, conditions=rows)
        listed = {name: vector.tolist() for name, vector in vectors.items()}
        if not vectors:
            logger.warning("no attribute is had, and lacked, by enough samples: %s has no vector", self.file)
        strengths = [0.0, *attributes.OBEDIENCE_STRENGTHS]
        facts = {"counts": counts, "obedience": obedience, "obedience_strengths": strengths, "tag_accuracy": accuracy}
        save.save_json(self.file, {**about, **facts, "vectors": listed})

    def labellers(self, faces: Any) -> tuple[list[Any], dict[str, float]]:
        """Return (functions of (N, S, S, 3) uint8 -> the attributes of each, the accuracy of each of the dataset's tags
        that are among them)."""
        import torch

        from models import evaluation
        from models.sampling import probe
        from pipeline.hair import illustration2vec, tagging

        def by_pixels(pictures) -> list[set[str]]:
            names = tagging.names(pictures, self.frame)
            return [{f"{name}_hair"} if name else set() for name in names]

        found: list[Any] = [by_pixels]
        try:
            i2v = illustration2vec.load()
        except UserError as missing:
            logger.info("attributes without Illustration2Vec: %s", missing)
        else:
            found.append(lambda pictures: [set(each.tags) for each in i2v.tag_faces(pictures)])
        if faces is None or not any(faces.faces["tags"].to_pylist()):
            return found, {}
        extractor, device = evaluation.vgg16_extractor(vgg16_weights()), torch.device("cpu")

        def extract(pictures):
            return evaluation.extract_features(pictures, extractor, device, probe.SIZE)

        classify, accuracy = probe.learn_tags(faces, extract)
        if accuracy:
            found.append(lambda pictures: classify(extract(pictures)))
        return found, accuracy


class ApplyAttributes(OfHairColor):
    """Faces with an attribute added step by step: a row per face, strongest on the right."""

    attribute = luigi.Parameter(description="attribute of attributes.json, such as blue_hair, or several with commas")
    strength = Number(
        -10,
        10,
        default=0.5,
        description="s in z = noise·z0 + s·v, v the attribute's vector; the article uses 0.5, small runs up to 3",
    )
    noise = Number(0, 1, default=1.0, description="factor of z0, 0 to 1: the article's noise slider")
    count = WholeNumber(1, 100, default=8, description="number of faces")
    seed = WholeNumber(default=0, description="seed of the first face; the next face has the next seed")
    hair_color = luigi.Parameter(default="", description="of a conditional run: hair colour, or a mixture")

    def check(self) -> None:
        is_list = bool(re.fullmatch(r"[\w:]{1,100}(,[\w:]{1,100}){0,20}", self.attribute))
        require(self, is_list, "attribute", "names such as blue_hair")

    @property
    def learned(self) -> LearnAttributes:
        """Return the task with the parameters that attributes.json was made with; the defaults if there is none."""
        from models.sampling import save

        saved = save.read_provenance(self.run_folder / "attributes.json")
        minimum = {"samples": MIN_SAMPLES, "seed": 0}
        parameters = {key: saved[key] for key in minimum if type(saved.get(key)) is int and saved[key] >= minimum[key]}
        return LearnAttributes(run=self.run_name, data_root=self.data_root, **parameters)

    def requires(self) -> LearnAttributes:
        return self.learned

    def digest_inputs(self) -> dict[str, object]:
        attributes = hashlib.sha256(self.learned.file.read_bytes()) if self.learned.file.exists() else None
        return super().digest_inputs() | {"attributes": attributes and attributes.hexdigest()}

    @property
    def file(self) -> Path:
        asked = self.hair_color, self.condition
        return self.generated_file(self.attribute, self.strength, self.noise, self.seed, self.count, *asked)

    def make(self, network: Any, about: dict) -> None:
        import torch

        from models.sampling import attributes, latents, save
        from models.sampling.images import generate_images, grid

        known = attributes.read_vectors(self.learned.file, network.latent)
        names = self.attribute.split(",")
        for name in names:
            if name not in known:
                there = f"one of: {' '.join(known)}" if known else "one that enough samples have, and lack"
                cure = "give another" if known else "give LearnAttributes more --samples, or train longer"
                raise UserError(f"--attribute {name}", "no vector was learned for it", there, cure)
        seeds = list(range(self.seed, self.seed + self.count))
        noise = latents.sample_latents(network, seeds)
        amounts = torch.linspace(0, self.strength, 6).tolist()
        moves = [[(torch.tensor(known[name]), amount) for name in names] for amount in amounts]
        columns = [attributes.apply_attributes(network, noise, each, strength=self.noise) for each in moves]
        mixtures = self.mixtures_of("--hair-color", self.hair_color, seeds)
        y = (each.repeat_interleave(len(amounts), dim=0) for each in self.conditions(network, mixtures))
        pictures = generate_images(network, torch.stack(columns, dim=1).flatten(0, 1), *y)
        about |= {"seed": self.seed, "condition": f"{self.attribute} 0 to {self.strength}"}
        save.save_png(self.file, grid(pictures, len(amounts)), **about)
