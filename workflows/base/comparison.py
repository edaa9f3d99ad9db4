"""The base class of tasks that show runs side by side."""

import logging
from pathlib import Path

import luigi

from pipeline.errors import UserError
from workflows.base.from_run import shortened
from workflows.base.run import NamedRun, check_run_name
from workflows.base.stage import disk_errors_as_user_errors
from workflows.cli.help import how_to_list_options
from workflows.cli.parameters import Words

logger = logging.getLogger("luigi-interface")


class Comparison(NamedRun):
    """Runs side by side in a folder of comparisons/, made anew each time, as runs go on."""

    runs = Words(description="names of runs, separated by commas: A,B[,C…]")
    run_name = ""  # no option

    least = 1  # runs

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._is_made = False
        for name in self.runs:
            check_run_name("--runs", name)
            if self.runs.count(name) > 1:
                raise UserError("--runs", f"'{name}' given twice", "each run once", how_to_list_options())
        if len(self.runs) < self.least:
            found, number = f"'{','.join(self.runs)}' given", {1: "a run", 2: "two runs"}[self.least]
            raise UserError("--runs", found, f"{number} or more, as A,B", how_to_list_options())

    @property
    def run_folders(self) -> list[Path]:
        """Return the folders of the runs."""
        return [self.data_root / "runs" / name for name in self.runs]

    @property
    def folder(self) -> Path:
        """Return the folder of the result."""
        return self.data_root / "comparisons" / shortened("+".join(self.runs))

    def output(self) -> luigi.LocalTarget:
        """Return the file that is written last."""
        return luigi.LocalTarget(self.folder / "README.md")

    def complete(self) -> bool:
        """Return whether this object has made it."""
        return self._is_made

    def run(self) -> None:
        """Do the work."""
        from models.files import atomic_open

        with disk_errors_as_user_errors(self.data_root):
            text, page = self.make()
            with atomic_open(self.folder / "README.md", "w") as file:
                file.write(page)
        print(text, flush=True)
        logger.info("%s is ready", self.folder / "README.md")
        self._is_made = True

    def make(self) -> tuple[str, str]:
        """Write all files but the page. Return what is printed, and the page."""
        raise NotImplementedError


Comparison._visible_in_registry = False  # it is no task by itself
