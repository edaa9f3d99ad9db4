"""What made an animation, read from files that the page and AnimateBlink write."""

import io
import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from models.sampling.videos import Part, save_gif, save_webp

PART = Part((0, 0), np.zeros((8, 8, 3), np.uint8), 2)
SUM = "0123456789abcdef" * 4
WHAT = {"run": "lids", "weights": SUM, "input": SUM}
ABOUT = WHAT | {"reference": "builtin", "blend": "mask", "seconds": 3.0, "seed": 4}
OPTIONS = "tab=blink&run=lids&seconds=3&seed=4&source=one&digest=0123456789abcdef"
READ = """(file, lengths) => lengths.map((length) => {
  const found = m.readRecipe(Uint8Array.from(file).subarray(0, length), "one.gif");
  return found && { ...found, parameters: String(found.parameters) };
})"""


def read(js, content: bytes) -> Any:
    return js("recipe.js", READ, [*content], [len(content)])[0]


@pytest.mark.parametrize("save", [save_gif, save_webp])
def test_an_animation_of_the_command_is_restored_as_far_as_the_page_can(js, tmp_path, save):
    def write(about: dict) -> bytes:
        save(tmp_path / "one", [PART], 18.0, json.dumps(about))
        return (tmp_path / "one").read_bytes()

    whole = write(ABOUT)
    wanted = {"parameters": OPTIONS, "weights": SUM, "unknown": ""}
    assert read(js, whole) == wanted
    options = read(js, write(ABOUT | {"blend": "feather", "reference": SUM}))["unknown"]
    assert options == "--blend feather, --reference"
    found = js("recipe.js", READ, [*whole], [*range(len(whole))])
    assert found[0] is None
    assert all(each in (None, wanted) for each in found)


@pytest.mark.parametrize("text", ["made by hand", "[1]", "null", '{"input": 5}', "tab", "", "\x00"])
def test_other_texts_are_none(js, text):
    picture = Image.fromarray(PART.pixels)
    files = {name: io.BytesIO() for name in ("GIF", "WEBP", "PNG")}
    exif = Image.Exif()
    exif[0x010E] = text
    picture.save(files["GIF"], "GIF", comment=text.encode())
    picture.save(files["WEBP"], "WEBP", exif=exif)
    picture.save(files["PNG"], "PNG")
    assert [read(js, file.getvalue()) for file in files.values()] == [None] * 3


def test_the_pages_own_are_read_in_any_letters(js):
    text = "tab=generate&run=é&seed=7"
    call = """async (text) => {
      const bytes = Uint8Array.from([...new TextEncoder().encode("GIF89a"), 1, 0, 1, 0, 0, 0, 0, 0x3b]);
      const file = await m.withComment(bytes, text.padEnd(700, "&x")).arrayBuffer();
      return (await load("recipe.js")).readRecipe(new Uint8Array(file), "").parameters.get("run");
    }"""
    assert js("gif_comments.js", call, text) == "é"
