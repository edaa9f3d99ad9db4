"""ExtractBlinkClips -> BuildBlinkDataset."""

import functools
from pathlib import Path
from typing import Any

import luigi
from luigi.util import requires

from pipeline.errors import UserError
from workflows.base.named_dataset import NamedDataset
from workflows.base.stage import Stage, first_drop
from workflows.cli.parameters import Choice, Number, OptionalFilePath, WholeNumber, require
from workflows.face_dataset import assets_folder

DEFAULT_FILMS = 48


class ExtractBlinkClips(Stage):
    """Clips of 16 frames round each blink in videos: of a folder, or drawn."""

    drops = True

    videos: Any = OptionalFilePath(  # Luigi types it as str, not Path
        default=None, description="a video, or a folder that is searched for videos; none: films are drawn"
    )
    source = Choice(
        ("auto", "drawn", "folder"),
        default="auto",
        description="drawn: films of our own characters; folder: --videos; auto: folder if --videos is given",
    )
    limit = WholeNumber(1, 100_000, default=DEFAULT_FILMS, description="number of drawn films")
    seed = WholeNumber(0, default=0, description="seed of drawn films")
    size = WholeNumber(32, 1024, "px", default=128, description="side of a frame of a clip, px")
    fps = Number(8, 60, "frames per second", default=18.0, description="frames per second of a clip")
    frames = WholeNumber(16, 16, "frames", default=16, description="frames of a clip: 16")
    detector = Choice(
        ("lbpcascade", "network", "cascade_network"),
        default="cascade_network",
        description="face detector; between detections faces are followed",
    )
    min_face = WholeNumber(24, 1024, "px", default=48, description="side of the smallest face, px of a frame")

    def check(self) -> None:
        super().check()
        is_known = self.source == "auto" or (self.source == "folder") == (self.videos is not None)
        require(self, is_known, "source", "drawn without --videos, or folder with --videos")
        _ = self._finders  # raises UserError if an asset is missing

    @functools.cached_property
    def settings(self):
        """Return what the clips of a video depend on."""
        from pipeline.clips.videos import Settings

        return Settings(self.fps, self.size, self.detector, self.min_face)

    @functools.cached_property
    def _finders(self):
        from pipeline.clips import videos

        return videos.finders(self.settings, assets_folder())

    @functools.cached_property
    def snapshot(self) -> list:
        """Return the files and their sizes and times, or the version, seed and number of drawn films."""
        if self.videos is None:
            from pipeline.drawing import film

            return [film.VERSION, self.seed, self.limit]
        from pipeline.clips.files import list_files

        return [list(file) for file in list_files(self.videos, self.data_root)]

    def digest_inputs(self) -> list:
        blocks = [self.blocked.digest] if self.blocked else []
        return [self.settings.key(), self.videos is None, self.snapshot, *blocks]

    def make(self, out: Path) -> None:
        from pipeline.clips import videos
        from pipeline.clips.files import Listed
        from pipeline.datasets.assemble import link_all

        if self.videos is None:
            table, drops = videos.of_films(
                self.seed, self.limit, self.settings, self._finders, self.store, jobs=self.jobs
            )
        else:
            listing = [Listed(*row) for row in self.snapshot]
            table, drops = videos.of_files(
                self.videos, listing, self.settings, self._finders, self.store, blocked=self.blocked, jobs=self.jobs
            )
        if not len(table):
            where = self.videos or f"--seed {self.seed}"
            raise UserError(
                where, f"no clip of a blink{first_drop(drops)}", "videos of faces that blink", "give others"
            )
        link_all(table["path"].to_pylist(), self.store.root / "cache", out)
        self.save(out, clips=table, drops=drops)

    def is_whole(self) -> bool:
        from pipeline.store import has_sha256

        rows = self._saved("clips").select(["path", "clip_id"]).to_pylist()
        return all(has_sha256(self.folder / row["path"], row["clip_id"]) for row in rows)


@requires(ExtractBlinkClips)
class BuildBlinkDataset(NamedDataset):
    """A dataset of blink clips: datasets/NAME with manifest.parquet, film strips and a card."""

    name = luigi.Parameter(default="blinks", description="name of the dataset: datasets/NAME below the data root")

    kind_name = "clips"

    @property
    def request(self) -> dict:
        videos = self.first(ExtractBlinkClips).videos
        path = str(videos.resolve()) if videos else None
        return {"source": "folder" if videos else "drawn", "query": "", "path": path}

    def digest_inputs(self) -> list:
        from pipeline.datasets import clip_groups
        from pipeline.images import near_duplicates

        return [*super().digest_inputs(), clip_groups.VERSION, near_duplicates.VERSION]

    def make(self, out: Path) -> None:
        from pipeline.datasets import clip_groups

        clips = self.first(ExtractBlinkClips)
        table = clip_groups.group(clips.table("clips"), self.store, strips=clips.made, jobs=self.jobs)
        drops = clips.table("funnel").to_pylist()
        videos = clips.limit if clips.videos is None else sum(1 for *_, problem in clips.snapshot if problem is None)
        self.assemble(out, table, drops, self._settings, originals=videos, items=clips.made)

    @property
    def _settings(self) -> dict:
        """Settings on the card: what changes the result, without names and paths."""
        clips = self.first(ExtractBlinkClips)
        settings: dict[str, object] = {"source": "folder" if clips.videos else "drawn"}
        if not clips.videos:
            settings |= {"limit": clips.limit, "seed": clips.seed}
        return settings | {name: getattr(clips, name) for name in ("size", "fps", "frames", "detector", "min_face")}
