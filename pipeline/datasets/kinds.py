"""KINDS: what a dataset's items are. One row a kind; everything else in this package is written for any of them."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from pipeline import manifest
from pipeline.datasets import plots
from pipeline.errors import UserError
from pipeline.hair import color_network
from pipeline.images import decode
from pipeline.manifest import (
    CLIP_FRAMES,
    CLIP_SOURCE,
    CLIPS,
    FACES,
    HAIR_COLORS,
    IMAGE_DATASET,
    ITEM_FOLDERS,
    SPLITS,
    ManifestError,
)
from pipeline.markup import table_rows

MAX_STRIPS = 16  # clips that the card shows whole
MAX_SIDE_PX = 1 << 20  # px, of a picture that a recipe names
_PICTURE_SIDES: dict[str, tuple[float, float]] = {"width": (1, MAX_SIDE_PX), "height": (1, MAX_SIDE_PX)}


class Kind(NamedTuple):
    """A kind of dataset."""

    name: str
    schema: pa.Schema
    """Of the manifest. Its first column is the primary key, the sha256 of the item's file."""
    title: str
    """Of the card."""
    item: str
    """What one row is, in the singular; the card adds an s."""
    original: str
    """What an item was made from, in the singular."""
    original_column: str
    """The sha256 of the original."""
    provenance: Callable[[dict], tuple[str, str]]
    """A row of the manifest -> its `source` and `source_id` in the funnel."""
    load: plots.Load
    """Return an item's picture; raise ManifestError unless it lies in the dataset's folder, is whole, and is as its row
    says."""
    load_thumbnail: plots.Load
    """The same, for the contact sheet: one picture, also of a film strip."""
    rows_of_sheet: Callable[[list[dict]], dict[str, list[dict]]]
    """All rows -> label -> rows, for the contact sheet."""
    front: dict[str, str]
    """Front matter of the card: tags and task categories that dataset hubs read."""
    summary: Callable[[pa.Table], str]
    """The manifest -> what its items are, in a sentence that follows their count."""
    sections: Callable[[pa.Table], str] = lambda table: ""
    """The manifest -> Markdown for this kind alone; it may show the pictures of `charts`."""
    charts: Callable[[pa.Table, Path], dict[str, Image.Image]] = lambda table, folder: {}
    """The manifest, and the dataset's folder -> name of a file -> the picture that the card shows."""
    caution: str = ""
    """The last sentences of the card: what its labels are worth."""
    bounds: dict[str, tuple[float, float]] = {}  # noqa: RUF012  # never written to
    """Column -> smallest and largest value that a recipe may have."""
    hashes: tuple[str, ...] = ()
    """Columns that hold a sha256, in hex."""
    problem: Callable[[pa.Table], str | None] = lambda table: None
    """A recipe's rows -> what else is out of bounds; None if nothing is."""

    @property
    def id_column(self) -> str:
        """Return the primary key."""
        return str(self.schema.names[0])

    @property
    def folder(self) -> str:
        """Return the folder beside the manifest that the items lie in."""
        return ITEM_FOLDERS[self.id_column]

    @property
    def items(self) -> str:
        """Return what rows are, in the plural."""
        return f"{self.item}s"

    @property
    def rights(self) -> str:
        """Return whose the rights to an item are, in a sentence."""
        of = "its artist" if self.id_column == self.original_column else f"the {self.original} that it was made from"
        return f"The rights to each {self.item} are those of {of}."

    @property
    def has_hair_color(self) -> bool:
        """Return whether rows have the three columns of hair colours."""
        return "hair_color" in self.schema.names


def _by_source(row: dict) -> tuple[str, str]:
    return row["source"], row["source_id"]


def _load_face(folder: Path, row: dict) -> Image.Image:
    return manifest.load_png(folder, row["path"], row["size"], row["size"])


def _faces_by_color(rows: list[dict]) -> dict[str, list[dict]]:
    return plots.by_label(rows, plots.SWATCHES, lambda row: row["hair_color"] or "none")


def _colors_by_pixels(faces: pa.Table) -> list[str | None]:
    """Return the colour of each face that was tagged by its pixels."""
    return [color for color, tagger in manifest.rows_of(faces, "hair_color", "hair_tagger") if tagger == "color"]


def _face_sections(faces: pa.Table) -> str:
    """Return the table of hair colours, its chart, and how reliable colours named by pixels are."""
    colors = Counter(color or "none" for color in faces["hair_color"].to_pylist())
    rows = table_rows((name, f"{colors[name]:,}") for name in (*HAIR_COLORS, "none"))
    text = f"| hair colour | faces |\n|---|---|\n{rows}\n\n![hair colours](hair_colors.png)\n"
    if by_pixels := _colors_by_pixels(faces):
        named, bins = len(by_pixels) - by_pixels.count(None), color_network.reliability()
        error = color_network.calibration_error(bins)
        rows = table_rows((f"{c.least:g}", f"{c.named:.0%}", f"{c.accuracy:.0%}") for c in color_network.coverage(bins))
        text += (
            f"\n{named:,} colours were named by their pixels. On drawn icons in all kinds of light, half hidden under\n"
            "hats, a style that the colour network was not trained on, its expected calibration error is\n"
            f"{error:.3f}; expect several times that on other art. The bars show how many of the colours that it\n"
            "named with such a confidence were right:\n\n"
            "![confidence, and accuracy](hair_reliability.png)\n\n"
            "A face has no colour where none is likely. `faces[faces.hair_scores.map(max) >= 0.7]` keeps the surer\n"
            "ones. Of the same icons:\n\n"
            f"| the likeliest is at least | faces kept | of these right |\n|---|---|---|\n{rows}\n"
        )
    return text


def _face_charts(faces: pa.Table, folder: Path) -> dict[str, Image.Image]:
    charts = {"hair_colors.png": plots.hair_histogram(faces)}
    if _colors_by_pixels(faces):
        charts["hair_reliability.png"] = plots.reliability_chart(color_network.reliability())
    return charts


def _face_problem(faces: pa.Table) -> str | None:
    """Return what is wrong with the boxes, and with where they lie in the crops."""
    box = np.array(faces["box"].to_pylist(), np.float64)
    width, height = (faces[name].to_numpy()[:, None] for name in ("width", "height"))
    side = (box[:, 2] - box[:, 0])[:, None]
    inside = (abs(box[:, ::2]) <= 3 * width) & (abs(box[:, 1::2]) <= 3 * height)
    if not (inside.all() and (side >= 1).all() and np.isfinite(box).all()):
        return "a box that is empty, or outside its picture"
    for name in ("face_x", "face_y"):
        given = faces[name].drop_null().to_numpy()
        if not ((given >= 0) & (given <= 1)).all():
            return f"{name} that is not 0 to 1"
    return None


def _load_image(folder: Path, row: dict) -> Image.Image:
    file = folder / row["path"]
    problem = "is no regular file in the dataset" if not (manifest.is_within(file, folder) and file.is_file()) else ""
    if not problem and manifest.sha256_of(file) != row["image_id"]:
        problem = "has another sha256 than the manifest says"
    if problem:
        raise ManifestError(file, problem, "the original", "remove the dataset and build it again")
    try:
        return Image.fromarray(decode.load(file))
    except UserError as error:
        raise ManifestError(file, "is damaged", "the original", "remove the dataset and build it again") from error


def _load_clip(folder: Path, row: dict) -> Image.Image:
    """Return the film strip: RGB, `size` px wide and CLIP_FRAMES times as high."""
    return manifest.load_png(folder, row["path"], row["size"], CLIP_FRAMES * row["size"])


def _load_closed_frame(folder: Path, row: dict) -> Image.Image:
    """Return the first frame of a film strip in which the eyes are closed."""
    top, size = row["closed_frame"] * row["size"], row["size"]
    return _load_clip(folder, row).crop((0, top, size, top + size))


def _clip_charts(clips: pa.Table, folder: Path) -> dict[str, Image.Image]:
    rows = clips.slice(0, MAX_STRIPS).to_pylist()
    strips = [(_load_clip(folder, row), row["openness"]) for row in rows]
    return {"blinks.png": plots.strips_and_curves(strips, CLIP_FRAMES)}


def _clip_sections(clips: pa.Table) -> str:
    one_eyed = clips["left_eye"].null_count + clips["right_eye"].null_count
    shown = min(len(clips), MAX_STRIPS)
    return (
        f"The first {shown} clips with all their frames, and how open the eyes are in each, 0 at the grey line:\n\n"
        f"![blinks](blinks.png)\n\n{one_eyed:,} clips show one eye only.\n"
    )


def _by_split(rows: list[dict]) -> dict[str, list[dict]]:
    return plots.by_label(rows, SPLITS, lambda row: row["split"])


KINDS = {
    kind.name: kind
    for kind in (
        Kind(  # before images: a manifest is of the first kind whose columns it has
            name="faces",
            schema=FACES,
            title="Anime faces",
            item="face",
            original="picture",
            original_column="image_id",
            provenance=_by_source,
            load=_load_face,
            load_thumbnail=_load_face,
            rows_of_sheet=_faces_by_color,
            front={
                "task_categories": "[unconditional-image-generation, image-classification]",
                "tags": "[anime, faces, hair-color]",
            },
            summary=lambda faces: "face crops of {0} × {0} px".format(faces["size"][0].as_py()),
            sections=_face_sections,
            charts=_face_charts,
            caution="The hair colours are predictions of a program. Faces that the detector did not find are missing.",
            bounds=_PICTURE_SIDES
            | {"size": (8, 4096), "box_scale": (0.25, 8), "rotation": (-360, 360), "tilt": (-360, 360)},
            hashes=("image_id", "face_id", "group"),
            problem=_face_problem,
        ),
        Kind(
            name="clips",
            schema=CLIPS,
            title="Blink clips",
            item="clip",
            original="video",
            original_column="video_id",
            provenance=lambda row: (CLIP_SOURCE, row["video"]),
            load=_load_clip,
            load_thumbnail=_load_closed_frame,
            rows_of_sheet=_by_split,
            front={"task_categories": "[unconditional-image-generation]", "tags": "[anime, faces, blinking, video]"},
            sections=_clip_sections,
            charts=_clip_charts,
            summary=lambda clips: "clips of {0} frames of {1} × {1} px, at {2:g} frames per second".format(
                CLIP_FRAMES, clips["size"][0].as_py(), clips["fps"][0].as_py()
            ),
            caution="How open the eyes are is a prediction of a program.",
            bounds={
                "size": (8, 4096),
                "frames": (CLIP_FRAMES, CLIP_FRAMES),
                "fps": (0.1, 1000),
                "start": (0, 1e7),
                "closed_frame": (0, CLIP_FRAMES - 1),
            },
            hashes=("video_id", "clip_id", "group"),
        ),
        Kind(
            name="images",
            schema=IMAGE_DATASET,
            title="Anime pictures",
            item="picture",
            original="picture",
            original_column="image_id",
            provenance=_by_source,
            load=_load_image,
            load_thumbnail=_load_image,
            rows_of_sheet=_by_split,
            front={"task_categories": "[image-to-image, unconditional-image-generation]", "tags": "[anime]"},
            summary=lambda images: "whole pictures with sides of {} px or more".format(
                pc.min(pc.min_element_wise(images["width"], images["height"])).as_py()
            ),
            bounds=_PICTURE_SIDES,
            hashes=("image_id", "group"),
        ),
    )
}
FACE_KIND = KINDS["faces"]


def kind_of(folder: Path) -> Kind:
    """Return the kind of the dataset in `folder`, by the columns of its manifest, whose footer alone is read. Raise
    ManifestError if it holds none."""
    schema = manifest.check_folder(folder, *(kind.schema for kind in KINDS.values()))
    return next(kind for kind in KINDS.values() if kind.schema is schema)
