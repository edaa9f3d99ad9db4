"""How commands and their processes end: by signals, by a parent's or a worker's death; and what they import."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipeline.errors import UserError
from tests.support.run_luigi import ROOT
from workflows.base.subprocess import describe_exit
from workflows.cli import errors, import_path, parameters
from workflows.training import TrainDCGAN

SLEEPING = """
import time
from workflows.cli import process
process.install_signal_handlers()
print("ready", flush=True)
"""
WITH_WORKERS = """
import sys, time
from pipeline.parallel import map_items
from workflows.cli import process

def slowly(i):
    time.sleep(0.02)
    print(i, flush=True)

process.install_signal_handlers()
list(map_items(slowly, range(100_000), jobs=2))
"""


def start(place: Path, code: str, *arguments: str, **more) -> subprocess.Popen:
    script = place / "script.py"
    script.write_text(code)
    return subprocess.Popen(
        [sys.executable, script, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **more,
    )


def begun(process: subprocess.Popen) -> list[psutil.Process]:
    """The process and those below it, once it has printed a line."""
    process.stdout.readline()
    return [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]


def left_of(processes: list[psutil.Process], seconds: float = 10) -> list[psutil.Process]:
    alive = psutil.wait_procs(processes, timeout=seconds)[1]
    return [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.full(keep=2)
@pytest.mark.parametrize(
    ("number", "name"), [(signal.SIGINT, "keyboard"), (signal.SIGTERM, "SIGTERM"), (signal.SIGHUP, "SIGHUP")]
)
def test_a_signal_ends_a_command_in_good_order_with_one_line(number, name, tmp_path):
    begin = "try:\n    print('ready', flush=True)\n    time.sleep(60)\nfinally:\n    print('tidied', flush=True)\n"
    process = start(tmp_path, SLEEPING.replace('print("ready", flush=True)\n', begin))
    begun(process)
    process.send_signal(number)
    printed, reported = process.communicate(timeout=20)
    assert printed == "tidied\n"
    assert reported == f"error: {name}: interrupted; what was done is kept; run the same command again to go on\n"
    assert process.returncode == 128 + number


STUBBORN = (
    "while True:\n    try:\n        time.sleep(60)\n    except KeyboardInterrupt:\n        print('no', flush=True)\n"
)


@pytest.mark.full(keep=1)
@pytest.mark.parametrize(
    "pair", [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGHUP), (signal.SIGHUP, signal.SIGTERM)]
)
def test_a_second_signal_ends_a_command_that_does_not_end(pair, tmp_path):
    process = start(tmp_path, SLEEPING + STUBBORN)
    begun(process)
    for number in pair:
        process.send_signal(number)
        time.sleep(0.6)
    reported = process.communicate(timeout=5)[1]
    assert reported.startswith("error: ")
    assert reported.count("\n") == 1
    assert process.returncode == 128 + pair[0]


@pytest.mark.full(keep=1)
@pytest.mark.parametrize(
    "ending", [STUBBORN, "import threading\nthreading.Thread(target=time.sleep, args=(60,)).start()\n"]
)
def test_what_does_not_end_after_a_signal_is_ended(ending, tmp_path):
    process = start(tmp_path, SLEEPING.replace("process.install", "process.GRACE_S = 1\nprocess.install") + ending)
    begun(process)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=20)[1].startswith("error: SIGTERM: interrupted")


def test_a_signal_that_was_ignored_stays_ignored(tmp_path):
    code = SLEEPING + "time.sleep(1)\nprint('done')\n"
    process = start(tmp_path, code, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    begun(process)
    process.send_signal(signal.SIGHUP)
    assert process.communicate(timeout=20) == ("done\n", "")


@pytest.mark.full(keep=1)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("of_group", [True, False])
def test_no_worker_and_no_tracker_outlives_a_signal(number, of_group, tmp_path):
    process = start(tmp_path, WITH_WORKERS)
    for _ in range(60):  # until both workers work: one that still imports joblib would report its interruption
        process.stdout.readline()
    family = begun(process)
    assert len(family) >= 4
    (os.killpg if of_group else os.kill)(process.pid, number)
    reported = process.communicate(timeout=20)[1]
    assert left_of(family) == []
    assert "Traceback" not in reported
    assert reported.count("\n") == 1


@pytest.mark.full
def test_a_killed_command_leaves_no_worker_that_was_just_starting(tmp_path):
    process = start(tmp_path, WITH_WORKERS)
    deadline = time.monotonic() + 60
    while len(family := psutil.Process(process.pid).children(recursive=True)) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert left_of(family, 30) == []


@pytest.mark.full
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_worker_that_dies_takes_all_with_it_in_one_line(number, tmp_path):
    process = start(
        tmp_path,
        WITH_WORKERS.replace("process.install", "from workflows.cli import errors\nerrors.install_error_reporter()\n#"),
    )
    family = begun(process)
    worker = next(each for each in family if "LokyProcess" in " ".join(each.cmdline()))
    worker.send_signal(number)
    reported = process.communicate(timeout=30)[1]
    assert left_of(family) == []
    assert "Traceback" not in reported
    assert "leaked" not in reported
    assert reported.strip().splitlines()[-1].startswith("error: --jobs: a worker process died")


@pytest.mark.parametrize("entry", ["", ".", "{here}", "{here}/../here", "{link}"])
def test_nothing_is_imported_from_the_current_folder(entry, tmp_path, monkeypatch):
    here, link = tmp_path / "here", tmp_path / "link"
    here.mkdir()
    link.symlink_to(here)
    monkeypatch.chdir(here)
    entries = [entry.format(here=here, link=link), str(tmp_path), "/nowhere"]
    assert import_path.drop_current_folder(entries) == [str(tmp_path), "/nowhere"]


def test_a_program_that_lies_in_the_current_folder_is_found(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert import_path.drop_current_folder(["", str(ROOT)]) == ["", str(ROOT)]


LUIGI = str(Path(sys.executable).parent / "luigi")


@pytest.mark.full
@pytest.mark.parametrize(
    ("command", "path"),
    [
        (["-m", "workflows"], f"{ROOT}"),
        (["-m", "workflows"], f"{ROOT}:"),
        ([LUIGI, "--module", "workflows"], f"{ROOT}"),
    ],
    ids=["module", "module, here on PYTHONPATH", "luigi"],
)
def test_a_folder_with_modules_of_its_own_changes_nothing(command, path, tmp_path):
    for name in ("models", "pipeline", "torch", "numpy", "joblib", "random", "socket", "pickle", "tempfile"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('of the current folder')\n")
    done = subprocess.run(
        [sys.executable, *command, "ScrapeImages", "--limit", "9", "--jobs", "2"],
        cwd=tmp_path,
        capture_output=True,
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "of the current folder" not in done.stderr


@pytest.mark.parametrize("text", ["~/x", "~", "~root/x"])
def test_a_home_folder_is_meant_by_its_sign(text):
    path = parameters.FilePath().parse(text)
    assert parameters.FilePath().normalize(path) == Path(os.path.expanduser(text))


@pytest.mark.parametrize("text", ["~nobody-of-that-name/x", "./~/x", "a\udcff", "a\0b", ""])
def test_a_path_that_cannot_be_meant_is_refused(text):
    with pytest.raises(UserError, match="given: "):
        parameters.FilePath().normalize(text)


@pytest.mark.parametrize("arguments", [["--run="], ["--run", ""], ["--limit", "3", "--dataset", ""]])
def test_an_empty_value_is_refused(arguments):
    with pytest.raises(UserError, match="leave the option out"):
        errors._check_arguments(["Task", *arguments])


def test_a_value_that_ends_in_an_equals_sign_is_not_empty():
    errors._check_arguments(["Task", "--query=rating=", "--query", "a=", "--fresh"])


@pytest.mark.parametrize(
    ("code", "words"), [(-signal.SIGKILL, "lack of memory"), (-signal.SIGTERM, "SIGTERM"), (3, "ended with 3")]
)
def test_the_end_of_a_training_process_is_reported(code, words):
    assert words in describe_exit(code)


@pytest.mark.parametrize(
    "options", [{"processes": 100_000}, {"processes": 0}, {"batch_size": 2_000_000}], ids=lambda options: str(options)
)
def test_counts_that_no_machine_has_are_refused(options, tmp_path):
    with pytest.raises(UserError, match="given"):
        TrainDCGAN(data_root=tmp_path, **options)
