"""A blink for a drawn face: animations of pictures, by a trained run or the network that is shipped."""

import functools
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import luigi

from pipeline.errors import UserError
from workflows.base.dataset import Dataset
from workflows.base.from_pictures import LeftOut, Make, Picture, digest_of
from workflows.base.from_run import FromRun, shipped_network, vgg16_weights
from workflows.base.run import check_run_name
from workflows.cli.parameters import Choice, FilePath, Number, WholeNumber, require
from workflows.from_pictures_or_run import SAMPLES, FromPicturesOrRun

BUILTIN = "builtin"
BLENDS = ("mask", "hard", "feather", "poisson", "refiner")  # models.sampling.animation.BLENDS
MIN_FACE_PX = 32
REFERENCE_FPS = 18
CLOSED = 0.35  # openness: an eye that is open less far cannot blink
ENDINGS = (".gif", ".webp", ".mp4", "-strip.png")  # of a picture's animations, in the order in which they are written

logger = logging.getLogger("luigi-interface")


class AnimateBlink(FromPicturesOrRun):
    """Animations of pictures whose faces blink: GIF, MP4, WebP without loss, and a strip. They are written to
    generated/blinks/ in the run's folder, or below the data root. Only the eyes change, or the region of --run."""

    input_path = FilePath(description="a picture, a folder of pictures, or the folder of a face dataset or a GAN's run")
    run_name = luigi.Parameter(default="", description="run of TrainBlinkUNet; by default the shipped network")
    reference = luigi.Parameter(
        default=BUILTIN,
        description="whose blink: a film strip of BuildBlinkDataset, a video, or builtin: the timing of anime at "
        "natural intervals",
    )
    blend = Choice(
        BLENDS,
        default="mask",
        description="border of the eyes; mask: the network's own mask over the picture's pixels; hard: what it paints, "
        "as it is; feather, poisson: faded in, or with fitted colours; refiner: corrected by a network",
    )
    refiner = luigi.Parameter(default="", description="run of TrainSeamRefiner; by default the shipped network")
    count = WholeNumber(
        default=0, description=f"number of pictures of a folder, dataset or run; 0: all, of a run {SAMPLES}"
    )
    seconds = Number(1.5, 60, "seconds", default=4.0, description="length, s; of a reference at least its own")
    seed = WholeNumber(default=0, description="seed of the intervals, and of a run's faces")

    shipped = "blink"
    wanted = "a run of TrainBlinkUNet"
    made_key = "animated"
    last_ending = ENDINGS[-1]
    made_of = "pictures of faces with open eyes"

    def check(self) -> None:
        if self.refiner:
            check_run_name("--refiner", self.refiner)
            require(self, self.blend == "refiner", "refiner", "none without --blend refiner")
        super().check()

    @property
    def folder(self) -> Path:
        """Return the folder of the animations."""
        folder = self.generated / "blinks"
        return folder if self.input_path.is_file() else folder / self.input_name

    @property
    def file(self) -> Path:
        return self.generated / "blinks" / f"{self.input_name}.json"

    def digest_inputs(self) -> dict[str, object]:
        from models.runs import export

        options = {name: getattr(self, name) for name in ("blend", "count", "seconds", "seed")}
        own = {"reference": self._reference_digest, **options}
        if self.blend == "refiner":
            own["refiner"] = export.weights_sha256(refiner_folder(self))
        return super().digest_inputs() | own

    @functools.cached_property
    def _reference_digest(self) -> str:
        if self.reference == BUILTIN:
            return BUILTIN
        return digest_of("--reference", self.reference, f"a film strip, a video, or {BUILTIN}")

    def suits(self, network: Any) -> bool:
        return hasattr(network, "paint")

    def prepare(self, network: Any) -> Make:
        """Return what writes the animations of a picture. Raise UserError."""
        refiner = load_refiner(self) if self.blend == "refiner" else None
        if self.reference == BUILTIN and (network.clip is not None or not network.openness):
            found = f"{BUILTIN} given, but this run animates by the motion of a reference"
            raise UserError("--reference", found, "a film strip of BuildBlinkDataset, or a video", "give one")
        return functools.partial(self._animate, network, refiner, self._read_reference(network))

    def _read_reference(self, network: Any) -> Any:
        """Return (openness (T,), flow (T, H, W, 2)) of the reference; None if it is builtin. Raise UserError."""
        if self.reference == BUILTIN:
            return None
        from models.data.clips import cut, region_box
        from pipeline.clips import flow, reference

        found = reference.read(Path(self.reference).expanduser(), REFERENCE_FPS)
        region = region_box(network.region, found.face, found.left_eye, found.right_eye)
        return found.openness, flow.from_first_frame(cut(found.frames, region, *network.shape))

    def _motion(self, reference: Any, face: int) -> Any:
        from models.sampling import motion

        if reference is None:
            return motion.natural(self.seconds, self.seed, face)
        openness, flow = reference
        return motion.of_clip(openness, flow, REFERENCE_FPS, self.seconds)

    def _animate(self, network: Any, refiner: Any, reference: Any, source: Picture, given: Any, about: dict) -> dict:
        """Write the animations of a picture. Return its files and its faces. Raise LeftOut."""
        import numpy as np

        from models.sampling import animation, videos
        from pipeline.images.decode import on_white

        picture = on_white(given)
        if max(picture.shape[:2]) > videos.MAX_SIDE_PX:
            raise LeftOut(f"it has a side of more than {videos.MAX_SIDE_PX} px")
        patches: list[animation.Patch] = []
        shown: list[np.ndarray] = []
        faces, reasons = [], []
        for number, (crop, upright) in enumerate(_uprights(picture, source)):
            left, right, openness = upright.open_eyes
            if np.isnan(openness):
                reasons.append("its eyes are hidden" if np.isnan(upright.openness) else "its eyes are closed")
                continue
            motion = self._motion(reference, number)
            eyes = animation.Eyes(crop, upright.box, left, right, openness)
            parts = animation.animate_eyes(network, eyes, motion, self.blend, refiner)
            found = [animation.into_picture(picture, crop, part, upright.view.to_picture()) for part in parts]
            inside = [patch for patch in found if patch is not None]
            if not inside:
                reasons.append("its eyes lie outside it")
                continue
            patches += inside if given is picture else [animation.with_alpha(patch, given) for patch in inside]
            shown += [motion.shown] * len(inside)
            faces.append({"openness": round(openness, 3), "boxes": [list(patch.box) for patch in inside]})
        if not patches:
            raise LeftOut("; ".join(reasons) or "no face was found in it")
        files = [f"{source.target}{ending}" for ending in ENDINGS]
        made, states = {"files": files, "faces": faces}, np.stack(shown, 1)
        for name, save_file in zip(files, (videos.save_gif, videos.save_webp, videos.save_mp4), strict=False):
            save_file(self.folder / name, animation.parts(given, patches, states), motion.fps, json.dumps(about))
        strip = animation.parts(given, patches, states)
        videos.save_strip(self.folder / files[-1], strip, **about, made=json.dumps(made))
        return made


class EvaluateBlink(FromRun):
    """Measures of a run of TrainBlinkUNet on clips that it was not trained on, with pictures, in its generated/:
    error, LPIPS and distance of lines in the eyes' region beside those of the first frame repeated; how the openness
    follows the clip's; and the visible border of each blend."""

    run_name = luigi.Parameter(default="", description="run of TrainBlinkUNet; by default the shipped network")
    dataset = luigi.Parameter(default="blinks", description="dataset of clips, whose split test is judged")
    refiner = luigi.Parameter(default="", description="run of TrainSeamRefiner; by default the shipped network")
    count = WholeNumber(1, default=48, description="number of clips at most")

    shipped = "blink"
    wanted = "a run of TrainBlinkUNet"

    def requires(self) -> Dataset:
        """Return the dataset."""
        return Dataset(name=self.dataset, kind="clips", data_root=self.data_root)

    @property
    def file(self) -> Path:
        return self.generated / "blink_evaluation.json"

    def digest_inputs(self) -> dict[str, object]:
        from models.runs import export

        own = {"dataset": self._clips.digest, "count": self.count}
        return super().digest_inputs() | own | {"refiner": export.weights_sha256(refiner_folder(self))}

    @functools.cached_property
    def _clips(self) -> Any:
        from models.data.clips import ClipDataset

        self.requires().check()
        return ClipDataset(self.data_root / "datasets" / self.dataset, self.data_root / "cache")

    def suits(self, network: Any) -> bool:
        return hasattr(network, "paint")

    def make(self, network: Any, about: dict) -> None:
        from models import blink_evaluation as evaluation
        from models.metrics.lpips import LPIPS
        from models.nn.vgg import load_vgg16
        from models.sampling import save

        clips = [*evaluation.held_clips(self._clips, "test", self.count)]
        if not clips:
            expected, cure = "clips in the split test", "build a larger dataset"
            raise UserError(self._clips.folder, "has none", expected, cure)
        fps = self._clips.rows["fps"][0].as_py()
        distance = LPIPS(load_vgg16(vgg16_weights()).block_features)
        refiner = load_refiner(self)
        measures, curves = evaluation.measure_blinks(network, clips, fps, judge_openness, distance, refiner)
        folder = self.file.parent
        save.save_png(folder / "blink_clips.png", evaluation.sheet(network, clips, fps), **about)
        evaluation.save_curves(folder / "blink_openness.png", curves, about)
        save.save_json(self.file, about | measures)
        for name, value in measures.items():
            logger.info("%s: %s", name, f"{value:.4g}" if isinstance(value, float) else value)


def refiner_folder(task: Any) -> Path:
    """Return the folder of the network of --refiner."""
    return task.data_root / "runs" / task.refiner if task.refiner else shipped_network("seam")


def load_refiner(task: Any) -> Any:
    """Return the network of --refiner. Raise UserError."""
    from models.runs import export

    network = export.load_network(refiner_folder(task))
    if not hasattr(network, "ring"):
        cure = "give another --refiner"
        raise UserError(refiner_folder(task), "holds another network", "a run of TrainSeamRefiner", cure)
    return network


def judge_openness(frames: Any) -> Any:
    """Return how far the eyes of an upright face are open in each of its frames (T, S, S, 3)."""
    import numpy as np

    from pipeline.faces import landmarks, upright
    from pipeline.faces.boxes import Face

    face = Face(upright.face_box(frames.shape[1], upright.BOX_SCALE), 0.0, 1.0)
    return np.array([upright.seen_eyes(landmarks.find(frame, [face])[0]).openness for frame in frames])


class Upright(NamedTuple):
    """A face, upright in a crop."""

    view: Any
    box: Any
    open_eyes: Any  # SeenEyes: what can blink
    openness: float  # of all that is seen


def _uprights(picture: Any, source: Picture) -> Iterator[tuple[Any, Upright]]:
    """Yield (the upright crop (S, S, 3), where and what it is) of each face of a picture, best first."""
    from pipeline.faces import detect, landmarks, upright
    from pipeline.faces.boxes import Face
    from pipeline.faces.views import Pyramid

    if source.frame:
        faces = [Face(source.frame.box(len(picture)), source.tilt, 1.0)]
    else:
        asset = detect.DETECTORS["network"].asset(None)
        faces = detect.find(picture, finder="network", asset=asset, sweep="fast", min_face=MIN_FACE_PX)
    pyramid = Pyramid(picture)
    for face in faces:
        view = upright.view_of(face)
        crop = pyramid.show(view)
        box = upright.face_box(len(crop), upright.BOX_SCALE)
        (found,) = landmarks.find(crop, [Face(box, 0.0, 1.0)])
        yield crop, Upright(view, box, upright.seen_eyes(found, CLOSED), upright.seen_eyes(found).openness)
