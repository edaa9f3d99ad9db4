"""`python -m tests.benchmarks [NAME …]`: the speeds worth watching, one JSON line each.

Each benchmark is measured beside its limit or its obvious alternative in the same run, in turns, so that a busy machine
slows both; `spread` is (slowest - fastest) / median of the runs.
"""

import functools
import json
import operator
import platform
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from pipeline import assets
from pipeline.faces import crop as faces
from pipeline.faces import detect
from pipeline.hair import color_network as hair_color
from pipeline.images import collect as images
from pipeline.images import decode as decoding
from pipeline.images import near_duplicates as near
from pipeline.sources.base import LocalQuery
from pipeline.sources.drawn import draw
from pipeline.sources.registry import SOURCES
from pipeline.store import Store
from tests.benchmarks.build import build
from tests.benchmarks.crawl import crawl, politeness
from tests.benchmarks.detectors import detectors
from tests.benchmarks.sizes import sizes
from tests.benchmarks.translation import STARGAN2_BATCH, steps

RUNS = 5


def measure(
    *, runs: int = RUNS, clock: Callable[[], float] = time.perf_counter, **works: Callable[[], object]
) -> dict[str, list[float]]:
    """Seconds of that many runs of each work, in turns, after one that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for run in range(runs + 1):
        for name, work in works.items():
            start = clock()
            work()
            if run:
                seconds[name].append(clock() - start)
    return seconds


def tell(bench: str, amount: int, unit: str, seconds: list[float], **more) -> None:
    median = statistics.median(seconds)
    spread = (max(seconds) - min(seconds)) / median
    print(
        json.dumps(
            {
                "bench": bench,
                f"{unit}/s": round(amount / median, 1),
                "spread": round(spread, 2),
                **more,
                "runs": len(seconds),
                "cpu": platform.machine(),
            }
        ),
        flush=True,
    )


def originals(count: int, store: Store) -> list[Path]:
    posts = SOURCES["drawn"].posts(LocalQuery(), SOURCES["drawn"].snapshot(LocalQuery()))
    table, _ = images.collect(posts, "drawn", count, store)
    return [store.root / path for path in table["path"].to_pylist()]


def parts(count: int = 60) -> None:
    """Each stage's work on one thread, and as a multiple of the pure cascade's time on the same pixels."""
    with tempfile.TemporaryDirectory() as root:
        store = Store(Path(root))
        store.work.mkdir(parents=True)
        paths = originals(count, store)
        cascade = str(assets.fetch("lbpcascade_animeface.xml"))
        pictures = [decoding.load(path) for path in paths]
        small = [_equalised(picture) for picture in pictures]
        found = [detect.lbpcascade(picture, 48, detect.SWEEPS["fast"], cascade)[:1] for picture in pictures]
        facing = [(picture, face) for picture, some in zip(pictures, found, strict=True) for face in some]
        classifier = cv2.CascadeClassifier(cascade)
        seconds = measure(
            cascade=lambda: [
                classifier.detectMultiScale3(grey, 1.1, 5, minSize=(24, 24), outputRejectLevels=True) for grey in small
            ],
            draw=lambda: [draw(0, i) for i in range(count)],
            decode=lambda: [decoding.load(path) for path in paths],
            detect=lambda: [detect.lbpcascade(picture, 48, detect.SWEEPS["fast"], cascade) for picture in pictures],
            crop=lambda: [faces.crop(picture, face, size=128, box_scale=1.5) for picture, face in facing],
            hair=lambda: [hair_color.color_scores(picture, face) for picture, face in facing],
        )
    pure = statistics.median(seconds["cascade"])
    for name, times in seconds.items():
        tell(f"faces/{name}", count, "images", times, times_the_cascade=round(statistics.median(times) / pure, 2))


def hair_taggers() -> None:
    """Faces that each tagger names in a second of one thread, and how often rightly."""
    from tests.benchmarks.hair import hair_works  # imports torch, which the other benches' memory does not have

    works = hair_works()
    named: dict[str, list] = {}
    seconds = measure(
        **{name: lambda name=name, work=work: named.update({name: work.run()}) for name, work in works.items()}
    )
    base = len(works["nearest swatch"].truth) / statistics.median(seconds["nearest swatch"])
    for name, (_, truth, is_judged) in works.items():
        rate = len(truth) / statistics.median(seconds[name])
        right = sum(map(operator.eq, named[name], truth)) / len(truth)
        tell(
            f"hair/{name}",
            len(truth),
            "faces",
            seconds[name],
            times_nearest_swatch=round(rate / base, 3),
            right=round(right, 3) if is_judged else None,
        )


def groups(count: int = 1_000_000) -> None:
    """Pairs proposed among that many sketches, spread as drawn pictures' are, 1 of 100 a planted copy; once."""
    rng, copies = np.random.default_rng(0), count // 100
    drawn = np.stack([_sketch_of(i) for i in range(200)]).astype(np.float32)
    scatter = np.linalg.cholesky(np.cov(drawn.T) + np.eye(len(drawn[0]))).T.astype(np.float32)
    sketches = rng.standard_normal((count, len(scatter)), np.float32) @ scatter + drawn.mean(0)
    sketches[-copies:] = sketches[:copies] + 0.35 * rng.standard_normal((copies, len(scatter)), np.float32) @ scatter
    sketches *= near.SKETCH_LENGTH / np.linalg.norm(sketches, axis=1, keepdims=True)
    sketches = np.rint(sketches).astype(np.int8)
    sketches[-copies::2] = near.mirror(sketches[-copies::2])
    start, found, proposed = time.perf_counter(), 0, 0
    for a, b in near.candidates(sketches):
        proposed += 1
        found += b - a == count - copies
    tell(
        "groups/candidates, all cores",
        count,
        "sketches",
        [time.perf_counter() - start],
        recall=found / copies,
        pairs=proposed,
        peak_GB=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    )


def _sketch_of(i: int) -> np.ndarray:
    small = cv2.resize(np.asarray(draw(0, i)[0]), (near.SIDE, near.SIDE), interpolation=cv2.INTER_AREA)
    return near.sketch(small.astype(np.float32))


def _equalised(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    grey = cv2.resize(
        cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (width // 2, height // 2), interpolation=cv2.INTER_AREA
    )
    return cv2.equalizeHist(grey)


def loader(count: int = 512, batch_size: int = 64, size: int = 96) -> None:
    """Batches of uint8 NHWC from 128 px crops: ours beside PIL in a DataLoader with two workers, on the same files."""
    import torch
    from PIL import Image

    from models.data.batches import Pictures

    with tempfile.TemporaryDirectory() as root:
        paths = []
        for i in range(count):
            paths.append(Path(root) / f"{i:04}.png")
            draw(0, i % 60)[0].resize((128, 128)).save(paths[-1])

        class Files(torch.utils.data.Dataset):
            def __len__(self):
                return count

            def __getitem__(self, i):
                with Image.open(paths[i]) as file:
                    return np.array(file.convert("RGB").resize((size, size), Image.Resampling.LANCZOS))

        files = torch.utils.data.DataLoader(Files(), batch_size, shuffle=True, num_workers=2, persistent_workers=True)
        np.save(Path(root) / "array.npy", np.stack([Files()[i] for i in range(count)]))
        pixels = np.load(Path(root) / "array.npy", mmap_mode="r")
        batches = Pictures(pixels, batch_size, seed=0, device=torch.device("cpu"))
        seconds = measure(
            plain=lambda: [batch.shape for batch in files],
            ours=lambda: [batches(i)["picture"].shape for i in range(count // batch_size)],
        )
    tell("loader/PIL + DataLoader, 2 workers", count, "images", seconds["plain"])
    times = statistics.median(seconds["plain"]) / statistics.median(seconds["ours"])
    tell("loader/ours", count, "images", seconds["ours"], times_the_plain=round(times, 1))


def step(preset: str = "", names: tuple[str, ...] = ()) -> None:
    """A training step beside that of a textbook loop, of these models or of all. Preset: `article` on a GPU."""
    import torch

    from models.zoo import MODELS
    from tests.benchmarks.steps import steps

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    preset = preset or ("article" if device.type == "cuda" else "small")

    def repeated(work: Callable[[int], None], inner: int) -> Callable[[], None]:
        def run() -> None:
            for i in range(inner):
                work(i)
            if device.type == "cuda":
                torch.cuda.synchronize()

        return run

    for name, items, unit, textbook, ours in steps(preset, device, names):
        inner = 20 if device.type == "cuda" else getattr(MODELS[name].presets[preset], "penalty_every", 1)
        seconds = measure(runs=9, textbook=repeated(textbook, inner), ours=repeated(ours, inner))
        times = statistics.median(seconds["textbook"]) / statistics.median(seconds["ours"])
        tell(f"step/{name} {preset}, textbook", items * inner, unit, seconds["textbook"], device=device.type)
        tell(f"step/{name} {preset}, ours", items * inner, unit, seconds["ours"], times_the_textbook=round(times, 2))


def profile() -> None:
    """Which operators the CPU seconds of each model's step go to, on a CPU, on noise."""
    import torch

    from models.zoo import MODELS
    from tests.benchmarks.profile import shares

    torch.set_num_threads(1)
    for name, model in MODELS.items():
        seconds, found = shares(name, "small")
        rounded = {kind: round(share, 2) for kind, share in found.items()}
        tell(f"profile/{name} small", model.presets["small"].pictures, "items", [seconds], **rounded)


def translation(runs: int = 3) -> None:
    """A step of U-GAT-IT, light, and of StarGAN v2 at 256 px, and their peak memory beside the textbook's."""
    for networks, items, unit in (("light", 1, "pairs"), ("stargan2", STARGAN2_BATCH, "images")):
        _translation(networks, items, unit, runs)


def _translation(networks: str, items: int, unit: str, runs: int) -> None:
    """One row of `tests.benchmarks.translation.STEPS`; `full` takes 31 GB in all."""
    found = list(steps(networks, runs))
    seconds = {name: [each[name]["seconds"] for each in found] for name in ("textbook", "ours")}
    peaks = {name: found[-1][name]["peak"] for name in seconds}
    times = statistics.median(seconds["textbook"]) / statistics.median(seconds["ours"])
    tell(f"translation/{networks}, textbook", items, unit, seconds["textbook"], gb=round(peaks["textbook"], 1))
    share = {"times_the_textbook": round(times, 2), "memory_share": round(peaks["ours"] / peaks["textbook"], 2)}
    tell(f"translation/{networks}, ours", items, unit, seconds["ours"], gb=round(peaks["ours"], 1), **share)


def upscale(runs: int = 3) -> None:
    """Pixels that the compact network and ESRGAN with 15 blocks make, tile by tile, beside the whole picture at once in
    fp32; and training steps beside a textbook's: of the compact network, and on a CPU of a narrow ESRGAN."""
    import torch

    from tests.benchmarks.upscale import inference

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    rates = {}
    for name, pixels, textbook, ours in inference(device):
        seconds = measure(runs=runs, textbook=textbook, ours=ours)
        times = statistics.median(seconds["textbook"]) / statistics.median(seconds["ours"])
        rates[name] = pixels / statistics.median(seconds["ours"])
        tell(f"upscale/{name}, whole picture", pixels // 1000, "kpixels", seconds["textbook"], device=device.type)
        more = {"times_the_textbook": round(times, 2), "times_esrgan": round(rates[name] / rates["esrgan"], 1)}
        tell(f"upscale/{name}, tiles", pixels // 1000, "kpixels", seconds["ours"], **more)
    step("compact", ("esrgan",))
    step("article" if device.type == "cuda" else "small", ("esrgan",))


def memory(preset: str = "small") -> None:
    """Images/s and peak memory of R3GAN's training at 64 and 128 px."""
    from tests.benchmarks.memory import steps

    for size in (64, 128):
        found = steps(preset, size)
        tell(
            f"memory/r3gan {preset}, {size} px", found["images"], "images", found["seconds"], gb=round(found["peak"], 2)
        )


def blinks(films: int = 2) -> None:
    """Frames of drawn films through BuildBlinkDataset's extraction beside decoding them alone, on one thread."""
    from fractions import Fraction

    from pipeline.clips import videos
    from pipeline.clips.extract import extract
    from pipeline.clips.video import Video
    from pipeline.drawing import film

    settings = videos.Settings(fps=18.0, size=128, detector="cascade_network", min_face=48)
    find, fps = videos.finders(settings, None), Fraction(18)
    with tempfile.TemporaryDirectory() as root:
        paths = [Path(root) / f"{i}.mp4" for i in range(films)]
        for i, path in enumerate(paths):
            film.write(path, 0, i)
        frames = sum(1 for path in paths for _ in Video(path, fps))
        seconds = measure(
            decode=lambda: [sum(1 for _ in Video(path, fps)) for path in paths],
            extract=lambda: [extract(path, fps, settings.size, find.faces, find.landmarks) for path in paths],
        )
    times = statistics.median(seconds["extract"]) / statistics.median(seconds["decode"])
    tell("blinks/decode alone, 1 thread", frames, "frames", seconds["decode"])
    tell("blinks/extract, 1 thread", frames, "frames", seconds["extract"], times_decoding=round(times, 1))


def animate(count: int = 3) -> None:
    """Pictures of 512 px that AnimateBlink animates with the shipped network, beside finding their faces alone, on one
    thread."""
    from models.runs import export
    from workflows import AnimateBlink
    from workflows.base.from_run import shipped_network

    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "pictures"
        folder.mkdir()
        pictures = [draw(0, i)[0].convert("RGB").resize((512, 512)) for i in range(count)]
        for i, picture in enumerate(pictures):
            picture.save(folder / f"{i}.png")
        task = AnimateBlink(input=folder, data_root=Path(root) / "data")
        task.generated.mkdir(parents=True)
        network = export.load_network(shipped_network("blink"))
        arrays = [np.asarray(picture) for picture in pictures]
        asset = detect.DETECTORS["network"].asset(None)
        find = functools.partial(detect.find, finder="network", asset=asset, sweep="fast", min_face=32)

        def whole() -> None:
            shutil.rmtree(task.folder, ignore_errors=True)  # else it would take over what is there
            task.make(network, {})

        seconds = measure(find=lambda: [find(array) for array in arrays], whole=whole)
    for name, times in seconds.items():
        tell(f"animate/{name}, 512 px, 1 thread", count, "pictures", times)


def page(count: int = 10) -> None:
    """A generator in the page, with one thread and with several, beside onnxruntime's own; when the page is first
    painted, and its runtime and network are ready."""
    from tests.benchmarks.page import page_works

    with page_works() as (works, milliseconds):
        for name, value in milliseconds.items():
            print(json.dumps({"bench": f"page/{name}", "ms": round(value)}), flush=True)
        seconds = measure(**{name: lambda work=work: [work() for _ in range(count)] for name, work in works.items()})
    native = {threads: statistics.median(seconds[f"native, threads: {threads}"]) for threads in (1, 2)}
    for name, times in seconds.items():
        ratio = statistics.median(times) / native[1 if name.endswith(": 1") else 2]
        tell(f"page/{name}", count, "pictures", times, times_native=round(ratio, 2))


def own_networks(count: int = 8) -> None:
    """Pictures and faces in which networks of the user's look for something, in processor seconds of all cores, beside
    bare onnxruntime."""
    from tests.benchmarks.own_networks import network_works  # imports onnx, an extra

    with network_works(count) as works:
        seconds = measure(clock=time.process_time, **works)
    for name, times in seconds.items():
        ratio = statistics.median(seconds[f"{name.split(',')[0]}, bare"]) / statistics.median(times)
        tell(f"own_networks/{name}", count, "pictures", times, times_onnxruntime=round(ratio, 2))


BENCHES = {
    "animate": animate,
    "parts": parts,
    "build": build,
    "sizes": sizes,
    "loader": loader,
    "step": step,
    "profile": profile,
    "memory": memory,
    "translation": translation,
    "upscale": upscale,
    "blinks": blinks,
    "crawl": crawl,
    "politeness": politeness,
    "groups": groups,
    "detectors": detectors,
    "hair": hair_taggers,
    "own_networks": own_networks,
    "page": page,
}

if __name__ == "__main__":
    if unknown := [name for name in sys.argv[1:] if name not in BENCHES]:
        sys.exit(f"{unknown[0]}: no benchmark; give some of {' '.join(BENCHES)}")
    cv2.setNumThreads(1)
    for name in sys.argv[1:] or BENCHES:
        BENCHES[name]()
