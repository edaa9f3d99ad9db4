"""The dataset under review: what the page shows of each item."""

import functools
import io
import json
from collections import defaultdict
from pathlib import Path

from PIL import Image

from pipeline.datasets import corrections
from pipeline.datasets.kinds import kind_of
from pipeline.errors import UserError
from pipeline.images import decode
from pipeline.manifest import CLIP_FRAMES, HAIR_COLORS, read
from pipeline.stored import HEX64

THUMBNAIL_PX, PICTURE_PX = 176, 1600  # longer side, at most
_JPEG_QUALITY = 88
_IN_GRID = ("hair_color", "score", "tilt", "source")
_IN_DETAIL = ("score", "tilt", "split", "source", "source_id", "video", "start", "title", "artist", "page_url", "tags")


class Catalog:
    """The items of datasets/NAME in one version, and those that a correction has dropped from it. Raise UserError if
    there is no such dataset, or its corrections are wrong."""

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = root, name
        folder = root / "datasets" / name
        self.kind = kind_of(folder)
        self.folder = folder.resolve()  # one version, to the end
        rows = read(self.folder / "manifest.parquet", self.kind.schema).to_pylist()
        by_id = corrections.read(root, name)
        self.line_of = corrections.match(self.kind, rows, by_id)  # id of an item -> id of its line in the file
        applied = set(self.line_of.values())
        for key, correction in by_id.items():
            if key not in applied and correction.box:  # what an earlier build dropped
                rows.append({self.kind.id_column: key, "image_id": correction.image_id, "box": correction.box})
                self.line_of[key] = key
        self.rows = {row[self.kind.id_column]: row for row in rows}
        self.what = {key: by_id[line].what for key, line in self.line_of.items()}  # id of an item -> its correction

    def grid(self) -> bytes:
        """Return JSON of all items, by column, in the order of the manifest."""
        rows = self.rows.values()
        columns = {name: [row.get(name) for row in rows] for name in _IN_GRID if name in self.kind.schema.names}
        if self.kind.has_hair_color:
            columns["certainty"] = [_certainty(row) for row in rows]
        return _json(
            {
                "name": self.name,
                "file": str(corrections.file_below(self.root, self.name)),
                "colors": [*HAIR_COLORS, "none"] if self.kind.has_hair_color else [],
                "ids": [*self.rows],
                "columns": columns,
                "corrections": dict(self.what),
            }
        )

    def detail(self, item: str) -> bytes:
        """Return JSON of one item: where it comes from; the size of its original, px, and the faces there. Raise
        UserError if that original is missing."""
        row = self.rows[item]
        shown = {name: row[name] for name in _IN_DETAIL if row.get(name) not in (None, [])}
        if "box" not in row:
            return _json({"facts": shown})
        siblings = [self.rows[key] | {"id": key} for key in self._items_of[row["image_id"]]]
        faces = [{"id": each["id"], "box": each["box"], "tilt": each.get("tilt", 0)} for each in siblings]
        size = (row["width"], row["height"]) if "width" in row else self._original(row["image_id"]).size
        return _json({"facts": shown, "size": size, "faces": faces})

    @functools.cached_property
    def _items_of(self) -> dict[str, list[str]]:
        """Return original -> its items."""
        found = defaultdict(list)
        for key, row in self.rows.items():
            found[row[self.kind.original_column]].append(key)
        return found

    def thumbnail(self, item: str) -> tuple[bytes, str]:
        """Return a small picture of an item, and its media type. Raise UserError if its file is missing or damaged."""
        row = self.rows[item]
        if "path" in row:
            picture = self.kind.load_thumbnail(self.folder, row)
        else:
            x0, y0, x1, y1 = row["box"]
            margin = (x1 - x0) / 4
            cut = (round(x0 - margin), round(y0 - margin), round(x1 + margin), round(y1 + margin))
            picture = self._original(row["image_id"]).crop(cut)
        return _as_jpeg(picture, THUMBNAIL_PX)

    def picture(self, item: str) -> tuple[bytes, str]:
        """Return an item's original, or the moving clip, and its media type; no larger than PICTURE_PX. Raise UserError
        if the file is missing or damaged."""
        row = self.rows[item]
        if "box" in row:
            return _as_jpeg(self._original(row["image_id"]), PICTURE_PX)
        picture = self.kind.load(self.folder, row)
        return _as_webp(picture, row["fps"]) if "fps" in row else _as_jpeg(picture, PICTURE_PX)

    def _original(self, image_id: str) -> Image.Image:
        """Return an original by its sha256: the path that a manifest states may lead anywhere."""
        if HEX64.fullmatch(image_id):
            for file in (self.root / "images" / image_id[:2]).glob(f"{image_id}.*"):
                return Image.fromarray(decode.load(file))
        where = self.root / "images"
        raise UserError(where, f"no original {image_id[:64]}", "those of the dataset", "copy data/images here too")


def _certainty(row: dict) -> float:
    """Return the probability of the hair colour that a face has, or of its having none of them."""
    scores: list[float] = row.get("hair_scores") or [0.0]
    return round(max(scores) if row.get("hair_color") else 1 - sum(scores), 3)


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _as_jpeg(picture: Image.Image, most: int) -> tuple[bytes, str]:
    picture.thumbnail((most, most), Image.Resampling.LANCZOS, reducing_gap=2)
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=_JPEG_QUALITY)
    return data.getvalue(), "image/jpeg"


def _as_webp(strip: Image.Image, fps: float) -> tuple[bytes, str]:
    """Return a film strip as a moving picture."""
    side, data = strip.width, io.BytesIO()
    first, *others = [strip.crop((0, i * side, side, (i + 1) * side)) for i in range(CLIP_FRAMES)]
    first.save(data, "WEBP", save_all=True, append_images=others, duration=round(1000 / fps), loop=0)
    return data.getvalue(), "image/webp"
