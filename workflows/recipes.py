"""What makes a dataset one that can be shared and lived with: ExportRecipe, RebuildFaceDataset, Takedown."""

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
from workflows.cli.errors import FilePath, require

logger = logging.getLogger("luigi-interface")


class ExportRecipe(luigi.Task):
    """recipes/NAME.parquet: the manifest of datasets/NAME, and how it was built; no pixel. To be shared."""

    name = luigi.Parameter(default="faces", description="of the dataset: datasets/NAME below the data root")
    data_root = FilePath(default=Path("data"), significant=False, description="folder of the datasets")

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        from pipeline.datasets import publish as datasets

        datasets.check_name(self.name)

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
        from pipeline import manifest
        from pipeline.datasets import recipe
        from pipeline.store import Store

        manifest.check_folder(self._manifest.parent)
        path = Path(self.output().path)
        with disk_errors_as_user_errors(self.data_root):
            path.parent.mkdir(parents=True, exist_ok=True)
            with Store(self.data_root, f"recipe {self.name}").claim() as scratch:
                count = recipe.export(self.data_root, self.name, path, scratch)
        logger.info("%s: %d faces, and not a pixel", path, count)


class RestoreImages(Stage):
    """The originals of a recipe: fetched politely, held against their sha256; what our own code drew is drawn again."""

    drops = True

    manifest = FilePath(description="a recipe, or the manifest.parquet of a dataset")
    retry_failed = luigi.BoolParameter(
        default=False, significant=False, description="ask again for what could not be had"
    )

    def check(self) -> None:
        super().check()
        require(self, self.manifest.is_file(), "manifest", "a recipe, or the manifest.parquet of a dataset")

    @functools.cached_property
    def snapshot(self) -> list:
        """(source, question, the ledger's id, round) of each source on the web that the recipe names."""
        return [[name, each.key, *each.round(is_new=self.retry_failed)] for name, each in self.harvest.items()]

    @functools.cached_property
    def harvest(self) -> dict:
        """Source whose manners hold -> what it is asked for."""
        from pipeline.datasets import recipe
        from pipeline.datasets import recipe_source as engine
        from pipeline.sources import SOURCES
        from pipeline.sources.web_source import WebSource
        from pipeline.store import Store
        from workflows.cli.site_config import harvest_of

        by_policy: dict[str, set[str]] = {}
        for row in recipe.read(self.manifest).pictures.values():
            if row["file_url"]:
                policy = row["source"] if isinstance(SOURCES.get(row["source"]), WebSource) else "urls"
                by_policy.setdefault(policy, set()).add(row["source"])
        harvests = {}
        for policy, sources in sorted(by_policy.items()):
            asked = harvest_of(policy, "", self.manifest, Store(self.data_root), needs_site=False)
            harvests[policy] = dataclasses.replace(
                asked,
                site=asked.site._replace(engine=engine, is_one_site=False, max_cost_usd=None),
                query=dataclasses.replace(
                    asked.query, options={"sources": json.dumps(sorted(sources)), "blocked": self.blocked.digest or ""}
                ),
            )
        return harvests

    def digest_inputs(self) -> list:
        from pipeline.datasets import recipe
        from pipeline.images import collect as images

        held = [self.blocked.digest] if self.blocked else []
        return [images.VERSION, recipe.VERSION, recipe.sha256(self.manifest), self.snapshot, *held]

    def make(self, out: Path) -> None:
        from pipeline.datasets import recipe
        from pipeline.images import collect as images

        asked = recipe.read(self.manifest)
        posts = list(recipe.drawn_again(asked))
        for name, _, _, number in self.snapshot:
            harvest = dataclasses.replace(self.harvest[name], store=self.store)
            again = self.retry_failed  # to list it anew costs nothing, and the block list may be another
            posts += harvest.run(number, 0, is_refresh=again, is_retry=again).offers
        table, drops = images.collect(posts, "recipe", 0, self.store, blocked=self.blocked, jobs=self.jobs)
        found, drops = recipe.restored(asked, table, drops)
        self.save(out, images=found, drops=drops)


@requires(RestoreImages)
class RebuildFaceDataset(NamedDataset):
    """datasets/NAME, made again of a recipe: the same faces, as far as their pictures are still there."""

    name = luigi.Parameter(default="rebuilt", description="of the dataset: datasets/NAME below the data root")

    @property
    def asked(self) -> dict:
        from pipeline.datasets import recipe

        return {"source": "recipe", "query": recipe.sha256(self.manifest), "path": None}

    def digest_inputs(self) -> list:
        from pipeline.datasets import recipe
        from pipeline.faces import crop as faces

        return [*super().digest_inputs(), recipe.VERSION, faces.CROP_VERSION]

    def make(self, out: Path) -> None:
        from pipeline.datasets import publish as datasets
        from pipeline.datasets import recipe

        asked, restored = recipe.read(self.manifest), self.requires()
        drops = restored.table("funnel").to_pylist()
        table = recipe.cut_again(asked, restored.table("images"), self.store, self.jobs)
        if not len(table):
            raise UserError(
                self.manifest,
                f"none of its {len(asked.pictures)} pictures can be had{first_drop(drops)}",
                "pictures that are there",
                "try again later, with --retry-failed",
            )
        report = recipe.report(asked, table, drops)
        logger.info("%s", report)
        (out / datasets.REBUILD).write_text(json.dumps(report._asdict(), indent=1) + "\n", encoding="utf-8")
        settings = {name: value for name, value in asked.build.settings.items() if name != "harvest"}
        settings |= {"recipe": recipe.sha256(self.manifest)[:16], "rebuild": str(report)}
        self.assemble(out, table, drops, settings, images=report.pictures, crops=self.store.root / "cache")


class Takedown(luigi.Task):
    """Removes an artist's, a site's or one picture: originals, crops, rows and caches; blocks it from now on; and names
    the runs that were trained on it."""

    artist = luigi.Parameter(default="", description="all pictures of this artist")
    url_prefix = luigi.Parameter(default="", description="all pictures whose file or page has such an address")
    sha256 = luigi.Parameter(default="", description="one picture, by the sha256 of its file or of a face's crop")
    reason = luigi.Parameter(default="", significant=False, description="why, for the block list")
    data_root = FilePath(default=Path("data"), significant=False, description="folder of all that is made")

    is_done = False

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        given = [(kind, getattr(self, kind)) for kind in ("artist", "url_prefix", "sha256") if getattr(self, kind)]
        expected = "one of --artist, --url-prefix and --sha256"
        if len(given) != 1:
            raise UserError("Takedown", f"{len(given)} of them given", expected, "give one")
        (self._kind, self._text), *_ = given
        from pipeline import blocklist

        try:
            blocklist.parse_cell(self._kind, self._text)
        except ValueError as error:
            option = "--" + self._kind.replace("_", "-")
            raise UserError(option, f"'{self._text}' given", str(error), "give it in full") from error
        require(self, self.data_root.is_dir(), "data_root", "a folder that is there")

    def complete(self) -> bool:
        return self.is_done

    def run(self) -> None:
        from pipeline.datasets import takedown

        with disk_errors_as_user_errors(self.data_root):
            outcome = takedown.take_down(self.data_root, self._kind, self._text, self.reason)
        self.is_done = True
        logger.info("taken down: %d pictures, %d faces; blocklist.csv keeps them out", outcome.images, outcome.faces)
        if not outcome.images:
            logger.warning("nothing of %s is here: is it spelled as the manifest has it?", self._text)
        for path, why in outcome.left.items():
            logger.warning("%s could not be read: look at it yourself (%s)", self.data_root / path, why)
        if outcome.undecided:
            some = ", ".join(outcome.undecided[:10]) + (", …" if outcome.undecided[10:] else "")
            logger.warning(
                "%d pictures are left whose source names neither artist nor tags: look at them, and take them down by "
                "--sha256 if they are of %s: %s",
                len(outcome.undecided),
                self._text,
                some,
            )
        for name, words in outcome.datasets.items():
            logger.info("datasets/%s: %s", name, words)
        for name in outcome.runs:
            logger.warning("runs/%s was trained on them: remove it, or train it again", name)
        for name in outcome.unknown_runs:
            logger.warning("runs/%s was trained on a dataset that is no longer there: nobody can tell on what", name)
