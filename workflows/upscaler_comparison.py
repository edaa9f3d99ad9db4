"""CompareUpscalers: what runs that make pictures larger make of the same ones, side by side."""

import functools
import logging
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import luigi

from pipeline.errors import UserError
from workflows.base.comparison import Comparison
from workflows.base.dataset import Dataset
from workflows.base.from_pictures import LeftOut, accepted, read_picture
from workflows.base.from_run import shortened, vgg16_weights
from workflows.base.run import check_run_name
from workflows.cli.help import how_to_list_options
from workflows.cli.parameters import OptionalFilePath, WholeNumber
from workflows.from_pictures_or_run import SAMPLES
from workflows.generation import GenerateFaces

logger = logging.getLogger("luigi-interface")


class CompareUpscalers(Comparison):
    """Runs of TrainSRGAN and TrainESRGAN side by side, beside bicubic interpolation: PSNR, SSIM, LPIPS, colours.

    Each is measured on pictures that are made small, also as its first phase left it. A table, which is printed too,
    histograms and parts of pictures, in comparisons/A+B+…-on-PICTURES/. They are made anew each time, as runs go on."""

    dataset = luigi.Parameter(
        default="", description="dataset of whole pictures whose split test is taken; by default the runs' own"
    )
    input_path = OptionalFilePath(
        default=None, description="a picture, or a folder of pictures, to be taken in place of a dataset's"
    )
    samples = luigi.Parameter(
        default="", description="run of a GAN of faces, to enlarge samples of it: there is no truth of them"
    )
    count = WholeNumber(default=16, description="number of pictures, the first ones; 0: all, of a run 8")
    seed = WholeNumber(default=0, description="seed of a run's first face")
    device = luigi.Parameter(
        default="auto", significant=False, description="cpu, cuda or cuda:N; auto: a GPU if there is one"
    )

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        given = [f"--{name}" for name, value in self._picture_options.items() if value]
        if len(given) > 1:
            raise UserError(" and ".join(given), "given together", "one of them", how_to_list_options())
        if self.dataset:
            check_run_name("--dataset", self.dataset)
        if self.input_path and (self.input_path / "manifest.parquet").exists():
            found, expected = f"{str(self.input_path)[:100]} is a dataset", "a picture, or a folder of pictures"
            raise UserError("--input", found, expected, "give its name as --dataset")

    @property
    def _picture_options(self) -> dict[str, Any]:
        """Return the options that say which pictures are taken."""
        return {"dataset": self.dataset, "input": self.input_path, "samples": self.samples}

    def requires(self) -> luigi.Task | list[luigi.Task]:
        """Return the faces of the GAN's run."""
        return self._faces if self.samples else []

    @property
    def folder(self) -> Path:
        """Return the folder of the result."""
        name = self.samples or (self._input_name if self.input_path else self._dataset_name)
        return super().folder.with_name(shortened(f"{'+'.join(self.runs)}-on-{name}"))

    def make(self) -> tuple[str, str]:
        from models.comparison import layout
        from models.comparison.upscalers import measurement, report
        from models.runs import export, settings
        from models.sampling import save

        skipped: dict[str, str] = {}
        device = settings.resolve_device(self.device)
        networks = measurement.read_upscalers(self.run_folders, device)
        look = None if self.samples else self._look(device)
        compared = measurement.compare(networks, self._pictures(skipped), look)
        self.folder.mkdir(parents=True, exist_ok=True)
        weights = {folder.name: export.weights_sha256(folder) for folder in self.run_folders}
        about = {"runs": weights, "skipped": skipped}
        save.save_json(self.folder / "comparison.json", about | report.as_json(compared))
        save.save_png(self.folder / "sheet.png", report.sheet(compared))
        report.save_histograms(self.folder / "colors.png", compared)
        rows = report.rows_of(compared)
        notes = [*self._notes(len(compared.names), len(skipped)), *report.notes_on(compared)]
        options = "".join(f" --{name} {value}" for name, value in self._picture_options.items() if value)
        command = f"CompareUpscalers --runs {','.join(self.runs)}{options} --count {self.count}"
        page = layout.as_page(self.runs, rows, notes, command, ("sheet", "colors"))
        return layout.as_text(rows, notes), page

    def _look(self, device: Any) -> Any:
        """Return what measures LPIPS; None, with a line, if VGG16's weights cannot be had."""
        from models.comparison.upscalers import measurement

        try:
            return measurement.lpips_by(vgg16_weights(), device)
        except UserError as error:
            logger.warning("without LPIPS: %s", error)
            return None

    @functools.cached_property
    def _settings(self) -> dict[str, dict]:
        """Return config.json of each run. Raise UserError."""
        from models.comparison.upscalers.measurement import read_run

        return {folder.name: read_run(folder) for folder in self.run_folders}

    @property
    def _dataset_name(self) -> str:
        """Return the name of the dataset whose pictures are taken. Raise UserError if runs have several."""
        names = dict.fromkeys(each["dataset"]["name"] for each in self._settings.values())
        if len(names) > 1 and not self.dataset:
            found = f"they were trained on {' and '.join(names)}"
            raise UserError("--runs", found, "runs of one dataset", "give --dataset or --input")
        return self.dataset or next(iter(names))

    @functools.cached_property
    def _images(self) -> Any:
        """Return the dataset whose pictures are taken. Raise UserError."""
        from models.data.crops import ImageDataset

        wanted = Dataset(name=self._dataset_name, kind="images", data_root=self.data_root)
        wanted.check()
        return ImageDataset(wanted.folder, self.data_root / "cache")

    @property
    def _input_name(self) -> str:
        """Return the name of --input, as that of a folder."""
        assert self.input_path
        return re.sub(r"[^\w.+-]", "+", os.path.basename(os.path.abspath(self.input_path)))

    @property
    def _faces(self) -> GenerateFaces:
        """Return the task that paints the samples."""
        return GenerateFaces(run=self.samples, count=self.count or SAMPLES, seed=self.seed, data_root=self.data_root)

    def _pictures(self, skipped: dict[str, str]) -> Iterator[Any]:
        """Yield the pictures; add to `skipped` by name why one is left out. Raise UserError if none is left."""
        from models.comparison.upscalers.measurement import Given, with_truth
        from pipeline.progress import Progress

        progress, count = Progress("pictures"), 0
        try:
            for name, load in self._files():
                try:
                    given = Given(name, load()) if self.samples else with_truth(name, load())
                except (LeftOut, ValueError) as reason:
                    skipped[name] = str(reason)
                    logger.warning("%s: %s; it is left out", name, reason)
                    continue
                progress.advance()
                yield given
                if (count := count + 1) == self.count:
                    break
        finally:
            progress.close()
        if not count:
            why = next((f" ({name}: {reason})" for name, reason in skipped.items()), "")
            place = self.input_path or f"the split test of {self._dataset_name}"
            cure = "give another --input or --dataset"
            raise UserError(place, f"no picture can be compared{why}", "one or more", cure)

    def _files(self) -> Iterator[tuple[str, Callable[[], Any]]]:
        """Yield the name of each picture, and what returns its pixels (H, W, 3) uint8 or raises LeftOut. Raise
        UserError if there is no such dataset or folder."""
        from pipeline.clips.files import list_files

        if self.samples:
            for seed in range(self.seed, self.seed + self._faces.count):
                path = self._faces.generated / "faces" / f"{seed:06}.png"
                yield path.name, functools.partial(_load, path, None)
        elif self.input_path:
            for name, _, _, problem in list_files(self.input_path, self.data_root, "picture", "--input"):
                path = self.input_path / name
                yield name or path.name, functools.partial(_load, path, problem)
        else:
            for row in self._images.split("test").to_pylist():
                yield row["path"], functools.partial(self._images.picture, row)

    def _notes(self, count: int, left_out: int) -> list[str]:
        """Return which pictures were taken, and whether a run may have learned from some, a sentence each."""
        from models.comparison.upscalers.measurement import MOST_PX

        if self.samples:
            return [f"{count} samples of {self.samples}."]
        place = self._input_name if self.input_path else f"the split test of {self._dataset_name}"
        other = f"; {left_out} others were left out" if left_out else ""
        notes = [f"{count} pictures of {place}, of each at most the middle {MOST_PX} px{other}."]
        for name, each in () if self.input_path else self._settings.items():
            if each["dataset"]["digest"] != self._images.digest:
                notes.append(f"{name}: was trained on another dataset, which may have some of these pictures in train.")
        return notes


def _load(path: Path, problem: str | None) -> Any:
    """Return a picture (H, W, 3) uint8, what is transparent on white. Raise LeftOut."""
    from pipeline.images.decode import decode

    if problem:
        raise LeftOut(problem)
    data = read_picture(path)
    return accepted(lambda: decode(data)[0])
