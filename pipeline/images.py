"""Posts -> verified image files named by their sha256. The one decoder of this project lives here."""

import functools
import hashlib
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
from PIL import ExifTags, Image, ImageCms, ImageFile

from pipeline.blocklist import BlockList
from pipeline.engine import remember
from pipeline.errors import UserError
from pipeline.manifest import IMAGES, REASONS, funnel_row
from pipeline.sources.post import Drop, Post
from pipeline.store import Store
from pipeline.stored import HEX64

VERSION = 1
MAX_PIXELS = 100_000_000  # a 10,000 × 10,000 scan is real; it takes 300 MB to decode
# By content. Left out on purpose: formats that run programs (EPS), that decode before they tell their size (ICO), or
# that no site serves.
EXTENSIONS = {
    "JPEG": "jpg", "MPO": "jpg", "PNG": "png", "GIF": "gif", "WEBP": "webp", "BMP": "bmp", "TIFF": "tif",
    "AVIF": "avif", "PPM": "ppm", "TGA": "tga",
}  # fmt: skip
Image.init()  # so that `formats` may name any of the above …
_FORMATS = [name for name in EXTENSIONS if name != "MPO"]  # … but this one, which Pillow opens as a JPEG
Image.MAX_IMAGE_PIXELS = None  # our own limit, checked before any pixel is decoded
ImageFile.LOAD_TRUNCATED_IMAGES = False


_PASSING = ("unreadable", "blocked")  # permissions and lists can be mended, bad bytes cannot
_BY_HASH = {"reason": "blocked", "detail": "sha256", "image_id": None}  # it is to stand nowhere but in the list
_NOTHING = BlockList()


class Rejected(Exception):
    """Bytes that are no picture we take; args: a reason of REASONS, and the library's own words."""


def decode(data: bytes) -> tuple[Image.Image, str]:
    """(upright RGB picture of the first frame, format). Transparency lies on white. Raises Rejected."""
    if not data:
        raise Rejected("empty", "")
    try:
        picture = Image.open(io.BytesIO(data), formats=_FORMATS)
    except Exception as error:  # hostile bytes make decoders raise anything
        raise Rejected("not_an_image", _words(error)) from error
    if picture.width * picture.height > MAX_PIXELS:
        raise Rejected("too_many_pixels", f"{picture.width} x {picture.height} px, at most {MAX_PIXELS:,} in all")
    try:
        picture.load()
        return _flatten(_upright(picture)), picture.format
    except MemoryError:  # the machine's fault, not the picture's: not to be remembered
        raise
    except Exception as error:  # as above
        raise Rejected("truncated", _words(error)) from error


def load(path: Path) -> np.ndarray:
    """The verified original at `path`, upright: (H, W, 3) uint8 RGB. Raises UserError if it has gone since."""
    try:
        return np.asarray(decode(path.read_bytes())[0])
    except (FileNotFoundError, Rejected) as error:
        raise UserError(
            path, "the original is gone or damaged", "the file that ScrapeImages kept",
            "delete it and stages/ScrapeImages below the data root, and run again",
        ) from error  # fmt: skip


def _words(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error)  # an OSError's whole text holds a path of this machine
    text = re.sub("<_io[.]BytesIO object at 0x[0-9a-f]+>", "the file", text)  # an address, other in each run
    return f"{type(error).__name__}: {text}"[:200]


_TURNS = {  # of the EXIF tag Orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip


def _upright(picture: Image.Image) -> Image.Image:
    """Turned as its EXIF says, if that can be read: a garbled one does not make the picture worse."""
    try:
        turn = _TURNS.get(picture.getexif().get(ExifTags.Base.Orientation))
    except Exception:  # noqa: BLE001  # hostile bytes make decoders raise anything
        turn = None
    return picture.transpose(turn) if turn is not None else picture


def _flatten(picture: Image.Image) -> Image.Image:
    """Any Pillow mode -> RGB of 8 bits, transparency on white."""
    if picture.mode.startswith("I") or picture.mode == "F":
        picture = _eight_bits(picture)
    if picture.mode == "LAB":  # the one colour mode that convert() does not know
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(picture, lab, srgb, outputMode="RGB")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(ground, picture).convert("RGB")
    return picture.convert("RGB")


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Grey of 16 or 32 bits, or floats, -> grey of 8. Pillow's own convert() clips instead of scaling."""
    values = np.asarray(picture)
    if picture.mode == "F":
        white = 1.0 if values.max(initial=0) <= 1 else 255.0
    else:
        white = 255.0 if picture.mode == "I" and values.max(initial=0) <= 255 else 65535.0
    grey = np.empty(values.shape, np.uint8)
    for rows in range(0, len(values), 256):  # in strips: as floats, all of a large scan would take gigabytes
        grey[rows : rows + 256] = np.clip(values[rows : rows + 256] * (255 / white) + 0.5, 0, 255)
    return Image.fromarray(grey)


def phash(picture: np.ndarray) -> str:
    """64-bit perceptual hash of (H, W, 3) uint8, 16 hex digits: signs of the 8 × 8 lowest DCT terms about their
    median, as in http://www.phash.org."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:8, :8].ravel()
    bits = low > np.median(low[1:])  # the first term is the mean: it would swamp the median
    return np.packbits(bits).tobytes().hex()


def examine(data: bytes) -> dict:
    """The columns of IMAGES that a file itself tells, or {reason, detail, image_id} of what is no picture for us."""
    image_id = hashlib.sha256(data).hexdigest()
    try:
        picture, format_ = decode(data)
    except Rejected as rejected:
        reason, detail = rejected.args
        return {"reason": reason, "detail": detail, "image_id": image_id}
    return {
        "image_id": image_id,
        "path": f"images/{image_id[:2]}/{image_id}.{EXTENSIONS[format_]}",
        "bytes": len(data),
        "md5": hashlib.md5(data, usedforsecurity=False).hexdigest(),
        "format": format_,
        "width": picture.width,
        "height": picture.height,
        "phash": phash(np.asarray(picture)),
    }


def take(post: Post, store: Store, blocked: frozenset[str] = frozenset()) -> dict:
    """Read, examine and keep one post's picture, unless its sha256 is blocked: as `examine`."""
    try:
        data = post.read()
    except OSError as error:
        return {"reason": "unreadable", "detail": _words(error), "image_id": None}
    result = examine(data)
    if result["image_id"] in blocked:
        return _BY_HASH
    if "path" in result:
        store.put(result["path"], data)
    return result


def kept(store: Store, image_id: str) -> Path | None:
    """The original of that sha256, if it is here."""
    return next((store.root / "images" / image_id[:2]).glob(f"{image_id}.*"), None)


_REJECTED = {"reason": re.compile("|".join(REASONS)), "detail": str, "image_id": (HEX64, None)}
_TAKEN = {
    "image_id": HEX64, "path": re.compile("images/[0-9a-f]{2}/[0-9a-f]{64}[.][a-z0-9]{1,5}"), "bytes": int, "md5": str,
    "format": str, "width": int, "height": int, "phash": str,
}  # fmt: skip
"""The shapes of what `take` returns."""


def memory(store: Store):
    """What is known of posts' pictures, by their fingerprints."""
    return store.memory(f"images/{VERSION}", (_TAKEN, _REJECTED))


def collect(
    offers: Iterable[Post | Drop], source: str, limit: int, store: Store, *, blocked: BlockList = _NOTHING,
    jobs: int = 0,
) -> tuple[pa.Table, list[dict]]:  # fmt: skip
    """The first `limit` posts (0: all) of `source`, but for those that are blocked -> (IMAGES, rows of FUNNEL).

    The same bytes under two ids are one row, the first's in the order of ids, and a drop."""
    posts: dict[str, dict] = {}  # fingerprint -> provenance, of the posts under way
    drops: list[dict] = []

    def drop(source_id: str, reason: str, detail: str, image_id: str | None = None) -> None:
        drops.append(funnel_row("images", source, source_id, reason, detail, image_id))

    def wanted() -> Iterator[tuple[str, Post]]:
        taken = 0
        for offer in offers:
            if isinstance(offer, Post) and (why := blocked.why(offer)):
                offer = Drop(offer.source_id, "blocked", why)
            if isinstance(offer, Drop):
                drop(offer.source_id, offer.reason, offer.detail)
                continue
            posts[offer.fingerprint] = _provenance(offer, source)
            yield offer.fingerprint, offer
            taken += 1
            if taken == limit:
                return

    def still_there(result: dict) -> bool:
        if "reason" in result:
            return result["reason"] not in _PASSING
        return (store.root / result["path"]).exists()

    rows = _Rows()
    with memory(store) as known:
        taking = functools.partial(take, store=store, blocked=blocked.hashes)
        for key, result in remember(known, taking, wanted(), still=still_there, what="pictures", jobs=jobs):
            post = posts.pop(key)
            if result["image_id"] in blocked.hashes:  # it may have been taken before it was
                result = _BY_HASH
            if "reason" in result:
                drop(post["source_id"], **result)
            else:
                rows.add(result | post)
    images = rows.table().sort_by("source_id")
    first: dict[str, int] = {}
    for row, image_id in enumerate(images["image_id"].to_pylist()):
        if first.setdefault(image_id, row) != row:
            twin, source_id = (images["source_id"][index].as_py() for index in (first[image_id], row))
            drop(source_id, "duplicate", f"the same bytes as {twin}", image_id)
    return images.take(pa.array(first.values(), pa.int64())), drops


class _Rows:
    """Rows of IMAGES as they come, kept as Arrow: as Python objects, they would take ten times the room."""

    def __init__(self):
        self._tables = [IMAGES.empty_table()]
        self._fresh: list[dict] = []

    def add(self, row: dict) -> None:
        self._fresh.append(row)
        if len(self._fresh) == 256:
            self._pack()

    def _pack(self) -> None:
        self._tables.append(pa.Table.from_pylist(self._fresh, schema=IMAGES))
        self._fresh = []

    def table(self) -> pa.Table:
        self._pack()
        return pa.concat_tables(self._tables).combine_chunks()


def _provenance(post: Post, source: str) -> dict:
    columns = {field.name: getattr(post, field.name) for field in fields(post)}
    del columns["read"], columns["fingerprint"]  # the first may hold the bytes; neither is a column
    return columns | {"source": source}
