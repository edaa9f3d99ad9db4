"""Pictures that a user gives, made larger with a trained run."""

import contextlib
import functools
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import luigi

from pipeline.errors import UserError
from workflows.base.from_pictures import LeftOut, Make, Picture, accepted
from workflows.cli.parameters import FilePath, Number, WholeNumber
from workflows.from_pictures_or_run import SAMPLES, FromPicturesOrRun

TILE_PX = 256  # side of what the network is shown at once, if no --tile is given
MIN_TILE_PX, MAX_TILE_PX = 96, 4096
NO_MEMORY = "there is not enough memory for it"

logger = logging.getLogger("luigi-interface")


class UpscaleImages(FromPicturesOrRun):
    """Pictures, made larger with a run of TrainSRGAN or TrainESRGAN, or with the network that comes with the program.

    They are written to --output as PNG files of the same names, with one JSON file that lists them. Grey pictures stay
    grey, those of 16 bits have 16, a palette is kept, and transparency."""

    run_name = luigi.Parameter(
        default="", description="run of TrainSRGAN or TrainESRGAN; by default the shipped network"
    )
    input_path = FilePath(description="a picture, a folder of pictures, or the folder of a dataset or a GAN's run")
    output_path = FilePath(description="folder of the large pictures, outside of --input")
    scale = Number(1, 16, "times", default=4.0, description="how many times as wide and high")
    tile = luigi.Parameter(
        default="auto",
        description=f"side of what the network is shown at once, {MIN_TILE_PX} to {MAX_TILE_PX} px; auto: {TILE_PX}. "
        "It is halved for a picture for which memory runs out",
    )
    alpha = Number(
        0,
        1,
        default=0.8,
        description="1: the run's last network; 0: that of its first phase, which is softer; between: a mix of both",
    )
    count = WholeNumber(
        default=0, description=f"number of pictures of a folder, dataset or run; 0: all, of a run {SAMPLES}"
    )
    seed = WholeNumber(default=0, description="seed of a run's first face")
    device = luigi.Parameter(
        default="auto", significant=False, description="cpu, cuda or cuda:N; auto: a GPU if there is one"
    )

    shipped = "upscaler"
    wanted = "a run of TrainSRGAN or TrainESRGAN"
    made_key = "upscaled"
    last_ending = ".png"
    made_of = "a picture, or a folder of them"

    def check(self) -> None:
        self._side  # noqa: B018 - raises UserError
        super().check()
        if self.output_path.exists() and not self.output_path.is_dir():
            raise UserError("--output", f"{str(self.output_path)[:100]} is a file", "a folder", "give another")
        if self.input_path.is_dir() and self.output_path.resolve().is_relative_to(self.input_path.resolve()):
            found = f"{str(self.output_path)[:100]} lies in --input"
            raise UserError("--output", found, "a folder outside of it", "give another")

    @functools.cached_property
    def _side(self) -> int:
        """Return the side of what the network is shown at once, in px. Raise UserError."""
        if self.tile == "auto":
            return TILE_PX
        if self.tile.isascii() and self.tile.isdigit() and MIN_TILE_PX <= int(self.tile[:9]) <= MAX_TILE_PX:
            return int(self.tile)
        expected = f"auto, or {MIN_TILE_PX} to {MAX_TILE_PX} px"
        raise UserError(
            "--tile", f"{self.tile[:40]} given", expected, f"see python -m workflows {self.task_family} --help"
        )

    @property
    def folder(self) -> Path:
        """Return the folder of the large pictures."""
        return self.output_path

    @property
    def file(self) -> Path:
        return self.output_path / f"{self.input_name}-upscaled.json"

    def suits(self, network: Any) -> bool:
        return hasattr(network, "reach")

    def digest_inputs(self) -> dict[str, Any]:
        from models.runs import export

        inputs: dict[str, Any] = super().digest_inputs()
        if self._faces_of_run is not None:
            inputs["input"] += [["seed", self.seed]]
        own: dict[str, Any] = {"scale": self.scale, "tile": self._side, "alpha": self.alpha, "count": self.count}
        if self.alpha < 1:
            own["pretrained"] = export.weights_sha256(self.run_folder, "pretrained")
        return inputs | own

    def found_pictures(self) -> list[Picture]:
        from pipeline.manifest import FACES, IMAGE_DATASET, check_folder, read

        manifest = self.input_path / "manifest.parquet"
        if manifest.is_file() and check_folder(self.input_path, IMAGE_DATASET, FACES) is IMAGE_DATASET:
            paths = read(manifest, IMAGE_DATASET)["path"].to_pylist()
            return [Picture(name := Path(path).name, self.input_path / path, name, None) for path in paths]
        return [picture._replace(frame=None, tilt=0.0) for picture in super().found_pictures()]

    def pictures(self) -> list[Picture]:
        """Return the pictures of the input, `count` at most. One that would be replaced has a problem."""
        found = super().pictures()
        given = {picture.path.resolve() for picture in found}
        problem = "a picture that is given, too, would be replaced; give another --output"
        return [
            picture._replace(problem=picture.problem or problem)
            if (self.folder / f"{picture.target}{self.last_ending}").resolve() in given
            else picture
            for picture in found
        ]

    def decode(self, data: bytes) -> Any:
        from pipeline.images.native import decode_native

        try:
            return accepted(lambda: decode_native(data))
        except MemoryError:
            raise LeftOut(NO_MEMORY) from None

    def read_saved(self, last: Path) -> dict[str, Any]:
        from models.data.dataset import parse_json
        from models.sampling import png

        if not last.exists():
            return {}
        texts = png.read_texts(last)
        if "weights" not in texts:
            raise LeftOut("a file with the name of what is made of it is there; give another --output")
        saved = {key: text for key, text in texts.items() if key in self._recipe_keys}
        with contextlib.suppress(ValueError):
            made = parse_json(saved.pop("made", ""), {"width": int, "height": int, "tile": int})
            saved["made"] = json.dumps({"files": [str(last.relative_to(self.folder))]} | made)
        return saved

    @functools.cached_property
    def _recipe_keys(self) -> set[str]:
        """Return the keys of the texts by which what was made earlier is recognized."""
        return {*self.digest_inputs(), "run", "input", "frame", "tilt", "made"} - {"count"}

    def prepare(self, network: Any) -> Make:
        """Return what writes the large picture made of a picture. Raise UserError."""
        from models.runs import settings
        from models.upscaler import PictureUpscaler, network_between

        network = network_between(self.run_folder, self.alpha)
        return functools.partial(self._upscale, PictureUpscaler(network, settings.resolve_device(self.device)))

    def _upscale(self, upscaler: Any, source: Picture, given: Any, about: dict) -> dict:
        """Write the large picture. Return its file and its size. Raise LeftOut."""
        from models.upscaler import new_size, size_problem
        from pipeline.parallel import is_out_of_memory

        if problem := size_problem(given.pixels.shape[:2], self.scale):
            raise LeftOut(problem)
        height, width = new_size(given.pixels.shape[:2], self.scale)
        side = self._side
        while True:
            made = {"width": width, "height": height, "tile": side}
            strips = upscaler.strips(given.pixels, self.scale, side)
            try:
                self._write(self.folder / f"{source.target}.png", strips, given, about, made)
                return {"files": [f"{source.target}.png"]} | made
            except Exception as error:  # libraries raise different ones
                if not is_out_of_memory(error):
                    raise
                if side // 2 < MIN_TILE_PX:
                    raise LeftOut(NO_MEMORY) from None
            side //= 2
            logger.warning("%s: memory ran out; it is made again in tiles of %d px", source.name, side)

    def _write(self, path: Path, strips: Iterator[Any], given: Any, about: dict, made: dict) -> None:
        """Write the large picture. What it carries depends on no other picture, and on no folder."""
        from models.files import atomic_open
        from models.sampling import png
        from models.upscaler import palette_numbers

        strips = _with_progress(strips)
        if given.palette is not None:
            strips = (palette_numbers(strip, given.palette) for strip in strips)
        recipe = {key: str(value) for key, value in (about | {"made": json.dumps(made)}).items()}
        texts = {f"source-{key}" if key in recipe else key: text for key, text in given.texts.items()}
        with atomic_open(path) as file:
            png.write_png(
                file,
                strips,
                (made["height"], made["width"]),
                palette=given.palette,
                exif=given.exif,
                profile=given.profile,
                texts=texts | recipe,
            )


def _with_progress(strips: Iterator[Any]) -> Iterator[Any]:
    from pipeline.progress import Progress

    progress = Progress("strips of a picture")
    try:
        for strip in strips:
            progress.advance()
            yield strip
    finally:
        progress.close()
