"""A run's folder, and the arrays of the cache, as a power cut or somebody else left them: each is one clear line, or
the training goes on. Nothing takes more memory than its file has bytes."""

import io
import json
import os
import resource
import struct
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

from models.data.dataset import Dataset, UserError
from models.nn.plan import planned
from models.runs import card, export, settings
from models.sampling import attributes, save
from models.training import checkpoint
from models.training import logger as journal
from models.training import loop as train
from models.zoo import MODELS
from pipeline.errors import DISK_ERRORS
from pipeline.store import remove
from tests.models.training.test_loop import Line, no_batches

DEEP = b"[" * 100_000


def run_settings(**changes) -> dict:
    config = json.loads(json.dumps(asdict(MODELS["dcgan96"].presets["tiny"])))
    dataset = {"name": "faces", "digest": "0" * 64, "faces": 8, "size": 32, "box_scale": 1.5}
    held = {"model": "dcgan96", "preset": "tiny", "config": config, "seed": 0, "precision": "fp32", "init_from": None}
    return held | {"dataset": dataset} | changes


def write(path: Path, content: object) -> None:
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe{}",
        DEEP,
        b"[]",
        b"9" * 6000,
        run_settings(init_from="x"),
        run_settings(config=[]),
        run_settings(seed="0"),
        run_settings(config={"steps": "x"}),
        run_settings(config={"steps": None}),
        run_settings(config={"steps": 1e12}),
        run_settings(config={"widths": [[1]]}),
        run_settings(config={"widths": {"a": 1}}),
        run_settings(dataset={"name": 1}),
        run_settings(dataset={"name": "faces", "digest": None}),
        run_settings(model={}),
        run_settings(precision=["fp32"]),
    ],
)
def test_settings_that_are_damaged_are_one_clear_line(content, tmp_path):
    write(tmp_path / "config.json", content)
    with pytest.raises(UserError, match=r"config\.json: damaged \(.*; start anew with --fresh$"):
        settings.read_settings(tmp_path)


def test_a_run_of_a_later_version_is_refused_and_kept(tmp_path):
    config = run_settings()["config"] | {"taps": 4}
    write(tmp_path / "config.json", run_settings(config=config))
    weights_of(tmp_path, taps=4)
    refused = r"{}: has the setting taps, which this version does not know; .*; use the version that wrote it"
    with pytest.raises(UserError, match=refused.format(r"config\.json")):
        settings.read_settings(tmp_path)
    for read in (export.read_about, export.load_network, export.plan_network):
        with pytest.raises(UserError, match=refused.format(r"model\.safetensors")):
            read(tmp_path)


def test_weights_with_the_settings_of_another_model_are_refused(tmp_path):
    weights_of(tmp_path, model="acgan")
    with pytest.raises(
        UserError, match=r"model\.safetensors: has the setting classes, which this version does not know"
    ):
        export.load_network(tmp_path)


def test_settings_of_another_model_are_other_settings(tmp_path):
    write(tmp_path / "config.json", run_settings(model="nosuch", preset="odd", init_from={"run": "first"}))
    held = settings.read_settings(tmp_path)
    assert settings.differences(held, run_settings())[0] == "model nosuch, now dcgan96"


# --- metrics.jsonl


GOOD = [{"step": step, "kind": "loss", "d": 0.5, "g": None} for step in (1, 2, 3)]


@pytest.mark.parametrize(
    "line",
    [
        b"{}",
        b"1",
        b"\xff\xfe",
        DEEP,
        b'{"step": 2, "kind": "lo',
        b'{"step": "x", "kind": "loss"}',
        b"null",
        b"[]",
        b'{"step": -1, "kind": "loss"}',
        b'{"step": 2, "kind": "other"}',
        b'{"step": 2, "kind": "loss", "d": "x"}',
        b'{"step": 2, "kind": "loss", "d": NaN}',
        b'{"step": 2, "kind": "loss", "d": 1e200}',
        b"\0" * 70_000,
        b'{"step": 2, "kind": "loss", "$\\\\frac{$": 1}',
        b'{"step": 2, "kind": "loss", "d": {"e": 1}}',
    ],
)
def test_a_damaged_line_of_losses_is_left_out_and_the_others_stay(line, tmp_path):
    good = [json.dumps(each).encode() for each in GOOD]
    (tmp_path / "metrics.jsonl").write_bytes(b"\n".join([good[0], line, *good[1:]]) + b"\n")
    assert journal.read_metrics(tmp_path) == GOOD
    with journal.RunLogger(tmp_path, 2, 4, 1) as after:
        after.log_losses(4, {"d": torch.tensor(1.0)})
    assert [each["step"] for each in journal.read_metrics(tmp_path)] == [1, 2, 4]
    journal.plot_metrics(tmp_path)
    assert "not finite" in card.model_card(tmp_path, run_settings(), 4) or "g" not in journal.read_metrics(tmp_path)[-1]


def test_losses_of_other_names_are_drawn_too(tmp_path):
    rows = [{"step": 1, "kind": "loss", "d": 1.0}, {"step": 2, "kind": "loss", "e": 1.0}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    journal.plot_metrics(tmp_path)
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["metrics.jsonl", "samples", "tensorboard", "checkpoints", "last.pt"])
def test_what_is_gone_or_of_another_kind_is_reported_by_name(name, tmp_path):
    train.fit(Line(), no_batches, tmp_path, steps=2)
    path = tmp_path / name
    remove(path)
    if name == "last.pt":
        path.mkdir()
    elif name == "metrics.jsonl":
        os.mkfifo(path)
    else:
        path.write_bytes(b"x")
    with pytest.raises((UserError, OSError)) as caught:
        train.fit(Line(), no_batches, tmp_path, steps=4, sample_every=2, save_every=2)
    assert name in str(caught.value)
    if isinstance(caught.value, OSError):
        assert caught.value.errno in DISK_ERRORS


def test_losses_and_samples_that_are_gone_are_begun_anew(tmp_path):
    train.fit(Line(), no_batches, tmp_path, steps=2)
    for name in ("metrics.jsonl", "samples", "tensorboard", "loss.png", "README.md"):
        remove(tmp_path / name)
    train.fit(Line(), no_batches, tmp_path, steps=4, log_every=1)
    assert [line["step"] for line in journal.read_metrics(tmp_path)] == [3, 4]


@pytest.mark.parametrize(
    "name", ["metrics.jsonl", ".last.pt.part", "loss.png", "samples/000004.png", ".metrics.jsonl.part"]
)
def test_nothing_is_written_through_a_link(name, tmp_path):
    run, outside = tmp_path / "run", tmp_path / "outside"
    train.fit(Line(), no_batches, run, steps=2)
    outside.write_text("mine")
    remove(run / name)
    (run / name).symlink_to(outside)
    train.fit(Line(), no_batches, run, steps=4, log_every=1, sample_every=2)
    assert outside.read_text() == "mine"


def test_checkpoints_of_another_name_or_behind_a_link_are_not_removed(tmp_path):
    for name in ("mine.pt", "².pt"):
        (tmp_path / "run" / "checkpoints").mkdir(parents=True, exist_ok=True)
        (tmp_path / "run" / "checkpoints" / name).write_bytes(b"x")
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for step in range(5):
        (theirs / f"{step:06}.pt").write_bytes(b"x")
    for step in range(10, 16):
        checkpoint.save(tmp_path / "run", Line(), step)
    found = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}
    assert found == {"mine.pt", "².pt", "000013.pt", "000014.pt", "000015.pt"}
    remove(tmp_path / "run" / "checkpoints")
    (tmp_path / "run" / "checkpoints").symlink_to(theirs)
    checkpoint.save(tmp_path / "run", Line(), 20)
    assert len(list(theirs.iterdir())) == 6


# --- last.pt


def adam_line() -> Line:
    line = Line()
    line.optimizer = torch.optim.Adam(line.line.parameters(), fused=True)
    return line


def packed(data: bytes) -> bytes:
    """The same archive, with its members deflated, and one more that grows a thousandfold."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            new.writestr(member.filename, old.read(member))
        new.writestr("archive/data/9", bytes(1 << 24))
    return file.getvalue()


def changed(held: dict, where: str, value: object) -> dict:
    *parents, last = where.split(".")
    place = held
    for key in parents:
        place = place[int(key) if key.isdigit() else key]
    if value is KeyError:
        del place[last]
    else:
        place[last] = value
    return held


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("step", -5),
        ("step", 10**12),
        ("step", True),
        ("best", {}),
        ("best", {"step": 1, "score": None}),
        ("trainee", 1),
        ("best", KeyError),
        ("best", 3),
        ("trainee", "\ud800"),
    ],
)
def test_a_checkpoint_of_odd_values_is_none_of_ours(where, value, tmp_path):
    train.fit(adam_line(), no_batches, tmp_path, steps=2)
    torch.save(changed(checkpoint.read(tmp_path / "last.pt"), where, value), tmp_path / "last.pt")
    with pytest.raises(UserError, match=r"last\.pt: holds something else; .*; copy .*000002\.pt to it"):
        train.fit(adam_line(), no_batches, tmp_path, steps=4)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("line.weight", torch.zeros(1).expand(1 << 40)),
        ("line.weight", torch.zeros(1, 1, dtype=torch.complex64)),
        ("line.more", torch.zeros(1)),
        ("line", []),
        ("optimizer.state.0.exp_avg", KeyError),
        ("optimizer.state.0.exp_avg", torch.zeros(1).expand(1 << 40)),
        ("optimizer.state.0.step", 3),
        ("optimizer.state", []),
        ("optimizer.param_groups", []),
        ("optimizer.param_groups.0.fused", "x"),
        ("optimizer.param_groups.0.foreach", True),
        ("optimizer.param_groups.0.lr", float("nan")),
        ("optimizer.param_groups.0.lr", "1"),
        ("optimizer.param_groups.0.betas", (2.0, 2.0)),
        ("optimizer.param_groups.0.odd", 1),
    ],
)
def test_a_checkpoint_of_odd_tensors_is_refused_before_it_is_used(where, value, tmp_path):
    train.fit(adam_line(), no_batches, tmp_path, steps=2)
    torch.save(changed(checkpoint.read(tmp_path / "last.pt"), where, value), tmp_path / "last.pt")
    with pytest.raises(UserError, match=r"made by Line, and its (line|optimizer) does not fit; "):
        checkpoint.load(tmp_path, adam_line())


def test_a_checkpoint_of_a_torch_with_fewer_settings_is_gone_on_with(tmp_path):
    train.fit(adam_line(), no_batches, tmp_path, steps=2)
    held = changed(checkpoint.read(tmp_path / "last.pt"), "optimizer.param_groups.0.weight_decay", KeyError)
    torch.save(held, tmp_path / "last.pt")
    train.fit(adam_line(), no_batches, tmp_path, steps=4)


@pytest.mark.parametrize("damage", ["packed", "empty", "no archive", "a folder", "a pipe", "zeros"])
def test_a_checkpoint_that_is_no_archive_of_ours_is_reported_with_its_cure(damage, tmp_path):
    train.fit(Line(), no_batches, tmp_path, steps=2)
    last = tmp_path / "last.pt"
    data = last.read_bytes()
    last.unlink()
    if damage == "a folder":
        last.mkdir()
    elif damage == "a pipe":
        os.mkfifo(last)
    else:
        last.write_bytes({"packed": packed(data), "empty": b"", "no archive": data[2:], "zeros": bytes(5000)}[damage])
    with pytest.raises(UserError, match=r"last\.pt: (damaged \(.*\)|holds more than tensors); .*; copy .*2\.pt to it"):
        checkpoint.load(tmp_path, Line())


# --- model.safetensors


def weights_of(run: Path, name: str = "dcgan96", **changes) -> None:
    entry = MODELS[name]
    config = entry.presets["tiny"]
    network = entry.networks[entry.exported[0]](config)
    about = {"model": name, "config": asdict(config), "steps": 3}
    if hasattr(config, "labels"):
        about["labels"] = dict.fromkeys(config.labels, 5)
    for key, value in changes.items():
        if key in about:
            about[key] = value
        else:
            about["config"] = about["config"] | {key: value}
    export.write_weights(run, network.state_dict(), about)


@pytest.mark.parametrize("model", MODELS)
def test_what_is_whole_is_loaded(model, tmp_path):
    weights_of(tmp_path, model)
    network = export.load_network(tmp_path)
    assert not network.training
    assert export.read_about(tmp_path)["steps"] == 3


@pytest.mark.parametrize("model", ["dcgan96", "dcgan128", "cgan-resblock", "acgan", "sagan", "pggan"])
def test_every_preset_gives_layers_within_the_limit(model):
    entry = MODELS[model]
    for config in entry.presets.values():
        with planned():
            plan = entry.networks[entry.exported[0]](config)
        settings.check_output(plan, config.size)


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        ("dcgan96", {"widths": [9000, 9000, 4000, 4000]}),
        ("dcgan96", {"widths": [1] * 40}),
        ("dcgan96", {"widths": []}),
        ("dcgan96", {"size": 1 << 20}),
        ("dcgan96", {"size": -32}),
        ("dcgan96", {"size": "32"}),
        ("dcgan96", {"latent": 1 << 30}),
        ("dcgan96", {"middle": "128"}),
        ("dcgan96", {"labels": {"blue": 3}}),
        ("dcgan96", {"model": "nosuch"}),
        ("dcgan96", {"steps": -1}),
        ("dcgan96", {"config": []}),
        ("dcgan96", {"tanh": 1}),
        ("acgan", {"blocks": 1 << 30}),
        ("acgan", {"labels": {}}),
        ("acgan", {"condition": "odd"}),
        ("acgan", {"squeeze": 1000}),
        ("cgan-resblock", {"widths": [16] * 60}),
        ("acgan", {"labels": {"blue": -3}}),
        ("dcgan128", {"widths": [8, 8, 8]}),
        ("sagan", {"size": 1 << 20}),
        ("sagan", {"attention": [5]}),
        ("pggan", {"size": 1 << 20, "widths": [8] * 19}),
        ("pggan", {"size": 100}),
        ("pggan", {"latent": 1 << 30}),
        ("pggan", {"networks": "odd"}),
        ("pggan", {"fade": 0}),
    ],
)
def test_weights_with_odd_settings_are_refused_before_they_take_memory(model, changes, tmp_path):
    weights_of(tmp_path, model, **changes)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(
        UserError, match=r"model\.safetensors: damaged \(.*\); the weights of a model of this program; remove it"
    ):
        export.load_network(tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # KiB


def test_a_small_file_whose_picture_would_be_huge_is_refused(tmp_path):
    """Each layer doubles the side, and has 16 weights."""
    config = replace(MODELS["dcgan96"].presets["tiny"], widths=(1,) * 12, size=16, unit_norm=False)
    with torch.device("meta"):
        plan = MODELS["dcgan96"].networks["generator"](config)
    about = {"model": "dcgan96", "config": asdict(config), "steps": 1}
    export.write_weights(
        tmp_path, {name: torch.zeros(t.shape, dtype=t.dtype) for name, t in plan.state_dict().items()}, about
    )
    with pytest.raises(UserError, match=r"a layer of [0-9,]+ numbers for one picture"):
        export.load_network(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 8,
        struct.pack("<Q", 200_000) + b"[" * 200_000,
        struct.pack("<Q", 1 << 62),
        b"\xff" * 4000,
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 50 << 20) + b" " * 1000,
    ],
)
def test_what_is_no_safetensors_is_reported(content, tmp_path):
    write(tmp_path / "model.safetensors", content)
    for read in (export.load_network, export.read_about):
        with pytest.raises(UserError, match=r"model\.safetensors: damaged"):
            read(tmp_path)


@pytest.mark.parametrize("change", ["missing", "more", "doubles", "other shape"])
def test_other_tensors_than_the_networks_are_reported_by_name(change, tmp_path):
    weights_of(tmp_path)
    about = json.loads(json.dumps(export.read_about(tmp_path)))
    weights = export.load_network(tmp_path).state_dict()
    name = "layers.0.weight"
    if change == "missing":
        del weights[name]
    elif change == "more":
        weights["another"] = torch.zeros(3)
    else:
        weights[name] = weights[name].double() if change == "doubles" else weights[name].T
    export.write_weights(tmp_path, weights, about)
    with pytest.raises(UserError, match="another" if change == "more" else "layers.0.weight"):
        export.load_network(tmp_path)


@pytest.mark.parametrize("kind", ["a folder", "a pipe", "nothing"])
def test_weights_that_are_no_file_are_reported(kind, tmp_path):
    path = tmp_path / "model.safetensors"
    if kind == "a folder":
        path.mkdir()
    elif kind == "a pipe":
        os.mkfifo(path)
    for read in (export.load_network, export.read_about, export.weights_sha256):
        with pytest.raises(UserError):
            read(tmp_path)


# --- what was made from a run


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        DEEP,
        b"[]",
        {"vectors": []},
        {"vectors": {"a": [1, 2]}},
        {"vectors": {"a": "x"}},
        {"counts": {}},
        b'{"vectors": {"a": [1, 2, NaN]}}',
    ],
)
def test_attributes_that_are_damaged_are_reported_with_their_cure(content, tmp_path):
    path = tmp_path / "attributes.json"
    write(path, content)
    save.read_provenance(path)
    with pytest.raises(UserError, match=r"attributes\.json: damaged \(.*; remove it"):
        attributes.read_vectors(path, 3)
    write(path, {"vectors": {"a": [1, 2, 0.5]}})
    assert attributes.read_vectors(path, 3) == {"a": [1, 2, 0.5]}


# --- the arrays of the cache


class Drawn(Dataset):
    """Two pictures that no manifest is needed for."""

    def __init__(self, cache: Path):
        self.folder, self._cache, self.digest = cache, cache, "0" * 64

    def split(self, name: str) -> pa.Table:
        return pa.table({"path": ["a", "b"], "size": [8, 8]})

    def _picture(self, row: dict, size: int) -> np.ndarray:
        return np.full((size, size, 3), ord(row["path"]), np.uint8)


class Evil:
    def __reduce__(self):
        return os.mkdir, ("owned",)


def saved(array: object, **options) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"garbage" * 100,
        saved(np.zeros((2, 8, 8, 3), np.uint8))[:200],
        saved(np.zeros((2, 8, 8, 3), np.float32)),
        saved(np.zeros((3, 8, 8, 3), np.uint8)),
        saved(np.array([Evil()], object), allow_pickle=True),
        b"PK\x03\x04" * 50,
        saved(np.asfortranarray(np.zeros((2, 8, 8, 3), np.uint8))),
        b"\x93NUMPY\x01\x00\x10\x00{'descr': 9**9**9",
        saved(np.zeros((2, 8, 8, 3), np.uint8)).replace(b"(2, 8, 8, 3)", b"(9, 9, 9, 9)"),
        None,
        "a pipe",
    ],
)
def test_a_damaged_array_of_the_cache_is_made_again(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = np.array(Drawn(tmp_path).pixels("train", 8))
    (path,) = (tmp_path / "arrays").glob("*.npy")
    path.unlink()
    if content is None:
        (path / "in").mkdir(parents=True)
    elif content == "a pipe":
        os.mkfifo(path)
    else:
        path.write_bytes(content)
    np.testing.assert_array_equal(Drawn(tmp_path).pixels("train", 8), whole)
    assert not (tmp_path / "owned").exists()


class Empty:
    """Pickled, it is a call."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "value",
    [Empty(bytearray, 2_000_000_000), Empty(torch.UntypedStorage, 2_000_000_000), Empty(torch.Tensor, 500_000_000)],
)
def test_a_small_checkpoint_that_requests_gigabytes_is_refused(value, tmp_path):
    torch.save({"trainee": "Line", "step": 1, "best": None, "x": value}, tmp_path / "last.pt")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match=r"last\.pt: damaged \(it holds "):
        checkpoint.read(tmp_path / "last.pt")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB


def test_losses_of_a_thousand_names_or_of_gigabytes_are_not_drawn(tmp_path):
    many = {"step": 1, "kind": "loss"} | {f"n{number}": 1.0 for number in range(1000)}
    write(tmp_path / "metrics.jsonl", many)
    assert journal.read_metrics(tmp_path) == []
    with open(tmp_path / "metrics.jsonl", "wb") as file:
        file.truncate(2 << 30)
    with pytest.raises(UserError, match=r"metrics\.jsonl: more than 16,777,216 bytes"):
        journal.read_metrics(tmp_path)
