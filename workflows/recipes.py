"""Sharing a dataset without its pixels: ExportRecipe, RestoreImages, RebuildFaceDataset."""

import dataclasses
import functools
import json
import logging
from pathlib import Path

import luigi
from luigi.util import requires

from pipeline.errors import UserError
from workflows.base.named_dataset import NamedDataset
from workflows.base.stage import Stage, disk_errors_as_user_errors, first_drop
from workflows.cli.parameters import FilePath, require

logger = logging.getLogger("luigi-interface")


class ExportRecipe(luigi.Task):
    """recipes/NAME.parquet, to be shared: the manifest of datasets/NAME and how it was built, without pixels."""

    name = luigi.Parameter(default="faces", description="name of the dataset: datasets/NAME below the data root")
    data_root = FilePath(default=Path("data"), significant=False, description="folder of the datasets")

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        from pipeline.datasets import publish

        publish.check_name(self.name)

    @property
    def _manifest(self) -> Path:
        return self.data_root / "datasets" / self.name / "manifest.parquet"

    def output(self) -> luigi.LocalTarget:
        return luigi.LocalTarget(self.data_root / "recipes" / f"{self.name}.parquet")

    def complete(self) -> bool:
        from pipeline.datasets import recipe

        try:
            return recipe.exported_of(Path(self.output().path)) == recipe.sha256(self._manifest)
        except UserError:
            return False  # no dataset: the task says so when it runs

    def run(self) -> None:
        from pipeline.datasets import kinds, recipe
        from pipeline.store import Store

        kind = kinds.kind_of(self._manifest.parent)
        path = Path(self.output().path)
        with disk_errors_as_user_errors(self.data_root):
            path.parent.mkdir(parents=True, exist_ok=True)
            with Store(self.data_root, f"recipe {self.name}").claim() as scratch:
                count = recipe.export(self.data_root, self.name, path, scratch)
        logger.info("%s: %d %s, without pixels", path, count, kind.items)


class RestoreImages(Stage):
    """The originals of a recipe: fetched and checked by their sha256, or drawn again."""

    drops = True

    manifest = FilePath(description="a recipe, or the manifest.parquet of a dataset")
    retry_failed = luigi.BoolParameter(default=False, significant=False, description="fetch again what failed before")

    def check(self) -> None:
        super().check()
        require(self, self.manifest.is_file(), "manifest", "a recipe, or the manifest.parquet of a dataset")

    @functools.cached_property
    def snapshot(self) -> list:
        """(source, query, id in the ledger, round) of each web source that the recipe names."""
        return [[name, each.key, *each.round(is_new=self.retry_failed)] for name, each in self.crawl.items()]

    @functools.cached_property
    def crawl(self) -> dict:
        """Source whose crawl policy applies -> its crawl."""
        from pipeline.datasets import recipe, recipe_source
        from pipeline.sources.registry import SOURCES
        from pipeline.sources.web_source import WebSource
        from pipeline.store import Store
        from workflows.cli.site_config import build_crawl

        by_policy: dict[str, set[str]] = {}
        for row in recipe.read_faces(self.manifest).pictures.values():
            if row["file_url"]:
                policy = row["source"] if isinstance(SOURCES.get(row["source"]), WebSource) else "urls"
                by_policy.setdefault(policy, set()).add(row["source"])
        crawls = {}
        for policy, sources in sorted(by_policy.items()):
            crawl = build_crawl(policy, "", self.manifest, Store(self.data_root), needs_site=False)
            crawls[policy] = dataclasses.replace(
                crawl,
                site=crawl.site._replace(engine=recipe_source, is_one_site=False, max_cost_usd=None),
                query=dataclasses.replace(
                    crawl.query, options={"sources": json.dumps(sorted(sources)), "blocked": self.blocked.digest or ""}
                ),
            )
        return crawls

    def digest_inputs(self) -> list:
        from pipeline.datasets import recipe
        from pipeline.images import collect

        blocks = [self.blocked.digest] if self.blocked else []
        return [collect.VERSION, recipe.VERSION, recipe.sha256(self.manifest), self.snapshot, *blocks]

    def make(self, out: Path) -> None:
        from pipeline.datasets import recipe
        from pipeline.images import collect

        original = recipe.read_faces(self.manifest)
        posts = list(recipe.redraw(original))
        for name, _, _, number in self.snapshot:
            crawl = dataclasses.replace(self.crawl[name], store=self.store)
            again = self.retry_failed  # a new listing costs nothing, and the block list may have changed
            posts += crawl.run(number, 0, is_refresh=again, is_retry=again).offers
        table, drops = collect.collect(posts, "recipe", 0, self.store, blocked=self.blocked, jobs=self.jobs)
        found, drops = recipe.compare(original, table, drops)
        self.save(out, images=found, drops=drops)


@requires(RestoreImages)
class RebuildFaceDataset(NamedDataset):
    """Dataset rebuilt from a recipe: the same faces, as far as their pictures can still be fetched."""

    name = luigi.Parameter(default="rebuilt", description="name of the dataset: datasets/NAME below the data root")

    @property
    def request(self) -> dict:
        from pipeline.datasets import recipe

        return {"source": "recipe", "query": recipe.sha256(self.first(RestoreImages).manifest), "path": None}

    def digest_inputs(self) -> list:
        from pipeline.datasets import recipe
        from pipeline.faces import crop

        return [*super().digest_inputs(), recipe.VERSION, crop.CROP_VERSION]

    def make(self, out: Path) -> None:
        from pipeline.datasets import recipe
        from pipeline.datasets.assemble import REBUILD

        restored = self.first(RestoreImages)
        path = restored.manifest
        original = recipe.read_faces(path)
        drops = restored.table("funnel").to_pylist()
        table = recipe.recrop(original, restored.table("images"), self.store, self.jobs)
        if not len(table):
            found = f"none of its {len(original.pictures)} pictures can be fetched{first_drop(drops)}"
            raise UserError(path, found, "pictures that are there", "try again later, with --retry-failed")
        report = recipe.report(original, table, drops)
        logger.info("%s", report)
        (out / REBUILD).write_text(json.dumps(report._asdict(), indent=1) + "\n", encoding="utf-8")
        settings = {name: value for name, value in original.build.settings.items() if name != "harvest"}
        settings |= {"recipe": recipe.sha256(path)[:16], "rebuild": str(report)}
        self.assemble(out, table, drops, settings, originals=report.pictures, items=self.store.root / "cache")
