"""The processes that train one run together: where they listen, how they end, and what they import."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import UserError
from workflows.base import subprocess as processes

LISTENING = """if True:
    import json, sys
    import psutil, torch
    from models import distributed

    store, rank = torch.distributed.FileStore(sys.argv[1], 2), int(sys.argv[2])
    with distributed.process_group("gloo", store=store, rank=rank, world_size=2):
        assert distributed.any_rank(rank == 1)
        found = psutil.Process().net_connections(kind="inet")
        print(json.dumps([each.laddr.ip for each in found]))
        distributed.any_rank(False)
"""


@pytest.mark.full
@pytest.mark.parametrize(
    "environment", [{}, {"GLOO_SOCKET_IFNAME": "eth0"}, {"MASTER_ADDR": "0.0.0.0", "MASTER_PORT": "29500"}]
)
def test_all_sockets_of_a_group_are_on_the_loopback_interface(environment, tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", LISTENING, str(tmp_path / "store"), str(rank)],
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    found = [json.loads(process.communicate(timeout=120)[0]) for process in processes]
    assert all(addresses for addresses in found)  # they did talk over sockets
    assert {address.rpartition(":")[2] for addresses in found for address in addresses} == {"127.0.0.1"}


TOGETHER = """
import os, signal, sys
import torch
from models import distributed
from models.data.dataset import UserError
from models.runs.worker import run_worker

def train():
    rank = int(os.environ["RANK"])
    assert os.stat(os.path.dirname(os.environ["ANIME_STORE"])).st_mode & 0o077 == 0
    store = torch.distributed.FileStore(os.environ["ANIME_STORE"], 2)
    with distributed.process_group("gloo", store=store, rank=rank, world_size=2):
        if rank == {rank}:
            {work}
        for _ in range(3):
            distributed.any_rank(False)

sys.exit(run_worker(train, "runs/r"))
"""


@pytest.mark.full(keep=1)
@pytest.mark.parametrize(
    ("rank", "work", "error", "words"),
    [
        (
            1,
            "os.kill(os.getpid(), signal.SIGKILL)",
            UserError,
            "runs/r: its process was killed, .*; 0; .* run it again",
        ),
        (0, "os._exit(3)", UserError, r"runs/r: its process ended with 3; 0; .* run it again"),
        (1, "raise UserError('a', 'b', 'c', 'd')", UserError, "^a: b; c; d$"),
        (0, "raise KeyboardInterrupt", KeyboardInterrupt, ""),
        (0, "pass", None, ""),
    ],
)
def test_one_process_that_fails_ends_the_others_quietly(rank, work, error, words, tmp_path, monkeypatch, capfd):
    (tmp_path / "together.py").write_text(TOGETHER.format(rank=rank, work=work))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONWARNINGS", "ignore")
    if error:
        with pytest.raises(error, match=words):
            processes.train_in_children(["together"], Path("runs/r"), count=2)
    else:
        processes.train_in_children(["together"], Path("runs/r"), count=2)
    assert "Traceback" not in capfd.readouterr().err


def test_a_process_that_waits_for_one_that_failed_is_ended(tmp_path, monkeypatch):
    work = "import os, sys, time\nsys.exit(1) if os.environ['RANK'] == '1' else time.sleep(600)\n"
    (tmp_path / "waits.py").write_text(work)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(processes, "GRACE_S", 0.5)
    with pytest.raises(UserError, match="its process ended with 1; 0; "):
        processes.train_in_children(["waits"], Path("runs/r"), count=2)


@pytest.mark.full
def test_nothing_is_imported_from_the_current_folder(tmp_path, monkeypatch, capfd):
    for name in ("models", "json", "runpy", "torch", "pipeline"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('of the current folder')\n")
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "__init__.py").write_text("raise SystemExit('of the current folder')\n")
    monkeypatch.chdir(tmp_path)
    processes.train_in_children(["models", "--json"], Path("runs/r"))
    assert "dcgan96" in capfd.readouterr().out
