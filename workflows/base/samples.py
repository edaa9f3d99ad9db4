"""The stages of pictures, which may be those that a run generates, and the stage that generates them."""

import functools
import json
from pathlib import Path
from typing import Any

import luigi

from pipeline.errors import UserError
from workflows.base.from_run import OfLabels
from workflows.base.run import NamedRun, check_run_name
from workflows.base.stage import Stage
from workflows.cli.parameters import WholeNumber

COUNT = 260  # samples, if no --count is given: as many as the article added to its icons
MAX_SAMPLES, MAX_SEED = 100_000, 1 << 62


class PictureStage(Stage, NamedRun):
    """A stage on the way to a dataset of pictures."""

    run_name = luigi.Parameter(
        default="", description="with --source generated: the run that makes the pictures, runs/NAME"
    )

    @property
    def samples(self) -> "GenerateSamples | None":
        """Return the stage that generates the pictures; None if they are not generated."""
        return next((stage for stage in self.chain() if isinstance(stage, GenerateSamples)), None)


class GenerateSamples(PictureStage):
    """Samples of a run: their files, and what the source `generated` reads of them."""

    count = WholeNumber(1, MAX_SAMPLES, default=COUNT)
    seed = WholeNumber(0, MAX_SEED, default=0)

    def check(self) -> None:
        super().check()
        check_run_name("--run", self.run_name)

    @functools.cached_property
    def snapshot(self) -> dict[str, Any]:
        """Return what is known of the run, and what it learned from. Raise UserError if it is no GAN of faces."""
        from models.runs import export
        from models.zoo import MODELS
        from pipeline.faces.crop import as_given
        from pipeline.stored import HEX64

        run = self._run
        about, weights = export.read_about(run.run_folder), export.weights_sha256(run.run_folder)
        model = MODELS.get(about["model"])
        if model is None or not run.suits(model.networks[model.exported[0]]):
            found = f"holds {about['model'][:40]}, which generates no faces"
            raise UserError(run.run_folder, found, run.wanted, "give another --run")
        dataset, faces = run.settings["dataset"], run.trained_faces()
        if not HEX64.fullmatch(dataset["digest"]):
            cure = "give another --run"
            raise UserError(run.run_folder / "config.json", "names no manifest", "that of a dataset", cure)
        is_as_learned = faces is not None and faces.digest == dataset["digest"]
        licenses = {*faces.faces["license"].to_pylist()} if is_as_learned else {None}
        return {
            "run": self.run_name,
            "model": about["model"],
            "steps": about["steps"],
            "weights": weights,
            "dataset": dataset["name"],
            "manifest": dataset["digest"],
            "license": licenses.pop() if len(licenses) == 1 else None,
            "labels_of": faces.digest if faces and about["labels"] else None,
            "frame": [None if value is None else as_given(value) for value in run.frame],
            "rotation": dataset.get("rotation") or 0.0,
            "size": about["config"]["size"],
        }

    @property
    def _run(self) -> OfLabels:
        """Return the run, whose settings are read again: this process may have trained it meanwhile."""
        run = OfLabels(run=self.run_name, data_root=self.data_root)
        for name in ("settings", "label_counts"):
            run.__dict__.pop(name, None)
        return run

    @property
    def generator(self) -> dict[str, object]:
        """Return the facts of the run for the dataset's card, see `pipeline.datasets.assemble.Build`."""
        from pipeline.datasets.assemble import GENERATOR

        return {name: self.snapshot[name] for name in GENERATOR}

    @property
    def frame(self) -> Any:
        """Return the `Frame` in which the faces lie in the samples."""
        from pipeline.faces.crop import Frame

        return Frame(*self.snapshot["frame"])

    @property
    def face(self) -> Any:
        """Return where the `Face` of a sample lies."""
        from pipeline.faces.boxes import Face

        return Face(self.frame.box(self.snapshot["size"]), self.snapshot["rotation"], 0.0)

    def digest_inputs(self) -> list:
        from models.sampling import samples

        return [samples.VERSION, self.snapshot, self.seed, self.count]

    def make(self, out: Path) -> None:
        from models.runs import export
        from models.sampling import samples
        from pipeline.progress import Progress
        from pipeline.sources import generated

        run, facts = self._run, self.snapshot
        network = export.load_network(run.run_folder)
        conditions = run.typical_conditions(network.labels) if run.label_counts else None
        about = {"run": self.run_name, "weights": facts["weights"]}
        seeds, made = range(self.seed, self.seed + self.count), []
        (out / generated.FOLDER).mkdir()
        progress = Progress("generating")
        for sample in samples.write_samples(network, out / generated.FOLDER, seeds, conditions, about):
            made.append(sample._asdict())
            progress.advance()
        progress.close()
        if export.weights_sha256(run.run_folder) != facts["weights"]:
            cure = "wait until its training has ended, and give the same command again"
            raise UserError(run.run_folder, "was trained on while it was sampled", "one state of its weights", cure)
        index = {"run": self.run_name, "license": facts["license"], "samples": made}
        (out / generated.INDEX).write_text(json.dumps(index), encoding="utf-8")

    def is_whole(self) -> bool:
        from pipeline.sources import generated
        from pipeline.store import has_sha256

        listed = generated.read_index(self.folder)["samples"]
        return all(has_sha256(self.folder / generated.FOLDER / sample["name"], sample["sha256"]) for sample in listed)
