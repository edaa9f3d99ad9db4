"""ScrapeImages -> DetectFaces -> CropFaces -> TagHairColor -> GroupFaces -> BuildFaceDataset."""

import dataclasses
import functools
import json
import logging
import os
from pathlib import Path

import luigi
from luigi.configuration import get_config
from luigi.util import inherits, requires

from pipeline.errors import UserError
from workflows.base.named_dataset import NamedDataset
from workflows.base.stage import Stage, disk_errors_as_user_errors, first_drop
from workflows.cli.parameters import Choice, Number, OptionalFilePath, WholeNumber, require

logger = logging.getLogger("luigi-interface")


def assets_folder() -> Path | None:
    """Where assets are looked for first, by luigi.cfg."""
    folder = get_config().get("assets", "folder", None, raw=True)
    return Path(folder).expanduser() if folder else None


class ScrapeImages(Stage):
    """Originals from a source, verified and kept under their sha256."""

    drops = True

    source = luigi.Parameter(
        default="drawn", description="where pictures come from: drawn, folder, archive, or a site of README.md"
    )
    path = OptionalFilePath(default=None, description="the folder, the archive, or the list: of urls, or of ids")
    query = luigi.Parameter(
        default="", description="what to ask the source for; for drawn: character or icon; for web_page: its address"
    )
    limit = WholeNumber(
        default=0,
        description="pictures; 0: the source's own default: 360 for drawn, 1000 for a booru, Getchu or X, "
        "as many as an image search shows, all of anything else",
    )
    seed = WholeNumber(default=0, description="of the pictures that are drawn: another seed, other pictures")
    refresh = luigi.BoolParameter(
        default=False, significant=False, description="ask a site again, for what is new; what is there stays"
    )
    retry_failed = luigi.BoolParameter(
        default=False, significant=False, description="ask a site again for the files that failed, and nothing else"
    )

    def check(self) -> None:
        super().check()
        require(self, self.limit >= 0, "limit", "0 or more")
        require(self, self.seed >= 0, "seed", "0 or more")
        from pipeline.sources import SOURCES

        require(self, self.source in SOURCES, "source", "one of " + " ".join(SOURCES))
        for name in ("refresh", "retry_failed"):
            require(self, self.harvest or not getattr(self, name), name, "a source on the web: others are read anew")

    @functools.cached_property
    def source_row(self):
        """Its row of SOURCES."""
        from pipeline.sources import SOURCES

        return SOURCES[self.source]

    @functools.cached_property
    def _request(self):
        from pipeline.sources.base import LocalQuery

        return LocalQuery(self.path, self.query, self.seed, skip=self.data_root)

    @functools.cached_property
    def harvest(self):
        """The question to a source on the web; None for one on this machine."""
        from pipeline.sources.web_source import WebSource
        from workflows.cli.site_config import harvest_of

        if not isinstance(self.source_row, WebSource):
            return None
        from pipeline.store import Store

        return harvest_of(self.source, self.query, self.path, Store(self.data_root))

    @functools.cached_property
    def snapshot(self):
        """All that the result depends on. Of a web source: what was asked, and in how many rounds."""
        if self.harvest is None:
            return self.source_row.snapshot(self._request)
        return [self.harvest.key, *self.harvest.round(is_new=self.refresh or self.retry_failed)]

    def digest_inputs(self) -> list:
        from pipeline.images import collect as images

        held = [self.blocked.digest] if self.blocked else []
        return [images.VERSION, self.source, self.limit or self.source_row.default_limit, self.snapshot, *held]

    def make(self, out: Path) -> None:
        from pipeline.images import collect as images

        limit = self.limit or self.source_row.default_limit
        if self.harvest:
            harvest, (*_, number) = dataclasses.replace(self.harvest, store=self.store), self.snapshot
            counts, posts = harvest.run(number, limit, is_refresh=self.refresh, is_retry=self.retry_failed)
            limit = 0  # of each round as many
            (out / "harvest.txt").write_text(str(counts), encoding="utf-8")
        else:
            posts = self.source_row.posts(self._request, self.snapshot)
        table, drops = images.collect(posts, self.source, limit, self.store, blocked=self.blocked, jobs=self.jobs)
        if not len(table):
            told = f"; {counts.shortfall}" if self.harvest and counts.shortfall else ""
            raise UserError(
                self.path or self.query or self.source,
                f"none of {len(drops)} files is a picture{first_drop(drops)}{told}",
                "pictures",
                "ask for something else" if self.harvest else "give other files",
            )
        self.save(out, images=table, drops=drops)

    def is_whole(self) -> bool:
        return all(os.path.exists(self.data_root / path) for path in self._saved("images")["path"].to_pylist())


@requires(ScrapeImages)
class DetectFaces(Stage):
    """The faces in them: box, tilt, score."""

    drops = True

    detector = Choice(
        ("lbpcascade", "animeface", "both", "network", "cascade_network"),
        default="lbpcascade",
        description="who finds faces; animeface is an extra, network our own",
    )
    sweep = Choice(
        ("off", "fast", "full"),
        default="fast",
        description="off: upright faces; fast: also leaning and tight ones; full: at any angle",
    )
    min_face = WholeNumber(default=48, description="side of the smallest wanted face, px of the original")

    def check(self) -> None:
        super().check()
        require(self, 12 <= self.min_face <= 4096, "min_face", "12 to 4096 px")

    def digest_inputs(self) -> list:
        from pipeline.faces import detect

        return [detect.VERSION, self.detector, self.sweep, self.min_face]

    def make(self, out: Path) -> None:
        from pipeline.faces import detect

        table, drops = detect.detect(
            self.requires().table("images"),
            self.store,
            detector=self.detector,
            sweep=self.sweep,
            min_face=self.min_face,
            folder=assets_folder(),
            jobs=self.jobs,
        )
        self.save(out, faces=table, drops=drops)


@requires(DetectFaces)
class CropFaces(Stage):
    """Square crops of them, each cut once from the original."""

    drops = True

    size = WholeNumber(default=128, description="side of a crop, px")
    box_scale = Number(default=1.5, description="side of the square that is cut out, in sides of the face's box")
    rotation = Number(default=0.0, description="degrees by which faces shall lean in the crops, clockwise")

    def check(self) -> None:
        super().check()
        require(self, 8 <= self.size <= 4096, "size", "8 to 4096 px")
        require(self, 0.25 <= self.box_scale <= 8, "box_scale", "0.25 to 8")
        require(self, -360 <= self.rotation <= 360, "rotation", "-360 to 360 degrees")

    def digest_inputs(self) -> list:
        from pipeline.faces import crop as faces

        return [faces.CROP_VERSION, self.size, self.box_scale, self.rotation]

    def is_whole(self) -> bool:
        from pipeline.store import has_sha256

        crops = self._saved("faces").select(["path", "face_id"]).to_pylist()
        return all(has_sha256(self.folder / crop["path"], crop["face_id"]) for crop in crops)

    def make(self, out: Path) -> None:
        from pipeline.datasets.publish import link_all
        from pipeline.faces import crop as faces

        table, drops = faces.cut(
            self.requires().table("faces"),
            self.store,
            size=self.size,
            box_scale=self.box_scale,
            rotation=self.rotation,
            jobs=self.jobs,
        )
        link_all(table["path"].to_pylist(), self.store.root / "cache", out)
        self.save(out, faces=table, drops=drops)


@inherits(CropFaces)
class TagHairColor(Stage):
    """The colour of each face's hair: part of a build, or over an existing --dataset, which becomes a new version."""

    hair_tagger = Choice(
        ("auto", "tags", "i2v", "color"),
        default="auto",
        description="who names hair colours: the site's tags, Illustration2Vec, the pixels; auto: the first who can",
    )
    dataset = luigi.OptionalParameter(default=None, description="an existing dataset to name the colours of anew")

    def requires(self) -> list:
        return [] if self.dataset else [self.clone(CropFaces)]

    def check(self) -> None:
        super().check()
        if self.dataset:
            from pipeline.datasets import corrections
            from pipeline.datasets import publish as datasets

            datasets.check_name(self.dataset, option="--dataset")
            corrections.read(self.data_root, self.dataset)  # a mistake in them is told before anything runs
        self.digest_inputs()  # missing weights are told before anything runs

    def digest_inputs(self) -> list:
        from pipeline.hair import tagging as hair

        return hair.version_of(self.hair_tagger, assets_folder())

    def output(self) -> luigi.LocalTarget:
        if self.dataset:
            return luigi.LocalTarget(self.data_root / "datasets" / self.dataset / "manifest.parquet")
        return super().output()

    def complete(self) -> bool:
        if not self.dataset:
            return super().complete()
        from pipeline.datasets import retag

        return retag.is_done(self.data_root, self.dataset, tagger=self.hair_tagger, folder=assets_folder())

    def run(self) -> None:
        if self.dataset:
            self._retag()
        else:
            super().run()

    def _retag(self) -> None:
        from pipeline.datasets import retag

        with disk_errors_as_user_errors(self.data_root):
            changed = retag.retag(
                self.data_root, self.dataset, tagger=self.hair_tagger, folder=assets_folder(), jobs=self.jobs
            )
        logger.info("%s: %d faces have another hair colour now", self.dataset, changed)

    def make(self, out: Path) -> None:
        from pipeline.hair import tagging as hair

        crops = self.first(CropFaces)
        table, told = hair.tag(
            crops.table("faces"),
            self.store,
            tagger=self.hair_tagger,
            folder=assets_folder(),
            jobs=self.jobs,
            more_faces=crops.table("funnel")["image_id"].drop_null().to_pylist(),
        )
        self.save(out, faces=table)
        (out / "told.json").write_text(json.dumps(told), encoding="utf-8")


@requires(TagHairColor, CropFaces, ScrapeImages)
class GroupFaces(Stage):
    """Near-duplicates into groups, groups into splits."""

    dataset = None  # that option is TagHairColor's alone

    def digest_inputs(self) -> list:
        from pipeline.datasets import splits as groups
        from pipeline.images import near_duplicates as near

        return [groups.VERSION, near.VERSION]

    def make(self, out: Path) -> None:
        from pipeline.datasets import splits as groups

        table = groups.group(
            self.first(TagHairColor).table("faces"),
            self.first(ScrapeImages).table("images"),
            self.store,
            crops=self.first(CropFaces).made,
            jobs=self.jobs,
        )
        self.save(out, faces=table)


@requires(GroupFaces)
class SelectFaces(Stage):
    """Those that are good enough, and not twice in. Groups and splits are made before: they stay, whatever is asked
    for."""

    drops = True

    min_sharpness = Number(
        default=0.0, description="variance of a crop's Laplacian, grey 0..255; blurred ones have little"
    )
    min_brightness = Number(default=0.0, description="mean luma of a crop, 0 to 1")
    max_brightness = Number(default=1.0, description="mean luma of a crop, 0 to 1")
    monochrome = Choice(
        ("keep", "drop", "only"), default="keep", description="crops with hardly any colour: keep, drop, or only these"
    )
    min_original = WholeNumber(default=0, description="shorter side of an original, px")
    near_duplicates = Choice(
        ("keep", "drop"),
        default="keep",
        description="keep: copies lie in one split; drop: of those that are good enough only the largest is in",
    )

    def check(self) -> None:
        super().check()
        require(self, 0 <= self.min_sharpness <= MOST_SHARP, "min_sharpness", f"0 to {MOST_SHARP}")
        require(self, 0 <= self.min_brightness <= 1, "min_brightness", "0 to 1")
        require(self, self.min_brightness <= self.max_brightness <= 1, "max_brightness", "--min-brightness to 1")
        require(self, 0 <= self.min_original <= 1_000_000, "min_original", "0 to 1,000,000 px")

    @property
    def limits(self):
        from pipeline.faces.quality import Limits

        return Limits(*(getattr(self, name) for name in Limits._fields))

    def digest_inputs(self) -> list:
        from pipeline.datasets import splits as groups
        from pipeline.faces import quality

        return [quality.VERSION, groups.VERSION, *self.limits, self.near_duplicates]

    def make(self, out: Path) -> None:
        from pipeline.datasets import splits as groups
        from pipeline.faces import quality

        table, drops = quality.select(self.requires().table("faces"), self.limits)
        if self.near_duplicates == "drop":
            table, copies = groups.largest_of_copies(table)
            drops += copies
        if not len(table):
            raise UserError(
                "SelectFaces",
                f"none of {len(drops)} faces is within the limits{first_drop(drops)}",
                "at least one",
                "ask for less: " + " ".join("--" + name.replace("_", "-") for name in self.limits._fields),
            )
        self.save(out, faces=table.drop_columns(groups.COPIES), drops=drops)


MOST_SHARP = 1020**2  # no Laplacian of 0..255 has more variance


@requires(SelectFaces, GroupFaces, CropFaces, DetectFaces, ScrapeImages)
class BuildFaceDataset(NamedDataset):
    """A labelled face dataset: datasets/NAME with manifest.parquet, the crops, a card and a contact sheet."""

    name = luigi.Parameter(default="faces", description="of the dataset: datasets/NAME below the data root")

    @property
    def asked(self) -> dict:
        path = str(self.path.resolve()) if self.path else None
        return {"source": self.source, "query": self.query, "path": path}

    def make(self, out: Path) -> None:
        dropping = [self.first(kind) for kind in (ScrapeImages, DetectFaces, CropFaces, SelectFaces)]
        self.assemble(
            out,
            self.first(SelectFaces).table("faces"),
            [row for stage in dropping for row in stage.table("funnel").to_pylist()],
            self._settings,
            images=len(self.first(ScrapeImages).table("images")),
            crops=self.first(CropFaces).made,
        )

    @property
    def _settings(self) -> dict:
        """What the card says of how it was made: what changes the result, and neither names nor paths."""
        source = self.first(ScrapeImages).source_row
        settings = {"source": self.source}
        if query := self.query or source.default_query:
            settings["query"] = query
        settings["limit"] = self.limit or source.default_limit or "all"
        if self.first(ScrapeImages).harvest:
            settings["harvest"] = (self.first(ScrapeImages).made / "harvest.txt").read_text(encoding="utf-8")
        if source.is_seeded:
            settings["seed"] = self.seed
        limits = self.first(SelectFaces).limits
        asked = {name: value for name, value in limits._asdict().items() if value != limits._field_defaults[name]}
        told = json.loads((self.first(TagHairColor).made / "told.json").read_text(encoding="utf-8"))
        return settings | {name: getattr(self, name) for name in _ON_THE_CARD} | asked | told


_ON_THE_CARD = ("detector", "sweep", "min_face", "size", "box_scale", "rotation", "hair_tagger", "near_duplicates")
