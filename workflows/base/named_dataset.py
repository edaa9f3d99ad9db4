"""The base class of tasks that make datasets/NAME."""

import functools
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import luigi

from pipeline.errors import UserError
from workflows.base.stage import Stage

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.datasets.corrections import Correction
    from pipeline.datasets.kinds import Kind

logger = logging.getLogger("luigi-interface")


class NamedDataset(Stage):
    """datasets/NAME: a link to the version of this digest, replaced when that is complete."""

    name = luigi.Parameter(description="name of the dataset: datasets/NAME below the data root")
    replace = luigi.BoolParameter(
        default=False,
        significant=False,
        description="replace a dataset of this name built from another source, query or path; its old version is kept",
    )

    kind_name = "faces"  # which of `pipeline.datasets.kinds.KINDS`

    @property
    def dataset_kind(self) -> "Kind":
        """Return the row of KINDS."""
        from pipeline.datasets.kinds import KINDS

        return KINDS[self.kind_name]

    @property
    def request(self) -> dict:
        """Source, query and path: a dataset is not built over one that differs in them, without --replace."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise UserError if a parameter is wrong, before anything runs."""
        super().check()
        from pipeline.datasets import publish

        publish.check_name(self.name)
        publish.check_place(self.data_root, self.name)
        if not self.replace:
            publish.check_request(self.data_root, self.name, self.request, lambda: self.digest)
        _ = self.corrections  # reads the file: raises UserError if it is wrong

    @functools.cached_property
    def corrections(self) -> "dict[str, Correction]":
        """Return the corrections by hand of corrections/NAME.csv. Raise UserError if the file is wrong."""
        from pipeline.datasets import corrections

        return corrections.read(self.data_root, self.name)

    def digest_inputs(self) -> list:
        """Return what the result depends on besides the inputs."""
        from pipeline.datasets import assemble, corrections

        corrected = [corrections.digest(self.corrections)] if self.corrections else []
        return [assemble.VERSION, self.dataset_kind.schema.metadata[b"version"].decode(), *corrected]

    @property
    def folder(self) -> Path:
        """Return the folder of the output."""
        return self.data_root / "datasets" / ".versions" / self.digest

    def output(self) -> luigi.LocalTarget:
        """Return where the result lies."""
        return luigi.LocalTarget(self.data_root / "datasets" / self.name / "manifest.parquet")

    def is_made(self) -> bool:
        """Return whether the folder holds a dataset of that kind."""
        from pipeline.manifest import ManifestError, check_folder

        try:
            check_folder(self.folder, self.dataset_kind.schema)
        except ManifestError:
            return False
        return True

    def seal(self, made: Path) -> None:
        """Add nothing: the manifest shows that a dataset is complete."""

    def complete(self) -> bool:
        """Return whether the result is there and is the requested one."""
        from pipeline.datasets import publish

        try:
            is_complete = publish.published(self.data_root, self.name) == self.digest and self.is_made()
        except (UserError, OSError):
            return False
        if is_complete:
            self.forget()
        return is_complete

    def assemble(
        self,
        out: Path,
        table: "pa.Table",
        drops: list[dict],
        settings: dict,
        *,
        originals: int,
        items: Path,
        taggers: dict[str, str] | None = None,
        generators: Sequence[dict] = (),
    ) -> None:
        """Fill `out` with the dataset of these rows, whose `path` is relative to the folder `items`, after the
        corrections by hand. `settings`, `taggers` and `generators`: see `pipeline.datasets.assemble.Build`;
        `originals`: how many pictures or videos the build began with."""
        from pipeline.datasets import assemble

        versions = assemble.versions()
        build = assemble.Build(settings, originals, versions, taggers=taggers or {}, generators=[*generators])
        assemble.assemble_corrected(out, self.dataset_kind, table, drops, build, items, self.corrections)

    def run(self) -> None:
        """Do the work."""
        super().run()
        self.forget()

    def publish(self) -> None:
        """Link the dataset's name to this version."""
        from pipeline.datasets import publish

        publish.publish(self.store, self.name, self.request, replace=self.replace)
        logger.info("%s is ready", self.output().path)
