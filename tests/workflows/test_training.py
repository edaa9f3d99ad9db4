"""The Train… tasks, and those that use a run, as their users meet them: through the command line."""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from models.training import checkpoint
from pipeline.marking import is_generated
from tests.support.run_luigi import error_line, last_line, luigi, luigi_process

ROOT = Path(__file__).parents[2]


TINY = ("TrainDCGAN", "--preset", "tiny")
RUN = Path("data/runs/dcgan96-faces-tiny")


def state(run: Path) -> dict:
    return checkpoint.read(run / "last.pt")


def equal(a: Path, b: Path) -> None:
    from tests.models.test_every_model import the_same, untimed_metrics

    the_same(state(a), state(b))
    assert untimed_metrics(a) == untimed_metrics(b)
    assert (a / "model.safetensors").read_bytes() == (b / "model.safetensors").read_bytes()


def test_a_run_has_all_its_files(trained):
    run = trained / RUN
    used = {"generated", "evaluation.json", "attributes.json"}  # by other tests
    assert {path.name for path in run.iterdir()} - used == {
        "config.json",
        "metrics.jsonl",
        "loss.png",
        "samples",
        "last.pt",
        "best.pt",
        "checkpoints",
        "model.safetensors",
        "README.md",
        "tensorboard",
    }
    assert state(run)["step"] == 20
    assert [path.name for path in sorted((run / "samples").iterdir())] == ["000000.png", "000010.png", "000020.png"]
    assert Image.open(run / "samples/000020.png").size == (320, 320)
    assert all(map(is_generated, (run / "samples").iterdir()))
    settings = json.loads((run / "config.json").read_text())
    assert settings["config"]["steps"] == 20
    assert settings["dataset"]["name"] == "faces"


def test_the_other_variant_trains(place):
    luigi(place, "TrainDCGAN", "--variant", "128", "--preset", "tiny", "--steps", "2")
    assert (place / "data/runs/dcgan128-faces-tiny/model.safetensors").exists()


@pytest.mark.full
def test_a_second_training_does_nothing_and_a_longer_one_goes_on(place):
    luigi(place, *TINY, "--steps", "10")
    assert "Did not run any tasks" in luigi(place, *TINY, "--steps", "10").stderr
    luigi(place, *TINY, "--steps", "20")
    luigi(place, *TINY, "--steps", "20", "--run", "straight")
    assert state(place / RUN)["step"] == 20
    equal(place / RUN, place / "data/runs/straight")


@pytest.mark.full
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--seed", "1"], "seed 0, now 1"),
        (["--batch-size", "4"], "batch size 8, now 4"),
        (["--precision", "bf16"], "precision fp32, now bf16"),
        (["--preset", "small"], "size 32, now 64"),
    ],
)
def test_changed_settings_are_refused_by_name(change, words, trained):
    before = state(trained / RUN)["step"]
    line = error_line(trained, *TINY, "--run", RUN.name, *change)
    assert line.startswith(f"error: {RUN}: was trained with ")
    assert words in line
    assert state(trained / RUN)["step"] == before


@pytest.mark.full
def test_fresh_moves_the_old_run_aside(place):
    luigi(place, *TINY, "--steps", "10")
    luigi(place, *TINY, "--steps", "10", "--seed", "1", "--fresh")
    assert json.loads((place / RUN / "config.json").read_text())["seed"] == 1
    assert json.loads((place / f"{RUN}.old1" / "config.json").read_text())["seed"] == 0


@pytest.mark.slow
def test_fresh_leaves_the_old_run_where_the_new_one_cannot_start(place):
    luigi(place, *TINY, "--steps", "10")
    luigi(place, "TrainDCGAN", "--variant", "128", "--preset", "tiny", "--steps", "1", "--run", "other")
    line = error_line(place, *TINY, "--steps", "10", "--fresh", "--init-from", "other")
    assert "made by DCGAN128" in line
    assert state(place / RUN)["step"] == 10
    assert {path.name for path in (place / "data/runs").iterdir() if path.is_dir()} == {RUN.name, "other"}


@pytest.mark.full
def test_init_from_takes_the_weights_of_another_run(place, trained):
    (place / "data/runs").mkdir(parents=True)
    shutil.copytree(trained / RUN, place / "data/runs/first")
    luigi(place, *TINY, "--run", "second", "--init-from", "first", "--steps", "1", "--seed", "9")
    first, second = (state(place / "data/runs" / name) for name in ("first", "second"))
    name = "layers.0.weight"
    distance = (first["g"][name] - second["g"][name]).abs().max().item()
    assert 0 < distance < 1e-2  # one step away
    assert second["step"] == 1
    shutil.rmtree(place / "data/runs/first")  # it is not needed any more
    luigi(place, *TINY, "--run", "second", "--init-from", "first", "--steps", "2", "--seed", "9")
    assert json.loads((place / "data/runs/second/config.json").read_text())["init_from"].keys() == {"run", "sha256"}
    assert luigi(place, *TINY, "--run", "third", "--init-from", "nosuch", check=False).returncode != 0


def faults(place: Path) -> dict[str, tuple[list[str], str]]:
    return {
        "no dataset": (["--dataset", "nosuch"], "--dataset nosuch: there is no"),
        "run that leaves": (["--run", "../x"], "--run: '../x' given"),
        "steps": (["--steps", "-1"], "--steps: -1 given"),
        "processes": (["--processes", "0"], "--processes: 0 given"),
        "odd batch": (["--processes", "2", "--batch-size", "7"], "--batch-size: 7 given"),
        "device": (["--device", "cuda:7"], "--device: cuda:7 given"),
        "no device": (["--device", "toaster"], "--device: toaster given"),
        "a device we do not know": (["--device", "mps"], "--device: mps given"),
        "batch of one": (["--batch-size", "1"], "--batch-size: 1 given"),
        "odd halves": (["--variant", "128", "--batch-size", "9", "--processes", "2"], "--batch-size: 9 given"),
        "no preset": (["--preset", "big"], "--preset: 'big' given; one of auto article paper modern light small tiny"),
        "no variant": (["--variant", "64"], "--variant: '64' given; one of 96 128"),
        "dataset that leaves": (["--dataset", "../x"], "--dataset: '../x' given"),
        "weights that leave": (["--init-from", "../x"], "--init-from: '../x' given"),
    }


@pytest.mark.full(keep=2)
@pytest.mark.parametrize("failure", list(faults(Path())))
def test_each_failure_is_one_clear_line(failure, place):
    options, words = faults(place)[failure]
    line = error_line(place, *TINY, *options)
    assert line.startswith("error: ")
    assert words in line
    assert line.count("; ") >= 2


@pytest.mark.full
@pytest.mark.parametrize("damage", ["truncated", "another model's", "no pictures", "empty manifest", "settings"])
def test_what_is_damaged_is_one_clear_line_and_nothing_is_lost(damage, trained, tmp_path):
    shutil.copytree(trained / "data" / "runs", tmp_path / "data" / "runs")
    faces = tmp_path / "data" / "datasets" / "faces"
    shutil.copytree((trained / "data/datasets/faces").resolve(), faces)
    last = tmp_path / RUN / "last.pt"
    options = [*TINY, "--steps", "30"]
    if damage == "truncated":
        whole = last.read_bytes()
        last.unlink()
        last.write_bytes(whole[:1000])
        words = f"{RUN / 'last.pt'}: damaged"
    elif damage == "another model's":
        luigi(tmp_path, "TrainDCGAN", "--variant", "128", "--preset", "tiny", "--steps", "10")
        last.unlink()
        shutil.copy(tmp_path / "data/runs/dcgan128-faces-tiny/last.pt", last)
        words = f"{RUN / 'last.pt'}: made by DCGAN128"
    elif damage == "settings":
        (tmp_path / RUN / "config.json").write_text('{"model": ')
        words = f"{RUN / 'config.json'}: damaged"
    elif damage == "no pictures":
        shutil.rmtree(faces / "faces")
        shutil.rmtree(tmp_path / "data" / "cache", ignore_errors=True)
        words = "there is no such file; the picture of a row"
    else:
        import pyarrow.parquet as pq

        pq.write_table(pq.read_table(faces / "manifest.parquet").slice(0, 0), faces / "manifest.parquet")
        words = "holds no face"
    before = last.read_bytes()
    line = error_line(tmp_path, *options)
    assert line.startswith("error: ")
    assert words in line
    assert last.read_bytes() == before


@pytest.mark.slow
def test_a_full_disk_while_saving_is_one_clear_line_and_the_checkpoint_before_stays(place):
    luigi(place, *TINY, "--steps", "10")
    before = (place / RUN / "last.pt").read_bytes()
    limit = len(before) - 1000

    def narrow():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    line = last_line(luigi_process(place, *TINY, "--steps", "20", preexec_fn=narrow))
    assert line.startswith("error: ")
    assert "File too large" in line
    assert (place / RUN / "last.pt").read_bytes() == before
    luigi(place, *TINY, "--steps", "20")
    luigi(place, *TINY, "--steps", "20", "--run", "straight")
    equal(place / RUN, place / "data/runs/straight")


@pytest.mark.slow
def test_a_full_disk_of_one_of_two_processes_is_one_clear_line(place):
    def narrow():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    (place / "data/cache").mkdir()
    luigi(place, *TINY, "--steps", "1", "--run", "for-the-cache")
    line = last_line(luigi_process(place, *TINY, "--steps", "4", "--processes", "2", preexec_fn=narrow))
    assert line.startswith(f"error: {RUN / 'best.pt'}: File too large")  # it is written first


@pytest.mark.full
def test_two_processes_train_one_run(place):
    luigi(place, *TINY, "--steps", "4", "--processes", "2", "--sample-every", "2", "--save-every", "2")
    luigi(place, *TINY, "--steps", "4", "--run", "one", "--sample-every", "2", "--save-every", "2")
    two, one = ([json.loads(line) for line in (place / run / "metrics.jsonl").open()] for run in (RUN, "data/runs/one"))
    assert [line["step"] for line in two] == [line["step"] for line in one]
    assert two[0]["d"] == pytest.approx(one[0]["d"], rel=1e-4)


def start(place: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "luigi", "--module", "workflows", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=place, env=environment, stderr=subprocess.PIPE, text=True)


def wait_for(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)


@pytest.mark.full
def test_ctrl_c_saves_and_the_next_start_goes_on(place):
    options = [*TINY, "--steps", "3000", "--sample-every", "1000", "--save-every", "1000"]
    process = start(place, *options)
    wait_for(lambda: (place / RUN / "metrics.jsonl").exists() and (place / RUN / "metrics.jsonl").stat().st_size)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, words = process.communicate(timeout=60)
    assert process.returncode != 0
    assert words.strip().splitlines()[-1].startswith("error: keyboard: interrupted; what was done is kept")
    assert 0 < state(place / RUN)["step"] < 3000


@pytest.mark.slow
def test_ctrl_c_saves_a_run_of_two_processes(place):
    options = [*TINY, "--steps", "3000", "--sample-every", "1000", "--save-every", "1000", "--processes", "2"]
    process = start(place, *options)
    wait_for(lambda: (place / RUN / "metrics.jsonl").exists() and (place / RUN / "metrics.jsonl").stat().st_size)
    process.send_signal(signal.SIGINT)
    _, words = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Traceback" not in words
    assert words.strip().splitlines()[-1].startswith("error: keyboard: interrupted; what was done is kept")
    assert 0 < state(place / RUN)["step"] < 3000
    luigi(place, "GenerateFaces", "--run", RUN.name, "--count", "1")  # with what is there


@pytest.mark.parametrize("pause", [0.7, 1.5, 2.2])
@pytest.mark.full
def test_ctrl_c_while_it_starts_is_reported_as_such(pause, place):
    process = start(place, *TINY, "--steps", "3000", "--sample-every", "1000", "--save-every", "1000")
    time.sleep(pause)
    process.send_signal(signal.SIGINT)
    _, words = process.communicate(timeout=60)
    assert process.returncode != 0
    if pause > 1:  # before that it is Python that is interrupted, as it imports Luigi
        assert words.strip().splitlines()[-1].startswith("error: keyboard: interrupted")


def kill_and_go_on(place: Path, steps: int, pauses: list[float]) -> int:
    """Kill a training after each pause from its first step on, then let it end; how many kills hit."""
    options = [*TINY, "--run", "killed", "--steps", str(steps), "--sample-every", "10", "--save-every", "5"]
    run, hits = place / "data/runs/killed", 0
    for pause in pauses:
        process = start(place, *options)
        time.sleep(pause)
        if process.poll() is None:
            hits += 1
        process.kill()  # the task alone: its child must end with it
        process.communicate()
    luigi(place, *options)
    luigi(place, *TINY, "--run", "straight", "--steps", str(steps), "--sample-every", "10", "--save-every", "5")
    equal(run, place / "data/runs/straight")
    steps_printed = [(line["step"], line["kind"]) for line in map(json.loads, (run / "metrics.jsonl").open())]
    assert len(steps_printed) == len(set(steps_printed))
    assert steps_printed == sorted(steps_printed, key=lambda pair: (pair[0], pair[1] == "score"))
    return hits


@pytest.mark.full
def test_killed_and_started_again_the_run_is_the_same(place):
    assert kill_and_go_on(place, 120, [4.5, 5.0]) == 2


@pytest.mark.slow
def test_killed_at_many_moments_the_run_is_the_same(place):
    rng = random.Random(0)
    assert kill_and_go_on(place, 600, [rng.uniform(0.5, 7.0) for _ in range(16)]) >= 10


@pytest.mark.slow
def test_a_run_is_trained_by_one_process_at_a_time(place):
    options = [*TINY, "--steps", "5000", "--sample-every", "1000", "--save-every", "1000"]
    process = start(place, *options)
    try:
        wait_for(lambda: (place / RUN / "metrics.jsonl").exists())
        line = error_line(place, *options)
        assert "is being trained by another process" in line
    finally:
        process.kill()
        process.communicate()


def texts(path: Path) -> dict[str, str]:
    with Image.open(path) as picture:
        picture.load()
        return picture.text


@pytest.mark.full
def test_faces_are_generated_from_seeds_and_say_how(trained):
    luigi(trained, "GenerateFaces", "--run", RUN.name, "--count", "5", "--seed", "7")
    made = trained / RUN / "generated"
    assert sorted(path.name for path in (made / "faces").iterdir()) == [f"{seed:06}.png" for seed in range(7, 12)]
    about = texts(made / "faces" / "000009.png")
    assert about["run"] == RUN.name
    assert about["seed"] == "9"
    assert len(about["weights"]) == 64
    assert about["condition"] == "none"
    before = (made / "faces" / "000009.png").read_bytes()
    luigi(trained, "GenerateFaces", "--run", RUN.name, "--count", "1", "--seed", "9")
    assert Image.open(made / "faces" / "000009.png").tobytes() == Image.open(__import__("io").BytesIO(before)).tobytes()
    assert "Did not run any" in luigi(trained, "GenerateFaces", "--run", RUN.name, "--count", "5", "--seed", "7").stderr


@pytest.mark.full
def test_a_line_between_two_seeds_begins_and_ends_with_them(trained):
    luigi(trained, "InterpolateLatents", "--run", RUN.name, "--start", "7", "--end", "8", "--count", "6")
    luigi(trained, "GenerateFaces", "--run", RUN.name, "--count", "2", "--seed", "7")
    made = trained / RUN / "generated"
    assert is_generated(made / "line-7-8-6.png")
    strip = Image.open(made / "line-7-8-6.png")
    assert strip.size == (6 * 32, 32)
    for seed, left in ((7, 0), (8, 5 * 32)):
        face = Image.open(made / "faces" / f"{seed:06}.png")
        assert strip.crop((left, 0, left + 32, 32)).tobytes() == face.tobytes()
    with Image.open(made / "line-7-8-6.gif") as moving:  # like frames in a row are one in a GIF, shown longer
        shown = [frame.info["duration"] for frame in ImageSequence.Iterator(moving)]
    assert sum(shown) == pytest.approx(46 * 83, rel=0.05)  # 2 s there; a GIF counts in 10 ms


@pytest.mark.slow
def test_what_was_made_with_other_weights_is_made_again(place):
    luigi(place, *TINY, "--steps", "10")
    luigi(place, "GenerateFaces", "--run", RUN.name, "--count", "1")
    before = texts(place / RUN / "generated" / "faces-0-1.png")["weights"]
    luigi(place, *TINY, "--steps", "20")
    luigi(place, "GenerateFaces", "--run", RUN.name, "--count", "1")
    assert texts(place / RUN / "generated" / "faces-0-1.png")["weights"] != before


@pytest.mark.full
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["GenerateFaces", "--run", "nosuch"], "has no model.safetensors"),
        (["GenerateFaces", "--run", "../x"], "'../x' given"),
        (["GenerateFaces", "--run", RUN.name, "--count", "0"], "--count: 0 given"),
        (["ApplyAttributes", "--run", RUN.name, "--attribute", "../x"], "--attribute: ../x given"),
        (["LearnAttributes", "--run", RUN.name, "--samples", "10"], "--samples: 10 given"),
    ],
)
def test_wrong_use_of_a_run_is_one_clear_line(arguments, words, trained):
    line = error_line(trained, *arguments)
    assert line.startswith("error: ")
    assert words in line


def test_attributes_are_learned_and_applied(trained, monkeypatch):
    """With a tagger, and a classifier of the dataset's tags, that see something in the noise that a tiny run paints."""
    import luigi as in_process

    from models import evaluation
    from models.sampling import probe
    from pipeline.hair import tagging as hair
    from workflows import ApplyAttributes, LearnAttributes

    def names(pictures, frame):
        assert frame == (1.5, None, None)
        brightness = pictures.mean((1, 2, 3))
        return ["blue" if value > np.median(brightness) else None for value in brightness]

    def has_smile(brightness):
        return [{"smile"} if value > np.median(brightness) else set() for value in brightness]

    monkeypatch.setattr(hair, "names", names)
    monkeypatch.setattr(evaluation, "extract_features", lambda pictures, *_: pictures.mean((1, 2, 3)))
    monkeypatch.setattr(probe, "learn_tags", lambda faces, extract: (has_smile, {"smile": 0.9}))
    root, made = trained / "data", trained / RUN / "attributes.json"
    learn = LearnAttributes(run=RUN.name, data_root=root, samples=2500, seed=3)
    sheet = ApplyAttributes(run=RUN.name, data_root=root, attribute="blue_hair", strength=3.0, count=4)
    for task in (learn, sheet):
        assert in_process.build([task], local_scheduler=True, log_level="ERROR")
    learned = json.loads(made.read_text())
    assert (learned["samples"], learned["seed"]) == (2500, 3)  # not learned again with the defaults
    assert 30 < learned["counts"]["blue_hair"] < 2470
    assert learned["counts"]["smile"] == learned["counts"]["blue_hair"]
    assert learned["tag_accuracy"] == {"smile": 0.9}
    assert learned["obedience"].keys() == learned["vectors"].keys() == {"blue_hair", "smile"}
    assert len(learned["obedience"]["blue_hair"]) == len(learned["obedience_strengths"]) == 4
    assert Image.open(sheet.file).size == (6 * 32, 4 * 32)
    assert is_generated(sheet.file)
    assert learn.complete()
    assert sheet.complete()
    assert not LearnAttributes(run=RUN.name, data_root=root, samples=2501, seed=3).complete()
    wrong = ("ApplyAttributes", "--run", RUN.name, "--attribute", "no_such")
    refused = "error: --attribute no_such: no vector was learned for it; "
    assert error_line(trained, *wrong) == refused + "one of: blue_hair smile; give another"
    made.write_text(json.dumps(learned | {"vectors": {}}))
    assert error_line(trained, *wrong).startswith(refused + "one that enough samples have, and lack; give LearnAttr")
    made.write_text(json.dumps(learned | {"counts": {}}))
    assert not sheet.complete()  # of other attributes
    made.unlink()


@pytest.mark.full
def test_a_full_disk_while_faces_are_generated_is_one_clear_line(trained):
    def narrow():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))

    line = last_line(
        luigi_process(trained, "GenerateFaces", "--run", RUN.name, "--count", "3", "--seed", "70", preexec_fn=narrow)
    )
    assert "000070.png: File too large" in line
    assert not list((trained / RUN / "generated").rglob("*.part"))


def test_attribute_vectors_are_the_mean_with_less_the_mean_without():
    from models.papers.dcgan import PRESETS96, Generator96
    from models.sampling import attributes

    torch.manual_seed(0)
    network = Generator96(PRESETS96["tiny"]).eval()
    seen = []

    def label(pictures):
        first = len(seen)
        seen.extend(pictures)
        return [{"even"} | ({"rare"} if i < 3 else set()) if i % 2 == 0 else set() for i in range(first, len(seen))]

    vectors, counts = attributes.attribute_vectors(network, label, samples=250, seed=4)
    assert counts == {"even": 125, "rare": 2}
    assert set(vectors) == {"even"}  # the other is too thin
    from models.seeds import seed_for

    rng = torch.Generator().manual_seed(seed_for("attributes", 4))
    z = torch.cat([network.noise(n, rng) for n in (100, 100, 50)])
    torch.testing.assert_close(torch.from_numpy(vectors["even"]), z[0::2].mean(0) - z[1::2].mean(0))


def test_attributes_are_applied_by_the_articles_rule():
    from models.sampling.attributes import apply_attributes

    uniform, normal = SimpleNamespace(), SimpleNamespace(normal=True)
    z0, vector = torch.tensor([[0.9, -0.2]]), torch.tensor([0.4, -0.6])
    torch.testing.assert_close(apply_attributes(uniform, z0, [(vector, 0.5)]), torch.tensor([[1.0, -0.5]]))  # clipped
    torch.testing.assert_close(apply_attributes(normal, z0, [(vector, 0.5)]), torch.tensor([[1.1, -0.5]]))
    moved = apply_attributes(uniform, z0, [(vector, -0.5)], strength=0.0)
    torch.testing.assert_close(moved, torch.tensor([[-0.2, 0.3]]))
