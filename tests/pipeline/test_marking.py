"""The marking of generated pictures, and how it stays with crops of them."""

import hashlib
import io
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from models.sampling import save
from pipeline import marking
from pipeline.faces import crop
from pipeline.sources.drawn import draw

IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"


def test_the_marking_is_xmp_that_says_how_the_picture_was_made(tmp_path):
    save.save_png(tmp_path / "x.png", np.zeros((8, 8, 3), np.uint8), **save.MARKED, seed=3)
    with Image.open(tmp_path / "x.png") as picture:
        assert picture.text["seed"] == "3"
        xmp = ElementTree.fromstring(picture.text["XML:com.adobe.xmp"])
    (description,) = xmp.iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
    assert description.attrib[f"{IPTC}DigitalSourceType"] == (
        "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    )


@pytest.mark.parametrize("is_marked", [False, True])
def test_a_crop_is_marked_as_its_picture_is(store, tmp_path, is_marked):
    pixels = np.asarray(draw(0, 0)[0])
    save.save_png(tmp_path / "x.png", pixels, **(save.MARKED if is_marked else {}))
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
