import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipeline import parallel as engine
from pipeline.errors import UserError
from pipeline.store import Store, replace_file


def test_put_writes_once_and_leaves_nothing_beside(store):
    store.put("images/ab/abc.png", b"pixels")
    store.put("images/ab/abc.png", b"other pixels")
    assert (store.root / "images/ab/abc.png").read_bytes() == b"pixels"
    assert list(store.work.iterdir()) == []


def test_a_write_that_fails_leaves_the_old_file_and_no_scrap(store, tmp_path):
    target = tmp_path / "taken"
    target.mkdir()
    with pytest.raises(OSError, match="taken"):
        replace_file(target, b"new", scratch=store.work)
    assert list(store.work.iterdir()) == []


_SHAPE = {"x": [(float, str, None)]}


def test_memory_outlives_its_connection_and_tells_names_apart(store):
    with store.memory("a/1", _SHAPE) as memory:
        memory.set("key", {"x": [0.1, None, "é"]})
    with store.memory("a/1", _SHAPE) as memory, store.memory("a/2", _SHAPE) as other:
        assert memory.get("key") == {"x": [0.1, None, "é"]}
        assert other.get("key") is None


def fill_for_ever(root):
    with Store(root).memory("m", int) as memory:
        for i in range(10**9):
            memory.set(str(i), i)


def test_what_is_named_by_its_content_cannot_be_written_over(store):
    store.scratch.mkdir(parents=True, exist_ok=True)
    store.put("cache/x", b"data")
    assert (store.root / "cache/x").stat().st_mode & 0o777 == 0o444


def test_many_may_open_a_new_memory_at_once(tmp_path):
    code = (
        "import sys; from pathlib import Path; from pipeline.store import Store\n"
        "for i in range(40):\n"
        "    store = Store(Path(sys.argv[1]) / str(i)); store.work.mkdir(parents=True, exist_ok=True)\n"
        "    with store.memory('x', int) as memory: memory.set('a', 1)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", code, str(tmp_path)]
    started = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) for _ in range(4)]
    for process in started:
        _, words = process.communicate(timeout=120)
        assert process.returncode == 0, words.decode()


def test_workers_end_when_their_parent_is_killed(tmp_path):
    code = (
        "import os, sys, time; from pathlib import Path; from pipeline.parallel import map_items\n"
        "def note(i): (Path(sys.argv[1]) / str(os.getpid())).touch(); time.sleep(0.05)\n"
        "list(map_items(note, range(100000), jobs=2))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    script = tmp_path / "script.py"
    script.write_text(code)
    (tmp_path / "pids").mkdir()
    parent = subprocess.Popen([sys.executable, script, tmp_path / "pids"], env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(list((tmp_path / "pids").iterdir())) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    workers = [int(path.name) for path in (tmp_path / "pids").iterdir()]
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in workers):
        assert time.monotonic() < deadline, "a worker goes on without its parent"
        time.sleep(0.2)


def test_memory_survives_a_kill(store):
    process = multiprocessing.get_context("spawn").Process(target=fill_for_ever, args=(store.root,))
    process.start()
    with store.memory("m", int) as memory:
        deadline = time.monotonic() + 60
        while memory.get("99") is None:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    with store.memory("m", int) as memory:
        known = [memory.get(str(i)) for i in range(100)]
    assert known == list(range(100))


def test_a_claimed_folder_is_empty_even_after_a_killed_claim(store):
    for name in ("mine", "of_another_that_died"):
        (store.work / name).mkdir()
        (store.work / name / "scrap").write_text("left by a kill")
    with Store(store.root, "alive").claim() as alive, Store(store.root, "mine").claim() as place:
        assert list(place.iterdir()) == []
        assert alive.exists()
        assert not (store.work / "of_another_that_died").exists()
    assert not place.exists()


def test_two_processes_never_hold_one_claim(store):
    queue = multiprocessing.get_context("spawn").Queue()
    processes = [
        multiprocessing.get_context("spawn").Process(target=claim_a_while, args=(store.root, queue)) for _ in range(2)
    ]
    for process in processes:
        process.start()
    spans = sorted(queue.get(timeout=30) for _ in processes)
    for process in processes:
        process.join()
    assert spans[0][1] <= spans[1][0]


def claim_a_while(root, queue):
    with Store(root, "digest").claim():
        start = time.monotonic()
        time.sleep(0.5)
        queue.put((start, time.monotonic()))


@pytest.mark.parametrize("jobs", [1, 2])
def test_map_items_does_each_item_once(jobs):
    assert sorted(engine.map_items(abs, range(-50, 0), jobs=jobs)) == list(range(1, 51))


def test_stages_share_their_worker_processes():
    def first(item: int) -> int:
        return os.getpid()

    def second(item: int) -> int:
        return os.getpid()

    processes = {*engine.map_items(first, range(64), jobs=2), *engine.map_items(second, range(64), jobs=2)}
    assert os.getpid() not in processes
    assert len(processes) <= 2


def test_map_items_takes_a_stream_as_it_goes():
    taken = 0

    def stream():
        nonlocal taken
        for i in range(1_000):
            taken += 1
            yield i

    results = engine.map_items(slowly, stream(), jobs=2)
    next(results)
    assert taken < 200
    assert len(list(results)) == 999


def slowly(i):
    time.sleep(0.002)
    return i


def test_an_error_in_the_stream_ends_the_work_and_is_reported():
    def broken():
        yield from range(100)
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        list(engine.map_items(slowly, broken(), jobs=2))


def die(_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_dies_is_one_clear_error():
    with pytest.raises(UserError, match="use fewer jobs"):
        list(engine.map_items(die, range(100), jobs=2))


def test_remember_does_only_what_is_new(store):
    done = []

    def square(x):
        done.append(x)
        return x * x

    def run(items):
        with store.memory("squares", int) as memory:
            return dict(engine.cached_map(memory, square, ((str(x), x) for x in items), what="squares", jobs=1))

    assert run([1, 2, 3]) == {"1": 1, "2": 4, "3": 9}
    assert run([1, 2, 3, 4]) == {"1": 1, "2": 4, "3": 9, "4": 16}
    assert done == [1, 2, 3, 4]


def test_only_what_is_new_is_prepared(store):
    prepared = []

    def half(x):
        prepared.append(x)
        return x // 2

    for items in ([2, 4], [2, 4, 6]):
        with store.memory("squares", int) as memory:
            pairs = ((str(x), x) for x in items)
            found = dict(engine.cached_map(memory, lambda x: x * x, pairs, what="squares", jobs=1, prepare=half))
    assert found == {"2": 1, "4": 4, "6": 9}
    assert prepared == [2, 4, 6]


def remembered(store: Store, count: int = 300) -> list:
    with store.memory("m", {"x": int}) as memory:
        return [memory.get(str(i)) for i in range(count)]


def remembered_at_once(store: Store, count: int = 300) -> list:
    with store.memory("m", {"x": int}) as memory:
        found = memory.get_all([str(i) for i in range(count)])
        return [found.get(str(i)) for i in range(count)]


def fill(store: Store, count: int = 300) -> None:
    with store.memory("m", {"x": int}) as memory:
        for i in range(count):
            memory.set(str(i), {"x": i})


def replace_with_folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    (path / "in").mkdir(parents=True)


def another_database(path: Path, *statements: str) -> None:
    path.unlink()
    with sqlite3.connect(path) as database:
        for statement in statements:
            database.execute(statement)
    database.close()


DAMAGES = {
    "garbage": lambda path: path.write_bytes(b"garbage" * 1000),
    "zeros": lambda path: path.write_bytes(bytes(8192)),
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2 + 100),
    "cut to its header": lambda path: os.truncate(path, 100),
    "an odd format": lambda path: path.write_bytes(path.read_bytes()[:44] + b"\0\0\0\x09" + path.read_bytes()[48:]),
    "pages overwritten": lambda path: path.write_bytes(path.read_bytes()[:4096] + b"\xff" * 20_000),
    "a folder": replace_with_folder,
    "a folder as log": lambda path: replace_with_folder(path.with_name("results.sqlite-wal")),
    "garbage as log": lambda path: path.with_name("results.sqlite-wal").write_bytes(b"\xff" * 5000),
    "garbage as index": lambda path: path.with_name("results.sqlite-shm").write_bytes(b"\xff" * 5000),
    "a link to nothing": lambda path: (path.unlink(), path.symlink_to("nowhere/at/all")),
    "another table": lambda path: another_database(path, "CREATE TABLE result (x)"),
    "a view": lambda path: another_database(path, "CREATE VIEW result AS SELECT 'm' name, '1' key, '9' value"),
    "no table": lambda path: another_database(path, "CREATE TABLE other (x)", "DROP TABLE other"),
}


@pytest.mark.parametrize("read", [remembered, remembered_at_once])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_database_of_the_cache_is_begun_anew(damage, read, store):
    fill(store)
    DAMAGES[damage](store.root / "cache" / "results.sqlite")
    for i, value in enumerate(read(store)):
        assert value in (None, {"x": i})
    fill(store)
    assert remembered(store) == [{"x": i} for i in range(300)]


def test_a_database_that_is_damaged_while_it_is_used_is_begun_anew(store):
    with store.memory("m", {"x": int}) as memory, store.memory("m", {"x": int}) as other:
        for i in range(3000):
            memory.set(str(i), {"x": i})
        memory.flush()
        path = store.root / "cache" / "results.sqlite"
        path.with_name("results.sqlite-wal").write_bytes(b"")
        path.write_bytes(b"garbage" * 10_000)
        for one in (memory, other):
            for i in range(3000):
                assert one.get(str(i)) in (None, {"x": i})
                one.set(str(i), {"x": i})
            one.flush()
            assert one.get("7") == {"x": 7}
    assert remembered(store, 10) == [{"x": i} for i in range(10)]


@pytest.mark.parametrize(
    "value",
    [b"", b"\xff\xfe", b'{"x": ', b'{"x": "1"}', b"[" * 100_000, b"[]", 7, None, b'{"x": NaN}', b'{"x": 1e999}'],
)
def test_a_value_of_another_shape_is_none(value, store):
    fill(store, 3)
    with sqlite3.connect(store.root / "cache" / "results.sqlite") as database:
        text = "CAST(? AS TEXT)" if isinstance(value, bytes) else "?"
        database.execute(f"UPDATE result SET value = {text} WHERE key = '1'", (value,))
    database.close()
    assert remembered(store, 3) == remembered_at_once(store, 3) == [{"x": 0}, None, {"x": 2}]


def test_a_database_that_cannot_be_written_is_one_clear_line(store):
    fill(store, 3)
    for error in ("database or disk is full", "disk I/O error", "database is locked"):

        class Refusing:
            def execute(self, *_, error=error):
                raise sqlite3.OperationalError(error)

            def close(self):
                pass

        with store.memory("m", {"x": int}) as memory:
            whole, memory._connection = memory._connection, Refusing()
            with pytest.raises(UserError, match=f"results[.]sqlite: {error}; .*delete it: it is a cache"):
                memory.get("1")
            memory._connection = whole
    assert remembered(store, 3) == [{"x": i} for i in range(3)]
