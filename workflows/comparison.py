"""CompareRuns: what several runs reached, side by side."""

from workflows.base.comparison import Comparison


class CompareRuns(Comparison):
    """Runs of GANs of faces side by side, at equal numbers of pictures seen and at equal seconds of training.

    A table, which is printed too, curves and samples, in comparisons/A+B+…/. They are made anew each time, as runs go
    on. The runs have one dataset and one size."""

    least = 2

    def make(self) -> tuple[str, str]:
        from models.comparison.runs import history, pictures, table
        from models.sampling import save

        histories = [history.read_history(folder) for folder in self.run_folders]
        history.check_comparable(histories)
        sheet = pictures.sheet(histories)  # raises UserError if a run is damaged: nothing is written then
        self.folder.mkdir(parents=True, exist_ok=True)
        save.save_json(self.folder / "comparison.json", table.as_json(histories))
        save.save_png(self.folder / "samples.png", sheet)
        pictures.save_curves(self.folder / "curves.png", histories)
        command = f"CompareRuns --runs {','.join(self.runs)}"
        return table.as_text(histories), table.as_markdown(histories, command, ("samples", "curves"))
