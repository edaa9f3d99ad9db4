"""ScrapeImages -> DetectFaces -> CropFaces -> TagHairColor -> GroupFaces -> SelectFaces -> BuildFaceDataset."""

import dataclasses
import functools
import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import luigi
from luigi.configuration import get_config
from luigi.util import inherits, requires

from pipeline.errors import UserError
from workflows.base.named_dataset import NamedDataset
from workflows.base.samples import COUNT, MAX_SAMPLES, GenerateSamples, PictureStage
from workflows.base.stage import Stage, disk_errors_as_user_errors, first_drop
from workflows.cli.parameters import Choice, Number, OptionalFilePath, SquareBox, WholeNumber, require

if TYPE_CHECKING:
    import pyarrow as pa

    from pipeline.later_work import Work
    from pipeline.store import Store

logger = logging.getLogger("luigi-interface")

GENERATED = "generated"  # the source of samples of a run
LEAST_FACE_PX = 12  # of which detectors find any
BOX_SCALE = 1.5  # side of a crop in the original, in sides of the face's box, if no other is given
MAX_SHARPNESS = 1020**2  # no Laplacian of 0..255 has more variance


def assets_folder() -> Path | None:
    """Return the folder that luigi.cfg says to search for assets first; None if it names none."""
    folder = get_config().get("assets", "folder", None, raw=True)
    return Path(folder).expanduser() if folder else None


class ScrapeImages(PictureStage):
    """Originals from a source, verified and kept under their sha256."""

    drops = True
    is_grouped = False  # whether a later stage looks for near-duplicates: they are sketched from the same decoding

    source = luigi.Parameter(
        default="drawn",
        description="source of the pictures: drawn, folder, archive, generated, or a site of docs/sources.md",
    )
    path: Any = OptionalFilePath(  # Luigi types it as str, not Path
        default=None, description="the folder or archive, or a list of URLs or ids"
    )
    query = luigi.Parameter(
        default="", description="query to the source; for drawn: character, icon or illustration; for web_page: its URL"
    )
    limit = WholeNumber(
        default=0,
        description="pictures; 0: the source's own default: 360 for drawn (1000 whole pictures), 1000 for a booru, "
        "Getchu or X, as many as an image search shows, all of anything else",
    )
    seed = WholeNumber(default=0, description="seed of drawn pictures, or of the first generated one")
    count = WholeNumber(1, MAX_SAMPLES, default=COUNT, description="with --source generated: number of samples")
    refresh = luigi.BoolParameter(
        default=False, significant=False, description="query a site again for what is new; what was fetched is kept"
    )
    retry_failed = luigi.BoolParameter(
        default=False, significant=False, description="fetch again the files that failed, and nothing else"
    )

    def check(self) -> None:
        super().check()
        from pipeline.sources.registry import SOURCES

        require(self, self.source in SOURCES, "source", "one of " + " ".join(SOURCES))
        for option, is_given in (("run", self.run_name), ("count", self.count != COUNT)):
            if is_given and self.source != GENERATED:
                found, cure = f"given with --source {self.source}", f"give that, or leave --{option} out"
                raise UserError(f"--{option}", found, f"--source {GENERATED}", cure)
        for name in ("refresh", "retry_failed"):
            require(self, self.crawl or not getattr(self, name), name, "a web source; others are always read again")

    def requires(self) -> list[Stage]:
        """Return the stage that generates the pictures, if they are generated."""
        return [self.clone(GenerateSamples)] if self.source == GENERATED else []

    @functools.cached_property
    def source_row(self):
        """Return the row of SOURCES."""
        from pipeline.sources.registry import SOURCES

        return SOURCES[self.source]

    @functools.cached_property
    def _request(self):
        from pipeline.sources.base import LocalQuery

        return LocalQuery(self.path, self.query, self.seed, skip=self.data_root)

    @functools.cached_property
    def crawl(self):
        """Return the crawl of a web source; None for a source on this machine."""
        from pipeline.sources.web_source import WebSource
        from workflows.cli.site_config import build_crawl

        if not isinstance(self.source_row, WebSource):
            return None
        from pipeline.store import Store

        return build_crawl(self.source, self.query, self.path, Store(self.data_root))

    @functools.cached_property
    def snapshot(self):
        """Return all that the result depends on; of a web source: the query, and in how many rounds it was crawled."""
        if self.crawl is None:
            return self.source_row.snapshot(self._request)
        return [self.crawl.key, *self.crawl.round(is_new=self.refresh or self.retry_failed)]

    @property
    def request(self) -> dict:
        """Return source, query and path, and what is sampled, as the `request` of a dataset."""
        path = str(self.path.resolve()) if self.path else None
        request: dict[str, Any] = {"source": self.source, "query": self.query, "path": path}
        if self.samples:  # those of a run that was trained on are others
            facts = self.samples.snapshot
            request["run"] = f"{facts['run']} at step {facts['steps']}, weights {facts['weights'][:16]}"
        return request

    @property
    def card_settings(self) -> dict[str, object]:
        """Return what a card says of the pictures: what changes the result, without names and paths."""
        source = self.source_row
        settings: dict[str, object] = {"source": self.source}
        if query := self.query or source.default_query:
            settings["query"] = query
        settings["limit"] = self.limit or source.default_limit or "all"
        if self.crawl:
            settings["harvest"] = (self.made / "harvest.txt").read_text(encoding="utf-8")
        if source.is_seeded:
            settings["seed"] = self.seed
        if self.samples:
            settings["count"] = self.count
        return settings

    def digest_inputs(self) -> list:
        from pipeline.images import collect

        blocks = [self.blocked.digest] if self.blocked else []
        return [collect.VERSION, self.source, self.limit or self.source_row.default_limit, self.snapshot, *blocks]

    def make(self, out: Path) -> None:
        from pipeline.images import collect, near_duplicates

        limit = self.limit or self.source_row.default_limit
        if self.crawl:
            crawl, (*_, number) = dataclasses.replace(self.crawl, store=self.store), self.snapshot
            counts, posts = crawl.run(number, limit, is_refresh=self.refresh, is_retry=self.retry_failed)
            limit = 0  # of each round as many
            (out / "harvest.txt").write_text(str(counts), encoding="utf-8")
        else:
            request = self._request._replace(path=self.samples.made) if self.samples else self._request
            posts = self.source_row.posts(request, self.snapshot)
        later = [near_duplicates.SKETCHING] if self.is_grouped else []
        how: dict[str, Any] = {"blocked": self.blocked, "jobs": self.jobs, "later": later}
        table, drops = collect.collect(posts, self.source, limit, self.store, **how)
        if not len(table):
            shortfall = f"; {counts.shortfall}" if self.crawl and counts.shortfall else ""
            found = f"none of {len(drops)} files is a picture{first_drop(drops)}{shortfall}"
            cure = "give another --query" if self.crawl else "give other files"
            raise UserError(self.path or self.query or self.source, found, "pictures", cure)
        self.save(out, images=table, drops=drops)

    def is_whole(self) -> bool:
        return all(os.path.exists(self.data_root / path) for path in self._saved("images")["path"].to_pylist())


@requires(ScrapeImages)
class DetectFaces(PictureStage):
    """The faces in the originals: box, tilt, score."""

    drops = True
    tagging: "TagHairColor | None" = None  # a later stage: faces are cut and tagged from the same decoding for it

    detector = Choice(
        ("lbpcascade", "animeface", "both", "network", "cascade_network", "frontalface", "yolo"),
        default="lbpcascade",
        description="face detector; `animeface` and `yolo`, an ONNX file, need an extra; `network` is the bundled CNN, "
        "`frontalface` is for photographs",
    )
    sweep = Choice(
        ("off", "fast", "full"),
        default="fast",
        description="off: upright faces; fast: also tilted and tightly cropped ones; full: at any angle",
    )
    min_face = WholeNumber(
        LEAST_FACE_PX,
        4096,
        "px",
        default=48,
        description="side of the smallest face to keep, px of original; of generated ones half their side at most",
    )

    @property
    def least_face(self) -> int:
        """Return the side of the smallest face to keep, px."""
        if self.samples is None:
            return self.min_face
        x0, _, x1, _ = self.samples.face.box
        return min(self.min_face, max(LEAST_FACE_PX, round((x1 - x0) / 2)))

    def check(self) -> None:
        super().check()
        _ = self.files  # raises UserError if what runs the detector is missing

    @property
    def files(self) -> list[str]:
        """Return the sha256 of each file of the detector that the user may replace."""
        from pipeline.faces import detect

        return detect.digests(detect.DETECTOR_CHOICES[self.detector], assets_folder())

    def digest_inputs(self) -> list:
        from pipeline.faces import detect

        return [detect.VERSION, self.detector, self.sweep, self.least_face, *self.files]

    def make(self, out: Path) -> None:
        from pipeline.faces import detect

        images, folder = self.requires().table("images"), assets_folder()
        settings: dict[str, Any] = {"detector": self.detector, "sweep": self.sweep, "min_face": self.least_face}
        settings["expected"] = self.samples.face if self.samples else None
        settings["later"] = self.tagging.picture_work(self.store) if self.tagging else ()
        table, drops = detect.detect(images, self.store, **settings, folder=folder, jobs=self.jobs)
        self.save(out, faces=table, drops=drops)


@requires(DetectFaces)
class CropFaces(PictureStage):
    """Square crops of the faces, each resampled once from the original."""

    drops = True

    size = WholeNumber(8, 4096, "px", default=128, description="side of a crop, px")
    box_scale = Number(
        0.25,
        8,
        default=BOX_SCALE,
        description="side of the crop in the original, in sides of the face's box; generated faces have that, the "
        "--rotation and the --frame of the faces that their run learned from",
    )
    rotation = Number(-360, 360, "degrees", default=0.0, description="tilt of the faces in crops, degrees clockwise")
    frame = SquareBox(
        default=(),
        description="x0,y0,x1,y1: where the face's box lies in the crop, in sides of the crop; instead of --box-scale, "
        "which leaves it in the middle",
    )

    def check(self) -> None:
        super().check()
        is_one = not self.frame or self.box_scale == BOX_SCALE
        require(self, is_one, "frame", "either it or --box-scale")
        for name, default in (("box_scale", BOX_SCALE), ("frame", ()), ("rotation", 0.0)):
            is_free = self.samples is None or getattr(self, name) == default
            require(self, is_free, name, "nothing: generated faces are cut as those that their run learned from")

    @property
    def cut(self) -> tuple[Any, float]:
        """Return the `Frame` in which faces lie in the crops, and the degrees by which they lean there, clockwise."""
        from pipeline.faces.crop import Frame

        if self.samples:
            return self.samples.frame, self.samples.face.tilt
        return (Frame.of_box(*self.frame) if self.frame else Frame(self.box_scale)), self.rotation

    def digest_inputs(self) -> list:
        from pipeline.faces import crop

        return [crop.CROP_VERSION, self.size, self.box_scale, self.rotation, *self.frame]

    def is_whole(self) -> bool:
        from pipeline.store import has_sha256

        crops = self._saved("faces").select(["path", "face_id"]).to_pylist()
        return all(has_sha256(self.folder / crop["path"], crop["face_id"]) for crop in crops)

    def make(self, out: Path) -> None:
        from pipeline.datasets.assemble import link_all
        from pipeline.faces import crop

        if self.samples and self.samples.snapshot["size"] < self.size:
            px = self.samples.snapshot["size"]
            logger.warning(
                "samples of %d px are enlarged to crops of %d px: --size %d leaves them sharp", px, self.size, px
            )
        frame, rotation = self.cut
        how: dict[str, Any] = {"size": self.size, "frame": frame, "rotation": rotation}
        table, drops = crop.cut(self.requires().table("faces"), self.store, **how, jobs=self.jobs)
        link_all(table["path"].to_pylist(), self.store.root / "cache", out)
        self.save(out, faces=table, drops=drops)


_TAGGER_LINES = "told.json"  # of TagHairColor; under another name stages that are stored already would lack it


def _hair_tagger() -> Choice:
    return Choice(
        ("auto", "tags", "i2v", "color", "wd"),
        default="auto",
        description="hair colour source: site tags, Illustration2Vec or pixels; `auto` tries them in that order; `wd`: "
        "the WD tagger, which needs an extra",
    )


class RetagDataset(Stage):
    """New hair colours for an existing dataset, which becomes a new version; corrections by hand are applied."""

    hair_tagger = _hair_tagger()
    dataset = luigi.Parameter(default="faces", description="name of the dataset: datasets/NAME below the data root")

    def check(self) -> None:
        super().check()
        from pipeline.datasets import corrections, publish
        from pipeline.hair import tagging

        publish.check_name(self.dataset, option="--dataset")
        corrections.read(self.data_root, self.dataset)  # raises UserError if the file is wrong
        tagging.version_of(self.hair_tagger, assets_folder())  # raises UserError if its weights are missing

    def output(self) -> luigi.LocalTarget:
        return luigi.LocalTarget(self.data_root / "datasets" / self.dataset / "manifest.parquet")

    def complete(self) -> bool:
        from pipeline.datasets import retag

        return retag.is_done(self.data_root, self.dataset, tagger=self.hair_tagger, folder=assets_folder())

    def run(self) -> None:
        from pipeline.datasets import retag

        with disk_errors_as_user_errors(self.data_root):
            changed = retag.retag(
                self.data_root, self.dataset, tagger=self.hair_tagger, folder=assets_folder(), jobs=self.jobs
            )
        logger.info("%s: %d faces have another hair colour now", self.dataset, changed)


@inherits(CropFaces)
class TagHairColor(PictureStage):
    """The colour of each face's hair. With --dataset, RetagDataset under its old name."""

    hair_tagger = _hair_tagger()
    dataset = luigi.OptionalParameter(default=None, description="old name of RetagDataset --dataset")

    def requires(self) -> list[Stage]:
        """Return the tasks that must be complete before."""
        return [self.clone(RetagDataset if self.dataset else CropFaces)]

    def check(self) -> None:
        super().check()
        self.digest_inputs()  # raises UserError if the tagger's weights are missing
        if not self.dataset:
            self.first(DetectFaces).tagging = self

    def picture_work(self, store: "Store") -> "list[Work]":
        """Return the work of this stage and of CropFaces on each picture and its faces."""
        from pipeline.faces import crop
        from pipeline.hair import tagging

        crops = self.first(CropFaces)
        frame, rotation = crops.cut
        cutting = crop.cutting(store, size=crops.size, frame=frame, rotation=rotation)
        return [cutting, *tagging.picture_work(self.hair_tagger, assets_folder())]

    def digest_inputs(self) -> list:
        from pipeline.hair import tagging

        return tagging.version_of(self.hair_tagger, assets_folder())

    def output(self) -> luigi.LocalTarget:
        return self.requires()[0].output() if self.dataset else super().output()

    def complete(self) -> bool:
        return self.requires()[0].complete() if self.dataset else super().complete()

    def run(self) -> None:
        if not self.dataset:
            super().run()

    def make(self, out: Path) -> None:
        from pipeline.hair import tagging

        crops = self.first(CropFaces)
        dropped = crops.table("funnel")["image_id"].drop_null().to_pylist()
        settings: dict[str, Any] = {"tagger": self.hair_tagger, "folder": assets_folder(), "jobs": self.jobs}
        table, tagger_lines = tagging.tag(crops.table("faces"), self.store, **settings, more_faces=dropped)
        self.save(out, faces=table)
        (out / _TAGGER_LINES).write_text(json.dumps(tagger_lines), encoding="utf-8")

    @property
    def tagger_lines(self) -> dict[str, str]:
        """Lines of the card on how often the taggers disagree."""
        return json.loads((self.made / _TAGGER_LINES).read_text(encoding="utf-8"))


@requires(TagHairColor, CropFaces, ScrapeImages)
class GroupFaces(PictureStage):
    """Groups of near-duplicates, and the split of each group."""

    dataset = None  # that option is TagHairColor's alone

    def check(self) -> None:
        super().check()
        self.first(ScrapeImages).is_grouped = True

    def digest_inputs(self) -> list:
        from pipeline.datasets import splits
        from pipeline.images import near_duplicates

        return [splits.VERSION, near_duplicates.VERSION]

    def make(self, out: Path) -> None:
        from pipeline.datasets import splits

        faces, images = self.first(TagHairColor).table("faces"), self.first(ScrapeImages).table("images")
        table = splits.group(faces, images, self.store, crops=self.first(CropFaces).made, jobs=self.jobs)
        self.save(out, faces=table)


@requires(GroupFaces)
class SelectFaces(PictureStage):
    """The faces within the limits of quality. Groups and splits are made before, so that limits do not change them."""

    drops = True

    min_sharpness = Number(
        0,
        MAX_SHARPNESS,
        default=0.0,
        description="least variance of a crop's Laplacian, grey 0..255; little if blurred",
    )
    min_brightness = Number(0, 1, default=0.0, description="least mean luma of a crop, 0 to 1")
    max_brightness = Number(0, 1, default=1.0, description="greatest mean luma of a crop, 0 to 1")
    monochrome = Choice(
        ("keep", "drop", "only"), default="keep", description="grayscale crops: keep, drop, or keep only these"
    )
    min_original = WholeNumber(0, 1_000_000, "px", default=0, description="shorter side of an original, px")
    min_score = Number(
        0,
        10_000,
        default=0.0,
        description="least score of a face, in its detector's unit; 0: any. docs/measurements/faces.md has a table",
    )
    near_duplicates = Choice(
        ("keep", "drop"),
        default="keep",
        description="keep: near-duplicates share a split; drop: only the largest of them is kept",
    )

    def check(self) -> None:
        super().check()
        require(self, self.min_brightness <= self.max_brightness, "max_brightness", "--min-brightness to 1")
        from pipeline.faces import detect

        detector = self.first(DetectFaces).detector
        most = detect.max_score(detector)
        require(self, self.min_score <= most, "min_score", f"0 to {most:g}, a probability, with --detector {detector}")

    @property
    def limits(self):
        """Return the limits of quality."""
        from pipeline.faces.quality import Limits

        return Limits(*(getattr(self, name) for name in Limits._fields))

    def digest_inputs(self) -> list:
        from pipeline.datasets import splits
        from pipeline.faces import quality

        return [quality.VERSION, splits.VERSION, *self.limits, self.near_duplicates]

    def select(self, faces: "pa.Table") -> "tuple[pa.Table, list[dict]]":
        """Return the faces within the limits, and rows of FUNNEL for the others."""
        from pipeline.datasets import splits
        from pipeline.faces import quality

        table, drops = quality.select(faces, self.limits)
        if self.near_duplicates == "drop":
            table, copies = splits.largest_of_copies(table)
            drops += copies
        return table, drops

    def make(self, out: Path) -> None:
        from pipeline.datasets import splits

        table, drops = self.select(self.requires().table("faces"))
        if not len(table):
            found = f"none of {len(drops)} faces is within the limits{first_drop(drops)}"
            given = [name for name, default in self.limits._field_defaults.items() if getattr(self, name) != default]
            cure = "ask for less: " + " ".join("--" + name.replace("_", "-") for name in given)
            raise UserError("SelectFaces", found, "at least one", cure)
        self.save(out, faces=table.drop_columns(splits.COPIES), drops=drops)


@requires(SelectFaces, GroupFaces, CropFaces, DetectFaces, ScrapeImages)
class BuildFaceDataset(NamedDataset, PictureStage):
    """A labelled face dataset: datasets/NAME with manifest.parquet, the crops, a card and a contact sheet."""

    name = luigi.Parameter(default="faces", description="name of the dataset: datasets/NAME below the data root")

    @property
    def request(self) -> dict:
        return self.first(ScrapeImages).request

    def make(self, out: Path) -> None:
        dropping = [self.first(kind) for kind in (ScrapeImages, DetectFaces, CropFaces)]
        faces, drops = self._select()
        self.assemble(
            out,
            faces,
            [row for stage in dropping for row in stage.table("funnel").to_pylist()] + drops,
            self._settings,
            originals=len(self.first(ScrapeImages).table("images")),
            items=self.first(CropFaces).made,
            taggers=self.first(TagHairColor).tagger_lines,
            generators=[self.samples.generator] if self.samples else [],
        )

    def _select(self) -> "tuple[pa.Table, list[dict]]":
        """Return what SelectFaces selected, and what it dropped; but keep what is kept by hand."""
        import pyarrow as pa
        import pyarrow.compute as pc

        from pipeline.datasets import corrections

        selection = self.first(SelectFaces)
        faces, drops = selection.table("faces"), selection.table("funnel").to_pylist()
        grouped = self.first(GroupFaces).table("faces")
        selected = set(faces["face_id"].to_pylist())
        restored = corrections.kept(self.dataset_kind, grouped, self.corrections) - selected
        if restored:
            is_restored = pc.is_in(grouped["face_id"], pa.array(sorted(restored)))
            _, drops = selection.select(grouped.filter(pc.invert(is_restored)))
            faces = grouped.filter(pc.is_in(grouped["face_id"], pa.array(sorted(restored | selected))))
        return faces, drops

    @property
    def _settings(self) -> dict:
        """Settings on the card: what changes the result, without names and paths."""
        from pipeline.faces.crop import as_given

        limits = self.first(SelectFaces).limits
        changed = {name: value for name, value in limits._asdict().items() if value != limits._field_defaults[name]}
        on_card = {name: getattr(self, name) for name in _ON_THE_CARD}
        on_card["min_face"] = self.first(DetectFaces).least_face
        if files := self.first(DetectFaces).files:
            on_card["detector_file"] = " ".join(files)
        frame, on_card["rotation"] = self.first(CropFaces).cut
        on_card["box_scale"] = frame.box_scale
        if box := self.first(CropFaces).frame or (any(frame.offset) and map(as_given, frame.box(1.0))):
            on_card["frame"] = ",".join(map(str, box))
            del on_card["box_scale"]
        return self.first(ScrapeImages).card_settings | on_card | changed


_ON_THE_CARD = ("detector", "sweep", "min_face", "size", "box_scale", "rotation", "hair_tagger", "near_duplicates")
