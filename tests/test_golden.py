"""Digests of datasets, weights and pictures, which a change of names or places of code leaves as they are.

They hold for the versions of libraries, and the kind of processor, that stand beside them in golden.json. A change that
is meant to change them writes them anew: `python -m tests.test_golden`.
"""

import hashlib
import json
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest
import torch

from models.training import checkpoint
from pipeline.drawing.scenes import compose as scene
from pipeline.sources import drawn
from tests.support.fake_site import FakeSite
from tests.support.run_luigi import luigi

GOLDEN = Path(__file__).with_name("golden.json")
LIBRARIES = ("av", "numpy", "opencv-python-headless", "pillow", "pyarrow", "torch")
PICTURES = 50
MODELS = {
    "dcgan96": ("TrainDCGAN", "--variant", "96"),
    "dcgan128": ("TrainDCGAN", "--variant", "128"),
    "cgan-srresnet": ("TrainProjectionCGAN",),
    "cgan-resblock": ("TrainProjectionCGAN", "--generator", "resblock"),
    "acgan": ("TrainACGAN",),
    "sagan": ("TrainSAGAN",),
    "pggan": ("TrainPGGAN",),
    "r3gan": ("TrainR3GAN", "--augment", "ada"),
    "r3gan-colors": ("TrainR3GAN", "--labels", "colors"),
    "blink-flow": ("TrainBlinkUNet",),
    "videogan-cond": ("TrainVideoGAN",),
    "seam-refiner": ("TrainSeamRefiner",),
    "ugatit": ("TrainUGATIT", "--target-dataset", "folder"),
    "stargan2": ("TrainStarGAN2", "--datasets", "faces,folder"),
    "srgan": ("TrainSRGAN",),
    "esrgan": ("TrainESRGAN",),
}


def made_with() -> dict[str, str]:
    """Return the versions and the kind of processor, without which pixels and tensors differ in their last digits."""
    python = ".".join(platform.python_version_tuple()[:2])
    cpu = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    return {"python": python, "cpu": cpu} | {name: version(name) for name in LIBRARIES}


def digest_of_bytes(parts) -> str:
    """Return the sha256 of the parts behind each other."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def digest_of_dataset(folder: Path) -> str:
    """Return the digest of all rows of the manifest and the funnel, but for when and from which port they came."""
    tables = [pd.read_parquet(folder / name) for name in ("manifest.parquet", "funnel.parquet")]
    rows = [table.drop(columns=["fetched_at", "page_url", "file_url"], errors="ignore") for table in tables]
    return digest_of_bytes(table.to_json(orient="records", date_unit="ns").encode() for table in rows)


def digest_of_weights(run: Path) -> str:
    """Return the digest of all tensors of a run's last checkpoint, by their names."""
    found = []

    def walk(value, name: str) -> None:
        if isinstance(value, torch.Tensor):
            found.append(name.encode() + value.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        elif isinstance(value, dict):
            for key in sorted(value, key=str):
                walk(value[key], f"{name}/{key}")
        elif isinstance(value, (list, tuple)):
            for number, each in enumerate(value):
                walk(each, f"{name}/{number}")

    walk(checkpoint.read(run / "last.pt"), "")
    assert len(found) > 10
    return digest_of_bytes(found)


def digests(place: Path) -> dict[str, str]:
    """Return all digests, made in the folder `place`."""
    portraits = [drawn.draw(3, i)[0] for i in range(PICTURES)]
    scenes = [scene.draw(3, i).picture for i in range(PICTURES)]
    found = {
        "portraits": digest_of_bytes(portrait.tobytes() for portrait in portraits),
        "scenes": digest_of_bytes(pixels.tobytes() for pixels in scenes),
    }
    (place / "folder").mkdir()
    for number, portrait in enumerate(portraits[:12]):
        portrait.save(place / f"folder/{number:02}.png")
        (place / f"folder/{number:02}.txt").write_text("1girl, solo, blue hair" if number % 2 else "1girl, red_hair")
    files = [(place / f"folder/{number:02}.png").read_bytes() for number in range(12)]
    with FakeSite(12, pictures=lambda number: files[number % 12]) as site:
        lines = ["[web]", "contact = tests@example.org", "[safebooru]", f"base_url = {site.url}/safebooru", "rate = 0"]
        (place / "luigi.cfg").write_text("\n".join(lines))
        luigi(place, "BuildFaceDataset", "--limit", "36", "--size", "64")
        luigi(place, "BuildFaceDataset", "--name", "folder", "--source", "folder", "--path", "folder", "--size", "64")
        query = ("--source", "safebooru", "--query", "1girl solo")
        luigi(place, "BuildFaceDataset", "--name", "booru", *query, "--size", "64", "--near-duplicates", "drop")
    luigi(place, "BuildBlinkDataset", "--limit", "4")
    luigi(place, "BuildImageDataset", "--limit", "12")
    for name in ("faces", "folder", "booru", "blinks", "art"):
        found[f"dataset {name}"] = digest_of_dataset(place / "data/datasets" / name)
    for name, task in MODELS.items():
        luigi(place, *task, "--preset", "tiny", "--steps", "3", "--run", name, "--device", "cpu")
        found[f"weights {name}"] = digest_of_weights(place / "data/runs" / name)
    return found


@pytest.mark.slow
def test_datasets_weights_and_pictures_are_those_of_before(tmp_path):
    golden = json.loads(GOLDEN.read_text())
    if golden["made_with"] != made_with():
        pytest.skip(f"the digests are of {golden['made_with']}, this is {made_with()}")
    assert digests(tmp_path) == golden["digests"]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        GOLDEN.write_text(json.dumps({"made_with": made_with(), "digests": digests(Path(place))}, indent=1) + "\n")
    print(GOLDEN.read_text())
