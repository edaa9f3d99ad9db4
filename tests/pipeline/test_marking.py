"""The marking of generated pictures, and how it stays with crops of them."""

import ast
import hashlib
import io
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageSequence

from models.sampling import save, videos
from pipeline import marking
from pipeline.faces import crop
from pipeline.sources.drawn import draw

ROOT = Path(__file__).parents[2]
FORMATS = ("PNG", "GIF", "WEBP", "JPEG")
IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"


def test_the_marking_is_xmp_that_says_how_the_picture_was_made(tmp_path):
    save.save_png(tmp_path / "x.png", np.zeros((8, 8, 3), np.uint8), seed=3)
    with Image.open(tmp_path / "x.png") as picture:
        assert picture.text["seed"] == "3"
        xmp = ElementTree.fromstring(picture.text["XML:com.adobe.xmp"])
    (description,) = xmp.iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
    assert description.attrib[f"{IPTC}DigitalSourceType"] == (
        "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    )


def write(path: Path) -> None:
    """Write two pictures as one file by what writes files of its kind."""
    pictures = np.random.default_rng(0).integers(0, 255, (2, 32, 32, 3), np.uint8)
    if path.name == "line.gif":
        save.save_gif(path, pictures, seconds=1, about="")
        return
    writers = {".gif": videos.save_gif, ".webp": videos.save_webp, ".mp4": videos.save_mp4}
    parts = [videos.Part((0, 0), picture, 1) for picture in pictures]
    if path.suffix == ".png":
        videos.save_strip(path, parts)
    else:
        writers[path.suffix](path, parts, 8, "")


@pytest.mark.parametrize("name", ["strip.png", "line.gif", "film.gif", "film.webp"])
def test_every_kind_of_picture_is_marked(name, tmp_path):
    write(tmp_path / name)
    assert marking.is_generated(tmp_path / name)
    with Image.open(tmp_path / name) as picture:
        frames = [frame.copy() for frame in ImageSequence.Iterator(picture)]  # readers pass over the mark
        assert len(frames) == (1 if name == "strip.png" else 2)
        if name == "film.webp":
            assert picture.info["xmp"] == marking.GENERATED.encode()


def test_a_video_is_marked_in_a_box_of_its_own(tmp_path):
    """That of part 3 of the specification of XMP, 1.1.4."""
    write(tmp_path / "film.mp4")
    data, boxes = (tmp_path / "film.mp4").read_bytes(), {}
    while data:
        length = int.from_bytes(data[:4])
        boxes[data[4:8]], data = data[8:length], data[length:]
    assert boxes[b"uuid"][:16].hex() == "be7acfcb97a942e89c71999491e3afac"
    assert boxes[b"uuid"][16:] == marking.GENERATED.encode()


def test_no_other_code_writes_pictures_of_networks():
    writers = set()
    for file in (path for package in ("models", "workflows") for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            is_save = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "save"
            if is_save and any(isinstance(part, ast.Constant) and part.value in FORMATS for part in node.args):
                writers.add(file.relative_to(ROOT).as_posix())
    assert writers == {
        "models/sampling/save.py",
        "models/sampling/videos.py",
        "models/data/resampling.py",  # blocks of JPEG, in memory
    }


@pytest.mark.parametrize("is_marked", [False, True])
def test_a_crop_is_marked_as_its_picture_is(store, tmp_path, is_marked):
    pixels = np.asarray(draw(0, 0)[0])
    save.save_png(tmp_path / "x.png", pixels, is_generated=is_marked)
    data = (tmp_path / "x.png").read_bytes()
    image_id = hashlib.sha256(data).hexdigest()
    row = {"image_id": image_id, "image_path": f"images/{image_id}.png", "box": [50.0, 50.0, 150.0, 150.0]}
    row |= {"tilt": 0.0, "score": 1.0, "source": "folder", "source_id": "x.png"}
    store.put(f"images/{image_id}.png", data)
    table, _ = crop.cut(pa.Table.from_pylist([row]), store, size=64, frame=crop.Frame(1.5), rotation=0.0, jobs=1)
    file = store.root / "cache" / table["path"][0].as_py()
    assert marking.is_generated(file) == is_marked
    if not is_marked:  # the bytes that crops always had
        plain = io.BytesIO()
        Image.open(file).save(plain, "PNG")
        assert file.read_bytes() == plain.getvalue()
