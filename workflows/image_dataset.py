"""ScrapeImages -> SelectImages -> BuildImageDataset."""

from pathlib import Path

import luigi
from luigi.util import inherits, requires

from pipeline.errors import UserError
from workflows.base.named_dataset import NamedDataset
from workflows.base.samples import PictureStage
from workflows.base.stage import first_drop
from workflows.cli.parameters import Choice, WholeNumber
from workflows.face_dataset import ScrapeImages

DRAWN = {"query": "illustration", "limit": 1000}
"""Of drawn pictures, unless others are asked for: a training on whole pictures needs more of them than one on faces."""


@inherits(ScrapeImages)
class SelectImages(PictureStage):
    """The originals that are large enough, in groups of near-duplicates, with the split of each group. By default
    1,000 drawn illustrations."""

    drops = True

    source: str  # an option of ScrapeImages
    min_side = WholeNumber(8, 10_000, "px", default=256, description="shorter side of the smallest picture to keep, px")
    near_duplicates = Choice(
        ("keep", "drop"),
        default="keep",
        description="keep: near-duplicates share a split; drop: only the largest of them is kept",
    )

    def check(self) -> None:
        super().check()
        self.requires().is_grouped = True

    def requires(self) -> ScrapeImages:
        """Return the task that must be complete before."""
        asked = {name: getattr(self, name) or value for name, value in DRAWN.items()}
        return self.clone(ScrapeImages, **asked if self.source == "drawn" else {})

    def digest_inputs(self) -> list:
        from pipeline.datasets import image_groups, splits
        from pipeline.images import near_duplicates

        versions = [image_groups.VERSION, splits.VERSION, near_duplicates.VERSION]
        return [*versions, self.min_side, self.near_duplicates]

    def make(self, out: Path) -> None:
        from pipeline.datasets import image_groups, splits

        # Grouped before any is dropped, so that limits change no split.
        table = image_groups.group(self.requires().table("images"), self.store, jobs=self.jobs)
        table, drops = image_groups.select_large(table, self.min_side)
        if self.near_duplicates == "drop":
            table, copies = splits.largest_of_copies(table, ["group"])
            drops += copies
        if not len(table):
            found = f"none of {len(drops)} pictures is large enough{first_drop(drops)}"
            raise UserError("--min-side", found, f"{self.min_side} px or more", "give a smaller one")
        self.save(out, images=table, drops=drops)


@requires(SelectImages)
class BuildImageDataset(NamedDataset, PictureStage):
    """A dataset of whole pictures: datasets/NAME with manifest.parquet, the pictures, a card and a contact sheet."""

    name = luigi.Parameter(default="art", description="name of the dataset: datasets/NAME below the data root")

    kind_name = "images"

    @property
    def request(self) -> dict:
        return self.first(ScrapeImages).request

    def make(self, out: Path) -> None:
        from pipeline.store import has_sha256

        scrape, selected = self.first(ScrapeImages), self.first(SelectImages)
        table = selected.table("images")
        for row in table.select(["path", "image_id"]).to_pylist():
            if not has_sha256(file := self.data_root / row["path"], row["image_id"]):
                cure = "delete it, and give the same command again"
                raise UserError(file, "it is damaged", "the file that ScrapeImages kept", cure)
        self.assemble(
            out,
            table,
            [row for stage in (scrape, selected) for row in stage.table("funnel").to_pylist()],
            scrape.card_settings | {name: getattr(self, name) for name in ("min_side", "near_duplicates")},
            originals=len(scrape.table("images")),
            items=self.data_root,
            generators=[self.samples.generator] if self.samples else [],
        )
