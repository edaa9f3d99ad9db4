"""LearnAttributes -> ApplyAttributes: directions in z, and faces along them."""

import hashlib
import re
from pathlib import Path
from typing import Any

import luigi

from pipeline.errors import UserError
from workflows.base.from_run import FromRun, OfHairColor
from workflows.cli.parameters import Number, WholeNumber, require

MIN_SAMPLES = 2000  # of LearnAttributes


class LearnAttributes(OfHairColor):
    """Directions in z that change one attribute, from samples that the hair tagger labels.

    They are written to runs/NAME/attributes.json."""

    samples = WholeNumber(MIN_SAMPLES, default=4000, description="number of samples that are labelled, 2000 or more")
    seed = WholeNumber(default=0, description="seed of the samples")

    def digest_inputs(self) -> dict[str, object]:
        return super().digest_inputs() | {"samples": self.samples, "seed": self.seed}

    @property
    def file(self) -> Path:
        return self.run_folder / "attributes.json"

    def make(self, network: Any, about: dict) -> None:
        from models.sampling import attributes, save
        from pipeline.hair import tagging

        if self.label_counts:
            found = "is conditioned on hair colour, so z does not encode it"
            raise UserError(self.run_folder, found, "a run of TrainDCGAN", "see SweepHairColors, or give another --run")
        box_scale = self.settings["dataset"]["box_scale"]

        def label(pictures) -> list[set[str]]:
            names = tagging.names(pictures, box_scale)
            return [{f"{name}_hair"} if name else set() for name in names]

        vectors, counts = attributes.attribute_vectors(network, label, samples=self.samples, seed=self.seed)
        vectors = {name: vector.tolist() for name, vector in vectors.items()}
        save.save_json(self.file, {**about, "counts": counts, "vectors": vectors})


class ApplyAttributes(FromRun):
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
        return self.generated_file(self.attribute, self.strength, self.noise, self.seed, self.count)

    def make(self, network: Any, about: dict) -> None:
        import torch

        from models.sampling import attributes, latents, save
        from models.sampling.images import generate_images, grid

        known = attributes.read_vectors(self.learned.file, network.latent)
        names = self.attribute.split(",")
        for name in names:
            if name not in known:
                there = " ".join(known) or "none: too few samples had one"
                cure = "give another"
                raise UserError(f"--attribute {name}", "no vector was learned for it", f"one of: {there}", cure)
        noise = latents.sample_latents(network, list(range(self.seed, self.seed + self.count)))
        amounts = torch.linspace(0, self.strength, 6).tolist()
        moves = [[(torch.tensor(known[name]), amount) for name in names] for amount in amounts]
        columns = [attributes.apply_attributes(noise, each, strength=self.noise) for each in moves]
        pictures = generate_images(network, torch.stack(columns, dim=1).flatten(0, 1))
        about |= {"seed": self.seed, "condition": f"{self.attribute} 0 to {self.strength}"}
        save.save_png(self.file, grid(pictures, len(amounts)), **about)
