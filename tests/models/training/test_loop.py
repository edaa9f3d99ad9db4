"""The loop, the average, several processes' layers, and the errors when something is wrong."""

import json
import os
import resource
import signal
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from models.data.dataset import UserError
from models.nn.ema import EMA
from models.nn.layers import BatchNorm
from models.sampling import images as sheet
from models.training import checkpoint, stopwatch, update
from models.training import logger as logger
from models.training import loop as train


class Line:
    """The smallest trainer: one weight that goes down (w - 3)²."""

    def __init__(self):
        self.device = torch.device("cpu")
        self.line = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(self.line.weight)
        self.optimizer = torch.optim.SGD(self.line.parameters(), lr=0.1)
        self.at_step = lambda i: None

    def step(self, batch, i):
        self.at_step(i)
        return {"square": update.update([self.optimizer], (self.line.weight - 3).square().sum())}

    def sheet(self, i):
        return np.zeros((4, 4, 3), np.uint8)

    def exported(self):
        return self.line


def no_batches(i):
    return {}


def test_a_step_goes_down_the_gradient():
    line = Line()
    line.step({}, 0)
    assert line.line.weight.item() == pytest.approx(0.1 * 2 * 3)


def test_an_update_touches_its_own_parameters_alone():
    a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    before = b.weight.clone()
    update.update([torch.optim.SGD(a.parameters(), lr=1.0)], b(a(torch.ones(1, 2))).sum())
    assert torch.equal(b.weight, before)
    assert b.weight.grad is None
    assert a.weight.grad is None


def test_micro_batches_give_the_gradient_of_their_mean():
    x, y = torch.randn(8, 3), torch.randn(8)
    whole, parted = nn.Linear(3, 1), nn.Linear(3, 1)
    parted.load_state_dict(whole.state_dict())
    for network, parts in ((whole, 1), (parted, 4)):
        optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
        pairs = zip(x.chunk(parts), y.chunk(parts), strict=True)
        update.update([optimizer], ((network(a).flatten() - b).square().mean() for a, b in pairs))
    torch.testing.assert_close(whole.weight, parted.weight)


def test_a_parameter_without_a_part_in_the_loss_stays():
    used, idle = nn.Linear(1, 1), nn.Linear(1, 1)
    before = idle.weight.clone()
    optimizer = torch.optim.Adam([*used.parameters(), *idle.parameters()])
    update.update([optimizer], used(torch.ones(1, 1)).sum())
    assert torch.equal(idle.weight, before)


def test_the_average_follows_at_its_rate_and_without_decay_is_the_network():
    network = nn.Sequential(nn.Linear(1, 1), BatchNorm(1))
    average, copy = EMA(network, 0.9), EMA(network, 0.0)
    start = average.network[0].weight.clone()
    with torch.no_grad():
        network[0].weight += 1
    network(torch.randn(4, 1))
    copy.update(network, 0)
    average.update(network, 10_000)
    torch.testing.assert_close(average.network[0].weight, start + 0.1)
    assert torch.equal(copy.network[0].weight, network[0].weight)
    assert torch.equal(copy.network[1].running_mean, network[1].running_mean)
    assert average.network[1].num_batches_tracked == 1
    assert not average.network.training
    early = EMA(network, 0.999)
    with torch.no_grad():
        network[0].weight += 1
    early.update(network, 0)  # β = 1/10: the random start is soon forgotten
    torch.testing.assert_close(early.network[0].weight, network[0].weight - 0.1)


def test_keeps_the_last_checkpoints_and_the_best(tmp_path):
    line = Line()
    scores = iter([5.0, 2.0, 4.0, 3.0, 6.0])
    line.validate = lambda i: {"score": next(scores)}
    train.fit(line, no_batches, tmp_path, steps=10, log_every=2, sample_every=2, save_every=2)
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["000006.pt", "000008.pt", "000010.pt"]
    best = checkpoint.read(tmp_path / "best.pt")
    assert (best["step"], best["best"]) == (4, {"step": 4, "score": 2.0})
    assert checkpoint.read(tmp_path / "last.pt")["best"] == {"step": 4, "score": 2.0}
    assert best["line"]["weight"].item() == pytest.approx(3 - 3 * 0.8**4)
    line.validate = lambda i: {"score": 3.0}
    train.fit(line, no_batches, tmp_path, steps=12, log_every=2, sample_every=2, save_every=2)
    assert checkpoint.read(tmp_path / "best.pt")["step"] == 4  # remembered across runs


def test_ctrl_c_finishes_the_step_saves_and_stops(tmp_path):
    line = Line()
    line.at_step = lambda i: os.kill(os.getpid(), signal.SIGINT) if i == 6 else None
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train.fit(line, no_batches, tmp_path, steps=100, log_every=5, sample_every=50, save_every=50)
    assert checkpoint.read(tmp_path / "last.pt")["step"] == 7
    assert signal.getsignal(signal.SIGINT) == handler
    train.fit(Line(), no_batches, tmp_path, steps=20, log_every=5, sample_every=50, save_every=50)
    assert [line["step"] for line in logger.read_metrics(tmp_path)] == [1, 5, 7, 10, 15, 20]


def test_lines_after_the_checkpoint_are_taken_back(tmp_path):
    train.fit(Line(), no_batches, tmp_path, steps=4, log_every=1, sample_every=2, save_every=2)
    with open(tmp_path / "metrics.jsonl", "a") as file:  # what a killed run leaves
        file.write('{"step": 5, "kind": "loss", "square": 1.0}\n{"step": 6, "ki')
    train.fit(Line(), no_batches, tmp_path, steps=6, log_every=1, sample_every=2, save_every=2)
    assert [line["step"] for line in logger.read_metrics(tmp_path)] == [1, 2, 3, 4, 5, 6]
    assert logger.read_metrics(tmp_path)[4]["square"] != 1.0


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    """The clock of stopwatches: `now` is its time, which stands unless a test moves it."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(stopwatch, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


class Timed(Line):
    """One whose steps take a second each, and validations and sheets ten; step `killed_at` never ends."""

    def __init__(self, clock: SimpleNamespace, killed_at: int = -1):
        super().__init__()
        self.clock, self.killed_at = clock, killed_at

    def step(self, batch, i):
        self.clock.now += 1
        if i == self.killed_at:
            raise MemoryError
        return super().step(batch, i)

    def sheet(self, i):
        self.clock.now += 10
        return super().sheet(i)

    def validate(self, i):
        self.clock.now += 10
        return {"score": 1.0}


def test_seconds_are_those_of_steps_also_of_a_run_that_was_stopped_and_killed(tmp_path, clock):
    schedule = {"log_every": 3, "sample_every": 4, "save_every": 5}
    train.fit(Timed(clock), no_batches, tmp_path, steps=7, **schedule)
    clock.now += 10_000
    with pytest.raises(MemoryError):  # after step 12, two steps after the last checkpoint
        train.fit(Timed(clock, killed_at=12), no_batches, tmp_path, steps=20, **schedule)
    clock.now += 10_000
    train.fit(Timed(clock), no_batches, tmp_path, steps=20, **schedule)
    lines = logger.read_metrics(tmp_path)
    assert {line["step"] for line in lines} >= {1, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 16, 18, 20}
    assert all(line["seconds"] == line["step"] for line in lines)


def test_seconds_of_a_run_that_began_without_them_stay_unknown(tmp_path, clock):
    train.fit(Timed(clock), no_batches, tmp_path, steps=4)
    lines = [{key: line[key] for key in line if key != "seconds"} for line in logger.read_metrics(tmp_path)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    train.fit(Timed(clock), no_batches, tmp_path, steps=8)
    assert [line["step"] for line in logger.read_metrics(tmp_path)][-1] == 8
    assert not any("seconds" in line for line in logger.read_metrics(tmp_path))


@pytest.mark.parametrize("bytes_left", [0, 100, 3000])
def test_a_truncated_checkpoint_is_an_error_that_says_how_to_go_on(bytes_left, tmp_path):
    train.fit(Line(), no_batches, tmp_path, steps=2)
    last = tmp_path / "last.pt"
    data = last.read_bytes()
    with open(last, "r+b") as file:
        file.truncate(min(bytes_left, len(data) - 50))
    cure = r"last\.pt: damaged \(.*\); a whole checkpoint; copy .*/checkpoints/000002\.pt to it"
    with pytest.raises(UserError, match=cure):
        train.fit(Line(), no_batches, tmp_path, steps=4)
    last.write_bytes((tmp_path / "checkpoints" / "000002.pt").read_bytes())
    train.fit(Line(), no_batches, tmp_path, steps=4)


def test_a_checkpoint_that_is_gone_does_not_start_the_run_anew(tmp_path):
    train.fit(Line(), no_batches, tmp_path, steps=4, sample_every=2, save_every=2)
    (tmp_path / "last.pt").unlink()
    before = (tmp_path / "metrics.jsonl").read_text()
    with pytest.raises(UserError, match=r"last\.pt: it is missing; .*copy .*/000004\.pt to it to go on"):
        train.fit(Line(), no_batches, tmp_path, steps=6)
    assert (tmp_path / "metrics.jsonl").read_text() == before


@pytest.mark.parametrize(
    "held",
    [
        [1, 2],
        torch.zeros(3),
        {"step": 3},
        {"trainee": "Line", "step": "3", "best": None},
        {"trainee": "Line", "step": 3},
        {"trainee": "Line", "step": 3, "best": None, "line": None, "optimizer": None},
        {"trainee": "Line", "step": 3, "best": None, "line": {"weight": "text"}, "optimizer": {}},
    ],
)
def test_what_is_no_checkpoint_of_ours_is_refused(held, tmp_path):
    torch.save(held, tmp_path / "last.pt")
    with pytest.raises(UserError, match=r"last\.pt: (holds something else|made by Line, and its \w+ does not fit); "):
        checkpoint.load(tmp_path, Line())


def test_an_optimizers_state_of_other_shapes_is_refused(tmp_path):
    line = Line()
    line.optimizer = torch.optim.Adam(line.line.parameters(), fused=True)
    train.fit(line, no_batches, tmp_path, steps=1)
    held = checkpoint.read(tmp_path / "last.pt")
    held["optimizer"]["state"][0]["exp_avg"] = torch.zeros(7, 7)
    torch.save(held, tmp_path / "last.pt")
    with pytest.raises(UserError, match="its optimizer does not fit"):
        checkpoint.load(tmp_path, line)


def test_the_millionth_step_is_later_than_those_before(tmp_path):
    for step in (999_000, 999_500, 1_000_000, 1_000_500):
        checkpoint.save(tmp_path, Line(), step)
    assert {path.stem for path in (tmp_path / "checkpoints").iterdir()} == {"999500", "1000000", "1000500"}


def test_on_save_gets_the_step_of_each_checkpoint(tmp_path):
    saved = []
    train.fit(Line(), no_batches, tmp_path, steps=5, sample_every=2, save_every=2, on_save=saved.append)
    assert saved == [2, 4, 5]
    train.fit(Line(), no_batches, tmp_path, steps=3, on_save=saved.append)  # fewer than there are
    assert saved[3:] == [5]


def test_numbers_that_are_not_finite_are_null_in_the_metrics(tmp_path):
    line = Line()
    line.recover = lambda i: True
    line.at_step = lambda i: line.line.weight.data.fill_(torch.nan if i == 1 else 1.0)
    train.fit(line, no_batches, tmp_path, steps=3, log_every=1)
    assert [line["square"] is None for line in logger.read_metrics(tmp_path)] == [False, True, False]
    assert "NaN" not in (tmp_path / "metrics.jsonl").read_text()


def test_a_checkpoint_with_code_in_it_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    torch.save({"step": 1, "best": None, "line": Evil()}, tmp_path / "last.pt")
    with pytest.raises(UserError, match="it holds posix mkdir"):
        checkpoint.load(tmp_path, Line())
    assert not (tmp_path / "owned").exists()


def test_a_full_disk_while_saving_leaves_the_checkpoint_before(tmp_path):
    train.fit(Line(), no_batches, tmp_path, steps=2, save_every=2)
    before = (tmp_path / "last.pt").read_bytes()
    line = Line()
    line.large = nn.Linear(300, 300)  # more than the limit
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
        with pytest.raises(OSError, match="File too large"):
            checkpoint.save(tmp_path, line, 4)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert (tmp_path / "last.pt").read_bytes() == before
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["000002.pt"]


def test_fit_may_run_where_signals_cannot_be_handled(tmp_path):
    thread = threading.Thread(target=train.fit, args=(Line(), no_batches, tmp_path), kwargs={"steps": 2})
    thread.start()
    thread.join(60)
    assert checkpoint.read(tmp_path / "last.pt")["step"] == 2


def test_batch_norm_alone_is_torchs():
    x = torch.randn(6, 4, 5, 5)
    ours, theirs = BatchNorm(4), nn.BatchNorm2d(4)
    torch.testing.assert_close(ours(x), theirs(x))
    with pytest.raises(ValueError, match="expected"):
        ours(torch.zeros(3, 4, 5))


def test_a_grid_is_filled_up_with_white():
    pictures = np.zeros((5, 2, 2, 3), np.uint8)
    made = sheet.grid(pictures, columns=3)
    assert made.shape == (4, 6, 3)
    assert made[:2].max() == 0
    assert made[2:, 4:].min() == 255


def test_painting_with_a_network_in_training_mode_is_refused():
    with pytest.raises(ValueError, match="training mode"):
        sheet.generate_images(nn.Linear(1, 1), torch.zeros(1, 1))


def test_seeds_are_63_bits_and_differ():
    from models.seeds import seed_for

    seeds = {seed_for(seed, i) for seed in (0, 1, 2**32, 2**62) for i in range(100)}
    assert len(seeds) == 400
    assert all(0 <= seed < 2**63 for seed in seeds)
    torch.manual_seed(max(seeds))


def test_paths_in_a_checkpoint_there_are_none(tmp_path: Path):
    train.fit(Line(), no_batches, tmp_path, steps=1)
    assert str(tmp_path).encode() not in (tmp_path / "last.pt").read_bytes()
