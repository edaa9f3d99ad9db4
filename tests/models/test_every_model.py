"""Promises that every row of MODELS keeps, present and future. A new model is tested here without a line of its own.

1. Five steps of `tiny` take less than a minute, and write metrics, samples and plots at the steps asked for.
2. A run that was stopped and resumed equals an undisturbed one, to the bit. A step is random by its seed alone.
3. Two steps change every network and optimizer, and all that changes is in the checkpoint.
4. `sheet` and `validate` change nothing and repeat themselves.
5. In bf16 the weights stay fp32, and no forward pass uses a weight from before an update.
6. Micro-batches are summed; two processes compute what one does.
7. `exported()` has the names of the row, and what is loaded computes what the trainer's networks do.
8. Losses that are not finite stop the run with the last checkpoint intact, unless the trainer recovers.
9. Another model's checkpoint is refused.
10. There are four presets with horizons in steps, and the task that trains it exists.

Fields of Config that are read here: size, pictures, micro_batches, steps, sample_every, save_every; of models of clips
shape; where a model has them crop, degrade, augment, labels, domains, dropout, penalty_weight, spectral, minibatch_std
and relativistic.
"""

import contextlib
import copy
import io
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing
from torch import nn

from models import distributed
from models.contracts import HeldOut, HeldOutClips, HeldOutCrops
from models.data.dataset import CLIP_FRAMES, UserError
from models.data.resampling import SCALE
from models.runs import export
from models.seeds import seed_for
from models.training import checkpoint, logger, update
from models.training import loop as train
from models.zoo import MODELS

CPU = torch.device("cpu")
UNPLOTTED = (logger, "plot_metrics", lambda run: None)  # for a run of some steps, whose plots take longer than they do


class Noise:
    """batches(i): random pictures of one or more domains, or clips, a function of i; each process's share."""

    def __init__(self, config, poison_at: int | None = None):
        self.config, self.poison_at = config, poison_at
        self.roles = ("a", "b") if hasattr(config, "crop") else ("picture",)

    def __call__(self, i: int) -> dict[str, torch.Tensor]:
        rng = torch.Generator().manual_seed(seed_for("noise", i))
        count = self.config.pictures
        if domains := len(getattr(self.config, "domains", ())):
            shape = (self.config.batch_size, *[self.config.size] * 2, 3)
            keys = ("picture", "reference", "other_reference")
            batch = {key: torch.randint(256, shape, generator=rng).byte() for key in keys}
        elif hasattr(self.config, "region"):
            clips = random_clips(count, self.config.shape, seed_for("noise", i))
            batch = {"clip": clips.clips, "flow": clips.flow, "openness": clips.openness}
            batch = {key: torch.from_numpy(value) for key, value in batch.items()}
        elif hasattr(self.config, "degrade"):
            crops = random_crops(count, self.config.size, seed_for("noise", i))
            batch = {key: torch.from_numpy(value) for key, value in crops._asdict().items()}
        else:
            shape = (count, *[self.config.size] * 2, 3)
            batch = {key: torch.randint(256, shape, generator=rng).byte() for key in self.roles}
        if i == self.poison_at:
            batch = {key: value * torch.nan for key, value in batch.items()}
        if hasattr(self.config, "labels"):
            batch["label"] = torch.eye(len(self.config.labels))[torch.randint(9, (count,), generator=rng)]
        for key in ("label", "target") if domains else ():
            batch[key] = torch.eye(domains)[torch.randint(domains, (self.config.batch_size,), generator=rng)]
        return {key: distributed.shard(value) for key, value in batch.items()}


def random_clips(count: int, shape: tuple[int, int], seed: int) -> HeldOutClips:
    rng = np.random.default_rng(seed)
    clips = rng.integers(0, 256, (count, CLIP_FRAMES, *shape, 3), np.uint8)
    flow = rng.uniform(-1, 1, (*clips.shape[:4], 2)).astype(np.float32)
    return HeldOutClips(clips, flow, rng.random((count, CLIP_FRAMES), np.float32))


def random_crops(count: int, size: int, seed: int) -> HeldOutCrops:
    rng = np.random.default_rng(seed)
    return HeldOutCrops(*(rng.integers(0, 256, (count, side, side, 3), np.uint8) for side in (size, size // SCALE)))


def random_held_out(config) -> HeldOut | HeldOutClips | HeldOutCrops:
    if hasattr(config, "region"):
        return random_clips(3, config.shape, 0)
    if hasattr(config, "degrade"):
        return random_crops(3, config.size, 0)
    pictures = np.random.default_rng(0).integers(0, 256, (16, config.size, config.size, 3), np.uint8)
    count = len(getattr(config, "labels", ()) or getattr(config, "domains", ()))
    return HeldOut(pictures, np.eye(count, dtype=np.float32)[np.arange(16) % count] if count else None)


def build(name: str, **changes):
    """(config, trainer) of the tiny preset, on random held-out pictures or clips."""
    entry = MODELS[name]
    config = replace(entry.presets["tiny"], **changes)
    held_out = dict.fromkeys(entry.roles, random_held_out(config))
    torch.manual_seed(seed_for(0, "weights"))
    trainer = entry.trainer(config, CPU, held_out)
    if changes.get("augment") == "ada":
        trainer.augment.p.fill_(0.5)  # which changes images, and can rise and fall
    return config, trainer


def unshown(trainer):
    """The trainer without its sheets, which take as long as some steps: one run of each kind draws them."""
    trainer.sheet = lambda i: np.zeros((8, 8, 3), np.uint8)
    return trainer


def fit(name: str, run: Path, steps: int, changes: dict | None = None, *, is_shown: bool = False, **more) -> object:
    config, trainer = build(name, **(changes or {}))
    every = {"log_every": 1, "sample_every": 2, "save_every": 2}
    train.fit(trainer if is_shown else unshown(trainer), Noise(config), run, steps=steps, **(every | more))
    return trainer


def state(trainer) -> dict:
    file = io.BytesIO()
    torch.save({name: part.state_dict() for name, part in checkpoint.stateful_parts(trainer).items()}, file)
    return torch.load(io.BytesIO(file.getvalue()))


def the_same(a, b, *, rtol: float = 0, atol: float = 0) -> None:
    """Of checkpoints too, which hold a word and None."""
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            the_same(a[key], b[key], rtol=rtol, atol=atol)
    elif isinstance(a, (str, type(None))):
        assert a == b
    else:
        torch.testing.assert_close(a, b, rtol=rtol, atol=atol)


def untimed_metrics(run: Path) -> list[dict]:
    """The lines of metrics.jsonl without their seconds, which are of the machine."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").open()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


every_model = pytest.mark.parametrize("name", MODELS)
MORE: dict[str, dict] = {
    "acgan": {"mode_seeking": 0.1},
    "cgan-srresnet": {"upsample": "nearest", "average": 0.9, "squeeze": 2},
    "cgan-resblock": {"g_first": True, "g_batches": 2, "uniform_labels": True, "mode_seeking": 0.5},
    "sagan": {"narrow_values": True, "spectral_all": True, "average": 0.9},
    "pggan": {"networks": "paper", "fade_real": True, "g_first": False},
    "r3gan": {"penalty_every": 2},
    "blink-flow": {
        "region": "face",
        "refine": "none",
        "widths": (6, 8),
        "frames": 3,
        "own_colors": True,
        "levels": 2,
        "closing_first": True,
    },
    "videogan-cond": {"trial": "conv_lstm"},
    "ugatit": {"light": True, "recompute": True, "weights": "torch"},
    "stargan2": {"domains": ("a", "b", "c"), "gray": "anime", "diversity": "luminance"},
    "srgan": {"pretrain_steps": 4, "discriminator": "paper", "relativistic": True, "l1_weight": 0.1},
    "esrgan": {"pretrain_steps": 2, "network": "compact", "pretrain_schedule": "cosine", "pretrain_period": 2},
}
AUGMENTED = [name for name, entry in MODELS.items() if hasattr(entry.presets["tiny"], "augment")]
ADA = {"augment": "ada", "ada_pictures": 200}
CHANGES = [(name, MORE.get(name, {}) | ({"augment": "diff"} if name in AUGMENTED else {})) for name in MODELS]
PRESETS = [(name, ADA if name in AUGMENTED else {}) for name in MODELS]
VARIANTS = [
    *((name, changes) for name, changes in CHANGES if changes),
    ("pggan", {"first": 0, "fade": 1, "hold": 0}),  # grown up at the fourth step
    ("r3gan", {"augment": "ramp"}),
    *(("videogan-cond", {"trial": "clipped", "clipping": clipping}) for clipping in ("weights", "gradients")),
]
every_variant = pytest.mark.parametrize(
    ("name", "changes"), [*PRESETS, *(pytest.param(*variant, marks=pytest.mark.slow) for variant in VARIANTS)]
)
WITHOUT_NOISE = {"blink-flow", "videogan-cond", "ugatit", "srgan", "esrgan"}  # their chance is that of their batches
LEARNING_STEPS = {"pggan": (8, 9)}  # the two of which all layers learn, if it is not the first ones: it grows
WIDER: dict[str, dict] = {
    "pggan": {"latent": 48},
    "blink-flow": {"widths": (6, 8)},
    "videogan-cond": {"widths": (6, 8, 8, 8)},
    "seam-refiner": {"width": 6},
    "ugatit": {"width": 6},
    "stargan2": {"width": 4},
    "srgan": {"width": 6},
    "esrgan": {"width": 6},
}


@pytest.fixture(autouse=True)
def _unplotted(monkeypatch):
    monkeypatch.setattr(*UNPLOTTED)


@every_model
def test_five_steps_of_tiny_on_random_pictures_take_less_than_a_minute(name, tmp_path, monkeypatch):
    monkeypatch.undo()  # with its plot
    start = time.monotonic()
    fit(name, tmp_path, steps=5, is_shown=True)
    assert time.monotonic() - start < 60
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "loss"] == [1, 2, 3, 4, 5]
    assert [line["step"] for line in lines if line["kind"] == "score"] == [2, 4, 5]
    assert {path.name for path in (tmp_path / "samples").iterdir()} == {f"{step:06}.png" for step in (0, 2, 4, 5)}
    assert (tmp_path / "loss.png").stat().st_size > 1000
    assert any((tmp_path / "tensorboard").iterdir())


@pytest.mark.full(keep=1)
@every_variant
def test_stopping_and_going_on_changes_nothing(name, changes, tmp_path):
    for run, steps in (("whole", 6), ("halves", 3), ("halves", 6)):
        fit(name, tmp_path / run, steps, changes, is_shown=run == "whole", sample_every=3)
    the_same(*(checkpoint.read(tmp_path / run / "last.pt") for run in ("whole", "halves")))
    whole, halves = (untimed_metrics(tmp_path / run) for run in ("whole", "halves"))
    assert whole == halves
    the_same(*(checkpoint.read(tmp_path / run / "best.pt")["step"] for run in ("whole", "halves")))


@every_model
def test_every_network_learns_in_two_steps_and_the_optimizers_are_saved(name):
    config, trainer = build(name)
    before = state(trainer)
    for i in LEARNING_STEPS.get(name, range(2)):  # a branch that a gate of 0 closes at first learns in the second
        trainer.step(Noise(config)(i), i)
    after = state(trainer)
    networks = [part for part in checkpoint.stateful_parts(trainer) if isinstance(getattr(trainer, part), nn.Module)]
    assert len(networks) >= len(MODELS[name].networks)
    for part in networks:
        changed = [key for key in before[part] if not torch.equal(before[part][key], after[part][key])]
        assert len(changed) > len(before[part]) * 0.6, f"{part}: only {changed} moved"
    optimizers = [
        part for part in checkpoint.stateful_parts(trainer) if isinstance(getattr(trainer, part), torch.optim.Optimizer)
    ]
    assert optimizers
    assert all(after[part]["state"] for part in optimizers)


@every_model
def test_nothing_that_moves_is_left_out_of_the_checkpoint(name):
    """A second trainer that loads the first one's state makes the same next step, to the bit."""
    config, first = build(name)
    for i in range(2):
        first.step(Noise(config)(i), i)
    torch.manual_seed(7)
    second = MODELS[name].trainer(config, CPU, first.held_out)
    checkpoint.load_state(second, state(first), Path("of a test"))
    for trainer in (first, second):
        torch.manual_seed(5)
        trainer.step(Noise(config)(2), 2)
    the_same(state(first), state(second))


@pytest.mark.parametrize("name", AUGMENTED)
def test_ada_follows_what_d_says_of_real_images(name):
    config, trainer = build(name, **ADA)
    for i in range(4):
        trainer.step(Noise(config)(i), i)
    p = trainer.augment.state_dict()["p"].item()
    assert p == pytest.approx(0.5 + 4 * config.pictures / 200) or p == pytest.approx(0.5 - 4 * config.pictures / 200)


@every_model
def test_showing_and_judging_change_nothing(name):
    config, trainer = build(name)
    trainer.step(Noise(config)(0), 0)
    before = state(trainer)
    sheet = trainer.sheet(1)
    assert sheet.dtype == np.uint8
    assert sheet.ndim == 3
    assert (trainer.sheet(1) == sheet).all()
    assert trainer.validate(1) == trainer.validate(1)
    the_same(state(trainer), before)


@pytest.mark.full(keep=1)
@every_model
def test_the_seed_of_a_step_is_all_its_chance(name, tmp_path):
    fit(name, tmp_path / "a", steps=2)
    torch.manual_seed(123)
    fit(name, tmp_path / "b", steps=2)
    fit(name, tmp_path / "c", steps=2, seed=1)
    a, b, c = (checkpoint.read(tmp_path / run / "last.pt") for run in "abc")
    the_same(a, b)
    if name in WITHOUT_NOISE:
        the_same(a, c)
        return
    with pytest.raises(AssertionError):
        the_same(a, c)


@pytest.mark.full(keep=1)
@every_model
def test_in_bf16_weights_stay_fp32_and_no_forward_sees_a_weight_of_before_an_update(name, tmp_path):
    """The same as with an autocast that remembers nothing; and it is not fp32 after all."""
    fitted = fit(name, tmp_path / "bf16", steps=2, is_shown=True, precision="bf16")
    config, by_hand = build(name)
    for i in range(2):
        torch.manual_seed(seed_for(0, i))
        with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
            by_hand.step(Noise(config)(i), i)
    the_same(state(fitted), state(by_hand))
    with pytest.raises(AssertionError):
        the_same(state(fitted), state(fit(name, tmp_path / "fp32", steps=2)))
    for part in checkpoint.stateful_parts(fitted).values():
        if isinstance(part, nn.Module):
            assert {p.dtype for p in part.parameters()} == {torch.float32}


@pytest.fixture
def _fp64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@every_model
@pytest.mark.usefixtures("_fp64")
def test_micro_batches_are_summed(name):
    """Without statistics over the batch, or over looks, two halves give the gradient of the whole.

    In fp64: Adam's first step is as large for a gradient that rounding turned as for any other."""
    fields = ("penalty_weight", "spectral", "minibatch_std", "relativistic")
    without = {key: 0 for key in fields if hasattr(MODELS[name].presets["tiny"], key)}
    config, whole = build(name, micro_batches=1, **without)
    parted = build(name, micro_batches=2, **without)[1]
    losses = []
    for trainer in (whole, parted):
        for part in vars(trainer).values():
            if isinstance(part, nn.Module):
                for layer in part.modules():
                    if isinstance(layer, (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)):
                        layer.forward = lambda x: x * 0.9
        torch.manual_seed(0)
        losses.append(trainer.step(Noise(config)(0), 0))
    the_same(*losses, rtol=1e-6)  # those of the whole batch, not of its last part
    for (name, a), (_, b) in zip(state(whole).items(), state(parted).items(), strict=True):
        if name.startswith("opt"):
            averages = [[row["exp_avg"] for row in optimizer["state"].values()] for optimizer in (a, b)]
            torch.testing.assert_close(*averages, rtol=1e-6, atol=1e-12)


@pytest.mark.full
@every_variant
def test_two_processes_do_what_one_does(name, changes, tmp_path):
    for run, count in (("two", 2), ("one", 1)):
        arguments = name, changes, str(tmp_path / run), count
        torch.multiprocessing.start_processes(_in_fp64, arguments, count, start_method="forkserver")
    one, two = (checkpoint.read(tmp_path / run / "last.pt") for run in ("one", "two"))
    one["best"], two["best"] = one["best"]["step"], two["best"]["step"]  # a score is measured in fp32
    the_same(one, two, rtol=1e-6, atol=1e-9)
    losses = [[json.loads(line) for line in (tmp_path / run / "metrics.jsonl").open()] for run in ("one", "two")]
    assert [line["step"] for line in losses[0]] == [line["step"] for line in losses[1]]
    for a, b in zip(*losses, strict=True):
        assert a.pop("kind") == b.pop("kind")
        assert a.pop("seconds") > 0 < b.pop("seconds")
        assert a == pytest.approx(b, rel=1e-4)


def _in_fp64(rank: int, name: str, changes: dict, run: str, world: int) -> None:
    setattr(*UNPLOTTED)
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    changes = changes | ({"dropout": 0.0} if hasattr(MODELS[name].presets["tiny"], "dropout") else {})
    config, trainer = build(name, **changes, batch_size=4)  # two pictures for each process: fp64 is slow
    with contextlib.ExitStack() as group:
        if world == 1:
            unshown(trainer)
        else:
            store = torch.distributed.FileStore(run + ".store", world)
            group.enter_context(distributed.process_group("gloo", store=store, rank=rank, world_size=world))
        train.fit(trainer, Noise(config), Path(run), steps=3, log_every=1, sample_every=3, save_every=3)


@pytest.mark.full
def test_no_thread_of_a_group_is_left_after_it(tmp_path):
    """One that waits for Python's lock while Python ends takes the whole process with it."""
    code = f"""if True:
        import os, time
        import torch
        from models import distributed
        threads = lambda: {{open(f"/proc/self/task/{{t}}/comm").read().strip() for t in os.listdir("/proc/self/task")}}
        store = torch.distributed.FileStore({str(tmp_path / "store")!r}, 1)
        with distributed.process_group("gloo", store=store, rank=0, world_size=1):
            until = time.monotonic() + 60
            while not any("gloo" in name for name in threads()):  # a thread takes its name once it runs
                assert time.monotonic() < until, threads()
                time.sleep(0.01)
            torch.optim.Adam([torch.ones(1, requires_grad=True)])  # brings modules that know of groups
        assert not any("gloo" in name for name in threads()), threads()
    """
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_a_step_down_a_penalty_is_the_optimizers_own():
    """A gradient's gradient lies in another order in memory than the weights, which fused optimizers do not look at."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.LeakyReLU(), nn.Conv2d(8, 1, 3)).double()
    x = torch.randn(4, 3, 16, 16, dtype=torch.float64).to(memory_format=torch.channels_last)
    stepped = []
    for fused in (True, False):
        network = copy.deepcopy(layers).to(memory_format=torch.channels_last)
        optimizer = torch.optim.Adam(network.parameters(), 0.1, fused=fused)
        near = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(network(near).sum(), near, create_graph=True)
        loss = (slope.flatten(1).norm(dim=1) - 1).square().mean()
        if fused:
            update.update([optimizer], loss)
        else:
            loss.backward()
            optimizer.step()
        stepped.append([p.detach() for p in network.parameters()])
    torch.testing.assert_close(*stepped)


@every_model
def test_an_exported_network_computes_what_the_trainers_does(name, tmp_path):
    trainer = fit(name, tmp_path, steps=2)
    assert tuple(trainer.exported()) == MODELS[name].exported
    config = MODELS[name].presets["tiny"]
    labels = getattr(config, "labels", ())
    dataset = SETTINGS["dataset"] | ({"labels": dict.fromkeys(labels, 4), "left_out": 0} if labels else {})
    settings = SETTINGS | {"model": name, "config": vars(config), "dataset": dataset}
    export.export(tmp_path, trainer.exported(), settings, 2)
    network = export.load_network(tmp_path)
    rng = torch.Generator().manual_seed(0)
    if hasattr(network, "io_shapes"):
        inputs = [torch.rand(shape, generator=rng) for shape in network.io_shapes()[0]]
    else:
        inputs = [network.noise(3, rng), *([torch.eye(len(labels))[:3]] if labels else [])]
    main = next(iter(trainer.exported().values()))
    the_same(network(*inputs), main(*inputs))
    assert export.read_about(tmp_path)["steps"] == 2
    before = export.weights_sha256(tmp_path)
    export.export(tmp_path, trainer.exported(), settings, 2)
    assert export.weights_sha256(tmp_path) == before
    assert f"# {name}" in (tmp_path / "README.md").read_text()


SETTINGS = {"seed": 0, "preset": "tiny", "dataset": {"name": "noise", "digest": "0" * 64, "faces": 16}}


@pytest.mark.full(keep=1)
@every_model
def test_numbers_that_are_no_longer_finite_stop_the_run_and_leave_the_last_checkpoint(name, tmp_path):
    fit(name, tmp_path, steps=2)
    before = (tmp_path / "last.pt").read_bytes()
    config, trainer = build(name)
    with pytest.raises(UserError, match=r"at step 4; finite numbers"):
        train.fit(unshown(trainer), Noise(config, poison_at=3), tmp_path, steps=6, save_every=2, sample_every=2)
    assert (tmp_path / "last.pt").read_bytes() == before
    assert fit(name, tmp_path, steps=4)


@pytest.mark.full(keep=1)
@every_model
def test_a_trainer_may_recover(name, tmp_path):
    config, trainer = build(name)
    requested = []
    before = state(trainer)

    def recover(i: int) -> bool:
        requested.append(i)
        for part, held in before.items():
            getattr(trainer, part).load_state_dict(held)
        return True

    trainer.recover = recover
    every = {"log_every": 1, "save_every": 2, "sample_every": 2}
    train.fit(unshown(trainer), Noise(config, poison_at=1), tmp_path, steps=4, **every)
    assert requested == [1]
    assert checkpoint.read(tmp_path / "last.pt")["step"] == 4


@every_model
def test_another_models_checkpoint_is_refused(name, tmp_path):
    fit(name, tmp_path, steps=1)
    _, wider = build(name, **WIDER.get(name, {"latent": 24}))
    with pytest.raises(UserError, match=r"last\.pt: made by \w+, and its .* does not fit; .*--fresh"):
        checkpoint.load(tmp_path, wider)


@every_model
def test_presets_have_the_four_names_and_horizons_in_steps(name):
    names = list(MODELS[name].presets)
    more = ("modern", "light", "official", "compact")
    assert [preset for preset in names if preset not in more] == ["article", "paper", "small", "tiny"]
    for config in MODELS[name].presets.values():
        assert isinstance(config.steps, int)
        assert config.save_every % config.sample_every == 0


@every_model
def test_the_table_names_the_task_that_trains_it(name):
    import workflows

    assert MODELS[name].task.split()[0] in workflows.__all__
