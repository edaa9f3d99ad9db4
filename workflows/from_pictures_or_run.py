"""The base class of tasks that use a trained network on pictures that a user gives, or on those that a run paints."""

import functools

import luigi

from pipeline.errors import UserError
from workflows.base.from_pictures import FromPictures, Picture
from workflows.generation import GenerateFaces

SAMPLES = 8  # of a run, if no --count is given


class FromPicturesOrRun(FromPictures):
    """Something made of pictures with a run, which may be those of a GAN's run."""

    seed: int  # an option: of the first face of the GAN's run

    def check(self) -> None:
        super().check()
        self._faces_of_run  # noqa: B018 - raises UserError, which Luigi would show with a traceback in requires()

    def requires(self) -> luigi.Task | list[luigi.Task]:
        """Return the faces of a GAN's run."""
        return [] if self._faces_of_run is None else self._faces_of_run

    @functools.cached_property
    def _faces_of_run(self) -> GenerateFaces | None:
        """Return the task that paints the faces of the run that is --input; None if it is no run. Raise UserError."""
        from models.runs import export

        runs = self.data_root / "runs"
        if not (self.input_path / "model.safetensors").is_file():
            return None
        if self.input_path.resolve().parent != runs.resolve():
            cure = "give the --data-root that it lies in"
            raise UserError("--input", f"{self.input_path} is a run elsewhere", f"a run in {runs}", cure)
        count = self.count or SAMPLES
        run = GenerateFaces(run=self.input_path.resolve().name, count=count, seed=self.seed, data_root=self.data_root)
        if not run.suits(export.load_network(run.run_folder)):
            found = f"{self.input_path} is a run of another network"
            raise UserError("--input", found, f"{run.wanted}, a face dataset, or pictures", "give another")
        return run

    def found_pictures(self) -> list[Picture]:
        if self._faces_of_run is None:
            return super().found_pictures()
        frame, tilt = self._faces_of_run.frame, self._faces_of_run.settings["dataset"].get("rotation") or 0.0
        folder = self._faces_of_run.file.parent / "faces"
        names = [f"{seed:06}.png" for seed in range(self.seed, self.seed + (self.count or SAMPLES))]
        return [Picture(name, folder / name, name, frame, tilt) for name in names]


FromPicturesOrRun._visible_in_registry = False  # it is no task by itself
