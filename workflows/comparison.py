"""CompareRuns: what several runs reached, side by side."""

import logging
from pathlib import Path

import luigi

from pipeline.errors import UserError
from workflows.base.from_run import shortened
from workflows.base.run import check_run_name
from workflows.base.stage import disk_errors_as_user_errors
from workflows.cli.help import how_to_list_options
from workflows.cli.parameters import FilePath, Words

logger = logging.getLogger("luigi-interface")


class CompareRuns(luigi.Task):
    """Runs of GANs of faces side by side, at equal numbers of pictures seen and at equal seconds of training.

    A table, which is printed too, curves and samples, in comparisons/A+B+…/. They are made anew each time, as runs go
    on."""

    runs = Words(description="names of runs, separated by commas: A,B[,C…]. They have one dataset and one size")
    data_root = FilePath(default=Path("data"), significant=False, description="folder of datasets and runs")

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._is_made = False
        for name in self.runs:
            check_run_name("--runs", name)
            if self.runs.count(name) > 1:
                raise UserError("--runs", f"'{name}' given twice", "each run once", how_to_list_options())
        if len(self.runs) < 2:
            found = f"'{','.join(self.runs)}' given"
            raise UserError("--runs", found, "two runs or more, as A,B", how_to_list_options())

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
        from models.comparison import history, pictures, table
        from models.files import atomic_open
        from models.sampling import save

        histories = [history.read_history(self.data_root / "runs" / name) for name in self.runs]
        history.check_comparable(histories)
        with disk_errors_as_user_errors(self.data_root):
            self.folder.mkdir(parents=True, exist_ok=True)
            save.save_json(self.folder / "comparison.json", table.as_json(histories))
            save.save_png(self.folder / "samples.png", pictures.sheet(histories))
            pictures.save_curves(self.folder / "curves.png", histories)
            page = table.as_markdown(histories, f"CompareRuns --runs {','.join(self.runs)}", ("samples", "curves"))
            with atomic_open(self.folder / "README.md", "w") as file:
                file.write(page)
        print(table.as_text(histories), flush=True)
        logger.info("%s is ready", self.folder / "README.md")
        self._is_made = True
