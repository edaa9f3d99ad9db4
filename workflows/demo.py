"""ExportDemo: trained networks as a web page."""

import functools
import logging
import re
from pathlib import Path

import luigi

from pipeline.errors import UserError
from workflows.base.run import check_run_name
from workflows.base.stage import disk_errors_as_user_errors
from workflows.cli.help import how_to_list_options
from workflows.cli.parameters import FilePath, Words
from workflows.onnx_export import ExportONNX

MOVED_ASIDE = r"\.old\d+$"  # what --fresh calls the run that was there

logger = logging.getLogger("luigi-interface")


class ExportDemo(luigi.Task):
    """A web page that runs trained networks in the browser: a folder for any static web server, demo/NAME/.

    It holds the networks of the runs, those that are shipped, and a runtime that npm downloads once. Look at it with
    `python -m workflows serve data/demo/NAME`."""

    runs = Words(default=(), description="names of runs, separated by commas; by default all that the page can use")
    name = luigi.Parameter(default="page", description="name of the page: demo/NAME below the data root")
    data_root = FilePath(default=Path("data"), significant=False, description="folder of datasets and runs")

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        check_run_name("--name", self.name)
        for run in self.runs:
            check_run_name("--runs", run)
            if self.runs.count(run) > 1:
                raise UserError("--runs", f"'{run}' given twice", "each run once", how_to_list_options())
        self._check_uses()

    def _check_uses(self) -> None:
        """Raise UserError if one of --runs has no weights or is of no use to the page: before anything is exported."""
        if self.runs:
            from models.page import folder

            for name in self.runs:
                if not folder.is_usable(self.data_root / "runs" / name):
                    expected = "runs that paint faces, translate them, make pictures larger or let faces blink"
                    raise UserError(f"--runs {name}", "the page has no use for this run", expected, "leave it out")

    @property
    def folder(self) -> Path:
        """Return the folder of the page."""
        return self.data_root / "demo" / self.name

    @property
    def exports(self) -> dict[str, ExportONNX]:
        """Return the exports of the runs, by name; by default of all that the page can use, but for those that were
        moved aside."""
        names = self.runs or [name for name in self._trained if self._is_used(name)]
        return {name: ExportONNX(run=name, data_root=self.data_root) for name in names}

    @property
    def _trained(self) -> list[str]:
        """Return the names of all runs that have weights."""
        from models.runs import export

        return export.runs_with_weights(self.data_root / "runs")

    def _is_used(self, name: str) -> bool:
        """Return whether a page without --runs holds a run."""
        from models.page import folder

        try:
            return not re.search(MOVED_ASIDE, name) and folder.is_usable(self.data_root / "runs" / name)
        except UserError:
            return False  # damaged

    @functools.cached_property
    def shipped(self) -> ExportONNX:
        """Return the export of the networks that come with the program."""
        return ExportONNX(data_root=self.data_root)

    def requires(self) -> list[ExportONNX]:
        return [self.shipped, *self.exports.values()]

    def output(self) -> luigi.LocalTarget:
        """Return the file that lists the models."""
        from models.page import MODELS

        return luigi.LocalTarget(self.folder / MODELS)

    def complete(self) -> bool:
        """Return whether the page is whole, and made of what there is now."""
        from models.page import folder

        try:
            if not all(task.complete() for task in self.requires()):
                return False
            return folder.is_whole(self.folder, folder.digest_of(self.shipped.file.parent, self._used))
        except (UserError, OSError):
            return False  # the task reports it when it runs

    @property
    def _used(self) -> dict[str, Path]:
        """Return the folders of the runs' exports, by name."""
        return {name: task.file.parent for name, task in self.exports.items()}

    def run(self) -> None:
        """Do the work."""
        from models.page import folder

        with disk_errors_as_user_errors(self.data_root):
            used = self._used
            for name in self._trained:
                if not self.runs and name not in used:
                    logger.warning("run %s is not on the page: old, damaged, or of no use to it", name)
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            folder.write_page(self.folder, self.shipped.file.parent, used)
        size = sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
        logger.info("%s is ready, %.1f MB: python -m workflows serve %s", self.folder, size / 1e6, self.folder)
