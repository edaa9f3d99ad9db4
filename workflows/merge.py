"""MergeDatasets: one dataset of several."""

import functools
from pathlib import Path

from pipeline.errors import UserError
from workflows.base.named_dataset import NamedDataset
from workflows.cli.parameters import Choice, Words


class MergeDatasets(NamedDataset):
    """One face dataset of several: datasets/NAME with the faces of all, which keep their groups and splits."""

    names = Words(description="datasets to merge: A,B[,C…]")
    near_duplicates = Choice(
        ("keep", "drop"),
        default="keep",
        description="copies of a face in several datasets: keep them, in one group, and refuse those in several "
        "splits; or drop their whole groups from the later datasets",
    )

    def check(self) -> None:
        from pipeline.datasets import publish

        names = ",".join(self.names)
        if len(self.names) < 2 or len({*self.names}) < len(self.names):
            expected = "two different datasets or more, separated by commas"
            raise UserError("--names", f"'{names}' given", expected, "give others")
        if self.name in self.names:
            raise UserError("--name", f"{self.name} given, which is merged", "a name of its own", "give another")
        for name in self.names:
            publish.check_name(name, option="--names")
        _ = self.snapshot
        super().check()

    @property
    def request(self) -> dict:
        return {"source": "merge", "query": ",".join(self.names), "path": None}

    @functools.cached_property
    def snapshot(self) -> list:
        """Return the datasets as they are now."""
        from pipeline.datasets import merge

        return merge.parts_of(self.data_root, self.names)

    def digest_inputs(self) -> list:
        from pipeline.datasets import merge
        from pipeline.images import near_duplicates

        versions = [merge.VERSION, near_duplicates.VERSION, self.near_duplicates]
        return [*super().digest_inputs(), *versions, *(part.digests() for part in self.snapshot)]

    def make(self, out: Path) -> None:
        from pipeline.datasets import assemble, merge

        items = self.store.scratch / "items"
        merged = merge.merge(self.snapshot, self.store, items, near_duplicates=self.near_duplicates, jobs=self.jobs)
        table, drops, build = merged
        assemble.assemble_corrected(out, self.dataset_kind, table, drops, build, items, self.corrections)
